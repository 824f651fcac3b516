"""Evaluations of files as text, JSON and figures: the command ``phasenet-das evaluate``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from phasenet_das.catalog.reference import read_reference
from phasenet_das.errors import TableError
from phasenet_das.evaluate.calibration import reliability_table
from phasenet_das.evaluate.events import evaluate_events, examined_events, source_distance_km
from phasenet_das.evaluate.measures import MeasuredStage, measure_catalog, measures_table
from phasenet_das.evaluate.picks import evaluate_picks, scores_by_tolerance
from phasenet_das.evaluate.waveforms import (
    CorrelationWindow,
    compare_differential_times,
    summarize_differential_times,
)
from phasenet_das.plot.style import INK, finish, heading, legend, new_axes, phase_color
from phasenet_das.tables import atomic_path, read_channels, read_coverage, read_events, read_picks
from phasenet_das.text import json_records, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_SNR_EDGES_DB = (-np.inf, *range(-10, 35, 5), np.inf)
_CURVE_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
_BIN_UNITS = {"snr_db": "dB", "source_distance_km": "km"}
_RESIDUALS = ("bias_s", "std_s", "mae_s", "p05_s", "p50_s", "p95_s")
_DIFFERENTIAL = ("bias_s", "spread_s", "std_s", "p05_s", "p95_s")
_STYLES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
_AXIS_NAMES = {
    "snr_db": "Signal-to-noise ratio of the true pick (dB)",
    "source_distance_km": "Distance from the source (km)",
}
_ERROR_NAMES = {
    "time_s": "Origin time error (s)",
    "epicentre_km": "Epicentre error (km)",
    "depth_km": "Depth error (km)",
    "source_distance_km": "Source distance error (km)",
    "magnitude": "Magnitude error",
}


@dataclass(frozen=True)
class EvaluationReport:
    """One evaluation as text, numbers and figures.

    Attributes
    ----------
    text : str
        Markdown for the terminal.
    facts : dict
        For JSON.
    figures : mapping of str to callable
        Functions that draw each figure on ``ax``, by file name without ending.
    """

    text: str
    facts: dict[str, Any]
    figures: Mapping[str, Callable[..., object]]


def evaluate_pick_file(
    picks: str | Path,
    truth: str | Path,
    *,
    tolerance_s: Mapping[str, float],
    coverage: str | Path | None = None,
    seed: int = 0,
) -> EvaluationReport:
    """Compare a pick table with a table of true picks."""
    from phasenet_das import plot

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
    drawn: dict[str, Callable[..., object]] = {
        f"recall_by_{name}": partial(recall_by_bin, {"": result.table}, name) for name in bins
    }
    drawn["pick_residuals"] = partial(residual_histogram, result.pairs)
    if "phase_probability" in found.columns:
        table = reliability_table(found, true, tolerance_s=tolerance_s)
        facts["reliability"] = json_records(table)
        drawn |= {
            f"reliability_of_{name}": partial(plot.reliability, table, name)
            for name in ("probability", "time_uncertainty_s")
        }
    return EvaluationReport("\n".join([*lines, "", picks_markdown(result.table)]), {"picks": facts}, drawn)


def evaluate_pickers(
    tables: Mapping[str, str | Path],
    truth: str | Path,
    **options: Any,  # noqa: ANN401 - of evaluate_pick_file
) -> EvaluationReport:
    """Compare the pick tables of several pickers, by name, with one table of true picks."""
    reports = {name: evaluate_pick_file(table, truth, **options) for name, table in tables.items()}
    text = "\n\n".join(f"{name}: {one.text}" for name, one in reports.items())
    figures = {
        f"{name.replace(' ', '_')}_{figure}": draw
        for name, one in reports.items()
        for figure, draw in one.figures.items()
    }
    return EvaluationReport(
        text, {"picks": {name: one.facts["picks"] for name, one in reports.items()}}, figures
    )


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


def evaluate_event_file(
    events: str | Path,
    reference: str | Path,
    *,
    time_tolerance_s: float,
    distance_tolerance_km: float,
    coverage: str | Path | None = None,
    min_magnitude: float | None = None,
) -> EvaluationReport:
    """Compare an event table with the truth or a reference catalog."""
    known = read_reference(reference)
    spans = None if coverage is None else read_coverage(coverage)
    result = evaluate_events(
        read_reference(events),
        known,
        time_tolerance_s=time_tolerance_s,
        distance_tolerance_km=distance_tolerance_km,
        coverage=spans,
    )
    limits = (
        f"events within {time_tolerance_s:g} s and {distance_tolerance_km:g} km. Intervals: 95 % (Wilson)"
    )
    text = f"{limits}\n\n{events_markdown(result.table, result.errors, result.by_magnitude)}"
    facts = {
        "time_tolerance_s": time_tolerance_s,
        "distance_tolerance_km": distance_tolerance_km,
        "scores": json_records(result.table)[0],
        "errors": json_records(result.errors),
        "by_magnitude": json_records(result.by_magnitude),
    }
    found: dict[str, Any] = {"events": facts}
    if min_magnitude is not None:
        large = (known["magnitude"].to_numpy() >= min_magnitude) & examined_events(known, spans)
        matched = int(large[result.pairs["reference_row"].to_numpy()].sum())
        found["events_above"] = {
            "min_magnitude": min_magnitude,
            "reference": int(large.sum()),
            "found": matched,
        }
    drawn: dict[str, Callable[..., object]] = {
        f"event_{name}": partial(event_error_histogram, result.pairs, name)
        for name in result.errors["quantity"]
    }
    return EvaluationReport(text, found, drawn)


def evaluate_pick_waveforms(
    picks: str | Path,
    recordings: Sequence[str],
    window: CorrelationWindow,
    **stated: Any,  # noqa: ANN401 - arguments of `io.read`
) -> EvaluationReport:
    """Compare differential times of picks with those of the waveforms."""
    from phasenet_das import io

    table = read_picks(picks)
    parts: list[pd.DataFrame] = []
    drawn: dict[str, Callable[..., object]] = {}
    for between in ("channels", "events"):
        sources = (io.read(source, **stated) for source in recordings)
        pairs = compare_differential_times(sources, table, window, between=between)
        if len(pairs):
            parts.append(summarize_differential_times(pairs).assign(between=between))
            drawn[f"differential_times_{between}"] = partial(differential_time_histogram, pairs)
    if not parts:
        raise TableError(
            f"{picks}: no two picks whose windows lie whole within the recordings. Check that the picks "
            "belong to these recordings."
        )
    summary = pd.concat(parts, ignore_index=True)
    summary = summary[["between", *(name for name in summary.columns if name != "between")]]
    low, high = window.band_hz
    measured = (
        f"differential times, picks less waveforms. {low:g}-{high:g} Hz, {window.before_s:g} s before to "
        f"{window.after_s:g} s after, moved by up to {window.max_lag_s:g} s"
    )
    text = f"{measured}\n\n{differential_times_markdown(summary)}"
    return EvaluationReport(text, {"waveforms": json_records(summary)}, drawn)


def evaluate_without_truth(
    stages: Iterable[MeasuredStage], window: CorrelationWindow, *, seed: int = 0
) -> EvaluationReport:
    """Measure picks and events of the stages of a run by what needs no truth."""
    measures = measure_catalog(stages, window, seed=seed)
    table, judgements = markdown(*measures_table(measures)), "\n".join(measures["judgements"])
    return EvaluationReport(f"{table}\n\n{judgements}", measures, {})


def write_evaluations(
    reports: Sequence[EvaluationReport],
    *,
    json_path: str | Path | None = None,
    figure_dir: str | Path | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write evaluations as one JSON file and as figures."""
    written = []
    if json_path is not None:
        facts = {key: value for one in reports for key, value in one.facts.items()}
        with atomic_path(json_path) as temporary:
            document = {**facts, "metadata": dict(metadata or {})}
            temporary.write_text(json.dumps(document, indent=2, default=str, allow_nan=False) + "\n")
        written.append(Path(json_path))
    if figure_dir is not None:
        for name, draw in ((n, d) for one in reports for n, d in one.figures.items()):
            written.append(_save(draw, Path(figure_dir) / f"{name}.png"))
    return written


