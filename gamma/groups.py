"""Groups of picks without a location: arrivals in line along a cable that no event takes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from gamma.domain import Domain
from gamma.fronts import cable_runs, follow_fronts
from gamma.likelihood import receiver_weights, seed_picks
from gamma.picks import Observations
from gamma.results import UNEXPLAINED, Assignment

I64 = npt.NDArray[np.int64]

_REASON = "no event explains it with both P and S"


def group_picks(
    domain: Domain, observations: Observations, assignment: Assignment
) -> tuple[pd.DataFrame, I64]:
    """Follow the arrivals that are left along the cables: their table, and the group of each pick, or -1."""
    member = np.full(len(observations), -1, dtype=np.int64)
    left = np.flatnonzero((assignment.event < 0) & np.isin(assignment.reason, UNEXPLAINED))
    if domain.mode == "point" or domain.receivers.num_cables == 0:
        left = left[:0]
    if len(left):
        picks, run = seed_picks(domain, observations.take(left), receiver_weights(domain))
        runs = cable_runs(domain, picks, np.ones(len(picks), dtype=bool))
        group = np.full(len(picks) + 1, -1, dtype=np.int64)  # the last for picks of no run
        group[runs.pick] = follow_fronts(domain, runs)
        member[left] = group[run]
    return _table(domain, observations, member)


def _table(domain: Domain, observations: Observations, member: I64) -> tuple[pd.DataFrame, I64]:
    """Describe the groups by time, and give their new numbers."""
    inside = member >= 0
    receiver = observations.receiver_phase[inside] >> 1
    picks = pd.DataFrame(
        {
            "group": member[inside],
            "time": observations.time_ns[inside],
            "station_id": domain.receivers.station_id[receiver],
            "channel": domain.receivers.channel_index[receiver],
            "along_km": domain.receivers.along_km[receiver],
            "shear": observations.receiver_phase[inside] & 1,
        }
    )
    by_group = picks.groupby("group", sort=True)
    table = by_group.agg(
        station_id=("station_id", "first"),
        shear=("shear", "mean"),
        start=("time", "min"),
        end=("time", "max"),
        first_channel=("channel", "min"),
        last_channel=("channel", "max"),
        num_channels=("channel", "nunique"),
        num_picks=("time", "size"),
    )
    middle = by_group[["along_km", "time"]].transform("mean")
    dx, dt = picks["along_km"] - middle["along_km"], (picks["time"] - middle["time"]) * 1e-9
    slope = (dx * dt).groupby(picks["group"]).sum() / (dx**2).groupby(picks["group"]).sum()
    table["apparent_speed_km_s"] = 1.0 / slope.abs().where(slope.abs() > 1e-3)
    order = np.lexsort((table.index.to_numpy(), table["start"].to_numpy()))
    number = np.full(int(member.max(initial=-1)) + 2, -1, dtype=np.int64)
    number[table.index.to_numpy()[order]] = np.arange(len(order))
    table = table.iloc[order]
    return pd.DataFrame(
        {
            "group_index": np.arange(len(table), dtype=np.int64),
            "station_id": pd.array(table["station_id"].to_numpy(object), dtype="str"),
            "phase_type": pd.array(np.where(table["shear"] > 0.5, "S", "P").astype(object), dtype="str"),
            "start_time": pd.to_datetime(table["start"].to_numpy(np.int64), utc=True).as_unit("ns"),
            "end_time": pd.to_datetime(table["end"].to_numpy(np.int64), utc=True).as_unit("ns"),
            **{
                name: table[name].to_numpy(np.int32)
                for name in ("first_channel", "last_channel", "num_channels")
            },
            "num_picks": table["num_picks"].to_numpy(np.int64),
            "apparent_speed_km_s": table["apparent_speed_km_s"].to_numpy(np.float64),
            "reason": pd.array(np.full(len(table), _REASON, dtype=object), dtype="str"),
        }
    ), number[member]
