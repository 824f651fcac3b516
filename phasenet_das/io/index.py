"""A table of what many files say about themselves, and how it is kept on disk."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from phasenet_das.tables import atomic_path

log = logging.getLogger(__name__)

INDEX_NAME = "continuous-index.parquet"
NO_TIME = np.iinfo(np.int64).min  # numpy's NaT
_VERSION = 1
_METADATA_KEY = b"phasenet_das_index"
_COLUMNS: dict[str, str] = {
    "path": "str",
    "size": "int64",
    "mtime_ns": "int64",
    "key": "str",
    "part": "int32",
    "status": "str",
    "reason": "str",
    "station_id": "str",
    "start_ns": "int64",
    "start_found": "str",
    "start_believed": "bool",
    "dt_s": "float64",
    "num_samples": "int64",
    "geometry": "str",
    "unit": "str",
    "gauge_length_m": "float64",
    "note": "str",
}
UNKNOWN: dict[str, Any] = {
    "part": 0,
    "reason": "",
    "station_id": "",
    "start_ns": NO_TIME,
    "start_found": "",
    "start_believed": False,
    "dt_s": np.nan,
    "num_samples": 0,
    "geometry": "",
    "unit": "",
    "gauge_length_m": np.nan,
    "note": "",
}
Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Geometry:
    """The channels of a file as it gives them; None is what it does not say."""

    num_channels: int
    channel_index: np.ndarray | None = None
    distance_m: np.ndarray | None = None
    dx_m: float | None = None


@dataclass(frozen=True)
class ScanReport:
    """How the files compare with the index: numbers of files, and of those opened."""

    new: int = 0
    changed: int = 0
    vanished: int = 0
    unchanged: int = 0
    opened: int = 0
    rebuilt: bool = False


@dataclass(frozen=True)
class Index:
    """What files say about themselves.

    Attributes
    ----------
    rows : pandas.DataFrame
        One row for each recording of each file, by path: ``path, size, mtime_ns, key`` (content), ``part``
        (number of the recording in its file), ``status`` (``ok``, ``skipped``: no recording, or
        ``unreadable``), ``reason``, and of an ``ok`` row what the header says (``start_ns`` is
        ``NO_TIME`` and ``dt_s`` NaN when it does not).
    geometries : dict of str to Geometry
        What ``rows["geometry"]`` names.
    """

    rows: pd.DataFrame
    geometries: Mapping[str, Geometry]
    report: ScanReport = field(default_factory=ScanReport)


def make_rows(rows: Iterable[Row] | pd.DataFrame) -> pd.DataFrame:
    """Make a table of index rows, with the columns and types that :class:`Index` names."""
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows), columns=list(_COLUMNS))
    return table.astype(_COLUMNS)


def geometry_name(geometry: Geometry) -> str:
    """Digest a geometry into the name by which rows refer to it: 16 hexadecimal digits."""
    digest = hashlib.sha256(repr((geometry.num_channels, geometry.dx_m)).encode())
    for values in (geometry.channel_index, geometry.distance_m):
        digest.update(b"none" if values is None else np.asarray(values, dtype=np.float64).tobytes())
    return digest.hexdigest()[:16]


def read_index(folder: Path | None) -> tuple[Index, bool]:
    """Read an index, or start an empty one."""
    empty = Index(make_rows([]), {})
    path = None if folder is None else Path(folder) / INDEX_NAME
    if path is None or not path.exists():
        return empty, False
    try:
        table = pq.read_table(path)
        stored = json.loads((table.schema.metadata or {})[_METADATA_KEY])
        if stored["version"] != _VERSION:
            return empty, True
        geometries = {name: _unpack(value) for name, value in stored["geometries"].items()}
        rows = make_rows(table.to_pandas()[list(_COLUMNS)])
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, zlib.error) as error:
        log.warning("%s: damaged index (%s): it is rebuilt", path, error)
        return empty, True
    if not set(rows["geometry"]) - {""} <= set(geometries):
        log.warning("%s: the index lacks geometries: it is rebuilt", path)
        return empty, True
    return Index(rows, geometries), False


def write_index(index: Index, folder: Path) -> None:
    """Write an index whole or not at all; geometries that no row names are left out."""
    used = set(index.rows["geometry"])
    geometries = {name: _pack(value) for name, value in index.geometries.items() if name in used}
    text = json.dumps({"version": _VERSION, "geometries": geometries})
    table = pa.Table.from_pandas(index.rows, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _METADATA_KEY: text.encode()})
    with atomic_path(Path(folder) / INDEX_NAME) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _pack(geometry: Geometry) -> dict[str, Any]:
    arrays = {"channel_index": geometry.channel_index, "distance_m": geometry.distance_m}
    return {"num_channels": geometry.num_channels, "dx_m": geometry.dx_m} | {
        name: None if values is None else _encode(np.asarray(values)) for name, values in arrays.items()
    }


def _encode(values: np.ndarray) -> list[str]:
    return [values.dtype.str, base64.b64encode(zlib.compress(values.tobytes())).decode()]


def _unpack(stored: dict[str, Any]) -> Geometry:
    return Geometry(
        stored["num_channels"],
        _decode(stored["channel_index"]),
        _decode(stored["distance_m"]),
        stored["dx_m"],
    )


def _decode(stored: list[str] | None) -> np.ndarray | None:
    if stored is None:
        return None
    dtype, text = stored
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=dtype)
