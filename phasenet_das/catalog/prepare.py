"""What every export starts from: checked events, and their picks with station code, position and error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.catalog.codes import station_codes
from phasenet_das.catalog.thinning import thin_picks
from phasenet_das.errors import ChannelGeometryError, TableError
from phasenet_das.tables import CHANNEL_COLUMNS, EVENT_COLUMNS, PICK_COLUMNS, conform
from phasenet_das.text import records

_RECEIVER = ["station_id", "channel_index"]


def prepare_events(events: pd.DataFrame) -> pd.DataFrame:
    """Check an event table and sort it by time."""
    table = conform(events, EVENT_COLUMNS, "events").sort_values("time", kind="stable")
    twice = table["event_id"].duplicated()
    if twice.any():
        raise TableError(f"events: event_id '{table.loc[twice, 'event_id'].iloc[0]}' is given twice.")
    return table


def prepare_picks(
    picks: pd.DataFrame, channels: pd.DataFrame | None, max_picks_per_phase: int, network: str
) -> pd.DataFrame:
    """Thin the picks and join station codes, coordinates and the standard error of the time."""
    picks = conform(picks, PICK_COLUMNS, "picks")
    picks["time_error_s"] = _time_errors_s(picks)
    kept = thin_picks(picks, max_picks_per_phase)
    known = picks[_RECEIVER]
    if channels is not None:
        channels = conform(channels, CHANNEL_COLUMNS, "channels")
        known = pd.concat([channels[_RECEIVER], known])
        kept = kept.merge(channels[[*_RECEIVER, "longitude", "latitude"]], on=_RECEIVER, how="left")
    else:
        kept = kept.assign(longitude=np.nan, latitude=np.nan)
    kept = kept.merge(station_codes(known, network), on=_RECEIVER, how="left")
    return kept.sort_values(["phase_time", "pick_id"], kind="stable")


def events_with_picks(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    channels: pd.DataFrame | None,
    max_picks_per_phase: int,
    network: str,
) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Pair each event with its picks, as most formats want them."""
    table = prepare_events(events)
    kept = prepare_picks(picks, channels, max_picks_per_phase, network)
    groups = dict(iter(kept.groupby("event_index")))
    return [(row, groups.get(row["event_index"], kept.iloc[:0])) for row in records(table)]


def place_stations(channels: pd.DataFrame, network: str = "XX") -> pd.DataFrame:
    """Give every placed receiver its station code, for station files."""
    channels = conform(channels, CHANNEL_COLUMNS, "channels")
    placed = channels.merge(station_codes(channels, network), on=_RECEIVER, how="left")
    placed = placed[placed[["longitude", "latitude", "elevation_m"]].notna().all(axis=1)]
    if placed.empty:
        raise ChannelGeometryError(
            "no channel has longitude, latitude and elevation_m, which a station file is made of. Fill them "
            "in the channel table."
        )
    return placed.sort_values("station_code", ignore_index=True)


def _time_errors_s(picks: pd.DataFrame) -> pd.Series:
    residual = picks["travel_time_residual_s"].astype(float)
    mean_square = (residual**2).groupby([picks["event_index"], picks["phase_type"]]).transform("mean")
    rms: pd.Series = np.sqrt(mean_square).where(picks["event_index"] >= 0)
    if "phase_time_uncertainty_s" not in picks.columns:
        return rms
    stated: pd.Series = picks["phase_time_uncertainty_s"].astype(float)
    return stated.fillna(rms)
