"""Where samples come from: windows on disk, or sections simulated on the fly."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from typing import Protocol

import numpy as np

from phasenet_das.config import AugmentSettings, TrainDataSettings, TrainSettings
from phasenet_das.errors import ConfigError
from phasenet_das.simulate.realnoise import load_noise
from phasenet_das.simulate.record_sections import RecordSectionConfig, RecordSections, from_records
from phasenet_das.simulate.records import load_records
from phasenet_das.simulate.section_noise import SectionNoise
from phasenet_das.training import augment
from phasenet_das.training.draw import draw_stretch
from phasenet_das.training.moveout import refine_sample
from phasenet_das.training.sample import Sample
from phasenet_das.training.split import split_groups, split_windows
from phasenet_das.training.windows import TrainingWindow, find_windows

_LABELS_KEPT = 512
_FEWEST_ROWS = 16  # that are left when neighbours are averaged, as in picking


class Source(Protocol):
    """A supply of samples of one shape, by number.

    Samples are longer than those of the settings by :func:`context_samples` on either side.
    """

    def __len__(self) -> int:
        """Count the samples of an epoch."""
        ...

    def draw(self, epoch: int, number: int, rng: np.random.Generator) -> Sample:
        """Make one sample, always the same for the same epoch, number and random stream."""
        ...


class WindowSource:
    """Pieces of training windows, read from disk one by one and never kept."""

    def __init__(
        self, windows: Sequence[TrainingWindow], data: TrainDataSettings, stretch: AugmentSettings
    ) -> None:
        self.windows, self.data, self.stretch = list(windows), data, stretch
        self._context = context_samples(data)
        counts = np.array([_samples_of(window, data) for window in self.windows], np.int64)
        # Round after round over the windows that have samples left: the first few are of many windows.
        turns = np.arange(counts.max(initial=0))[:, None] < counts
        self._window = np.nonzero(turns)[1]

    def __len__(self) -> int:
        """Count the samples of an epoch."""
        return len(self._window)

    def draw(self, epoch: int, number: int, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        """Read a piece of one window, most often around a pick; average, stretch and resample it."""
        window, data = self.windows[self._window[number]], self.data
        dt_s = 1.0 / data.sampling_rate_hz
        space, time, average = draw_stretch(self.stretch, rng)
        average = max(1, min(average, window.num_channels // _FEWEST_ROWS))
        factor = time * window.dt_s / dt_s
        arrivals, rejected = _labels(window)
        # One sample more where a ratio is approximated, so that the piece is never too short.
        num_samples = ceil(data.num_samples / factor) + (factor != 1)
        size = ((ceil((data.num_channels - 1) / space) + 1) * average, num_samples)
        have = (window.num_channels, window.num_samples)
        known = arrivals if rng.random() < data.anchored else arrivals[:0]
        first = augment.anchored_start(known, have, size, rng)
        context = ceil(self._context / factor)
        channels = slice(max(first[0], 0), min(first[0] + size[0], have[0]))
        samples = slice(max(first[1] - context, 0), min(first[1] + size[1] + context, have[1]))
        piece = window.block(channels, samples, (arrivals, rejected))
        if data.refine_channels:
            piece = refine_sample(
                piece,
                half_width=data.refine_channels,
                max_residual_s=data.refine_max_residual_s,
                align_window_s=data.align_window_s,
            )
        piece = augment.average_channels(piece, average)
        if space <= 1:  # fewer channels first: resampling costs far more than choosing channels
            piece = augment.stretch_time(augment.stretch_space(piece, space), factor, dt_s)
        else:
            piece = augment.stretch_space(augment.stretch_time(piece, factor, dt_s), space)
        start = (
            round(min(first[0], 0) / average * space),
            round((first[1] - samples.start) * factor) - self._context,
        )
        return augment.crop(piece, start, (data.num_channels, data.num_samples + 2 * self._context))


class SectionSource:
    """Sections simulated of seismometer records, new ones each epoch."""

    def __init__(self, sections: RecordSections, per_epoch: int) -> None:
        self.sections, self.per_epoch = sections, per_epoch

    def __len__(self) -> int:
        """Count the sections of an epoch."""
        return self.per_epoch

    def draw(self, epoch: int, number: int, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        """Simulate one section."""
        section = self.sections[epoch * self.per_epoch + number]
        arrivals = np.stack([section.p_sample, section.s_sample], axis=1)
        return Sample.of(section.data, np.where(np.isnan(arrivals), np.inf, arrivals), section.dt_s)


class NoiseSource:
    """Noise to mix in: pieces of real recordings and simulated fields."""

    def __init__(self, data: TrainDataSettings, seed: int) -> None:
        real = [] if data.noise is None else load_noise(data.noise, data.sampling_rate_hz)
        dt_s = 1.0 / data.sampling_rate_hz
        num_samples = data.num_samples + 2 * context_samples(data)
        self._noise = SectionNoise(data.num_channels, num_samples, dt_s, seed, real)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the noise of one sample.

        Returns (channel, time) float32.
        """
        return self._noise.draw(rng, vehicles=bool(rng.random() < 0.2))


