"""Pick pieces of real records: of few channels, from anywhere on the cable, with starts anywhere before P.

    python benchmarks/short_cables.py --shared ../shared --weights phasenet-das phasenet

Neither the number of channels nor the start of a recording should change the names of its arrivals. Prints
the share of channels with a right P and S (arrivals read by eye, `real_records.py`), by record and number of
channels: the mean over the pieces, and in brackets the worst piece.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from control_points import compare_with_control_points, interpolate_control_points
from real_records import FORGE, NOMINAL_START, TITLES

from phasenet_das import io
from phasenet_das.config import PickSettings
from phasenet_das.evaluate.report import markdown
from phasenet_das.picking import Picker, load_picker
from phasenet_das.picking.preprocess import condition
from phasenet_das.simulate.seeds import generator

CHANNELS = (1, 2, 4, 8, 16, 32, 40, 100)
LATEST_START = 0.5  # of the time from the start of the record to its first P


def main() -> None:
    """Print a Markdown table for each network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--weights", nargs="+", default=["phasenet-das", "phasenet"], metavar="NAME")
    parser.add_argument("--channels", type=int, nargs="+", default=CHANNELS)
    parser.add_argument("--pieces", type=int, default=6, help="pieces of each record and number of channels")
    parser.add_argument("--records", nargs="+", default=list(TITLES), metavar="FILE")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.getLogger("phasenet_das").setLevel(logging.ERROR)
    folder = options.shared / "data" / "das_events"
    control = pd.read_csv(folder / "eye_picks.csv")
    for name in options.weights:
        picker = load_picker(name)
        rows = [
            (file, count, *shares(picker, record, points, count, options.pieces, options.seed))
            for file in options.records
            for record, points in [(read(folder / file), control[control["file"] == file])]
            for count in options.channels
        ]
        print(
            f"\n{name}\n\n{layout(pd.DataFrame(rows, columns=['record', 'channels', 'P', 'S', 'P0', 'S0']))}"
        )


def read(path: Path) -> io.Patch:
    """Read a record, conditioned as a whole: the common mode of few channels would be the signal itself."""
    start_time = None if path.name.startswith("brady") else NOMINAL_START
    patch = io.read(path, start_time=start_time, station_id="PIECE")
    settings = PickSettings(**(FORGE if path.name.startswith("forge") else {}))
    ready = condition(io.get_data(patch), io.get_dt_s(patch), io.get_unit(patch), settings)
    return patch.update(data=ready.data)


def shares(
    picker: Picker, record: io.Patch, points: pd.DataFrame, count: int, pieces: int, seed: int
) -> tuple[float, float, float, float]:
    """Give the shares of channels with a right P and S: means over the pieces, then the worst piece's."""
    found = np.array(list(judge(picker, record, points, count, pieces, seed)))
    mean, worst = np.nanmean(found, axis=0), np.nanmin(found, axis=0)
    return float(mean[0]), float(mean[1]), float(worst[0]), float(worst[1])


def judge(
    picker: Picker, record: io.Patch, points: pd.DataFrame, count: int, pieces: int, seed: int
) -> Iterator[tuple[float, float]]:
    """Pick pieces where both arrivals were read, and yield the shares of right P and S."""
    rng = generator(seed, "pieces", count)
    known = interpolate_control_points(points)
    both = known.groupby("channel")["phase"].nunique()
    rows = both.index[both == 2].to_numpy()
    first_p = known.loc[known["phase"] == "P", "time_s"].min()
    data, dt_s = io.get_data(record), io.get_dt_s(record)
    for _ in range(pieces):
        first = int(rng.integers(rows[0], max(rows[0] + 1, rows[-1] - count + 2)))
        skipped = int(rng.integers(0, max(1, round(LATEST_START * first_p / dt_s))))
        channel = slice(first, first + count)
        piece = io.make_patch(
            data[channel, skipped:],
            start_time=io.get_times(record)[skipped],
            dt_s=dt_s,
            channel_index=np.arange(first, first + len(data[channel])),
            distance_m=io.get_distance_m(record)[channel],
            unit=io.get_unit(record),
            station_id="PIECE",
        )
        picks = picker.pick(piece)
        inside = known[known["channel"].between(first, first + count - 1)]
        table = compare_with_control_points(
            picks,
            inside.rename(columns={"time_s": "time_s_from_file_start"}),
            pd.Timestamp(io.get_times(record)[0], tz="UTC"),
        ).set_index("phase")["share_right"]
        yield float(table.get("P", np.nan)), float(table.get("S", np.nan))


def layout(table: pd.DataFrame) -> str:
    """Lay out a row for each number of channels, a column for each record, and the mean over the records."""
    head = ["channels", *table["record"].str.removesuffix(".h5").unique(), "mean P, S"]
    rows = []
    for count, group in table.groupby("channels"):
        cells = [
            f"{one.P:.2f} ({one.P0:.2f}), {one.S:.2f} ({one.S0:.2f})" for one in group.itertuples(index=False)
        ]
        rows.append((str(count), *cells, f"{group['P'].mean():.2f}, {group['S'].mean():.2f}"))
    return markdown(head, rows)


if __name__ == "__main__":
    main()
