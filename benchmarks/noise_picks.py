"""Count picks on noise of instruments that no bundled network was trained on: all are taken for false.

    python benchmarks/noise_picks.py --shared ../shared --weights seisbench:original phasenet phasenet-das

Prints picks a channel-hour of the network's time. The recordings hold no known earthquake, are seconds long,
and are seen at the network's rate and at their own (native), at which time runs slower for the network.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from phasenet_das import io
from phasenet_das.errors import MissingMetadataError
from phasenet_das.evaluate.report import markdown
from phasenet_das.picking import Picker, load_picker

NOMINAL_START = "2000-01-01T00:00:00"
MIN_SCORES = (0.3, 0.5)
RATES: dict[str, dict[str, Any]] = {"network's": {}, "native": {"rate": "native"}}


def main() -> None:
    """Print a Markdown table of all networks, recordings and rates."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--held-out", type=Path, default=Path(__file__).with_name("held_out.yaml"))
    parser.add_argument("--weights", nargs="+", default=["seisbench:original", "phasenet"], metavar="NAME")
    options = parser.parse_args()
    names = yaml.safe_load(options.held_out.read_text())["noise"]
    recordings = {name: read(options.shared / "data" / "das_noise" / name) for name in names}
    rows = []
    for name in options.weights:
        picker = load_picker(name)
        counted = [count(picker, recording, file) for file, recording in recordings.items()]
        rows.append(pd.concat(counted, ignore_index=True).assign(weights=name))
    print(layout(with_totals(pd.concat(rows, ignore_index=True))))


def read(path: Path) -> Any:  # noqa: ANN401 - a dascore.Patch
    """Read a recording; when it was made does not matter."""
    try:
        return io.read(path)
    except MissingMetadataError:
        return io.read(path, start_time=NOMINAL_START)


def count(picker: Picker, recording: Any, file: str) -> pd.DataFrame:  # noqa: ANN401 - a dascore.Patch
    """Count the picks of one recording at every rate and threshold."""
    data, dt_s = io.get_data(recording), io.get_dt_s(recording)
    rows = []
    for rate, settings in RATES.items():
        picks = picker.pick(recording, station_id="NOISE", min_score=min(MIN_SCORES), **settings)
        seen_dt_s = 1 / picker.weights.sampling_rate_hz if settings else dt_s
        hours = data.shape[0] * data.shape[1] * seen_dt_s / 3600
        found = {
            (phase, score): int(((picks["phase_type"] == phase) & (picks["phase_score"] >= score)).sum())
            for phase in "PS"
            for score in MIN_SCORES
        }
        rows.append({"recording": file, "rate": rate, "hours": hours, **found})
    return pd.DataFrame(rows)


def with_totals(table: pd.DataFrame) -> pd.DataFrame:
    """Add the recordings of each network and rate up."""
    total = table.drop(columns="recording").groupby(["weights", "rate"], as_index=False, sort=False).sum()
    return pd.concat([table, total.assign(recording="all")], ignore_index=True)


def layout(table: pd.DataFrame) -> str:
    """Lay out counts and rates a channel-hour."""
    columns = [(phase, score) for phase in "PS" for score in MIN_SCORES]
    head = ["weights", "recording", "rate", "channel-hours"]
    head += [f"{phase} at {score:g}: picks (an hour)" for phase, score in columns]
    rows = []
    for row in table.to_dict("records"):
        cells = [row["weights"], row["recording"], row["rate"], f"{row['hours']:.3f}"]
        rows.append([*cells, *(f"{row[name]} ({row[name] / row['hours']:.1f})" for name in columns)])
    return markdown(head, rows)


if __name__ == "__main__":
    main()
