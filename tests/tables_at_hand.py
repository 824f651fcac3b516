"""Tables that tests share: a small catalog of one located event, one of unknown direction, and noise."""

from __future__ import annotations

import numpy as np
import pandas as pd

from phasenet_das.tables import CHANNEL_COLUMNS, EVENT_COLUMNS, PICK_COLUMNS, conform, make_pick_ids


def _event(number: int, time: str, **values: object) -> dict[str, object]:
    return {
        "event_index": number,
        "event_id": f"ev{number}-abc",
        "time": pd.Timestamp(time),
        "time_uncertainty_s": 0.12,
        "longitude": np.nan,
        "latitude": np.nan,
        "depth_km": np.nan,
        "horizontal_uncertainty_km": np.nan,
        "depth_uncertainty_km": np.nan,
        "source_distance_km": 161.2,
        "source_distance_uncertainty_km": 9.1,
        "num_picks": 400,
        "num_p_picks": 200,
        "num_s_picks": 200,
        "num_channels": 200,
        "residual_rms_s": 0.05,
        "azimuthal_gap_deg": np.nan,
        "location_quality": "azimuth-unconstrained;depth-unconstrained",
        **values,
    }


def catalog_events() -> pd.DataFrame:
    """One event with a hypocentre, and one of unknown direction."""
    located = _event(
        0,
        "2020-01-01T00:00:10.123456789Z",
        longitude=-117.5,
        latitude=35.7,
        depth_km=8.25,
        horizontal_uncertainty_km=1.5,
        depth_uncertainty_km=2.5,
        source_distance_km=12.0,
        azimuthal_gap_deg=210.0,
        location_quality="",
    )
    return conform(pd.DataFrame([located, _event(1, "2020-01-01T00:01:00Z")]), EVENT_COLUMNS)


def catalog_channels() -> pd.DataFrame:
    """A cable of 200 channels and a seismometer."""
    number = np.arange(2000, 2200)
    fibre = pd.DataFrame(
        {"station_id": "CABLE", "channel_index": number, "longitude": -117.6 + 1e-4 * number}
    )
    table = pd.concat(
        [fibre, pd.DataFrame({"station_id": ["CI.CCC"], "channel_index": [-1], "longitude": -117.4})]
    )
    return conform(
        table.assign(latitude=35.5, elevation_m=600.0, distance_m=np.nan, status="ok"), CHANNEL_COLUMNS
    )


def catalog_picks() -> pd.DataFrame:
    """P and S of both events on 200 channels and a seismometer, and 30 picks of no event."""
    rng = np.random.default_rng(7)
    channel = np.append(np.arange(2000, 2200), -1)
    table = pd.DataFrame(
        [(c, phase, event) for event in (0, 1) for phase in ("P", "S") for c in channel]
        + [(c, "P", -1) for c in channel[:30]],
        columns=["channel_index", "phase_type", "event_index"],
    )
    count = len(table)
    late = rng.normal(0, 0.05, count)
    base = pd.to_datetime("2020-01-01T00:00:12Z") + pd.to_timedelta(
        60.0 * table["event_index"].abs(), unit="s"
    )
    delay = (
        np.where(table["phase_type"] == "S", 4.0, 0.0) + np.where(table["event_index"] < 0, 20.0, 0.0) + late
    )
    kept = table["event_index"] >= 0
    table = table.assign(
        station_id=np.where(table["channel_index"] < 0, "CI.CCC", "CABLE"),
        distance_m=np.nan,
        phase_time=base + pd.to_timedelta(delay, unit="s"),
        phase_score=rng.uniform(0.3, 1, count),
        phase_amplitude=1.0,
        association_score=np.where(kept, rng.uniform(0.5, 1, count), np.nan),
        travel_time_residual_s=np.where(kept, late, np.nan),
        reason=np.where(kept, "", "fits no event"),
    )
    nanoseconds = table["phase_time"].dt.as_unit("ns").astype("int64").to_numpy()
    table["pick_id"] = make_pick_ids(
        table["station_id"].to_numpy(dtype=str),
        table["channel_index"].to_numpy(),
        table["phase_type"].to_numpy(dtype=str),
        nanoseconds,
    )
    return conform(table, PICK_COLUMNS)
