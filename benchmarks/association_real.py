"""Associate one real day of PhaseNet picks and draw it: `python benchmarks/association_real.py -o DIR`.

The day is 2016-10-14 in central Italy, between the Amatrice and Visso earthquakes (picks: Dal-mzhang/REAL).
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import matplotlib as mpl  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from gamma import AssociationConfig, associate  # noqa: E402

mpl.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

SHARED = Path(os.environ.get("PHASENET_DAS_SHARED", Path(__file__).parents[2] / "shared"))
LAYERS = (
    {"depth_km": -3.0, "vp_km_s": 4.8, "vs_km_s": 2.6},
    {"depth_km": 1.0, "vp_km_s": 5.6, "vs_km_s": 3.03},
    {"depth_km": 5.0, "vp_km_s": 6.1, "vs_km_s": 3.3},
    {"depth_km": 15.0, "vp_km_s": 6.5, "vs_km_s": 3.5},
)


def load(picker: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the day's picks and stations in the columns that gamma takes."""
    folder = SHARED / "data" / "picks" / "central_italy_20161014"
    picks = pd.read_csv(folder / f"{picker}_picks.csv.gz")
    stations = pd.read_csv(folder / "stations.csv")
    for table in (picks, stations):
        table["station_id"] = table["network"] + "." + table["station"]
    names = {"phase": "phase_type", "time": "phase_time", "prob": "phase_score", "amp": "phase_amplitude"}
    stations["elevation_m"] = 1000.0 * stations["elevation_km"]
    return picks.rename(columns=names), stations.drop(columns="channel").drop_duplicates("station_id")


def draw(events: pd.DataFrame, stations: pd.DataFrame, path: Path) -> None:
    """Map, depth section, and time plots of the events."""
    figure, axes = plt.subplots(2, 2, figsize=(13, 10))
    where = {"c": events["depth_km"], "s": 4, "cmap": "viridis_r", "vmin": 0, "vmax": 20}
    axes[0, 0].plot(stations["longitude"], stations["latitude"], "k^", ms=4, mfc="none")
    points = axes[0, 0].scatter(events["longitude"], events["latitude"], **where)
    axes[0, 0].set(xlabel="longitude", ylabel="latitude", title=f"{len(events)} events", aspect=1.35)
    figure.colorbar(points, ax=axes[0, 0], label="depth (km)")
    axes[0, 1].scatter(events["latitude"], events["depth_km"], s=3)
    axes[0, 1].set(xlabel="latitude", ylabel="depth (km)", ylim=(31, -3))
    axes[1, 0].scatter(events["time"], events["latitude"], s=3)
    axes[1, 0].set(ylabel="latitude", xlabel="time")
    per_hour = events["time"].dt.floor("h").value_counts().sort_index()
    axes[1, 1].step(per_hour.index, per_hour.to_numpy(), where="post")
    axes[1, 1].set_title(f"picks an event: median {events['num_picks'].median():.0f}")
    axes[1, 1].set(ylabel="events an hour", xlabel="time")
    figure.autofmt_xdate()
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def main() -> None:
    """Run, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--picker", choices=("phasenet", "stalta"), default="phasenet")
    parser.add_argument("--hours", type=float, default=24.0, help="only the first hours of the day")
    arguments = parser.parse_args()
    picks, stations = load(arguments.picker)
    when = pd.to_datetime(picks["phase_time"], utc=True)
    picks = picks[when < when.min() + pd.Timedelta(hours=arguments.hours)]
    config = AssociationConfig(layers=LAYERS, depth_range_km=(-1.0, 30.0), max_distance_km=20.0)
    before = time.process_time()
    result = associate(picks, stations, config)
    cpu = time.process_time() - before
    events = result.events
    arguments.output.mkdir(parents=True, exist_ok=True)
    events.to_csv(arguments.output / "events.csv", index=False)
    draw(events, stations, arguments.output / f"italy_{arguments.picker}.png")
    used = result.summary["picks_associated"] / len(picks)
    flags = events["location_quality"].replace("", "fine").str.split(";").explode().value_counts().to_dict()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(f"{len(picks)} picks, {len(events)} events, {100.0 * used:.1f} % of picks used")
    print(f"{cpu:.1f} CPU-s, {peak:.0f} MB")
    print("location_quality:", flags)
    print(
        events[["num_picks", "residual_rms_s", "horizontal_uncertainty_km", "azimuthal_gap_deg"]].describe()
    )
    print({key: value for key, value in result.summary.items() if key != "rounds"})
    print(result.picks["reason"].value_counts())
    counts, _ = np.histogram(events["depth_km"], bins=[-1, 0, 2, 5, 10, 15, 20, 29, 30])
    print("depths -1,0,2,5,10,15,20,29,30 km:", counts)


if __name__ == "__main__":
    main()
