"""Reference catalogs: our event tables, ComCat CSV and QuakeML, brought to one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.errors import TableError
from phasenet_das.tables.columns import to_times
from phasenet_das.tables.files import read_table

REFERENCE_COLUMNS = (
    "event_id",
    "time",
    "longitude",
    "latitude",
    "depth_km",
    "magnitude",
    "source_distance_km",
)
_OTHER_NAMES = {"id": "event_id", "depth": "depth_km", "mag": "magnitude"}
_QUAKEML = {".xml", ".qml", ".quakeml"}


def read_reference(path: str | Path) -> pd.DataFrame:
    """Read a catalog to compare with.

    Parameters
    ----------
    path : str or pathlib.Path
        An event table of this package (CSV or Parquet), a CSV as USGS ComCat gives it (``time, latitude,
        longitude, depth`` in km, ``mag, id``), or QuakeML (``.xml``, ``.qml``); of this package's, events
        without coordinates keep their time and distance.

    Returns
    -------
    pandas.DataFrame
        Columns ``event_id, time`` (UTC), ``longitude, latitude, depth_km, magnitude, source_distance_km``;
        what is not known is NaN. Sorted by time.

    Raises
    ------
    TableError
        The file does not exist, is not a catalog, or holds an event without a time.
    """
    path = Path(path)
    if not path.exists():
        raise TableError(f"{path}: no such file.")
    if path.suffix.lower() in _QUAKEML:
        table = _read_quakeml(path)
    elif path.suffix.lower() in {".csv", ".parquet"}:
        table = read_table(path)
        table = table.rename(
            columns={old: new for old, new in _OTHER_NAMES.items() if new not in table.columns}
        )
    else:
        raise TableError(f"{path}: expected .csv, .parquet, .xml or .qml, found '{path.suffix}'.")
    return _conform(table, path)


def _conform(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if "time" not in table.columns:
        raise TableError(f"{path}: missing column time. Found {', '.join(map(str, table.columns))}.")
    out = pd.DataFrame(index=range(len(table)))
    out["event_id"] = (
        table["event_id"].astype("str").to_numpy() if "event_id" in table.columns else out.index.astype("str")
    )
    try:
        times = to_times(table["time"])
        for name in REFERENCE_COLUMNS[2:]:
            known = name in table.columns
            out[name] = table[name].to_numpy(np.float64) if known else np.full(len(table), np.nan)
    except (ValueError, TypeError) as error:
        raise TableError(f"{path}: a value does not fit its column: {error}") from error
    if times.isna().any():
        raise TableError(f"{path}: {int(times.isna().sum())} event(s) without a time. Leave them out.")
    out["time"] = times.array
    return out[list(REFERENCE_COLUMNS)].sort_values("time", kind="stable", ignore_index=True)


def _read_quakeml(path: Path) -> pd.DataFrame:
    from obspy import read_events as read_obspy

    try:
        catalog = read_obspy(str(path))
    except (TypeError, ValueError, SyntaxError) as error:
        raise TableError(f"{path}: cannot be read as QuakeML ({error}).") from error
    return pd.DataFrame([_row(event) for event in catalog], columns=list(REFERENCE_COLUMNS))


def _row(event: Any) -> dict[str, Any]:  # noqa: ANN401 - an obspy Event
    from phasenet_das.catalog.obspy_events import unplaced_origin

    origin = event.preferred_origin() or (event.origins[0] if event.origins else None)
    magnitude = event.preferred_magnitude() or (event.magnitudes[0] if event.magnitudes else None)
    depth_m = getattr(origin, "depth", None)
    time, distance_km = None if origin is None else pd.Timestamp(origin.time.ns, unit="ns", tz="UTC"), np.nan
    if origin is None:  # QuakeML has no origin without coordinates; our own says in words what is known
        time, distance_km = unplaced_origin(event) or (None, np.nan)
    return {
        "event_id": str(event.resource_id).rsplit("/", 1)[-1],
        "time": time,
        "longitude": _number(getattr(origin, "longitude", None)),
        "latitude": _number(getattr(origin, "latitude", None)),
        "depth_km": _number(depth_m) / 1e3,
        "magnitude": _number(getattr(magnitude, "mag", None)),
        "source_distance_km": distance_km,
    }


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
