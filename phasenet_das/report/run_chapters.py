"""Chapters on a run: trainings, scores, skipped recordings, provenance."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from phasenet_das.report.elements import MISSING, Chapter, Table, draw
from phasenet_das.text import number, records
from phasenet_das.training.summary import TrainingSummary

_MAX_LISTED: Final = 100


@dataclass(frozen=True)
class Training:
    """A training that the catalog rests on.

    Attributes
    ----------
    title : str
        Heading.
    text : str
        What it was trained on.
    log, validation : pandas.DataFrame
        Its course: ``step, loss``, and ``step, loss, p_f1, s_f1`` (None where nothing was kept from it).
    summary : TrainingSummary, optional
        Its labels, advice, and the student against its start.
    """

    title: str
    text: str
    log: pd.DataFrame
    validation: pd.DataFrame | None = None
    summary: TrainingSummary | None = None


def training_chapter(training: Training) -> Chapter:
    """Show the course of a training."""
    from phasenet_das import plot

    drawn = draw(
        lambda ax: plot.training_curves(training.log, training.validation, ax=ax),
        (9.0, 3.6),
        "Loss over the steps. If events could be spared for validation, loss and F1 of the picks on those.",
        training.title,
    )
    text = [training.text]
    if training.summary is not None:
        text += [training.summary.labels(), training.summary.outcome(), *training.summary.advice]
    return Chapter(training.title, list(filter(None, text)), [drawn])


def scores_chapter(evaluation: Mapping[str, Any] | None) -> Chapter | None:
    """Lay out how picks and events compare with what is known."""
    if evaluation is None:
        return None
    text, tables = [], []
    if "picks" in evaluation:
        stages = evaluation["picks"]
        stages = {"this catalog": stages} if "scores" in stages else stages  # of one table without a name
        limits = next(iter(stages.values()))["tolerance_s"]
        text.append(
            "Picks against all true first arrivals, however weak: right within "
            + ", ".join(f"{value:g} s ({phase})" for phase, value in limits.items())
            + ". Precision is the share of picks that are right. Recall is the share of arrivals that were "
            "picked. F1 is their harmonic mean."
        )
        tables.append(_pick_scores(stages))
    if "events" in evaluation:
        found = evaluation["events"]
        row = found["scores"]
        text.append(
            f"{row['num_matched']:,} of {row['num_reference']:,} events of the reference were found (within "
            f"{found['time_tolerance_s']:g} s and {found['distance_tolerance_km']:g} km). Of "
            f"{row['num_events']:,} events of the catalog, {row['num_events'] - row['num_matched']:,} are "
            f"not in the reference.{_above(evaluation)}"
        )
        tables += [_event_errors(found["errors"]), *_by_magnitude(found["by_magnitude"])]
    return Chapter("Against what is known", text, tables=tables)


def _above(evaluation: Mapping[str, Any]) -> str:
    above = evaluation.get("events_above")
    if not above:
        return ""
    return (
        f" Of magnitude {above['min_magnitude']:g} and above: {above['found']:,} of {above['reference']:,}."
    )


def _pick_scores(stages: Mapping[str, Any]) -> Table:
    rows = [
        [
            name,
            row["phase"],
            f"{row['num_picks']:,}",
            f"{row['num_truth']:,}",
            *(
                number(_nan(row[key]), ".3f", MISSING)
                for key in ("precision", "recall", "f1", "bias_s", "std_s")
            ),
        ]
        for name, found in stages.items()
        for row in found["scores"]
        if not row["bin_by"]
    ]
    header = ["Picks of", "Phase", "Picks", "True", "Precision", "Recall", "F1", "Bias (s)", "Std (s)"]
    return Table(header, rows, {"Picks of", "Phase"})


def _event_errors(errors: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [re.sub(r" (s|km)$", r" (\1)", str(row["quantity"]).replace("_", " ")), f"{row['num']:,}"]
        + [number(_nan(row[key]), ".2f", MISSING) for key in ("median", "p05", "p95")]
        for row in errors
    ]
    return Table(
        ["Error of events found", "Number", "Median", "5 %", "95 %"], rows, {"Error of events found"}
    )


def _by_magnitude(bins: Sequence[Mapping[str, Any]]) -> list[Table]:
    if not bins:
        return []
    rows = [
        [
            f"{row['magnitude_low']:g} to {row['magnitude_high']:g}",
            f"{row['num_reference']:,}",
            f"{row['num_matched']:,}",
            number(_nan(row["recall"]), ".2f", MISSING),
        ]
        for row in bins
    ]
    return [
        Table(
            ["Magnitude of the reference", "Events", "Found", "Share"], rows, {"Magnitude of the reference"}
        )
    ]


def measures_chapter(measures: Mapping[str, Any] | None) -> Chapter | None:
    """Lay out the measures that need no truth, beside those of the paper of the method."""
    from phasenet_das.evaluate.measures import measures_table

    if measures is None:
        return None
    header, rows = measures_table(measures)
    origin = (
        "These measures need no truth. The last column has the values of the paper of the method, on its own "
        f"cables (Zhu et al. 2023, doi:{measures['paper']['doi']})."
    )
    meaning = (
        "A pick associates when an event takes it. A differential time is that of two picks on neighbouring "
        "channels, minus that of their waveforms by cross-correlation. Waveforms are similar when the "
        "correlation is 0.7 or more. Mean and spread are those of the pairs with similar waveforms."
    )
    made = Table(header, rows, set(header))
    return Chapter(
        "How far to trust the catalog", [origin, meaning], tables=[made], listing=measures["judgements"]
    )


def _nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def skipped_chapter(coverage: pd.DataFrame | None, left_out: Sequence[tuple[str, str]]) -> Chapter:
    """List everything that was skipped, with the reason."""
    rows = [[what, why] for what, why in left_out]
    if coverage is not None:
        rows += [
            [_span_name(span), span["reason"] or span["status"]]
            for span in records(coverage[(coverage["status"] != "examined") | (coverage["reason"] != "")])
        ]
    if not rows:
        return Chapter("Left out", text=["Nothing was left out."])
    note = ""
    if len(rows) > _MAX_LISTED:
        note = f"{len(rows) - _MAX_LISTED:,} more are in coverage.csv and association.json."
    return Chapter("Left out", tables=[Table(["What", "Why"], rows[:_MAX_LISTED], {"What", "Why"}, note)])


def provenance_chapter(settings: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> Chapter | None:
    """Everything that is needed to make the same catalog again."""
    import yaml

    if not settings and not facts:
        return None
    plain = [
        [str(name).replace("_", " "), MISSING if value is None else str(value)]
        for name, value in facts.items()
        if not isinstance(value, Mapping | list | tuple)
    ]
    inputs = facts.get("inputs") or {}
    tables = [Table(["Made with", "Value"], plain, {"Made with", "Value"})] if plain else []
    if isinstance(inputs, Mapping) and inputs:
        rows = [[str(name), str(value)] for name, value in sorted(inputs.items())]
        tables.append(Table(["Input file", "Hash"], rows, {"Input file", "Hash"}))
    code = {}
    if settings:
        code["Settings"] = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
    other = {
        str(name): value
        for name, value in facts.items()
        if isinstance(value, Mapping | list | tuple) and name != "inputs"
    }
    if other:
        code["Further facts"] = yaml.safe_dump(other, sort_keys=False, allow_unicode=True)
    return Chapter("How it was made", tables=tables, code=code)


def _span_name(span: dict[str, Any]) -> str:
    """Name a span of the coverage table by its file, cable and time, as far as they are known."""
    parts = [Path(span["source"]).name, span["station_id"]]
    if not pd.isna(span["start"]):
        parts.append(f"{_clock(span['start'])} to {_clock(span['end'])} UTC")
    return ", ".join(part for part in parts if part)


def _clock(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"
