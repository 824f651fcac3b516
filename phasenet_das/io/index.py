"""A table of what many files say about themselves: kept on disk, and each new or changed file opened once."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from phasenet_das.errors import DataFormatError, PhaseNetDASError
from phasenet_das.io.files import FileEntry, content_key, list_files, looks_like_das
from phasenet_das.io.formats import NoRecordingError, read_headers
from phasenet_das.io.formats.axes import BROKEN_FILE
from phasenet_das.io.recording import Recording
from phasenet_das.tables import atomic_path

log = logging.getLogger(__name__)

INDEX_NAME = "continuous-index.parquet"
NO_TIME = np.iinfo(np.int64).min  # numpy's NaT
_VERSION = 3
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
    "dt_s": "float64",
    "num_samples": "int64",
    "geometry": "str",
    "unit": "str",
    "gauge_length_m": "float64",
    "set_back": "bool",
    "note": "str",
}
UNKNOWN: dict[str, Any] = {
    "part": 0,
    "reason": "",
    "station_id": "",
    "start_ns": NO_TIME,
    "start_found": "",
    "dt_s": np.nan,
    "num_samples": 0,
    "geometry": "",
    "unit": "",
    "gauge_length_m": np.nan,
    "set_back": False,
    "note": "",
}
Row: TypeAlias = dict[str, Any]
_SAVE_EVERY_S = 60.0
_BEING_WRITTEN = ("unable to lock", "open for write", "consistency flags", "SWMR")


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


def geometry_of(recording: Recording) -> Geometry:
    """Take the channels of a recording as its source gives them."""
    return Geometry(
        recording.num_channels,
        recording.channel_index if recording.numbered else None,
        None if np.isnan(recording.distance_m).all() else recording.distance_m,
        None if np.isnan(recording.dx_m) else recording.dx_m,
    )


def describe_rows(recordings: Iterable[Recording], geometries: dict[str, Geometry]) -> list[Row]:
    """Write down what recordings of one source say, and note their geometries."""
    rows = []
    for part, recording in enumerate(recordings):
        geometry = geometry_of(recording)
        name = geometry_name(geometry)
        geometries.setdefault(name, geometry)
        rows.append(
            {
                "part": part,
                "station_id": recording.station_id,
                "start_ns": recording.start_ns,
                "start_found": recording.start_found,
                "dt_s": recording.dt_s,
                "num_samples": recording.num_samples,
                "geometry": name,
                "unit": recording.unit,
                "gauge_length_m": recording.gauge_length_m,
                "set_back": recording.set_back,
                "note": " ".join(recording.warnings),
            }
        )
    return rows


def index_of_recordings(opened: Mapping[str, list[Recording]]) -> Index:
    """Make an index of recordings that are open, by the label of their source."""
    geometries: dict[str, Geometry] = {}
    rows = [
        {**UNKNOWN, "path": label, "size": 0, "mtime_ns": 0, "key": label, "status": "ok", **row}
        for label, found in opened.items()
        for row in describe_rows(found, geometries)
    ]
    return Index(make_rows(rows), geometries)


def join_indexes(one: Index, other: Index) -> Index:
    """Join two indexes of different sources."""
    rows = pd.concat([one.rows, other.rows], ignore_index=True)
    return Index(make_rows(rows), {**one.geometries, **other.geometries}, one.report)


def update_index(
    inputs: Iterable[str | Path], folder: Path | None = None, *, strict: bool = False, progress: bool = False
) -> Index:
    """Bring an index up to date with the files, opening only those that are new or have changed."""
    listed = list_files(inputs)
    if folder is not None:
        own = Path(folder).resolve()
        listed = [item for item in listed if not _inside(item.path, own)]
    old, rebuilt = read_index(folder)
    scan = _Scan(old, listed, folder, strict)
    scan.run(progress)
    return scan.result(rebuilt)


def _inside(path: str, folder: Path) -> bool:
    """Say whether a path is the folder of the index, or the index itself."""
    name = os.path.basename(path)  # noqa: PTH119 - of many thousand files
    if name not in (INDEX_NAME, folder.name):
        return False
    return folder in (Path(path).resolve(), Path(path).resolve().parent)


class _Scan:
    """One comparison of the files with the index."""

    def __init__(self, old: Index, listed: list[FileEntry], folder: Path | None, strict: bool) -> None:
        self._old, self._listed, self._folder, self._strict = old, listed, folder, strict
        self._geometries: dict[str, Geometry] = dict(old.geometries)
        self._rows: list[Row] = []
        self._touched: dict[str, int] = {}
        self._opened = 0
        first = old.rows.drop_duplicates("path")
        columns = (first[name].tolist() for name in ("path", "size", "mtime_ns", "key", "status"))
        self._known = {path: rest for path, *rest in zip(*columns, strict=True)}
        self._to_open = [item for item in listed if not item.reason and not self._is_unchanged(item)]
        self._saved_at = time.monotonic()

    def _is_unchanged(self, item: FileEntry) -> bool:
        known = self._known.get(item.path)
        return known is not None and known[:2] == [item.size, item.mtime_ns] and known[3] != "unreadable"

    def run(self, progress: bool) -> None:
        """Open the files that are new or have changed, and write the index now and then."""
        from tqdm import tqdm

        hidden = None if progress else True  # None: where nobody looks on
        for item in tqdm(self._to_open, desc="index", unit="file", disable=hidden, leave=False):
            self._look_at(item)
            if self._folder is not None and time.monotonic() - self._saved_at > _SAVE_EVERY_S:
                write_index(self._everything(), self._folder)
                self._saved_at = time.monotonic()
        if self._folder is not None and (self._rows or self._touched or self._vanished):
            write_index(self._everything(), self._folder)

    def _look_at(self, item: FileEntry) -> None:
        known = self._known.get(item.path)
        try:
            key = content_key(item.path, item.size) if item.size else ""
        except OSError:
            key = ""
        if known and known[0] == item.size and known[2] == key != "" and known[3] != "unreadable":
            self._touched[item.path] = item.mtime_ns
            return
        self._opened += 1
        self._rows += self._open(item, key)

    def _open(self, item: FileEntry, key: str) -> list[Row]:
        base = {**UNKNOWN, "path": item.path, "size": item.size, "mtime_ns": item.mtime_ns, "key": key}
        try:
            found = read_headers(item.path)
            if _size(item) != item.size:
                raise DataFormatError(f"{item.path}: is still being written: it grew while it was read.")
            return [{**base, "status": "ok", **row} for row in describe_rows(found, self._geometries)]
        except NoRecordingError as error:
            status = "unreadable" if looks_like_das(item.path) else "skipped"
            if self._strict and status == "unreadable":
                raise
            return [{**base, "status": status, "reason": str(error)}]
        except (PhaseNetDASError, *BROKEN_FILE) as error:
            reason = _reason(item.path, error)
            if self._strict:
                raise error if isinstance(error, PhaseNetDASError) else DataFormatError(reason) from error
            return [{**base, "status": "unreadable", "reason": reason}]

    @cached_property
    def _vanished(self) -> set[str]:
        here = {item.path for item in self._listed}
        return {path for path in self._known if path not in here and not Path(path).exists()}

    def _everything(self) -> Index:
        """Join what was known and is still there with what was found."""
        dropped = self._vanished | {row["path"] for row in self._rows}
        kept = self._old.rows[~self._old.rows["path"].isin(dropped)].copy() if dropped else self._old.rows
        if self._touched:
            kept = kept.copy()
            changed = kept["path"].map(self._touched)
            kept["mtime_ns"] = changed.fillna(kept["mtime_ns"]).where(changed.notna(), kept["mtime_ns"])
        rows = pd.concat([kept, make_rows(self._rows)], ignore_index=True) if self._rows else kept
        return Index(make_rows(rows), self._geometries)

    def result(self, rebuilt: bool) -> Index:
        """Give the rows of the files that were asked for, and count what was found."""
        everything = self._everything()
        asked = {item.path for item in self._listed if not item.reason}
        skipped = [{**UNKNOWN, **_skipped_row(item)} for item in self._listed if item.reason]
        rows = everything.rows[everything.rows["path"].isin(asked)]
        if skipped:
            rows = pd.concat([rows, make_rows(skipped)], ignore_index=True)
        rows = rows.sort_values(["path", "part"], kind="stable", ignore_index=True)
        new = sum(item.path not in self._known for item in self._to_open)
        report = ScanReport(
            new=new,
            changed=len(self._to_open) - new,
            vanished=len(self._vanished),
            unchanged=len(asked) - len(self._to_open),
            opened=self._opened,
            rebuilt=rebuilt,
        )
        log.info("index: %s", report)
        return Index(make_rows(rows), everything.geometries, report)


def _skipped_row(item: FileEntry) -> Row:
    return {
        "path": item.path,
        "size": item.size,
        "mtime_ns": item.mtime_ns,
        "key": "",
        "status": "skipped",
        "reason": item.reason,
    }


def _size(item: FileEntry) -> int:
    try:
        return os.stat(item.path).st_size  # noqa: PTH116 - of many thousand files
    except OSError:
        return item.size  # a pseudo-path, or gone: then the reader has said so


def _reason(path: str, error: Exception) -> str:
    text = str(error) or type(error).__name__
    if any(word in text for word in _BEING_WRITTEN):
        return f"{path}: is still being written, or was not closed by its writer ({text})."
    return text if path in text else f"{path}: cannot be read ({type(error).__name__}: {text})."