def _save(draw: Callable[..., object], path: Path) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    draw(ax=figure.add_subplot())
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
    return path


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


def recall_by_bin(tables: Mapping[str, pd.DataFrame], bin_by: str, *, ax: Axes | None = None) -> Axes:
    """Draw recall over the bins of a column, with 95 % intervals where they were drawn."""
    ax = new_axes(ax, (5.6, 3.2))
    for (name, table), style in zip(tables.items(), _STYLES * len(tables), strict=False):
        rows = table[(table["bin_by"] == bin_by) & (table["num_truth"] > 0)]
        for phase, group in rows.groupby("phase"):
            middle, color = _middles(group), phase_color(str(phase))
            ax.plot(
                middle,
                group["recall"],
                linestyle=style,
                marker="o",
                ms=3,
                lw=1.3,
                color=color,
                label=f"{name} {phase}",
            )
            if style == "-" and "recall_low" in group:
                ax.fill_between(
                    middle, group["recall_low"], group["recall_high"], color=color, alpha=0.15, linewidth=0
                )
    ax.set(xlabel=_AXIS_NAMES.get(bin_by, bin_by), ylabel="Recall", ylim=(-0.02, 1.02))
    legend(ax, loc="best", handlelength=3.2)  # long enough to tell the dashes
    return finish(ax, grid=True)


