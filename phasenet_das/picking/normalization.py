"""Amplitude normalisation on an absolute grid: the same numbers for a recording whole and in pieces.

Time is divided into blocks that begin at absolute multiples of their length. Of each block and channel
two numbers are kept: the mean and the mean absolute deviation from the moving mean. Both are averaged over a
window of blocks and joined by straight lines between block centres. The scale is a power mean of
exponent 1/2: one loud block among thirty moves it little, yet an earthquake that fills a good part of the
window brings it up, so that a strong event does not come out thousands of times the noise.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import scipy

from phasenet_das.errors import SamplingError

Per = Literal["channel", "array"]

_HALF_BLOCKS = 15
_EXPONENT = 0.5
_FLOAT32_NOISE = 1e-6
_LIMIT = 100.0
_SAMPLES_AT_A_TIME = 4_000_000
_CACHED_CHANNELS = 512


@dataclass(frozen=True)
class MovingScale:
    """Offset and scale of every channel at every block of the absolute grid."""

    block_samples: int  # length of the blocks, samples
    first_block: int  # absolute number of the first block
    offset: np.ndarray  # (channel, block) float32: moving mean
    scale: np.ndarray  # (channel, block) float32: moving amplitude; zero marks silence

    def apply(self, data: np.ndarray, first_index: int, channels: slice = slice(None)) -> np.ndarray:
        """Normalise a part of the recording.

        `data` (channel, time) float32. Returns (channel, time) float32.
        """
        out = np.empty(data.shape, np.float32)
        left, weight = self._positions(first_index, data.shape[-1])
        bounds = [0, *(np.nonzero(np.diff(left))[0] + 1).tolist(), data.shape[-1]]
        for first in range(0, len(data), _CACHED_CHANNELS):
            part = slice(first, first + _CACHED_CHANNELS)
            offset, scale = _Lines.of(self.offset[channels][part]), _Lines.of(self.scale[channels][part])
            # From one centre to the next: to gather the two blocks of each sample takes longer.
            for begin, end in itertools.pairwise(bounds):
                if begin < end:
                    at, span = left[begin], (part, slice(begin, end))
                    pair = offset.at(at, weight[begin:end]), scale.at(at, weight[begin:end])
                    _normalise(data[span], *pair, out[span])
        return out

    def deviation(self, data: np.ndarray, first_index: int, channels: slice) -> np.ndarray:
        """Give the absolute deviation from the moving mean.

        Returns (channel, time) float32.
        """
        out = data - _between(self.offset[channels], *self._positions(first_index, data.shape[-1]))
        return np.abs(out, out=out)

    def _positions(self, first_index: int, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Block whose centre lies before each sample, and the weight of the next one."""
        position = (np.arange(num_samples) + (first_index + 0.5)) / self.block_samples - 0.5
        position = np.clip(position - self.first_block, 0, self.offset.shape[-1] - 1)
        left = np.floor(position).astype(np.int64)
        return left, (position - left).astype(np.float32)


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
    count = np.diff(np.append(edges, data.shape[-1])).astype(np.float32)
    grid = MovingScale(block, first_index // block, *np.zeros((2, len(data), len(edges)), np.float32))
    rows = max(1, _SAMPLES_AT_A_TIME // max(1, data.shape[-1]))
    for first in range(0, len(data), rows):
        part = slice(first, first + rows)
        blocks = _blocks(data[part], edges, count, None if missing is None else missing[part])
        # Silent blocks (gaps, padding, dead channels) have no say in the amplitude of the rest.
        weight = blocks.weight()
        grid.offset[part] = _moving_mean(blocks.means(data[part]), weight)
        deviation = blocks.means(grid.deviation(data[part], first_index, part))
        grid.scale[part] = _moving_mean(deviation**_EXPONENT, weight) ** (1 / _EXPONENT)
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


@dataclass(frozen=True)
class _Blocks:
    """Blocks of some channels: where they begin, how many samples count, and which hold one value only."""

    edges: np.ndarray
    count: np.ndarray
    silent: np.ndarray
    missing: np.ndarray | None

    def means(self, data: np.ndarray) -> np.ndarray:
        """Average what is not missing; zero where all is."""
        present = data if self.missing is None else np.where(self.missing, np.float32(0), data)
        sums: np.ndarray = np.add.reduceat(present, self.edges, axis=-1)
        return sums / np.maximum(self.count, 1)

    def weight(self) -> np.ndarray:
        """Count the samples of each block; none when they hold one value, to the precision of float32."""
        return np.where(self.silent, 0, self.count).astype(np.float32)


def _blocks(data: np.ndarray, edges: np.ndarray, count: np.ndarray, missing: np.ndarray | None) -> _Blocks:
    highest = lowest = data
    if missing is not None and missing.any():
        count = np.add.reduceat(~missing, edges, axis=-1, dtype=np.float32)
        highest = np.where(missing, np.float32(-np.inf), data)
        lowest = np.where(missing, np.float32(np.inf), data)
    else:
        missing = None
    high = np.maximum.reduceat(highest, edges, axis=-1)
    low = np.minimum.reduceat(lowest, edges, axis=-1)
    silent = high - low <= _FLOAT32_NOISE * np.maximum(np.abs(high), np.abs(low))
    return _Blocks(edges, count, silent, missing)


def _moving_mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean over a window of blocks; zero where nothing has weight."""
    # Direct sums: a running sum would carry a loud block's rounding errors along the whole recording.
    taps = np.ones(2 * _HALF_BLOCKS + 1)
    total = scipy.ndimage.convolve1d(values * weight, taps, axis=-1, mode="constant", output=np.float64)
    norm = scipy.ndimage.convolve1d(weight, taps, axis=-1, mode="constant", output=np.float64)
    return np.divide(total, norm, out=np.zeros_like(total), where=norm > 0).astype(np.float32)


def _over_channels(scale: np.ndarray) -> np.ndarray:
    """Median over the channels that are not silent, for each block."""
    live = np.sort(np.where(scale > 0, scale, np.inf), axis=0)
    count = (scale > 0).sum(axis=0)
    middle = np.take_along_axis(live, np.maximum((count - 1) // 2, 0)[None], axis=0)
    return np.where((count > 0) & (scale > 0), middle, 0.0).astype(np.float32)


class _Lines(NamedTuple):
    """Straight lines between the values of blocks."""

    values: np.ndarray
    step: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> _Lines:
        return cls(values, np.diff(values, axis=-1, append=values[:, -1:]))

    def at(self, block: int, weight: np.ndarray) -> np.ndarray:
        """Interpolate from one block to the next, shape (channel, weight)."""
        out: np.ndarray = self.step[:, block, None] * weight
        out += self.values[:, block, None]
        return out


def _normalise(data: np.ndarray, offset: np.ndarray, scale: np.ndarray, out: np.ndarray) -> None:
    """Normalise some channels into `out`: zero where the scale is."""
    np.subtract(data, offset, out=out)
    silent = scale <= 0
    if silent.any():
        scale[silent] = 1.0
        out[silent] = 0.0
    np.divide(out, scale, out=out)
    np.clip(out, -_LIMIT, _LIMIT, out=out)


def _between(values: np.ndarray, left: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Interpolate block values linearly to samples."""
    step = np.diff(values, axis=-1, append=values[:, -1:])
    between = np.take(step, left, axis=-1)
    between *= weight
    between += np.take(values, left, axis=-1)
    return between
