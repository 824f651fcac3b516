"""Labels refined along the cable: robust local fits of the moveout, and waveforms aligned with neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import convolve1d

from phasenet_das.errors import ConfigError
from phasenet_das.training.sample import Sample

_ROUNDS = 5
_ALIGN_ROUNDS = 3
_MIN_CORRELATION = 0.6
_LEAD = 0.25  # of the window: what is compared before the pick
_MAX_SHIFT = 0.25  # of the window: farther, a pick is not moved
_MIN_PICKS = 4
_BISQUARE = 4.685  # of the residuals' standard deviation (Holland & Welsch 1977): 95 % efficient
_MAD_TO_STD = 1.4826


def refine_arrivals(
    times: np.ndarray, *, half_width: int, max_residual: float, min_scale: float = 0.5
) -> np.ndarray:
    """Replace picks along a cable by a robust local line through their neighbours.

    Each channel gets the value of a line fitted to the picks within `half_width` channels, with tricube
    weights by distance times bisquare weights by residual, renewed a few times (Cleveland 1979, locally
    weighted regression). Picks far from the line are dropped rather than moved.

    `times` (channel,) float64. Returns (channel,) float64.
    """
    if half_width < 1:
        raise ConfigError(f"half_width: found {half_width}, expected 1 channel or more.")
    has = np.isfinite(times)
    if not has.any():
        return times.copy()
    offset = np.arange(-half_width, half_width + 1)
    index = np.arange(len(times))[:, None] + offset
    inside = (index >= 0) & (index < len(times))
    index = np.clip(index, 0, len(times) - 1)
    near = inside & has[index]
    tricube = _tricube(half_width)
    value = np.where(near, times[index], 0.0)
    trust = np.where(has, 1.0, 0.0)
    fit, residual = times, np.zeros(len(times))
    for _ in range(_ROUNDS):
        fit = _local_lines(value, np.where(near, tricube * trust[index], 0.0), offset)
        residual = np.abs(np.where(has & np.isfinite(fit), times - fit, np.inf))
        scale = max(_MAD_TO_STD * float(np.median(residual[has])), min_scale)
        trust = np.clip(1 - (residual / (_BISQUARE * scale)) ** 2, 0, 1) ** 2
    alone = near.sum(axis=1) < _MIN_PICKS
    refined = np.where(residual <= max_residual, fit, np.nan)
    return np.where(has & ~alone, refined, times)


def _local_lines(value: np.ndarray, weight: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Fit a weighted line in each row, and give its value at offset zero; NaN without any weight."""
    total = weight.sum(axis=1)
    safe = np.maximum(total, 1e-12)
    mean_x, mean_y = weight @ offset / safe, (weight * value).sum(axis=1) / safe
    dx = offset - mean_x[:, None]
    variance = (weight * dx**2).sum(axis=1)
    covariance = (weight * dx * (value - mean_y[:, None])).sum(axis=1)
    slope = np.divide(covariance, variance, out=np.zeros_like(variance), where=variance > 1e-6)
    return np.where(total > 1e-9, mean_y - slope * mean_x, np.nan)


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


def refine_sample(
    sample: Sample, *, half_width: int, max_residual_s: float, align_window_s: float = 0.0
) -> Sample:
    """Refine every event and phase of a sample."""
    rows = sample.arrivals.reshape(-1, sample.arrivals.shape[2])
    limit, window = max_residual_s / sample.dt_s, round(align_window_s / sample.dt_s)
    refined = [refine_arrivals(row, half_width=half_width, max_residual=limit) for row in rows]
    if window > 1:
        refined = [align_arrivals(sample.data, row, half_width=half_width, window=window) for row in refined]
    return replace(sample, arrivals=np.reshape(refined, sample.arrivals.shape))
