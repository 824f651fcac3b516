"""Quality classes: each bound of the stated rule, by one row on either side of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gamma import QUALITY_RULES
from gamma.quality import quality_classes

PICK_UNCERTAINTY_S = 0.1
GOOD = {
    "horizontal_uncertainty_km": 1.0,
    "source_distance_km": 20.0,
    "residual_rms_s": 0.05,
    "azimuthal_gap_deg": 200.0,
    "num_p_picks": 50,
    "num_s_picks": 50,
    "location_quality": "",
    "x_km": 3.0,
}


def class_of(**columns):
    return quality_classes(pd.DataFrame([GOOD | columns]), PICK_UNCERTAINTY_S)[0]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, "A"),
        ({"horizontal_uncertainty_km": 2.5}, "A"),
        ({"horizontal_uncertainty_km": 2.6}, "B"),
        ({"horizontal_uncertainty_km": 5.0}, "B"),
        ({"horizontal_uncertainty_km": 5.1}, "C"),
        ({"horizontal_uncertainty_km": 15.0}, "C"),
        ({"horizontal_uncertainty_km": 15.1}, "D"),
        ({"source_distance_km": 4.0}, "A"),
        ({"source_distance_km": 3.9}, "B"),
        ({"source_distance_km": 2.0}, "B"),
        ({"source_distance_km": 1.9}, "C"),
        ({"source_distance_km": 1.0}, "C"),
        ({"source_distance_km": 0.9}, "D"),
        ({"residual_rms_s": 0.15}, "A"),
        ({"residual_rms_s": 0.16}, "B"),
        ({"residual_rms_s": 0.25}, "B"),
        ({"residual_rms_s": 0.26}, "C"),
        ({"azimuthal_gap_deg": 300.0}, "A"),
        ({"azimuthal_gap_deg": 301.0}, "B"),
        ({"azimuthal_gap_deg": np.nan}, "B"),
        ({"num_p_picks": 0}, "C"),
        ({"num_s_picks": 0}, "C"),
        ({"num_p_picks": 1, "num_s_picks": 1}, "A"),
        ({"location_quality": "mirror-ambiguous"}, "B"),
        ({"location_quality": "depth-unconstrained;velocity-assumed"}, "B"),
        ({"location_quality": "depth-unconstrained"}, "A"),
        ({"x_km": np.nan}, "D"),
        ({"horizontal_uncertainty_km": np.nan}, "D"),
        ({"source_distance_km": np.nan}, "D"),
    ],
)
def test_an_event_has_the_first_class_whose_rule_it_meets(columns, expected):
    assert class_of(**columns) == expected


def test_events_of_a_table_without_positions_are_of_the_last_class():
    events = pd.DataFrame([GOOD, GOOD]).drop(columns="x_km")
    assert quality_classes(events, PICK_UNCERTAINTY_S).tolist() == ["D", "D"]


def test_residuals_are_counted_in_pick_uncertainties():
    events = pd.DataFrame([GOOD | {"residual_rms_s": 0.5}])
    assert [quality_classes(events, sigma_s)[0] for sigma_s in (0.1, 0.2, 0.4)] == ["C", "B", "A"]


def test_no_event_has_no_class():
    assert len(quality_classes(pd.DataFrame([GOOD]).iloc[:0], PICK_UNCERTAINTY_S)) == 0


def test_every_class_has_its_rule():
    assert list(QUALITY_RULES) == ["A", "B", "C", "D"]
    assert all(rule.endswith(".") for rule in QUALITY_RULES.values())
