"""New times for picks that are near an arrival: its onset, or the time at which it matches its neighbours."""

from __future__ import annotations

import numpy as np
from scipy import fft
from scipy.ndimage import uniform_filter1d

_MARGIN = 4  # samples on each side of a split, so that it has a variance
_TINY = 1e-30
_ROUNDS = 3  # each round aligns with neighbours that moved in the round before


def onset_lags(data: np.ndarray, rows: np.ndarray, samples: np.ndarray, reach: int) -> np.ndarray:
    """Find the onset nearest to each pick: the split of least AIC (Maeda 1985), at most `reach` samples away.

    `data` (channel, time), `rows` and `samples` (pick,) int. Returns samples to add (pick,), 0 where
    the window leaves the recording or has missing samples.
    """
    half = 2 * reach + _MARGIN
    windows, usable = _cut(data, rows, samples, half)
    criterion = _aic(windows)
    around = slice(half - reach, half + reach + 1)
    lags = criterion[:, around].argmin(axis=1) - reach
    return np.where(usable, lags, 0).astype(np.float64)


def neighbour_lags(
    data: np.ndarray, rows: np.ndarray, samples: np.ndarray, *, half: int, reach: int, neighbours: int
) -> np.ndarray:
    """Correlate each pick with the mean of its neighbours, and find the lag of the highest correlation.

    Picks (pick,) are of one phase, in the order of the cable. The window reaches `half` samples to each
    side, the lag at most `reach`, and `neighbours` picks on each side make the mean. Returns samples to
    add (pick,).
    """
    if len(rows) < 2:
        return np.zeros(len(rows))
    lags = np.zeros(len(rows))
    for _ in range(_ROUNDS):
        windows, usable = _cut(data, rows, np.rint(samples + lags).astype(np.int64), half)
        step = np.where(usable, _lags_to_mean(windows, reach, neighbours), 0.0)
        lags = np.clip(lags + step, -reach, reach)
    return lags


def _cut(data: np.ndarray, rows: np.ndarray, samples: np.ndarray, half: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut windows (pick, 2 half + 1) without their mean, and tell which are whole; others are zero."""
    columns = samples[:, None] + np.arange(-half, half + 1)
    usable = (columns[:, 0] >= 0) & (columns[:, -1] < data.shape[1])
    windows = data[rows[:, None], np.clip(columns, 0, data.shape[1] - 1)].astype(np.float64)
    usable &= np.isfinite(windows).all(axis=1)
    windows[~usable] = 0.0
    return windows - windows.mean(axis=1, keepdims=True), usable


def _aic(windows: np.ndarray) -> np.ndarray:
    """Compute the criterion of a split before each sample, shape (pick, time); infinite near the ends."""
    count = windows.shape[1]
    left = np.arange(count, dtype=np.float64)
    right = count - left
    first, second = (np.cumsum(np.pad(power, ((0, 0), (1, 0))), axis=1) for power in (windows, windows**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        before = second[:, :-1] / left - (first[:, :-1] / left) ** 2
        after = (second[:, -1:] - second[:, :-1]) / right - ((first[:, -1:] - first[:, :-1]) / right) ** 2
    criterion = left * np.log(np.maximum(before, _TINY)) + right * np.log(np.maximum(after, _TINY))
    criterion[:, :_MARGIN] = criterion[:, -_MARGIN:] = np.inf
    return criterion


def _lags_to_mean(windows: np.ndarray, reach: int, neighbours: int) -> np.ndarray:
    """Lag of each window (pick, time) behind the mean of the others nearby, parts of a sample too."""
    norm = np.sqrt((windows**2).sum(axis=1, keepdims=True))
    unit = windows / np.maximum(norm, _TINY)
    width = 2 * neighbours + 1
    mean = uniform_filter1d(unit, width, axis=0, mode="constant") - unit / width
    length = fft.next_fast_len(2 * unit.shape[1])
    spectra = fft.rfft(unit, length, axis=1) * np.conj(fft.rfft(mean, length, axis=1))
    correlation = np.roll(fft.irfft(spectra, length, axis=1), reach, axis=1)[:, : 2 * reach + 1]
    best = correlation.argmax(axis=1)
    inner = np.clip(best, 1, 2 * reach - 1) if reach else np.zeros_like(best)
    if not reach:
        return np.zeros(len(best))
    low, middle, high = (np.take_along_axis(correlation, (inner + k)[:, None], 1)[:, 0] for k in (-1, 0, 1))
    bend = low - 2 * middle + high
    part = np.where(bend < 0, 0.5 * (low - high) / np.where(bend < 0, bend, 1.0), 0.0)
    return np.where(best == inner, inner + np.clip(part, -0.5, 0.5), best) - reach
