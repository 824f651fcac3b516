"""Random streams named by what they are for, so that no order of computing can change a number."""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["generator"]


def generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """Make the random stream that belongs to one purpose and one place in a simulation.

    Parameters
    ----------
    seed : int
        Seed of the whole simulation, non-negative.
    purpose : str
        What the numbers are for, for example ``"noise"``.
    *index : int
        Which one of them (block, patch, event), non-negative.

    Returns
    -------
    numpy.random.Generator
        Equal arguments give equal numbers in any process, in any order.
    """
    key = np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), *index])
    return np.random.Generator(np.random.SFC64(key))
