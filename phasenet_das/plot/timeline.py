"""Events, picks and coverage over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from phasenet_das.plot.style import (
    EVENT,
    GROUP,
    INK,
    MISSING,
    MUTED,
    TICK_SIZE,
    date_numbers,
    date_ticks,
    finish,
    legend,
    new_axes,
    phase_color,
)
from phasenet_das.tables.columns import associated_phase, plain_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_BIN_WIDTHS_S: Final = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 21600, 86400, 604800,
)  # fmt: skip
_STRIP: Final = 0.07  # height of one cable's coverage, as a share of the axes
_STRIPS: Final = 0.4  # most of the axes that the coverage of all cables takes
_MOST_NAMES: Final = 12


def timeline(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    coverage: pd.DataFrame | None = None,
    groups: pd.DataFrame | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw picks in bins of time, events and groups as marks, and below them what was examined.

    Parameters
    ----------
    coverage : pandas.DataFrame, optional
        Coverage table: examined spans are green, others grey, one row per cable; spans of unknown
        time are not drawn.
    groups : pandas.DataFrame, optional
        Table of groups of picks without a location.
    """
    ax = new_axes(ax, (7.2, 2.8))
    spans = [picks["phase_time"], events["time"]]
    if coverage is not None:
        coverage = coverage[coverage["start"].notna() & coverage["end"].notna()]
        spans += [coverage["start"], coverage["end"]]
    moments = pd.concat(spans)
    if moments.empty:
        ax.text(0.5, 0.5, "no picks, no events", transform=ax.transAxes, ha="center", color=MUTED)
        return finish(ax)
    width_s = _bin_width_s((moments.max() - moments.min()).total_seconds())
    highest = _draw_counts(ax, picks, moments.min(), moments.max(), width_s)
    if len(events):
        _draw_events(ax, date_numbers(plain_times(events["time"])))
    if groups is not None and len(groups):
        _draw_groups(ax, date_numbers(plain_times(groups["start_time"])))
    rows = [] if coverage is None else sorted(coverage["station_id"].unique())
    if coverage is not None:
        _draw_coverage(ax, coverage, rows)
    share = _strip(rows) * len(rows) + (0.03 if rows else 0)
    ax.set_ylim(-share / (1 - share) * 1.1 * highest, 1.1 * highest)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 0 else "")
    ax.set_ylabel(f"Picks per {_bin_name(width_s)}")
    ax.set_xlabel("Time (UTC)")
    date_ticks(ax.xaxis)
    # Above the axes: bars and lines of events leave no room within.
    legend(ax, loc="lower right", bbox_to_anchor=(1.0, 1.02), ncols=4, frameon=False, borderaxespad=0)
    return finish(ax)


def _bin_width_s(span_s: float) -> float:
    return next((width for width in _BIN_WIDTHS_S if span_s / width <= 200), _BIN_WIDTHS_S[-1])


def _bin_name(width_s: float) -> str:
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if width_s >= seconds:
            number = width_s / seconds
            return unit if number == 1 else f"{number:g} {unit}s"
    return f"{width_s:g} s"


def _draw_counts(
    ax: Axes, picks: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp, width_s: float
) -> float:
    """Stack the numbers of picks per bin; return the highest."""
    width = pd.Timedelta(width_s, unit="s")
    edges = pd.date_range(first.floor(width), last.ceil(width) + width, freq=width).tz_localize(None)
    below = np.zeros(len(edges) - 1)
    for phase, group in picks.groupby(associated_phase(picks), observed=True):
        when = plain_times(group["phase_time"])
        index = np.searchsorted(edges.to_numpy().astype("datetime64[ns]"), when, side="right") - 1
        count = np.bincount(index, minlength=len(below))[: len(below)]
        ax.stairs(
            below + count,
            date_numbers(edges.to_numpy()),
            baseline=below,
            fill=True,
            color=phase_color(str(phase)),
            label=f"{phase} picks ({len(group):,})",
            zorder=3,
        )
        below = below + count
    return max(float(below.max()), 1.0)


def _draw_events(ax: Axes, times: np.ndarray) -> None:
    transform = ax.get_xaxis_transform()
    label = f"events ({len(times):,}, origin times)"
    ax.vlines(times, 0, 1, color=EVENT, linewidth=0.9, zorder=4, label=label, transform=transform)
    ax.plot(times, np.ones(len(times)), "v", color=EVENT, markersize=6, transform=transform, clip_on=False)


def _draw_groups(ax: Axes, times: np.ndarray) -> None:
    transform, label = ax.get_xaxis_transform(), f"groups without a location ({len(times):,})"
    ax.vlines(times, 0, 0.93, color=GROUP, linewidth=0.9, zorder=4, label=label, transform=transform)
    ax.plot(times, np.full(len(times), 0.93), "^", color=GROUP, markersize=6, transform=transform)


def _strip(rows: list[str]) -> float:
    """Give the height of one cable's coverage, as a share of the axes."""
    return min(_STRIP, _STRIPS / max(len(rows), 1))


def _draw_coverage(ax: Axes, coverage: pd.DataFrame, rows: list[str]) -> None:
    transform, height = ax.get_xaxis_transform(), _strip(rows)
    step = -(-len(rows) // _MOST_NAMES)  # of many cables, each step-th is named
    for row, station in enumerate(rows):
        bottom = 0.01 + height * row
        for examined, color in ((True, "#5aae61"), (False, MISSING)):
            chosen = coverage[
                (coverage["station_id"] == station) & ((coverage["status"] == "examined") == examined)
            ]
            start = date_numbers(plain_times(chosen["start"]))
            length = date_numbers(plain_times(chosen["end"])) - start
            bars = list(zip(start, length, strict=True))
            ax.broken_barh(
                bars,
                (bottom, 0.8 * height),
                facecolor=color,
                edgecolor=INK,
                linewidth=0.3,
                transform=transform,
            )
        if row % step:
            continue
        ax.text(
            -0.008, bottom + 0.4 * height, station, transform=ax.transAxes, ha="right", va="center",
            fontsize=TICK_SIZE - 1, color=INK, parse_math=False,
        )  # fmt: skip
