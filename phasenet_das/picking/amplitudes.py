"""Amplitudes of picks: the largest absolute value after each onset."""

from __future__ import annotations

import numpy as np
import pandas as pd

from phasenet_das.picking.resampling import TimeGrid

_GATHER_SAMPLES = 4_000_000
AMPLITUDE_WINDOW_S = 2.0
"""Time after a pick in which its amplitude is measured, s."""


def pick_amplitudes(
    picks: pd.DataFrame,
    data: np.ndarray,
    grid: TimeGrid,
    *,
    first: int = 0,
    missing: np.ndarray | None = None,
    faint: np.ndarray | None = None,
) -> np.ndarray:
    """Measure the peak absolute value in the 2 s after each pick; a P's window ends before the next S.

    `data` (channel, time) float32, `missing` (channel, time) bool, optional, `faint` (pick,) bool: picks that
    end no window. Returns (pick,) float32.
    """
    row = picks["row"].to_numpy()
    start = np.ceil((picks["phase_time_ns"].to_numpy() - grid.start_ns) / (grid.dt_s * 1e9)).astype(np.int64)
    end = start + max(1, round(AMPLITUDE_WINDOW_S / grid.dt_s))
    stride = grid.num_samples + 2
    is_p = (picks["phase_type"] == "P").to_numpy()
    s_keys = np.sort((row * stride + start)[~is_p if faint is None else ~is_p & ~faint])
    if len(s_keys):
        following = np.searchsorted(s_keys, row * stride + start, "right")
        next_s = np.append(s_keys, np.iinfo(np.int64).max)[following] - row * stride
        end = np.where(is_p, np.minimum(end, next_s), end)
    return peak_amplitudes(data, row, start - first, end - first, missing)


def peak_amplitudes(
    data: np.ndarray,
    row: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    missing: np.ndarray | None = None,
) -> np.ndarray:
    """Largest absolute value in a span after each pick, once the span's own mean is removed.

    `data` (channel, time) float32, `row` (n,) int64, `start` and `end` (n,) int64, `missing`
    (channel, time) bool, optional. Returns (n,) float32.
    """
    out = np.full(len(row), np.nan, dtype=np.float32)
    if not len(row):
        return out
    start = np.clip(start, 0, data.shape[-1])
    end = np.clip(end, 0, data.shape[-1])
    width = int((end - start).max(initial=0))
    if width <= 0:
        return out
    size = max(1, _GATHER_SAMPLES // width)
    for first in range(0, len(row), size):
        part = slice(first, first + size)
        index = start[part, None] + np.arange(width)
        inside = index < end[part, None]
        where = (row[part, None], np.minimum(index, data.shape[-1] - 1))
        values = data[where]
        if missing is not None:
            inside &= ~missing[where]
        count = inside.sum(axis=1)
        mean = np.where(inside, values, 0).sum(axis=1) / np.maximum(count, 1)
        largest = np.where(inside, np.abs(values - mean[:, None]), 0).max(axis=1)
        out[part] = np.where(count > 0, largest, np.nan)
    return out


def window_power(data: np.ndarray, row: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Variance of each window; NaN where it leaves the data.

    `data` (channel, time) float32, `row`, `start` and `length` (n,) int64. Returns (n,) float64.
    """
    offset = np.arange(int(length.max(initial=1)))
    used = offset < length[:, None]
    inside = (start >= 0) & (start + length <= data.shape[1])
    column = np.clip(start[:, None] + offset, 0, data.shape[1] - 1)
    values = data[row[:, None], column].astype(np.float64)
    mean = np.where(used, values, 0.0).sum(axis=1) / length
    power = np.where(used, (values - mean[:, None]) ** 2, 0.0).sum(axis=1) / length
    return np.where(inside, power, np.nan)
