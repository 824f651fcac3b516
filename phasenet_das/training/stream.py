"""The endless stream of training samples: it depends on the seed alone, never on ranks or workers."""

from __future__ import annotations

import bisect
import itertools
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from phasenet_das.config import TrainDataSettings, TrainSettings
from phasenet_das.simulate.seeds import generator
from phasenet_das.training.augment import crop
from phasenet_das.training.draw import vary
from phasenet_das.training.labels import make_mask, make_targets
from phasenet_das.training.sample import Sample
from phasenet_das.training.sources import NoiseSource, Source


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
        accumulate: int,
        rank: int,
        world: int,
        seed: int,
        first_step: int,
        last_step: int,
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
        noise: NoiseSource | None = None,
        *,
        varied: bool = True,
    ) -> None:
        self.sources, self.settings, self.noise, self.varied = list(sources), settings, noise, varied
        self._ends = list(itertools.accumulate(map(len, self.sources)))

    def __len__(self) -> int:
        """Count the samples of an epoch."""
        return self._ends[-1] if self._ends else 0

    def sample(self, key: Key) -> Sample:
        """Draw one sample."""
        purpose = "sample" if self.varied else "validation"
        rng = generator(self.settings.seed, purpose, *key)
        sample = self._draw(key, rng)
        if self.varied:
            noise = self.noise
            sample = vary(
                sample,
                self.settings.augment,
                rng,
                other=lambda: self._draw(Key(key.epoch, int(rng.integers(len(self)))), rng),
                noise=None if noise is None else lambda: noise.draw(rng),
            )
        wanted = (len(sample.data), self.settings.data.num_samples)
        context = (sample.data.shape[1] - wanted[1]) // 2
        return crop(normalize(sample, self.settings.data), (0, context), wanted)

    def _draw(self, key: Key, rng: np.random.Generator) -> Sample:
        source = bisect.bisect_right(self._ends, key.number)
        first = self._ends[source - 1] if source else 0
        return self.sources[source].draw(key.epoch, key.number - first, rng)

    def __getitem__(self, key: Key) -> tuple[Key, Tensor, Tensor, Tensor]:
        """Make the tensors of one sample: key, data (1, channel, time), targets (3, ...), mask."""
        sample, data = self.sample(key), self.settings.data
        targets = make_targets(sample, data.label_sigma_s)
        mask = make_mask(sample, data.label_sigma_s, data.mask_guard_s)
        return key, torch.from_numpy(sample.data[None]), torch.from_numpy(targets), torch.from_numpy(mask)


def normalize(sample: Sample, data: TrainDataSettings) -> Sample:
    """Bring amplitudes to what the network sees."""
    values = sample.data
    if data.normalization.startswith("moving"):
        from phasenet_das.picking.normalization import moving_normalization

        values = moving_normalization(
            values,
            sample.dt_s,
            first_index=0,
            window_s=data.normalization_window_s,
            per="array" if data.normalization == "moving-array" else "channel",
        )
    elif data.normalization == "std":
        centred = values - values.mean(axis=1, keepdims=True)
        scale = centred.std(axis=1, keepdims=True)
        values = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0)
    return replace(sample, data=np.ascontiguousarray(values, np.float32))


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
