"""Pick the seismometer records that no bundled network was trained on, and hold the picks against analysts'.

    python benchmarks/held_out_records.py --shared ../shared --weights seisbench:original phasenet

The vertical component is a fibre channel of its own: a network of three components sees it three times.
Picks of score 0.3 or more count over all 90 s of a record; the analysts picked one event of each.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
import yaml

from phasenet_das import io
from phasenet_das.evaluate import evaluate_picks
from phasenet_das.evaluate.report import markdown
from phasenet_das.picking import Picker, load_picker
from phasenet_das.simulate import measure_snr_db

RECORDS = Path("data/waveforms3c/phasenet_ncedc_154.h5")
BEGIN = np.datetime64("2000-01-01T00:00:00", "ns")
SNR_EDGES_DB = (-np.inf, 5.0, 15.0, 25.0, np.inf)
SNR_WINDOW_S = 1.0
VERTICAL = 2


class Trace(NamedTuple):
    """A vertical component, and the analysts' picks of it."""

    patch: Any
    truth: pd.DataFrame


def main() -> None:
    """Print a Markdown table of all networks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--held-out", type=Path, default=Path(__file__).with_name("held_out.yaml"))
    parser.add_argument("--weights", nargs="+", default=["seisbench:original", "phasenet"], metavar="NAME")
    parser.add_argument("--tolerance-s", type=float, default=0.1)
    parser.add_argument("--min-score", type=float, default=0.3)
    parser.add_argument("--most", type=int, help="only so many records")
    options = parser.parse_args()
    held_out = yaml.safe_load(options.held_out.read_text())
    traces = list(islice(held_out_traces(options.shared / RECORDS, held_out), options.most))
    tables = [
        judge(load_picker(name), traces, options.tolerance_s, options.min_score).assign(weights=name)
        for name in options.weights
    ]
    print(f"{len(traces)} records, right within {options.tolerance_s:g} s, score {options.min_score:g}\n")
    print(layout(pd.concat(tables, ignore_index=True)))


def held_out_rows(table: pd.DataFrame, held_out: dict[str, list[str]]) -> list[int]:
    """List the records of stations that are held out, and those held out by name."""
    station = table["fname"].str.split("_").str[:2].str.join(".")
    chosen = station.isin(held_out["stations"]) | table["fname"].isin(held_out["records"])
    return [int(row) for row in table.loc[chosen, "row"]]


def held_out_traces(path: Path, held_out: dict[str, list[str]]) -> Iterator[Trace]:
    """Read the verticals of the held-out records, each as a cable of one channel."""
    rows = held_out_rows(pd.read_csv(path.with_suffix(".csv")), held_out)
    with h5py.File(path) as file:
        dt_s = float(file["data"].attrs.get("dt_s", 0.01))
        for row in rows:
            data = np.asarray(file["data"][row, VERTICAL], np.float32)
            station = f"R{row:03d}"
            patch = io.make_patch(data[None], start_time=BEGIN, dt_s=dt_s, station_id=station, unit="counts")
            samples = np.array([file["itp"][row], file["its"][row]], float)
            yield Trace(patch, true_picks(data, samples, dt_s, station, row))


def true_picks(data: np.ndarray, samples: np.ndarray, dt_s: float, station: str, event: int) -> pd.DataFrame:
    """Make a table of the analysts' picks with their signal-to-noise ratio."""
    window = np.full(len(samples), round(SNR_WINDOW_S / dt_s))
    when = BEGIN + np.rint(samples * dt_s * 1e9).astype("timedelta64[ns]")
    return pd.DataFrame(
        {
            "station_id": station,
            "channel_index": 0,
            "phase_type": ["P", "S"],
            "phase_time": pd.to_datetime(when, utc=True),
            "event_index": event,
            "snr_db": measure_snr_db(data[None], np.zeros(len(samples), np.int64), samples, window),
        }
    )


def judge(picker: Picker, traces: list[Trace], tolerance_s: float, min_score: float) -> pd.DataFrame:
    """Evaluate a network, all records together and by bins of signal-to-noise ratio."""
    picks = [picker.pick(trace.patch, min_score=min_score) for trace in traces]
    return evaluate_picks(
        pd.concat(picks, ignore_index=True),
        pd.concat([trace.truth for trace in traces], ignore_index=True),
        tolerance_s={"P": tolerance_s, "S": tolerance_s},
        bins={"snr_db": SNR_EDGES_DB},
    ).table


def layout(table: pd.DataFrame) -> str:
    """Lay out scores, and recall by bin with the number of true picks in it."""
    bins = list(pairwise(SNR_EDGES_DB))
    head = ["weights", "phase", "true", "picks", "precision", "recall", "F1 (95 %)", "bias (s)", "MAE (s)"]
    head += [f"recall {low:g} to {high:g} dB" for low, high in bins]
    rows = []
    for row in table[table["bin_by"] == ""].to_dict("records"):
        cells = [row["weights"], row["phase"], f"{row['num_truth']}", f"{row['num_picks']}"]
        cells += [f"{row[name]:.3f}" for name in ("precision", "recall")]
        cells += [f"{row['f1']:.3f} ({row['f1_low']:.2f}-{row['f1_high']:.2f})"]
        cells += [f"{row['bias_s']:+.3f}", f"{row['mae_s']:.3f}"]
        mine = table[(table["weights"] == row["weights"]) & (table["phase"] == row["phase"])]
        for low, _ in bins:
            one = mine[(mine["bin_by"] == "snr_db") & (mine["bin_low"] == low)].iloc[0]
            cells.append(f"{one['recall']:.2f} ({one['num_truth']})" if one["num_truth"] else "")
        rows.append(cells)
    return markdown(head, rows)


if __name__ == "__main__":
    main()
