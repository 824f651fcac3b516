"""What `phasenet-das evaluate` does: tables in files to text, JSON and figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from phasenet_das.catalog.reference import read_reference
from phasenet_das.errors import TableError
from phasenet_das.evaluate.calibration import reliability_table
from phasenet_das.evaluate.differential import (
    CorrelationWindow,
    compare_differential_times,
    summarize_differential_times,
)
from phasenet_das.evaluate.events import evaluate_events, source_distance_km
from phasenet_das.evaluate.picks import evaluate_picks, scores_by_tolerance
from phasenet_das.evaluate.present import (
    differential_times_markdown,
    events_markdown,
    picks_markdown,
)
from phasenet_das.tables import atomic_path, read_channels, read_coverage, read_events, read_picks
from phasenet_das.text import json_records

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_SNR_EDGES_DB = (-np.inf, *range(-10, 35, 5), np.inf)
_CURVE_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True)
class Findings:
    """The outcome of one evaluation.

    Attributes
    ----------
    text : str
        Markdown for the terminal.
    facts : dict
        For JSON.
    figures : mapping of str to callable
        What draws each figure on an Axes, by file name without ending.
    """

    text: str
    facts: dict[str, Any]
    figures: Mapping[str, Callable[[Axes], object]]


def judge_picks(
    picks: str | Path,
    truth: str | Path,
    *,
    tolerance_s: Mapping[str, float],
    coverage: str | Path | None = None,
    seed: int = 0,
) -> Findings:
    """Hold a pick table against a table of true picks."""
    from phasenet_das import plot
    from phasenet_das.evaluate import figures

    found, (true, bins) = read_picks(picks), _read_truth(Path(truth))
    beside = Path(picks).with_suffix(".coverage.csv")
    spans = coverage or (beside if beside.exists() else None)
    examined = None if spans is None else read_coverage(spans)
    has_events = bool((true["event_index"] >= 0).all())
    result = evaluate_picks(
        found,
        true,
        tolerance_s=tolerance_s,
        coverage=examined,
        bins=bins,
        num_bootstrap=1000 if has_events else 0,
        seed=seed,
    )
    limits = ", ".join(f"{phase} within {value:g} s" for phase, value in tolerance_s.items())
    lines = [
        f"{limits}; " + ("intervals: 95 %, events drawn anew" if has_events else "no intervals: no events")
    ]
    if spans is not None:
        lines.append(
            f"{result.num_ignored} true picks lie outside the spans examined ({spans}) and do not count"
        )
    facts = {
        "tolerance_s": dict(tolerance_s),
        "num_ignored": result.num_ignored,
        "scores": json_records(result.table),
        "by_tolerance": json_records(scores_by_tolerance(found, true, _CURVE_S, coverage=examined)),
    }
    drawn: dict[str, Callable[[Axes], object]] = {
        f"recall_by_{name}": partial(_draw_recall, figures.recall_by_bin, result.table, name) for name in bins
    }
    drawn["pick_residuals"] = lambda ax: figures.residual_histogram(result.pairs, ax=ax)
    if "phase_probability" in found.columns:
        table = reliability_table(found, true, tolerance_s=tolerance_s)
        facts["reliability"] = json_records(table)
        drawn |= {
            f"reliability_of_{name}": partial(_draw_reliability, plot.reliability, table, name)
            for name in ("probability", "time_uncertainty_s")
        }
    return Findings("\n".join([*lines, "", picks_markdown(result.table)]), {"picks": facts}, drawn)


def _draw_reliability(draw: Callable[..., Axes], table: pd.DataFrame, quantity: str, ax: Axes) -> Axes:
    return draw(table, quantity, ax=ax)


def _draw_recall(draw: Callable[..., Axes], table: pd.DataFrame, column: str, ax: Axes) -> Axes:
    return draw({"": table}, column, ax=ax)


def _read_truth(path: Path) -> tuple[pd.DataFrame, dict[str, Sequence[float]]]:
    """Read true picks, and say by what columns they can be told apart."""
    table = read_picks(path / "truth_picks.parquet" if path.is_dir() else path)
    bins: dict[str, Sequence[float]] = {"snr_db": _SNR_EDGES_DB} if "snr_db" in table.columns else {}
    if path.is_dir():
        channels, events = read_channels(path / "channels.csv"), read_events(path / "truth_events.csv")
        table["source_distance_km"] = source_distance_km(table, events, channels)
        far = float(np.nanmax(table["source_distance_km"], initial=0.0))
        bins["source_distance_km"] = _round_edges(far)
    return table, bins


def _round_edges(largest: float) -> list[float]:
    """Edges from 0 in steps that double: 1, 2, 4 ... of a tenth of the power of ten of the largest."""
    step = 10.0 ** np.floor(np.log10(max(largest, 1e-3))) / 10
    count = int(np.ceil(np.log2(max(largest / step, 2.0)))) + 1
    return [0.0, *(float(step * 2.0**k) for k in range(1, count + 1))]


def judge_events(
    events: str | Path,
    reference: str | Path,
    *,
    time_tolerance_s: float,
    distance_tolerance_km: float,
    coverage: str | Path | None = None,
) -> Findings:
    """Hold an event table against the truth or a reference catalog."""
    from phasenet_das.evaluate import figures

    result = evaluate_events(
        read_reference(events),
        read_reference(reference),
        time_tolerance_s=time_tolerance_s,
        distance_tolerance_km=distance_tolerance_km,
        coverage=None if coverage is None else read_coverage(coverage),
    )
    limits = (
        f"events within {time_tolerance_s:g} s and {distance_tolerance_km:g} km; intervals: 95 % (Wilson)"
    )
    text = f"{limits}\n\n{events_markdown(result.table, result.errors, result.by_magnitude)}"
    facts = {
        "time_tolerance_s": time_tolerance_s,
        "distance_tolerance_km": distance_tolerance_km,
        "scores": json_records(result.table)[0],
        "errors": json_records(result.errors),
        "by_magnitude": json_records(result.by_magnitude),
    }
    drawn: dict[str, Callable[[Axes], object]] = {
        f"event_{name}": partial(_draw_error, figures.event_error_histogram, result.pairs, name)
        for name in result.errors["quantity"]
    }
    return Findings(text, {"events": facts}, drawn)


def _draw_error(draw: Callable[..., Axes], pairs: pd.DataFrame, quantity: str, ax: Axes) -> Axes:
    return draw(pairs, quantity, ax=ax)


def judge_waveforms(
    picks: str | Path,
    recordings: Sequence[str],
    window: CorrelationWindow,
    *,
    start_time: str | None = None,
) -> Findings:
    """Hold differential times of picks against those of the waveforms."""
    from phasenet_das import io
    from phasenet_das.evaluate import figures

    table = read_picks(picks)
    parts: list[pd.DataFrame] = []
    drawn: dict[str, Callable[[Axes], object]] = {}
    for between in ("channels", "events"):
        sources = (io.read(source, start_time=start_time) for source in recordings)
        pairs = compare_differential_times(sources, table, window, between=between)
        if len(pairs):
            parts.append(summarize_differential_times(pairs).assign(between=between))
            drawn[f"differential_times_{between}"] = partial(
                _draw_differential, figures.differential_time_histogram, pairs
            )
    if not parts:
        raise TableError(
            f"{picks}: no two picks whose windows lie whole within the recordings; check that the picks "
            "belong to these recordings."
        )
    summary = pd.concat(parts, ignore_index=True)
    summary = summary[["between", *(name for name in summary.columns if name != "between")]]
    low, high = window.band_hz
    what = (
        f"differential times, picks less waveforms; {low:g}-{high:g} Hz, {window.before_s:g} s before to "
        f"{window.after_s:g} s after, moved by up to {window.max_lag_s:g} s"
    )
    text = f"{what}\n\n{differential_times_markdown(summary)}"
    return Findings(text, {"waveforms": json_records(summary)}, drawn)


def _draw_differential(draw: Callable[..., Axes], pairs: pd.DataFrame, ax: Axes) -> Axes:
    return draw(pairs, ax=ax)


def write_findings(
    findings: Sequence[Findings],
    *,
    json_path: str | Path | None = None,
    figure_dir: str | Path | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write evaluations as one JSON file and as figures."""
    written = []
    if json_path is not None:
        facts = {key: value for found in findings for key, value in found.facts.items()}
        with atomic_path(json_path) as temporary:
            document = {**facts, "metadata": dict(metadata or {})}
            temporary.write_text(json.dumps(document, indent=2, default=str, allow_nan=False) + "\n")
        written.append(Path(json_path))
    if figure_dir is not None:
        for name, draw in ((n, d) for found in findings for n, d in found.figures.items()):
            written.append(_save(draw, Path(figure_dir) / f"{name}.png"))
    return written


def _save(draw: Callable[[Axes], object], path: Path) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.add_subplot())
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
    return path
