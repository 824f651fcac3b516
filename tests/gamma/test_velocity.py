"""Velocity of unknown ground, estimated from arrivals whose ground is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gamma import joint
from gamma.errors import PickError
from gamma.ground import DEFAULT_CRUST, ground, travel_time_table
from gamma.travel_time import layered_model
from gamma.velocity import Arrivals, estimate_velocity, spread_of_models
from tests.gamma.made_picks import SEDIMENT

BOX = {
    "depth_range_km": (0.0, 20.0),
    "lower_km": np.array([-30.0, -30.0, 0.0]),
    "upper_km": np.array([30.0, 30.0, 20.0]),
    "sigma_s": 0.05,
}
SLOW_MEMBER = ground(np.array([-1.0, 0.5, -0.5, 0.8, -0.5]), 0.0)
FAST_MEMBER = ground(np.array([1.2, -0.5, 0.3, -0.5, 0.0]), 0.0)


def arrivals_in(layers, num_events=16, noise_s=0.0, seed=3):
    """Arrivals on a bent cable of 12 places from events around it; starts are 2 km wrong."""
    rng = np.random.default_rng(seed)
    along = np.linspace(0.0, 10.0, 12)
    place = np.column_stack([np.minimum(along, 6.0) - 3.0, np.maximum(along - 6.0, 0.0), np.zeros(12)])
    angle, distance = rng.uniform(0.0, 2.0 * np.pi, num_events), rng.uniform(2.0, 18.0, num_events)
    truth = np.column_stack(
        [
            60.0 * np.arange(num_events),
            distance * np.cos(angle),
            distance * np.sin(angle),
            rng.uniform(3.0, 12.0, num_events),
        ]
    )
    event, index, phase = (axis.ravel() for axis in np.indices((num_events, 12, 2)))
    table = layered_model(layers, np.array([0.0]), (0.0, 20.0), 60.0)
    time = truth[event, 0] + table.times(truth[event, 1:], place[index], phase)
    start = truth + rng.normal(0.0, 2.0, truth.shape) * [0.2, 1.0, 1.0, 1.0]
    start[:, 3] = np.clip(start[:, 3], 1.0, 19.0)
    arrivals = Arrivals(
        event=event,
        place_km=place[index],
        phase=phase,
        time_s=time + rng.normal(0.0, noise_s, len(time)),
        weight=np.ones(len(time)),
        hypocentre=start,
    )
    return arrivals, truth


def vertical_time(layers, name):
    """Travel time through the upper 8 km."""
    tops = np.clip([*(layer.depth_km for layer in layers), 8.0], 0.0, 8.0)
    return float(np.diff(tops) @ [1.0 / getattr(layer, name) for layer in layers])


@pytest.mark.parametrize("layers", [SLOW_MEMBER, FAST_MEMBER])
def test_table_agrees_with_the_eikonal_solver(layers):
    rng = np.random.default_rng(0)
    source = rng.uniform([-30.0, -30.0, 0.0], [30.0, 30.0, 20.0], (500, 3))
    receiver = np.column_stack([rng.uniform(-5.0, 5.0, (500, 2)), rng.uniform(-0.5, 0.2, 500)])
    phase = rng.integers(0, 2, 500)
    ours = travel_time_table(layers, np.linspace(-0.5, 0.2, 3), (0.0, 20.0), 60.0)
    theirs = layered_model(layers, np.array([-0.5, 0.2]), (0.0, 20.0), 60.0)
    error = ours.times(source, receiver, phase) - theirs.times(source, receiver, phase)
    assert np.abs(np.median(error)) < 0.002
    assert np.quantile(np.abs(error), 0.95) < 0.02


@pytest.mark.parametrize("layers", [SLOW_MEMBER, FAST_MEMBER])
def test_a_member_of_the_family_is_found(layers):
    arrivals, _ = arrivals_in(layers)
    estimate = estimate_velocity(arrivals, **BOX)
    assert estimate.status == "estimated"
    assert "estimated" in estimate.text
    assert estimate.weight.sum() == pytest.approx(1.0)
    for name in ("vp_km_s", "vs_km_s"):
        true, found = vertical_time(layers, name), vertical_time(estimate.layers, name)
        assumed = vertical_time(DEFAULT_CRUST, name)
        assert abs(found - true) < 0.5 * abs(assumed - true)
        assert abs(found / true - 1.0) < 3.0 * estimate.relative_uncertainty


def test_distances_hold_in_ground_outside_the_family():
    arrivals, truth = arrivals_in(SEDIMENT, noise_s=0.03)
    estimate = estimate_velocity(arrivals, **BOX)
    places = relocated(arrivals, estimate.layers)
    covariance = spread_of_models(replace(arrivals, hypocentre=places), estimate, **BOX)
    middle = np.array([0.0, 1.0])
    away = truth[:, 1:3] - middle
    toward = away / np.linalg.norm(away, axis=1)[:, None]
    error = np.einsum("ei,ei->e", places[:, 1:3] - truth[:, 1:3], toward)
    spread = np.sqrt(np.einsum("ei,eij,ej->e", toward, covariance[:, 1:3, 1:3], toward) + 0.5**2)
    assert np.median(np.abs(error)) < 1.5
    assert (np.abs(error) < 3.0 * spread).mean() > 0.9


def relocated(arrivals, layers):
    """Least squares by the eikonal solver's times."""
    from scipy.optimize import least_squares

    table = layered_model(layers, np.array([0.0]), (0.0, 20.0), 60.0)
    out = arrivals.hypocentre.copy()
    for index, start in enumerate(arrivals.hypocentre):
        mine = arrivals.event == index
        place, phase, time = arrivals.place_km[mine], arrivals.phase[mine], arrivals.time_s[mine]

        def residual(h, place=place, phase=phase, time=time):
            return time - h[0] - table.times(np.broadcast_to(h[1:], place.shape), place, phase)

        bounds = ([-np.inf, -30.0, -30.0, 0.0], [np.inf, 30.0, 30.0, 20.0])
        out[index] = least_squares(residual, start, bounds=bounds, x_scale=[1.0, 5.0, 5.0, 5.0]).x
    return out


