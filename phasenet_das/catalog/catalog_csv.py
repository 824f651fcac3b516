"""The event table for people and spreadsheets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from phasenet_das.tables import EVENT_COLUMNS, conform, write_table

_FIRST = [
    "time",
    "latitude",
    "longitude",
    "depth_km",
    "magnitude",
    "location_quality",
    "time_uncertainty_s",
    "horizontal_uncertainty_km",
    "depth_uncertainty_km",
    "source_distance_km",
    "source_distance_uncertainty_km",
]
_LAST = ["event_index", "event_id"]
# Well below any uncertainty: 0.1 m, 0.1 ms.
_DECIMALS = {"latitude": 6, "longitude": 6, "magnitude": 2, "azimuthal_gap_deg": 1}


def write_catalog_csv(
    events: pd.DataFrame, path: str | Path, metadata: Mapping[str, Any] | None = None
) -> Path:
    """Write the events as CSV: time, place and size first, then uncertainties, counts and identifiers.

    Numbers are rounded far below their uncertainty (distances to 0.1 m, times to the microsecond).
    :func:`phasenet_das.tables.read_events` reads the file.

    Parameters
    ----------
    events : pandas.DataFrame
        Event table; further columns are kept.
    path : str or pathlib.Path
        Ends in ``.csv``.
    metadata : mapping, optional
        Provenance, written beside the file as ``NAME.csv.json``.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    TableError
        A column is missing, or the name does not end in ``.csv``.
    """
    table = conform(events, EVENT_COLUMNS, "events").sort_values("time", kind="stable")
    middle = [name for name in table.columns if name not in {*_FIRST, *_LAST}]
    table = table[[name for name in _FIRST if name in table.columns] + middle + _LAST]
    floats = [name for name in table.columns if pd.api.types.is_float_dtype(table[name])]
    return write_table(table.round({name: _DECIMALS.get(name, 4) for name in floats}), path, metadata)
