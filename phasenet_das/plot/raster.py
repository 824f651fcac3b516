"""Reduce a record to the pixels of a figure, without losing what stands out."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

_BLOCK_CHANNELS = 256  # bounds the copies made of a record
_REFERENCE_PERCENT = 95.0  # robust against single spikes


class Raster(NamedTuple):
    """An image of a record: amplitudes (channel bin, time bin), NaN where there is no data."""

    image: np.ndarray
    first_channel: float
    last_channel: float
    channel_step: float


def rasterise(
    data: np.ndarray, channel_index: np.ndarray, dead: np.ndarray, max_channels: int, max_times: int
) -> Raster:
    """Reduce a record to at most `max_channels` by `max_times` pixels, each channel scaled to itself.

    In every pixel the value farthest from zero stays, with its sign: an onset of one sample remains
    visible and nothing is aliased. Channels are demeaned first and divided by a high percentile of the
    absolute value of their pixels, so that loud and weak channels look alike.

    `data` (channel, time) float, `channel_index` (channel,) int, `dead` (channel,) bool.
    """
    pixels = np.full((len(data), min(max_times, data.shape[1])), np.nan, dtype=np.float32)
    for first in range(0, len(data), _BLOCK_CHANNELS):
        rows = slice(first, first + _BLOCK_CHANNELS)
        pixels[rows] = _scaled_pixels(data[rows], pixels.shape[1])
    pixels[dead] = np.nan
    bins, step = channel_bins(channel_index, max_channels)
    order = np.argsort(bins, kind="stable")
    filled, starts = np.unique(bins[order], return_index=True)
    image = np.full((int(filled[-1]) + 1, pixels.shape[1]), np.nan, dtype=np.float32)
    image[filled] = signed_extreme(pixels[order], starts, axis=0)
    return Raster(image, float(channel_index.min()), float(channel_index.max()), step)


def channel_bins(channel_index: np.ndarray, max_bins: int) -> tuple[np.ndarray, float]:
    """Give each channel a column of the image.

    `channel_index` (channel,) int. Returns `bins` (channel,) int64.
    """
    number = np.asarray(channel_index, dtype=np.int64)
    unique = np.unique(number)
    step = int(np.diff(unique).min()) if len(unique) > 1 else 1
    count = int(unique[-1] - unique[0]) // step + 1
    return (number - unique[0]) // step * min(max_bins, count) // count, float(step)


def signed_extreme(values: np.ndarray, starts: np.ndarray, axis: int) -> np.ndarray:
    """Take of each group the value farthest from zero.

    `starts` (group,) int.
    """
    high = np.fmax.reduceat(values, starts, axis=axis)
    low = np.fmin.reduceat(values, starts, axis=axis)
    extreme: np.ndarray = np.where(high >= -low, high, low)
    return extreme


def reduce_time(values: np.ndarray, max_bins: int) -> np.ndarray:
    """Take the largest value in each of at most `max_bins` equal spans of the last axis.

    `values` (..., time) float. Returns (..., bin).
    """
    largest: np.ndarray = np.fmax.reduceat(values, _starts(values.shape[-1], max_bins), axis=-1)
    return largest


def envelope_trace(values: np.ndarray, max_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Thin a trace for a line: lowest and highest sample of each span, in turn.

    `values` (trace, time) float. Returns `sample` (point,) float64, `thinned` (trace, point).
    """
    count = values.shape[-1]
    if count <= max_points:
        return np.arange(count, dtype=np.float64), values
    starts = _starts(count, max_points // 2)
    low = np.fmin.reduceat(values, starts, axis=-1)
    high = np.fmax.reduceat(values, starts, axis=-1)
    width = np.diff(starts, append=count)
    sample = np.stack([starts + 0.25 * width, starts + 0.75 * width], axis=-1).ravel()
    return sample, np.stack([low, high], axis=-1).reshape(*values.shape[:-1], -1)


def _scaled_pixels(data: np.ndarray, max_times: int) -> np.ndarray:
    """Reduce channels to pixels in units of their own reference; without a copy where nothing is missing."""
    block = np.asarray(data, dtype=np.float32)
    total = block.sum(axis=1, keepdims=True, dtype=np.float64)
    count = np.full(total.shape, block.shape[1])
    reach: tuple[np.ufunc, np.ufunc] = (np.maximum, np.minimum)
    if not np.isfinite(total).all():  # a missing sample makes the sum of its channel infinite or NaN
        finite = np.isfinite(block)
        block = np.where(finite, block, np.float32(np.nan))
        total = block.sum(axis=1, keepdims=True, dtype=np.float64, where=finite)
        count = np.maximum(finite.sum(axis=1, keepdims=True), 1)
        reach = (np.fmax, np.fmin)  # slower: they pass over NaN
    mean = (total / count).astype(np.float32)
    starts = _starts(block.shape[1], max_times)
    high, low = (function.reduceat(block, starts, axis=1) - mean for function in reach)
    pixels: np.ndarray = np.where(high >= -low, high, low)
    scale = _percentile(np.abs(pixels), _REFERENCE_PERCENT)
    pixels /= np.where(scale > 0, scale, 1)
    return pixels


def _percentile(values: np.ndarray, percent: float) -> np.ndarray:
    """Percentile of each row, interpolated, of what is not NaN; shape (row, 1). NaN for a row without values.

    NumPy's nanpercentile goes through the rows one by one.
    """
    rows = np.sort(values, axis=1)  # NaN last
    place = np.maximum(np.count_nonzero(np.isfinite(rows), axis=1, keepdims=True) - 1, 0) * (percent / 100)
    below = np.floor(place).astype(np.int64)
    above = np.ceil(place).astype(np.int64)
    low, high = np.take_along_axis(rows, below, axis=1), np.take_along_axis(rows, above, axis=1)
    between: np.ndarray = low + (high - low) * (place - below)
    return between


def _starts(count: int, max_bins: int) -> np.ndarray:
    bins = min(count, max_bins)
    return np.array([math.floor(number * count / bins) for number in range(bins)])
