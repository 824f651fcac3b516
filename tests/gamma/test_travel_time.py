"""Travel times against exact formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from gamma import AssociationConfig
from gamma.config import Layer
from gamma.travel_time import HomogeneousModel, layered_model, make_model

LOWER, UPPER = np.array([-30.0, -30.0, 0.0]), np.array([30.0, 30.0, 18.0])


@pytest.fixture(scope="module")
def places():
    rng = np.random.default_rng(0)
    source = rng.uniform(LOWER, UPPER, (400, 3))
    receiver = np.column_stack([rng.uniform(-20.0, 20.0, (400, 2)), rng.uniform(-1.5, 0.6, 400)])
    return source, receiver, rng.integers(0, 2, 400)


def layered(layers):
    """Stations from 1.5 km above to a borehole 0.6 km below sea level."""
    config = AssociationConfig(layers=[{"depth_km": z, "vp_km_s": p, "vs_km_s": s} for z, p, s in layers])
    receiver = np.array([[-20.0, -20.0, -1.5], [20.0, 20.0, 0.6]])
    return make_model(config, receiver, LOWER, UPPER)


def exact_two_layers(source, receiver, upper, lower, depth):
    """Least time through a plane boundary: refracted, direct or head wave."""
    across = np.hypot(*(source - receiver)[:2])
    if source[2] > depth:

        def time(x):
            return np.hypot(x, depth - receiver[2]) / upper + np.hypot(across - x, source[2] - depth) / lower

        return minimize_scalar(time, bounds=(0.0, across), method="bounded", options={"xatol": 1e-9}).fun
    direct = np.linalg.norm(source - receiver) / upper
    angle = np.arcsin(upper / lower)
    legs = 2.0 * depth - source[2] - receiver[2]
    head = across / lower + legs * np.cos(angle) / upper
    return min(direct, head) if across >= legs * np.tan(angle) else direct


def test_homogeneous_gradient_is_the_derivative(places):
    source, receiver, phase = places
    model = HomogeneousModel(6.0, 3.5)
    time, gradient = model.times_and_gradients(source, receiver, phase)
    np.testing.assert_allclose(time, np.linalg.norm(source - receiver, axis=1) / np.array([6.0, 3.5])[phase])
    for axis in range(3):
        step = 1e-4 * np.eye(3)[axis]
        change = model.times(source + step, receiver, phase) - model.times(source - step, receiver, phase)
        np.testing.assert_allclose(gradient[:, axis], change / 2e-4, atol=1e-7)


def test_equal_layers_are_homogeneous(places):
    source, receiver, phase = places
    model = layered([(-2.0, 6.0, 3.5), (5.0, 6.0, 3.5)])
    exact = HomogeneousModel(6.0, 3.5).times(source, receiver, phase)
    assert np.abs(model.times(source, receiver, phase) - exact).max() < 0.003


def test_two_layers_match_snell_and_head_waves(places):
    source, receiver, phase = places
    model = layered([(-2.0, 5.0, 2.9), (8.0, 7.0, 4.0)])
    speeds = [(5.0, 7.0), (2.9, 4.0)]
    exact = [exact_two_layers(s, r, *speeds[p], 8.0) for s, r, p in zip(source, receiver, phase, strict=True)]
    error = model.times(source, receiver, phase) - exact
    assert np.sqrt(np.mean(error**2)) < 0.002
    assert np.abs(error).max() < 0.02


def test_layered_gradient_is_the_derivative_of_the_table(places):
    source, receiver, phase = places
    model = layered([(-2.0, 5.0, 2.9), (8.0, 7.0, 4.0)])
    gradient = model.times_and_gradients(source, receiver, phase)[1]
    for axis in range(3):
        step = 1e-5 * np.eye(3)[axis]
        change = model.times(source + step, receiver, phase) - model.times(source - step, receiver, phase)
        assert np.percentile(np.abs(gradient[:, axis] - change / 2e-5), 98) < 1e-5


def test_a_higher_station_hears_later():
    source, phase = np.array([[0.0, 0.0, 10.0]] * 2), np.array([0, 0])
    receiver = np.array([[1.0, 0.0, -1.5], [1.0, 0.0, 0.5]])
    for model in (HomogeneousModel(6.0, 3.5), layered([(-2.0, 5.0, 2.9), (8.0, 7.0, 4.0)])):
        high, low = model.times(source, receiver, phase)
        assert high > low


def test_head_waves_come_from_below_the_search_box():
    layers = [
        {"depth_km": -2.0, "vp_km_s": 6.0, "vs_km_s": 3.5},
        {"depth_km": 30.0, "vp_km_s": 8.0, "vs_km_s": 4.6},
    ]
    config = AssociationConfig(layers=layers)
    receiver, lower, upper = np.zeros((1, 3)), np.array([0.0, 0.0, 0.0]), np.array([300.0, 0.0, 0.0])
    model = make_model(config, receiver, lower, upper)
    found = model.times(np.array([[250.0, 0.0, 0.0]]), receiver, np.array([0]))[0]
    assert found == pytest.approx(250.0 / 8.0 + 60.0 * np.sqrt(1.0 - 0.75**2) / 6.0, abs=0.05)


def test_tables_of_the_eikonal_are_made_once():
    slow_below = [(-2.0, 5.0, 2.9), (8.0, 4.5, 2.6)]
    assert layered(slow_below) is layered(slow_below)


def test_rays_agree_with_the_eikonal():
    values = [(-2.0, 4.0, 2.2), (1.0, 5.2, 3.0), (6.0, 6.1, 3.5)]
    layers = tuple(Layer(depth_km=top, vp_km_s=vp, vs_km_s=vs) for top, vp, vs in values)
    receiver = np.zeros((1, 3))
    rng = np.random.default_rng(0)
    source = np.column_stack([rng.uniform(1.0, 60.0, 200), np.zeros(200), rng.uniform(2.0, 20.0, 200)])
    phase = rng.integers(0, 2, 200)
    rays = layered(values)
    eikonal = layered_model(layers, receiver[:, 2], (0.0, 30.0), 80.0)
    late = rays.times(source, receiver, phase) - eikonal.times(source, receiver, phase)
    assert np.percentile(np.abs(late), 95) < 0.03
