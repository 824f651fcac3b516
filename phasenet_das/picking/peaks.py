"""From scores to peaks: vectorised over all channels, by a rule that looks only nearby."""

from __future__ import annotations

import numpy as np

_GATHER_SAMPLES = 4_000_000


def find_peaks(scores: np.ndarray, min_score: float, min_separation: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the samples whose score is the highest within a distance on their channel.

    A local maximum at or above the threshold is kept when no other local maximum within
    `min_separation` samples is higher (of equals, the earlier stays). Unlike a greedy search this
    depends only on the scores nearby, so that pieces of a record give the peaks of the whole.

    `scores` (channel, time) float32. Returns `row, sample` (n,) int64.
    """
    row, sample = _local_maxima(scores, min_score)
    value = scores[row, sample]
    keep = np.ones(len(row), dtype=bool)
    for step in range(1, max(len(row), 1)):
        near = (row[step:] == row[:-step]) & (sample[step:] - sample[:-step] <= min_separation)
        if not near.any():
            break
        later_wins = value[step:] > value[:-step]
        keep[:-step] &= ~(near & later_wins)
        keep[step:] &= ~(near & ~later_wins)
    return row[keep], sample[keep]


def _local_maxima(scores: np.ndarray, min_score: float) -> tuple[np.ndarray, np.ndarray]:
    """Find samples at or above the threshold, above the one before, and not below the one behind."""
    rows = max(1, _GATHER_SAMPLES // max(1, scores.shape[1]))
    found = []
    for first in range(0, len(scores), rows):
        part = scores[first : first + rows]
        row, sample = np.nonzero(part[:, 1:-1] >= min_score)
        value = part[row, sample + 1]
        top = (value > part[row, sample]) & (value >= part[row, sample + 2])
        found.append((row[top] + first, sample[top] + 1))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    row, sample = (np.concatenate(part) for part in zip(*found, strict=True))
    return row, sample


def sub_sample_offset(scores: np.ndarray, row: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Refine peaks by the vertex of the parabola through three samples.

    `scores` (channel, time) float32; `row` and `sample` (n,) int64. Returns (n,) float64.
    """
    before, at, after = (scores[row, sample + k].astype(np.float64) for k in (-1, 0, 1))
    curvature = before - 2 * at + after
    slope = 0.5 * (before - after)
    offset = np.divide(slope, curvature, out=np.zeros_like(slope), where=curvature < 0)
    return np.clip(offset, -0.5, 0.5)


def peak_amplitudes(
    data: np.ndarray,
    row: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    missing: np.ndarray | None = None,
) -> np.ndarray:
    """Largest absolute value in a span after each pick, once the span's own mean is removed.

    `data` (channel, time) float32; `row` (n,) int64; `start` and `end` (n,) int64; `missing`
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
