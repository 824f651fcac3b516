"""Moveout segments: picks of neighbouring channels that line up, the seeds of events on fibre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gamma.receivers import Receivers

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_MIN_CELLS = 24
_MIN_CHANNELS = 8
_MIN_FILL = 0.25


@dataclass(frozen=True)
class CableCells:
    """Short stretches of cable over which an arrival is as good as simultaneous.

    Attributes
    ----------
    cell : numpy.ndarray of int64, shape (receivers,)
        Cell of each receiver; a receiver that stands alone is a cell of its own.
    representative : numpy.ndarray of int64, shape (cells,)
        The middle receiver of each cell.
    size : numpy.ndarray of int64, shape (cells,)
        Receivers in each cell.
    """

    cell: I64
    representative: I64
    size: I64


@dataclass(frozen=True)
class SeedPicks:
    """What events are sought with: single picks of seismometers, aligned runs of picks on cables.

    Attributes
    ----------
    time_s : numpy.ndarray, shape (seeds,)
        Median time of the picks in the run.
    slot : numpy.ndarray of int64, shape (seeds,)
        ``2 * cell + phase``.
    members : numpy.ndarray of int64, shape (picks,)
        Seed pick that each pick given belongs to, -1 for none.
    """

    time_s: F64
    slot: I64
    members: I64


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
        length = max(length, _MIN_CHANNELS * max(along[-1], 1e-9) / len(rows))
        number = np.minimum(along / length, 1e9).astype(np.int64)
        _, number = np.unique(number, return_inverse=True)
        cell[rows] = count + number
        count += int(number.max()) + 1
    order = np.lexsort((np.nan_to_num(receivers.along_km), cell))
    size = np.bincount(cell, minlength=count)
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    return CableCells(cell, order[starts + size // 2], size)


def make_seed_picks(time_s: F64, slot: I64, cells: CableCells, gap_s: float) -> SeedPicks:
    """Line up the picks of neighbouring channels.

    Within a cell and phase, picks follow each other in a run while the gaps stay below `gap_s`; a run
    that covers enough of the cell's channels is one seed pick at its median time. Picks of
    seismometers are seed picks as they are.

    `time_s` (picks,); `slot` (picks,).
    """
    cell_slot = 2 * cells.cell[slot >> 1] + (slot & 1)
    order = np.lexsort((time_s, cell_slot))
    t, s = time_s[order], cell_slot[order]
    if len(t) == 0:
        return SeedPicks(t, s, order)
    alone = cells.size[s >> 1] == 1
    starts_run = np.ones(len(t), dtype=bool)
    starts_run[1:] = (s[1:] != s[:-1]) | (t[1:] - t[:-1] > gap_s) | alone[1:]
    first = np.flatnonzero(starts_run)
    count = np.diff(np.append(first, len(t)))
    needed = np.where(alone[first], 1, np.maximum(3, np.ceil(_MIN_FILL * cells.size[s[first] >> 1])))
    good = count >= needed
    middle = first[good] + (count[good] - 1) // 2
    times, slots = t[middle], s[middle]
    by_time = np.lexsort((slots, times))
    number = np.full(len(first), -1, dtype=np.int64)
    number[np.flatnonzero(good)[by_time]] = np.arange(len(by_time))
    members = np.empty(len(order), dtype=np.int64)
    members[order] = np.repeat(number, count)
    return SeedPicks(times[by_time], slots[by_time], members)
