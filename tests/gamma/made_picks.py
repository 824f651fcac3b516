"""Small made cases: stations, events, picks with known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gamma.config import Layer
from gamma.ground import travel_time_table

EPOCH = pd.Timestamp("2021-03-04T05:00:00Z")
VP, VS = 6.0, 3.5
SEDIMENT = tuple(
    Layer(depth_km=top, vp_km_s=vp, vs_km_s=vs)
    for top, vp, vs in [(-1.0, 2.2, 1.0), (1.0, 3.4, 1.8), (3.0, 4.8, 2.7), (7.0, 5.9, 3.4)]
)


def network(num=12, seed=0, half_width=30.0):
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-half_width, half_width, (num, 2))
    table = pd.DataFrame(
        {"station_id": [f"S{i:02d}" for i in range(num)], "x_km": xy[:, 0], "y_km": xy[:, 1]}
    )
    table["z_km"] = -rng.uniform(0.0, 1.0, num)
    return table.assign(channel_index=-1)


def cable(channels=300, dx_km=0.05, bend=True):
    along = np.arange(channels) * dx_km
    heading = np.where(along > 0.6 * along[-1], np.deg2rad(60.0), 0.0) if bend else np.zeros(channels)
    x, y = np.cumsum(np.cos(heading)) * dx_km, np.cumsum(np.sin(heading)) * dx_km
    table = pd.DataFrame({"station_id": "CABLE", "channel_index": np.arange(channels)})
    return table.assign(x_km=x - x.mean(), y_km=y - y.mean(), z_km=0.0)


def events(num, seed=1, spacing_s=40.0, half_width=20.0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"t_s": 30.0 + np.arange(num) * spacing_s})
    table["x_km"], table["y_km"] = rng.uniform(-half_width, half_width, (2, num))
    return table.assign(z_km=rng.uniform(4.0, 14.0, num))


def travel_times(stations, truth, layers=None):
    """Travel times (events, receivers, 2) in ground of VP and VS, or in layers for receivers at sea level."""
    place = stations[["x_km", "y_km", "z_km"]].to_numpy()
    source = truth[["x_km", "y_km", "z_km"]].to_numpy()
    if layers is None:
        distance = np.linalg.norm(source[:, None] - place[None], axis=2)
        return distance[:, :, None] / np.array([VP, VS])
    table = travel_time_table(layers, np.array([0.0]), (0.0, 20.0), 60.0)
    shape = (len(source), len(place), 2)
    event, receiver, phase = (axis.ravel() for axis in np.indices(shape))
    return table.times(source[event], place[receiver], phase).reshape(shape)


def make_picks(stations, truth, seed=2, noise_s=0.05, false=0, keep=0.95, layers=None):
    rng = np.random.default_rng(seed)
    arrival = truth["t_s"].to_numpy()[:, None, None] + travel_times(stations, truth, layers)
    arrival = arrival + rng.normal(0.0, noise_s, arrival.shape)
    event, receiver, phase = np.nonzero(rng.uniform(size=arrival.shape) < keep)
    t = arrival[event, receiver, phase]
    end = truth["t_s"].max() + 40.0 if len(truth) else 600.0
    t = np.concatenate([t, rng.uniform(0.0, end, false)])
    receiver = np.concatenate([receiver, rng.integers(0, len(stations), false)])
    phase = np.concatenate([phase, rng.integers(0, 2, false)])
    table = pd.DataFrame(
        {
            "station_id": stations["station_id"].to_numpy()[receiver],
            "channel_index": stations["channel_index"].to_numpy()[receiver],
            "phase_time": EPOCH + pd.to_timedelta(np.round(t * 1e9).astype("int64"), unit="ns"),
            "phase_type": np.array(["P", "S"])[phase],
            "phase_score": rng.uniform(0.3, 1.0, len(t)),
            "true_event": np.concatenate([event, np.full(false, -1)]),
        }
    )
    return table.sort_values("phase_time", ignore_index=True)


def cross_names(picks, where):
    """Call the P picks `where` S, and the S picks P."""
    other = picks["phase_type"].map({"P": "S", "S": "P"})
    return picks.assign(phase_type=picks["phase_type"].where(~where, other))


def plane_wave(stations, start_s, speed_km_s, phase="S", noise_s=0.02, seed=0):
    """One arrival along the cable, from its first channel to its last."""
    rng = np.random.default_rng(seed)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(stations[["x_km", "y_km"]], axis=0).T))])
    t = start_s + along / speed_km_s + rng.normal(0.0, noise_s, len(along))
    picks = stations[["station_id", "channel_index"]].assign(phase_type=phase, phase_score=0.7, true_event=-1)
    return picks.assign(phase_time=EPOCH + pd.to_timedelta(np.round(t * 1e9).astype("int64"), unit="ns"))


def together(*tables):
    """Put pick tables together by time."""
    return pd.concat(tables).sort_values("phase_time", kind="stable", ignore_index=True)


def settings(**more):
    box = {"x_range_km": (-50.0, 50.0), "y_range_km": (-50.0, 50.0), "depth_range_km": (0.0, 25.0)}
    return {"vp_km_s": VP, "vs_km_s": VS, "velocity_uncertainty": 0.0, **box, **more}


def seconds(found):
    return (found["time"] - EPOCH).dt.total_seconds().to_numpy()


def point_array(channels=500, seed=0):
    """Stand-in for a 500 m array 160 km from an earthquake, false P just before S on channels 290-400."""
    rng = np.random.default_rng(seed)
    number = np.arange(2500, 2500 + channels)
    p = rng.choice(channels, 336, replace=False)
    s = rng.choice(channels, 369, replace=False)
    false = rng.choice(np.arange(290, 400), 102, replace=False)
    t = np.concatenate([
        8.3 + rng.normal(0.0, 0.15, len(p)), 28.0 + rng.normal(0.0, 0.25, len(s)),
        27.6 + rng.normal(0.0, 0.3, len(false)),
    ])  # fmt: skip
    return pd.DataFrame(
        {
            "station_id": "ARRAY",
            "channel_index": number[np.concatenate([p, s, false])],
            "phase_time": EPOCH + pd.to_timedelta(t, unit="s"),
            "phase_type": ["P"] * len(p) + ["S"] * len(s) + ["P"] * len(false),
            "phase_score": 0.6,
            "front_s": np.repeat([8.3, 28.0, np.nan], [len(p), len(s), len(false)]),
        }
    )
