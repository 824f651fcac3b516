"""Evaluations as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from phasenet_das.text import number

_BIN_UNITS = {"snr_db": "dB", "source_distance_km": "km"}


def markdown(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Lay rows out as a Markdown table whose columns line up."""
    head, body = [str(name) for name in columns], [[str(cell) for cell in row] for row in rows]
    width = [max(len(row[k]) for row in [head, *body]) for k in range(len(head))]
    lines = [head, ["-" * n for n in width], *body]
    return "\n".join(
        "| " + " | ".join(c.ljust(n) for c, n in zip(line, width, strict=True)) + " |" for line in lines
    )


def picks_markdown(table: pd.DataFrame) -> str:
    """Show ``PickEvaluation.table``: the phases, then their bins."""
    whole, bins = table[table["bin_by"] == ""], table[(table["bin_by"] != "") & (table["num_truth"] > 0)]
    head = ["phase", "true", "picks", "precision", "recall", "F1", "bias (s)", "std (s)", "MAE (s)"]
    head += ["5 % (s)", "median (s)", "95 % (s)"]
    rows = [
        [r["phase"], f"{r['num_truth']}", f"{r['num_picks']}"]
        + [_with_interval(r, name) for name in ("precision", "recall", "f1")]
        + [number(r[name], "+.4f" if name != "std_s" and name != "mae_s" else ".4f") for name in _RESIDUALS]
        for r in whole.to_dict("records")
    ]
    text = markdown(head, rows)
    if len(bins):
        rows = [
            [
                r["phase"],
                _bin(r),
                f"{r['num_truth']}",
                _with_interval(r, "recall"),
                number(r["bias_s"], "+.4f"),
                number(r["mae_s"], ".4f"),
            ]
            for r in bins.to_dict("records")
        ]
        text += "\n\n" + markdown(["phase", "bin", "true", "recall", "bias (s)", "MAE (s)"], rows)
    return text


_RESIDUALS = ("bias_s", "std_s", "mae_s", "p05_s", "p50_s", "p95_s")


def _bin(row: Mapping[Any, Any]) -> str:
    column, low, high = str(row["bin_by"]), row["bin_low"], row["bin_high"]
    unit = _BIN_UNITS.get(column, "")
    name = column.removesuffix(f"_{unit.lower()}").replace("_", " ").replace("snr", "SNR")
    if not math.isfinite(low):
        return f"{name} below {high:g} {unit}".rstrip()
    if not math.isfinite(high):
        return f"{name} {low:g} {unit} and above".replace("  ", " ")
    return f"{name} {low:g} to {high:g} {unit}".rstrip()


def _with_interval(row: Mapping[Any, Any], name: str) -> str:
    text = number(row[name], ".3f")
    low, high = row.get(f"{name}_low", math.nan), row.get(f"{name}_high", math.nan)
    return f"{text} ({low:.2f}-{high:.2f})" if text and math.isfinite(low) else text


def events_markdown(table: pd.DataFrame, errors: pd.DataFrame, by_magnitude: pd.DataFrame) -> str:
    """Show the tables of an ``EventEvaluation``."""
    r = table.iloc[0].to_dict()
    counts = [f"{int(r[name])}" for name in ("num_events", "num_reference", "num_matched")]
    shares = [_with_interval(r, name) for name in ("precision", "recall", "f1")]
    head = ["events", "reference", "matched", "precision", "recall", "F1", "complete from M"]
    parts = [markdown(head, [[*counts, *shares, number(r["completeness_magnitude"], ".1f")]])]
    if len(errors):
        columns = ["median", "mae", "p05", "p25", "p75", "p95"]
        rows = [
            [str(e["quantity"]), f"{e['num']}", *(number(e[c], ".3f") for c in columns)]
            for e in errors.to_dict("records")
        ]
        parts.append(
            markdown(["error", "events", "median", "mean abs.", "5 %", "25 %", "75 %", "95 %"], rows)
        )
    if len(by_magnitude):
        rows = [
            [
                f"{m['magnitude_low']:.1f} to {m['magnitude_high']:.1f}",
                f"{m['num_reference']:.0f}",
                f"{m['num_matched']:.0f}",
                number(m["recall"], ".3f"),
            ]
            for m in by_magnitude.to_dict("records")
            if m["num_reference"]
        ]
        parts.append(markdown(["magnitude", "reference", "found", "recall"], rows))
    return "\n\n".join(parts)


def differential_times_markdown(table: pd.DataFrame) -> str:
    """Show the table of :func:`summarize_differential_times`."""
    words = list(table.columns[: list(table.columns).index("phase")])
    head = [*words, "phase", "pairs", "kept", "reversed", "median CC", "bias (ms)", "spread (ms)"]
    head += ["std (ms)", "5 % (ms)", "95 % (ms)"]
    rows = [
        [*(str(r[name]) for name in words), r["phase"], f"{r['num_pairs']}", f"{r['num_kept']}"]
        + [number(r["share_reversed"], ".3f"), number(r["median_correlation"], ".3f")]
        + [number(1e3 * r[name], "+.2f" if name == "bias_s" else ".2f") for name in _DIFFERENTIAL]
        for r in table.to_dict("records")
    ]
    return markdown(head, rows)


_DIFFERENTIAL = ("bias_s", "spread_s", "std_s", "p05_s", "p95_s")
