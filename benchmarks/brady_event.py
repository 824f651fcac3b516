"""What the demo reaches on the Brady record: the fronts of the teacher, and the picks that the event keeps.

make demo && SEISBENCH_CACHE_ROOT=... python benchmarks/brady_event.py
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from phasenet_das.config import DataSettings, PickSettings, load_config
from phasenet_das.io.inputs import find_recordings
from phasenet_das.picking import load_picker
from phasenet_das.tables import read_events, read_picks

START = pd.Timestamp("2016-03-21T07:37:30.532309Z")
FRONT_S = {"P": 8.3, "S": 28.0}  # read by eye


def lateness_s(picks: pd.DataFrame) -> pd.Series:
    """Seconds by which picks come after the front of their own phase."""
    return (picks["phase_time"] - START).dt.total_seconds() - picks["phase_type"].map(FRONT_S).astype(float)


def report_teacher(data: DataSettings, source: str) -> None:
    """Count channels of the teacher alone, at default settings, with a pick near the front."""
    settings = PickSettings()
    picks = load_picker(settings.weights).pick(source, settings, data=data)
    for phase, tolerance in (("P", 0.5), ("S", 1.0)):
        near = picks[(picks["phase_type"] == phase) & (lateness_s(picks).abs() < tolerance)]
        print(f"teacher alone: {phase} within {tolerance} s on {near['channel_index'].nunique()} channels")


def report_event(folder: Path) -> None:
    """Describe the event of a finished run, and the picks it kept."""
    picks, events = read_picks(folder / "picks.parquet"), read_events(folder / "events.parquet")
    kept = picks[picks["event_index"] >= 0]
    right = (lateness_s(kept).abs() < 1).mean()
    print(f"{len(events)} event(s); {len(kept)} of {len(picks)} picks kept, {right:.3f} of them within 1 s")
    for event in events.itertuples():
        print(f"origin {event.time} +- {event.time_uncertainty_s:.2f} s; distance", end=" ")
        print(f"{event.source_distance_km:.1f} +- {event.source_distance_uncertainty_km:.1f} km", end="; ")
        print(event.location_quality)


def main() -> None:
    """Report on configs/brady.yaml."""
    config = load_config(Path(__file__).parents[1] / "configs" / "brady.yaml")
    report_teacher(config.data, find_recordings(config.data.inputs, config.data.fallback_inputs)[0])
    report_event(Path(config.output) / config.name)


if __name__ == "__main__":
    main()
