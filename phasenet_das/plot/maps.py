"""Where events are: maps and depth sections in kilometres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from phasenet_das.plot.style import (
    CABLE,
    EVENT,
    INK,
    LABEL_SIZE,
    MUTED,
    TICK_SIZE,
    finish,
    legend,
    legend_below,
    new_axes,
)
from phasenet_das.tables import CHANNEL_COLUMNS, conform
from phasenet_das.tables.columns import depth_known, located
from phasenet_das.text import coordinates, decimals, plus_minus, records

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_ELLIPSE: Final = ["ellipse_major_km", "ellipse_minor_km", "ellipse_azimuth_deg"]
_COMPASS: Final = {0.0: "north", 90.0: "east", 180.0: "south", 270.0: "west"}
_SMALL: Final = 0.03  # a cable shorter than this share of the map is drawn as a square


class _Centre(NamedTuple):
    """Origin of the local kilometre grid; NaN when the receivers have no coordinates."""

    longitude: float
    latitude: float

    def project(self, longitude: Any, latitude: Any) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN401
        """Return km east and north of the centre (azimuthal equidistant on WGS 84)."""
        from pyproj import Proj

        plane = Proj(proj="aeqd", lon_0=self.longitude, lat_0=self.latitude, ellps="WGS84")
        east, north = plane(np.asarray(longitude, dtype=float), np.asarray(latitude, dtype=float))
        return np.asarray(east) / 1000, np.asarray(north) / 1000


def map_view(events: pd.DataFrame, channels: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw cables, seismometers and events on a plane in km around the receivers.

    Located events carry their error ellipse (or the circle of ``horizontal_uncertainty_km``), and a
    dotted line to their mirror image across the cable where that fits as well. An event
    whose direction is unknown is a circle around the receivers at its distance, with a band for the
    uncertainty.

    Parameters
    ----------
    events : pandas.DataFrame
        Event table, optionally with the half-axes ``ellipse_major_km`` and ``ellipse_minor_km``, with
        ``ellipse_azimuth_deg`` (clockwise from north), ``mirror_longitude`` and ``mirror_latitude``.
    channels : pandas.DataFrame, optional
        Channel table; without coordinates the receivers are one point at the centre.

    Returns
    -------
    matplotlib.axes.Axes
        East and north of the centre of the receivers, in km.
    """
    ax = new_axes(ax, (5.0, 5.0))
    known = _with_coordinates(channels)
    centre = _centre(known, events)
    placed = events[events["longitude"].notna() & events["latitude"].notna()]
    unlocated = events[events["longitude"].isna() & events["source_distance_km"].notna()]
    for number, (_, event) in enumerate(unlocated.iterrows()):
        _draw_distance(ax, event, labelled=number == 0)
    if len(placed):
        _draw_located(ax, placed, centre)
        _draw_mirrors(ax, placed, centre)
    half_width = _frame(ax, known, placed, unlocated, centre)
    if len(known):
        _draw_receivers(ax, known, centre, half_width)
    else:
        ax.plot(0, 0, "s", color=CABLE, markersize=6, label="receivers (no coordinates)", zorder=6)
    ax.set_aspect("equal")
    ax.set(xlabel="East of the receivers (km)", ylabel="North of the receivers (km)")
    if np.isfinite(centre.latitude):
        text = f"(0, 0) = {coordinates(centre.longitude, centre.latitude)}"
        ax.set_title(text, loc="left", fontsize=TICK_SIZE)
    legend_below(ax)
    finish(ax, grid=True)
    ax.title.set_fontsize(TICK_SIZE)
    return ax


