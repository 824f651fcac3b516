"""Cut continuous records into shards: spans of time and blocks of channels that are picked on their own.

Cores lie on one absolute grid, of time and of channel numbers, and are the record, each sample once. What a
core's picks depend on beyond it, in time and along the cable, is loaded with it, up to the ends of the
record: so the picks of all shards are those of the whole record, whatever their size.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from phasenet_das.config import PickSettings
from phasenet_das.errors import SamplingError
from phasenet_das.picking.assemble import AMPLITUDE_WINDOW_S, ONSET_SAMPLES
from phasenet_das.picking.conditioning import condition, filter_reach, stack_groups
from phasenet_das.picking.filters import TimeGrid, resampled_grid, source_span
from phasenet_das.picking.layout import neighbour_step
from phasenet_das.picking.prepared import Prepared
from phasenet_das.picking.quality import QualityGrid, Screened
from phasenet_das.picking.scorers import Reach

if TYPE_CHECKING:
    from phasenet_das.io.recording import Recording


log = logging.getLogger(__name__)

_LONGEST_S = 600.0
_STEPS = 20
_FEW_CHANNELS = 512
_HALOS = 5  # length of a shard in those of what surrounds its core, where blocks of channels make room
_MIN_SAMPLES = 3
_MOST_UPSAMPLED = 20
_LIGHT = 4  # samples loaded for one that the network sees: from here on, memory is the recording's alone
_LIGHT_ROOM = 2.25  # and so many times as many samples fit (benchmarks/continuous_speed.py)


@dataclass(frozen=True)
class ShardSize:
    """How much is picked at a time.

    Attributes
    ----------
    samples : int
        Samples loaded at a time, with what surrounds the core.
    channels : int
        Largest block of channels, where the network needs no more.
    seconds : float or None
        Length of a core; None for what `samples` leaves room for, and ``inf`` for the whole record.
    """

    samples: int = 75_000_000
    channels: int = 4096
    seconds: float | None = None


@dataclass(frozen=True)
class Shard:
    """A span of time of a block of channels.

    Attributes
    ----------
    core : tuple of int
        Samples of the record at the network's rate, half open.
    rows : tuple of int
        Rows along the cable (groups of stacked channels), half open.
    """

    core: tuple[int, int]
    rows: tuple[int, int]


@dataclass(frozen=True)
class Window:
    """What a shard loads.

    Attributes
    ----------
    source : tuple of int
        Samples of the record, half open.
    span : tuple of int
        Samples at the network's rate that can be made of them.
    rows : tuple of int
        Rows along the cable, half open.
    positions : numpy.ndarray, shape (channel,), int64
        Positions of their channels in the record.
    """

    source: tuple[int, int]
    span: tuple[int, int]
    rows: tuple[int, int]
    positions: np.ndarray

    @property
    def channels(self) -> slice:
        """The channels to load: all between the first and the last."""
        return slice(int(self.positions.min()), int(self.positions.max()) + 1)


class RecordPlan:
    """How one unbroken record is picked in shards.

    Attributes
    ----------
    source_grid, grid : TimeGrid
        Times of the record, and at the network's rate.
    rate_hz : float
        That rate in true time, Hz.
    slowness : float
        True seconds in one of the network's.
    stack : int
        Channels averaged in a row.
    cable : numpy.ndarray, shape (row,), int64
        Numbers of the rows (groups of stacked channels), increasing.
    separation : int
        Samples at the network's rate between picks of one phase.
    quality : QualityGrid
        Blocks in which samples are judged.
    """

    def __init__(
        self,
        record: Recording,
        settings: PickSettings,
        *,
        sampling_rate_hz: float,
        reach: Reach,
        size: ShardSize,
        scale: int = 0,
        share: float = 1.0,
    ) -> None:
        if record.num_samples < _MIN_SAMPLES:
            raise SamplingError(
                f"a record of {record.num_samples} sample(s) cannot be picked; expected at least 3."
            )
        self.record, self.settings, self.reach, self.size = record, settings, reach, size
        self.scale, self.share = scale, share
        self.source_grid = TimeGrid(record.start_ns, record.dt_s, record.num_samples)
        self.rate_hz, self.stack = _seen_at(record, settings, sampling_rate_hz)
        self.slowness = sampling_rate_hz / self.rate_hz
        self.grid = resampled_grid(self.source_grid, self.rate_hz)
        if self.grid != self.source_grid:
            log.info("%s: resampling %g Hz to %g Hz", record.name, 1 / record.dt_s, 1 / self.grid.dt_s)
        if self.grid.num_samples < _MIN_SAMPLES:
            raise SamplingError(
                f"a record of {record.num_samples} samples at {1 / record.dt_s:g} Hz cannot be picked at "
                f"{self.rate_hz:g} Hz; expected at least 3 samples at that rate."
            )
        self._number = record.channel_index.astype(np.int64) // self.stack
        self.cable = np.unique(self._number)
        self.separation = max(1, round(settings.min_separation_s * sampling_rate_hz))
        self.quality = QualityGrid.of(self.source_grid.first_index, record.num_samples, record.dt_s)
        self._filter_reach = reach_of_filters(self.source_grid, self.rate_hz, settings)

    @property
    def context(self) -> int:
        """Scores wanted on each side to tell peaks, samples."""
        return max(self.separation, ONSET_SAMPLES) + 1

    @property
    def whole(self) -> Shard:
        """The record as one shard."""
        return Shard((0, self.grid.num_samples), (0, len(self.cable)))

    @cached_property
    def row_blocks(self) -> list[tuple[int, int]]:
        """Blocks of rows, of nearly one size."""
        if self._reach_channels is None:
            return [(0, len(self.cable))]
        channels = min(self.size.channels, max(_FEW_CHANNELS, int(self._room(1) / (_HALOS * self._halo))))
        largest = max(1, channels // self.stack // self.reach.stride)
        # Blocks of one length, from the first channel on; their bounds are multiples of the stride.
        first = int(self._positions[0]) // self.reach.stride
        strides = int(self._positions[-1]) // self.reach.stride - first + 1
        even = -(-strides // -(-strides // largest))
        block = (self._positions // self.reach.stride - first) // even
        bounds = [0, *(np.nonzero(np.diff(block))[0] + 1).tolist(), len(block)]
        return list(itertools.pairwise(bounds))

    @cached_property
    def length(self) -> int:
        """Length of a core, samples at the network's rate."""
        if self.size.seconds is not None:
            return max(1, round(min(self.size.seconds / self.grid.dt_s, 2**62)))
        room = self._room(max(len(self._loaded_positions(rows)) for rows in self.row_blocks))
        longest = _LONGEST_S / self.grid.dt_s
        length = min(max(room - self._halo, self._halo / 2), longest)
        # In whole steps, so that a few channels more or less move no bound.
        step = longest / _STEPS
        return max(1, round(length // step * step if length >= step else length))

    def shards(self) -> Iterator[Shard]:
        """List the shards of the record, all channels of a span of time after another."""
        start, origin = 0, self.grid.first_index
        while start < self.grid.num_samples:
            end = min(start + self.length - (origin + start) % self.length, self.grid.num_samples)
            for rows in self.row_blocks:
                yield Shard((start, end), rows)
            start = end

    def scored(self, shard: Shard) -> tuple[int, int]:
        """Return the samples in which picks are sought: an S beyond the core cuts the amplitude of a P."""
        return shard.core[0], min(shard.core[1] + self._after, self.grid.num_samples)

    def window(self, shard: Shard) -> Window:
        """Tell what a shard loads."""
        (low, high), count, origin = self.scored(shard), self.grid.num_samples, self.grid.first_index
        margin, block = self.context + self.reach.time, self.reach.block
        low, high = low - margin, high + margin
        low, high = max(0, low - (origin + low) % block), min(count, high + -(origin + high) % block)
        first, end = source_span(self.source_grid, self.rate_hz, (low, high))
        first = 0 if low == 0 else max(0, first - self._filter_reach)
        last = self.record.num_samples
        end = last if high == count else min(last, end + self._filter_reach)
        rows = self._loaded_rows(shard.rows)
        return Window(self.quality.widen(first, end), (low, high), rows, self._loaded_positions(shard.rows))

    def prepare(self, shard: Shard, window: Window, screened: Screened) -> Prepared:
        """Condition what a shard has loaded."""
        ready = condition(screened.data, self.record.dt_s, self.record.unit, self.settings, screened.missing)
        _, group, count = stack_groups(
            self.record.channel_index[window.positions].astype(np.int64), self.stack
        )
        first = window.rows[0]
        return Prepared(
            source=ready,
            source_first=window.source[0],
            source_grid=self.source_grid,
            grid=self.grid,
            rate_hz=self.rate_hz,
            span=window.span,
            core=self.scored(shard),
            cable=self.cable,
            rows=window.rows,
            core_rows=(shard.rows[0] - first, shard.rows[1] - first),
            group=group,
            count=count,
            settings=self.settings,
        )

    def core_source(self, shard: Shard) -> tuple[int, int]:
        """Give the samples of the record nearest in time to a core: those of all cores are the record."""
        last = self.record.num_samples
        first, end = (
            0 if n == 0 else last if n == self.grid.num_samples else self._source_sample(n)
            for n in shard.core
        )
        return first, end

    def core_channels(self, shard: Shard) -> np.ndarray:
        """Give the positions in the record of the channels of a core.

        Returns (channel,) int64.
        """
        return self._channels_of(shard.rows)

    def _room(self, channels: int) -> float:
        """Give the samples at the network's rate that so many channels may load."""
        slower = max(1.0, self.grid.dt_s / self.source_grid.dt_s)
        # What the network sees is much less than what is loaded: then more may be loaded.
        lighter = _LIGHT_ROOM if slower * self.stack >= _LIGHT else 1.0
        return lighter * self.size.samples / channels / slower

    @property
    def _halo(self) -> float:
        """Samples at the network's rate that are loaded around a core, before and behind it."""
        own = 2 * (self._filter_reach + self.quality.block) * self.source_grid.dt_s / self.grid.dt_s
        return 2 * (self.context + self.reach.time + self.reach.block) + self._after + own

    @property
    def _after(self) -> int:
        return math.ceil(AMPLITUDE_WINDOW_S / self.grid.dt_s) + 2

    @property
    def _reach_channels(self) -> int | None:
        """Positions loaded on each side; None for all channels, which the common mode needs too."""
        return None if self.settings.common_mode is not None else self.reach.channels

    @cached_property
    def _positions(self) -> np.ndarray:
        """Positions of the rows along the cable."""
        return self.cable // neighbour_step(self.cable)

    def _source_sample(self, sample: int) -> int:
        time_ns = int(self.grid.times_ns(np.array(sample)))
        return round((time_ns - self.source_grid.start_ns) / (self.source_grid.dt_s * 1e9))

    def _loaded_rows(self, rows: tuple[int, int]) -> tuple[int, int]:
        reach = self._reach_channels
        if reach is None:
            return 0, len(self.cable)
        low, high = self._positions[rows[0]] - reach, self._positions[rows[1] - 1] + reach
        first, end = np.searchsorted(self._positions, [low, high + 1])
        return int(first), int(end)

    def _loaded_positions(self, rows: tuple[int, int]) -> np.ndarray:
        return self._channels_of(self._loaded_rows(rows))

    def _channels_of(self, rows: tuple[int, int]) -> np.ndarray:
        low, high = self.cable[rows[0]], self.cable[rows[1] - 1]
        return np.nonzero((self._number >= low) & (self._number <= high))[0]


def _seen_at(record: Recording, settings: PickSettings, model_rate_hz: float) -> tuple[float, int]:
    """Give the rate and the channels averaged; what is left empty is chosen by `scale_settings` before."""
    rate = settings.rate
    if isinstance(rate, tuple):
        raise SamplingError(f"a plan has one rate, found {list(rate)}; see scale_settings.")
    if rate == "native":
        rate = 1 / record.dt_s
    elif rate is None or rate == "model":
        rate = model_rate_hz
    own = 1 / record.dt_s
    if rate > max(model_rate_hz, _MOST_UPSAMPLED * own):
        raise SamplingError(
            f"{record.name}: rate {rate:g} Hz is more than {_MOST_UPSAMPLED} times the record's "
            f"{own:g} Hz, which holds nothing that could be seen there. State a rate near its own."
        )
    return float(rate), settings.average_channels or 1


def reach_of_filters(grid: TimeGrid, rate_hz: float, settings: PickSettings) -> int:
    """Give the samples that are loaded beyond those that filters see, to each side."""
    own = filter_reach(grid.dt_s, settings)
    first, end = source_span(grid, rate_hz, (0, 1))
    return 2 * own + (end - first if end - first > 1 else 0)
