"""The receivers: local Cartesian positions, cables in order, and what their extent can resolve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj

from gamma.errors import StationError, nearest_name

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mode = Literal["point", "vertical", "full"]
_MIN_CABLE_CHANNELS = 8
_UNDERGROUND_KM = 0.05
_MAX_NAMES = 5
_MAX_HEIGHT_KM = 10.0


@dataclass(frozen=True)
class LocalFrame:
    """East-north frame in km about a geographic origin, or a plain Cartesian one (no origin)."""

    longitude: float | None
    latitude: float | None

    def _crs(self) -> pyproj.Proj:
        return pyproj.Proj(proj="aeqd", lon_0=self.longitude, lat_0=self.latitude, ellps="WGS84")

    def to_local(self, longitude: F64, latitude: F64) -> tuple[F64, F64]:
        """Project degrees to km east and north (azimuthal equidistant)."""
        x_m, y_m = self._crs()(longitude, latitude)
        return np.asarray(x_m) / 1000.0, np.asarray(y_m) / 1000.0

    def to_geographic(self, x_km: F64, y_km: F64) -> tuple[F64, F64]:
        """Turn km east and north into degrees; NaN where there is no geographic origin."""
        x_km, y_km = np.asarray(x_km, np.float64), np.asarray(y_km, np.float64)
        if self.longitude is None or x_km.size == 0:
            return np.full(x_km.shape, np.nan), np.full(x_km.shape, np.nan)
        longitude, latitude = self._crs()(x_km * 1000.0, y_km * 1000.0, inverse=True)
        return np.asarray(longitude), np.asarray(latitude)


@dataclass(frozen=True)
class Receivers:
    """All receivers, sorted by (station_id, channel_index)."""

    station_id: npt.NDArray[np.object_]
    channel_index: I64  # -1 for a seismometer
    xyz_km: F64  # (receivers, 3), east, north, down; zeros when the geometry is unknown
    cable: I64  # number of the cable, -1 for receivers that stand alone
    along_km: F64  # position along the cable; NaN for those that stand alone
    frame: LocalFrame
    geometry_known: bool

    def __len__(self) -> int:
        return len(self.channel_index)

    @property
    def num_cables(self) -> int:
        """Number of cables."""
        return int(self.cable.max(initial=-1)) + 1

    @property
    def horizontal_aperture_km(self) -> float:
        """Largest horizontal extent in km, along the longest principal axis."""
        return float(_principal_extents(self.xyz_km[:, :2])[0])

    def refuse_all_underground(self) -> None:
        """Refuse receivers that all lie below sea level: mostly a sign slip of z or elevation."""
        depth = self.xyz_km[:, 2]
        if depth.min() > _UNDERGROUND_KM:
            raise StationError(
                f"stations: all {len(self)} receivers lie below sea level ({1000.0 * depth.min():.0f} to "
                f"{1000.0 * depth.max():.0f} m deep). z_km points down, elevation_m up: change the sign, or "
                "set receivers_below_sea_level if they are on the sea floor."
            )

    def mode(self, resolution_km: float) -> Mode:
        """Say what the receivers can resolve: everything, range and depth, or range alone."""
        if not self.geometry_known:
            return "point"
        if self.horizontal_aperture_km >= resolution_km:
            return "full"
        return "vertical" if np.ptp(self.xyz_km[:, 2]) >= resolution_km else "point"


def _principal_extents(xy: F64) -> F64:
    """Ranges of points along their principal axes, largest first."""
    centred = xy - xy.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    extents: F64 = np.ptp(centred @ axes, axis=0)
    return np.sort(extents)[::-1]


def load_receivers(stations: pd.DataFrame) -> Receivers:
    """Check a station table and bring it into local Cartesian kilometres."""
    table = _normalised(stations)
    _refuse_duplicates(table)
    xyz, frame, known = _positions(table)
    cable, along = _cables(table, xyz, known)
    return Receivers(
        station_id=table["station_id"].to_numpy(object),
        channel_index=table["channel_index"].to_numpy(np.int64),
        xyz_km=xyz,
        cable=cable,
        along_km=along,
        frame=frame,
        geometry_known=known,
    )


def _normalised(stations: pd.DataFrame) -> pd.DataFrame:
    if "station_id" not in stations.columns:
        hint = nearest_name("station_id", map(str, stations.columns))
        raise StationError(f"stations: missing column station_id.{hint}")
    if len(stations) == 0:
        raise StationError("stations: the table has no rows. Expected one row per receiver.")
    table = stations.reset_index(drop=True).copy()
    table["station_id"] = table["station_id"].astype(str)
    if "channel_index" not in table.columns:
        table["channel_index"] = -1
    channel = _numbers(table, "channel_index")
    channel = np.where(np.isnan(channel), -1.0, channel)
    if (channel % 1 != 0).any():
        found = channel[channel % 1 != 0][0]
        raise StationError(f"stations: found channel_index {found:g}, expected whole numbers.")
    table["channel_index"] = channel.astype(np.int64)
    return table.sort_values(["station_id", "channel_index"], kind="stable", ignore_index=True)


def _numbers(table: pd.DataFrame, *names: str) -> F64:
    """Give columns as numbers, (receiver,) of one column, else (receiver, column)."""
    try:
        columns = [table[name].to_numpy(np.float64, na_value=np.nan) for name in names]
    except (ValueError, TypeError) as error:
        raise StationError(f"stations: {', '.join(names)} cannot be read as numbers ({error}).") from error
    return columns[0] if len(columns) == 1 else np.column_stack(columns)


def _refuse_duplicates(table: pd.DataFrame) -> None:
    twice = table.duplicated(["station_id", "channel_index"])
    if twice.any():
        row = table.loc[twice].iloc[0]
        raise StationError(
            f"stations: {int(twice.sum())} receiver(s) named twice, first {row['station_id']} channel "
            f"{row['channel_index']}. Keep one row for each (station_id, channel_index)."
        )


def _positions(table: pd.DataFrame) -> tuple[F64, LocalFrame, bool]:
    local = {"x_km", "y_km"} <= set(table.columns)
    if local and {"longitude", "latitude"} <= set(table.columns):
        local = bool(table[["x_km", "y_km"]].notna().any(axis=None))
    across = ["x_km", "y_km"] if local else ["longitude", "latitude"]
    missing = [name for name in across if name not in table.columns]
    if missing:
        raise StationError(
            f"stations: missing column(s) {', '.join(missing)}. Expected longitude, latitude, elevation_m "
            "(degrees, m up) or x_km, y_km, z_km (km, z down)."
        )
    xy = _numbers(table, *across)
    if not _coordinates_known(table, xy):
        return np.zeros((len(table), 3)), LocalFrame(None, None), False
    if local:
        return np.column_stack([xy, _heights(table, "z_km")]), LocalFrame(None, None), True
    if (np.abs(xy[:, 0]) > 360.0).any() or (np.abs(xy[:, 1]) > 90.0).any():
        raise StationError("stations: longitude or latitude out of range. Expected degrees (WGS84).")
    frame = _frame_about(xy)
    x, y = frame.to_local(xy[:, 0], xy[:, 1])
    return np.column_stack([x, y, -_heights(table, "elevation_m") / 1000.0]), frame, True


def _frame_about(lonlat: F64) -> LocalFrame:
    """Put the origin at the median receiver; longitudes turn about the first, so that 180° is no edge."""
    first = lonlat[0, 0]
    longitude = first + np.median(_within_half_turn(lonlat[:, 0] - first))
    return LocalFrame(
        float(np.round(_within_half_turn(longitude), 4)), float(np.round(np.median(lonlat[:, 1]), 4))
    )


def _within_half_turn(degrees: F64) -> F64:
    turned: F64 = (degrees + 180.0) % 360.0 - 180.0
    return turned


def _heights(table: pd.DataFrame, name: str) -> F64:
    """Give elevation_m or z_km of receivers that have a place; nothing stands for a value left out."""
    mend = f"State {name} of every receiver, 0 if it is at sea level."
    if name not in table.columns:
        hint = nearest_name(name, map(str, table.columns))
        raise StationError(f"stations: missing column {name}.{hint} {mend}")
    heights = _numbers(table, name)
    unknown = ~np.isfinite(heights)
    if unknown.any():
        raise StationError(
            f"stations: {int(unknown.sum())} of {len(table)} receivers have no {name} "
            f"({_names(table[unknown])}). {mend}"
        )
    unit, km, slip = ("km", 1.0, "in m") if name == "z_km" else ("m", 1e-3, "in mm or cm")
    far = np.abs(heights) * km > _MAX_HEIGHT_KM
    if far.any():
        raise StationError(
            f"stations: {name} of {int(far.sum())} of {len(table)} receivers lies more than "
            f"{_MAX_HEIGHT_KM:g} km from sea level, up to {np.abs(heights).max():g} {unit} "
            f"({_names(table[far])}). Expected {unit}: is it {slip}? Convert it."
        )
    return heights


def _names(rows: pd.DataFrame) -> str:
    """Name receivers, the first five of them."""
    first = rows.head(_MAX_NAMES)
    names = [
        str(station) + (f" channel {channel}" if channel >= 0 else "")
        for station, channel in zip(
            first["station_id"], first["channel_index"].to_numpy(np.int64), strict=True
        )
    ]
    return ", ".join(names) + (" ..." if len(rows) > _MAX_NAMES else "")


def _coordinates_known(table: pd.DataFrame, coordinates: F64) -> bool:
    finite = np.asarray(np.isfinite(coordinates).all(axis=1), dtype=np.bool_)
    if finite.all() or not finite.any():
        return bool(finite.all())
    first = table.loc[int(np.flatnonzero(~finite)[0])]
    raise StationError(
        f"stations: {int((~finite).sum())} of {len(table)} receivers have no coordinates (first: "
        f"{first['station_id']} channel {first['channel_index']}). Give them coordinates, drop them, or "
        "leave all coordinates out to treat the array as a point."
    )


def _cables(table: pd.DataFrame, xyz: F64, known: bool) -> tuple[I64, F64]:
    """Give each cable (a station with enough channels) a number; also each channel's place along it."""
    codes, names = pd.factorize(table["station_id"], sort=True)
    is_channel = table["channel_index"].to_numpy() >= 0
    counts = np.bincount(codes[is_channel], minlength=len(names))
    is_cable = counts >= _MIN_CABLE_CHANNELS
    number = np.where(is_cable, np.cumsum(is_cable) - 1, -1)
    cable = np.where(is_channel, number[codes], -1).astype(np.int64)
    along = np.full(len(table), np.nan)
    for index in range(int(is_cable.sum())):
        rows = np.flatnonzero(cable == index)
        along[rows] = _along(table.iloc[rows], xyz[rows], known)
    return cable, along


def _along(rows: pd.DataFrame, xyz: F64, known: bool) -> F64:
    if "distance_m" in rows.columns and rows["distance_m"].notna().all():
        return rows["distance_m"].to_numpy(np.float64) / 1000.0
    if known:
        steps = np.linalg.norm(np.diff(xyz, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])
    # Without distances the channel number is all there is: a metre a channel, only ever used for order.
    return rows["channel_index"].to_numpy(np.float64) / 1000.0
