"""Noise: level, colour, coherence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import rfftfreq
from scipy.signal import welch

from phasenet_das.simulate import scenario
from phasenet_das.simulate.fields import WavePopulation, num_wavenumbers, patches, smooth_series, wave_field
from phasenet_das.simulate.geometry import make_cable
from phasenet_das.simulate.noise import NoiseModel, fill

PLAIN = {
    "level_smooth_dex": 0.0,
    "level_rough_dex": 0.0,
    "common_mode": 0.0,
    "ambient_rms": 0.0,
    "fading_fraction": 0.0,
    "dead_fraction": 0.0,
    "spikes_per_channel_hour": 0.0,
}


def noise(num_samples=12000, **changes):
    config = scenario("demo", cable={"num_channels": 100, "num_slack_loops": 0}, noise={**PLAIN, **changes})
    out = np.zeros((100, num_samples), np.float32)
    NoiseModel(config, make_cable(config.cable, 1), 1).add(out, 0)
    return out


def test_optical_noise_has_its_rms_and_rises_with_frequency():
    data = noise(optical_rms=2e-8)
    assert data.std() == pytest.approx(2e-8, rel=0.02)
    freqs, power = welch(data, 100.0, nperseg=1024, axis=1)
    amplitude = np.sqrt(power.mean(axis=0))
    band = (freqs > 2) & (freqs < 25)
    assert np.polyfit(np.log(freqs[band]), np.log(amplitude[band]), 1)[0] == pytest.approx(1.0, abs=0.1)


def test_noise_is_stationary_across_the_blocks():
    data = noise(optical_rms=2e-8).astype(float)
    seam = data[:, 8192:9216].std()
    assert seam == pytest.approx(data[:, 2000:6000].std(), rel=0.02)
    assert np.abs(np.diff(data[:, 8180:8200], axis=1)).max() < 8 * np.diff(data[:, 100:8000], axis=1).std()


def test_common_mode_is_the_same_on_all_channels():
    data = noise(optical_rms=1e-12, common_mode=1000.0)
    np.testing.assert_allclose(np.corrcoef(data)[0], 1.0, atol=1e-3)


@pytest.mark.parametrize(("speed", "dx"), [(400.0, 2.0), (1500.0, 2.0)])
def test_diffuse_waves_keep_together_over_a_share_of_their_wavelength(speed, dx):
    hertz, n_t, rows = 10.0, 2048, num_wavenumbers(300)
    freqs = rfftfreq(n_t, 0.01)
    population = WavePopulation(speed, 0.05, gauge_length_m=2.0, dx_m=dx)
    band = np.exp(-(((freqs - hertz) / 0.5) ** 2))
    rng = np.random.default_rng(2)
    field = wave_field(rng, population.amplitude(1, freqs, rows), [band], n_t)[0][:300]
    wavelength = speed / hertz / dx
    correlation = [
        np.mean([np.corrcoef(field[i], field[i + lag])[0, 1] for i in range(0, 200, 5)])
        for lag in (1, round(wavelength / 3), round(wavelength))
    ]
    assert correlation[0] > 0.8
    assert correlation[1] < 0.2  # waves along the fibre, cos(2 pi / 3), outweigh those across it


def test_patches_cover_a_cable_with_weights_that_keep_the_variance():
    for n in (5, 1024, 1025, 3000, 10000):
        power = np.zeros(n)
        for patch in patches(n):
            power[patch.channels] += patch.weight[:, 0].astype(float) ** 2
        np.testing.assert_allclose(power, 1.0, atol=1e-6)


@pytest.mark.parametrize("length", [0.1, 3.0, 40.0])
def test_smooth_series_have_unit_variance_and_their_length(length):
    series = smooth_series(np.random.default_rng(0), 2000, length, rows=40)
    assert series.std() == pytest.approx(1.0, abs=0.1)
    if length > 1:
        lag = round(length)
        assert (series[:, lag:] * series[:, :-lag]).mean() == pytest.approx(np.exp(-0.5), abs=0.1)


def test_a_short_recording_is_stretched_over_any_shape():
    record = np.random.default_rng(0).standard_normal((7, 300)).astype(np.float32)
    out = fill(record, 40, 5000, np.random.default_rng(1))
    assert out.shape == (40, 5000)
    assert out.std() == pytest.approx(1.0, abs=0.05)
    spans = out.reshape(40, 10, 500).std(axis=(0, 2))
    assert spans.min() > 0.8


@pytest.mark.shared
def test_real_noise_is_mixed_in(shared):
    data = noise(optical_rms=1e-12, real_noise_dir=str(shared / "data/das_noise"), real_noise_rms=3e-8)
    assert 1e-8 < np.median(data.std(axis=1)) < 1e-7
