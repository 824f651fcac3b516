"""Normalised amplitudes: the same whole and in pieces, and safe where there is no signal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet_das.errors import SamplingError
from phasenet_das.picking.normalization import moving_normalization, moving_scale, normalization_halo

OPTIONS = {"dt_s": 0.01, "window_s": 6.0}


def _noise(channels: int = 4, samples: int = 3000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((channels, samples)).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(
    start=st.integers(0, 1300),
    length=st.integers(1400, 1700),
    first_index=st.integers(-5000, 10**12),
    per=st.sampled_from(["channel", "array"]),
)
def test_a_piece_gives_the_numbers_of_the_whole(start: int, length: int, first_index: int, per: str) -> None:
    data = np.cumsum(_noise(), axis=-1) + 100
    data[:, 1500:1800] *= 40
    whole = moving_normalization(data, first_index=first_index, per=per, **OPTIONS)
    piece = moving_normalization(
        data[:, start : start + length], first_index=first_index + start, per=per, **OPTIONS
    )
    halo = normalization_halo(**OPTIONS)
    inner = slice(0 if start == 0 else halo, None if start + length >= 3000 else -halo)
    np.testing.assert_allclose(piece[:, inner], whole[:, start : start + length][:, inner], atol=1e-4)


@given(start=st.integers(0, 2500), length=st.integers(1, 500))
@settings(max_examples=20, deadline=None)
def test_the_scale_of_a_record_normalises_any_part_of_it(start: int, length: int) -> None:
    data = _noise()
    scale = moving_scale(data, first_index=77, **OPTIONS)
    part = scale.apply(data[1:3, start : start + length], 77 + start, slice(1, 3))
    whole = scale.apply(data, 77)
    np.testing.assert_allclose(part, whole[1:3, start : start + length], atol=1e-6)


def test_noise_comes_out_with_mean_absolute_value_one() -> None:
    out = moving_normalization(7e-9 * _noise() + 3e-7, first_index=5, **OPTIONS)
    assert np.abs(out).mean() == pytest.approx(1, abs=0.05)
    assert abs(out.mean()) < 0.05


def test_gain_offset_and_polarity_of_a_channel_do_not_show() -> None:
    data = _noise()
    gain = np.array([[1.0], [1e6], [-3e-9], [20.0]], np.float32)
    changed = gain * data + gain * 5
    first, second = (moving_normalization(x, first_index=0, **OPTIONS) for x in (data, changed))
    np.testing.assert_allclose(second, np.sign(gain) * first, atol=1e-3)


def test_per_array_keeps_relative_amplitude() -> None:
    data = _noise(5) * np.array([[1.0], [1], [1], [4], [0]], np.float32)
    out = moving_normalization(data, first_index=0, per="array", **OPTIONS)
    assert np.abs(out[3]).mean() == pytest.approx(4 * np.abs(out[0]).mean(), rel=0.05)
    assert np.abs(out[0]).mean() == pytest.approx(1, abs=0.1)
    assert (out[4] == 0).all()


@pytest.mark.parametrize("value", [0.0, 1.0, -1e30, 12345.678])
@pytest.mark.parametrize("per", ["channel", "array"])
def test_a_dead_channel_stays_silent_and_harms_no_other(value: float, per: str) -> None:
    data = _noise()
    alone = moving_normalization(data, first_index=0, per=per, **OPTIONS)
    with_dead = np.concatenate([data, np.full((1, 3000), value, np.float32)])
    out = moving_normalization(with_dead, first_index=0, per=per, **OPTIONS)
    assert (out[4] == 0).all()
    np.testing.assert_allclose(out[:4], alone, atol=1e-6)


def test_a_gap_of_zeros_does_not_lift_its_neighbourhood() -> None:
    data = _noise()
    data[:, 1000:1500] = 0
    out = moving_normalization(data, first_index=0, **OPTIONS)
    assert np.abs(out[:, 800:1000]).mean() == pytest.approx(1, abs=0.15)


def test_one_spike_hardly_moves_the_scale_and_is_limited() -> None:
    data = _noise(samples=6000)
    quiet = moving_scale(data, 0.01, first_index=0, window_s=30.0).scale
    data[:, 1500] = 1000.0
    scale = moving_scale(data, 0.01, first_index=0, window_s=30.0).scale
    assert (scale < 2 * quiet).all()
    data[:, 1500] = 1e8
    assert moving_normalization(data, 0.01, first_index=0, window_s=30.0).max() == 100


def test_an_earthquake_is_brought_down() -> None:
    data = _noise()
    data[:, 1500:2300] *= 1e4
    out = moving_normalization(data, first_index=0, **OPTIONS)
    assert 1 < np.abs(out[:, 1500:1600]).mean() < 30


def test_a_record_shorter_than_a_block_is_finite() -> None:
    out = moving_normalization(_noise(samples=3), first_index=19, **OPTIONS)
    assert np.isfinite(out).all()


def test_an_impossible_window_is_refused() -> None:
    with pytest.raises(SamplingError, match="2 samples"):
        moving_normalization(_noise(), 0.01, first_index=0, window_s=0.001)
