"""What a run has reached: the picks of every stage and the catalog against what is known."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from phasenet_das.catalog.reference import read_reference
from phasenet_das.config import EvaluationSettings
from phasenet_das.evaluate.events import evaluate_events
from phasenet_das.evaluate.report import evaluate_event_file, evaluate_pick_file
from phasenet_das.tables import atomic_path, read_coverage, read_events

log = logging.getLogger(__name__)


def evaluate_run(
    stages: Mapping[str, str | Path],
    events: str | Path,
    coverage: str | Path,
    truth: EvaluationSettings,
    output: str | Path,
) -> dict[str, Any]:
    """Hold the picks of each stage, and the events of the catalog, against the truth."""
    facts: dict[str, Any] = {"settings": truth.model_dump(mode="json")}
    tolerance = {"P": truth.tolerance_p_s, "S": truth.tolerance_s_s}
    if truth.picks is not None:
        facts["picks"] = {}
        for name, picks in stages.items():
            found = evaluate_pick_file(picks, truth.picks, tolerance_s=tolerance, coverage=coverage)
            facts["picks"][name] = found.facts["picks"]
            log.info("%s\n%s", name, found.text)
    if truth.events is not None:
        found = evaluate_event_file(
            events,
            truth.events,
            time_tolerance_s=truth.time_tolerance_s,
            distance_tolerance_km=truth.distance_tolerance_km,
            coverage=coverage,
        )
        facts["events"] = found.facts["events"]
        log.info("%s", found.text)
        if truth.min_magnitude is not None:
            facts["events_above"] = _above(events, coverage, truth)
    with atomic_path(output) as temporary:
        temporary.write_text(json.dumps(facts, indent=2, default=str) + "\n")
    return facts


def three_lines(facts: Mapping[str, Any]) -> list[str]:
    """Say in a few lines what :func:`evaluate_run` has found."""
    lines = []
    if "events" in facts:
        row = facts["events"]["scores"]
        line = (
            f"events: {row['num_matched']} of {row['num_reference']} found, {row['num_events']} in the list"
        )
        if facts.get("events_above"):
            above = facts["events_above"]
            line += (
                f"; of magnitude {above['min_magnitude']:g} or more {above['found']} of {above['reference']}"
            )
        lines.append(line)
    for stage, found in facts.get("picks", {}).items():
        scores = {row["phase"]: row for row in found["scores"] if not row["bin_by"]}
        parts = [f"{phase} {scores[phase]['f1']:.3f}" for phase in ("P", "S") if phase in scores]
        lines.append(f"picks of the {stage}: F1 {', '.join(parts)}")
    return lines


def _above(events: str | Path, coverage: str | Path, truth: EvaluationSettings) -> dict[str, Any]:
    """Count how many of the larger events were found, whatever else is in the catalog."""
    reference = read_reference(str(truth.events))
    result = evaluate_events(
        read_events(events),
        reference,
        time_tolerance_s=truth.time_tolerance_s,
        distance_tolerance_km=truth.distance_tolerance_km,
        coverage=read_coverage(coverage),
    )
    large = pd.Series(reference["magnitude"].to_numpy() >= truth.min_magnitude)
    found = large.iloc[result.pairs["reference_row"]].sum()
    return {"min_magnitude": truth.min_magnitude, "reference": int(large.sum()), "found": int(found)}
