"""The pick, event, channel and coverage tables: columns, types, reading and writing.

Names follow PhaseNet and QuakeFlow, so that the tables join theirs. In memory: ``str`` and
``datetime64[ns, UTC]``; on disk: Parquet with dictionary-encoded strings, or CSV.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from phasenet_das.errors import OutputError, TableError
from phasenet_das.tables.columns import (
    COVERAGE_COLUMNS,
    EVENT_COLUMNS,
    GROUP_COLUMNS,
    PICK_COLUMNS,
    TEXT_COLUMNS,
    conform,
    empty_picks,
    require_columns,
)
from phasenet_das.tables.ids import drop_repeated, make_pick_ids
from phasenet_das.tables.names import check_output, check_table_name

log = logging.getLogger(__name__)

_UNKNOWN: dict[str, Any] = {
    "pick_id": -1,
    "channel_index": -1,
    "distance_m": np.nan,
    "phase_score": np.nan,
    "phase_amplitude": np.nan,
    "event_index": -1,
    "association_score": np.nan,
    "travel_time_residual_s": np.nan,
}
# Columns that event tables of earlier versions lack, and their value there.
_ADDED_TO_EVENTS: dict[str, Any] = {"num_renamed": 0, "quality": ""}
_METADATA_KEY = b"phasenet_das"
_PICKS_NEED = ("station_id", "channel_index", "phase_time", "phase_type", "phase_score")
_CSV_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that replaces it only when the block ends well.

    Parameters
    ----------
    path : str or pathlib.Path
        The file to write; its folder is made when missing.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    OutputError
        No file can be written at `path`.
    """
    path = check_output(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    except OSError as error:
        raise OutputError(
            f"{path}: no file can be made there ({error.strerror}). Choose another folder."
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(table: pd.DataFrame, path: str | Path, metadata: Mapping[str, Any] | None = None) -> Path:
    """Write a table whole or not at all, as Parquet or CSV by the file's ending.

    Parameters
    ----------
    table : pandas.DataFrame
        Any table of this module.
    path : str or pathlib.Path
        Ends in ``.parquet`` or ``.csv``.
    metadata : mapping, optional
        Provenance (see :func:`phasenet_das.tables.provenance.provenance`). Parquet keeps it inside the
        file; beside a CSV it becomes ``NAME.csv.json``.

    Raises
    ------
    TableError
        The ending is neither ``.parquet`` nor ``.csv``.
    """
    path = check_table_name(path)
    if path.suffix == ".parquet":
        with atomic_path(path) as temporary:
            pq.write_table(to_arrow(table, metadata), temporary, compression="zstd")
        return path
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, date_format=_CSV_TIME)
    if metadata is not None:
        write_sidecar(path, metadata)
    return path


def write_sidecar(path: Path, metadata: Mapping[str, Any]) -> None:
    """Write the provenance of a CSV table beside it."""
    with atomic_path(path.with_suffix(".csv.json")) as temporary:
        temporary.write_text(_metadata_text(metadata) + "\n")


def to_arrow(table: pd.DataFrame, metadata: Mapping[str, Any] | None = None) -> pa.Table:
    """Encode a table as it is written to Parquet: words as dictionaries, provenance in the schema.

    Returns
    -------
    pyarrow.Table
        Tables of equal columns have equal schemas.
    """
    bare = table.copy(deep=False)
    bare.attrs = {}  # pandas would write them too, and cannot write times
    arrow = pa.Table.from_pandas(bare, preserve_index=False)
    text = _metadata_text(metadata or {})
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), _METADATA_KEY: text.encode()})
    for position, field in enumerate(arrow.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            encoded = arrow.column(position).cast(pa.string()).dictionary_encode()
            arrow = arrow.set_column(position, field.name, encoded)
    return arrow


def _metadata_text(metadata: Mapping[str, Any]) -> str:
    return json.dumps(dict(metadata), sort_keys=True, default=str)


class PickWriter:
    """Writes a pick table piece by piece, so that it need not fit in memory; whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        Where to write, as given by :func:`atomic_path`; ends in ``.parquet`` or ``.csv``.
    metadata : mapping
        Provenance; for a CSV table :func:`write_sidecar` writes it.
    """

    def __init__(self, path: Path, metadata: Mapping[str, Any]) -> None:
        self._path, self._metadata = path, metadata
        self._parquet: pq.ParquetWriter | None = None
        self.rows = 0

    def write(self, table: pd.DataFrame) -> None:
        """Append rows, with the columns of those before."""
        if self._path.suffix == ".parquet":
            arrow = to_arrow(table, self._metadata)
            if self._parquet is None:
                self._parquet = pq.ParquetWriter(self._path, arrow.schema, compression="zstd")
            self._parquet.write_table(arrow)
        else:
            first = self.rows == 0
            with self._path.open("w" if first else "a") as file:
                table.to_csv(file, index=False, header=first, date_format=_CSV_TIME)
        self.rows += len(table)

    def close(self) -> None:
        """Finish the file; an empty table when nothing was written."""
        if self.rows == 0:
            self.write(empty_picks())
        if self._parquet is not None:
            self._parquet.close()


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Read the provenance that :func:`write_table` stored with a table.

    Returns
    -------
    dict
        Empty when the file carries none.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        raw = (pq.read_schema(path).metadata or {}).get(_METADATA_KEY)
        return dict(json.loads(raw)) if raw else {}
    sidecar = path.with_suffix(path.suffix + ".json")
    return dict(json.loads(sidecar.read_text())) if sidecar.exists() else {}


def fill_text(column: pd.Series, empty: str = "") -> pd.Series:
    """Fill the holes of a column of words, which CSV reads as NaN."""
    return column.astype("object").where(column.notna(), empty).astype("str")


def read_csv(path: str | Path, *, skip_rows: int = 0, text: Iterable[str] = ()) -> pd.DataFrame:
    """Read a CSV table; columns of words, and those of `text`, stay words: a cable may be named 007 or NA.

    `skip_rows` counts rows below the header, such as a row of units.
    """
    from gamma.picks import read_csv as read_with_words

    try:
        table = read_with_words(path, {*TEXT_COLUMNS, *text}, skip_rows)
    except FileNotFoundError as error:
        raise TableError(f"{path}: no such file.") from error
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        _refuse_other_separators(path, _first_line(path))
        raise TableError(f"{path}: cannot be read as a table ({error}). Expected Parquet or CSV.") from error
    if len(table.columns) == 1:
        _refuse_other_separators(path, str(table.columns[0]))
    return table


def _first_line(path: str | Path) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            line = file.readline()
    except (OSError, UnicodeDecodeError):
        return ""
    return "" if "," in line else line.rstrip("\r\n")


def _refuse_other_separators(path: str | Path, header: str) -> None:
    """Refuse a header of one field that holds semicolons or tabs."""
    for sign, code, name in ((";", ";", "semicolons"), ("\t", "\\t", "tabs")):
        if sign in header:
            raise TableError(
                f"{path}: found {name} between the columns, expected commas between columns and points in "
                f"numbers. Convert it: table = pandas.read_csv('{path}', sep='{code}', decimal=','), then "
                "phasenet_das.write_table(table, 'converted.csv')."
            )


def read_table(path: str | Path, *, skip_rows: int = 0, text: Iterable[str] = ()) -> pd.DataFrame:
    """Read a Parquet or CSV table as it is; a name that does not end in ``.parquet`` is one of CSV."""
    path = Path(path)
    if path.suffix != ".parquet":
        return read_csv(path, skip_rows=skip_rows, text=text)
    if not path.exists():
        raise TableError(f"{path}: no such file.")
    try:
        return pq.read_table(path).to_pandas(strings_to_categorical=False, ignore_metadata=False)
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"{path}: cannot be read as a table ({error}). Expected Parquet or CSV.") from error


