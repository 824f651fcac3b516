"""Waveform cross-correlation: batches of windows, sub-sample, either polarity."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

_BATCH_SAMPLES = 4_000_000


def cross_correlate(template: np.ndarray, search: np.ndarray) -> np.ndarray:
    """Correlate each template with every place of its longer search window, by FFT.

    The coefficient at lag k is Pearson's, of the template and the piece of the search window that starts at
    sample k; every piece has its own mean and energy, so that strong motion beside the template does not
    draw the peak.

    `template` (pair, window); `search` (pair, window + lags - 1). Returns (pair, lags) float64.
    """
    length = template.shape[1]
    lags = search.shape[1] - length + 1
    template = template.astype(np.float64) - template.mean(axis=1, keepdims=True, dtype=np.float64)
    search = search.astype(np.float64) - search.mean(axis=1, keepdims=True, dtype=np.float64)
    size = next_fast_len(search.shape[1], real=True)
    product = rfft(search, size, axis=1) * np.conj(rfft(template, size, axis=1))
    above = irfft(product, size, axis=1)[:, :lags]
    energy = _running_sum(search**2, length) - _running_sum(search, length) ** 2 / length
    below = np.sqrt(np.maximum(energy, 0.0) * (template**2).sum(axis=1, keepdims=True))
    tiny = 1e-9 * below.max(axis=1, keepdims=True, initial=0.0)
    return np.divide(above, below, out=np.zeros_like(above), where=below > tiny)


def _running_sum(values: np.ndarray, length: int) -> np.ndarray:
    total = np.cumsum(values, axis=1)
    total = np.concatenate([np.zeros((len(total), 1)), total], axis=1)
    summed: np.ndarray = total[:, length:] - total[:, :-length]
    return summed


def peak_lag(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the lag of the largest coefficient of either sign, between samples.

    Round the peak a cosine is laid through three coefficients (Cespedes et al. 1995), which suits narrow
    bands better than a parabola.

    `coefficients` (pair, lags). Returns `lag` (pair,) float64; `coefficient` (pair,) float64.
    """
    rows = np.arange(len(coefficients))
    peak = np.abs(coefficients).argmax(axis=1)
    inside = np.clip(peak, 1, coefficients.shape[1] - 2)
    left, middle, right = (coefficients[rows, inside + step] for step in (-1, 0, 1))
    usable = (peak == inside) & (middle != 0)
    safe = np.where(usable, middle, 1.0)
    omega = np.arccos(np.clip((left + right) / (2 * safe), -1.0, 1.0))
    omega = np.maximum(omega, 1e-6)
    shift = np.arctan((right - left) / (2 * safe * np.sin(omega))) / omega
    return np.where(usable, inside + shift, np.nan), coefficients[rows, peak]


def batches(num_pairs: int, samples: int) -> Iterator[slice]:
    """Cut pairs into batches of bounded memory."""
    step = max(1, _BATCH_SAMPLES // max(samples, 1))
    for first in range(0, num_pairs, step):
        yield slice(first, first + step)
