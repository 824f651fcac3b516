"""Strain rate of plane waves, against strain that is differentiated and averaged by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import irfft, rfftfreq

from phasenet_das.simulate.waves import (
    Wave,
    acceleration_spectrum,
    add_wave,
    axial_factor,
    polarisations,
)

angles = st.floats(-np.pi, np.pi)


def ricker(t, hertz):
    """Displacement, its first and second derivative are found by differences."""
    a = (np.pi * hertz * t) ** 2
    return (1 - 2 * a) * np.exp(-a)


@pytest.mark.parametrize(("speed", "gauge", "hertz"), [(3000.0, 10.0, 8.0), (400.0, 30.0, 6.0)])
def test_plane_wave_equals_the_strain_of_a_moving_wavelet_averaged_over_the_gauge(speed, gauge, hertz):
    fs, n = 200.0, 512
    t = np.arange(n) / fs
    fibre = np.array([np.sin(0.4), np.cos(0.4), 0.0])
    n_dir, sv, _ = polarisations(np.array([0.9]), np.array([2.2]))
    polarisation = sv[0]
    onset = 1.2

    def displacement_along_fibre(distance, time):
        return ricker(time - onset - distance * (fibre @ n_dir[0]) / speed, hertz) * (fibre @ polarisation)

    def strain(time):  # averaged over the gauge: the difference of its two ends
        ends = [displacement_along_fibre(half, time) for half in (0.5 * gauge, -0.5 * gauge)]
        return (ends[0] - ends[1]) / gauge

    step = 1e-5
    expected = (strain(t + step) - strain(t - step)) / (2 * step)

    dense = 1e-4
    acceleration = (
        ricker(t + dense - onset, hertz) - 2 * ricker(t - onset, hertz) + ricker(t - dense - onset, hertz)
    ) / dense**2
    freqs = rfftfreq(n, 1 / fs)
    factor = axial_factor(fibre[None], n_dir, polarisation[None], np.array([speed]))
    wave = Wave(
        np.zeros(1), factor, np.array([fibre @ n_dir[0] / speed]), np.zeros(1), np.fft.rfft(acceleration)
    )
    total = np.zeros((1, len(freqs)), np.complex64)
    add_wave(total, wave, freqs, gauge)
    made = irfft(total, n, axis=1)[0]
    assert np.abs(made - expected).max() < 2e-3 * np.abs(expected).max()


@given(azimuth=angles, incidence=st.floats(0, np.pi))
def test_polarisations_are_an_orthonormal_frame(azimuth, incidence):
    frame = np.stack(polarisations(np.array([azimuth]), np.array([incidence])))[:, 0]
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)


@given(theta=angles)
def test_p_goes_with_squared_cosine_and_s_with_half_the_sine_of_twice_the_angle(theta):
    fibre = np.array([[0.0, 1.0, 0.0]])
    along, _, sh = polarisations(np.array([theta]), np.array([np.pi / 2]))
    p = axial_factor(fibre, along, along, np.array([6000.0]))
    s = axial_factor(fibre, along, sh, np.array([3500.0]))
    assert p[0] == pytest.approx(-(np.cos(theta) ** 2) / 6000.0, abs=1e-15)
    assert s[0] == pytest.approx(0.5 * np.sin(2 * theta) / 3500.0, abs=1e-15)


@given(theta=angles, psi=angles)
def test_s_also_goes_with_the_cosine_of_its_polarisation_out_of_the_plane(theta, psi):
    """psi: angle of the motion from the plane of ray and fibre."""
    ray = np.array([0.0, np.cos(theta), np.sin(theta)])
    in_plane = np.array([0.0, -np.sin(theta), np.cos(theta)])
    motion = np.cos(psi) * in_plane + np.sin(psi) * np.array([1.0, 0.0, 0.0])
    fibre = np.array([[0.0, 1.0, 0.0]])
    s = axial_factor(fibre, ray[None], motion[None], np.array([3500.0]))
    assert s[0] == pytest.approx(0.5 * np.sin(2 * theta) * np.cos(psi) / 3500.0, abs=1e-15)


def test_round_a_bend_s_turns_over_and_p_does_not():
    along, _, sh = polarisations(np.zeros(2), np.full(2, np.pi / 2))
    fibre = np.array([[np.sin(0.7), np.cos(0.7), 0], [-np.sin(0.7), np.cos(0.7), 0]])
    p = axial_factor(fibre, along, along, np.full(2, 6000.0))
    s = axial_factor(fibre, along, sh, np.full(2, 3500.0))
    assert p[0] * p[1] > 0
    assert s[0] * s[1] < 0


def test_p_from_straight_below_vanishes_on_a_level_cable():
    along, _, _ = polarisations(np.zeros(1), np.array([np.pi]))
    assert abs(axial_factor(np.array([[1.0, 0, 0]]), along, along, np.array([6000.0]))[0]) < 1e-20


@pytest.mark.parametrize("onset_s", [1.0, 1.0037])
def test_attenuated_brune_pulse_starts_at_its_arrival(onset_s):
    fs, n = 100.0, 1024
    freqs = rfftfreq(n, 1 / fs)
    spectrum = acceleration_spectrum(freqs, fs, 1e13, 12.0, (3.5, 1.0))
    wave = Wave(np.array([onset_s]), np.ones(1), np.zeros(1), np.array([0.03]), spectrum)
    total = np.zeros((1, len(freqs)), np.complex64)
    add_wave(total, wave, freqs, 10.0)
    trace = np.abs(irfft(total, n, axis=1)[0])
    onset = int(np.flatnonzero(trace > 0.05 * trace.max())[0])
    assert -1 < onset - onset_s * fs < 2.5
    assert trace[: int(onset_s * fs) - 3].max() < 0.03 * trace.max()


def test_delay_is_exact_to_a_hundredth_of_a_sample():
    fs, n, delay = 100.0, 512, 1.23456
    freqs = rfftfreq(n, 1 / fs)
    t = np.arange(n) / fs
    wave = Wave(np.array([delay]), np.ones(1), np.zeros(1), np.zeros(1), np.fft.rfft(ricker(t - 1.0, 6.0)))
    total = np.zeros((1, len(freqs)), np.complex64)
    add_wave(total, wave, freqs, 10.0)
    moved = irfft(total, n, axis=1)[0]
    np.testing.assert_allclose(moved, ricker(t - 1.0 - delay, 6.0), atol=2e-4)
