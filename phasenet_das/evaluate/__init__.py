"""Judge picks and catalogs against truth, waveforms, control points and references."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.catalog.reference import read_reference
    from phasenet_das.evaluate.calibration import fit_calibration, reliability_table, scored_residuals
    from phasenet_das.evaluate.events import (
        EventEvaluation,
        evaluate_events,
        source_distance_km,
    )
    from phasenet_das.evaluate.measures import MeasuredStage, measure_catalog
    from phasenet_das.evaluate.picks import PickEvaluation, evaluate_picks, scores_by_tolerance
    from phasenet_das.evaluate.waveforms import (
        CorrelationWindow,
        compare_differential_times,
        sample_differential_times,
        summarize_differential_times,
    )
    from phasenet_das.matching import match_events, match_picks

__all__ = [
    "CorrelationWindow",
    "EventEvaluation",
    "MeasuredStage",
    "PickEvaluation",
    "compare_differential_times",
    "evaluate_events",
    "evaluate_picks",
    "fit_calibration",
    "match_events",
    "match_picks",
    "measure_catalog",
    "read_reference",
    "reliability_table",
    "sample_differential_times",
    "scored_residuals",
    "scores_by_tolerance",
    "source_distance_km",
    "summarize_differential_times",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".calibration": "fit_calibration reliability_table scored_residuals",
        ".events": "EventEvaluation evaluate_events source_distance_km",
        ".measures": "MeasuredStage measure_catalog",
        ".picks": "PickEvaluation evaluate_picks scores_by_tolerance",
        ".waveforms": "CorrelationWindow compare_differential_times sample_differential_times "
        "summarize_differential_times",
        "phasenet_das.catalog.reference": "read_reference",
        "phasenet_das.matching": "match_events match_picks",
    },
)
