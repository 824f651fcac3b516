"""First guesses of events: seed picks stacked back over a coarse grid of sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d

from gamma.segments import SeedPicks

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_CHUNK_VALUES = 400_000


@dataclass(frozen=True)
class SeedGrid:
    """Candidate sources and their travel times to every cell.

    Attributes
    ----------
    nodes_km : numpy.ndarray, shape (nodes, 3)
    travel_time_s : numpy.ndarray, shape (nodes, slots)
        To slot ``2 * cell + phase``.
    window_s : float
        Width of the origin-time window in which picks of one event fall together.
    separation_s : float
        Seeds of one round are further apart than this.
    spacing_km : float
        Horizontal distance of neighbouring nodes.
    """

    nodes_km: F64
    travel_time_s: F64
    window_s: float
    separation_s: float
    spacing_km: float

    @property
    def reach_s(self) -> float:
        """Longest travel time."""
        return float(self.travel_time_s.max())


@dataclass(frozen=True)
class Seeds:
    """First guesses: origin (time, x, y, z) and number of seed picks in agreement."""

    theta: F64
    count: F64


def find_seeds(seeds: SeedPicks, grid: SeedGrid, start_s: float, end_s: float, min_count: float) -> Seeds:
    """Find origin times and places from which enough seed picks come.

    Every pick is moved back by the travel time from each node; the moved picks are counted in time
    bins on an absolute grid, so that neither the order nor the block shows. The best node of each bin
    is kept where it is the largest within the separation and stands out of the mean over nodes.
    """
    bin_s = grid.window_s / 2.0
    margin = int(np.ceil(grid.separation_s / bin_s)) + 2
    first = int(np.floor(start_s / bin_s)) - margin
    last = int(np.ceil(end_s / bin_s)) + margin
    best, node, mean = _stack(seeds, grid, first, last - first)
    peak = maximum_filter1d(best, 2 * int(np.round(grid.separation_s / bin_s)) + 1, mode="constant")
    background = np.maximum(mean, 1e-9)
    good = (best >= peak) & (best >= min_count) & (best > background + 3.0 * np.sqrt(background))
    good[1:] &= ~(good[:-1] & (best[1:] == best[:-1]))
    where = np.flatnonzero(good)
    origin = (first + where + 1) * bin_s
    inside = (origin >= start_s) & (origin < end_s)
    where, origin = where[inside], origin[inside]
    return Seeds(np.column_stack([origin, grid.nodes_km[node[where]]]), best[where])


def _stack(seeds: SeedPicks, grid: SeedGrid, first: int, num_bins: int) -> tuple[F64, I64, F64]:
    """Count picks in overlapping windows of two bins; best count, its node, and the mean over nodes."""
    bin_s = grid.window_s / 2.0
    num_nodes = len(grid.nodes_km)
    best = np.full(num_bins, -1.0)
    arg = np.zeros(num_bins, dtype=np.int64)
    total = np.zeros(num_bins)
    chunk = max(1, _CHUNK_VALUES // max(num_bins, len(seeds.time_s), 1))
    for lo in range(0, num_nodes, chunk):
        table = grid.travel_time_s[lo : lo + chunk]
        bins = np.floor((seeds.time_s - table[:, seeds.slot]) / bin_s).astype(np.int64) - first
        bins = np.where((bins < 0) | (bins >= num_bins), num_bins, bins)
        bins += np.arange(len(table))[:, None] * (num_bins + 1)
        counts = np.bincount(bins.ravel(), minlength=len(table) * (num_bins + 1))
        counts = counts.reshape(len(table), num_bins + 1)
        window = (counts[:, :-1] + counts[:, 1:]).astype(np.float64)
        window[:, -1] = 0.0
        total += window.sum(axis=0)
        top = window.argmax(axis=0)
        value = window[top, np.arange(num_bins)]
        better = value > best
        best[better] = value[better]
        arg[better] = top[better] + lo
    return best, arg, total / num_nodes
