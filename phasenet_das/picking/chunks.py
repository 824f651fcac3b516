"""Cut recordings into chunks: a span of time and a range of channels that is picked on its own.

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
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phasenet_das.config import PickSettings
from phasenet_das.errors import SamplingError
from phasenet_das.picking.amplitudes import AMPLITUDE_WINDOW_S, pick_amplitudes
from phasenet_das.picking.multirate import RatePass
from phasenet_das.picking.normalization import MovingScale
from phasenet_das.picking.peaks import ONSET_SAMPLES
from phasenet_das.picking.preprocess import (
    Conditioned,
    QualityGrid,
    Screened,
    average_groups,
    condition_whole,
    filter_reach,
    group_channels,
    quality_issues,
    screen,
)
from phasenet_das.picking.request import Range
from phasenet_das.picking.resampling import TimeGrid, resample_span, resampled_grid, source_span
from phasenet_das.picking.tiles import neighbour_step
from phasenet_das.tables.coverage import ChunkInfo, runs_of_channels

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
_LIGHT_ROOM = 2.25  # and so many times as many samples fit (benchmarks/continuous_speed.py)
_CACHED_SAMPLES = 250_000


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

    samples: int = 50_000_000  # samples loaded at a time, with the context
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

    @property
    def whole(self) -> Chunk:
        """The recording as one chunk."""
        return Chunk(self, (0, self.grid.num_samples), (0, len(self.cable)))

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

    def chunks(self) -> Iterator[Chunk]:
        """Cut the range into chunks, all channels of a span of time after another."""
        (start, stop), (first, last), origin = self.core, self.core_rows, self.grid.first_index
        blocks = [(max(low, first), min(high, last)) for low, high in self.row_blocks]
        while start < stop:
            end = min(start + self.length - (origin + start) % self.length, stop)
            for rows in blocks:
                if rows[0] < rows[1]:
                    yield Chunk(self, (start, end), rows)
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


@dataclass(eq=False)
class Chunk:
    """A stretch of a recording that is picked at a time; it is filled as it goes.

    Samples and rows are counted as in the whole recording, so that every chunk has the grid of the whole.
    """

    plan: ChunkPlan  # the recording, and how it is cut
    core: tuple[int, int]  # samples at the network's rate, half open
    rows: tuple[int, int]  # rows along the cable, half open
    key: str = ""  # name in the store
    samples: np.ndarray | None = None  # (channel, time) float32, as read
    conditioned: Conditioned | None = None  # screened and conditioned samples
    data: np.ndarray | None = None  # (row, span) float32, averaged and resampled for the network
    missing: np.ndarray | None = None  # (row, span) bool: no channel of the row has data; None for nowhere
    scale: MovingScale | None = None  # for networks that do not normalise inside their windows
    peaks: pd.DataFrame | None = None  # peaks of the scores, with those a little beyond the core
    picks: pd.DataFrame | None = None  # rows of the pick table
    info: ChunkInfo | None = None  # what was examined

    @cached_property
    def context(self) -> Context:
        """What is loaded."""
        return self.plan.context(self.core, self.rows)

    @property
    def scored(self) -> tuple[int, int]:
        """Samples in which picks are sought."""
        return self.plan.scored(self.core)

    @property
    def core_rows(self) -> tuple[int, int]:
        """Rows of the core, counted from the first row of the context."""
        first = self.context.rows[0]
        return self.rows[0] - first, self.rows[1] - first

    @property
    def first_index(self) -> int:
        """Absolute number of the first sample of the context."""
        return self.plan.grid.first_index + self.context.span[0]

    @cached_property
    def _groups(self) -> tuple[np.ndarray, np.ndarray]:
        channels = self.plan.recording.channel_index[self.context.positions].astype(np.int64)
        _, group, count = group_channels(channels, self.plan.average)
        return group, count

    @property
    def group(self) -> np.ndarray:
        """Row of each channel, counted from the first of the context, shape (channel,), int64."""
        return self._groups[0]

    @property
    def count(self) -> np.ndarray:
        """Channels averaged in each row, shape (row,), int64."""
        return self._groups[1]

    def load(self) -> None:
        """Read the samples."""
        context = self.context
        data = self.plan.recording.load(context.channels, slice(*context.source))
        if data.shape[0] != len(context.positions):
            data = data[context.positions - context.channels.start]
        self.samples = data

    def preprocess(self, station_id: str) -> None:
        """Screen, condition, average and resample the samples."""
        assert self.samples is not None  # noqa: S101 - loaded before
        plan = self.plan
        screened = screen(self.samples, self.context.source[0], plan.quality)
        self.samples = None
        recording = plan.recording
        self.conditioned = condition_whole(
            screened.data, recording.dt_s, recording.unit, plan.settings, screened.missing
        )
        self.info = _describe(self, screened, station_id, self.conditioned.unit)
        self.data = self._all_rows()
        self.missing = self._missing_rows()
        if not np.may_share_memory(self.data, self.conditioned.data):
            self.conditioned = self._without_context(self.conditioned)

    def clear(self) -> None:
        """Forget everything but the picks and the description."""
        self.samples = self.conditioned = self.data = self.missing = self.scale = self.peaks = None

    def channels_of(self, first: int, end: int) -> np.ndarray:
        """Return the channels of some rows, shape (channel,), int64."""
        return np.nonzero((self.group >= first) & (self.group < end))[0]

    def _without_context(self, ready: Conditioned) -> Conditioned:
        """Keep the samples in which amplitudes are measured: a chunk that waits holds no more."""
        rows = self.channels_of(*self.core_rows)
        low, high = self.plan.core_source(self.scored)
        after = math.ceil(2 * AMPLITUDE_WINDOW_S / self.plan.source_grid.dt_s)
        first = self.context.source[0]
        kept = (
            slice(int(rows[0]), int(rows[-1]) + 1),
            slice(max(low - after, first) - first, high + after - first),
        )
        return replace(ready, data=ready.data[kept].copy(), first=(kept[0].start, kept[1].start))

    def amplitudes(self, picks: pd.DataFrame, faint: np.ndarray) -> np.ndarray:
        """Measure the amplitudes of peaks, shape (pick,), float32."""
        ready, (row, sample) = self._ready, self._ready.first
        rows, samples = ready.data.shape
        missing = (
            None if ready.missing is None else ready.missing[row : row + rows, sample : sample + samples]
        )
        return pick_amplitudes(
            picks.assign(row=picks["row"] - row),
            ready.data,
            self.plan.source_grid,
            first=self.context.source[0] + sample,
            missing=missing,
            faint=faint,
        )

    def rows_within(self, samples: int) -> int:
        """Return how many rows, with the channels they average, hold about so many samples."""
        longer = max(self.context.span[1] - self.context.span[0], self._ready.data.shape[1])
        return max(1, int(samples / (longer * self.plan.average)))

    def missing_at(self, channels: np.ndarray, first: int, end: int) -> np.ndarray | None:
        """Tell the samples of channels that rest on no data, by the nearest one of the recording.

        `channels` (channel,) int64. Returns (channel, end - first) bool, or None.
        """
        missing, plan, source_first = self._ready.missing, self.plan, self.context.source[0]
        if missing is None:
            return None
        if plan.grid == plan.source_grid:
            return missing[channels, first - source_first : end - source_first]
        offset = (plan.grid.start_ns - plan.source_grid.start_ns) * 1e-9
        times = offset + np.arange(first, end) * plan.grid.dt_s
        nearest = np.rint(times / plan.source_grid.dt_s).astype(np.int64)
        nearest = np.clip(nearest, 0, plan.source_grid.num_samples - 1) - source_first
        return missing[channels[:, None], nearest]

    @property
    def _ready(self) -> Conditioned:
        assert self.conditioned is not None  # noqa: S101 - preprocessed before
        return self.conditioned

    def _all_rows(self) -> np.ndarray:
        """Average and resample, some rows at a time, shape (row, span)."""
        (low, high), first, plan = self.context.span, self.context.source[0], self.plan
        if plan.grid == plan.source_grid and np.array_equal(self.group, np.arange(len(self.count))):
            return self._ready.data[:, low - first : high - first]
        out = np.empty((len(self.count), high - low), dtype=np.float32)
        size = self.rows_within(_CACHED_SAMPLES)
        for row in range(0, len(out), size):
            out[row : row + size] = self._some_rows(row, min(row + size, len(out)))
        return out

    def _some_rows(self, first: int, end: int) -> np.ndarray:
        channels, ready, plan = self.channels_of(first, end), self._ready, self.plan
        taken: np.ndarray | slice = channels
        if channels[-1] - channels[0] == len(channels) - 1:
            taken = slice(channels[0], channels[-1] + 1)
        gone = None if ready.missing is None else ready.missing[taken]
        rows = average_groups(ready.data[taken], self.group[channels] - first, self.count[first:end], gone)
        return resample_span(rows, self.context.source[0], plan.source_grid, plan.rate_hz, self.context.span)

    def _missing_rows(self) -> np.ndarray | None:
        """Tell the samples of rows none of whose channels has data, shape (row, span), or None."""
        if self._ready.missing is None or not self._ready.missing.any():
            return None
        gone = self.missing_at(np.arange(len(self.group)), *self.context.span)
        assert gone is not None  # noqa: S101 - something is missing
        rows = np.ones((len(self.count), gone.shape[1]), bool)
        np.logical_and.at(rows, self.group, gone)
        return rows


def _rate_hz(recording: Recording, settings: PickSettings, model_rate_hz: float) -> float:
    """Return the rate at which the network sees a recording, Hz."""
    rate, own = settings.rate, 1 / recording.dt_s
    if isinstance(rate, tuple):
        raise SamplingError(f"a plan has one rate, found {list(rate)}. See choose_rate_passes.")
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


def _describe(chunk: Chunk, screened: Screened, station_id: str, unit: str) -> ChunkInfo:
    """Collect what a chunk examined, and what was wrong with it."""
    plan, recording, context = chunk.plan, chunk.plan.recording, chunk.context
    first, end = plan.core_source(chunk.core)
    mine = np.isin(context.positions, plan.core_channels(chunk.rows))
    numbers = recording.channel_index[context.positions[mine]].astype(np.int64)
    order = np.argsort(numbers)
    flags, numbers = screened.flags[:, mine][:, order], numbers[order]
    edges, ends = screened.edges, np.append(screened.edges[1:], context.source[1])
    dead = flags[0][:, (edges < end) & (ends > first)].all(axis=1)
    begun = (edges >= first) & (edges < end)  # a block belongs to the chunk in which it begins
    times = plan.source_times_ns(edges[begun]), plan.source_times_ns(ends[begun])
    files = [path for path, _ in recording.inputs(slice(first, end))]
    seen = {path for path, _ in recording.inputs(slice(*context.source))}
    start_ns, end_ns = plan.source_times_ns(np.array([first, end])).tolist()
    return ChunkInfo(
        station_id=station_id,
        start_ns=start_ns,
        end_ns=end_ns,
        first_channel=int(numbers[0]),
        last_channel=int(numbers[-1]),
        num_channels=len(numbers),
        recording_channels=len(recording.channel_index),
        dead=runs_of_channels(numbers, dead),
        unit=unit,
        sources=tuple(dict.fromkeys((*files[:1], *files[-1:]))),
        issues=tuple(quality_issues(flags[..., begun] & ~dead[:, None], *times, numbers)),
        failures={path: reason for path, reason in recording.failures.items() if path in seen},
        rate_pass=plan.rate_pass.number,
        time_stretch=plan.time_stretch,
        work_fraction=plan.rate_pass.work_fraction,
    )
