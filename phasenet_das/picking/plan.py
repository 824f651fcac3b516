"""How recordings are cut into chunks.

The cores of chunks lie on one absolute grid of time and of channel numbers, and cover each sample once. A
chunk loads the context on which the picks of its core depend, in time and along the cable, up to the ends of
the recording. So the picks of all chunks are those of the whole recording, whatever the size of the chunks.
A range of time or of channels only says which cores are picked. It never shortens the context.
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
from phasenet_das.picking.amplitudes import AMPLITUDE_WINDOW_S
from phasenet_das.picking.multirate import RatePass
from phasenet_das.picking.peaks import ONSET_SAMPLES
from phasenet_das.picking.preprocess import QualityGrid, filter_reach
from phasenet_das.picking.request import Range
from phasenet_das.picking.resampling import TimeGrid, resampled_grid, source_span
from phasenet_das.picking.tiles import neighbour_step

if TYPE_CHECKING:
    from phasenet_das.io.recording import Recording


log = logging.getLogger(__name__)

_LONGEST_S = 600.0
_STEPS = 20
_FEW_CHANNELS = 512
_CONTEXTS = 5  # length of a chunk in those of its context, where ranges of channels leave room
_MIN_SAMPLES = 3
_MOST_UPSAMPLED = 20
_LIGHT = 4  # samples loaded for one that the network sees: from here on, memory is the recording's alone
_LIGHT_ROOM = 1.4  # and so many times as many samples fit (benchmarks/continuous_speed.py)


@dataclass(frozen=True)
class ReceptiveField:
    """The neighbourhood on which the scores of a sample depend."""

    time: int  # samples on each side, at the network's rate
    block: int  # context begins and ends at absolute multiples of this many samples, or with the recording
    channels: int | None  # positions along the cable on each side; None when all channels are needed
    stride: int  # whole ranges of channels begin and end at multiples of this many positions


@dataclass(frozen=True)
class ChunkSize:
    """How much is picked at a time."""

    samples: int = 80_000_000  # samples loaded at a time, with the context
    channels: int = 4096  # largest number of channels, where the network does not need all
    # length of a core; None for as long as `samples` leaves room for, ``inf`` for the whole recording
    seconds: float | None = None


@dataclass(frozen=True)
class Context:
    """What a chunk loads: its core and all on which the core's picks depend."""

    source: tuple[int, int]  # samples of the recording, half open
    span: tuple[int, int]  # samples at the network's rate that can be computed from them
    rows: tuple[int, int]  # rows along the cable, half open
    positions: np.ndarray  # (channel,) int64: positions of their channels in the recording

    @property
    def channels(self) -> slice:
        """The channels to load: all between the first and the last."""
        return slice(int(self.positions.min()), int(self.positions.max()) + 1)


