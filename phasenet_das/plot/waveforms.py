"""Images of records: sections with picks, record sections, score maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from phasenet_das.errors import ChannelGeometryError, ConfigError, DataFormatError
from phasenet_das.plot.overlay import (
    Place,
    draw_moveout,
    draw_picks,
    number_groups,
    picks_inside,
    picks_of_cable,
)
from phasenet_das.plot.raster import channel_bins, envelope_trace, rasterise, reduce_time
from phasenet_das.plot.style import (
    INK,
    MISSING,
    PHASE_COLORS,
    TICK_SIZE,
    amplitude_colormap,
    date_numbers,
    date_ticks,
    finish,
    heading,
    legend_below,
    new_axes,
    phase_color,
    size_inches,
    utc_text,
)

if TYPE_CHECKING:
    import xarray as xr
    from dascore import Patch
    from matplotlib.axes import Axes


TimeAxis = Literal["seconds", "utc"]
Orientation = Literal["time-down", "time-right"]
_PIXELS_PER_INCH: Final = 200


def section(
    patch: Patch,
    picks: pd.DataFrame | None = None,
    *,
    ax: Axes | None = None,
    clip: float = 1.0,
    power: float = 0.8,
    time_axis: TimeAxis = "seconds",
    orientation: Orientation = "time-down",
    moveout: bool = False,
    title: str | None = None,
) -> Axes:
    """Draw a record as an image of channel and time, with its picks.

    Each channel is scaled to itself. The record is first reduced to the pixels of the axes by the signed
    extreme in each, so that large records draw fast and no onset is lost. Dead channels and missing
    samples are grey.

    Parameters
    ----------
    picks : pandas.DataFrame, optional
        Pick table; picks outside of the record are not drawn, picks of other cables are counted in the log.
        Their colour is the phase as which they were taken. Kept picks (``event_index`` ≥ 0) are filled,
        rejected ones hollow, renamed ones ringed. Those of a group without a location are triangles.
    clip : float, optional
        Amplitude of full colour, as a multiple of the amplitude that 95 % of the channel's pixels stay below.
    power : float, optional
        Exponent of the amplitude, from 0 to 1: 1 shows it as it is, less brings out weak arrivals beside
        strong ones.
    time_axis : {"seconds", "utc"}, optional
        Seconds since the first sample, or the time of day.
    orientation : {"time-down", "time-right"}, optional
        Time downward over channels, or to the right beside them.
    moveout : bool, optional
        Draw when the located event predicts the arrivals.
    title : str, optional
        Heading; the name of the cable otherwise.

    Raises
    ------
    ConfigError
        `clip` or `power` is out of range, or `time_axis` or `orientation` is none of those listed.
    DataFormatError
        `patch` is no patch: the path of a file, for example.
    TableError
        There are picks, and all of them are of other cables.
    """
    from phasenet_das.io import (
        get_channel_index,
        get_channel_status,
        get_data,
        get_distance_m,
        get_station_id,
    )

    _check_patch(patch)
    _check_options(time_axis, orientation)
    if not (clip > 0 and 0 < power <= 1):
        raise ConfigError(f"clip = {clip}, power = {power}: expected clip above 0, power above 0 up to 1.")
    ax = new_axes(ax, (7.2, 4.8))
    times = _patch_times(patch)
    max_times, max_channels = _pixels(ax, orientation)
    channel_index = get_channel_index(patch)
    dead = get_channel_status(patch) == "dead"
    raster = rasterise(get_data(patch), channel_index, dead, max_channels, max_times)
    limits = (raster.first_channel - raster.channel_step / 2, raster.last_channel + raster.channel_step / 2)
    shades = np.sign(raster.image) * np.abs(raster.image / clip) ** power
    _draw_image(ax, shades.T, limits, times, time_axis, orientation)
    if picks is not None:
        shown = picks_inside(picks_of_cable(picks, get_station_id(patch)), "", channel_index, times)
        place = _placer(times, time_axis, orientation)
        draw_picks(ax, shown, place, size=5.0 if len(channel_index) > 150 else 14.0)
        number_groups(ax, shown, place)
        if moveout:
            draw_moveout(ax, shown, place)
        legend_below(ax)
    _label(ax, times, time_axis, orientation)
    _add_distance_axis(ax, channel_index, get_distance_m(patch), orientation)
    heading(ax, get_station_id(patch) if title is None else title)
    return finish(ax)


def record_section(
    patch: Patch,
    distance_km: np.ndarray | None = None,
    picks: pd.DataFrame | None = None,
    *,
    ax: Axes | None = None,
    max_traces: int = 60,
    reduction_velocity_km_s: float | None = None,
) -> Axes:
    """Draw wiggle traces of evenly chosen channels against distance.

    Parameters
    ----------
    distance_km : numpy.ndarray, shape (channel,), float, optional
        Distance of each channel from the source, km; along the fibre otherwise.
    picks : pandas.DataFrame, optional
        Pick table; picks of the chosen channels are drawn.
    max_traces : int, optional
        Most channels to draw. Dead channels are never drawn.
    reduction_velocity_km_s : float, optional
        Show time less distance over this velocity, km/s.

    Raises
    ------
    ConfigError
        `max_traces` is below 1.
    ChannelGeometryError
        No distance is given and the record has none, or the numbers of channels differ.
    DataFormatError
        `patch` is no patch (the path of a file, for example), or no channel at a known distance is alive.
    TableError
        There are picks, and all of them are of other cables.
    """
    from phasenet_das.io import (
        get_channel_index,
        get_channel_status,
        get_data,
        get_distance_m,
        get_station_id,
    )

    _check_patch(patch)
    if max_traces < 1:
        raise ConfigError(f"max_traces = {max_traces}: expected 1 or more.")
    given = distance_km is not None
    distance = np.asarray(distance_km if given else get_distance_m(patch) / 1000, dtype=np.float64)
    _check_distance(distance, len(get_channel_index(patch)))
    ax = new_axes(ax, (7.2, 5.4))
    data = get_data(patch)
    usable = np.isfinite(data).any(axis=1) & (get_channel_status(patch) != "dead")
    rows = _spread_rows(distance, usable, max_traces)
    times = _patch_times(patch)
    chosen = data[rows]
    chosen[~np.isfinite(chosen)] = np.nan
    sample, traces = envelope_trace(chosen, 4 * _pixels(ax, "time-right")[0])
    traces = traces - np.nanmean(traces, axis=1, keepdims=True)
    spacing = np.ptp(distance[rows]) / max(len(rows) - 1, 1) or 1.0
    largest = np.nanmax(np.abs(traces), axis=1, keepdims=True)
    seconds = sample * _dt_s(times)
    delay = np.zeros(len(distance))
    if reduction_velocity_km_s is not None:
        delay = distance / reduction_velocity_km_s
    lines = distance[rows, None] + traces / np.where(largest > 0, largest, 1) * 1.5 * spacing
    for line, late in zip(lines, delay[rows], strict=True):
        ax.plot(seconds - late, line, color=INK, linewidth=0.4, zorder=2)
    if picks is not None:
        channels = pd.Index(get_channel_index(patch)[rows])
        own = picks_of_cable(picks, get_station_id(patch))
        shown = picks_inside(own, "", channels.to_numpy(), times)
        shown = shown[shown["channel_index"].isin(channels)]

        def place(channel: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            row = rows[channels.get_indexer(pd.Index(channel))]
            return (time - times[0]) / np.timedelta64(1, "s") - delay[row], distance[row]

        draw_picks(ax, shown, place, size=16.0)
        legend_below(ax)
    ax.set_ylabel("Distance from the source (km)" if given else "Distance along the fibre (km)")
    reduced = (
        ""
        if reduction_velocity_km_s is None
        else f" \N{MINUS SIGN} distance / {reduction_velocity_km_s:g} km/s"
    )
    ax.set_xlabel(f"Time since {utc_text(times[0])}{reduced} (s)")
    ax.margins(x=0)
    return finish(ax)


def scores(
    probabilities: xr.DataArray,
    *,
    ax: Axes | None = None,
    time_axis: TimeAxis = "seconds",
    orientation: Orientation = "time-down",
) -> Axes:
    """Draw P and S probabilities as an image: white for none, full colour for one.

    Parameters
    ----------
    probabilities : xarray.DataArray, dims (phase, channel, time)
        Scores from 0 to 1, with coordinates ``phase``, ``time`` and ``channel_index`` (or ``channel``).
    time_axis, orientation
        As in :func:`section`.

    Raises
    ------
    ConfigError
        `time_axis` or `orientation` is none of those listed.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.lines import Line2D

    _check_options(time_axis, orientation)
    ax = new_axes(ax, (7.2, 4.8))
    name = "channel_index" if "channel_index" in probabilities.coords else probabilities.dims[1]
    channel_index = probabilities.coords[name].to_numpy()
    times = probabilities.coords["time"].to_numpy().astype("datetime64[ns]")
    max_times, max_channels = _pixels(ax, orientation)
    bins, step = channel_bins(channel_index, max_channels)
    image = np.ones((min(max_times, len(times)), int(bins.max()) + 1, 3))
    for phase, color in PHASE_COLORS.items():
        pixels = reduce_time(probabilities.sel(phase=phase).to_numpy(), max_times)
        merged = np.zeros((image.shape[1], pixels.shape[1]))
        np.fmax.at(merged, bins, pixels)
        image -= np.clip(merged.T, 0, 1)[:, :, None] * (1 - np.array(to_rgb(color)))
    limits = (channel_index.min() - step / 2, channel_index.max() + step / 2)
    _draw_image(ax, np.clip(image, 0, 1), limits, times, time_axis, orientation)
    handles = [
        Line2D([], [], color=phase_color(phase), lw=5, label=f"{phase} score") for phase in PHASE_COLORS
    ]
    ax.legend(handles=handles, fontsize=TICK_SIZE, framealpha=0.92, edgecolor="#bbbbbb")
    _label(ax, times, time_axis, orientation)
    return finish(ax)


