"""Pick pieces of the Brady record whose start is moved by samples: the names of arrivals should not change.

    python benchmarks/shift_stability.py --shared ../shared --weights phasenet-das

The network has strides, and few channels leave little to average: prints, by number of channels, the share of
channels on which P and S are found as such, and on which S is called P, at its best and worst shift.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from phasenet_das import io
from phasenet_das.evaluate.report import markdown
from phasenet_das.picking import Picker, load_picker

RECORD = "brady_porotomo_20160321_M4.3.h5"
ARRIVAL_S, WITHIN_S = {"P": 8.4, "S": 28.1}, 1.3  # of all channels, after the record's begin
CHANNELS = (40, 60, 100, 200, 500)
SHIFTS = range(0, 16, 2)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--weights", default="phasenet-das")
    parser.add_argument("--channels", type=int, nargs="+", default=CHANNELS)
    parser.add_argument("--shifts", type=int, nargs="+", default=SHIFTS, help="samples")
    options = parser.parse_args()
    record = io.read(options.shared / "data" / "das_events" / RECORD)
    picker = load_picker(options.weights)
    head = ["channels", "P right, worst to best", "S right", "S called P"]
    rows = []
    for count in options.channels:
        shares = np.array([named(picker, record, count, shift) for shift in options.shifts])
        worst, best = shares.min(axis=0), shares.max(axis=0)
        rows.append(
            (str(count), *(f"{low:.2f} to {high:.2f}" for low, high in zip(worst, best, strict=True)))
        )
    print(markdown(head, rows))


def named(picker: Picker, record: io.Patch, count: int, shift: int) -> tuple[float, float, float]:
    """Give the shares of channels with P at P, S at S, and P at S; the start is moved by `shift` samples."""
    start = io.get_times(record)[0] + np.timedelta64(round(shift * io.get_dt_s(record) * 1e9), "ns")
    piece = io.make_patch(
        io.get_data(record)[:count],
        start_time=start,
        dt_s=io.get_dt_s(record),
        distance_m=io.get_distance_m(record)[:count],
        unit=io.get_unit(record),
        station_id="BRADY",
    )
    picks = picker.pick(piece)
    since = (picks["phase_time"] - pd.Timestamp(start, tz="UTC")).dt.total_seconds()

    def share(phase: str, at: str) -> float:
        near = (picks["phase_type"] == phase) & ((since - ARRIVAL_S[at]).abs() < WITHIN_S)
        return picks.loc[near, "channel_index"].nunique() / count

    return share("P", "P"), share("S", "S"), share("P", "S")


if __name__ == "__main__":
    main()
