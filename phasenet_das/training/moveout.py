"""Arrival times along a cable: robust local lines through picks, and waveforms aligned with neighbours."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import convolve1d

from phasenet_das.errors import ConfigError

_ROUNDS = 6
_ALIGN_ROUNDS = 3
_MIN_CORRELATION = 0.6
_LEAD = 0.25  # of the window: what is compared before the pick
_MAX_SHIFT = 0.25  # of the window: farther, a pick is not moved
_MIN_PICKS = 5  # that follow a line within reach of a channel
_MIN_SHARE = 0.2  # of the channels within reach
_BESIDE = 0.3  # of the half width: so far beyond the last pick a line is continued
_BISQUARE = 4.685  # of the residuals' standard deviation (Holland & Welsch 1977): 95 % efficient
_MAD_TO_STD = 1.4826


class Moveout(NamedTuple):
    """Arrival times along a cable as its picks tell them, each array (channel,) float64; NaN: not told."""

    time: np.ndarray
    error: np.ndarray  # standard error of the time
    spread: np.ndarray  # of the picks about the line, standard deviation


def fit_moveout(times: np.ndarray, *, half_width: int, max_residual: float) -> Moveout:
    """Lay a robust local line through the picks of one event and phase along a cable.

    Each channel gets the value of a line fitted to the picks within `half_width` channels, with tricube
    weights by distance times bisquare weights by residual, renewed a few times (Cleveland 1979, locally
    weighted regression). A start from running medians keeps outliers from bending the first lines. A
    channel gets a time where picks within `max_residual` of the line lie on both sides of it, or close on
    one side, and where enough of its neighbours have them.

    `times` (channel,) float64, in any unit.
    """
    if half_width < 1:
        raise ConfigError(f"half_width: found {half_width}, expected 1 channel or more.")
    has, neighbours = np.isfinite(times), _Neighbours.of(len(times), half_width)
    if has.sum() < _MIN_PICKS:
        return Moveout(*np.full((3, len(times)), np.nan))
    near = neighbours.inside & has[neighbours.rows]
    value = np.where(near, times[neighbours.rows], 0.0)
    fit = _running_median(value, near)
    for _ in range(_ROUNDS):
        residual = np.where(has & np.isfinite(fit), np.abs(times - fit), np.inf)
        scale = max(_MAD_TO_STD * float(np.median(residual[has])), 0.1 * max_residual)
        trust = np.clip(1 - (residual / (_BISQUARE * scale)) ** 2, 0, 1) ** 2
        lines = np.where(near, neighbours.tricube * trust[neighbours.rows], 0.0)
        fit, leverage = _local_lines(value, lines, neighbours.offset)
    good = has & (np.abs(times - fit) <= max_residual)
    spread = _local_spread(np.abs(times - fit), near & good[neighbours.rows], neighbours)
    told = np.isfinite(fit) & _supported(good, near, neighbours)
    error = spread * np.sqrt(leverage)
    return Moveout(*(np.where(told, part, np.nan) for part in (fit, error, spread)))


class _Neighbours(NamedTuple):
    """The channels within reach of each: `rows` and `inside` (channel, place), the rest (place,)."""

    rows: np.ndarray
    inside: np.ndarray
    offset: np.ndarray
    tricube: np.ndarray

    @classmethod
    def of(cls, channels: int, half_width: int) -> _Neighbours:
        offset = np.arange(-half_width, half_width + 1)
        index = np.arange(channels)[:, None] + offset
        inside = (index >= 0) & (index < channels)
        return cls(np.clip(index, 0, channels - 1), inside, offset, _tricube(half_width))


def _running_median(value: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Median of the values of each row that count; NaN for a row without any."""
    ordered = np.sort(np.where(near, value, np.inf), axis=1)
    count = near.sum(axis=1)
    row = np.arange(len(value))
    low, high = (ordered[row, np.maximum(place, 0)] for place in ((count - 1) // 2, count // 2))
    return np.where(count > 0, 0.5 * (low + high), np.nan)


def _local_spread(residual: np.ndarray, good: np.ndarray, neighbours: _Neighbours) -> np.ndarray:
    """Measure how far the good picks of a neighbourhood lie from the line, as a standard deviation."""
    return _MAD_TO_STD * _running_median(residual[neighbours.rows], good)


def _supported(good: np.ndarray, near: np.ndarray, neighbours: _Neighbours) -> np.ndarray:
    """Mark the channels (channel,) whose time good picks around them tell."""
    around = near & good[neighbours.rows]
    far = len(neighbours.offset)
    distance = np.where(around, np.abs(neighbours.offset), far)
    reach = far // 2
    left, right = (part.min(axis=1) for part in (distance[:, : reach + 1], distance[:, reach:]))
    between = np.maximum(left, right) <= reach
    beside = np.minimum(left, right) <= max(1, round(_BESIDE * reach))
    enough = around.sum(axis=1) >= np.maximum(_MIN_PICKS, _MIN_SHARE * neighbours.inside.sum(axis=1))
    supported: np.ndarray = (between | beside) & enough
    return supported


def _local_lines(value: np.ndarray, weight: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a weighted line in each row; give its value at offset zero, NaN without any weight, and leverage.

    Leverage is the variance of that value, for values of unit variance.
    """
    total = weight.sum(axis=1)
    safe = np.maximum(total, 1e-12)
    mean_x, mean_y = weight @ offset / safe, (weight * value).sum(axis=1) / safe
    dx = offset - mean_x[:, None]
    variance = (weight * dx**2).sum(axis=1)
    covariance = (weight * dx * (value - mean_y[:, None])).sum(axis=1)
    slope = np.divide(covariance, variance, out=np.zeros_like(variance), where=variance > 1e-6)
    share = weight / safe[:, None] - dx * np.divide(
        weight * mean_x[:, None], variance[:, None], out=np.zeros_like(weight), where=variance[:, None] > 1e-6
    )
    return np.where(total > 1e-9, mean_y - slope * mean_x, np.nan), (share**2).sum(axis=1)


def mean_nearby(values: np.ndarray, half_width: int) -> np.ndarray:
    """Mean of the finite values within reach of each channel; zero where there is none."""
    taps = np.ones(2 * half_width + 1)
    known = np.isfinite(values)
    total, count = (
        np.convolve(part, taps, mode="full")[half_width : half_width + len(values)]
        for part in (np.where(known, values, 0.0), known.astype(float))
    )
    mean: np.ndarray = total / np.maximum(count, 1.0)
    return mean


def align_arrivals(data: np.ndarray, times: np.ndarray, *, half_width: int, window: int) -> np.ndarray:
    """Move picks so that waveforms agree with the stack of their neighbours'.

    Each channel is correlated with the mean of its neighbours, aligned by the picks so far, and moved to the
    largest correlation; then again, as in adaptive stacking (Rawlinson & Kennett 2004). The mean shift of a
    neighbourhood is taken out: correlation tells differences, not where the onset is.

    `data` (channel, time) float32, `times` (channel,) float64. Returns (channel,) float64.
    """
    lead, reach = round(_LEAD * window), max(1, round(_MAX_SHIFT * window))
    margin = lead + reach
    usable = np.isfinite(times) & (times > margin) & (times < data.shape[1] - window - reach - 2)
    if not usable.any():
        return times.copy()
    rows = np.flatnonzero(usable)
    offset = np.arange(-margin, window + reach)
    taps = _tricube(half_width)
    weights = np.where(np.arange(len(taps)) == half_width, 0.0, taps)  # a channel is not its own neighbour
    aligned = times[rows]
    for _ in range(_ALIGN_ROUNDS):
        wave = np.zeros((len(data), len(offset)))
        wave[rows] = _samples_at(data[rows], aligned[:, None] + offset)
        core = _unit(wave[:, reach:-reach])
        stack = _unit(convolve1d(core, weights, axis=0, mode="constant"))
        shift, correlation = _best_shift(wave[rows], stack[rows], reach)
        shift = np.where(correlation >= _MIN_CORRELATION, shift, 0.0)
        common = np.zeros((2, len(data)))
        common[0, rows], common[1, rows] = shift, 1.0
        total, count = convolve1d(common, taps, axis=1, mode="constant")
        aligned = aligned + shift - np.where(shift != 0, total[rows] / np.maximum(count[rows], 1e-9), 0.0)
    out = times.copy()
    out[rows] = np.where(np.abs(aligned - times[rows]) <= reach, aligned, times[rows])
    return out


def _tricube(half_width: int) -> np.ndarray:
    offset = np.abs(np.arange(-half_width, half_width + 1)) / (half_width + 1)
    weights: np.ndarray = (1 - offset**3) ** 3
    return weights


def _samples_at(data: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Interpolate each row at its own positions, which lie within it."""
    left = position.astype(np.int64)
    part = position - left
    low, high = (np.take_along_axis(data, left + step, axis=1) for step in (0, 1))
    values: np.ndarray = low * (1 - part) + high * part
    return values


def _unit(wave: np.ndarray) -> np.ndarray:
    centred = wave - wave.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.square(centred).sum(axis=1, keepdims=True))
    return np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)


def _best_shift(wave: np.ndarray, pattern: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Find where each row, longer by `reach` at both ends, looks most like its pattern of unit norm."""
    length = pattern.shape[1]
    size = next_fast_len(wave.shape[1], real=True)
    product = rfft(wave, size, axis=1) * np.conj(rfft(pattern, size, axis=1))
    raw = irfft(product, size, axis=1)[:, : 2 * reach + 1]
    sums = np.cumsum(np.pad(np.stack([wave, wave**2]), ((0, 0), (0, 0), (1, 0))), axis=2)
    total, power = sums[:, :, length : length + 2 * reach + 1] - sums[:, :, : 2 * reach + 1]
    norm = np.sqrt(np.maximum(power - total**2 / length, 1e-30))
    correlation = raw / norm
    best = correlation[:, 1:-1].argmax(axis=1) + 1
    row = np.arange(len(wave))
    before, at, after = (correlation[row, best + step] for step in (-1, 0, 1))
    curvature = before - 2 * at + after
    vertex = np.divide(0.5 * (before - after), curvature, out=np.zeros_like(at), where=curvature < 0)
    inside = (at >= before) & (at >= after)
    return np.where(inside, best - reach + np.clip(vertex, -0.5, 0.5), 0.0), np.where(inside, at, 0.0)
