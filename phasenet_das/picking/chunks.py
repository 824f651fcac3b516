"""A chunk: a span of time and a range of channels that is picked on its own, and filled as it goes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from phasenet_das.picking.amplitudes import AMPLITUDE_WINDOW_S, pick_amplitudes
from phasenet_das.picking.normalization import MovingScale
from phasenet_das.picking.peaks import ONSET_SAMPLES
from phasenet_das.picking.plan import ChunkPlan, Context
from phasenet_das.picking.preprocess import (
    Conditioned,
    Screened,
    average_groups,
    condition_whole,
    group_channels,
    quality_issues,
    screen,
)
from phasenet_das.picking.resampling import resample_span
from phasenet_das.tables.coverage import ChunkInfo, QualityIssue, runs_of_channels

_CACHED_SAMPLES = 250_000


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

    def load(self, whole: np.ndarray | None = None) -> None:
        """Read the samples, or take them from those of the whole recording, (channel, time) float32."""
        context = self.context
        block = context.channels, slice(*context.source)
        data = self.plan.recording.load(*block) if whole is None else whole[block]
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
    issues = list(quality_issues(flags[..., begun] & ~dead[:, None], *times, numbers))
    if plan.grid.num_samples <= ONSET_SAMPLES and not dead.all():
        issues = [QualityIssue("short", start_ns, end_ns, runs_of_channels(numbers, ~dead))]
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
        issues=tuple(issues),
        failures={path: reason for path, reason in recording.failures.copy().items() if path in seen},
        rate_pass=plan.rate_pass.number,
        time_stretch=plan.time_stretch,
        work_fraction=plan.rate_pass.work_fraction,
        joined=plan.rate_pass.joined,
    )