def _check_patch(patch: object) -> None:
    from dascore import Patch

    if not isinstance(patch, Patch):
        raise DataFormatError(
            f"found a {type(patch).__name__}, expected a patch. Read the file first: phasenet_das.read(path)."
        )


def _check_options(time_axis: str, orientation: str) -> None:
    if time_axis not in {"seconds", "utc"}:
        raise ConfigError(f"time_axis = '{time_axis}': expected 'seconds' or 'utc'.")
    if orientation not in {"time-down", "time-right"}:
        raise ConfigError(f"orientation = '{orientation}': expected 'time-down' or 'time-right'.")


def _check_distance(distance: np.ndarray, num_channels: int) -> None:
    if len(distance) != num_channels:
        raise ChannelGeometryError(
            f"distance_km has {len(distance)} values, but the record has {num_channels} channels."
        )
    if not np.isfinite(distance).any():
        raise ChannelGeometryError(
            "the record has no distance along the fibre. Read it with dx_m=, or give distance_km=."
        )


def _patch_times(patch: Patch) -> np.ndarray:
    from phasenet_das.io import get_times

    return get_times(patch)


def _dt_s(times: np.ndarray) -> float:
    return float((times[-1] - times[0]) / np.timedelta64(1, "s")) / max(len(times) - 1, 1)


