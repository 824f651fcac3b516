"""Travel times against closed forms and against an eikonal solver."""

from __future__ import annotations

import numpy as np
import pytest

from phasenet_das.errors import ConfigError
from phasenet_das.simulate.config import EarthConfig
from phasenet_das.simulate.earth import DelayField, LayeredEarth


def line(depth=0.0, count=50, length=40.0):
    x = np.linspace(0.1, length, count)
    return np.stack([x, np.zeros(count), np.full(count, depth)], axis=1)


def test_uniform_earth_gives_straight_rays():
    earth = LayeredEarth.from_config(EarthConfig(layer_top_km=(0.0,), vp_km_s=(6.0,), vs_km_s=(3.4,)))
    source, receivers = np.array([0.0, 0.0, 8.0]), line()
    rays = earth.direct("P", source, receivers)
    distance = np.linalg.norm(receivers - source, axis=1)
    np.testing.assert_allclose(rays.time_s, distance / 6.0, rtol=1e-10)
    np.testing.assert_allclose(rays.slowness_s_km, receivers[:, 0] / distance / 6.0, rtol=1e-8)
    assert rays.up_at_receiver.all()
    assert np.isinf(earth.head("P", source, receivers).time_s).all()


def test_head_wave_of_one_layer_over_a_half_space():
    earth = LayeredEarth.from_config(
        EarthConfig(layer_top_km=(0.0, 2.0), vp_km_s=(3.0, 6.0), vs_km_s=(1.5, 3.0))
    )
    source, receivers = np.array([0.0, 0.0, 0.5]), line(count=80)
    thickness = (2.0 - 0.5) + 2.0
    expected = receivers[:, 0] / 6.0 + thickness * np.sqrt(1 / 9 - 1 / 36)
    head = earth.head("P", source, receivers).time_s
    beyond = receivers[:, 0] > thickness * np.tan(np.arcsin(0.5))
    np.testing.assert_allclose(head[beyond], expected[beyond], rtol=1e-12)
    assert np.isinf(head[~beyond]).all()


def test_first_arrivals_agree_with_an_eikonal_solver():
    from fteikpy import Eikonal2D

    config = EarthConfig()
    earth = LayeredEarth.from_config(config)
    spacing, source_depth = 0.1, 7.03
    depth = (np.arange(300) + 0.5) * spacing
    grid = np.repeat(earth.speed_at("P", depth)[:, None], 600, axis=1)
    solved = Eikonal2D(grid, gridsize=(spacing, spacing)).solve((source_depth, 0.0), nsweep=2)
    receivers = line(depth=0.0, count=30, length=55.0)
    expected = solved(np.stack([receivers[:, 2], receivers[:, 0]], axis=1))
    first = earth.first("P", np.array([0.0, 0.0, source_depth]), receivers)
    assert np.abs(first - expected).max() < 0.05


def test_channels_of_a_well_see_rays_from_above_and_below():
    earth = LayeredEarth.from_config(EarthConfig())
    receivers = np.stack([np.zeros(20), np.zeros(20), np.linspace(0.1, 4.0, 20)], axis=1)
    rays = earth.direct("S", np.array([0.5, 0.0, 2.0]), receivers)
    np.testing.assert_array_equal(rays.up_at_receiver, receivers[:, 2] < 2.0)
    assert np.isfinite(rays.time_s).all()


def test_a_ray_at_the_source_depth_is_horizontal():
    earth = LayeredEarth.from_config(EarthConfig())
    rays = earth.direct("P", np.array([0.0, 0.0, 2.0]), np.array([[5.0, 0.0, 2.0]]))
    assert rays.time_s[0] == pytest.approx(5.0 / 4.8, rel=1e-4)


def test_delays_are_alike_for_neighbours_and_bounded():
    config = EarthConfig(path_delay=0.02, site_delay_s=0.02, delay_length_km=2.0)
    delays = DelayField(config, 400, 25.0, seed=3)
    receivers = line(count=400, length=10.0)
    time = np.full(400, 5.0)
    source = np.array([3.0, 10.0, 8.0])
    near = delays("P", source + np.array([0.05, 0, 0]), receivers, time)
    here = delays("P", source, receivers, time)
    far = delays("P", source + np.array([20.0, -15.0, 0]), receivers, time)
    assert np.corrcoef(here, near)[0, 1] > 0.99
    assert np.abs(here - near).max() < 0.03 < np.abs(here - far).max()
    assert np.abs(np.diff(here)).max() < 0.02
    assert np.abs(here).max() <= 0.5


@pytest.mark.parametrize(
    "layers",
    [
        {"vp_km_s": (3.0,)},
        {"layer_top_km": (0.0, 0.0), "vp_km_s": (3.0, 4.0), "vs_km_s": (1.0, 2.0)},
        {"layer_top_km": (0.0,), "vp_km_s": (3.0,), "vs_km_s": (2.9,)},
    ],
)
def test_impossible_layers_are_refused(layers):
    with pytest.raises(ConfigError, match="layer"):
        EarthConfig(**layers)
