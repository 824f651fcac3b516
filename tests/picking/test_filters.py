"""Resampling and filtering keep time, and give the same numbers in pieces as in one go."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet_das.errors import SamplingError
from phasenet_das.picking.filters import bandpass
from phasenet_das.picking.resampling import TimeGrid, _lowpass, rational_ratio, resample

START_NS = 1_458_545_850_532_309_000


def _noise(num_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, num_samples)).astype(np.float32)


@pytest.mark.parametrize(
    ("rate_in", "rate_out", "expected"),
    [(100, 100, (1, 1)), (250, 100, (2, 5)), (2000, 100, (1, 20)), (50, 100, (2, 1)), (200.1, 100, (1, 2))],
)
def test_rates_become_small_factors(rate_in: float, rate_out: float, expected: tuple[int, int]) -> None:
    assert rational_ratio(rate_in, rate_out) == expected


def test_a_hopeless_rate_is_refused() -> None:
    with pytest.raises(SamplingError, match="native"):
        rational_ratio(1e9, 100)


@pytest.mark.parametrize("rate_in", [50.0, 200.0, 250.0, 1000.0, 3217.797])
def test_a_sine_keeps_its_phase(rate_in: float) -> None:
    grid = TimeGrid(START_NS, 1 / rate_in, int(20 * rate_in))
    t = np.arange(grid.num_samples) * grid.dt_s
    data = np.sin(2 * np.pi * 7.0 * t)[None].astype(np.float32)
    out, new = resample(data, grid, 100.0)
    t_new = (new.times_ns(np.arange(new.num_samples)) - START_NS) * 1e-9
    inner = (t_new > 1) & (t_new < 19)
    np.testing.assert_allclose(out[0, inner], np.sin(2 * np.pi * 7.0 * t_new)[inner], atol=2e-3)


def test_what_lies_above_the_new_nyquist_frequency_is_gone() -> None:
    grid = TimeGrid(START_NS, 1 / 1000, 20_000)
    data = np.sin(2 * np.pi * 62.0 * np.arange(20_000) / 1000)[None].astype(np.float32)
    out, _ = resample(data, grid, 100.0)
    assert np.abs(out[0, 100:-100]).max() < 1e-3


@pytest.mark.parametrize("factor", [2, 7])
def test_the_anti_alias_filter_is_that_of_scipy(factor: int) -> None:
    count, beta = scipy.signal.kaiserord(70.0, 0.2 / factor)
    taps = scipy.signal.firwin(count | 1, 0.9 / factor, window=("kaiser", beta))
    np.testing.assert_allclose(_lowpass(factor), taps, atol=1e-12)


def test_an_impulse_stays_where_it_is() -> None:
    grid = TimeGrid(START_NS, 1 / 500, 5000)
    data = np.zeros((1, 5000), np.float32)
    data[0, 2503] = 1
    out, new = resample(data, grid, 100.0)
    peak = new.times_ns(np.array([int(out[0].argmax())]))[0]
    assert abs(peak - grid.times_ns(np.array([2503]))[0]) <= 0.5e9 / 100


@settings(max_examples=30, deadline=None)
@given(
    cut=st.integers(400, 1600),
    rates=st.sampled_from([(250.0, 100.0), (200.0, 100.0), (50.0, 100.0), (120.0, 100.0)]),
)
def test_pieces_lie_on_the_grid_of_the_whole(cut: int, rates: tuple[float, float]) -> None:
    rate_in, rate_out = rates
    whole_grid = TimeGrid(round(4e9 / rate_in) * 10**6, 1 / rate_in, 3000)
    data = _noise(3000)
    whole, grid = resample(data, whole_grid, rate_out)
    piece_grid = TimeGrid(int(whole_grid.times_ns(np.array([cut]))[0]), 1 / rate_in, 3000 - cut)
    piece, new = resample(data[:, cut:], piece_grid, rate_out)
    shift = new.first_index - grid.first_index
    halo = 60  # half the filter and some
    np.testing.assert_allclose(
        piece[:, halo:-halo], whole[:, shift + halo : shift + piece.shape[1] - halo], atol=2e-5
    )


def test_bandpass_keeps_the_band_and_its_timing() -> None:
    t = np.arange(4000) / 100
    inside, outside = np.sin(2 * np.pi * 5 * t), np.sin(2 * np.pi * 30 * t) + 3
    out = bandpass((inside + outside)[None].astype(np.float32), 0.01, 1.0, 15.0)
    np.testing.assert_allclose(out[0, 500:-500], inside[500:-500], atol=5e-3)


def test_a_band_beyond_nyquist_is_refused() -> None:
    with pytest.raises(SamplingError, match="Take the lower corner farther from 0"):
        bandpass(_noise(100), 0.01, 1e-6, 10.0)  # of 400 million samples
    with pytest.raises(SamplingError, match="Nyquist, 50 Hz"):
        bandpass(_noise(100), 0.01, 1.0, 50.0)


def test_absolute_sample_numbers_are_exact_for_present_day_times() -> None:
    grid = TimeGrid(1_700_000_000 * 10**9 + 10_000_000, 0.01, 10)
    assert grid.first_index == 170_000_000_001
