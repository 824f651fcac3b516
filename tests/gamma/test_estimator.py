"""The mixture's estimator contract, and made events of all kinds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from gamma import AssociationConfig, associate
from gamma.estimator import ArrivalMixture
from tests.gamma import made_picks as made

CONFIG = AssociationConfig(**made.settings())


@pytest.fixture(scope="module")
def arrivals():
    stations, truth = made.network(), made.events(3)
    picks = made.make_picks(stations, truth, false=20)
    place = stations.set_index("station_id").loc[picks["station_id"], ["x_km", "y_km", "z_km"]].to_numpy()
    time = (picks["phase_time"] - made.EPOCH).dt.total_seconds().to_numpy()
    phase = (picks["phase_type"] == "S").to_numpy(float)
    return np.column_stack([time, place, phase]), picks["true_event"].to_numpy(), truth


def test_fit_predict_and_attributes(arrivals):
    rows, true, truth = arrivals
    start = truth[["t_s", "x_km", "y_km", "z_km"]].to_numpy() + np.array([1.0, 3.0, -3.0, 2.0])
    mixture = ArrivalMixture(CONFIG, means_init=start)
    assert mixture.fit(rows) is mixture
    assert mixture.converged_
    assert 1 <= mixture.n_iter_ <= CONFIG.max_iterations
    assert mixture.weights_.sum() == pytest.approx(1.0)
    posterior = mixture.predict_proba(rows)
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)
    assert posterior.min() >= 0.0
    np.testing.assert_array_equal(mixture.predict(rows), mixture.labels_)
    assert (mixture.labels_ == true)[true >= 0].mean() > 0.95
    np.testing.assert_allclose(mixture.means_[:, 0], truth["t_s"], atol=0.3)


def test_lower_bound_never_falls_between_changes(arrivals):
    mixture = ArrivalMixture(CONFIG).fit(arrivals[0])
    lines = mixture.lower_bounds_
    steps = [(a[0], b[0]) for a, b in pairwise(lines) if not b[1]]
    assert len(steps) > 3
    assert all(after >= before - 1e-9 * abs(before) for before, after in steps)
    assert mixture.lower_bound_ == lines[-1][0]


def test_parameters_follow_scikit_learn(arrivals):
    mixture = ArrivalMixture(CONFIG)
    assert set(mixture.get_params()) == {"config", "means_init"}
    assert clone(mixture).config is not None
    with pytest.raises(NotFittedError):
        mixture.predict(arrivals[0])
    with pytest.raises(ValueError, match="columns time_s"):
        mixture.fit(arrivals[0][:, :4])


def test_too_few_iterations_warn(arrivals):
    short = AssociationConfig(**made.settings(max_iterations=1))
    with pytest.warns(ConvergenceWarning, match="max_iterations"):
        ArrivalMixture(short).fit(arrivals[0])


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
