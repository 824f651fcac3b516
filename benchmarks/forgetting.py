"""Fine-tune the bundled network on all real records but one, and pick that one.

    python benchmarks/forgetting.py --shared ../shared --out results/forgetting

Labels are those of a second round: picks of the bundled network that association keeps, completed along the
cable. One record is no training set. The question is whether the network forgets the record that it is not
shown.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from control_points import compare_with_control_points
from dascore import Patch
from real_records import NOMINAL_START
from scipy.signal import resample_poly
from student_data import FAINT_SCORE, RATE_HZ, SCORE, slowed

from phasenet_das import io
from phasenet_das.catalog import associate
from phasenet_das.config import PickSettings, TrainSettings
from phasenet_das.picking import Picker, load_picker
from phasenet_das.picking.preprocess import condition
from phasenet_das.training import cut_windows, train

START = "phasenet-das"


class Record(NamedTuple):
    """A real record: how it is picked, and the rate whose samples the network takes for those of 100 Hz."""

    file: str
    settings: PickSettings
    rate_hz: float

    @property
    def name(self) -> str:
        """Name of the file without its ending."""
        return self.file.removesuffix(".h5")


RECORDS = [
    Record("brady_porotomo_20160321_M4.3.h5", PickSettings(), 100.0),
    Record("safod_20170630_M2.46.h5", PickSettings(), 250.0),
    Record("forge_7832_eq03.h5", PickSettings(common_mode="median"), 1000.0),
    Record("forge_7832_eq10.h5", PickSettings(common_mode="median"), 1000.0),
    Record("rhone_icequake_00.h5", PickSettings(), 400.0),
    Record("rhone_icequake_05.h5", PickSettings(), 400.0),
]


def read(record: Record, folder: Path) -> Patch:
    """Read a record; most files do not state their time."""
    own = record.file.startswith("brady")
    start_time = None if own else NOMINAL_START
    return io.read(folder / record.file, start_time=start_time, station_id=record.name)


def own_day(record: Record) -> np.datetime64:
    """Give the begin of a record on the network's time axis: each has a day of its own."""
    return np.datetime64("2024-01-01", "ns") + np.timedelta64(RECORDS.index(record), "D")


def cut(record: Record, patch: Patch, picker: Picker, out: Path) -> int:
    """Label a record and cut its windows; returns how many there are."""
    picks = picker.pick(patch, record.settings, min_score=FAINT_SCORE)
    strong = picks[picks["phase_score"] >= SCORE].reset_index(drop=True)
    begin = pd.Timestamp(io.get_times(patch)[0], tz="UTC")
    ready = condition(io.get_data(patch), io.get_dt_s(patch), io.get_unit(patch), record.settings)
    factor = round(1.0 / io.get_dt_s(patch)) / record.rate_hz
    slow = io.make_patch(
        resample_poly(ready.data, 1, round(factor), axis=1).astype(np.float32) if factor > 1 else ready.data,
        start_time=own_day(record),
        dt_s=1.0 / RATE_HZ,
        channel_index=io.get_channel_index(patch),
        distance_m=io.get_distance_m(patch),
        station_id=record.name,
        unit=ready.unit,
    )
    labels, faint = (
        slowed(table, begin, own_day(record), record.rate_hz / RATE_HZ)
        for table in (associate(strong).picks, picks)
    )
    return len(cut_windows(slow, labels, None, out, faint=faint, before_s=30.0))


def fine_tune(folders: list[Path], output: Path, args: argparse.Namespace) -> Path:
    """Fine-tune the bundled network on windows, at the rates and rows that picking shows it."""
    sample = {"num_channels": 32, "num_samples": 512} if args.quick else {}
    settings = TrainSettings(
        data={"windows": [str(folder) for folder in folders], "samples_per_window": 16, **sample},
        augment={"stretch_time": 2.0, "average_channels": 16},
        weights=START,
        output=str(output),
        steps=2 if args.quick else args.steps,
        batch_size=1 if args.quick else 4,
        num_workers=1,
        seed=args.seed,
    )
    return train(settings, progress=True).folder


def judge(record: Record, patch: Patch, weights: str, folder: Path) -> pd.DataFrame:
    """Pick a record, and hold the picks against the arrivals read by eye, where there are any."""
    picks = load_picker(weights).pick(patch, record.settings)
    points = pd.read_csv(folder / "eye_picks.csv")
    points = points[points["file"] == record.file]
    channels = len(io.get_channel_index(patch))
    if points.empty:
        followed = picks["channel_index"].nunique() / channels
        return pd.DataFrame({"phase": ["any"], "share_right": [followed], "num_false": [np.nan]})
    table = compare_with_control_points(
        picks,
        points,
        pd.Timestamp(io.get_times(patch)[0], tz="UTC"),
        first_channel=int(io.get_channel_index(patch)[0]),
    )
    return table[["phase", "share_right", "num_false"]]


def main() -> None:
    """Leave each record out in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=Path("results/forgetting"))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="two steps, two records, one left out")
    args = parser.parse_args()
    folder = args.shared / "data" / "das_events"
    picker = load_picker(START)
    records = RECORDS[1:3] if args.quick else RECORDS
    patches = {record.file: read(record, folder) for record in records}
    windows = {record.file: args.out / "windows" / record.name for record in records}
    for record in records:
        if not any(windows[record.file].glob("*.h5")):
            print(record.file, cut(record, patches[record.file], picker, windows[record.file]), "windows")
    rows = []
    for record in records[:1] if args.quick else records:
        others = [path for file, path in windows.items() if file != record.file and any(path.glob("*.h5"))]
        model = fine_tune(others, args.out / f"without_{record.name}", args)
        for name, weights in (("bundled", START), ("fine-tuned on the others", str(model))):
            table = judge(record, patches[record.file], weights, folder)
            rows.append(table.assign(record=record.name, network=name))
    both = pd.concat(rows).pivot(index=["record", "phase"], columns="network")
    print(both.to_markdown(floatfmt=".3f"))


if __name__ == "__main__":
    main()
