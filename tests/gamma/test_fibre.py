"""Cables: seed picks, effective numbers, mirrors, point arrays, and cables with networks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gamma import AssociationConfig, associate
from gamma.correlation import correlated_sum
from gamma.initial import make_cells, make_seed_picks
from gamma.receivers import load_receivers
from tests.gamma import made_picks as made


@pytest.fixture(scope="module")
def fibre():
    stations, truth = made.cable(), made.events(4, seed=3)
    picks = made.make_picks(stations, truth, false=200, noise_s=0.03)
    return picks, stations, truth, associate(picks, stations, AssociationConfig(**made.settings()))


def test_a_bent_cable_finds_and_places_events(fibre):
    _, _, truth, result = fibre
    assert len(result.events) == len(truth)
    off = np.hypot(*(result.events[["x_km", "y_km"]].to_numpy() - truth[["x_km", "y_km"]].to_numpy()).T)
    assert (off < 3.0 * result.events["ellipse_major_km"]).all()


def test_every_channel_is_assigned_by_itself(fibre):
    result = fibre[3]
    true, given = result.picks["true_event"], result.picks["event_index"]
    assert (given == true)[given >= 0].mean() > 0.98
    assert (given == true)[true >= 0].mean() > 0.98


def test_correlated_errors_leave_fewer_observations():
    """Channels that err together must not make an event look better located than it is."""
    stations, truth = made.cable(), made.events(4, seed=3)
    rng = np.random.default_rng(4)
    white = made.make_picks(stations, truth, noise_s=0.03, keep=1.0)
    shared = made.make_picks(stations, truth, noise_s=1e-6, keep=1.0)
    smooth = np.repeat(rng.normal(0.0, 0.03, (4, 2, 10)), 30, axis=2)
    phase = (shared["phase_type"] == "S").astype(int)
    error = smooth[shared["true_event"], phase, shared["channel_index"]]
    shared["phase_time"] += pd.to_timedelta(error, unit="s")
    config = AssociationConfig(**made.settings())
    one, two = associate(white, stations, config), associate(shared, stations, config)
    name = "effective_observations_per_100_channels"
    assert min(one.summary["settings"][name]) > 4.0 * max(two.summary["settings"][name])
    assert (two.events["ellipse_major_km"] > 1.5 * one.events["ellipse_major_km"]).all()


def test_a_straight_cable_cannot_tell_sides():
    stations = made.cable(bend=False)
    truth = pd.DataFrame({"t_s": [30.0], "x_km": [3.0], "y_km": [9.0], "z_km": [6.0]})
    picks = made.make_picks(stations, truth, noise_s=0.02)
    event = associate(picks, stations, AssociationConfig(**made.settings())).events.iloc[0]
    assert "mirror-ambiguous" in event["location_quality"]
    assert abs(event["mirror_y_km"] + event["y_km"]) < 1.0
    assert abs(abs(event["y_km"]) - 9.0) < 3.0 * event["ellipse_major_km"]


@pytest.mark.parametrize("known", [True, False])
def test_a_distant_event_on_a_short_array_is_one_event_without_azimuth(known):
    picks = made.point_array()
    number = np.arange(2500, 3000)
    stations = pd.DataFrame({"station_id": "ARRAY", "channel_index": number})
    stations["longitude"] = -119.0 + 1e-5 * (number - 2500) if known else np.nan
    stations["latitude"] = 39.8 if known else np.nan
    stations["elevation_m"] = 1250.0 if known else np.nan
    result = associate(picks, stations, AssociationConfig(vp_km_s=6.0))
    assert len(result.events) == 1
    event = result.events.iloc[0]
    kept = result.picks[result.picks["event_index"] == 0]
    late = (kept["phase_time"] - made.EPOCH).dt.total_seconds() - kept["front_s"]
    assert (late.abs() < 1.0).mean() >= 0.98
    assert len(kept) > 650
    assert event["source_distance_km"] == pytest.approx(162.0, abs=6.0)
    assert 5.0 < event["source_distance_uncertainty_km"] < 25.0
    assert 1.0 < event["time_uncertainty_s"] < 4.0
    assert event[["longitude", "latitude", "depth_km"]].isna().all()
    flags = event["location_quality"].split(";")
    assert flags == (["azimuth-unconstrained"] if known else ["azimuth-unconstrained", "geometry-unknown"])


def test_cable_and_network_together_beat_either():
    """Five cable events, then the same with six seismometers; the joint ellipses are the smallest."""
    truth = made.events(5, seed=8)
    fibre, net = made.cable(), made.network(6, seed=9)
    parts = [made.make_picks(fibre, truth, noise_s=0.03), made.make_picks(net, truth, noise_s=0.1)]
    both = associate(
        pd.concat(parts, ignore_index=True),
        pd.concat([fibre, net], ignore_index=True),
        AssociationConfig(**made.settings()),
    ).events
    alone = [
        associate(picks, stations, AssociationConfig(**made.settings())).events
        for picks, stations in zip(parts, (fibre, net), strict=True)
    ]
    size = [float(np.median(np.sqrt(e["ellipse_major_km"] * e["ellipse_minor_km"]))) for e in (both, *alone)]
    assert len(both) == 5
    assert size[0] < size[1]
    assert size[0] < size[2]


def test_a_vertical_well_gives_range_and_depth():
    well = pd.DataFrame({"station_id": "WELL", "channel_index": np.arange(100), "x_km": 0.0, "y_km": 0.0})
    well["z_km"] = 0.02 * np.arange(100)
    truth = pd.DataFrame({"t_s": [5.0], "x_km": [1.2], "y_km": [-0.9], "z_km": [2.5]})
    picks = made.make_picks(well, truth, noise_s=0.004)
    values = {"vp_km_s": made.VP, "vs_km_s": made.VS, "pick_uncertainty_s": 0.005, "max_distance_km": 10.0}
    event = associate(picks, well, AssociationConfig(**values)).events.iloc[0]
    assert "azimuth-unconstrained" in event["location_quality"]
    assert np.isnan(event["longitude"])
    assert event["depth_km"] == pytest.approx(2.5, abs=max(0.15, 3.0 * event["depth_uncertainty_km"]))
    nearest = np.hypot(1.5, 2.5 - 1.98)
    assert event["source_distance_km"] == pytest.approx(nearest, abs=0.2)


def test_seed_picks_keep_aligned_picks_and_drop_scattered_ones():
    receivers = load_receivers(made.cable(channels=240, dx_km=0.02))
    cells = make_cells(receivers, 0.5)
    rng = np.random.default_rng(0)
    cell = cells.cell[np.concatenate([np.arange(240), rng.integers(0, 240, 60)])]
    time = np.concatenate([10.0 + np.arange(240) * 0.02 / 6.0, rng.uniform(50.0, 500.0, 60)])
    run_s, _, run = make_seed_picks(time, 2 * cell, cells, 0.2)
    assert abs(len(run_s) - len(cells.size)) <= 1
    assert (run[:240] >= 0).all()
    assert (run[240:] < 0).mean() > 0.95


def test_correlated_sum_is_the_toeplitz_form():
    rng = np.random.default_rng(0)
    values, rho = rng.normal(size=(40, 3)), np.array([1.0, 0.6, 0.2])
    lag = np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
    matrix = np.where(lag < 3, rho[np.minimum(lag, 2)], 0.0)
    np.testing.assert_allclose(correlated_sum(values, rho), values.T @ matrix @ values, atol=1e-10)


def test_moveout_without_coordinates_is_still_one_event():
    """Residuals that hang together along the whole cable must not count against the event."""
    channel = np.arange(1500)
    rng = np.random.default_rng(2)
    bow = 3.0 * (channel / 1500.0 - 0.4) ** 2 / 0.36
    arrival = np.stack([20.0 + bow, 32.0 + 1.7 * bow]) + rng.normal(0.0, 0.05, (2, 1500))
    kept = rng.uniform(size=arrival.shape) < 0.9
    phase, number = np.nonzero(kept)
    false = 800
    t = np.concatenate([arrival[kept], rng.uniform(0.0, 60.0, false)])
    picks = pd.DataFrame({"phase_time": made.EPOCH + pd.to_timedelta(t, unit="s"), "station_id": "SEA"})
    picks["channel_index"] = np.concatenate([number, rng.integers(0, 1500, false)])
    picks["phase_type"] = np.array(["P", "S"])[np.concatenate([phase, rng.integers(0, 2, false)])]
    stations = pd.DataFrame({"station_id": "SEA", "channel_index": channel})
    stations[["longitude", "latitude", "elevation_m"]] = np.nan
    result = associate(picks, stations, AssociationConfig(pick_uncertainty_s=0.6))
    assert len(result.events) == 1
    given = result.picks["event_index"].to_numpy() == 0
    assert given[: kept.sum()].mean() > 0.9
    assert given[kept.sum() :].mean() < 0.15


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_wrong_velocities_widen_residuals_and_lose_no_event(fibre, factor):
    picks, stations, truth, _ = fibre
    values = {"vp_km_s": factor * made.VP, "vs_km_s": factor * made.VS, "velocity_uncertainty": 0.1}
    events = associate(picks, stations, AssociationConfig(**made.settings(**values))).events
    assert len(events) == len(truth)
    off = np.hypot(*(events[["x_km", "y_km"]].to_numpy() - truth[["x_km", "y_km"]].to_numpy()).T)
    assert (off < 2.0 * events["ellipse_major_km"]).all()
