"""A conditioned piece of a record as the network will see it: neighbours averaged, at the network's rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasenet_das.config import PickSettings
from phasenet_das.picking.conditioning import Conditioned
from phasenet_das.picking.filters import TimeGrid, resample_span

_CHUNK_SAMPLES = 4_000_000


@dataclass(frozen=True)
class Prepared:
    """A piece of a record, and how its channels become the rows that a network sees.

    Samples and rows are counted as in the whole record, so that every piece has the grid of the whole.

    Attributes
    ----------
    source : Conditioned
        Samples of the piece.
    source_first : int
        Number of the first of them in the record.
    source_grid : TimeGrid
        Times of the whole record.
    grid : TimeGrid
        Its times at the network's rate.
    rate_hz : float
        That rate in true time, Hz.
    span : tuple of int
        Samples of `grid` that the piece can give, half open.
    core : tuple of int
        Samples of `grid` to be scored.
    cable : numpy.ndarray, shape (whole row,), int64
        Number of each row of the whole record along the cable, increasing.
    rows : tuple of int
        Rows of the whole record that the piece holds, half open.
    core_rows : tuple of int
        Rows to be scored, counted from the first of `rows`.
    group : numpy.ndarray, shape (channel,), int64
        Row of each channel, counted from the first of `rows`.
    count : numpy.ndarray, shape (row,), int64
        Channels averaged in each row.
    settings : PickSettings
        How to pick.
    """

    source: Conditioned
    source_first: int
    source_grid: TimeGrid
    grid: TimeGrid
    rate_hz: float
    span: tuple[int, int]
    core: tuple[int, int]
    cable: np.ndarray
    rows: tuple[int, int]
    core_rows: tuple[int, int]
    group: np.ndarray
    count: np.ndarray
    settings: PickSettings

    @property
    def first_index(self) -> int:
        """Absolute number of the first sample that the piece can give."""
        return self.grid.first_index + self.span[0]

    @property
    def num_samples(self) -> int:
        """Samples that the piece can give."""
        return self.span[1] - self.span[0]

    def channels(self, first: int, end: int) -> np.ndarray:
        """Give the channels of some rows.

        Returns (channel,) int64.
        """
        return np.nonzero((self.group >= first) & (self.group < end))[0]

    def data(self, first: int, end: int) -> np.ndarray:
        """Average and resample some rows.

        Returns (end - first, span) float32.
        """
        channels = self.channels(first, end)
        gone = None if self.source.missing is None else self.source.missing[channels]
        stacked = _stack(
            self.source.data[channels], self.group[channels] - first, self.count[first:end], gone
        )
        return resample_span(stacked, self.source_first, self.source_grid, self.rate_hz, self.span)

    def all_data(self) -> np.ndarray:
        """Average and resample the whole piece, some rows at a time.

        Returns (row, span) float32.
        """
        if self.grid == self.source_grid and np.array_equal(self.group, np.arange(len(self.count))):
            return self.source.data[:, self.span[0] - self.source_first : self.span[1] - self.source_first]
        out = np.empty((len(self.count), self.num_samples), dtype=np.float32)
        size = self.rows_within(_CHUNK_SAMPLES)
        for first in range(0, len(out), size):
            out[first : first + size] = self.data(first, min(first + size, len(out)))
        return out

    def rows_within(self, samples: int) -> int:
        """Give how many rows, with the channels they average, hold about so many samples."""
        longer = max(self.num_samples, self.source.data.shape[1])
        return max(1, int(samples / (longer * (self.settings.average_channels or 1))))

    def missing(self, channels: np.ndarray, first: int, end: int) -> np.ndarray | None:
        """Tell the samples of channels that rest on no data, by the nearest one of the source.

        `channels` (channel,) int64. Returns (channel, end - first) bool, or None.
        """
        if self.source.missing is None:
            return None
        if self.grid == self.source_grid:
            return self.source.missing[channels, first - self.source_first : end - self.source_first]
        offset = (self.grid.start_ns - self.source_grid.start_ns) * 1e-9
        times = offset + np.arange(first, end) * self.grid.dt_s
        nearest = np.rint(times / self.source_grid.dt_s).astype(np.int64)
        nearest = np.clip(nearest, 0, self.source_grid.num_samples - 1) - self.source_first
        return self.source.missing[channels[:, None], nearest]

    def missing_rows(self, first: int, end: int) -> np.ndarray | None:
        """Tell the samples of rows none of whose channels has data.

        Returns (end - first, span) bool, or None.
        """
        if self.source.missing is None:
            return None
        channels = self.channels(first, end)
        if not self.source.missing[channels].any():
            return None
        gone = self.missing(channels, *self.span)
        assert gone is not None  # noqa: S101 - something is missing
        rows = np.ones((end - first, self.num_samples), bool)
        np.logical_and.at(rows, self.group[channels] - first, gone)
        return rows


def _stack(data: np.ndarray, group: np.ndarray, count: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
    """Average the channels of each group that have data; there may be one in each."""
    if len(count) == len(data):
        out = np.empty_like(data)
        out[group] = data
        return out
    order = np.argsort(group, kind="stable")
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    if missing is None or not missing.any():
        sums: np.ndarray = np.add.reduceat(data[order], first, axis=0)
        return sums / count[:, None].astype(np.float32)
    present = ~missing[order]
    held = np.add.reduceat(data[order], first, axis=0) / count[:, None].astype(np.float32)
    sums = np.add.reduceat(np.where(present, data[order], np.float32(0)), first, axis=0)
    number = np.add.reduceat(present, first, axis=0, dtype=np.float32)
    return np.where(number > 0, sums / np.maximum(number, 1), held)
