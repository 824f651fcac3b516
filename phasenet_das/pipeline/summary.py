"""The end of a run in a few lines: the scores, the judgements, and where the report is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from phasenet_das.config import Config


def summarise_run(config: Config) -> str:
    """Write the scores of a run, what to think of it without truth, and the place of its report."""
    scores, report = config.results / "evaluation.json", config.results / "report.html"
    measures = config.results / "measures.json"
    lines = summarise_scores(json.loads(scores.read_text())) if scores.exists() else []
    if measures.exists():
        lines += json.loads(measures.read_text())["judgements"]
    return "\n".join([*lines, f"The report: {report}"] if report.exists() else lines)


def summarise_scores(scores: Mapping[str, Any]) -> list[str]:
    """Write what ``phasenet-das evaluate`` has found: a line for the events, and one for each picker."""
    lines = []
    if "events" in scores:
        row = scores["events"]["scores"]
        line = (
            f"events: {row['num_matched']} of {row['num_reference']} found, {row['num_events']} in the list"
        )
        if scores.get("events_above"):
            above = scores["events_above"]
            line += (
                f", of magnitude {above['min_magnitude']:g} or more {above['found']} of {above['reference']}"
            )
        lines.append(line)
    for picker, found in scores.get("picks", {}).items():
        of_phase = {row["phase"]: row for row in found["scores"] if not row["bin_by"]}
        parts = [f"{phase} {of_phase[phase]['f1']:.3f}" for phase in ("P", "S") if phase in of_phase]
        lines.append(f"picks of the {picker}: F1 {', '.join(parts)}")
    return lines
