"""Arithmetic of pieces: from the spans of many files to unbroken runs of samples, each sample once.

The rules, for spans of one cable, interval, channels, unit and gauge length, ordered by start. The time axis
of a segment is start + i · dt, and what a span misses it by is judged, not what two stamps differ by:

- A span that begins within half a sample of where the axis ends continues the segment.
- A span that begins later begins a new segment: gaps are never bridged.
- A span that begins earlier overlaps: the samples that are there stay, the span contributes
  what lies more than half a sample beyond. Of two equal spans the first in the order stays.
- A span that misses the axis though it continues the stamp of the span before, because clocks drift or dt
  is rounded, begins a new segment, and no sample is lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

HALF_SAMPLE = 0.5
FIRST, GAP, DRIFT = range(3)


@dataclass(frozen=True)
class Arranged:
    """Where each span went, arrays of shape (span,), int64.

    Attributes
    ----------
    segment : numpy.ndarray
        Number of the segment, -1 when the span contributes nothing.
    skipped : numpy.ndarray
        Samples at the span's beginning that an earlier span has already.
    position : numpy.ndarray
        Sample of the segment at which the contribution begins.
    owner : numpy.ndarray
        The span that has the skipped samples, -1 without.
    cause : numpy.ndarray
        Why a segment begins here: ``FIRST``, ``GAP`` or ``DRIFT``; -1 where none begins.
    """

    segment: np.ndarray
    skipped: np.ndarray
    position: np.ndarray
    owner: np.ndarray
    cause: np.ndarray


def end_ns(start_ns: np.ndarray, num_samples: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
    """Return the time of the sample after the last, shape (span,), int64, ns since 1970."""
    lengths: np.ndarray = np.rint(num_samples * (dt_s * 1e9)).astype(np.int64)
    return start_ns + lengths


def arrange(start_ns: np.ndarray, num_samples: np.ndarray, dt_s: np.ndarray) -> Arranged:
    """Arrange spans into segments by the rules of this module.

    `start_ns` (span,) int64; `num_samples` (span,) int; `dt_s` (span,) float64.
    """
    count = len(start_ns)
    out = Arranged(*(np.full(count, fill, dtype=np.int64) for fill in (-1, 0, 0, -1, -1)))
    segment, length, seg_start, seg_dt_ns, covered, owner = -1, 0, 0, 1.0, 0, -1
    spans = zip(start_ns.tolist(), num_samples.tolist(), (dt_s * 1e9).tolist(), strict=True)
    for k, (start, samples, dt_ns) in enumerate(spans):
        skip, cause = 0, FIRST
        if segment >= 0:
            skip, cause = _continue(start, covered, seg_start + round(length * seg_dt_ns), dt_ns)
        if skip > 0:
            out.owner[k] = owner
        if skip >= samples:
            out.skipped[k] = samples
            continue
        if cause >= 0:
            segment, length, seg_start, seg_dt_ns = segment + 1, 0, start, dt_ns
        out.segment[k], out.skipped[k], out.position[k], out.cause[k] = segment, skip, length, cause
        length += samples - skip
        covered, owner = start + round(samples * dt_ns), k
    return out


def _continue(start: int, covered: int, expected: int, dt_ns: float) -> tuple[int, int]:
    """Say how many samples of a span to skip, and why it begins a new segment: -1 when it continues the last.

    The axis of the segment ends at `expected`, the span before by its own stamp at `covered`.
    """
    if abs(start - expected) <= HALF_SAMPLE * dt_ns:
        return 0, -1
    if abs(start - covered) <= HALF_SAMPLE * dt_ns:
        return 0, DRIFT
    if start > expected:
        return 0, GAP
    return math.floor((expected - start) / dt_ns + HALF_SAMPLE), -1


def cluster(values: np.ndarray, tolerance: float) -> np.ndarray:
    """Put a number on each group of values that are equal within a relative tolerance.

    `values` (n,) float64. Returns (n,) int64.
    """
    unique, place = np.unique(values, return_inverse=True)
    groups = np.zeros(len(unique), dtype=np.int64)
    lowest = -np.inf
    for k, value in enumerate(unique.tolist()):
        new = value > lowest * (1 + tolerance) or k == 0
        lowest = value if new else lowest
        groups[k] = (groups[k - 1] + 1 if new else groups[k - 1]) if k else 0
    return groups[place]
