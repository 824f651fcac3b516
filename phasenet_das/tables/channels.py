"""Channel positions from any table: renamed columns, projected coordinates, or none at all."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from gamma.errors import nearest_name
from phasenet_das.config import GeometrySettings
from phasenet_das.errors import ChannelGeometryError
from phasenet_das.tables import CHANNEL_COLUMNS, conform, read_channels
from phasenet_das.tables.columns import TEXT_COLUMNS

log = logging.getLogger(__name__)


def load_channels(settings: GeometrySettings, station_id: str | None) -> pd.DataFrame | None:
    """Load the channel table that the settings name."""
    if settings.path is None:
        return None
    path = Path(settings.path)
    if not path.exists():
        if settings.optional:
            log.warning("%s does not exist: going on without channel positions", path)
            return None
        raise ChannelGeometryError(
            f"{path}: no such file; correct --channels or geometry.path, or say geometry.optional: true."
        )
    if not settings.columns and not settings.crs and not settings.skip_rows:
        table = read_channels(path, station_id)
    else:
        table = _read_renamed(path, settings, station_id)
    return _placed(table, path)


def load_channel_file(path: str | Path | None, station_id: str | None) -> pd.DataFrame | None:
    """Load a channel table by its path, as :func:`load_channels` does."""
    return load_channels(GeometrySettings(path=None if path is None else str(path)), station_id)


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


def _read_renamed(path: Path, settings: GeometrySettings, station_id: str | None) -> pd.DataFrame:
    text = {settings.columns.get(name, name): kind for name, kind in TEXT_COLUMNS.items()}
    table = pd.read_csv(path, skiprows=range(1, 1 + settings.skip_rows), dtype=text)
    absent = [name for name in settings.columns.values() if name not in table.columns]
    if absent:
        hint = nearest_name(absent[0], map(str, table.columns))
        raise ChannelGeometryError(
            f"{path}: geometry.columns names '{absent[0]}', which the file lacks.{hint}"
        )
    table = table.rename(columns={theirs: ours for ours, theirs in settings.columns.items()})
    if "longitude" not in table.columns:
        table = _unproject(table, path, settings.crs)
    if "station_id" not in table.columns and station_id is None:
        raise ChannelGeometryError(f"{path}: no column station_id, and no cable name; say data.station_id.")
    for name, value in (("station_id", station_id), ("distance_m", np.nan), ("status", "ok")):
        if name not in table.columns:
            table[name] = value
    table["status"] = table["status"].fillna("ok")
    return conform(table, CHANNEL_COLUMNS, str(path))[list(CHANNEL_COLUMNS)]


def _unproject(table: pd.DataFrame, path: Path, crs: str | None) -> pd.DataFrame:
    if not {"x_m", "y_m"} <= set(table.columns) or crs is None:
        raise ChannelGeometryError(
            f"{path}: no column longitude; name the columns in geometry.columns, either longitude and "
            "latitude, or x_m and y_m together with geometry.crs (such as EPSG:32611)."
        )
    from pyproj import Transformer

    longitude, latitude = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(
        table["x_m"].to_numpy(), table["y_m"].to_numpy()
    )
    unknown = ((table["x_m"] == 0) & (table["y_m"] == 0)).to_numpy()
    return table.assign(
        longitude=np.where(unknown, np.nan, longitude), latitude=np.where(unknown, np.nan, latitude)
    )


def _placed(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Keep the channels that have coordinates and are not marked bad."""
    located = table["longitude"].notna() & table["latitude"].notna() & table["elevation_m"].notna()
    good = table["status"].str.lower().isin(["ok", "good"])
    if not (located & good).any():
        raise ChannelGeometryError(
            f"{path}: none of its {len(table)} channels has coordinates and a good status. Fill longitude, "
            "latitude and elevation_m, or leave the table out: events then get a time and a distance."
        )
    if not (located & good).all():
        log.info(
            "%s: %d channels without coordinates and %d marked bad are left out",
            path,
            int((~located).sum()),
            int((located & ~good).sum()),
        )
    return table[located & good].reset_index(drop=True)
