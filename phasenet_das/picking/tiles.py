"""Cut a recording into overlapping tiles so that the scores equal those of the whole recording.

Tiles begin and end at absolute multiples of the network's total stride. A tile that ends inside the recording
reaches a halo beyond the core it is asked for; at the ends of the recording the network's own zero padding
takes over, as it would for the whole. So the scores of the cores are those of the whole recording.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from phasenet_das.errors import ConfigError


@dataclass(frozen=True)
class ChannelRun:
    """Channels that a network may see together."""

    rows: np.ndarray  # (n,) int64: rows of the data, in the order of the cable
    # (n,) int64: absolute positions of these rows, increasing; positions that no row has are holes
    positions: np.ndarray
    # first position of the whole run, and how many there are with the holes. Rows that are not loaded
    # belong to it
    extent: tuple[int, int]

    def between(self, start: int, end: int) -> slice:
        """Return the slice into `rows` and `positions` of some absolute positions, half open."""
        low, high = np.searchsorted(self.positions, [start, end])
        return slice(int(low), int(high))

    def inside(self, first: int, end: int) -> np.ndarray:
        """Return the positions of its rows that lie in a range, shape (n,), int64, increasing."""
        return self.positions[(self.rows >= first) & (self.rows < end)]

    def mirrored(self, times: int) -> ChannelRun:
        """Lay the run out as many times, each copy the mirror image of the one before."""
        first, count = self.extent
        place = self.positions - first
        copies = [count * copy + (count - 1 - place[::-1] if copy % 2 else place) for copy in range(times)]
        rows = [self.rows[::-1] if copy % 2 else self.rows for copy in range(times)]
        return ChannelRun(np.concatenate(rows), np.concatenate(copies), (0, count * times))


def neighbour_step(numbers: np.ndarray) -> int:
    """Give the distance of neighbours on a cable.

    `numbers` (n,) int64.
    """
    return max(1, int(np.gcd.reduce(np.diff(numbers)))) if len(numbers) > 1 else 1


def split_channels(
    numbers: np.ndarray, widest_hole: int, loaded: tuple[int, int] | None = None
) -> list[ChannelRun]:
    """Lay channels out by their numbers, and part them where a hole is too wide to see across.

    `numbers` (n,) int64.
    """
    if len(numbers) == 0:
        return []
    low, high = loaded or (0, len(numbers))
    positions = np.asarray(numbers, dtype=np.int64) // neighbour_step(numbers)
    cuts = np.nonzero(np.diff(positions) > widest_hole + 1)[0] + 1
    runs = []
    for part in np.split(np.arange(len(positions)), cuts):
        rows = part[(part >= low) & (part < high)]
        first, last = int(positions[part[0]]), int(positions[part[-1]])
        if len(rows):
            runs.append(ChannelRun(rows - low, positions[rows], (first, last - first + 1)))
    return runs


@dataclass(frozen=True)
class Tile:
    """A tile along one axis, in absolute numbers, half open; all but `core` are multiples of the stride."""

    start: int  # what the network sees
    end: int
    scored_start: int  # where scores are computed: the core and its context
    scored_end: int
    core_start: int  # what this tile answers for: the cores of all tiles are the recording, each sample once
    core_end: int

    @property
    def length(self) -> int:
        """How much the network sees."""
        return self.end - self.start

    @property
    def local(self) -> tuple[int, int]:
        """The scored part, counted from the start of the tile."""
        return self.scored_start - self.start, self.scored_end - self.start


def cut_tiles(
    first: int,
    count: int,
    *,
    tile: int,
    halo: int,
    stride: int,
    context: int = 0,
    recording: tuple[int, int] | None = None,
) -> list[Tile]:
    """Cut an axis into tiles of nearly equal cores."""
    context = -(-context // stride) * stride
    margin = halo + context
    room = tile // stride * stride - 2 * margin
    if room < stride:
        raise ConfigError(
            f"tile of {tile}: expected at least {2 * margin + stride}, two halos of {halo}, two contexts of "
            f"{context} and a core of {stride}."
        )
    whole = recording or (first, count)
    lowest, highest = whole[0] // stride * stride, -(-(whole[0] + whole[1]) // stride) * stride
    begin, end = first // stride * stride, -(-(first + count) // stride) * stride
    outer = max(lowest, begin - margin), min(highest, end + margin)
    length = outer[1] - outer[0] - 2 * margin
    number = max(1, -(-length // room))
    size = -(-length // number // stride) * stride
    inner = outer[0] + margin + size * np.arange(1, number)
    bounds = [begin, *inner.tolist(), end]
    return [
        Tile(
            max(lowest, low - margin),
            min(highest, high + margin),
            max(lowest, low - context),
            min(highest, high + context),
            max(first, low),
            min(first + count, high),
        )
        for low, high in itertools.pairwise(bounds)
    ]
