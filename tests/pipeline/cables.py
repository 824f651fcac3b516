"""Recordings, picks and channels of small cables, for the tests of the workflow's stages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from phasenet_das import io
from phasenet_das.tables import PICK_COLUMNS, conform, make_pick_ids

START = pd.Timestamp("2024-01-01T00:00:00Z")


def write_minutes(
    folder: Path, minutes: list[int], station_id: str = "C", num_channels: int = 6
) -> list[str]:
    """Write a file a minute, sampled at 20 Hz."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for minute in minutes:
        rng = np.random.default_rng(minute)
        patch = io.make_patch(
            rng.standard_normal((num_channels, 1200)).astype(np.float32),
            start_time=(START + pd.Timedelta(minutes=minute)).tz_convert(None).to_datetime64(),
            dt_s=0.05,
            distance_m=np.arange(num_channels) * 10.0,
            station_id=station_id,
            unit="strain / s",
        )
        paths.append(str(folder / f"{minute:02d}.h5"))
        io.write_quakeflow(patch, paths[-1])
    return paths


def channel_table(num_channels: int = 60, station_id: str = "C") -> pd.DataFrame:
    """Give a cable bent by a right angle, 3 km long on either side."""
    along = np.linspace(-1, 1, num_channels) * 3.0
    east, north = np.clip(along, 0, None), np.clip(-along, 0, None)
    return pd.DataFrame(
        {
            "station_id": station_id,
            "channel_index": np.arange(num_channels),
            "longitude": -117.5 + east / 90.0,
            "latitude": 35.7 + north / 111.0,
            "elevation_m": 0.0,
            "distance_m": 1e3 * (along + 3.0),
            "status": "ok",
        }
    )


def event_picks(channels: pd.DataFrame, origin_s: list[float], seed: int = 0) -> pd.DataFrame:
    """Give the picks of events at one place, 8 km deep, with errors of 20 ms."""
    rng = np.random.default_rng(seed)
    east = (channels["longitude"] - -117.45) * 90.0
    north = (channels["latitude"] - 35.68) * 111.0
    distance_km = np.sqrt(east**2 + north**2 + 8.0**2).to_numpy()
    tables = []
    for origin in origin_s:
        for phase, speed in (("P", 6.0), ("S", 6.0 / 1.73)):
            seconds = origin + distance_km / speed + 0.02 * rng.standard_normal(len(channels))
            tables.append(
                pd.DataFrame(
                    {
                        "station_id": channels["station_id"].to_numpy(),
                        "channel_index": channels["channel_index"].to_numpy(),
                        "distance_m": channels["distance_m"].to_numpy(),
                        "phase_time": START + pd.to_timedelta(seconds, unit="s"),
                        "phase_type": phase,
                        "phase_score": 0.9,
                        "phase_amplitude": 1e-8,
                        "event_index": -1,
                        "association_score": np.nan,
                        "travel_time_residual_s": np.nan,
                    }
                )
            )
    table = pd.concat(tables, ignore_index=True)
    sample = (table["phase_time"].astype("int64") // 10_000_000).to_numpy()
    table["pick_id"] = make_pick_ids(
        table["station_id"].to_numpy(str),
        table["channel_index"].to_numpy(),
        table["phase_type"].to_numpy(str),
        sample,
    )
    return conform(table, PICK_COLUMNS, "picks")
