"""Bring the index up to date with the files, opening each new or changed one once."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from phasenet_das.errors import DataFormatError, PhaseNetDASError
from phasenet_das.io.arrays import BROKEN_FILE
from phasenet_das.io.headers import read_headers
from phasenet_das.io.index import (
    INDEX_NAME,
    NO_TIME,
    UNKNOWN,
    Geometry,
    Index,
    Row,
    ScanReport,
    geometry_name,
    make_rows,
    read_index,
    write_index,
)
from phasenet_das.io.listing import Listed, content_key, list_files, looks_like_das
from phasenet_das.io.opened import Opened
from phasenet_das.io.read import NoRecordingError
from phasenet_das.io.recording import gauge_length_of

log = logging.getLogger(__name__)

_SAVE_EVERY_S = 60.0
_BEING_WRITTEN = ("unable to lock", "open for write", "consistency flags", "SWMR")


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

    def __init__(self, old: Index, listed: list[Listed], folder: Path | None, strict: bool) -> None:
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

    def _is_unchanged(self, item: Listed) -> bool:
        known = self._known.get(item.path)
        return known is not None and known[:2] == [item.size, item.mtime_ns] and known[3] != "unreadable"

    def run(self, progress: bool) -> None:
        """Open the files that are new or have changed, and write the index now and then."""
        from tqdm import tqdm

        for item in tqdm(self._to_open, desc="index", unit="file", disable=not progress, leave=False):
            self._look_at(item)
            if self._folder is not None and time.monotonic() - self._saved_at > _SAVE_EVERY_S:
                write_index(self._everything(), self._folder)
                self._saved_at = time.monotonic()
        if self._folder is not None and (self._rows or self._touched or self._vanished):
            write_index(self._everything(), self._folder)

    def _look_at(self, item: Listed) -> None:
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

    def _open(self, item: Listed, key: str) -> list[Row]:
        base = {**UNKNOWN, "path": item.path, "size": item.size, "mtime_ns": item.mtime_ns, "key": key}
        try:
            found = read_headers(item.path)
            if _size(item) != item.size:
                raise DataFormatError(f"{item.path}: is still being written: it grew while it was read.")
            return [{**base, "status": "ok", **self._row(part, record)} for part, record in enumerate(found)]
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

    def _row(self, part: int, record: Opened) -> Row:
        start = record.start_time
        geometry = Geometry(record.shape[0], record.channel_index, record.distance_m, record.dx_m)
        name = geometry_name(geometry)
        self._geometries.setdefault(name, geometry)
        return {
            "part": part,
            "station_id": record.station_id,
            "start_ns": NO_TIME if start is None else int(start.astype("datetime64[ns]").astype(np.int64)),
            "start_found": record.start_found,
            "start_believed": record.start_believed,
            "dt_s": np.nan if record.dt_s is None else float(record.dt_s),
            "num_samples": record.shape[1],
            "geometry": name,
            "unit": record.unit,
            "gauge_length_m": gauge_length_of(record.attrs),
            "note": " ".join(record.warnings),
        }

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


def _skipped_row(item: Listed) -> Row:
    return {
        "path": item.path,
        "size": item.size,
        "mtime_ns": item.mtime_ns,
        "key": "",
        "status": "skipped",
        "reason": item.reason,
    }


def _size(item: Listed) -> int:
    try:
        return os.stat(item.path).st_size  # noqa: PTH116 - of many thousand files
    except OSError:
        return item.size  # a pseudo-path, or gone: then the reader has said so


def _reason(path: str, error: Exception) -> str:
    text = str(error) or type(error).__name__
    if any(word in text for word in _BEING_WRITTEN):
        return f"{path}: is still being written, or was not closed by its writer ({text})."
    return text if path in text else f"{path}: cannot be read ({type(error).__name__}: {text})."
