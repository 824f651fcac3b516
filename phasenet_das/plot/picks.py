"""Diagrams of pick tables: picks and residuals along the cable, scores of kept and rejected picks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from phasenet_das.errors import TableError
from phasenet_das.plot.overlay import draw_picks, number_groups, picks_of_cable
from phasenet_das.plot.style import (
    INK,
    MUTED,
    finish,
    heading,
    legend,
    legend_below,
    new_axes,
    phase_color,
    utc_text,
)
from phasenet_das.tables.columns import associated_phase

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_GAP: Final = 0.03  # between two cables, as a share of all their channels


def residuals(picks: pd.DataFrame, *, event_index: int | None = None, ax: Axes | None = None) -> Axes:
    """Draw travel-time residuals along the cable; several cables stand side by side.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table; only picks of an event are drawn.
    event_index : int, optional
        Only this event; all of them otherwise.

    Returns
    -------
    matplotlib.axes.Axes
        Residual in s (observed less predicted) over channel.
    """
    ax = new_axes(ax, (7.2, 2.6))
    wanted = picks["event_index"] >= 0 if event_index is None else picks["event_index"] == event_index
    shown = picks[wanted & picks["travel_time_residual_s"].notna()].reset_index(drop=True)
    position = _place_cables(ax, shown)
    ax.axhline(0, color=INK, linewidth=0.8, zorder=2)
    for phase, group in shown.groupby(associated_phase(shown), observed=True):
        residual = group["travel_time_residual_s"].astype(float)
        rms = float(np.sqrt((residual**2).mean()))
        ax.scatter(
            position[group.index.to_numpy()],
            residual,
            s=max(3.0, min(16.0, 4000 / len(shown))),
            color=phase_color(str(phase)),
            linewidths=0,
            alpha=0.85,
            zorder=3,
            label=f"{phase}: median {_seconds(residual.median(), rms, sign=True)}, rms {_seconds(rms, rms)}",
        )
    ax.set_ylabel("Residual (s)\nobserved \N{MINUS SIGN} predicted")
    legend(ax, loc="best", markerscale=2.0, handletextpad=0.3)
    return finish(ax, grid=True)


def pick_section(picks: pd.DataFrame, *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw picks of one cable over channel and time, as :func:`section` draws them, without a record.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table of one cable; other cables are counted in the log.
    title : str, optional
        Heading.

    Returns
    -------
    matplotlib.axes.Axes
        Seconds since the first pick, downward, over channel.

    Raises
    ------
    TableError
        There are no picks.
    """
    if picks.empty:
        raise TableError("picks: found no pick, expected some of one cable. Choose another time or cable.")
    ax = new_axes(ax, (7.2, 4.2))
    own = picks_of_cable(picks, str(picks["station_id"].mode().iloc[0]))
    first = own["phase_time"].min().tz_localize(None).to_datetime64()

    def place(channel: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return channel, (time - first) / np.timedelta64(1, "s")

    draw_picks(ax, own, place, size=6.0)
    number_groups(ax, own, place)
    ax.invert_yaxis()
    ax.set(xlabel="Channel", ylabel=f"Time since {utc_text(first)} (s)")
    heading(ax, title)
    legend_below(ax)
    return finish(ax, grid=True)


def score_histogram(picks: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how many picks of each score were kept and how many rejected.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table with ``event_index``.

    Returns
    -------
    matplotlib.axes.Axes
        Kept picks upward, rejected downward.
    """
    ax = new_axes(ax, (4.6, 2.6))
    picks = picks.reset_index(drop=True)
    edges = np.linspace(0, 1, 41)
    kept = picks["event_index"] >= 0
    for number, (phase, group) in enumerate(picks.groupby(associated_phase(picks), observed=True)):
        color = phase_color(str(phase))
        for chosen, sign in ((kept[group.index], 1), (~kept[group.index], -1)):
            count = np.histogram(group["phase_score"][chosen].astype(float), edges)[0]
            word = "kept" if sign > 0 else "rejected"
            ax.bar(
                edges[:-1] + (0.25 + 0.5 * number) * np.diff(edges)[0],
                sign * count,
                width=0.45 * np.diff(edges)[0],
                facecolor=color if sign > 0 else "white",
                edgecolor=color,
                linewidth=0.7,
                label=f"{phase} {word} ({int(chosen.sum()):,})",
                zorder=3,
            )
    ax.axhline(0, color=INK, linewidth=0.8, zorder=4)
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    lowest = picks["phase_score"].astype(float).min()
    ax.set_xlim(np.floor(lowest * 10) / 10 if np.isfinite(lowest) else 0, 1)
    ax.set(xlabel="Score", ylabel="Picks\nrejected | kept")
    legend(ax, loc="best")
    return finish(ax, grid=True)


def _seconds(value: float, scale: float, *, sign: bool = False) -> str:
    """Write a time in s, or in ms where `scale` is short."""
    factor, digits, unit = (1.0, 3, "s") if scale >= 0.01 else (1e3, 2, "ms")
    rounded = round(value * factor, digits) + 0.0  # no negative zero
    return f"{rounded:{'+' if sign else ''}.{digits}f} {unit}"


def _place_cables(ax: Axes, picks: pd.DataFrame) -> np.ndarray:
    """Put cables one behind the other, and write their names when there are several."""
    stations = sorted(picks["station_id"].astype(str).unique())
    name = f"Channel ({stations[0]})" if len(stations) == 1 and stations[0] else "Channel"
    ax.set_xlabel(name, parse_math=False)
    position = picks["channel_index"].to_numpy(dtype=np.float64, copy=True)
    if len(stations) < 2:
        return position
    length = picks.groupby("station_id", observed=True)["channel_index"].agg(lambda x: x.max() - x.min() + 1)
    first = picks.groupby("station_id", observed=True)["channel_index"].min()
    start = 0.0
    centres = []
    for station in stations:
        rows = (picks["station_id"] == station).to_numpy()
        position[rows] += start - first[station]
        centres.append(start + length[station] / 2)
        start += length[station] + _GAP * length.sum()
        ax.axvline(start - _GAP * length.sum() / 2, color=MUTED, linewidth=0.5, zorder=1)
    ax.set_xticks(centres, stations, parse_math=False)
    ax.set_xlabel("Cable or station")
    return position
