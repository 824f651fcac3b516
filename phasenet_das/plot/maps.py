"""Where events are: maps and depth sections in kilometres."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from phasenet_das.plot.style import (
    CABLE,
    EVENT,
    INK,
    MUTED,
    TICK_SIZE,
    finish,
    legend,
    legend_below,
    new_axes,
)
from phasenet_das.tables import CHANNEL_COLUMNS, conform
from phasenet_das.tables.columns import depth_known, located
from phasenet_das.text import decimals, plus_minus, records

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_ELLIPSE: Final = ["ellipse_major_km", "ellipse_minor_km", "ellipse_azimuth_deg"]
_COMPASS: Final = {0.0: "north", 90.0: "east", 180.0: "south", 270.0: "west"}
_SMALL: Final = 0.03  # a cable shorter than this share of the map is drawn as a square
_MARKERS: Final = {"A": "o", "B": "s", "C": "v", "D": "X"}  # of a class; a point for events without one
_ARROW_ROOM: Final = 0.5  # of the extent of the places, between the receivers and the edge
_LABEL_STEP_DEG: Final = 25.0  # from the label of one circle to that of the next
_MANY: Final = 10  # ellipses, from which on they are paler
_MOST_LINES: Final = 2  # distances of one label
_MOST_NAMED: Final = 4  # distances of events beyond the map
_SECTOR_DEG: Final = 30.0  # arrows within it share a label


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

    def unproject(self, east_km: np.ndarray, north_km: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return longitude and latitude; longitudes go on past 180°."""
        from pyproj import Proj

        plane = Proj(proj="aeqd", lon_0=self.longitude, lat_0=self.latitude, ellps="WGS84")
        longitude, latitude = plane(1000 * east_km, 1000 * north_km, inverse=True)
        turned = (np.asarray(longitude) - self.longitude + 180) % 360 - 180
        return turned + self.longitude, np.asarray(latitude)


