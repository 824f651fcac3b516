"""Channel positions from any table: renamed columns, projected coordinates, or none at all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from gamma.errors import nearest_name
from phasenet_das.config import GeometrySettings
from phasenet_das.errors import ChannelGeometryError, TableError
from phasenet_das.tables.columns import CHANNEL_COLUMNS, TEXT_COLUMNS, conform, require_columns
from phasenet_das.tables.files import fill_text, read_table, write_table

log = logging.getLogger(__name__)

_OTHER_NAMES = {
    "channel": "channel_index", "index": "channel_index", "lon": "longitude", "lat": "latitude",
    "elev": "elevation_m", "elevation": "elevation_m",
}  # fmt: skip


def read_channels(
    path: str | Path,
    station_id: str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    crs: str | None = None,
    skip_rows: int = 0,
) -> pd.DataFrame:
    """Read a channel table: one row per receiver, with its coordinates.

    Parameters
    ----------
    path : str or pathlib.Path
        CSV or Parquet with ``channel_index``, ``longitude``, ``latitude``, ``elevation_m`` and optionally
        ``station_id``, ``distance_m``, ``status``. The names ``index``, ``channel``, ``lon``, ``lat``,
        ``elev`` and ``elevation`` are read too.
    station_id : str, optional
        Name of the cable when the file has no ``station_id`` column.
    columns : mapping of str to str, optional
        Names of columns in the file by our names. With ``x_m`` and ``y_m`` coordinates are projected.
    crs : str, optional
        Projection of ``x_m`` and ``y_m``, such as ``EPSG:32611``.
    skip_rows : int, optional
        Rows to skip below the header, such as a row of units.

    Returns
    -------
    pandas.DataFrame
        Columns and types of ``CHANNEL_COLUMNS``; unknown distance is NaN, ``status`` is ``ok``
        unless the file says otherwise.

    Raises
    ------
    ChannelGeometryError
        A receiver is named twice, `columns` names a column that the file lacks, the projection is missing, or
        the file has no station and none was given.
    TableError
        A column is missing or a value does not fit.
    """
    named = dict(columns or {})
    words = [named.get(name, name) for name in TEXT_COLUMNS]
    table = read_table(path, skip_rows=skip_rows, text=words)
    table = _renamed(table, named, path)
    if "longitude" not in table.columns and ({"x_m", "y_m"} & set(table.columns) or named):
        table = _unproject(table, path, crs)
    if "channel_index" in table.columns:  # before the columns that the file need not have are added
        require_columns(table, ("longitude", "latitude", "elevation_m"), str(path))
    if "station_id" not in table.columns:
        if station_id is None:
            raise ChannelGeometryError(
                f"{path}: no column station_id, and no cable name was given. Add the column, or say "
                "station_id= (--station-id) when all channels belong to one cable."
            )
        table["station_id"] = station_id
    if "channel_index" not in table.columns:
        raise TableError(
            f"{path}: missing column(s) channel_index. Expected a channel table. A table of seismometers has "
            "none: it is given with --stations (stations.path)."
        )
    if "distance_m" not in table.columns:
        table["distance_m"] = np.nan
    table["status"] = fill_text(table["status"], "ok") if "status" in table.columns else "ok"
    table = conform(table, CHANNEL_COLUMNS, str(path))
    refuse_repeated(table, str(path))
    return table


def read_stations(path: str | Path) -> pd.DataFrame:
    """Read the usable seismometers of a table.

    A table of seismometers is a channel table whose ``channel_index`` is -1 where it has none. Rows without
    coordinates, and those whose ``status`` is not ``ok``, are left out, and the log counts them.

    Raises
    ------
    ChannelGeometryError
        A seismometer is named twice, or none is usable.
    TableError
        A column is missing or a value does not fit.
    """
    table = _renamed(read_table(path), {}, path)
    if "channel_index" in table.columns:
        return _placed(read_channels(path), Path(path))
    table["status"] = fill_text(table["status"], "ok") if "status" in table.columns else "ok"
    table = table.assign(channel_index=-1)
    if "distance_m" not in table.columns:
        table["distance_m"] = np.nan
    table = conform(table, CHANNEL_COLUMNS, str(path))
    refuse_repeated(table, str(path))
    return _placed(table, Path(path))


def refuse_repeated(table: pd.DataFrame, name: str) -> None:
    """Refuse a channel table that names a receiver twice."""
    twice = table.duplicated(["station_id", "channel_index"])
    if twice.any():
        row = table.loc[twice].iloc[0]
        raise ChannelGeometryError(
            f"{name}: {int(twice.sum())} receiver(s) named twice, first {row.station_id} channel "
            f"{row.channel_index}. Keep one row for each (station_id, channel_index)."
        )


def write_channels(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a channel table as CSV.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns of ``CHANNEL_COLUMNS``.
    path : str or pathlib.Path
        Ends in ``.csv``.
    """
    return write_table(conform(table, CHANNEL_COLUMNS, "channels"), path)


