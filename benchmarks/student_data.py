"""Make training windows of bench-v1's training and validation recordings, with labels of two kinds.

    python benchmarks/student_data.py truth     # every true arrival
    python benchmarks/student_data.py pseudo    # labels made of the picks of the original PhaseNet
    python benchmarks/student_data.py pseudo --round 2 --teacher results/train_student_pseudo/model

With the truth, a window is a whole recording. With pseudo-labels, windows are cut as in the workflow, around
events that the association finds with nothing stated but the channel table. The teacher sees several rates.
Recordings of wells are put on the time axis on which networks of 100 Hz see them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench_kinds import KINDS
from bench_recordings import BenchPart, bench_parts, make_part
from dascore import Patch

from phasenet_das import io
from phasenet_das.catalog import associate
from phasenet_das.evaluate.picks import TOLERANCE_S
from phasenet_das.matching import match_picks
from phasenet_das.picking import Picker, load_picker
from phasenet_das.picking.preprocess import condition
from phasenet_das.tables import read_channels, read_picks, write_table
from phasenet_das.training import cut_windows, write_window

RATE_HZ = 100.0
SCORE, FAINT_SCORE = 0.3, 0.1


def main() -> None:
    """Make one kind of labels, and the windows where they are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels", choices=("truth", "pseudo"))
    parser.add_argument("--out", type=Path, default=Path("results/student"))
    parser.add_argument("--cache", type=Path, default=Path("results/bench"))
    parser.add_argument("--teacher", default="seisbench:original")
    parser.add_argument("--round", type=int, default=1, help="labels of round 2 are compared with those of 1")
    parser.add_argument("--recordings", type=int, default=16, help="of each kind")
    parser.add_argument("--quick", action="store_true", help="try the script out on a few short recordings")
    options = parser.parse_args()
    teacher = load_picker(options.teacher) if options.labels == "pseudo" else None
    rows: list[dict[str, Any]] = []
    for part, split in chosen_parts(options.recordings, quick=options.quick):
        folder = make_part(part, options.cache)
        if teacher is None or split == "validation":
            write_truth(part, folder, options.out / split / f"{part.name}.h5")
        else:
            windows = write_pseudo(part, folder, options.out, teacher, options.round)
            rows += label_counts(part, folder, windows)
    if rows:
        counts = pd.DataFrame(rows).groupby(["kind", "phase"], sort=False).sum()
        counts["precision"], counts["share of the true"] = (
            counts["right"] / counts[total].clip(lower=1) for total in ("labels", "true")
        )
        print(counts.to_markdown(floatfmt=".3f"))


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


def slowed(picks: pd.DataFrame, start: pd.Timestamp, begin: np.datetime64, factor: float) -> pd.DataFrame:
    """Put the picks of a recording that starts at `start` on a slower time axis that starts at `begin`."""
    since = (picks["phase_time"] - start).dt.total_seconds() * factor
    return picks.assign(phase_time=pd.Timestamp(begin, tz="UTC") + pd.to_timedelta(since, unit="s"))


def slowed_part(picks: pd.DataFrame, part: BenchPart) -> pd.DataFrame:
    """Put the picks of a recording on the time axis of its window."""
    start = pd.Timestamp(part.config.start_time, tz="UTC")
    return slowed(picks, start, begin_of(part), part.config.sampling_rate_hz / RATE_HZ)


def slowed_patch(part: BenchPart, folder: Path) -> Patch:
    """Read a recording, conditioned as for picking, on the slower time axis."""
    patch = io.read(next((folder / "data").glob("*.h5")))
    settings = KINDS[part.kind].pick
    ready = condition(io.get_data(patch), io.get_dt_s(patch), io.get_unit(patch), settings)
    return io.make_patch(
        ready.data,
        start_time=begin_of(part),
        dt_s=1 / RATE_HZ,
        channel_index=io.get_channel_index(patch),
        distance_m=io.get_distance_m(patch),
        station_id=part.config.cable.station_id,
        unit=ready.unit,
    )


def write_truth(part: BenchPart, folder: Path, window: Path) -> None:
    """Write a recording with its true arrivals, unless it is there."""
    if not window.exists():
        truth = slowed_part(read_picks(folder / "truth_picks.parquet"), part)
        write_window(slowed_patch(part, folder), truth, window)
        print(f"{window}: {part.config.duration_s:g} s", flush=True)


def label_counts(part: BenchPart, folder: Path, windows: Path) -> Iterator[dict[str, Any]]:
    """Count the labels of a recording, those that are right, and the true arrivals, of each phase."""
    truth = slowed_part(read_picks(folder / "truth_picks.parquet"), part)
    tables = [read_picks(path) for path in sorted(windows.glob("*.picks.parquet"))]
    labels = pd.concat([truth[:0], *tables]).drop_duplicates("pick_id")
    for phase, tolerance_s in TOLERANCE_S.items():
        mine, true = (table[table["phase_type"] == phase] for table in (labels, truth))
        mine = mine[mine["event_index"] >= 0].reset_index(drop=True)
        right = len(match_picks(mine, true.reset_index(drop=True), {phase: tolerance_s}))
        yield {"kind": part.kind, "phase": phase, "labels": len(mine), "right": right, "true": len(true)}


def write_pseudo(part: BenchPart, folder: Path, out: Path, teacher: Picker, number: int) -> Path:
    """Pick a recording with the teacher, associate, and cut windows with labels, unless they are there."""
    kept, windows = out / f"picks{number}" / f"{part.name}.parquet", out / f"pseudo{number}" / part.name
    if kept.exists():
        return windows
    patch = io.read(next((folder / "data").glob("*.h5")))
    settings = KINDS[part.kind].pick
    if teacher.weights.provenance.get("rates") != "model":
        settings = KINDS[part.kind].pick_in_octaves()
    picks = teacher.pick(patch, settings, station_id=part.config.cable.station_id, min_score=FAINT_SCORE)
    strong = picks[picks["phase_score"] >= SCORE].reset_index(drop=True)
    result = associate(strong, read_channels(folder / "channels.csv"))
    table, before = slowed_part(result.picks, part), out / f"picks{number - 1}" / kept.name
    written = cut_windows(
        slowed_patch(part, folder),
        table,
        None,
        windows,
        faint=slowed_part(picks, part),
        agreeing=read_picks(before) if before.exists() else None,
    )
    write_table(table, kept)
    print(f"{part.name}: {len(result.events)} events, {len(written)} windows", flush=True)
    return windows


if __name__ == "__main__":
    main()
