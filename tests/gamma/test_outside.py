"""Events outside the search box: one event each, and no uncertainty that the box alone has made."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gamma import AssociationConfig, associate
from gamma.domain import make_domain
from gamma.receivers import load_receivers
from tests.gamma import made_picks as made

CONFIG = AssociationConfig(**made.settings())
WIDE = AssociationConfig(vp_km_s=made.VP, vs_km_s=made.VS, velocity_uncertainty=0.01)
SPREADS = ["time_uncertainty_s", "horizontal_uncertainty_km", "depth_uncertainty_km"]
SPREADS += ["source_distance_uncertainty_km", "ellipse_major_km", "ellipse_minor_km", "ellipse_azimuth_deg"]


def outside(*places):
    """Events at (x, y) km and 8 km depth, all within a few seconds."""
    table = pd.DataFrame(places, columns=["x_km", "y_km"])
    return table.assign(z_km=8.0, t_s=30.0 + 4.0 * np.arange(len(places)))


@pytest.mark.parametrize(
    ("places", "seed"),
    [
        pytest.param([(130.0, 0.0)], 0, id="near"),
        pytest.param([(30.0, -200.0)], 0, id="far"),
        pytest.param([(150.0, 10.0), (-140.0, -20.0)], 5, id="two at a time, on two sides"),
    ],
)
def test_events_outside_the_derived_box_are_found_at_their_places(places, seed):
    stations = made.network(14)
    truth = outside(*places)
    picks = made.make_picks(stations, truth, noise_s=0.03, seed=seed)
    found = associate(picks, stations, WIDE)
    assert len(found.events) == len(places)
    assert not found.events["location_quality"].str.contains("at-boundary").any()
    given, true = found.picks["event_index"].to_numpy(), picks["true_event"].to_numpy()
    assert (given >= 0).mean() > 0.9
    assert pd.DataFrame({"given": given, "true": true})[given >= 0].drop_duplicates().shape[0] == len(places)
    away = np.hypot(*(found.events[["x_km", "y_km"]].to_numpy() - truth[["x_km", "y_km"]].to_numpy()).T)
    assert (away < 3.0 * found.events["horizontal_uncertainty_km"]).all()
    assert (found.events["residual_rms_s"] < 0.1).all()


@pytest.mark.parametrize("beyond_km", [-0.5, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["network", "cable"])
def test_the_wall_of_the_derived_box_stops_no_event(kind, beyond_km, seed):
    """The location is as good on either side of the wall; some settled just inside of it."""
    stations = made.network(14) if kind == "network" else made.cable(200, 0.06)
    y = make_domain(load_receivers(stations), WIDE).upper_km[1] + beyond_km
    truth = pd.DataFrame({"t_s": [30.0], "x_km": [5.0], "y_km": [y], "z_km": [8.0]})
    found = associate(made.make_picks(stations, truth, noise_s=0.03, seed=seed), stations, WIDE).events
    assert len(found) == 1
    assert not found["location_quality"].str.contains("at-boundary|distant").any()
    assert found["y_km"].iloc[0] == pytest.approx(y, abs=1.0)


def test_an_event_too_far_for_a_cable_has_a_distance_and_no_position():
    stations = made.cable(200)
    truth = pd.DataFrame({"t_s": [30.0], "x_km": [20.0], "y_km": [180.0], "z_km": [8.0]})
    found = associate(made.make_picks(stations, truth, noise_s=0.05, seed=1), stations, WIDE).events
    assert len(found) == 1
    event = found.iloc[0]
    if "distant" in event["location_quality"]:
        assert event[["longitude", "latitude", "depth_km", "x_km", "y_km"]].isna().all()
        assert event["quality"] == "D"
    assert abs(event["source_distance_km"] - 181.0) < 3.0 * event["source_distance_uncertainty_km"]


@pytest.mark.parametrize("seed", range(3))
def test_ground_that_nobody_knows_bends_the_fronts_of_a_far_event(seed):
    """P and S on every channel, late by up to 0.3 and 0.5 s where the ground below the cable is slow."""
    stations = made.cable(200)
    truth = pd.DataFrame({"t_s": [30.0], "x_km": [20.0], "y_km": [180.0], "z_km": [8.0]})
    picks = made.make_picks(stations, truth, noise_s=0.03, seed=seed)
    slow = np.exp(-0.5 * ((picks["channel_index"] - 60.0 - 40.0 * seed) / 25.0) ** 2)
    late_s = slow * picks["phase_type"].map({"P": 0.3, "S": 0.5})
    picks["phase_time"] += pd.to_timedelta(late_s, unit="s")
    found = associate(picks, stations, AssociationConfig())
    assert len(found.events) == 1
    assert (found.picks["event_index"] >= 0).mean() > 0.9


def test_no_uncertainty_is_stated_on_the_sides_or_the_floor_of_the_box():
    stations = made.network()
    deep = pd.DataFrame({"t_s": [30.0], "x_km": [5.0], "y_km": [0.0], "z_km": [40.0]})
    for truth in (outside((110.0, 0.0)), deep):
        event = associate(made.make_picks(stations, truth), stations, CONFIG).events.iloc[0]
        assert "at-boundary" in event["location_quality"]
        assert event[SPREADS].isna().all()
        assert np.isfinite(event[["x_km", "y_km", "depth_km", "source_distance_km"]].astype(float)).all()


def test_the_surface_is_an_edge_that_nothing_lies_beyond():
    stations = made.network().assign(z_km=-1.0)
    shallow = pd.DataFrame({"t_s": [30.0], "x_km": [5.0], "y_km": [0.0], "z_km": [-0.5]})
    event = associate(made.make_picks(stations, shallow), stations, CONFIG).events.iloc[0]
    assert event["location_quality"] == "at-boundary"
    assert np.isfinite(event[SPREADS].astype(float)).all()


@pytest.mark.parametrize("seed", range(3))
def test_two_near_events_of_one_phase_each_are_not_taken_for_one_far_event(seed):
    """Noise hides most of P of the first, and most of S of the second event, twenty seconds later."""
    stations = made.cable(200)
    places = {"t_s": [30.0, 50.0], "x_km": [6.0, 9.0], "y_km": [-17.0, -12.0], "z_km": [8.0, 4.0]}
    picks = made.make_picks(stations, pd.DataFrame(places), noise_s=0.03, seed=seed)
    of_first, shear, channel = picks["true_event"] == 0, picks["phase_type"] == "S", picks["channel_index"]
    hidden = (of_first & ~shear & (channel < 140)) | (~of_first & shear & (channel >= 50))
    picks = picks[~hidden].reset_index(drop=True)
    found = associate(picks, stations, WIDE)
    assert len(found.events) == 2
    assert (found.picks["event_index"] >= 0).mean() > 0.95
    given = found.picks[found.picks["event_index"] >= 0]
    assert (given["event_index"] == given["true_event"]).all()