def _pixels(ax: Axes, orientation: str) -> tuple[int, int]:
    """Pixels along time and along the cable that the axes has in print."""
    width, height = (max(int(inches * _PIXELS_PER_INCH), 50) for inches in size_inches(ax))
    return (height, width) if orientation == "time-down" else (width, height)


def _draw_image(
    ax: Axes,
    image: np.ndarray,
    channels: tuple[float, float],
    times: np.ndarray,
    time_axis: str,
    orientation: str,
) -> None:
    """Draw an image (time, channel[, colour]), each sample centred on its time."""
    half = np.timedelta64(round(_dt_s(times) * 5e8), "ns")
    first, last = _on_axis(np.array([times[0] - half, times[-1] + half]), times, time_axis)
    extent = (channels[0], channels[1], last, first)
    if orientation == "time-right":
        image = image.swapaxes(0, 1)
        extent = (first, last, channels[1], channels[0])
    ax.set_facecolor(MISSING)
    ax.imshow(image, cmap=amplitude_colormap(), vmin=-1, vmax=1, aspect="auto", extent=extent, zorder=1)


def _on_axis(moments: np.ndarray, times: np.ndarray, time_axis: str) -> np.ndarray:
    if time_axis == "utc":
        return date_numbers(moments)
    seconds: np.ndarray = (moments - times[0]) / np.timedelta64(1, "s")
    return seconds


