"""What radiates: magnitudes, swarms, radiation patterns."""

from __future__ import annotations

import numpy as np
import pytest

from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.simulate.geometry import make_cable
from phasenet_das.simulate.sources import Event, corner_frequency_hz, draw_events, moment_n_m, radiation


@pytest.fixture(scope="module")
def catalog():
    sources = {
        "events_per_hour": 20000.0,
        "magnitude_min": 0.0,
        "magnitude_max": 4.0,
        "swarm_fraction": 0.5,
        "blasts_per_hour": 60.0,
        "distant_per_hour": 60.0,
    }
    config = SimulationConfig(duration_s=3600.0, sources=sources)
    cable = make_cable(config.cable, 1)
    return config, cable, draw_events(config, cable, 1)


def test_magnitudes_follow_gutenberg_richter(catalog):
    config, _, table = catalog
    magnitude = table.loc[table["source_type"] == "earthquake", "magnitude"].to_numpy()
    b = np.log10(np.e) / (magnitude.mean() - config.sources.magnitude_min)  # Aki (1965)
    assert b == pytest.approx(config.sources.b_value, rel=0.03)
    counts = np.array([(magnitude >= m).sum() for m in (0.5, 1.0, 1.5)])
    np.testing.assert_allclose(np.diff(np.log10(counts)), -0.5, atol=0.05)


def test_counts_are_the_rates_and_times_are_in_order(catalog):
    _, _, table = catalog
    assert table["source_type"].value_counts().to_dict() == {
        "earthquake": 20000,
        "quarry_blast": 60,
        "distant_earthquake": 60,
    }
    assert table["origin_s"].is_monotonic_increasing
    np.testing.assert_array_equal(table["event_index"], np.arange(len(table)))


def test_sources_lie_where_they_were_asked_for(catalog):
    config, cable, table = catalog
    offset = np.hypot(*(table[["x_km", "y_km"]].to_numpy() - cable.middle_km[:2]).T)
    distant = (table["source_type"] == "distant_earthquake").to_numpy()
    assert (offset[distant] >= config.sources.distant_min_km - 1e-6).all()
    assert (offset[~distant] <= config.sources.distance_max_km + 5).all()
    assert (table["z_km"] > cable.surface_km).all()


def test_a_larger_earthquake_is_deeper_in_tone():
    corners = [corner_frequency_hz(float(moment_n_m(m)), 3.0, 3.5, "S") for m in (1.0, 3.0)]
    assert corners[0] / corners[1] == pytest.approx(10.0)
    assert corner_frequency_hz(1e15, 3.0, 3.5, "P") > corner_frequency_hz(1e15, 3.0, 3.5, "S")


def event(kind="earthquake", strike=0.0, dip=90.0, rake=0.0):
    return Event(0, kind, 0.0, np.zeros(3), 2.0, 3.0, strike, dip, rake)


def test_vertical_strike_slip_has_its_lobes_between_the_nodal_planes():
    azimuth = np.deg2rad([0.0, 45.0, 90.0, 135.0])
    p, sv, sh = radiation(event(), azimuth, np.full(4, np.pi / 2))
    np.testing.assert_allclose(p, [0, 1, 0, -1], atol=1e-12)
    np.testing.assert_allclose(np.abs(sh), [1, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(sv, 0, atol=1e-12)


def test_mean_square_of_the_double_couple_over_the_focal_sphere():
    """4/15 for P and 6/15 for S (Aki & Richards 2002, section 4.3)."""
    rng = np.random.default_rng(0)
    azimuth, takeoff = rng.uniform(0, 2 * np.pi, 200000), np.arccos(rng.uniform(-1, 1, 200000))
    p, sv, sh = radiation(event(strike=30.0, dip=50.0, rake=70.0), azimuth, takeoff)
    assert (p**2).mean() == pytest.approx(4 / 15, rel=0.02)
    assert (sv**2 + sh**2).mean() == pytest.approx(6 / 15, rel=0.02)


def test_a_blast_pushes_outward_everywhere():
    p, _, _ = radiation(event("quarry_blast"), np.linspace(0, 6, 20), np.linspace(0, 3, 20))
    assert (p > 0).all()


@pytest.mark.parametrize("farthest_km", [0.5, 1.9, 30.0])
def test_blasts_lie_no_farther_than_events_may(farthest_km):
    config = SimulationConfig(
        sources={"distance_min_km": 0.1, "distance_max_km": farthest_km, "blasts_per_hour": 60.0}
    )
    cable = make_cable(config.cable, 3)
    events = draw_events(config, cable, 3)
    blasts = events[events["source_type"] == "quarry_blast"]
    assert len(blasts) > 0
    apart = np.linalg.norm(
        blasts[["x_km", "y_km"]].to_numpy()[:, None] - cable.position_km[None, :, :2], axis=-1
    )
    assert (apart.min(axis=1) < farthest_km + 1.5).all()  # a quarry is some hundred metres wide
