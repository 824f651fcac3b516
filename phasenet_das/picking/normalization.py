"""Amplitude normalisation on an absolute grid: the same numbers for a recording whole and in pieces.

Time is divided into blocks that begin at absolute multiples of their length. Of each block and channel
two numbers are kept: the mean and the mean absolute deviation from the moving mean. Both are averaged over a
window of blocks and joined by straight lines between block centres. The scale is a power mean of
exponent 1/2: one loud block among thirty moves it little, yet an earthquake that fills a good part of the
window brings it up, so that a strong event does not come out thousands of times the noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from phasenet_das.errors import SamplingError

Per = Literal["channel", "array"]

_HALF_BLOCKS = 15  # one less than a power of two
_EXPONENT = 0.5
_FLOAT32_NOISE = 1e-6
_LIMIT = 100.0
_CACHED_SAMPLES = 500_000


@dataclass(frozen=True)
class MovingScale:
    """Offset and scale of every channel at every block of the absolute grid."""

    block_samples: int  # length of the blocks, samples
    first_block: int  # absolute number of the first block
    offset: np.ndarray  # (channel, block) float32: moving mean
    scale: np.ndarray  # (channel, block) float32: moving amplitude; zero marks silence

    def apply(
        self,
        data: np.ndarray,
        first_index: int,
        channels: slice = slice(None),
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Normalise a part of the recording.

        `data` (channel, time) float32; `out` of its shape, optional. Returns (channel, time) float32.
        """
        out = np.empty(data.shape, np.float32) if out is None else out
        offset, scale = self.offset[channels], self.scale[channels]
        for part in rows_at_a_time(*data.shape):
            lines = self._lines(offset[part], first_index, data.shape[1])
            np.subtract(data[part], lines[0], out=out[part])
            lines = self._lines(scale[part], first_index, data.shape[1])
            _divide(out[part], lines[0], silent=not (scale[part] > 0).all())
        return out

    def deviation_sums(
        self, data: np.ndarray, first_index: int, channels: slice, missing: np.ndarray | None
    ) -> np.ndarray:
        """Add up the absolute deviations from the moving mean, block by block.

        `data` (channel, time) float32, `missing` (channel, time) bool, optional. Returns (channel, block)
        float32.
        """
        lines, whole = self._lines(self.offset[channels], first_index, data.shape[1])
        np.abs(np.subtract(data, lines, out=lines), out=lines)
        if missing is not None:
            lines[missing] = 0
        lead = first_index % self.block_samples
        whole[:, :lead] = whole[:, lead + data.shape[1] :] = 0
        blocks = whole.reshape(len(whole), -1, self.block_samples)
        sums: np.ndarray = blocks @ np.ones(self.block_samples, np.float32)
        return sums

    def _lines(self, values: np.ndarray, first_index: int, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Join the values of blocks by straight lines between the centres of the blocks.

        `values` (channel, block) float32. Returns `lines` (channel, num_samples) float32, and the array of
        whole blocks in which these lie.
        """
        size, end = self.block_samples, first_index + num_samples
        low, high = first_index // size - self.first_block, -(-end // size) - self.first_block
        step = np.diff(values, axis=-1, prepend=values[:, :1], append=values[:, -1:])
        parts = np.stack([values[:, low:high], step[:, low:high], step[:, low + 1 : high + 1]], axis=-1)
        position = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
        basis = np.stack([np.ones_like(position), np.minimum(position, 0), np.maximum(position, 0)])
        whole = (parts @ basis).reshape(len(values), -1)  # faster than to gather the blocks of each sample
        lead = first_index % size
        return whole[:, lead : lead + num_samples], whole


def rows_at_a_time(num_rows: int, num_samples: int) -> Iterator[slice]:
    """Part the rows of an array so that a part stays in a processor's cache."""
    size = max(1, _CACHED_SAMPLES // max(1, num_samples))
    for first in range(0, num_rows, size):
        yield slice(first, first + size)


def moving_normalization(
    data: np.ndarray, dt_s: float, *, first_index: int, window_s: float, per: Per = "channel"
) -> np.ndarray:
    """Remove the moving mean and divide by the moving amplitude.

    `data` (channel, time) float32. Returns (channel, time) float32.

    Notes
    -----
    A piece of the recording gives the numbers of the whole beyond :func:`normalization_halo` samples from its
    ends; with ``per="array"`` when it holds the same channels.
    """
    return moving_scale(data, dt_s, first_index=first_index, window_s=window_s, per=per).apply(
        data, first_index
    )


def normalization_halo(dt_s: float, window_s: float) -> int:
    """Give the samples at the ends of a piece whose normalised values may differ from the whole's."""
    return (2 * _HALF_BLOCKS + 3) * normalization_block(dt_s, window_s)


def moving_scale(
    data: np.ndarray,
    dt_s: float,
    *,
    first_index: int,
    window_s: float,
    per: Per = "channel",
    missing: np.ndarray | None = None,
) -> MovingScale:
    """Measure the moving mean and amplitude of a recording.

    `missing` (channel, time) bool, optional.
    """
    block = normalization_block(dt_s, window_s)
    lead = first_index % block
    edges = np.concatenate([[0], np.arange(block - lead, data.shape[-1], block)]).astype(np.int64)
    shape = len(data), len(edges)
    grid = MovingScale(block, first_index // block, *np.zeros((2, *shape), np.float32))
    count, weight, mean, sums = np.zeros((4, *shape), np.float32)
    parts = [(part, None if missing is None else missing[part]) for part in rows_at_a_time(*data.shape)]
    for part, gone in parts:
        count[part], mean[part], silent = _blocks(data[part], edges, gone)
        # Silent blocks (gaps, padding, dead channels) have no say in the amplitude of the rest.
        weight[part] = np.where(silent, 0, count[part])
    moving_mean = _MovingMean(weight)
    grid.offset[:] = moving_mean(mean)
    for part, gone in parts:
        sums[part] = grid.deviation_sums(data[part], first_index, part, gone)
    grid.scale[:] = moving_mean((sums / np.maximum(count, 1)) ** _EXPONENT) ** (1 / _EXPONENT)
    if per == "array":
        grid.scale[:] = _over_channels(grid.scale)
    return grid


def normalization_block(dt_s: float, window_s: float) -> int:
    """Give the length of the blocks whose means are kept; they begin at absolute multiples of it."""
    samples = round(window_s / dt_s)
    if samples < 2:
        raise SamplingError(
            f"normalisation window of {window_s:g} s at an interval of {dt_s:g} s: expected 2 samples."
        )
    return max(1, round(samples / (2 * _HALF_BLOCKS)))


def _blocks(
    data: np.ndarray, edges: np.ndarray, missing: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the samples of blocks, average them, and tell the blocks that hold one value only.

    Returns `count` (block,) or (channel, block), `mean` (channel, block), zero where all is missing, `silent`
    (channel, block) bool: one value, to the precision of float32.
    """
    length = np.diff(np.append(edges, data.shape[-1]))
    count, highest, lowest, present = length.astype(np.float32), data, data, data
    missing = None if missing is None or not missing.any() else missing
    if missing is not None:
        count = np.add.reduceat(~missing, edges, axis=-1, dtype=np.float32)
        highest, lowest, present = (np.where(missing, np.float32(n), data) for n in (-np.inf, np.inf, 0))
    silent = np.zeros((len(data), len(edges)), bool)
    # Two samples of a block tell most that are not silent.
    one, other = data[:, edges], data[:, edges + length // 2]
    maybe = np.abs(one - other) <= 2 * _FLOAT32_NOISE * np.abs(one)
    rows = np.nonzero(maybe.any(axis=1))[0] if missing is None else np.arange(len(data))
    high = np.maximum.reduceat(highest[rows], edges, axis=-1)
    low = np.minimum.reduceat(lowest[rows], edges, axis=-1)
    silent[rows] = high - low <= _FLOAT32_NOISE * np.maximum(np.abs(high), np.abs(low))
    return count, np.add.reduceat(present, edges, axis=-1) / np.maximum(count, 1), silent


class _MovingMean:
    """Weighted mean over a window of blocks; zero where nothing has weight."""

    def __init__(self, weight: np.ndarray) -> None:
        self._weight = weight
        alike = weight[:1] if (weight == weight[:1]).all() else weight  # one row stands for all
        self._norm = self._sum(alike)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        total = self._sum(values * self._weight)
        mean = np.divide(total, self._norm, out=np.zeros_like(total), where=self._norm > 0)
        return mean.astype(np.float32)

    @staticmethod
    def _sum(values: np.ndarray) -> np.ndarray:
        """Add up windows of 31 = 1 + 2 + 4 + 8 + 16 blocks, each sum of sums."""
        # Direct sums: a running sum would carry a loud block's rounding errors along the whole recording.
        sums = np.pad(values.astype(np.float64), ((0, 0), (_HALF_BLOCKS, _HALF_BLOCKS)))
        size, length, total = 1, values.shape[1], sums[:, : values.shape[1]].copy()
        while (first := 2 * size - 1) <= _HALF_BLOCKS:
            sums, size = sums[:, :-size] + sums[:, size:], 2 * size
            total += sums[:, first : first + length]
        return total


def _over_channels(scale: np.ndarray) -> np.ndarray:
    """Median over the channels that are not silent, for each block."""
    live = np.sort(np.where(scale > 0, scale, np.inf), axis=0)
    count = (scale > 0).sum(axis=0)
    middle = np.take_along_axis(live, np.maximum((count - 1) // 2, 0)[None], axis=0)
    return np.where((count > 0) & (scale > 0), middle, 0.0).astype(np.float32)


def _divide(values: np.ndarray, scale: np.ndarray, *, silent: bool) -> None:
    """Divide by the scale in place, within the limit: zero where the scale is, which `silent` allows for."""
    if silent:
        nothing = scale <= 0
        scale[nothing] = 1.0
        values[nothing] = 0.0
    np.divide(values, scale, out=values)
    np.clip(values, -_LIMIT, _LIMIT, out=values)
