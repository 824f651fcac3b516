"""Where channels lie along the cable for a network that sees neighbours: rows of a picture, and its holes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Section", "split_sections"]


@dataclass(frozen=True)
class Section:
    """Channels that a network may see together.

    Attributes
    ----------
    rows : numpy.ndarray, shape (n,), int64
        Rows of the data, in the order of the cable.
    positions : numpy.ndarray, shape (n,), int64
        Absolute positions of these rows, increasing; positions that no row has are holes.
    """

    rows: np.ndarray
    positions: np.ndarray

    @property
    def extent(self) -> tuple[int, int]:
        """First position, and how many there are with the holes."""
        return int(self.positions[0]), int(self.positions[-1] - self.positions[0]) + 1

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


def split_sections(numbers: np.ndarray, widest_hole: int) -> list[Section]:
    """Lay channels out by their numbers, and part them where a hole is too wide to see across.

    Parameters
    ----------
    numbers : numpy.ndarray, shape (n,), int64
        Distinct channel numbers, increasing. Where every second or tenth was kept, these are neighbours.
    widest_hole : int
        Missing positions that do not part a section.

    Returns
    -------
    list of Section
        In the order of the cable; none without channels.
    """
    if len(numbers) == 0:
        return []
    step = max(1, int(np.gcd.reduce(np.diff(numbers)))) if len(numbers) > 1 else 1
    positions = np.asarray(numbers, dtype=np.int64) // step
    cuts = np.nonzero(np.diff(positions) > widest_hole + 1)[0] + 1
    return [Section(rows, positions[rows]) for rows in np.split(np.arange(len(positions)), cuts)]