def test_order_does_not_matter():
    arrivals, _ = arrivals_in(SEDIMENT, num_events=8, noise_s=0.03)
    rng = np.random.default_rng(5)
    order, names = rng.permutation(len(arrivals.event)), rng.permutation(len(arrivals.hypocentre))
    mixed = Arrivals(
        event=np.argsort(names)[arrivals.event[order]],
        place_km=arrivals.place_km[order],
        phase=arrivals.phase[order],
        time_s=arrivals.time_s[order],
        weight=arrivals.weight[order],
        hypocentre=arrivals.hypocentre[names],
    )
    one, two = (estimate_velocity(each, **BOX) for each in (arrivals, mixed))
    assert [layer.vp_km_s for layer in one.layers] == pytest.approx(
        [layer.vp_km_s for layer in two.layers], abs=2e-3
    )
    assert one.vp_vs_ratio == pytest.approx(two.vp_vs_ratio, abs=1e-3)


def test_too_few_events_leave_the_prior():
    arrivals, _ = arrivals_in(SEDIMENT, num_events=3)
    estimate = estimate_velocity(arrivals, **BOX)
    assert estimate.status == "assumed"
    assert "assumed" in estimate.text
    assert estimate.layers == DEFAULT_CRUST
    assert estimate.relative_uncertainty > 0.1
    surface = [model[0].vp_km_s for model in estimate.models]
    assert min(surface) < 2.5
    assert max(surface) > 4.5
    wide = spread_of_models(arrivals, estimate, **BOX)
    assert np.linalg.eigvalsh(wide).min() > -1e-6
    assert np.sqrt(wide[:, 1, 1] + wide[:, 2, 2]).min() > 0.5


def test_more_events_make_the_place_better_known():
    few, _ = arrivals_in(SLOW_MEMBER, num_events=3, noise_s=0.02)
    many, _ = arrivals_in(SLOW_MEMBER, noise_s=0.02)
    prior, posterior = estimate_velocity(few, **BOX), estimate_velocity(many, **BOX)
    assert posterior.relative_uncertainty < 0.7 * prior.relative_uncertainty
    spreads = [spread_of_models(many, estimate, **BOX) for estimate in (prior, posterior)]
    wide, narrow = (np.median(np.trace(spread[:, 1:3, 1:3], axis1=1, axis2=2)) for spread in spreads)
    assert narrow < 0.5 * wide


def test_one_bad_event_hardly_matters():
    arrivals, _ = arrivals_in(SLOW_MEMBER, noise_s=0.02)
    time = arrivals.time_s.copy()
    wrong = (arrivals.event == 7) & (arrivals.phase == 1)
    time[wrong] += np.random.default_rng(1).uniform(-2.0, 2.0, wrong.sum())
    estimate = estimate_velocity(replace(arrivals, time_s=time), **BOX)
    change = vertical_time(estimate.layers, "vs_km_s") / vertical_time(SLOW_MEMBER, "vs_km_s") - 1.0
    assert abs(change) < 0.08


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight": np.ones(3)}, "equal lengths"),
        ({"phase": np.full(384, 2)}, "phases"),
        ({"event": np.full(384, 16)}, "hypocentre for each event"),
        ({"time_s": np.full(384, np.nan)}, "not finite"),
    ],
)
def test_bad_arrivals_are_refused(change, words):
    arrivals, _ = arrivals_in(DEFAULT_CRUST)
    with pytest.raises(PickError, match=words):
        estimate_velocity(replace(arrivals, **change), **BOX)


def test_neighbours_are_the_same_in_blocks(monkeypatch):
    place_km = np.random.default_rng(0).uniform(0.0, 20.0, (57, 3))
    whole = joint._neighbours(place_km)
    monkeypatch.setattr(joint, "_ROWS_AT_A_TIME", 10)
    np.testing.assert_array_equal(joint._neighbours(place_km), whole)
