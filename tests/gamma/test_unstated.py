"""Nothing stated: the velocity is estimated from the picks, and its uncertainty is that of the places."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gamma import AssociationConfig, associate
from tests.gamma import made_picks as made

STATIONS = made.cable(120, 0.1)
UNSTATED = {"max_distance_km": 30.0, "depth_range_km": (0.0, 20.0)}
TRUTH = made.events(7, seed=2, half_width=15.0)


@pytest.fixture(scope="module")
def slow():
    """Events in slow ground of layers, and an S wave that has no P."""
    picks = made.make_picks(STATIONS, TRUTH, noise_s=0.03, false=60, layers=made.SEDIMENT)
    picks = made.together(picks, made.plane_wave(STATIONS, 12.0, 3.0))
    return picks, associate(picks, STATIONS, AssociationConfig(**UNSTATED))


def test_the_velocity_is_estimated_and_said(slow):
    velocity = slow[1].summary["velocity"]
    assert velocity["status"] == "estimated"
    assert velocity["text"].startswith("Velocity: estimated from the picks of 7 events: vp/vs 1.")
    assert {"depth_km", "vp_km_s", "vs_km_s"} <= set(velocity["layers"][0])
    tops = [layer["vp_km_s"] for layer in velocity["layers"]]
    assert tops == sorted(tops)
    assert abs(tops[0] - 2.2) < 1.0
    assert 0.0 < velocity["vp_vs_uncertainty"] < 0.2
    assert 0.0 < velocity["relative_uncertainty"] < 0.15


def test_sources_lie_within_three_stated_uncertainties(slow):
    events = slow[1].events
    assert len(events) == len(TRUTH)
    assert not events["location_quality"].str.contains("velocity-assumed").any()
    away = [
        np.hypot(events[f"{prefix}x_km"] - TRUTH["x_km"], events[f"{prefix}y_km"] - TRUTH["y_km"])
        for prefix in ("", "mirror_")
    ]
    assert (np.fmin(*away) < 3.0 * events["horizontal_uncertainty_km"]).all()
    assert ((events["depth_km"] - TRUTH["z_km"]).abs() < 3.0 * events["depth_uncertainty_km"]).all()
    assert (np.abs(made.seconds(events) - TRUTH["t_s"]) < 3.0 * events["time_uncertainty_s"]).all()


def test_estimated_ground_serves_better_than_one_velocity(slow):
    """Homogeneous ground of usual velocities places the same events much farther off."""
    picks, result = slow
    usual = AssociationConfig(vp_km_s=6.0, max_distance_km=30.0, depth_range_km=(0.0, 20.0))
    stated = associate(picks, STATIONS, usual)
    assert stated.summary["velocity"]["status"] == "stated"
    off = [
        float(np.median(np.abs(made.seconds(events) - TRUTH["t_s"])))
        for events in (result.events, stated.events)
    ]
    assert off[0] < 0.5 * off[1]


def test_order_workers_and_blocks_do_not_show(slow):
    picks, result = slow
    assert len(result.groups) == 1
    order = np.random.default_rng(5).permutation(len(picks))
    split = AssociationConfig(**UNSTATED, block_s=47.0)
    other = associate(picks.iloc[order], STATIONS.iloc[::-1], split, workers=2)
    pd.testing.assert_frame_equal(other.events, result.events)
    pd.testing.assert_frame_equal(other.groups, result.groups)
    pd.testing.assert_frame_equal(other.picks.sort_index(), result.picks)
    assert other.summary["velocity"] == result.summary["velocity"]


def test_batches_and_microseconds_hardly_show(slow, monkeypatch):
    """Events of a batch take as many steps as the slowest. Chunks move the peak of a score slightly."""
    picks, result = slow
    monkeypatch.setattr("gamma.fit._MAX_BATCH", 4)
    off_ns = np.random.default_rng(3).integers(-2000, 2001, len(picks))
    moved = picks.assign(phase_time=picks["phase_time"] + pd.to_timedelta(off_ns, unit="ns"))
    small = associate(moved, STATIONS, AssociationConfig(**UNSTATED))
    assert small.summary["velocity"] == result.summary["velocity"]
    same = ["event_index", "associated_phase", "group_index", "reason"]
    pd.testing.assert_frame_equal(small.picks[same], result.picks[same])
    assert len(small.groups) == len(result.groups)
    numbers = ["x_km", "y_km", "depth_km", "horizontal_uncertainty_km", "source_distance_uncertainty_km"]
    pd.testing.assert_frame_equal(small.events[numbers], result.events[numbers], atol=0.01)
    assert (small.events["time"] - result.events["time"]).abs().max() < pd.Timedelta("1ms")


def test_two_events_leave_the_velocity_assumed_and_the_places_uncertain():
    truth = TRUTH.iloc[:2]
    picks = made.make_picks(STATIONS, truth, noise_s=0.03, layers=made.SEDIMENT)
    result = associate(picks, STATIONS, AssociationConfig(**UNSTATED))
    assert result.summary["velocity"]["status"] == "assumed"
    assert "assumed" in result.summary["velocity"]["text"]
    assert len(result.events) == 2
    assert result.events["location_quality"].str.contains("velocity-assumed").all()
    assert (result.events["quality"] > "A").all()
    away = np.hypot(result.events["x_km"] - truth["x_km"], result.events["y_km"] - truth["y_km"])
    mirror = np.hypot(
        result.events["mirror_x_km"] - truth["x_km"], result.events["mirror_y_km"] - truth["y_km"]
    )
    assert (np.fmin(away, mirror) < 3.0 * result.events["horizontal_uncertainty_km"]).all()


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"vp_km_s": 6.0}, "vp 6 and vs 3.47 km/s ± 5 %"),
        ({"vs_km_s": 3.0, "velocity_uncertainty": 0.02}, "vp 5.19 and vs 3 km/s ± 2 %"),
        ({"layers": made.SEDIMENT}, "4 layers ± 5 %"),
    ],
)
def test_a_stated_velocity_is_used_and_said(stated, words):
    picks = made.make_picks(STATIONS, TRUTH.iloc[:1], noise_s=0.03)
    result = associate(picks, STATIONS, AssociationConfig(**UNSTATED, **stated))
    velocity = result.summary["velocity"]
    assert velocity["status"] == "stated"
    assert words in velocity["text"]
    assert not result.events["location_quality"].str.contains("velocity-assumed").any()
