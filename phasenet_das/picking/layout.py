"""Where channels lie along the cable for a network that sees neighbours: rows of a picture, and its holes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Section:
    """Channels that a network may see together.

    Attributes
    ----------
    rows : numpy.ndarray, shape (n,), int64
        Rows of the data, in the order of the cable.
    positions : numpy.ndarray, shape (n,), int64
        Absolute positions of these rows, increasing; positions that no row has are holes.
    extent : tuple of int
        First position of the whole section, and how many there are with the holes. Rows that are not
        loaded belong to it.
    """

    rows: np.ndarray
    positions: np.ndarray
    extent: tuple[int, int]

    def between(self, start: int, end: int) -> slice:
        """Give the part of the section at some positions.

        Parameters
        ----------
        start, end : int
            Absolute positions, half open.

        Returns
        -------
        slice
            Into `rows` and `positions`.
        """
        low, high = np.searchsorted(self.positions, [start, end])
        return slice(int(low), int(high))

    def inside(self, first: int, end: int) -> np.ndarray:
        """Give the positions of those of its rows that lie in a range.

        Parameters
        ----------
        first, end : int
            Rows, half open.

        Returns
        -------
        numpy.ndarray, shape (n,), int64
            Increasing.
        """
        return self.positions[(self.rows >= first) & (self.rows < end)]


def neighbour_step(numbers: np.ndarray) -> int:
    """Give the distance of neighbours on a cable.

    `numbers` (n,) int64.
    """
    return max(1, int(np.gcd.reduce(np.diff(numbers)))) if len(numbers) > 1 else 1


def split_sections(
    numbers: np.ndarray, widest_hole: int, loaded: tuple[int, int] | None = None
) -> list[Section]:
    """Lay channels out by their numbers, and part them where a hole is too wide to see across.

    `numbers` (n,) int64.
    """
    if len(numbers) == 0:
        return []
    low, high = loaded or (0, len(numbers))
    positions = np.asarray(numbers, dtype=np.int64) // neighbour_step(numbers)
    cuts = np.nonzero(np.diff(positions) > widest_hole + 1)[0] + 1
    sections = []
    for part in np.split(np.arange(len(positions)), cuts):
        rows = part[(part >= low) & (part < high)]
        first, last = int(positions[part[0]]), int(positions[part[-1]])
        if len(rows):
            sections.append(Section(rows - low, positions[rows], (first, last - first + 1)))
    return sections