def load_channels(
    geometry: GeometrySettings | str | Path | None, station_id: str | None
) -> pd.DataFrame | None:
    """Load the usable channels of the table that settings name, or of a path alone; None without a path."""
    if not isinstance(geometry, GeometrySettings):
        geometry = GeometrySettings(path=None if geometry is None else str(geometry))
    if geometry.path is None:
        return None
    path = Path(geometry.path)
    if not path.exists():
        if geometry.optional:
            log.warning("%s does not exist: going on without channel positions", path)
            return None
        raise ChannelGeometryError(
            f"{path}: no such file. Correct --channels or geometry.path, or say geometry.optional: true."
        )
    table = read_channels(
        path, station_id, columns=geometry.columns, crs=geometry.crs, skip_rows=geometry.skip_rows
    )
    return _placed(table, path)


def only_station(picks: pd.DataFrame) -> str | None:
    """Name the cable of a pick table that is of one cable; None where it is of several, or empty."""
    names = picks["station_id"].unique()
    return str(names[0]) if len(names) == 1 else None


def receivers_of(picks: pd.DataFrame) -> pd.DataFrame:
    """List the receivers of a pick table, for recordings whose positions are unknown."""
    unique = picks[["station_id", "channel_index", "distance_m"]].drop_duplicates(
        ["station_id", "channel_index"]
    )
    unique = unique.sort_values(["station_id", "channel_index"], kind="stable")
    table = unique.assign(longitude=np.nan, latitude=np.nan, elevation_m=np.nan, status="ok")
    return conform(table, CHANNEL_COLUMNS, "receivers")


def within_recording(channels: pd.DataFrame, picks: pd.DataFrame) -> pd.DataFrame:
    """Keep the channels of the stretch of cable that was recorded.

    A table of a whole cable would give the associator an aperture that the recording does not have.
    """
    cable = channels.merge(
        picks.groupby("station_id")["channel_index"].agg(first="min", last="max"),
        left_on="station_id",
        right_index=True,
        how="left",
    )
    outside = (cable["channel_index"] < cable["first"]) | (cable["channel_index"] > cable["last"])
    if outside.any():
        log.info("%d channels of the table lie outside the recording and are left out", int(outside.sum()))
    return channels[~outside.to_numpy()].reset_index(drop=True)


def _renamed(table: pd.DataFrame, columns: Mapping[str, str], path: str | Path) -> pd.DataFrame:
    """Give a table our names: those stated first, then the usual other names."""
    absent = [name for name in columns.values() if name not in table.columns]
    if absent:
        hint = nearest_name(absent[0], map(str, table.columns))
        raise ChannelGeometryError(
            f"{path}: geometry.columns names '{absent[0]}', which the file lacks.{hint}"
        )
    # A column that has our name and another meaning gives way to the one that is stated.
    replaced = [ours for ours, theirs in columns.items() if ours != theirs and ours in table.columns]
    kept = [name for name in replaced if name not in columns.values()]
    table = table.drop(columns=kept).rename(columns={theirs: ours for ours, theirs in columns.items()})
    for theirs, ours in _OTHER_NAMES.items():
        if ours not in table.columns and theirs in table.columns:
            table = table.rename(columns={theirs: ours})
    return table


def _unproject(table: pd.DataFrame, path: str | Path, crs: str | None) -> pd.DataFrame:
    if not {"x_m", "y_m"} <= set(table.columns) or crs is None:
        raise ChannelGeometryError(
            f"{path}: no column longitude. Name the columns in geometry.columns, either longitude and "
            "latitude, or x_m and y_m together with geometry.crs (such as EPSG:32611)."
        )
    from pyproj import Transformer
    from pyproj.exceptions import CRSError

    try:
        transformer = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except CRSError as error:
        raise ChannelGeometryError(
            f"geometry.crs = '{crs}': no such projection ({error}). Expected a code such as EPSG:32611."
        ) from error
    longitude, latitude = transformer.transform(table["x_m"].to_numpy(), table["y_m"].to_numpy())
    unknown = ((table["x_m"] == 0) & (table["y_m"] == 0)).to_numpy()
    return table.assign(
        longitude=np.where(unknown, np.nan, longitude), latitude=np.where(unknown, np.nan, latitude)
    )


def _placed(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Keep the receivers that have coordinates and are not marked bad."""
    located = table["longitude"].notna() & table["latitude"].notna() & table["elevation_m"].notna()
    good = table["status"].str.lower().isin(["ok", "good"])
    if not (located & good).any():
        raise ChannelGeometryError(
            f"{path}: none of its {len(table)} receivers has coordinates and a good status. Fill longitude, "
            "latitude and elevation_m, or leave the table out: events then get a time and a distance."
        )
    if not (located & good).all():
        log.info(
            "%s: %d receivers without coordinates and %d marked bad are left out",
            path,
            int((~located).sum()),
            int((located & ~good).sum()),
        )
    return table[located & good].reset_index(drop=True)
