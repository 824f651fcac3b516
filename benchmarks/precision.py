"""Pick real records in float32 and in bfloat16, and compare scores and picks.

    python benchmarks/precision.py --shared ../shared

Prints a Markdown table: the picks that one precision alone has, and the largest differences of the score and
the time of picks that both have.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from dascore import Patch
from forgetting import RECORDS, read

from phasenet_das.config import PickSettings
from phasenet_das.evaluate.report import markdown
from phasenet_das.matching import match_picks
from phasenet_das.picking import Picker, load_picker

SAME_S = {"P": 0.1, "S": 0.1}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--weights", nargs="+", default=["phasenet-das", "phasenet"], metavar="NAME")
    parser.add_argument("--most", type=int, help="records, to try the script out")
    options = parser.parse_args()
    logging.getLogger("phasenet_das").setLevel(logging.ERROR)
    rows = []
    for name in options.weights:
        picker = load_picker(name)
        for record in RECORDS[: options.most]:
            patch = read(record, options.shared / "data" / "das_events")
            one, other = (
                picked(picker, patch, record.settings, precision) for precision in ("float32", "bfloat16")
            )
            rows.append((name, record.name, *compared(one, other)))
    head = ("network", "record", "picks", "lost", "gained", "largest difference of a score", "of a time (s)")
    print(markdown(head, rows))


def picked(picker: Picker, patch: Patch, settings: PickSettings, precision: str) -> pd.DataFrame:
    """Pick a record in a precision."""
    return picker.pick(patch, settings.model_copy(update={"precision": precision}))


def compared(one: pd.DataFrame, other: pd.DataFrame) -> tuple[str, ...]:
    """Give the cells of a row."""
    pairs = match_picks(one, other, SAME_S)
    first, second = one.iloc[pairs["pick_row"]], other.iloc[pairs["truth_row"]]
    score = np.abs(first["phase_score"].to_numpy() - second["phase_score"].to_numpy())
    late = np.abs(pairs["residual_s"].to_numpy())
    counts = len(one), len(one) - len(pairs), len(other) - len(pairs)
    return (*map(str, counts), f"{score.max(initial=0):.4f}", f"{late.max(initial=0):.3f}")


if __name__ == "__main__":
    main()
