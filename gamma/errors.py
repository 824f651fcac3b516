"""Typed errors of the associator: each is also a builtin, and says how to mend what it found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["ConfigError", "GammaError", "PickError", "StationError", "nearest_name"]


_ALIKE = 0.6


class GammaError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(ValueError, GammaError):
    """A setting is unknown, out of range, or contradicts another."""


class PickError(ValueError, GammaError):
    """The pick table lacks columns or holds values that cannot be used."""


class StationError(ValueError, GammaError):
    """The station table lacks columns or coordinates, or names a receiver twice."""


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Say which known name an unknown one was probably meant to be.

    Parameters
    ----------
    name : str
        The unknown name.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        ``" Did you mean 'x'?"`` when a name is close, else the list of known names.
    """
    names = sorted(known)
    close = [item for item in difflib.get_close_matches(name, names, n=3, cutoff=0.6) if _alike(name, item)]
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Known: {', '.join(names)}."


def _alike(name: str, other: str) -> bool:
    """Say whether names are alike in more than the words with which both end, such as ``_index``."""
    one, two = name.lower().split("_"), other.lower().split("_")
    while len(one) > 1 and len(two) > 1 and one[-1] == two[-1]:
        one, two = one[:-1], two[:-1]
    return difflib.SequenceMatcher(None, "_".join(one), "_".join(two)).ratio() >= _ALIKE