def map_view(
    events: pd.DataFrame,
    channels: pd.DataFrame | None = None,
    *,
    show_class_d: bool = False,
    linked: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw cables, seismometers and events on a plane in km around the receivers.

    Located events have the marker of their class, an error ellipse where their uncertainty is known (or the
    circle of ``horizontal_uncertainty_km``), and a dotted line to their mirror image across the cable where
    that fits as well. An event without a position is no place on the map: an arrow at the edge points to it
    where its direction is known, a circle around the receivers has its distance and uncertainty where that
    fits on the map, and a line of text names it otherwise.

    Parameters
    ----------
    events : pandas.DataFrame
        Event table, optionally with the half-axes ``ellipse_major_km`` and ``ellipse_minor_km``, with
        ``ellipse_azimuth_deg`` (clockwise from north), ``mirror_longitude``, ``mirror_latitude`` and
        ``back_azimuth_deg``.
    channels : pandas.DataFrame, optional
        Channel table. Without it the receivers are one point at the centre, or are not drawn where events
        have places, because nothing tells where the receivers are between them.
    show_class_d : bool, optional
        Draw the places of class D too; otherwise their number is written.
    linked : bool, optional
        Number the events from 1. In an SVG a point leads to ``#event-1``, and its number is ``#map-1``.

    Returns
    -------
    matplotlib.axes.Axes
        East and north of the centre of the receivers, or of the events, in km.
    """
    ax = new_axes(ax, (5.0, 5.0))
    known = _with_coordinates(channels)
    centre = _centre(known, events)
    has_place = np.array([located(event) for event in records(events)], dtype=bool)
    placed, hidden = _split_class_d(events[has_place], show_class_d)
    unplaced = events[~has_place & events["source_distance_km"].notna()]
    known_direction = _back_azimuth_deg(unplaced).notna()
    around = "the receivers" if len(known) or not has_place.any() else "the middle of the events"
    heading = hidden
    if len(unplaced) and not len(known) and has_place.any():  # nothing tells where the receivers are
        heading = [f"{len(unplaced):,} event(s) without a position not shown", *hidden]
        unplaced, known_direction = unplaced.iloc[:0], known_direction.iloc[:0]
    if len(placed):
        _draw_located(ax, placed, centre, linked=linked)
        _draw_mirrors(ax, placed, centre)
    half_width = _frame(ax, known, placed, unplaced, centre)
    _draw_arrows(ax, unplaced[known_direction])
    heading = [*_draw_circles(ax, unplaced[~known_direction]), *heading]
    if len(known):
        _draw_receivers(ax, known, centre, half_width)
    elif not has_place.any():
        ax.plot(0, 0, "s", color=CABLE, markersize=6, label="receivers (no coordinates)", zorder=6)
    ax.set_aspect("equal")
    ax.set(xlabel=f"East of {around} (km)", ylabel=f"North of {around} (km)")
    _add_scale_bar(ax)
    if np.isfinite(centre.latitude):
        _add_degrees(ax, centre)
    if heading:
        ax.set_title("\n".join(heading), loc="left", fontsize=TICK_SIZE)
    legend_below(ax)
    return finish(ax, grid=True)


def depth_section(
    events: pd.DataFrame,
    channels: pd.DataFrame | None = None,
    *,
    azimuth_deg: float = 90.0,
    show_class_d: bool = False,
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
    show_class_d : bool, optional
        Draw the events of class D too; otherwise their number is written.

    Returns
    -------
    matplotlib.axes.Axes
        Depth in km below sea level, downward, over distance along the plane in km.
    """
    ax = new_axes(ax, (5.0, 3.2))
    known = _with_coordinates(channels).sort_values("channel_index", kind="stable")
    centre = _centre(known, events)
    deep = np.array([located(event) and depth_known(event) for event in records(events)], dtype=bool)
    shown, notes = _split_class_d(events[deep], show_class_d)
    if not deep.all():
        notes.insert(0, f"{(~deep).sum():,} event(s) without position or depth not shown")
    direction = np.sin(np.deg2rad(azimuth_deg)), np.cos(np.deg2rad(azimuth_deg))
    for (station, single), group in known.groupby(
        ["station_id", known["channel_index"] == -1], observed=True
    ):
        east, north = centre.project(group["longitude"], group["latitude"])
        along = east * direction[0] + north * direction[1]
        style = {"marker": "^", "linestyle": ""} if single else {"marker": "", "linewidth": 2}
        ax.plot(along, -group["elevation_m"] / 1000, color=CABLE, label=str(station), zorder=3, **style)
    for quality, group in shown.groupby("quality"):
        east, north = centre.project(group["longitude"], group["latitude"])
        ax.errorbar(
            east * direction[0] + north * direction[1],
            group["depth_km"],
            xerr=group["horizontal_uncertainty_km"],
            yerr=group["depth_uncertainty_km"],
            fmt=_MARKERS.get(str(quality), "o"),
            color=EVENT,
            markersize=4,
            elinewidth=0.7,
            zorder=4,
            label=f"{_class_name(str(quality))} ({len(group):,})",
        )
    text = "\n".join(notes)
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


def _split_class_d(events: pd.DataFrame, show_class_d: bool) -> tuple[pd.DataFrame, list[str]]:
    """Part the events to draw from those of class D, and name these."""
    hidden = (events["quality"] == "D") & (not show_class_d)
    return events[~hidden], [f"{hidden.sum():,} event(s) of class D not shown"] if hidden.any() else []


def _back_azimuth_deg(events: pd.DataFrame) -> pd.Series:
    if "back_azimuth_deg" not in events.columns:
        return pd.Series(np.nan, events.index)
    return events["back_azimuth_deg"].astype(float)


def _class_name(quality: str) -> str:
    return f"class {quality}" if quality else "events"


def _draw_arrows(ax: Axes, events: pd.DataFrame) -> None:
    """Point from the edge of the map to events of known direction, with their distances."""
    if events.empty:
        return
    ordered = events.sort_values("source_distance_km", kind="stable")
    for _, group in ordered.groupby(ordered["back_azimuth_deg"] // _SECTOR_DEG):
        for angle in group["back_azimuth_deg"]:
            tip, tail = (_towards_edge(ax, angle, share) for share in (0.98, 0.78))
            style = {"arrowstyle": "-|>", "color": EVENT, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", tip, tail, arrowprops=style, zorder=6)
        more = [f"and {len(group) - _MOST_LINES:,} more"] if len(group) > _MOST_LINES else []
        text = "\n".join([*map(_distance_text, records(group.head(_MOST_LINES))), *more])
        _label_distance(ax, _towards_edge(ax, float(group["back_azimuth_deg"].mean()), 0.66), text)
    ax.plot([], [], color=EVENT, marker=">", label=f"distant ({len(events):,})")


def _towards_edge(ax: Axes, azimuth_deg: float, share: float) -> tuple[float, float]:
    """Go a share of the way from the receivers to the edge of the map."""
    step = np.array([np.sin(np.deg2rad(azimuth_deg)), np.cos(np.deg2rad(azimuth_deg))])
    limits = np.array([ax.get_xlim(), ax.get_ylim()])
    edge = np.where(step > 0, limits[:, 1], limits[:, 0])
    with np.errstate(divide="ignore"):
        reach = share * float(np.min(np.abs(edge / step)))
    return float(reach * step[0]), float(reach * step[1])


def _distance_text(event: dict[str, Any]) -> str:
    spread = event["source_distance_uncertainty_km"]
    return f"{event['source_distance_km']:.{decimals(spread)}f}{plus_minus(spread, 'km')}"


def _label_distance(ax: Axes, where: tuple[float, float], text: str) -> None:
    ax.annotate(
        text, where, ha="center", va="center", fontsize=TICK_SIZE, color=EVENT, zorder=6,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    )  # fmt: skip


def _draw_circles(ax: Axes, events: pd.DataFrame) -> list[str]:
    """Draw the circles on which events of unknown direction lie; name those beyond the map."""
    inside = events["source_distance_km"] < min(map(abs, (*ax.get_xlim(), *ax.get_ylim())))
    for number, event in enumerate(records(events[inside])):
        _draw_circle(ax, event, number)
    beyond = [_distance_text(event) for event in records(events[~inside].sort_values("source_distance_km"))]
    named = ", ".join(beyond[:_MOST_NAMED]) + (", ..." if len(beyond) > _MOST_NAMED else "")
    return [f"{len(beyond):,} event(s) beyond the map, direction unknown: {named}"] if beyond else []


def _draw_circle(ax: Axes, event: dict[str, Any], number: int) -> None:
    from matplotlib.patches import Circle, Wedge

    radius, spread = event["source_distance_km"], event["source_distance_uncertainty_km"]
    if np.isfinite(spread) and spread > 0:
        inner = max(radius - spread, 0.0)
        band = Wedge(
            (0, 0), radius + spread, 0, 360, width=radius + spread - inner, color=EVENT, alpha=0.18, lw=0
        )
        ax.add_patch(band)
    label = None if number else "direction unknown"
    ax.add_patch(Circle((0, 0), radius, fill=False, edgecolor=EVENT, linewidth=1.2, label=label, zorder=4))
    turn = np.deg2rad(-90 + _LABEL_STEP_DEG * number)
    _label_distance(ax, (radius * np.cos(turn), radius * np.sin(turn)), _distance_text(event))


def _add_scale_bar(ax: Axes) -> None:
    """Draw a bar of a round length at the lower left."""
    (west, east), (south, north) = ax.get_xlim(), ax.get_ylim()
    longest = (east - west) / 4
    power = 10.0 ** np.floor(np.log10(longest))
    length = max(factor * power for factor in (1, 2, 5) if factor * power <= longest)
    x, y = west + 0.04 * (east - west), south + 0.04 * (north - south)
    halo = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    ax.plot([x, x + length], [y, y], color=INK, linewidth=2.4, solid_capstyle="butt", zorder=8)
    ax.annotate(
        f"{length:g} km" if length >= 1 else f"{1000 * length:g} m", (x + length / 2, y), (0, 4),
        textcoords="offset points", ha="center", va="bottom", fontsize=TICK_SIZE, color=INK, zorder=8,
        bbox=halo,
    )  # fmt: skip


def _add_degrees(ax: Axes, centre: _Centre) -> None:
    """Add longitudes at the top and latitudes on the right, as they are along the middle of the map."""
    from matplotlib.ticker import MaxNLocator

    east, north = _three_times(ax.get_xlim()), _three_times(ax.get_ylim())
    longitude, _ = centre.unproject(east, np.full_like(east, north.mean()))
    _, latitude = centre.unproject(np.full_like(north, east.mean()), north)
    top = ax.secondary_xaxis("top", functions=_both_ways(east, longitude))
    right = ax.secondary_yaxis("right", functions=_both_ways(north, latitude))
    top.set_xlabel("Longitude")
    right.set_ylabel("Latitude")
    for second, axis, letters in ((top, top.xaxis, "EW"), (right, right.yaxis, "NS")):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(partial(_degree, letters=letters))
        finish(second)


def _three_times(limits: tuple[float, float]) -> np.ndarray:
    """Reach beyond an axis by its length on both sides, so that it may grow."""
    low, high = limits
    return np.linspace(2 * low - high, 2 * high - low, 101)


def _both_ways(km: np.ndarray, degrees: np.ndarray) -> tuple[partial[Any], partial[Any]]:
    return partial(np.interp, xp=km, fp=degrees), partial(np.interp, xp=degrees, fp=km)


def _degree(value: float, _: int, *, letters: str) -> str:
    turned = (value + 180) % 360 - 180
    return f"{abs(turned):.6g}° {letters[int(turned < 0)]}"


def _draw_located(ax: Axes, placed: pd.DataFrame, centre: _Centre, *, linked: bool = False) -> None:
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
        alpha=0.22 if drawn.sum() <= _MANY else 0.1,
        linewidths=0.6,
        zorder=4,
    )
    ax.add_collection(ellipses)
    mirrored = placed["location_quality"].str.contains("mirror-ambiguous").to_numpy()
    quality = placed["quality"].to_numpy(dtype=str)
    for name, doubtful in sorted(set(zip(quality.tolist(), mirrored.tolist(), strict=True))):
        rows = np.flatnonzero((quality == name) & (mirrored == doubtful))
        word = _class_name(name) + (", mirror-ambiguous" if doubtful else "")
        points = ax.scatter(
            east[rows], north[rows], s=26 if linked else 20, marker=_MARKERS.get(name, "o"),
            facecolor="white" if doubtful else EVENT, edgecolor=EVENT, linewidths=0.9, zorder=5,
            label=f"{word} ({len(rows):,})",
        )  # fmt: skip
        if linked:
            points.set_urls([f"#event-{index + 1}" for index in placed["event_index"].iloc[rows]])
    if linked:
        _number_events(ax, placed["event_index"].to_numpy() + 1, east, north)


def _number_events(ax: Axes, numbers: np.ndarray, east: np.ndarray, north: np.ndarray) -> None:
    """Write the number of each event beside its point."""
    from matplotlib import patheffects

    halo = [patheffects.withStroke(linewidth=2, foreground="white")]
    for count, x, y, offset in zip(numbers, east, north, _away(ax, east, north), strict=True):
        ax.annotate(
            str(count), (x, y), tuple(offset), textcoords="offset points", fontsize=TICK_SIZE, color=INK,
            zorder=7, ha="center", va="center", gid=f"map-{count}", url=f"#event-{count}", path_effects=halo,
        )  # fmt: skip


def _away(ax: Axes, east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """Lead from each place away from its neighbours, by some points; to the upper right without any."""
    places, reach = np.column_stack([east, north]), 0.05 * np.ptp(ax.get_xlim())
    pushed, crowd = np.empty_like(places), np.empty((len(places), 1))
    for row, place in enumerate(places):  # one at a time: all pairs of a large catalog need gigabytes
        apart = place - places
        near = np.exp(-((apart / reach) ** 2).sum(axis=1))
        pushed[row], crowd[row] = near @ apart + 1e-6, near.sum()
    length = np.hypot(*pushed.T)[:, None]
    offsets: np.ndarray = pushed / length * np.where(crowd > 1.5, 13.0, 8.0)
    return offsets


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
    ax: Axes, known: pd.DataFrame, placed: pd.DataFrame, unplaced: pd.DataFrame, centre: _Centre
) -> float:
    """Set square limits around receivers and places; return half their width in km.

    Arrows to events of known direction get room. Circles of unknown direction count only without any place.
    """
    places = ["longitude", "latitude"]
    points = pd.concat([known[places], placed[places], _mirrors(placed)])
    if len(points):
        east, north = centre.project(points["longitude"], points["latitude"])
    else:
        east = north = np.zeros(1)
    azimuth = np.deg2rad(_back_azimuth_deg(unplaced).dropna().to_numpy())
    room = _ARROW_ROOM * max(np.ptp(east), np.ptp(north))
    around = unplaced[_back_azimuth_deg(unplaced).isna()]
    reach = around["source_distance_km"] + around["source_distance_uncertainty_km"].fillna(0)
    circle = float(reach.max()) if len(reach) and placed.empty else 0.0
    x = np.concatenate([east, room * np.sin(azimuth), [-circle, circle]])
    y = np.concatenate([north, room * np.cos(azimuth), [-circle, circle]])
    error = placed["horizontal_uncertainty_km"].max() if len(placed) else np.nan
    span = max(np.ptp(x), np.ptp(y), 0.1)
    half = 0.55 * span + (min(error, 0.25 * span) if np.isfinite(error) else 0.0)
    for set_limits, values in ((ax.set_xlim, x), (ax.set_ylim, y)):
        middle = (values.min() + values.max()) / 2
        set_limits(middle - half, middle + half)
    return float(half)
