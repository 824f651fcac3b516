"""Make training windows of bench-v1's training and validation recordings, with labels of two kinds.

    python benchmarks/student_data.py truth  --out results/student     # every true arrival
    python benchmarks/student_data.py pseudo --out results/student     # what teacher and association keep

A window is a whole recording. Recordings of wells are put on the time axis on which networks of 100 Hz see
them. Pseudo-labels are picks of the original PhaseNet that the associator kept, with velocities and
distances that one would state for such a site, not those of the simulation.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench_recordings import KINDS, BenchPart, bench_parts, make_part

from gamma import AssociationConfig
from phasenet_das import io
from phasenet_das.catalog import associate
from phasenet_das.picking import load_picker
from phasenet_das.picking.preprocess import condition
from phasenet_das.tables import read_channels, read_picks, write_table
from phasenet_das.training.windows import write_window

RATE_HZ = 100.0
ASSOCIATION: dict[str, AssociationConfig] = {
    "distant": AssociationConfig(max_distance_km=250.0, depth_range_km=(0.0, 20.0)),
    "local": AssociationConfig(vp_km_s=5.5, depth_range_km=(0.0, 20.0), max_distance_km=60.0),
    "well": AssociationConfig(
        vp_km_s=5.5, depth_range_km=(0.0, 15.0), max_distance_km=15.0, pick_uncertainty_s=0.03
    ),
    "micro": AssociationConfig(
        vp_km_s=5.0, depth_range_km=(-1.0, 4.0), max_distance_km=4.0, pick_uncertainty_s=0.005
    ),
}


def main() -> None:
    """Make one kind of labels, and the windows where they are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels", choices=("truth", "pseudo"))
    parser.add_argument("--out", type=Path, default=Path("results/student"))
    parser.add_argument("--cache", type=Path, default=Path("results/bench"))
    parser.add_argument("--teacher", default="seisbench:original")
    parser.add_argument("--recordings", type=int, default=16, help="of each kind")
    parser.add_argument("--quick", action="store_true", help="try the script out on a few short recordings")
    options = parser.parse_args()
    teacher = load_picker(options.teacher) if options.labels == "pseudo" else None
    for part, split in chosen_parts(options.recordings, quick=options.quick):
        folder = make_part(part, options.cache)
        window = options.out / split / f"{part.name}.h5"
        if not window.exists():
            write_truth(part, folder, window)
        labels = options.out / "pseudo" / f"{part.name}.picks.parquet"
        if teacher is not None and split == "train" and not labels.exists():
            write_pseudo(part, folder, labels, teacher)


def chosen_parts(recordings: int, *, quick: bool) -> list[tuple[BenchPart, str]]:
    """List the first training recordings of each kind, and all for validation."""
    if quick:
        return [(part, "train") for part in bench_parts("quick")]
    seeds = sorted({part.seed for part in bench_parts("train")})[:recordings]
    training = [(part, "train") for part in bench_parts("train") if part.seed in seeds]
    training.sort(key=lambda item: item[0].seed)
    return training + [(part, "validation") for part in bench_parts("validation")]


def begin_of(part: BenchPart) -> np.datetime64:
    """Give each recording a day of its own: windows that overlap in time are taken for one event."""
    day = 4 * part.seed + list(KINDS).index(part.kind)
    return np.datetime64("2024-01-01T00:00:00", "ns") + np.timedelta64(day, "D")


def slowed(picks: pd.DataFrame, part: BenchPart) -> pd.DataFrame:
    """Put picks on the slower time axis, after the recording's new begin."""
    factor = part.config.sampling_rate_hz / RATE_HZ
    since = picks["phase_time"] - pd.Timestamp(part.config.start_time, tz="UTC")
    begin = pd.Timestamp(begin_of(part), tz="UTC")
    return picks.assign(phase_time=begin + pd.to_timedelta(since.dt.total_seconds() * factor, unit="s"))


def write_truth(part: BenchPart, folder: Path, window: Path) -> None:
    """Write a recording with its true arrivals."""
    patch = io.read(next((folder / "data").glob("*.h5")))
    settings = KINDS[part.kind].pick
    ready = condition(io.get_data(patch), io.get_dt_s(patch), io.get_unit(patch), settings)
    slow = io.make_patch(
        ready.data,
        start_time=begin_of(part),
        dt_s=1 / RATE_HZ,
        channel_index=io.get_channel_index(patch),
        distance_m=io.get_distance_m(patch),
        station_id=part.config.cable.station_id,
        unit=ready.unit,
    )
    write_window(slow, slowed(read_picks(folder / "truth_picks.parquet"), part), window)
    print(f"{window}: {part.config.duration_s:g} s", flush=True)


def write_pseudo(part: BenchPart, folder: Path, labels: Path, teacher: Any) -> None:  # noqa: ANN401
    """Pick a recording with the teacher, associate, and write all picks, kept and rejected."""
    patch = io.read(next((folder / "data").glob("*.h5")))
    picks = teacher.pick(patch, KINDS[part.kind].pick, station_id=part.config.cable.station_id)
    channels = read_channels(folder / "channels.csv")
    result = associate(picks, channels, ASSOCIATION[part.kind])
    write_table(slowed(result.picks, part), labels)
    kept = int((result.picks["event_index"] >= 0).sum())
    print(f"{part.name}: {len(result.events)} events, {kept} of {len(picks)} picks kept", flush=True)


if __name__ == "__main__":
    main()
