"""Pick the four real records and hold the picks against arrivals read by eye.

    python benchmarks/real_records.py --shared ../shared --out results/real_records

Prints one Markdown table, and draws each record with picks and eye picks; with `--figure`, all four as the
network sees them by its own rule (docs/figures/student_real.jpg).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from control_points import compare_with_control_points, interpolate_control_points
from matplotlib.axes import Axes

from phasenet_das import io, plot
from phasenet_das.config import PickSettings
from phasenet_das.picking import load_picker
from phasenet_das.picking.preprocess import condition

NOMINAL_START = "2000-01-01T00:00:00"  # SAFOD and FORGE files do not tell theirs
ONE = {"average_channels": 1}
FORGE = {"common_mode": "median"}
RULE, OCTAVES = "by the rule", "octaves"
TITLES = {
    "brady_porotomo_20160321_M4.3.h5": "Brady, M4.3: cable at the surface",
    "safod_20170630_M2.46.h5": "SAFOD, M2.46: well",
    "forge_7832_eq03.h5": "FORGE, event 3: well",
    "forge_7832_eq10.h5": "FORGE, event 10: well",
}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("brady_porotomo_20160321_M4.3.h5", RULE, {}),
    ("brady_porotomo_20160321_M4.3.h5", "100 Hz", {"rate": 100.0, **ONE}),
    (
        "brady_porotomo_20160321_M4.3.h5",
        "100 Hz, 8 channels averaged",
        {"rate": 100.0, "average_channels": 8},
    ),
    ("safod_20170630_M2.46.h5", RULE, {}),
    ("safod_20170630_M2.46.h5", "to 100 Hz", {"rate": 100.0, **ONE}),
    ("safod_20170630_M2.46.h5", "native 250 Hz", {"rate": "native", **ONE}),
    ("forge_7832_eq03.h5", RULE, FORGE),
    ("forge_7832_eq03.h5", "native 2 kHz", {"rate": "native", **ONE, **FORGE}),
    ("forge_7832_eq03.h5", "1 kHz relabelled", {"rate": 1000.0, **ONE, **FORGE}),
    ("forge_7832_eq10.h5", RULE, FORGE),
    ("forge_7832_eq10.h5", "native 2 kHz", {"rate": "native", **ONE, **FORGE}),
    ("forge_7832_eq10.h5", "1 kHz relabelled", {"rate": 1000.0, **ONE, **FORGE}),
]
CASES += [
    (file, OCTAVES, {**settings, "rate": "octaves"}) for file, label, settings in CASES if label == RULE
]
BANDS = {"brady": (0.8, 8.0), "safod": (5.0, 60.0), "forge": (20.0, 300.0)}


def main() -> None:
    """Pick every record in every way of CASES."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--weights", default="seisbench:original")
    parser.add_argument("--out", type=Path, default=Path("results/real_records"))
    parser.add_argument("--figure", type=Path, help="figure of the four records by the rule")
    parser.add_argument(
        "--only", nargs="+", metavar="RECORD", help="words of the names of some; all by default"
    )
    parser.add_argument(
        "--rule-only", action="store_true", help="only as the network sees them by its own rule"
    )
    options = parser.parse_args()
    folder = options.shared / "data" / "das_events"
    control = pd.read_csv(folder / "eye_picks.csv")
    picker = load_picker(options.weights)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    together, axes = plt.subplots(2, 2, figsize=(16, 9.6), layout="constrained")
    panels = dict(zip(TITLES, axes.flat, strict=True))
    for file, label, settings in CASES:
        if options.only and not any(word in file for word in options.only):
            continue
        if options.rule_only and label != RULE:
            continue
        start_time = None if file.startswith("brady") else NOMINAL_START
        patch = io.read(folder / file, start_time=start_time, station_id=file.split("_")[0].upper())
        picks = picker.pick(patch, **settings)
        points = control[control["file"] == file]
        start = pd.Timestamp(io.get_times(patch)[0], tz="UTC")
        first = int(io.get_channel_index(patch)[0])
        table = compare_with_control_points(picks, points, start, first_channel=first)
        rows.append(table.assign(record=file.removesuffix(".h5"), seen_at=label))
        figure, ax = plt.subplots(figsize=(10, 6), layout="constrained")
        draw(patch, picks, points, first, ax).set_title(f"{TITLES[file]}, {label}")
        figure.savefig(options.out / f"{file.removesuffix('.h5')}_{label.replace(' ', '_')}.png", dpi=130)
        plt.close(figure)
        if label == RULE:
            draw(patch, picks, points, first, panels[file]).set_title(TITLES[file])
    if options.figure is not None:
        together.savefig(options.figure, dpi=100)
    show(pd.concat(rows, ignore_index=True))


def draw(patch: Any, picks: pd.DataFrame, points: pd.DataFrame, first: int, axes: Axes) -> Axes:  # noqa: ANN401
    """Draw the record in a band where its arrivals are seen, its picks, and the eye picks as lines."""
    name = points["file"].iloc[0].split("_")[0]
    shown = PickSettings(bandpass_hz=BANDS[name], common_mode="median" if name == "forge" else None)
    filtered = condition(io.get_data(patch), io.get_dt_s(patch), io.get_unit(patch), shown).data
    plot.section(patch.update(data=filtered), picks, ax=axes)
    for phase, group in interpolate_control_points(points).groupby("phase"):
        axes.plot(
            group["channel"] + first,
            group["time_s"],
            "k-" if phase == "P" else "k--",
            lw=1,
            label=f"{phase} by eye",
        )
    axes.legend(loc="lower right", fontsize="small")
    return axes


def show(table: pd.DataFrame) -> None:
    """Print a Markdown table."""
    print("| record | seen at | phase | channels | right | picked | false picks | median (s) | spread (s) |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in table.itertuples():
        print(
            f"| {row.record} | {row.seen_at} | {row.phase} | {row.num_channels} | {row.share_right:.3f} | "
            f"{row.share_picked:.3f} | {row.num_false} | {row.median_residual_s:+.4f} | {row.spread_s:.4f} |"
        )


if __name__ == "__main__":
    main()