def read_picks(path: str | Path, station_id: str | None = None) -> pd.DataFrame:
    """Read a pick table (Parquet or CSV).

    Parameters
    ----------
    path : str or pathlib.Path
        A file with at least ``station_id, channel_index, phase_time, phase_type, phase_score``.
        What else the contract names is filled with "unknown" (NaN, -1), ``pick_id`` must be there
        or is made from the time in nanoseconds. The CSV of PhaseNet is read too: its stations are
        seismometers.
    station_id : str, optional
        Name of the cable where the file does not say it, as that of PhaseNet-DAS does not.

    Returns
    -------
    pandas.DataFrame
        Columns and types of ``PICK_COLUMNS``; further columns pass through.

    Raises
    ------
    TableError
        The file is not a table, a column is missing or a value does not fit.
    """
    table = read_table(path)
    if station_id is not None:
        named = "station_id" in table.columns
        table["station_id"] = table["station_id"].fillna(station_id) if named else station_id
    if _is_of_phasenet(table):
        table = table.rename(columns={"phase_amp": "phase_amplitude"})
        table = table.assign(channel_index=-1, phase_type=table["phase_type"].str.upper())
    require_columns(table, _PICKS_NEED, str(path))
    return complete_picks(table, str(path))


def _is_of_phasenet(table: pd.DataFrame) -> bool:
    """Say whether picks are those that PhaseNet writes of seismometers, which have no channel."""
    return "channel_index" not in table.columns and {"phase_index", "station_id", "phase_type"} <= set(table)


