"""Training samples: from windows on disk or simulated sections to batches that depend on the seed alone."""

from __future__ import annotations

import bisect
import itertools
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from phasenet_das.config import AugmentSettings, TrainDataSettings, TrainSettings
from phasenet_das.errors import ConfigError
from phasenet_das.simulate.noise import SectionNoise, load_noise
from phasenet_das.simulate.record_sections import RecordSectionConfig, RecordSections, from_records
from phasenet_das.simulate.records import load_records
from phasenet_das.simulate.seeds import generator
from phasenet_das.training import augment
from phasenet_das.training.sample import Sample
from phasenet_das.training.split import split_groups, split_training_windows
from phasenet_das.training.targets import make_mask, make_targets
from phasenet_das.training.windows import TrainingWindow

_LABEL_BYTES = 2**28
_VEHICLES = 0.2  # share of the noise with vehicles
_AS_THEY_ARE = AugmentSettings(stretch_time=1.0, stretch_space=1.0, average_channels=1)


class WindowSource:
    """Pieces of training windows, read from disk one by one and never kept; labels are kept up to 256 MiB.

    As those of every source, samples are longer than the settings say by :func:`context_samples` on either
    side, and depend on the epoch, the number and the random stream alone.
    """

    def __init__(
        self,
        windows: Sequence[TrainingWindow],
        data: TrainDataSettings,
        stretch: AugmentSettings,
        count: int | None = None,
    ) -> None:
        self.windows, self.data, self.stretch = list(windows), data, stretch
        self._context = context_samples(data)
        counts = np.array([_samples_of(window, data) for window in self.windows], np.int64)
        # Round after round over the windows that have samples left: the first few are of many windows.
        turns = np.arange(counts.max(initial=0))[:, None] < counts
        order = np.nonzero(turns)[1]
        self._order = order
        self._count = count if count is not None and len(order) else len(order)
        self._labels: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._label_bytes = 0

    @property
    def is_quiet(self) -> bool:
        """Whether its windows are of noise."""
        return bool(self.windows) and all(window.quiet for window in self.windows)

    def __len__(self) -> int:
        """Count the samples of an epoch."""
        return self._count

    def draw(self, epoch: int, number: int, rng: np.random.Generator, channels: int | None = None) -> Sample:
        """Read a piece of one window, most often around a pick; average, stretch and resample it."""
        wanted = channels or self.data.num_channels
        chosen = int(self._order[(epoch * len(self) + number) % len(self._order)])
        window, data = self.windows[chosen], self.data
        dt_s = 1.0 / data.sampling_rate_hz
        space, time, average = augment.draw_stretch(self.stretch, window.num_channels, rng)
        factor = time * window.dt_s / dt_s
        labels = self._labels_of(chosen)
        # One sample more where a ratio is approximated, so that the piece is never too short.
        num_samples = ceil(data.num_samples / factor) + (factor != 1)
        size = ((ceil((wanted - 1) / space) + 1) * average, num_samples)
        have = (window.num_channels, window.num_samples)
        known = labels[0] if rng.random() < data.anchored else labels[0][:0]
        first = augment.anchored_start(known, have, size, rng)
        context = ceil(self._context / factor)
        rows = slice(max(first[0], 0), min(first[0] + size[0], have[0]))
        samples = slice(max(first[1] - context, 0), min(first[1] + size[1] + context, have[1]))
        piece = window.load(rows, samples, labels)
        piece = augment.average_channels(piece, average)
        if space <= 1:  # fewer channels first: resampling costs far more than choosing channels
            piece = augment.stretch_time(augment.stretch_space(piece, space), factor, dt_s)
        else:
            piece = augment.stretch_space(augment.stretch_time(piece, factor, dt_s), space)
        piece = augment.reflect_channels(piece, round(min(first[0], 0) / average * space), wanted)
        start = round((first[1] - samples.start) * factor) - self._context
        return augment.crop(piece, (0, start), (wanted, data.num_samples + 2 * self._context))

    def _labels_of(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Read the labels of a window, or take the kept ones: reading takes longer than all else."""
        labels = self._labels.get(number)
        if labels is None:
            labels = self.windows[number].arrivals()
            self._label_bytes += sum(part.nbytes for part in labels)
            if self._label_bytes <= _LABEL_BYTES:
                self._labels[number] = labels
        return labels


class SectionSource:
    """Sections simulated of seismometer records, new ones each epoch."""

    def __init__(self, sections: RecordSections, per_epoch: int) -> None:
        self.sections, self.per_epoch = sections, per_epoch

    def __len__(self) -> int:
        """Count the sections of an epoch."""
        return self.per_epoch

    def draw(self, epoch: int, number: int, rng: np.random.Generator, channels: int | None = None) -> Sample:
        """Simulate one section, and choose neighbouring channels of it."""
        section = self.sections[epoch * self.per_epoch + number]
        arrivals = np.stack([section.p_sample, section.s_sample], axis=1)
        sample = Sample.of(section.data, np.where(np.isnan(arrivals), np.inf, arrivals), section.dt_s)
        if channels is None or channels == len(sample.data):
            return sample
        first = int(rng.integers(len(sample.data) - channels + 1))
        return augment.crop(sample, (first, 0), (channels, sample.data.shape[1]))


Source = WindowSource | SectionSource


def make_noise(data: TrainDataSettings, seed: int) -> SectionNoise:
    """Make the noise to mix in: of real recordings and of simulated fields."""
    real = [] if data.noise is None else load_noise(data.noise, data.sampling_rate_hz)
    num_samples = data.num_samples + 2 * context_samples(data)
    return SectionNoise(data.num_channels, num_samples, 1.0 / data.sampling_rate_hz, seed, real)


def make_sources(settings: TrainSettings) -> tuple[list[Source], list[Source]]:
    """Open all sources of the settings, split by event."""
    data = settings.data
    training: list[Source] = []
    validation: list[Source] = []
    if data.windows:
        train_windows, held_out = split_training_windows(data, settings.seed)
        training += _window_sources(train_windows, data, settings.augment)
        validation += _window_sources(held_out, data, _AS_THEY_ARE)
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


def _window_sources(
    windows: Sequence[TrainingWindow], data: TrainDataSettings, stretch: AugmentSettings
) -> list[Source]:
    """Make the source of windows of events, and that of windows of noise."""
    events = WindowSource([window for window in windows if not window.quiet], data, stretch)
    count = round(data.quiet / (1.0 - data.quiet) * len(events))
    return [events, WindowSource([window for window in windows if window.quiet], data, stretch, count)]


def _samples_of(window: TrainingWindow, data: TrainDataSettings) -> int:
    """Count the samples of a window an epoch: those asked for, or as many as have room in it."""
    if data.samples_per_window is not None:
        return data.samples_per_window
    room = window.num_channels * window.num_samples * window.dt_s * data.sampling_rate_hz
    return max(1, round(room / (data.num_channels * data.num_samples)))


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


class Key(NamedTuple):
    """Which sample: the epoch, and its number in all sources."""

    epoch: int
    number: int


class Batch(NamedTuple):
    """Tensors of one batch: (batch, 1 or 3, channel, time) and the mask (batch, channel, time)."""

    data: Tensor
    targets: Tensor
    mask: Tensor
    keys: tuple[Key, ...]


class SampleOrder:
    """The batches that one rank reads: its share of each step's samples.

    All samples come once an epoch, in an order drawn for it. Steps take `world * accumulate * batch_size`
    samples each, running on over the ends of epochs, so that the samples of a step do not depend on how many
    ranks share them.
    """

    def __init__(
        self,
        num_samples: int,
        *,
        batch_size: int,
        seed: int,
        last_step: int,
        first_step: int = 0,
        accumulate: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.num_samples, self.batch_size, self.accumulate = num_samples, batch_size, accumulate
        self.rank, self.world, self.seed = rank, world, seed
        self.steps = range(first_step, last_step)

    def __len__(self) -> int:
        """Count the batches."""
        return len(self.steps) * self.accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        """Yield the keys of each batch."""
        per_step = self.world * self.accumulate * self.batch_size
        order, epoch = np.empty(0, np.int64), -1
        for step, part in itertools.product(self.steps, range(self.accumulate)):
            begin = step * per_step + (part * self.world + self.rank) * self.batch_size
            keys = []
            for position in range(begin, begin + self.batch_size):
                if position // self.num_samples != epoch:
                    epoch = position // self.num_samples
                    order = generator(self.seed, "order", epoch).permutation(self.num_samples)
                keys.append(Key(epoch, int(order[position % self.num_samples])))
            yield keys


class TrainingSamples(Dataset[tuple[Key, Tensor, Tensor, Tensor]]):
    """Samples by key: drawn, varied, normalised and labelled."""

    def __init__(
        self,
        sources: Sequence[Source],
        settings: TrainSettings,
        noise: SectionNoise | None = None,
        *,
        varied: bool = True,
    ) -> None:
        self.sources, self.settings, self.noise, self.varied = list(sources), settings, noise, varied
        self._ends = list(itertools.accumulate(map(len, self.sources)))
        self._quiet = [source for source in sources if isinstance(source, WindowSource) and source.is_quiet]

    def __len__(self) -> int:
        """Count the samples of an epoch."""
        return self._ends[-1] if self._ends else 0

    def sample(self, key: Key) -> Sample:
        """Draw one sample."""
        purpose = "sample" if self.varied else "validation"
        rng = generator(self.settings.seed, purpose, *key)
        data = self.settings.data
        channels = augment.draw_channels(self.settings.augment, data.num_channels, rng)
        sample = self._draw(key, rng, channels)
        if self.varied:
            sample = augment.vary(
                sample,
                self.settings.augment,
                rng,
                other=lambda: self._draw(Key(key.epoch, int(rng.integers(len(self)))), rng, channels),
                noise=(lambda: self._draw_noise(rng, channels)) if self.noise or self._quiet else None,
            )
        context = (sample.data.shape[1] - data.num_samples) // 2
        ready = normalize(sample, data, context)
        return (
            ready if channels == data.num_channels else augment.reflect_channels(ready, 0, data.num_channels)
        )

    def _draw(self, key: Key, rng: np.random.Generator, channels: int) -> Sample:
        source = bisect.bisect_right(self._ends, key.number)
        first = self._ends[source - 1] if source else 0
        return self.sources[source].draw(key.epoch, key.number - first, rng, channels)

    def _draw_noise(self, rng: np.random.Generator, channels: int) -> np.ndarray:
        """Draw noise (channel, time): the cable's own, or simulated and that of other recordings."""
        own = bool(rng.random() < self.settings.augment.own_noise)
        if self.noise is None or (self._quiet and own):
            source = self._quiet[int(rng.integers(len(self._quiet)))]
            epoch, number = int(rng.integers(2**31)), int(rng.integers(len(source)))
            return mirrored(source.draw(epoch, number, rng, channels))
        return self.noise.draw(rng, vehicles=bool(rng.random() < _VEHICLES))[:channels]

    def __getitem__(self, key: Key) -> tuple[Key, Tensor, Tensor, Tensor]:
        """Make the tensors of one sample: key, data (1, channel, time), targets (3, ...), mask."""
        sample, data = self.sample(key), self.settings.data
        targets = make_targets(sample, data.label_sigma_s)
        mask = make_mask(sample, data.label_sigma_s, data.mask_guard_s)
        return key, torch.from_numpy(sample.data[None]), torch.from_numpy(targets), torch.from_numpy(mask)


def mirrored(sample: Sample) -> np.ndarray:
    """Fill dead and padded channels with live ones: those that there are, back and forth."""
    rows = np.flatnonzero(sample.live)
    if not len(rows):
        return sample.data
    filled: np.ndarray = sample.data[np.resize(np.concatenate([rows, rows[::-1]]), len(sample.data))]
    return sample.data if len(rows) == len(sample.data) else filled


def normalize(sample: Sample, data: TrainDataSettings, context: int = 0) -> Sample:
    """Bring amplitudes to what the network sees, and cut the context off both ends."""
    core = augment.crop(sample, (0, context), (len(sample.data), sample.data.shape[1] - 2 * context))
    if data.normalization.startswith("moving"):
        from phasenet_das.picking.normalization import moving_scale

        scale = moving_scale(
            sample.data,
            sample.dt_s,
            first_index=0,
            window_s=data.normalization_window_s,
            per="array" if data.normalization == "moving-array" else "channel",
        )
        return replace(core, data=scale.apply(core.data, context))
    values = core.data
    if data.normalization == "std":
        centred = values - values.mean(axis=1, keepdims=True)
        scale = centred.std(axis=1, keepdims=True)
        values = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0)
    return replace(core, data=np.ascontiguousarray(values, np.float32))


def collate(items: Sequence[tuple[Key, Tensor, Tensor, Tensor]]) -> Batch:
    """Put samples into one batch."""
    keys, data, targets, mask = zip(*items, strict=True)
    return Batch(torch.stack(data), torch.stack(targets), torch.stack(mask), tuple(keys))


def make_loader(
    samples: TrainingSamples, order: SampleOrder, num_workers: int, device: str
) -> DataLoader[Batch]:
    """Make the loader of one rank."""
    return DataLoader(
        samples,  # type: ignore[arg-type] # batches are collated tensors
        batch_sampler=order,
        num_workers=num_workers,
        collate_fn=collate,
        pin_memory=device.startswith("cuda"),
        worker_init_fn=_start_worker,
        generator=torch.Generator().manual_seed(0),  # the loader's own draw must not move torch's stream
    )


def _start_worker(worker: int) -> None:  # noqa: ARG001 - the loader's signature
    """Leave signals to the training process, which saves first; one thread, since there are many workers."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
