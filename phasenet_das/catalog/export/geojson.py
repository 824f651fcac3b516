"""Events and cables as GeoJSON (RFC 7946), for maps on the web and in geographic information systems."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from phasenet_das.catalog.export.common import PreparedCatalog
from phasenet_das.catalog.quality import describe_event
from phasenet_das.tables import atomic_path
from phasenet_das.tables.columns import located
from phasenet_das.text import records

_POSITION = ("longitude", "latitude")


def write_geojson(catalog: PreparedCatalog, path: Path) -> Path:
    """Write a feature collection: a point for each event, a line for each cable.

    An event without coordinates has no geometry, as the format allows. Unknown numbers are null.
    """
    features = [_event(row) for row in records(catalog.events)]
    if catalog.channels is not None:
        features += _receivers(catalog.channels)
    collection: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if catalog.metadata:
        collection["metadata"] = dict(catalog.metadata)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(collection, indent=1, allow_nan=False, default=str) + "\n")
    return path


def _event(row: dict[str, Any]) -> dict[str, Any]:
    geometry = None
    if located(row):
        geometry = {"type": "Point", "coordinates": [round(row[name], 6) for name in _POSITION]}
    properties = {name: _plain(value) for name, value in row.items() if name not in _POSITION}
    return {
        "type": "Feature",
        "id": row["event_id"],
        "geometry": geometry,
        "properties": {"kind": "event", "description": describe_event(row), **properties},
    }


def _receivers(channels: pd.DataFrame) -> list[dict[str, Any]]:
    """Draw each cable as a line in the order of its channels, each seismometer as a point."""
    placed = channels[channels[list(_POSITION)].notna().all(axis=1)].sort_values("channel_index")
    features = []
    for (station, single), group in placed.groupby(["station_id", placed["channel_index"] == -1]):
        points = group[list(_POSITION)].round(6).to_numpy().tolist()
        kind = "Point" if single or len(points) < 2 else "LineString"
        properties: dict[str, Any] = {"kind": "seismometer" if single else "cable", "station_id": station}
        if not single:
            properties["num_channels"] = len(group)
        geometry = {"type": kind, "coordinates": points[0] if kind == "Point" else points}
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    return features


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a table holds
    if isinstance(value, pd.Timestamp):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value
