"""The mixture: algebra of its fit, and made events of all kinds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gamma import AssociationConfig, associate
from gamma.domain import make_domain
from gamma.initial import SeedPicks, _stack, _stack_few
from gamma.likelihood import full_picks, receiver_weights
from gamma.mixture import Events, fit_mixture
from gamma.picks import load_picks
from gamma.receivers import load_receivers
from tests.gamma import made_picks as made

CONFIG = AssociationConfig(**made.settings())


@pytest.fixture(scope="module")
def fitted():
    """Three events, fitted from places some km and a second off; picks with the event of each."""
    stations, truth = made.network(), made.events(3)
    picks = made.make_picks(stations, truth, false=20)
    receivers = load_receivers(stations)
    observations, domain = load_picks(picks, receivers, CONFIG), make_domain(receivers, CONFIG)
    series = full_picks(domain, observations, receiver_weights(domain))
    data, rows = series.between(-np.inf, np.inf)
    late = (observations.reference_ns - made.EPOCH.value) / 1e9
    start = truth[["t_s", "x_km", "y_km", "z_km"]].to_numpy() + np.array([1.0 - late, 3.0, -3.0, 2.0])
    events = Events(start, np.full(3, 10.0), np.full((3, data.num_groups), domain.grid.window_s / 2.0))
    fit = fit_mixture(data, events, max_iterations=200, reach_s=2.0 * domain.grid.window_s)
    return fit, data, picks["true_event"].to_numpy()[observations.row[series.pick[rows]]], truth["t_s"] - late


def test_posteriors_of_a_pick_are_a_share_of_one(fitted):
    fit, data, _, _ = fitted
    now = fit.expectation
    claimed = np.bincount(data.pick[fit.pairs.pick], now.posterior)
    assert now.posterior.min() >= 0.0
    assert claimed.max() < 1.0
    assert np.median(claimed[claimed > 0.0]) > 0.9


def test_each_pick_goes_to_its_event_from_displaced_starts(fitted):
    fit, _, true, origin_s = fitted
    assert fit.converged
    np.testing.assert_allclose(fit.events.hypocentre[:, 0], origin_s, atol=0.3)
    sure = fit.expectation.posterior > 0.5
    label = np.full(len(true), -1)
    label[fit.pairs.pick[sure]] = fit.index[fit.pairs.event[sure]]
    assert (label == true)[true >= 0].mean() > 0.95


def test_the_bound_never_falls_between_changes(fitted):
    bounds = fitted[0].bounds
    steps = [(before, after) for (before, _), (after, change) in pairwise(bounds) if not change]
    assert len(steps) > 3
    assert all(after >= before - 1e-9 * abs(before) for before, after in steps)
    assert fitted[0].expectation.bound == bounds[-1][0]


def test_events_at_rest_stay_where_they_are_until_another_takes_their_picks(fitted):
    fit, data, _, _ = fitted
    reach_s = 4.0 * data.sigma_s
    again = fit_mixture(data, fit.events, max_iterations=200, reach_s=reach_s, moving=np.zeros(3, dtype=bool))
    assert again.converged
    np.testing.assert_array_equal(again.events.hypocentre, fit.events.hypocentre)
    twin = fit.events.joined(fit.events.take(np.array([1])))
    both = fit_mixture(
        data, twin, max_iterations=200, reach_s=reach_s, moving=np.array([False, False, False, True])
    )
    assert len(both.events) == 3
    np.testing.assert_allclose(both.events.hypocentre, fit.events.hypocentre, atol=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_places_that_few_picks_can_come_from_are_counted_as_all_are(seed):
    rng = np.random.default_rng(seed)
    grid = make_domain(load_receivers(made.network()), CONFIG).grid
    number = 400
    seeds = SeedPicks(
        np.sort(rng.uniform(0.0, 2000.0, number)), rng.integers(0, grid.travel_time_s.shape[1], number)
    )
    last = int(2.0 * 2000.0 / grid.window_s)
    best, node, mean = _stack(seeds, grid, 10, last)
    few = _stack_few(seeds, grid, 10, last, 5.0)
    enough = best >= 5.0
    assert enough.any()
    np.testing.assert_array_equal(few[0] >= 5.0, enough)
    for one, other in zip((best, node, mean), few, strict=True):
        np.testing.assert_array_equal(one[enough], other[enough])


def test_too_few_iterations_are_said(caplog):
    stations = made.network()
    picks = made.make_picks(stations, made.events(3), false=20)
    associate(picks, stations, AssociationConfig(**made.settings(max_iterations=1)))
    assert "max_iterations=1" in caplog.text


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    x=st.floats(-25.0, 25.0),
    y=st.floats(-25.0, 25.0),
    z=st.floats(1.0, 20.0),
    noise=st.floats(0.01, 0.2),
    seed=st.integers(0, 10_000),
)
def test_any_well_recorded_event_is_found_once(x, y, z, noise, seed):
    stations = made.network(15, seed=11)
    truth = pd.DataFrame({"t_s": [30.0], "x_km": [x], "y_km": [y], "z_km": [z]})
    picks = made.make_picks(stations, truth, seed=seed, noise_s=noise, false=10)
    found = associate(picks, stations, CONFIG).events
    assert len(found) == 1
    off = np.hypot(found["x_km"] - x, found["y_km"] - y).iloc[0]
    assert off < max(6.0 * found["horizontal_uncertainty_km"].iloc[0], 0.5)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(shift=st.integers(0, 10**9), seed=st.integers(0, 100))
def test_a_later_record_gives_the_same_events_later(shift, seed):
    stations, truth = made.network(), made.events(2)
    picks = made.make_picks(stations, truth, seed=seed, false=10)
    later = picks.assign(phase_time=picks["phase_time"] + pd.Timedelta(shift, "s"))
    one, two = associate(picks, stations, CONFIG).events, associate(later, stations, CONFIG).events
    assert len(one) == len(two) == 2
    moved = two["time"] - pd.Timedelta(shift, "s") - one["time"]
    assert moved.abs().max() < pd.Timedelta("20ms")
    assert np.abs(two["x_km"] - one["x_km"]).max() < 0.2