def depth_section(
    events: pd.DataFrame,
    channels: pd.DataFrame | None = None,
    *,
    azimuth_deg: float = 90.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw located events and receivers in a vertical plane through the centre of the receivers.

    Parameters
    ----------
    events : pandas.DataFrame
        Event table; events without coordinates or with unconstrained depth are left out, and their number is
        written.
    azimuth_deg : float, optional
        Direction of the plane, degrees clockwise from north; 90 looks north.

    Returns
    -------
    matplotlib.axes.Axes
        Depth in km below sea level, downward, over distance along the plane in km.
    """
    ax = new_axes(ax, (5.0, 3.2))
    known = _with_coordinates(channels)
    centre = _centre(known, events)
    deep = [located(event) and depth_known(event) for event in records(events)]
    shown = events[np.array(deep, dtype=bool)]
    direction = np.sin(np.deg2rad(azimuth_deg)), np.cos(np.deg2rad(azimuth_deg))
    for (station, single), group in known.groupby(
        ["station_id", known["channel_index"] == -1], observed=True
    ):
        east, north = centre.project(group["longitude"], group["latitude"])
        along = east * direction[0] + north * direction[1]
        style = {"marker": "^", "linestyle": ""} if single else {"marker": "", "linewidth": 2}
        ax.plot(along, -group["elevation_m"] / 1000, color=CABLE, label=str(station), zorder=3, **style)
    if len(shown):
        east, north = centre.project(shown["longitude"], shown["latitude"])
        ax.errorbar(
            east * direction[0] + north * direction[1],
            shown["depth_km"],
            xerr=shown["horizontal_uncertainty_km"],
            yerr=shown["depth_uncertainty_km"],
            fmt="o",
            color=EVENT,
            markersize=4,
            elinewidth=0.7,
            zorder=4,
            label=f"events ({len(shown):,})",
        )
    if len(shown) < len(events):
        text = f"{len(events) - len(shown):,} event(s) without position or depth not shown"
        ax.text(0.02, 0.03, text, transform=ax.transAxes, fontsize=TICK_SIZE, color=MUTED)
    ax.invert_yaxis()
    towards = _COMPASS.get(azimuth_deg % 360, f"{azimuth_deg:g}°")
    ax.set(xlabel=f"Distance towards {towards} (km)", ylabel="Depth below sea level (km)")
    legend(ax, loc="best")
    return finish(ax, grid=True)


def _with_coordinates(channels: pd.DataFrame | None) -> pd.DataFrame:
    if channels is None:
        return conform(pd.DataFrame(columns=list(CHANNEL_COLUMNS)), CHANNEL_COLUMNS)
    return channels[channels["longitude"].notna() & channels["latitude"].notna()]


def _centre(known: pd.DataFrame, events: pd.DataFrame) -> _Centre:
    """Middle of the receivers, or of the events when the receivers have no coordinates."""
    table = known if len(known) else events[events["longitude"].notna()]
    if table.empty:
        return _Centre(np.nan, np.nan)
    # Around the first longitude, so that a cable across 180° E has its middle on the cable.
    first = float(table["longitude"].iloc[0])
    turned = (table["longitude"] - first + 180) % 360 - 180
    middle = (turned.min() + turned.max()) / 2 + first
    return _Centre(
        float((middle + 180) % 360 - 180), float((table["latitude"].min() + table["latitude"].max()) / 2)
    )


def _draw_distance(ax: Axes, event: pd.Series, *, labelled: bool) -> None:
    from matplotlib.patches import Circle, Wedge

    radius, spread = float(event["source_distance_km"]), float(event["source_distance_uncertainty_km"])
    if np.isfinite(spread) and spread > 0:
        inner = max(radius - spread, 0.0)
        band = Wedge(
            (0, 0), radius + spread, 0, 360, width=radius + spread - inner, color=EVENT, alpha=0.18, lw=0
        )
        ax.add_patch(band)
    label = "direction unknown" if labelled else None
    ax.add_patch(Circle((0, 0), radius, fill=False, edgecolor=EVENT, linewidth=1.2, label=label, zorder=4))
    text = f"{radius:.{decimals(spread)}f}{plus_minus(spread, 'km')}"
    ax.annotate(
        text, (0, -radius), ha="center", va="center", fontsize=LABEL_SIZE, color=EVENT, zorder=6,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none"},
    )  # fmt: skip


def _draw_located(ax: Axes, placed: pd.DataFrame, centre: _Centre) -> None:
    from matplotlib.collections import EllipseCollection

    east, north = centre.project(placed["longitude"], placed["latitude"])
    if set(_ELLIPSE) <= set(placed.columns):
        major, minor, azimuth = (placed[name].to_numpy(dtype=float) for name in _ELLIPSE)
    else:
        major = minor = placed["horizontal_uncertainty_km"].to_numpy(dtype=float)
        azimuth = np.zeros(len(placed))
    drawn = np.isfinite(major) & np.isfinite(minor)
    ellipses = EllipseCollection(
        2 * major[drawn],
        2 * minor[drawn],
        90 - azimuth[drawn],
        units="xy",
        offsets=np.column_stack([east, north])[drawn],
        transOffset=ax.transData,
        facecolors=EVENT,
        edgecolors=EVENT,
        alpha=0.22,
        linewidths=0.6,
        zorder=4,
    )
    ax.add_collection(ellipses)
    mirrored = placed["location_quality"].str.contains("mirror-ambiguous").to_numpy()
    for chosen, face, word in ((~mirrored, EVENT, "events"), (mirrored, "white", "events, mirror-ambiguous")):
        if chosen.any():
            ax.scatter(
                east[chosen], north[chosen], s=18, facecolor=face, edgecolor=EVENT, linewidths=0.9, zorder=5,
                label=f"{word} ({int(chosen.sum()):,})",
            )  # fmt: skip


def _draw_mirrors(ax: Axes, placed: pd.DataFrame, centre: _Centre) -> None:
    """Draw the image across the cable that fits an event's picks as well, and join the two."""
    mirrors = _mirrors(placed)
    if mirrors.empty:
        return
    east, north = centre.project(mirrors["longitude"], mirrors["latitude"])
    own = placed.loc[mirrors.index]
    own_east, own_north = centre.project(own["longitude"], own["latitude"])
    ax.plot([own_east, east], [own_north, north], ":", color=EVENT, linewidth=0.6, zorder=3)
    ax.scatter(east, north, s=14, marker="D", facecolor="white", edgecolor=EVENT, linewidths=0.7, zorder=4,
               label="their mirror images")  # fmt: skip


def _mirrors(placed: pd.DataFrame) -> pd.DataFrame:
    if "mirror_longitude" not in placed.columns or "mirror_latitude" not in placed.columns:
        return placed.iloc[:0][["longitude", "latitude"]]
    names = {"mirror_longitude": "longitude", "mirror_latitude": "latitude"}
    return placed[list(names)].dropna().rename(columns=names)


def _draw_receivers(ax: Axes, known: pd.DataFrame, centre: _Centre, half_width: float) -> None:
    cables = known[known["channel_index"] != -1]
    for station, group in cables.groupby("station_id", observed=True):
        east, north = centre.project(group["longitude"], group["latitude"])
        order = np.argsort(group["channel_index"].to_numpy(), kind="stable")
        extent = max(np.ptp(east), np.ptp(north))
        if extent < _SMALL * 2 * half_width:
            ax.plot(east.mean(), north.mean(), "s", color=CABLE, markersize=6, label=str(station), zorder=6)
        else:
            ax.plot(east[order], north[order], color=CABLE, linewidth=2.2, label=str(station), zorder=3)
    seismometers = known[known["channel_index"] == -1]
    if len(seismometers):
        east, north = centre.project(seismometers["longitude"], seismometers["latitude"])
        label = f"seismometers ({len(seismometers):,})"
        ax.scatter(
            east, north, marker="^", s=26, color="#1b7837", edgecolor=INK, lw=0.5, zorder=5, label=label
        )


def _frame(
    ax: Axes, known: pd.DataFrame, placed: pd.DataFrame, unlocated: pd.DataFrame, centre: _Centre
) -> float:
    """Set square limits around receivers, events and circles; return half their width in km."""
    places = ["longitude", "latitude"]
    points = pd.concat([known[places], placed[places], _mirrors(placed)])
    if len(points):
        east, north = centre.project(points["longitude"], points["latitude"])
    else:
        east = north = np.zeros(1)
    reach = unlocated["source_distance_km"] + unlocated["source_distance_uncertainty_km"].fillna(0)
    circle = float(reach.max()) if len(reach) else 0.0
    x = np.array([min(east.min(), -circle), max(east.max(), circle)])
    y = np.array([min(north.min(), -circle), max(north.max(), circle)])
    error = placed["horizontal_uncertainty_km"].max() if len(placed) else np.nan
    span = max(np.ptp(x), np.ptp(y), 0.1)
    half = 0.55 * span + (min(error, 0.25 * span) if np.isfinite(error) else 0.0)
    ax.set_xlim(x.mean() - half, x.mean() + half)
    ax.set_ylim(y.mean() - half, y.mean() + half)
    return float(half)
