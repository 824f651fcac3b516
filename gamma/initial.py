"""First guesses of events: aligned picks of neighbouring channels, moved back over a grid of sources."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d

from gamma.receivers import Receivers

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_MIN_CELLS = 24
_MIN_CHANNELS = 8
_MIN_SHORT_CELLS = 12  # of a cable of few channels
_MIN_FILL = 0.25
_CHUNK_VALUES = 60_000  # that stay in the cache of the processor
_TILE_NODES = 5
_FEW_PICKS = 0.25  # picks a bin, below which most places need not be counted


@dataclass(frozen=True)
class CableCells:
    """Short stretches of cable over which an arrival is as good as simultaneous."""

    cell: I64  # (receivers,); a receiver that stands alone is a cell of its own
    representative: I64  # (cells,), the middle receiver
    size: I64  # (cells,), number of receivers


def make_cells(receivers: Receivers, cell_km: float) -> CableCells:
    """Cut every cable into cells."""
    cell = np.full(len(receivers), -1, dtype=np.int64)
    alone = np.flatnonzero(receivers.cable < 0)
    cell[alone] = np.arange(len(alone))
    count = len(alone)
    for index in range(receivers.num_cables):
        rows = np.flatnonzero(receivers.cable == index)
        rows = rows[np.argsort(receivers.along_km[rows], kind="stable")]
        along = receivers.along_km[rows] - receivers.along_km[rows[0]]
        length = min(cell_km, max(along[-1], 1e-9) / _MIN_CELLS)
        channels = np.clip(len(rows) // _MIN_SHORT_CELLS, 2, _MIN_CHANNELS)
        length = max(length, channels * max(along[-1], 1e-9) / len(rows))
        number = np.minimum(along / length, 1e9).astype(np.int64)
        _, number = np.unique(number, return_inverse=True)
        cell[rows] = count + number
        count += int(number.max()) + 1
    order = np.lexsort((np.nan_to_num(receivers.along_km), cell))
    size = np.bincount(cell, minlength=count)
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    return CableCells(cell, order[starts + size // 2], size)


def make_seed_picks(time_s: F64, cell_phase: I64, cells: CableCells, gap_s: float) -> tuple[F64, I64, I64]:
    """Line up the picks of neighbouring channels.

    `cell_phase` (picks,) is 2 * cell, plus 1 for S where P and S are to be kept apart. There, picks follow
    each other in a run while the gaps stay below `gap_s`. A run that covers enough of the cell's channels is
    one seed pick at its median time. Picks of seismometers are seed picks as they are. Returns time (runs,)
    and cell (runs,) by time, and the run of each pick (picks,), -1 for none.
    """
    order = np.lexsort((time_s, cell_phase))
    t, c = time_s[order], cell_phase[order]
    if len(t) == 0:
        return t, c, order
    size = cells.size[c >> 1]
    alone = size == 1
    starts_run = np.ones(len(t), dtype=bool)
    starts_run[1:] = (c[1:] != c[:-1]) | (t[1:] - t[:-1] > gap_s) | alone[1:]
    first = np.flatnonzero(starts_run)
    count = np.diff(np.append(first, len(t)))
    fewest = np.where(size[first] < _MIN_CHANNELS, 2, 3)
    needed = np.where(alone[first], 1, np.maximum(fewest, np.ceil(_MIN_FILL * size[first])))
    good = count >= needed
    middle = first[good] + (count[good] - 1) // 2
    times, of_cell = t[middle], c[middle] >> 1
    by_time = np.lexsort((of_cell, times))
    number = np.full(len(first), -1, dtype=np.int64)
    number[np.flatnonzero(good)[by_time]] = np.arange(len(by_time))
    members = np.empty(len(order), dtype=np.int64)
    members[order] = np.repeat(number, count)
    return times[by_time], of_cell[by_time], members


@dataclass(frozen=True)
class SeedGrid:
    """Candidate sources and their travel times to every cell."""

    nodes_km: F64  # (nodes, 3)
    travel_time_s: F64  # (nodes, 2 * cells), to 2 * cell + phase
    window_s: float  # width of the origin-time window in which picks of one event fall together
    separation_s: float  # seeds of one round are further apart than this
    spacing_km: float  # horizontal distance of neighbouring nodes

    @property
    def reach_s(self) -> float:
        """Longest travel time."""
        return float(self.travel_time_s.max())

    @cached_property
    def tiles(self) -> list[I64]:
        """Nodes in tiles a few nodes wide, from the top to the bottom."""
        place = np.floor(self.nodes_km[:, :2] / (_TILE_NODES * self.spacing_km))
        _, tile = np.unique(place, axis=0, return_inverse=True)
        return [np.flatnonzero(tile.ravel() == number) for number in range(int(tile.max()) + 1)]

    @property
    def longest_s_minus_p_s(self) -> float:
        """Longest time from P to S at one cell."""
        return float((self.travel_time_s[:, 1::2] - self.travel_time_s[:, ::2]).max())


@dataclass(frozen=True)
class Seeds:
    """First guesses: origin (time, x, y, z), number of seed picks that agree, and scale of residuals."""

    hypocentre: F64
    count: F64
    scale_s: F64

    @classmethod
    def none(cls) -> Seeds:
        """No guess."""
        return cls(np.empty((0, 4)), np.empty(0), np.empty(0))

    @classmethod
    def concatenate(cls, parts: list[Seeds]) -> Seeds:
        """Put guesses behind each other."""
        parts = [cls.none(), *parts]
        return cls(
            np.concatenate([part.hypocentre for part in parts]),
            np.concatenate([part.count for part in parts]),
            np.concatenate([part.scale_s for part in parts]),
        )


@dataclass(frozen=True)
class SeedPicks:
    """The picks that events are sought with: those of seismometers, and aligned runs of picks on cables."""

    time_s: F64  # (seeds,), median time of the run
    receiver_phase: I64  # (seeds,), 2 * cell + phase


def find_seeds(seeds: SeedPicks, grid: SeedGrid, start_s: float, end_s: float, min_count: float) -> Seeds:
    """Find origin times and places from which enough seed picks come.

    Every pick is moved back by the travel time from each node; the moved picks are counted in time
    bins on an absolute grid, so that neither the order nor the block shows. The best node of each bin
    is kept where it is the largest within the separation and stands out of the mean over nodes.
    """
    bin_s = grid.window_s / 2.0
    margin = int(np.ceil(grid.separation_s / bin_s)) + 2
    # Before the first origin that a pick can have, and after the last pick, there is nothing to count.
    first = int(np.floor(max(start_s, seeds.time_s.min() - grid.reach_s) / bin_s)) - margin
    last = int(np.ceil(min(end_s, seeds.time_s.max()) / bin_s)) + margin
    few = len(seeds.time_s) < _FEW_PICKS * (last - first)
    stack = partial(_stack_few, min_count=min_count) if few else _stack
    best, node, mean = stack(seeds, grid, first, max(last - first, 1))
    peak = maximum_filter1d(best, 2 * int(np.round(grid.separation_s / bin_s)) + 1, mode="constant")
    background = np.maximum(mean, 1e-9)
    good = (best >= peak) & (best >= min_count) & (best > background + 3.0 * np.sqrt(background))
    good[1:] &= ~(good[:-1] & (best[1:] == best[:-1]))
    where = np.flatnonzero(good)
    origin = (first + where + 1) * bin_s
    inside = (origin >= start_s) & (origin < end_s)
    where, origin = where[inside], origin[inside]
    scale_s = np.full(len(where), grid.window_s / 2.0)
    return Seeds(np.column_stack([origin, grid.nodes_km[node[where]]]), best[where], scale_s)


def _in_bins(seeds: SeedPicks, grid: SeedGrid, first: int, num_bins: int) -> tuple[F64, F64, int, int]:
    """Measure picks and travel times in bins; also the bins before the first, and all, that picks move to."""
    bin_s = grid.window_s / 2.0
    shift, time = grid.travel_time_s / bin_s, seeds.time_s / bin_s
    before = max(0, first - int(np.floor(time.min() - shift.max()))) + 1
    after = max(0, int(np.ceil(time.max() - shift.min())) - first - num_bins) + 2
    return time - (first - before), shift, before, before + num_bins + after


def _stack(seeds: SeedPicks, grid: SeedGrid, first: int, num_bins: int) -> tuple[F64, I64, F64]:
    """Count picks in overlapping windows of two bins; best count, its node, and the mean over nodes.

    Picks moved to before the first or after the last bin are counted too, and then dropped.
    """
    num_nodes = len(grid.nodes_km)
    time, shift, before, width = _in_bins(seeds, grid, first, num_bins)
    after = width - before - num_bins
    best = np.full(num_bins, -1)
    arg, total = np.zeros((2, num_bins), dtype=np.int64)
    chunk = max(1, _CHUNK_VALUES // max(width, len(time)))
    shift -= width * (np.arange(num_nodes) % chunk)[:, None]  # nodes of a chunk count one behind the other
    for lo in range(0, num_nodes, chunk):
        moved = shift[lo : lo + chunk].take(seeds.receiver_phase, axis=1)
        bins = np.subtract(time, moved, out=moved).astype(np.int64)
        counts = np.bincount(bins.ravel(), minlength=len(bins) * width).reshape(len(bins), width)
        window = counts[:, before:-after] + counts[:, before + 1 : width - after + 1]
        window[:, -1] = 0
        total += window.sum(axis=0)
        value = window.max(axis=0)
        better = np.flatnonzero(value > best)
        best[better] = value[better]
        arg[better] = lo + (window[:, better] == value[better]).argmax(axis=0)
    return best.astype(np.float64), arg, total / num_nodes


def _stack_few(
    seeds: SeedPicks, grid: SeedGrid, first: int, num_bins: int, min_count: float
) -> tuple[F64, I64, F64]:
    """Count as `_stack` does, but only where `min_count` picks can fall together; elsewhere all is 0.

    The travel times to a tile of nodes lie between two limits. They bound what any of its nodes can count.
    """
    time, shift, before, width = _in_bins(seeds, grid, first, num_bins)
    best, arg, mean = np.zeros(num_bins), np.zeros(num_bins, dtype=np.int64), np.zeros(num_bins)
    for nodes in grid.tiles:
        limits = np.stack([shift[nodes].max(axis=0), shift[nodes].min(axis=0)])
        early, late = (time - limits.take(seeds.receiver_phase, axis=1)).astype(np.int64)
        bound = np.cumsum(np.bincount(early - 1, minlength=width) - np.bincount(late + 1, minlength=width))
        possible = bound >= min_count
        possible[:before] = possible[before + num_bins - 1 :] = False
        windows = np.flatnonzero(possible)
        if len(windows) == 0:
            continue
        possible[1:] |= possible[:-1]  # windows are two bins wide
        number = np.concatenate([[0], np.cumsum(possible)])
        mine = np.flatnonzero(number[late + 1] > number[early])
        size = int(number[-1]) + 1  # of bins to count, the last for all others
        column = np.where(possible, number[:-1], size - 1)
        bins = (time[mine] - shift[nodes[:, None], seeds.receiver_phase[mine]]).astype(np.int64)
        flat = column[bins] + size * np.arange(len(nodes))[:, None]
        counts = np.bincount(flat.ravel(), minlength=len(nodes) * size).reshape(len(nodes), size)
        window = counts[:, column[windows]] + counts[:, column[windows] + 1]
        value, node, at = window.max(axis=0), nodes[window.argmax(axis=0)], windows - before
        better = (value > best[at]) | ((value == best[at]) & (node < arg[at]))
        best[at[better]], arg[at[better]] = value[better], node[better]
    for place in np.flatnonzero(best >= min_count).tolist():
        start = place + before
        lo, hi = np.searchsorted(time, [start + shift.min() - 1.0, start + shift.max() + 3.0])
        bins = (time[lo:hi] - shift[:, seeds.receiver_phase[lo:hi]]).astype(np.int64) - start
        mean[place] = np.count_nonzero((bins == 0) | (bins == 1)) / len(shift)
    return best, arg, mean
