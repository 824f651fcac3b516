"""Fewer picks for programs that take every channel for an independent station."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from phasenet_das.config import ReportSettings
from phasenet_das.errors import ConfigError

MAX_PICKS_PER_PHASE: Final = ReportSettings().max_picks_per_phase
_GROUP = ["event_index", "station_id", "phase_type"]


def thin_picks(picks: pd.DataFrame, max_picks_per_phase: int = MAX_PICKS_PER_PHASE) -> pd.DataFrame:
    """Keep a few well-spread picks of each event, cable and phase.

    The channels of an event between its first and last pick on a cable are cut into
    `max_picks_per_phase` bins of equal length, by ``distance_m`` where it is known for the whole group
    and by ``channel_index`` otherwise. Of each bin the pick with the highest ``phase_score`` stays
    (of equal scores, the lowest channel). Groups that are small enough, and all seismometers, stay whole.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table; picks of no event (``event_index`` -1) are left out.
    max_picks_per_phase : int, optional
        Most picks to keep for an event and phase on one cable.

    Returns
    -------
    pandas.DataFrame
        Some of the rows, in their order and with their index.

    Raises
    ------
    ConfigError
        `max_picks_per_phase` is not positive.
    """
    if max_picks_per_phase < 1:
        raise ConfigError(f"max_picks_per_phase = {max_picks_per_phase}: expected at least 1.")
    kept = picks[picks["event_index"] >= 0]
    fibre = kept[kept["channel_index"] != -1]
    if fibre.empty:
        return kept
    groups = fibre.groupby(_GROUP, observed=True)["channel_index"]
    small = (groups.transform("size") <= max_picks_per_phase).to_numpy(copy=True)
    position = _position(fibre)
    first = position.groupby([fibre[name] for name in _GROUP], observed=True).transform("min")
    last = position.groupby([fibre[name] for name in _GROUP], observed=True).transform("max")
    length = (last - first).where(last > first, 1.0)
    bins = np.minimum((position - first) / length * max_picks_per_phase, max_picks_per_phase - 1)
    best = (
        fibre.assign(_bin=bins.astype(int), _row=np.arange(len(fibre)))
        .sort_values(["phase_score", "channel_index", "phase_time"], ascending=[False, True, True])
        .drop_duplicates([*_GROUP, "_bin"])["_row"]
    )
    chosen = small
    chosen[best.to_numpy()] = True
    rows = (picks["event_index"] >= 0).to_numpy(copy=True)
    rows[np.flatnonzero(rows)[(kept["channel_index"] != -1).to_numpy()]] = chosen
    return picks[rows]


def _position(fibre: pd.DataFrame) -> pd.Series:
    """Place of each pick on its cable: metres where the group knows them, else channel number."""
    unknown = fibre["distance_m"].isna()
    incomplete = unknown.groupby([fibre[name] for name in _GROUP], observed=True).transform("any")
    return fibre["distance_m"].where(~incomplete, fibre["channel_index"]).astype(float)