def complete_picks(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Fill columns that a pick table lacks with "unknown" (NaN, -1), and make ids where it has none."""
    identified = "pick_id" in table.columns
    lacking = {column: value for column, value in _UNKNOWN.items() if column not in table.columns}
    table = table.assign(**lacking)
    table["event_index"] = table["event_index"].fillna(-1)
    if "group_index" in table.columns:
        table["group_index"] = table["group_index"].fillna(-1).astype("int64")
    if "associated_phase" in table.columns:
        table["associated_phase"] = fill_text(table["associated_phase"])
    made = conform(table, PICK_COLUMNS, name)
    if not identified:
        made["pick_id"] = make_pick_ids(
            made["station_id"].to_numpy(dtype=str),
            made["channel_index"].to_numpy(),
            made["phase_type"].to_numpy(dtype=str),
            made["phase_time"].astype("int64").to_numpy(),
        )
    return made


def read_pick_tables(paths: Iterable[str | Path], station_id: str | None = None) -> pd.DataFrame:
    """Read pick tables into one, each pick once.

    Returns
    -------
    pandas.DataFrame
        Columns and types of ``PICK_COLUMNS``; a pick that overlapping files hold stays only where it comes
        first.

    Raises
    ------
    TableError
        A file cannot be read or lacks a column, or one ``pick_id`` names different picks.
    """
    tables = {str(path): read_picks(path, station_id) for path in paths}
    if not tables:
        raise TableError("no pick tables: found an empty list, expected one file or more.")
    return drop_repeated(tables)


def read_events(path: str | Path) -> pd.DataFrame:
    """Read an event table (Parquet or CSV) as written by this package.

    Returns
    -------
    pandas.DataFrame
        Columns and types of ``EVENT_COLUMNS``; further columns (``magnitude``) pass through. In tables of
        earlier versions, ``quality`` is empty and ``num_renamed`` is 0.

    Raises
    ------
    TableError
        The file is not a table, a column is missing or a value does not fit.
    """
    table = _read_words(path, "quality", "location_quality")
    lacking = {name: value for name, value in _ADDED_TO_EVENTS.items() if name not in table.columns}
    return conform(table.assign(**lacking), EVENT_COLUMNS, str(path))


def read_groups(path: str | Path) -> pd.DataFrame:
    """Read a table of groups of picks without a location (Parquet or CSV).

    Returns
    -------
    pandas.DataFrame
        Columns and types of ``GROUP_COLUMNS``; further columns pass through.

    Raises
    ------
    TableError
        The file is not a table, a column is missing or a value does not fit.
    """
    return conform(_read_words(path, "reason"), GROUP_COLUMNS, str(path))


def read_coverage(path: str | Path) -> pd.DataFrame:
    """Read a coverage table (Parquet or CSV): what was examined, and what was left out and why.

    Returns
    -------
    pandas.DataFrame
        Columns and types of ``COVERAGE_COLUMNS``; times are NaT for what could not be read.

    Raises
    ------
    TableError
        The file is not a table, a column is missing or a value does not fit.
    """
    return conform(_read_words(path, "station_id", "reason", "source"), COVERAGE_COLUMNS, str(path))


def _read_words(path: str | Path, *names: str) -> pd.DataFrame:
    """Read a table, and fill the holes of columns of words, which CSV does not tell from empty words."""
    table = read_table(path)
    return table.assign(**{name: fill_text(table[name]) for name in names if name in table.columns})


def pick_tables(folder: str | Path) -> list[Path]:
    """List the pick tables of a catalog's folder: ``picks.parquet``, or one table a day."""
    folder = Path(folder)
    return list(folder.glob("picks.parquet")) or sorted((folder / "picks").glob("*.parquet"))


def read_catalog(folder: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the events and picks of a folder that associate, watch or the workflow has written.

    Parameters
    ----------
    folder : str or pathlib.Path
        Holds ``events.parquet``, and ``picks.parquet`` or the tables of a folder ``picks``.

    Returns
    -------
    events, picks : pandas.DataFrame
        As :func:`read_events` and :func:`read_pick_tables` return them.

    Raises
    ------
    TableError
        The folder holds no events or no picks, or a table cannot be used.
    """
    folder, picks = Path(folder), pick_tables(folder)
    held = {"events": (folder / "events.parquet").exists(), "picks": bool(picks)}
    missing = [name for name, there in held.items() if not there]
    if missing:
        raise TableError(
            f"{folder} holds no {missing[0]}.parquet. Make it with: phasenet-das associate "
            f"{' '.join(map(str, picks[:3])) or 'picks.parquet'} --channels channels.csv -o {folder}"
        )
    events, table = read_events(folder / "events.parquet"), read_pick_tables(picks)
    bare = ~events["event_index"].isin(table["event_index"])
    if bare.any():
        log.warning("%s: %d of %d events have no pick in the pick table", folder, bare.sum(), len(events))
    return events, table