def make_sources(settings: TrainSettings) -> tuple[list[Source], list[Source]]:
    """Open all sources of the settings, split by event."""
    data = settings.data
    training: list[Source] = []
    validation: list[Source] = []
    if data.windows:
        train_windows, held_out = _split_windows(data, settings.seed)
        training.append(WindowSource(train_windows, data, settings.augment))
        validation.append(WindowSource(held_out, data, AugmentSettings()))
    if data.records is not None:
        rows, held_out_rows = _split_rows(data, settings.seed)
        training.append(_sections(data, rows, 2 * settings.seed))
        if held_out_rows:
            validation.append(_sections(data, held_out_rows, 2 * settings.seed + 1))
    training = [source for source in training if len(source)]
    if not training:
        raise ConfigError(
            "nothing to train on: give data.windows or data.records, beyond those of validation."
        )
    return training, [source for source in validation if len(source)]


def _split_windows(data: TrainDataSettings, seed: int) -> tuple[list[TrainingWindow], list[TrainingWindow]]:
    windows = find_windows(data.windows, data.labels)
    if data.validation_windows:
        held_out = find_windows(data.validation_windows)
        common = {window.path.resolve() for window in windows} & {w.path.resolve() for w in held_out}
        if common:
            raise ConfigError(
                f"validation_windows: {len(common)} are trained on too, such as {min(common)}. Part them."
            )
        return windows, held_out
    return split_windows(windows, data.validation_fraction, same_event_s=data.same_event_s, seed=seed)


def _samples_of(window: TrainingWindow, data: TrainDataSettings) -> int:
    """Count the samples of a window an epoch: those asked for, or as many as have room in it."""
    if data.samples_per_window is not None:
        return data.samples_per_window
    room = window.num_channels * window.num_samples * window.dt_s * data.sampling_rate_hz
    return max(1, round(room / (data.num_channels * data.num_samples)))


@lru_cache(maxsize=_LABELS_KEPT)
def _labels(window: TrainingWindow) -> tuple[np.ndarray, np.ndarray]:
    """Read the labels of a window; those of the last windows are kept, their data never."""
    arrivals, rejected, _ = window.arrivals()
    return arrivals, rejected


def context_samples(data: TrainDataSettings) -> int:
    """Give how far a source's samples reach beyond those of the settings, on either side.

    The moving normalisation looks half a window to both sides: with that much context, a sample comes out
    as it would from a long recording. The context is cut off before the network sees the sample.
    """
    if not data.normalization.startswith("moving"):
        return 0
    return ceil(0.5 * data.normalization_window_s * data.sampling_rate_hz)


def _split_rows(data: TrainDataSettings, seed: int) -> tuple[list[int], list[int]]:
    held_out = data.validation_rows
    rows = list(data.record_rows or range(len(load_records(str(data.records)))))
    if held_out is None:
        chosen = split_groups([str(row) for row in rows], data.validation_fraction, seed)
        held_out = tuple(row for row, out in zip(rows, chosen, strict=True) if out)
    return [row for row in rows if row not in set(held_out)], list(held_out)


def _sections(data: TrainDataSettings, rows: list[int], seed: int) -> SectionSource:
    shape = {
        "num_channels": data.num_channels,
        "num_samples": data.num_samples + 2 * context_samples(data),
        "dt_s": 1.0 / data.sampling_rate_hz,
    }
    config = RecordSectionConfig(**{**data.section, **shape})
    sections = from_records(str(data.records), config, seed=seed, rows=rows, noise_dir=data.noise)
    return SectionSource(sections, data.sections_per_epoch)
