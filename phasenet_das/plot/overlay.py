"""Picks, and the arrivals that an event predicts, over an image of channel and time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phasenet_das.errors import TableError
from phasenet_das.plot.style import GROUP, INK, TICK_SIZE, phase_color
from phasenet_das.tables.columns import associated_phase, grouped, plain_times, renamed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


log = logging.getLogger(__name__)

Place = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def draw_picks(ax: Axes, picks: pd.DataFrame, place: Place, size: float) -> None:
    """Draw picks as points in the colour of the phase as which they were taken.

    Kept picks are filled, rejected ones hollow; picks that their event renamed carry a ring, and those of a
    group without a location are triangles. When no pick at all belongs to an event or a group, nothing was
    told apart and all are drawn filled.
    """
    kept, alone = (picks["event_index"] >= 0).to_numpy(), grouped(picks).to_numpy()
    judged = bool(kept.any() or alone.any())
    phases = associated_phase(picks).to_numpy()
    for phase in sorted(set(phases)):
        of_phase = (phases == phase) & ~alone
        color = phase_color(str(phase))
        filled, hollow = picks[of_phase & (kept | (not judged))], picks[of_phase & ~kept & judged]
        word = "kept" if judged else "picks"
        if len(filled):
            x, y = place(*_where(filled))
            ax.scatter(x, y, s=2.6 * size, color="white", linewidths=0, zorder=4)
            label = f"{phase} {word} ({len(filled):,})"
            ax.scatter(x, y, s=size, color=color, linewidths=0, zorder=5, label=label)
        if len(hollow):
            x, y = place(*_where(hollow))
            ax.scatter(
                x, y, s=1.3 * size, facecolors="white", edgecolors=color, linewidths=0.6, alpha=0.75,
                zorder=3, label=f"{phase} rejected ({len(hollow):,})",
            )  # fmt: skip
    swapped = renamed(picks).to_numpy()
    if swapped.any():
        label = f"taken for the other phase ({int(swapped.sum()):,})"
        ax.scatter(
            *place(*_where(picks[swapped])), s=2.2 * size, facecolors="none", edgecolors=INK, linewidths=0.5,
            zorder=6, label=label,
        )  # fmt: skip
    if alone.any():
        x, y = place(*_where(picks[alone]))
        ax.scatter(x, y, s=4.5 * size, marker="^", color="white", linewidths=0, zorder=4)
        label = f"in a group without a location ({int(alone.sum()):,})"
        ax.scatter(x, y, s=2.2 * size, marker="^", color=GROUP, linewidths=0, zorder=5, label=label)


def number_groups(ax: Axes, picks: pd.DataFrame, place: Place) -> None:
    """Write the number of each group without a location beside its first channel."""
    if not grouped(picks).any():
        return
    first = picks[grouped(picks)].sort_values("channel_index").drop_duplicates("group_index")
    for index, x, y in zip(first["group_index"], *place(*_where(first)), strict=True):
        ax.annotate(
            str(index), (x, y), (-4, 0), textcoords="offset points", ha="right", va="center",
            fontsize=TICK_SIZE, color=GROUP, zorder=6, annotation_clip=True,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )  # fmt: skip


def draw_moveout(ax: Axes, picks: pd.DataFrame, place: Place) -> None:
    """Draw when the located event predicts each phase: the pick time less its residual."""
    from matplotlib import patheffects

    residual = picks["travel_time_residual_s"].astype(float)
    known = picks[(picks["event_index"] >= 0) & residual.notna()]
    label: str | None = "predicted"
    for _, group in known.groupby(["event_index", associated_phase(known)], observed=True):
        line = group.drop_duplicates("channel_index").sort_values("channel_index")
        channel, time = _where(line)
        late = line["travel_time_residual_s"].to_numpy(dtype=np.float64)
        x, y = place(channel, time - np.round(late * 1e9).astype("timedelta64[ns]"))
        halo = [patheffects.withStroke(linewidth=2.6, foreground="white")]
        ax.plot(x, y, color="black", linewidth=1.0, zorder=2.5, label=label, path_effects=halo)
        label = None


def picks_of_cable(picks: pd.DataFrame, station_id: str) -> pd.DataFrame:
    """Choose the picks of a recording's cable; a table of other cables alone is an error."""
    own = (picks["station_id"] == station_id).to_numpy()
    if not station_id or own.all():
        return picks
    others = ", ".join(sorted(picks.loc[~own, "station_id"].astype(str).unique()))
    if not own.any():
        raise TableError(
            f"picks: found picks of {others}, expected picks of {station_id}, the cable of the recording. "
            "Give the picks of that cable, or read the recording with the name of the picks (station_id=)."
        )
    log.warning("%d picks of %s are not drawn: the recording is of %s", (~own).sum(), others, station_id)
    return picks[own]


def picks_inside(
    picks: pd.DataFrame, station_id: str, channel_index: np.ndarray, times: np.ndarray
) -> pd.DataFrame:
    """Choose the picks that lie in a record.

    `channel_index` (channel,) int, `times` (time,) datetime64[ns].
    """
    inside = picks["phase_time"].dt.tz_localize(None).between(times[0], times[-1])
    inside &= picks["channel_index"].between(channel_index.min(), channel_index.max())
    if station_id:
        inside &= picks["station_id"] == station_id
    return picks[inside]


def _where(picks: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return picks["channel_index"].to_numpy(), plain_times(picks["phase_time"])
