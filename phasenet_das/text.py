"""Numbers with their uncertainty, durations, runs of channels, and rows of tables, as words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_UNITS = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0))


def number(value: float, form: str, missing: str = "") -> str:
    """Write a number by a format such as ``.3f``; one that is not known by another word."""
    return format(value, form) if math.isfinite(value) else missing


def decimals(uncertainty: float) -> int:
    """Count the decimals that an uncertainty leaves meaningful: two significant digits of it.

    An unknown uncertainty leaves none.
    """
    if not math.isfinite(uncertainty):
        return 0
    if uncertainty <= 0:
        return 2
    return int(min(4, max(0, 1 - math.floor(math.log10(uncertainty)))))


def plus_minus(uncertainty: float, unit: str) -> str:
    """Write an uncertainty with two significant digits, or only the unit when it is unknown."""
    if not math.isfinite(uncertainty):
        return f" {unit}"
    return f" ± {uncertainty:.{decimals(uncertainty)}f} {unit}"


def coordinates(longitude: float, latitude: float, uncertainty_km: float = 0.0) -> str:
    """Write a position as people do, with the digits that its uncertainty leaves; 0: it is exact."""
    digits = min(decimals(uncertainty_km) + 2, 6)  # a hundredth of a degree is about a kilometre
    north, east = f"{abs(latitude):.{digits}f}°", f"{abs(longitude):.{digits}f}°"
    return f"{north} {'NS'[latitude < 0]}, {east} {'EW'[longitude < 0]}"


def duration(seconds: float, digits: int = 3) -> str:
    """Write a duration in the largest unit of which there are two or more."""
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            count = seconds / length
            return f"{count:,.0f} {unit}" if count >= 1000 else f"{count:.{digits}g} {unit}"
    return f"{seconds:.{digits}g} s"


def runs(numbers: np.ndarray, most: int = 8) -> str:
    """Write whole numbers as runs, such as ``3, 50-199``; of many runs the first."""
    unique = np.unique(numbers)
    found = np.split(unique, np.flatnonzero(np.diff(unique) > 1) + 1)
    text = [f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found[:most]]
    more = f" and {sum(map(len, found[most:]))} more" if len(found) > most else ""
    return ", ".join(text) + more


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def json_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON knows them: plain numbers, and null where nothing is known."""
    return [{name: _plain(value) for name, value in row.items()} for row in records(table)]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any cell
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.item() if hasattr(value, "item") else value
