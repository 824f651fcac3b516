"""Tables that tests share: a small catalog of one located event, one of unknown direction, and noise."""

from __future__ import annotations

import numpy as np
import pandas as pd

from phasenet_das.tables import (
    CHANNEL_COLUMNS,
    EVENT_COLUMNS,
    GROUP_COLUMNS,
    PICK_COLUMNS,
    conform,
    make_pick_ids,
)

START = pd.Timestamp("2024-03-01T00:00:00", tz="UTC")


def pick_table(
    channel: np.ndarray,
    seconds: np.ndarray | float,
    phase: np.ndarray | str = "P",
    *,
    event: np.ndarray | int = -1,
    score: np.ndarray | float = 0.9,
    station: np.ndarray | str = "C",
    start: pd.Timestamp = START,
    **columns: object,
) -> pd.DataFrame:
    """A whole pick table of arrivals in seconds after `start`; `columns` replace or add some."""
    after = np.broadcast_to(np.rint(np.asarray(seconds, float) * 1e9).astype(np.int64), len(channel))
    phases = np.broadcast_to(np.asarray(phase, dtype=object), len(channel)).astype(str)
    table = pd.DataFrame(
        {
            "pick_id": make_pick_ids(station, np.asarray(channel), phases, after),
            "station_id": station,
            "channel_index": channel,
            "distance_m": np.nan,
            "phase_time": start + pd.to_timedelta(after, unit="ns"),
            "phase_type": phases,
            "phase_score": score,
            "phase_amplitude": np.nan,
            "event_index": event,
            "association_score": np.nan,
            "travel_time_residual_s": np.nan,
        }
    )
    return conform(table.assign(**columns), PICK_COLUMNS, "picks")


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
        "num_renamed": 0,
        "residual_rms_s": 0.05,
        "azimuthal_gap_deg": np.nan,
        "quality": "D",
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
        quality="B",
        location_quality="",
    )
    return conform(pd.DataFrame([located, _event(1, "2020-01-01T00:01:00Z")]), EVENT_COLUMNS)


def graded_events() -> pd.DataFrame:
    """Events of the classes A to D: three with a hypocentre, a distant one, and one without a direction."""
    rows = [
        _event(
            number,
            f"2020-01-01T00:0{number}:00.5Z",
            longitude=-117.4 + 0.05 * number,
            latitude=35.55 + 0.04 * number,
            depth_km=6.0 + number,
            horizontal_uncertainty_km=spread,
            depth_uncertainty_km=2 * spread,
            source_distance_km=10.0 + 3 * number,
            source_distance_uncertainty_km=spread,
            azimuthal_gap_deg=200.0,
            num_renamed=renamed,
            quality=quality,
            location_quality="" if quality == "A" else "velocity-assumed",
        )
        for number, (quality, spread, renamed) in enumerate([("A", 0.4, 0), ("B", 1.2, 20), ("C", 4.0, 3)])
    ]
    rows += [
        _event(3, "2020-01-01T00:03:00Z", location_quality="distant", back_azimuth_deg=40.0),
        _event(4, "2020-01-01T00:04:00Z"),
    ]
    return conform(pd.DataFrame(rows), EVENT_COLUMNS)


def graded_picks() -> pd.DataFrame:
    """P and S of these events on 200 channels, 20 of event 1 renamed, and a group of 40 without event."""
    channel = np.tile(np.arange(2000, 2200), 10)
    phase = np.tile(np.repeat(["P", "S"], 200), 5)
    event = np.repeat(np.arange(5), 400)
    late = np.random.default_rng(3).normal(0, 0.05, 2000)
    swapped = (event == 1) & (phase == "S") & (channel < 2020)
    taken = pick_table(
        channel,
        3.0 + 60.0 * event + np.where(phase == "S", 4.0, 0.0) + 0.002 * (channel - 2000) + late,
        np.where(swapped, "P", phase),
        event=event,
        station="CABLE",
        start=pd.Timestamp("2020-01-01T00:00:00Z"),
        association_score=0.9,
        travel_time_residual_s=late,
        associated_phase=phase,
        group_index=-1,
        reason="",
    )
    free = pick_table(
        np.arange(2050, 2090),
        20.0 + 0.01 * np.arange(40),
        "S",
        station="CABLE",
        start=pd.Timestamp("2020-01-01T00:00:00Z"),
        associated_phase="",
        group_index=0,
        reason="no event explains it",
    )
    return pd.concat([taken, free], ignore_index=True)


def graded_groups() -> pd.DataFrame:
    """The group of these picks that no event takes."""
    start = pd.Timestamp("2020-01-01T00:00:20Z")
    row = {
        "group_index": 0,
        "station_id": "CABLE",
        "phase_type": "S",
        "start_time": start,
        "end_time": start + pd.Timedelta(seconds=0.39),
        "first_channel": 2050,
        "last_channel": 2089,
        "num_channels": 40,
        "num_picks": 40,
        "apparent_speed_km_s": 2.4,
        "reason": "one phase only",
    }
    return conform(pd.DataFrame([row]), GROUP_COLUMNS)


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
    rows = [(c, phase, event) for event in (0, 1) for phase in ("P", "S") for c in channel]
    rows += [(c, "P", -1) for c in channel[:30]]
    channel, phase, event = (np.array(column) for column in zip(*rows, strict=True))
    late, kept = rng.normal(0, 0.05, len(rows)), event >= 0
    return pick_table(
        channel,
        12.0 + 60.0 * np.abs(event) + np.where(phase == "S", 4.0, 0.0) + np.where(kept, 0.0, 20.0) + late,
        phase,
        event=event,
        score=rng.uniform(0.3, 1, len(rows)),
        station=np.where(channel < 0, "CI.CCC", "CABLE"),
        start=pd.Timestamp("2020-01-01T00:00:00Z"),
        phase_amplitude=1.0,
        association_score=np.where(kept, rng.uniform(0.5, 1, len(rows)), np.nan),
        travel_time_residual_s=np.where(kept, late, np.nan),
        reason=np.where(kept, "", "fits no event"),
    )


def make_truth(num_events: int = 12, num_channels: int = 40, seed: int = 0) -> pd.DataFrame:
    """P and S of events 30 s apart on every channel, with a signal-to-noise ratio for each."""
    rng = np.random.default_rng(seed)
    event, channel = (
        a.ravel() for a in np.meshgrid(np.arange(num_events), np.arange(num_channels), indexing="ij")
    )
    p = 10.0 + 30.0 * event + rng.uniform(1, 4, num_events)[event] + 0.01 * channel
    lag = rng.uniform(2, 8, num_events)[event] + 0.005 * channel
    parts = [
        pick_table(channel, seconds, phase, event=event).assign(
            snr_db=rng.uniform(-10, 30, num_events)[event] + 0.05 * channel
        )
        for phase, seconds in (("P", p), ("S", p + lag))
    ]
    return pd.concat(parts, ignore_index=True)
