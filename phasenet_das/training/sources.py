"""Where samples come from: windows on disk, or sections simulated on the fly."""

from __future__ import annotations

from collections.abc import Sequence
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

__all__ = ["NoiseSource", "SectionSource", "Source", "WindowSource", "make_sources"]


class Source(Protocol):
    """A supply of samples of one shape, by number."""

    def __len__(self) -> int:
        """Count the samples of an epoch."""
        ...

    def draw(self, epoch: int, number: int, rng: np.random.Generator) -> Sample:
        """Make one sample, always the same for the same epoch, number and random stream."""
        ...


class WindowSource:
    """Pieces of training windows, read from disk one by one and never kept.

    Parameters
    ----------
    windows : sequence of TrainingWindow
        Each gives one sample an epoch.
    data : TrainDataSettings
        Shape, rate and refinement.
    stretch : AugmentSettings
        How far samples are stretched.
    """

    def __init__(
        self, windows: Sequence[TrainingWindow], data: TrainDataSettings, stretch: AugmentSettings
    ) -> None:
        self.windows, self.data, self.stretch = list(windows), data, stretch

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.windows)

    def draw(self, epoch: int, number: int, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        """Read a piece of one window, anchored on a pick, stretched and brought to the rate.

        Parameters
        ----------
        epoch : int
            Not used: `rng` differs between epochs.
        number : int
            Which window.
        rng : numpy.random.Generator
            Random stream.

        Returns
        -------
        Sample
            Of the shape of the settings.
        """
        window, data = self.windows[number], self.data
        dt_s = 1.0 / data.sampling_rate_hz
        space, time = draw_stretch(self.stretch, rng)
        factor = time * window.dt_s / dt_s
        have = (window.num_channels, window.num_samples)
        # One sample more where a ratio is approximated, so that the piece is never too short.
        num_samples = ceil(data.num_samples / factor) + (factor != 1)
        size = (ceil((data.num_channels - 1) / space) + 1, num_samples)
        arrivals, rejected, _ = window.arrivals()
        first = augment.anchored_start(arrivals, have, size, rng)
        channels, samples = (
            slice(max(begin, 0), min(begin + width, total))
            for begin, width, total in zip(first, size, have, strict=True)
        )
        piece = window.block(channels, samples, (arrivals, rejected))
        if data.refine_channels:
            piece = refine_sample(
                piece,
                half_width=data.refine_channels,
                max_residual_s=data.refine_max_residual_s,
                align_window_s=data.align_window_s,
            )
        piece = augment.stretch_space(augment.stretch_time(piece, factor, dt_s), space)
        shift = [min(begin, 0) * scale for begin, scale in zip(first, (space, factor), strict=True)]
        start = (round(shift[0]), round(shift[1]))
        return augment.crop(piece, start, (data.num_channels, data.num_samples))


class SectionSource:
    """Sections simulated of seismometer records, new ones each epoch.

    Parameters
    ----------
    sections : RecordSections
        See :func:`phasenet_das.simulate.from_records`.
    per_epoch : int
        Sections an epoch.
    """

    def __init__(self, sections: RecordSections, per_epoch: int) -> None:
        self.sections, self.per_epoch = sections, per_epoch

    def __len__(self) -> int:
        """Count the sections of an epoch."""
        return self.per_epoch

    def draw(self, epoch: int, number: int, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        """Simulate one section.

        Parameters
        ----------
        epoch, number : int
            Together the section's number.
        rng : numpy.random.Generator
            Not used: a section has its own stream.

        Returns
        -------
        Sample
            Its arrivals are the truth: where there is none, none is in the data.
        """
        section = self.sections[epoch * self.per_epoch + number]
        arrivals = np.stack([section.p_sample, section.s_sample], axis=1)
        return Sample.of(section.data, np.where(np.isnan(arrivals), np.inf, arrivals), section.dt_s)


class NoiseSource:
    """Noise to mix in: pieces of real recordings and simulated fields.

    Parameters
    ----------
    data : TrainDataSettings
        Shape, rate and folder.
    seed : int
        Seed.
    """

    def __init__(self, data: TrainDataSettings, seed: int) -> None:
        real = [] if data.noise is None else load_noise(data.noise, data.sampling_rate_hz)
        dt_s = 1.0 / data.sampling_rate_hz
        self._noise = SectionNoise(data.num_channels, data.num_samples, dt_s, seed, real)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the noise of one sample.

        Parameters
        ----------
        rng : numpy.random.Generator
            Random stream.

        Returns
        -------
        numpy.ndarray, shape (channel, time), float32
            About unit rms.
        """
        return self._noise.draw(rng, vehicles=bool(rng.random() < 0.2))


def make_sources(settings: TrainSettings) -> tuple[list[Source], list[Source]]:
    """Open all sources of the settings, split by event.

    Parameters
    ----------
    settings : TrainSettings
        Of the training.

    Returns
    -------
    training, validation : list of Source
        No event, and no record, is in both.

    Raises
    ------
    ConfigError
        There is nothing to train on.
    """
    data = settings.data
    training: list[Source] = []
    validation: list[Source] = []
    if data.windows:
        train_windows, held_out = split_windows(
            find_windows(data.windows, data.labels),
            data.validation_fraction,
            same_event_s=data.same_event_s,
            seed=settings.seed,
        )
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
        "num_samples": data.num_samples,
        "dt_s": 1.0 / data.sampling_rate_hz,
    }
    config = RecordSectionConfig(**{**data.section, **shape})
    sections = from_records(str(data.records), config, seed=seed, rows=rows, noise_dir=data.noise)
    return SectionSource(sections, data.sections_per_epoch)