def _middles(group: pd.DataFrame) -> np.ndarray:
    """Middle of each bin; the outermost, which hold all beyond, are drawn as wide as their neighbours."""
    low, high = group["bin_low"].to_numpy(np.float64), group["bin_high"].to_numpy(np.float64)
    finite = (high - low)[np.isfinite(high - low)]
    width = float(np.median(finite)) if len(finite) else 1.0
    low = np.where(np.isfinite(low), low, high - width)
    middle: np.ndarray = 0.5 * (low + np.where(np.isfinite(high), high, low + width))
    return middle


def residual_histogram(pairs: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the residuals of matched picks."""
    return _histogram(pairs, "Pick \N{MINUS SIGN} truth (s)", ax)


def differential_time_histogram(pairs: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how far differential times of picks are from those of waveforms."""
    label = "Differential time, picks \N{MINUS SIGN} waveforms (s)"
    return _histogram(pairs[pairs["kept"]], label, ax)


def _histogram(pairs: pd.DataFrame, label: str, ax: Axes | None) -> Axes:
    ax = new_axes(ax, (4.8, 3.0))
    residual = pairs["residual_s"].to_numpy(np.float64)
    reach = float(np.percentile(np.abs(residual), 99)) if len(residual) else 1.0
    reach = 1.1 * reach if reach > 0 else 1e-3
    edges: list[float] = np.linspace(-reach, reach, 61).tolist()
    for phase, group in pairs.groupby("phase"):
        values = group["residual_s"].to_numpy(np.float64)
        median = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - median)))
        text = f"{phase} ({len(values):,}): median {1e3 * median:+.2f} ms, spread {1e3 * spread:.2f} ms"
        share = np.full(len(values), 1.0 / max(len(values), 1))
        ax.hist(
            values, edges, weights=share, histtype="stepfilled", alpha=0.25, color=phase_color(str(phase))
        )
        ax.hist(
            values, edges, weights=share, histtype="step", lw=1.2, color=phase_color(str(phase)), label=text
        )
    ax.axvline(0, color=INK, lw=0.8)
    ax.set(xlabel=label, ylabel="Share of picks", xlim=(-reach, reach))
    heading(ax, "the outermost 1 % are not shown" if len(residual) else "nothing was matched")
    ax.set_ylim(0, 1.35 * ax.get_ylim()[1])  # room for the legend
    legend(ax, loc="upper left")
    return finish(ax, grid=True)


def event_error_histogram(pairs: pd.DataFrame, quantity: str, *, ax: Axes | None = None) -> Axes:
    """Draw the errors of matched events."""
    ax = new_axes(ax, (4.0, 2.6))
    values = pairs[quantity].dropna().to_numpy(np.float64)
    ax.hist(values, bins=min(40, max(8, len(values) // 5)), color="#8d949b", edgecolor=INK, linewidth=0.4)
    if len(values):
        ax.axvline(float(np.median(values)), color="#c2185b", lw=1.2, label=f"median {np.median(values):.3g}")
    ax.set(xlabel=_ERROR_NAMES[quantity], ylabel="Events")
    legend(ax, loc="best")
    return finish(ax, grid=True)
