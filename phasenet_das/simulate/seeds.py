"""Random streams named by what they are for, so that no order of computing can change a number."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """Make the random stream that belongs to one purpose and one place in a simulation."""
    key = np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), *index])
    return np.random.Generator(np.random.SFC64(key))