def _placer(times: np.ndarray, time_axis: str, orientation: str) -> Place:
    def place(channel: np.ndarray, moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        along = _on_axis(moment, times, time_axis)
        return (channel, along) if orientation == "time-down" else (along, channel)

    return place


def _label(ax: Axes, times: np.ndarray, time_axis: str, orientation: str) -> None:
    time_name, channel_name = ("y", "x") if orientation == "time-down" else ("x", "y")
    ax.set(**{f"{channel_name}label": "Channel"})
    if time_axis == "seconds":
        ax.set(**{f"{time_name}label": f"Time since {utc_text(times[0])} (s)"})
        return
    axis = ax.yaxis if time_name == "y" else ax.xaxis
    date_ticks(axis)
    ax.set(**{f"{time_name}label": "Time (UTC)"})


def _add_distance_axis(ax: Axes, channel_index: np.ndarray, distance_m: np.ndarray, orientation: str) -> None:
    """Add the distance along the fibre opposite to the channel numbers, where it is known."""
    order = np.argsort(channel_index)
    channel, distance = channel_index[order].astype(np.float64), distance_m[order]
    if len(channel) < 2 or not np.isfinite(distance).all() or (np.diff(distance) <= 0).any():
        return
    unit, scale = ("km", 1e-3) if distance[-1] - distance[0] >= 10_000 else ("m", 1.0)
    # One channel more at either end, for the half channel that the image reaches out.
    channel = np.concatenate([[2 * channel[0] - channel[1]], channel, [2 * channel[-1] - channel[-2]]])
    along = np.concatenate([[2 * distance[0] - distance[1]], distance, [2 * distance[-1] - distance[-2]]])
    along *= scale
    both = (lambda x: np.interp(x, channel, along), lambda x: np.interp(x, along, channel))
    if orientation == "time-down":
        second = ax.secondary_xaxis("top", functions=both)
        second.set_xlabel(f"Distance along the fibre ({unit})")
    else:
        second = ax.secondary_yaxis("right", functions=both)
        second.set_ylabel(f"Distance along the fibre ({unit})")
    finish(second)


def _spread_rows(distance: np.ndarray, usable: np.ndarray, max_traces: int) -> np.ndarray:
    """Choose channels at even steps of distance."""
    rows = np.flatnonzero(usable & np.isfinite(distance))
    if not len(rows):
        raise DataFormatError(
            f"all {len(usable)} channels are dead, hold no number or lie at an unknown distance. Expected "
            "one that lives, at a known distance. Read other channels or times, or give distance_km=."
        )
    rows = rows[np.argsort(distance[rows], kind="stable")]
    wanted = np.linspace(distance[rows[0]], distance[rows[-1]], min(max_traces, len(rows)))
    nearest = np.searchsorted(distance[rows], wanted).clip(0, len(rows) - 1)
    return rows[np.unique(nearest)]