class ChunkPlan:
    """How one recording is cut into chunks for one rate pass.

    Attributes
    ----------
    source_grid, grid : TimeGrid
        Times of the recording, and at the network's rate.
    rate_hz : float
        That rate in true time, Hz.
    time_stretch : float
        True seconds in one second of the network's time axis.
    average : int
        Channels averaged in a row.
    cable : numpy.ndarray, shape (row,), int64
        Numbers of the rows (groups of averaged channels), increasing.
    separation : int
        Samples at the network's rate between picks of one phase.
    quality : QualityGrid
        Blocks in which samples are screened.
    """

    def __init__(
        self,
        recording: Recording,
        rate_pass: RatePass,
        *,
        sampling_rate_hz: float,
        field: ReceptiveField,
        size: ChunkSize,
        wanted: Range | None = None,
        margin_s: float = 0.0,
        number: int = 0,
    ) -> None:
        if recording.num_samples < _MIN_SAMPLES:
            raise SamplingError(
                f"a recording of {recording.num_samples} sample(s) cannot be picked. Expected at least 3."
            )
        self.recording, self.rate_pass, self.settings = recording, rate_pass, rate_pass.settings
        self.field, self.size, self.number = field, size, number
        self.wanted, self._margin_s = wanted or Range(), margin_s
        self.source_grid = TimeGrid(recording.start_ns, recording.dt_s, recording.num_samples)
        self.rate_hz = _rate_hz(recording, self.settings, sampling_rate_hz)
        self.average = self.settings.average_channels or 1
        self.time_stretch = sampling_rate_hz / self.rate_hz
        self.grid = resampled_grid(self.source_grid, self.rate_hz)
        if self.grid != self.source_grid:
            log.info("%s: resampling %g Hz to %g Hz", recording.name, 1 / recording.dt_s, 1 / self.grid.dt_s)
        if self.grid.num_samples < _MIN_SAMPLES:
            raise SamplingError(
                f"a recording of {recording.num_samples} samples at {1 / recording.dt_s:g} Hz cannot be "
                f"picked at {self.rate_hz:g} Hz. Expected at least 3 samples at that rate."
            )
        self._row_number = recording.channel_index.astype(np.int64) // self.average
        self.cable = np.unique(self._row_number)
        self.separation = max(1, round(self.settings.min_separation_s * sampling_rate_hz))
        self.quality = QualityGrid.of(self.source_grid.first_index, recording.num_samples, recording.dt_s)
        self._filter_reach = reach_of_filters(self.source_grid, self.rate_hz, self.settings)

    @property
    def place(self) -> tuple[int, int]:
        """Number of the recording and of the rate pass."""
        return self.number, self.rate_pass.number

    @property
    def peak_context(self) -> int:
        """Scores wanted on each side to find peaks, samples."""
        return max(self.separation, ONSET_SAMPLES) + 1

    @cached_property
    def core(self) -> tuple[int, int]:
        """Samples at the network's rate to be picked: the range and what joining rate passes needs."""
        count, interval_ns, margin_ns = self.grid.num_samples, self.grid.dt_s * 1e9, self._margin_s * 1e9
        start_ns, end_ns = self.wanted.start_ns, self.wanted.end_ns
        low, high = 0, count
        if start_ns is not None:  # a peak is refined to within half a sample
            low = math.floor((start_ns - margin_ns - self.grid.start_ns) / interval_ns) - 1
        if end_ns is not None:
            high = math.ceil((end_ns + margin_ns - self.grid.start_ns) / interval_ns) + 1
        return min(max(low, 0), count), min(max(high, 0), count)

    @cached_property
    def core_rows(self) -> tuple[int, int]:
        """Rows with channels in the range."""
        if self.wanted.channels is None:
            return 0, len(self.cable)
        first, end = self.wanted.channels
        bounds = [first // self.average, (end - 1) // self.average + 1]
        low, high = np.searchsorted(self.cable, bounds)
        return int(low), int(high)

    @property
    def is_empty(self) -> bool:
        """Whether the range holds nothing of this recording."""
        return self.core[0] >= self.core[1] or self.core_rows[0] >= self.core_rows[1]

    @property
    def seconds(self) -> float:
        """Length of the range, counted for the fraction of the channels that is in it, s."""
        if self.is_empty:
            return 0.0
        fraction = len(self.core_channels(self.core_rows)) / len(self.recording.channel_index)
        return (self.core[1] - self.core[0]) * self.grid.dt_s * fraction

    @cached_property
    def row_blocks(self) -> list[tuple[int, int]]:
        """Ranges of rows, of nearly one size."""
        if self._reach_channels is None:
            return [(0, len(self.cable))]
        channels = min(
            self.size.channels, max(_FEW_CHANNELS, int(self._room(1) / (_CONTEXTS * self._context)))
        )
        largest = max(1, channels // self.average // self.field.stride)
        # Ranges of one length, from the first channel on; their bounds are multiples of the stride.
        first = int(self._positions[0]) // self.field.stride
        strides = int(self._positions[-1]) // self.field.stride - first + 1
        even = -(-strides // -(-strides // largest))
        block = (self._positions // self.field.stride - first) // even
        bounds = [0, *(np.nonzero(np.diff(block))[0] + 1).tolist(), len(block)]
        return list(itertools.pairwise(bounds))

    @cached_property
    def length(self) -> int:
        """Length of a core, samples at the network's rate."""
        if self.size.seconds is not None:
            return max(1, round(min(self.size.seconds / self.grid.dt_s, 2**62)))
        room = self._room(max(len(self._loaded_positions(rows)) for rows in self.row_blocks))
        longest = _LONGEST_S / self.grid.dt_s
        length = min(max(room - self._context, self._context / 2), longest)
        # In whole steps, so that a few channels more or less move no bound.
        step = longest / _STEPS
        return max(1, round(length // step * step if length >= step else length))

    def cores(self) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Cut the range: samples and rows of each core, all rows of a span of time after another."""
        (start, stop), (first, last), origin = self.core, self.core_rows, self.grid.first_index
        blocks = [(max(low, first), min(high, last)) for low, high in self.row_blocks]
        while start < stop:
            end = min(start + self.length - (origin + start) % self.length, stop)
            for rows in blocks:
                if rows[0] < rows[1]:
                    yield (start, end), rows
            start = end

    def scored(self, core: tuple[int, int]) -> tuple[int, int]:
        """Return the samples in which picks are sought: an S beyond the core cuts the amplitude of a P."""
        return core[0], min(core[1] + self._after, self.grid.num_samples)

    def context(self, core: tuple[int, int], rows: tuple[int, int]) -> Context:
        """Return what must be loaded for a core."""
        (low, high), count, origin = self.scored(core), self.grid.num_samples, self.grid.first_index
        margin, block = self.peak_context + self.field.time, self.field.block
        low, high = low - margin, high + margin
        low, high = max(0, low - (origin + low) % block), min(count, high + -(origin + high) % block)
        first, end = source_span(self.source_grid, self.rate_hz, (low, high))
        first = 0 if low == 0 else max(0, first - self._filter_reach)
        last = self.recording.num_samples
        end = last if high == count else min(last, end + self._filter_reach)
        return Context(
            self.quality.widen(first, end),
            (low, high),
            self._loaded_rows(rows),
            self._loaded_positions(rows),
        )

    def core_source(self, core: tuple[int, int]) -> tuple[int, int]:
        """Return the samples of the recording nearest in time to a core; all cores cover it once."""
        last = self.recording.num_samples
        first, end = (
            0 if n == 0 else last if n == self.grid.num_samples else self._source_sample(n) for n in core
        )
        return first, end

    def core_channels(self, rows: tuple[int, int]) -> np.ndarray:
        """Return the positions in the recording of the channels of some rows that are in the range.

        Returns (channel,) int64.
        """
        positions = self._channels_of(rows)
        return positions[self.wanted.holds_channels(self.recording.channel_index[positions])]

    def source_times_ns(self, samples: np.ndarray) -> np.ndarray:
        """Return the times of samples of the recording, ns since 1970."""
        return self.source_grid.times_ns(samples)

    def _room(self, channels: int) -> float:
        """Return the samples at the network's rate that so many channels may load."""
        slower = max(1.0, self.grid.dt_s / self.source_grid.dt_s)
        # The network sees much less than is loaded: then more may be loaded.
        lighter = _LIGHT_ROOM if slower * self.average >= _LIGHT else 1.0
        return lighter * self.size.samples / channels / slower

    @property
    def _context(self) -> float:
        """Samples at the network's rate that are loaded around a core, before and after it."""
        own = 2 * (self._filter_reach + self.quality.block) * self.source_grid.dt_s / self.grid.dt_s
        return 2 * (self.peak_context + self.field.time + self.field.block) + self._after + own

    @property
    def _after(self) -> int:
        return math.ceil(AMPLITUDE_WINDOW_S / self.grid.dt_s) + 2

    @property
    def _reach_channels(self) -> int | None:
        """Positions loaded on each side; None for all channels, which the common mode needs too."""
        return None if self.settings.common_mode is not None else self.field.channels

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
        return np.nonzero((self._row_number >= low) & (self._row_number <= high))[0]


def _rate_hz(recording: Recording, settings: PickSettings, model_rate_hz: float) -> float:
    """Return the rate at which the network sees a recording, Hz."""
    rate, own = settings.rate, 1 / recording.dt_s
    if isinstance(rate, tuple) or rate == "octaves":
        raise SamplingError(f"a plan has one rate, found {rate}. See choose_rate_passes.")
    if rate == "native":
        rate = own
    elif rate is None or rate == "model":
        rate = model_rate_hz
    if rate > max(model_rate_hz, _MOST_UPSAMPLED * own):
        raise SamplingError(
            f"{recording.name}: rate {rate:g} Hz is more than {_MOST_UPSAMPLED} times the recording's "
            f"{own:g} Hz, which holds nothing that could be seen there. State a rate near its own."
        )
    return float(rate)


def reach_of_filters(grid: TimeGrid, rate_hz: float, settings: PickSettings) -> int:
    """Return the samples that are loaded beyond those that filters see, to each side."""
    own = filter_reach(grid.dt_s, settings)
    first, end = source_span(grid, rate_hz, (0, 1))
    return 2 * own + (end - first if end - first > 1 else 0)
