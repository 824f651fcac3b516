"""Follow the fronts of two icequakes along the cable.

    python benchmarks/icequakes.py --shared ../shared --weights phasenet-das seisbench:original

Names of the arrivals of these records are uncertain. A channel is right if a pick, P or S, is close to the
front that was read by eye (to about 0.03 s). Prints the share of right channels for each network, and draws
the picks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from phasenet_das import io, plot
from phasenet_das.evaluate.report import markdown
from phasenet_das.picking import load_picker

START = "2020-07-01T00:00:00"  # the files do not tell theirs
TOLERANCE_S = 0.1
FRONTS: dict[str, list[tuple[int, float]]] = {
    "rhone_icequake_00.h5": [
        (160, 0.72), (185, 0.50), (208, 0.33), (230, 0.47), (250, 0.62), (300, 1.00), (350, 1.33),
        (440, 1.79),
    ],
    "rhone_icequake_05.h5": [
        (105, 1.32), (125, 1.20), (150, 1.04), (175, 0.93), (195, 0.89), (215, 0.87), (250, 1.03),
        (300, 1.33), (350, 1.66), (400, 1.95), (435, 2.10),
    ],
}  # fmt: skip
"""Row of the record, and time of the strongest front from the start of the file, s."""


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--weights", nargs="+", default=["phasenet-das", "phasenet"], metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("results/icequakes"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in options.weights:
        picker = load_picker(name)
        for file, front in FRONTS.items():
            record = io.read(
                options.shared / "data" / "das_events" / file, start_time=START, station_id="ICE"
            )
            picks = picker.pick(record)
            rows.append((name, file, f"{share_right(picks, front):.2f}", str(len(picks))))
            panel = plot.section(record, picks)
            known = np.array(front)
            panel.plot(*known.T, "k:", lw=1)
            panel.figure.savefig(options.out / f"{Path(name).name}_{Path(file).stem}.png".replace(":", "_"))
            plt.close(panel.figure)
    print(markdown(["network", "record", "channels on which the front is followed", "picks"], rows))


def share_right(picks: pd.DataFrame, front: list[tuple[int, float]]) -> float:
    """Give the share of the channels of a front on which a pick is close to it."""
    row, time_s = np.array(front).T
    channel = np.arange(row[0], row[-1] + 1)
    since = (picks["phase_time"] - pd.Timestamp(START, tz="UTC")).dt.total_seconds().to_numpy()
    where = picks["channel_index"].to_numpy()
    close = np.abs(since - np.interp(where, row, time_s)) <= TOLERANCE_S
    return float(np.isin(channel, where[close]).mean())


if __name__ == "__main__":
    main()
