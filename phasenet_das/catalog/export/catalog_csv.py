"""The event table for people and spreadsheets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from phasenet_das.catalog.export.common import PreparedCatalog
from phasenet_das.tables import write_table

_FIRST = [
    "time",
    "latitude",
    "longitude",
    "depth_km",
    "magnitude",
    "quality",
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


def write_catalog_csv(catalog: PreparedCatalog, path: Path) -> Path:
    """Write the events as CSV: time, place and size first, then uncertainties, counts and identifiers.

    Numbers are rounded far below their uncertainty, and ``magnitude`` is empty where there is none.
    ``read_events`` reads the file; provenance is beside it.
    """
    table = catalog.events
    if "magnitude" not in table.columns:
        table = table.assign(magnitude=np.nan)
    middle = [name for name in table.columns if name not in {*_FIRST, *_LAST}]
    table = table[[name for name in _FIRST if name in table.columns] + middle + _LAST]
    floats = [name for name in table.columns if pd.api.types.is_float_dtype(table[name])]
    rounded = table.round({name: _DECIMALS.get(name, 4) for name in floats})
    return write_table(rounded, path, catalog.metadata)
