"""Small pick tables with known answers, shared by the tests of evaluation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from phasenet_das.tables import PICK_COLUMNS, conform, make_pick_ids

START = pd.Timestamp("2024-03-01T00:00:00", tz="UTC")


def pick_table(
    channel: np.ndarray,
    seconds: np.ndarray,
    phase: np.ndarray | str = "P",
    *,
    event: np.ndarray | int = -1,
    score: np.ndarray | float = 0.9,
    station: str = "C",
) -> pd.DataFrame:
    """A pick table of arrivals in seconds after START."""
    nanoseconds = np.rint(np.asarray(seconds, float) * 1e9).astype(np.int64)
    phases = np.broadcast_to(np.asarray(phase, dtype=object), len(channel)).astype(str)
    table = pd.DataFrame(
        {"channel_index": channel, "phase_time": START + pd.to_timedelta(nanoseconds, unit="ns")}
    )
    table["pick_id"] = make_pick_ids(station, np.asarray(channel), phases, nanoseconds)
    table["phase_type"], table["phase_score"], table["event_index"] = phases, score, event
    table["station_id"] = station
    for name in ("distance_m", "phase_amplitude", "association_score", "travel_time_residual_s"):
        table[name] = np.nan
    return conform(table, PICK_COLUMNS, "picks")


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
