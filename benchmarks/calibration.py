"""Calibrate a network on bench-v1's validation set, and draw its reliability on the test set.

    python benchmarks/calibration.py phasenet-das --figure docs/figures/reliability.jpg
    python benchmarks/calibration.py results/teacher/model --write   # put it into the folder

Picks of all kinds count together, as the network sees recordings by its own rule. Errors are in samples of
the rate from which a pick takes its time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from bench_kinds import KINDS
from bench_pickers import cases
from matplotlib.figure import Figure

from phasenet_das.evaluate import fit_calibration, reliability_table, scored_residuals
from phasenet_das.evaluate.report import markdown
from phasenet_das.models import PickCalibration, ScoreCurve, Weights, set_calibration
from phasenet_das.picking import Picker, load_picker
from phasenet_das.plot import reliability

RATE_HZ = 100.0
FAINT_SCORE = 0.05
_ONE_SAMPLE = ScoreCurve((0.0, 1.0), (0.0, 1.0), (1.0, 1.0))


class Picked(NamedTuple):
    """Picks of one recording, its truth, and how its time compares with the network's."""

    picks: pd.DataFrame
    truth: pd.DataFrame
    tolerance_s: dict[str, float]
    slower: float


def main() -> None:
    """Fit on one set, judge on the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", help="bundled model or folder")
    parser.add_argument("--cache", type=Path, default=Path("results/bench"))
    parser.add_argument("--quick", action="store_true", help="try the script out on a few short recordings")
    parser.add_argument("--figure", type=Path, default=Path("results/reliability.png"))
    parser.add_argument(
        "--write", action="store_true", help="put the calibration into the folder of the weights"
    )
    options = parser.parse_args()
    weights = load_picker(options.weights).weights
    calibration = fit(weights, options.cache, "quick" if options.quick else "validation")
    if options.write:
        print(f"-> {set_calibration(options.weights, calibration)}")
    table = judge(
        Picker(replace(weights, calibration=calibration)),
        options.cache,
        "quick" if options.quick else "test",
    )
    rows = [
        (r.phase, r.quantity, f"{r.stated:.4f}", f"{r.observed:.4f}", f"{r.num_picks}")
        for r in table.itertuples()
    ]
    print(markdown(table.columns, rows))
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    for ax, quantity in zip(figure.subplots(1, 2), ("probability", "time_uncertainty_s"), strict=True):
        reliability(table, quantity, ax=ax)
    options.figure.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.figure, dpi=110)


def picked(picker: Picker, split: str, cache: Path) -> Iterator[Picked]:
    """Pick every recording of a split, faint picks too."""
    for case in cases(split, cache):
        kind = KINDS[case.kind]
        picks = picker.pick(case.patch, kind.pick, station_id=case.station, min_score=FAINT_SCORE)
        yield Picked(picks, case.truth, kind.tolerance_s, kind.sampling_rate_hz / RATE_HZ)


def fit(weights: Weights, cache: Path, split: str) -> PickCalibration:
    """Calibrate on the validation set; a picker whose errors are one sample says how long a sample is."""
    picker = Picker(replace(weights, calibration=PickCalibration(dict.fromkeys(("P", "S"), _ONE_SAMPLE))))
    tables = []
    for one in picked(picker, split, cache):
        residuals = scored_residuals(one.picks, one.truth, one.tolerance_s)
        samples = residuals["residual_s"] / residuals["phase_time_uncertainty_s"]
        tables.append(residuals.assign(residual_samples=samples))
    return fit_calibration(pd.concat(tables), source=f"bench-v1, {split} set")


def judge(picker: Picker, cache: Path, split: str) -> pd.DataFrame:
    """Compare stated and observed reliability on the test set, on the network's time axis."""
    picks, truth = [], []
    for number, one in enumerate(picked(picker, split, cache)):
        # Each recording is a station, its time stretched to the network's: one tolerance holds for all.
        begin = one.truth["phase_time"].min()
        tables = []
        for table in (one.picks, one.truth):
            since = (table["phase_time"] - begin).dt.total_seconds() * one.slower
            when = begin + pd.to_timedelta(since, unit="s")
            tables.append(table.assign(station_id=f"R{number}", phase_time=when.dt.as_unit("ns")))
        tables[0]["phase_time_uncertainty_s"] *= one.slower
        picks.append(tables[0])
        truth.append(tables[1])
    return reliability_table(pd.concat(picks, ignore_index=True), pd.concat(truth, ignore_index=True))


if __name__ == "__main__":
    main()
