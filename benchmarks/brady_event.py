"""The Brady recording: the fronts that the network finds, and the picks that the event keeps.

python benchmarks/brady_event.py                         # picks and associates, some minutes
python benchmarks/brady_event.py --run results/brady     # the run of `make brady`
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd

from phasenet_das.tables import read_events, read_picks

START = pd.Timestamp("2016-03-21T07:37:30.532309Z")
FRONT_S = {"P": 8.3, "S": 28.0}  # read by eye


def lateness_s(picks: pd.DataFrame) -> pd.Series:
    """Seconds by which picks come after the front of their own phase."""
    return (picks["phase_time"] - START).dt.total_seconds() - picks["phase_type"].map(FRONT_S).astype(float)


def make_run(config: Path, folder: Path) -> None:
    """Pick and associate by the commands, as the settings file says."""
    picks = folder / "all_picks.parquet"
    for arguments in (
        ["pick", "--config", config, "-o", picks],
        ["associate", picks, "--config", config, "-o", folder],
    ):
        command = [sys.executable, "-m", "phasenet_das.cli", *map(str, arguments)]
        subprocess.run(command, check=True)  # noqa: S603


def report_fronts(picks: pd.DataFrame) -> None:
    """Count the channels with a pick near the front."""
    for phase, tolerance in (("P", 0.5), ("S", 1.0)):
        near = picks[(picks["phase_type"] == phase) & (lateness_s(picks).abs() < tolerance)]
        print(f"{phase} within {tolerance} s on {near['channel_index'].nunique()} channels")


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path(__file__).parents[1] / "configs" / "brady.yaml")
    parser.add_argument("--run", type=Path, help="folder of a finished run; one is made without it")
    parser.add_argument("--out", type=Path, default=Path("results/brady_event"), help="where it is made")
    options = parser.parse_args()
    folder = options.run or options.out
    if options.run is None:
        make_run(options.config, folder)
    report_fronts(read_picks(folder / "picks.parquet"))
    report_event(folder)


if __name__ == "__main__":
    main()
