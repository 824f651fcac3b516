"""An event in words."""

from __future__ import annotations

import numpy as np
import pytest

from phasenet_das.catalog import FLAG_MEANINGS, describe_event, explain_flags
from phasenet_das.catalog.quality import count_classes
from tests.tables_at_hand import graded_events


def test_a_located_event_has_time_place_and_distance(events):
    assert describe_event(events.iloc[0].to_dict()) == (
        "2020-01-01 00:00:10.12 UTC ± 0.12 s, 35.700° N, 117.500° W ± 1.5 km, depth 8.2 ± 2.5 km, "
        "12.0 ± 9.1 km from the nearest channel"
    )


@pytest.mark.parametrize(
    ("time", "uncertainty", "text"),
    [
        ("2020-12-31T23:59:59.96Z", 1.4, "2021-01-01 00:00:00.0 UTC ± 1.4 s"),
        ("2020-12-31T23:59:59.96Z", 14.0, "2021-01-01 00:00:00 UTC ± 14 s"),
        ("2020-01-01T00:00:00.123456Z", 0.00012, "2020-01-01 00:00:00.123 UTC ± 0.0001 s"),
        ("2020-01-01T00:00:00.123456Z", np.nan, "2020-01-01 00:00:00 UTC"),
    ],
)
def test_the_time_has_the_digits_that_its_uncertainty_leaves(events, time, uncertainty, text):
    event = events.iloc[1].to_dict() | {"time": time, "time_uncertainty_s": uncertainty}
    assert describe_event(event).startswith(text + ", 161.2")


def test_a_number_of_unknown_uncertainty_has_no_digits_to_spare(events):
    unknown = ("time_uncertainty_s", "horizontal_uncertainty_km", "depth_uncertainty_km")
    spread = dict.fromkeys((*unknown, "source_distance_uncertainty_km"), np.nan)
    assert describe_event(events.iloc[0].to_dict() | spread) == (
        "2020-01-01 00:00:10 UTC, 35.70° N, 117.50° W, depth 8 km, 12 km from the nearest channel"
    )


def test_a_distant_event_has_a_distance_and_a_direction():
    text = describe_event(graded_events().iloc[3].to_dict())
    assert text.endswith("± 0.12 s, 161.2 ± 9.1 km from the nearest channel, towards 40° from north")


def test_events_are_counted_by_class():
    assert count_classes(graded_events()) == "1 A, 1 B, 1 C, 2 D"
    assert count_classes(graded_events().assign(quality=["A", "", "", "D", "D"])) == (
        "1 A, 2 D, 2 without a class"
    )
    assert count_classes(graded_events().assign(quality="")) == ""


def test_every_flag_is_explained_and_an_unknown_one_is_kept():
    flags = sorted(FLAG_MEANINGS)
    assert explain_flags(";".join(flags)) == [FLAG_MEANINGS[flag] for flag in flags]
    assert explain_flags("new-flag") == ["new-flag"]
    assert explain_flags("") == []


def test_a_place_of_unknown_uncertainty_has_no_unit_behind_it(events):
    event = events.iloc[0].to_dict() | {
        "longitude": -117.9618,
        "latitude": 39.8,
        "horizontal_uncertainty_km": np.nan,
    }
    assert "° W," in describe_event(event) + ","
    assert "° W km" not in describe_event(event)
