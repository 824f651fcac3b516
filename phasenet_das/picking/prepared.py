"""A conditioned recording as the network will see it: neighbours averaged, at the network's rate."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from phasenet_das.config import PickSettings
from phasenet_das.errors import SamplingError
from phasenet_das.picking.conditioning import Conditioned, stack_groups
from phasenet_das.picking.filters import TimeGrid, rational_ratio, resample, resampled_grid

__all__ = ["Prepared", "prepare"]

log = logging.getLogger(__name__)

_CHUNK_SAMPLES = 4_000_000


@dataclass(frozen=True)
class Prepared:
    """A recording, and how its channels become the rows that a network sees.

    Attributes
    ----------
    source : Conditioned
        Samples of the channels that can be picked.
    source_grid : TimeGrid
        Their times.
    grid : TimeGrid
        Times at the network's rate.
    rate_hz : float
        That rate in true time, Hz.
    number : numpy.ndarray, shape (row,), int
        Number of each row along the cable, increasing.
    group : numpy.ndarray, shape (channel,), int64
        Row of each channel.
    count : numpy.ndarray, shape (row,), int64
        Channels averaged in each row.
    settings : PickSettings
        How to pick.
    """

    source: Conditioned
    source_grid: TimeGrid
    grid: TimeGrid
    rate_hz: float
    number: np.ndarray
    group: np.ndarray
    count: np.ndarray
    settings: PickSettings

    def channels(self, first: int, end: int) -> np.ndarray:
        """Give the channels of some rows.

        Parameters
        ----------
        first, end : int
            Rows, half open.

        Returns
        -------
        numpy.ndarray, shape (channel,), int64
            Rows of the source.
        """
        return np.nonzero((self.group >= first) & (self.group < end))[0]

    def data(self, first: int, end: int) -> np.ndarray:
        """Average and resample some rows.

        Parameters
        ----------
        first, end : int
            Rows, half open.

        Returns
        -------
        numpy.ndarray, shape (end - first, time), float32
            Samples on `grid`.
        """
        channels = self.channels(first, end)
        stacked = _stack(self.source.data[channels], self.group[channels] - first, self.count[first:end])
        return resample(stacked, self.source_grid, self.rate_hz)[0]

    def all_data(self) -> np.ndarray:
        """Average and resample the whole recording, some rows at a time.

        Returns
        -------
        numpy.ndarray, shape (row, time), float32
            Samples on `grid`; the source's own array when nothing is to be done.
        """
        if self.grid == self.source_grid and np.array_equal(self.group, np.arange(len(self.count))):
            return self.source.data
        out = np.empty((len(self.count), self.grid.num_samples), dtype=np.float32)
        size = self.rows_within(_CHUNK_SAMPLES)
        for first in range(0, len(out), size):
            out[first : first + size] = self.data(first, min(first + size, len(out)))
        return out

    def rows_within(self, samples: int) -> int:
        """Give how many rows, with the channels they average, hold about so many samples.

        Parameters
        ----------
        samples : int
            Samples of the source or of the output, whichever are more.

        Returns
        -------
        int
            At least one.
        """
        longer = max(self.grid.num_samples, self.source_grid.num_samples)
        return max(1, int(samples / (longer * self.settings.stack_channels)))

    def missing(self, channels: np.ndarray, first: int, end: int) -> np.ndarray | None:
        """Tell the samples of channels that rest on no data, by the nearest one of the source.

        Parameters
        ----------
        channels : numpy.ndarray, shape (channel,), int64
            Rows of the source.
        first, end : int
            Samples of `grid`, half open.

        Returns
        -------
        numpy.ndarray, shape (channel, end - first), bool, or None
            None when no sample of the recording is missing.
        """
        if self.source.missing is None:
            return None
        offset = (self.grid.start_ns - self.source_grid.start_ns) * 1e-9
        times = offset + np.arange(first, end) * self.grid.dt_s
        nearest = np.rint(times / self.source_grid.dt_s).astype(np.int64)
        return self.source.missing[channels[:, None], np.clip(nearest, 0, self.source_grid.num_samples - 1)]


def prepare(
    source: Conditioned,
    grid: TimeGrid,
    channel_index: np.ndarray,
    settings: PickSettings,
    sampling_rate_hz: float,
) -> Prepared:
    """Say at which rate and in which rows a network will see a recording.

    Parameters
    ----------
    source : Conditioned
        The recording.
    grid : TimeGrid
        Its times.
    channel_index : numpy.ndarray, shape (channel,), int
        Channel numbers.
    settings : PickSettings
        How to pick.
    sampling_rate_hz : float
        Rate of the network's training data.

    Returns
    -------
    Prepared
        Nothing is computed yet.

    Raises
    ------
    SamplingError
        The record is too short, or its rate cannot be brought to the one asked for.
    """
    if grid.num_samples < 3:
        raise SamplingError(
            f"a record of {grid.num_samples} sample(s) cannot be picked; expected at least 3."
        )
    native = 1.0 / grid.dt_s
    wanted = sampling_rate_hz if settings.rate is None else settings.rate
    rate = native if wanted == "native" else float(wanted)
    if rational_ratio(native, rate) != (1, 1):
        log.info("resampling %g Hz to %g Hz", native, rate)
    number, group, count = stack_groups(channel_index, settings.stack_channels)
    return Prepared(source, grid, resampled_grid(grid, rate), rate, number, group, count, settings)


def _stack(data: np.ndarray, group: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Average the channels of each group; there may be one in each."""
    if len(count) == len(data):
        out = np.empty_like(data)
        out[group] = data
        return out
    order = np.argsort(group, kind="stable")
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    sums: np.ndarray = np.add.reduceat(data[order], first, axis=0)
    return sums / count[:, None].astype(np.float32)
