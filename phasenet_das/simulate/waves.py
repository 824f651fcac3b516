"""From plane waves to strain rate along the fibre.

The axial strain rate of a plane wave with direction ``n``, polarisation ``p`` and speed ``c`` on a fibre
along ``l``, averaged over a gauge length ``L``, is ``-(l.n)(l.p) a / c * sinc(f L (l.n) / c)``, where ``a``
is the ground acceleration and ``sinc x = sin(pi x) / (pi x)``. So P goes with the squared cosine of the angle
between ray and fibre, S with half the sine of twice that angle, and S changes sign round a bend where P does
not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

_DENSITY_KG_M3 = 2600.0


@dataclass(frozen=True)
class Wave:
    """One wave on all channels."""

    time_s: np.ndarray  # (channel,) When it starts, after the start of the section
    # (channel,) Strain rate for unit acceleration (s/m) and every other factor; channels at 0 are left out
    amplitude: np.ndarray
    slowness_s_m: np.ndarray  # (channel,) Slowness along the fibre, for the gauge length
    t_star_s: np.ndarray  # (channel,) Attenuation time
    spectrum: np.ndarray  # (frequency,) Discrete spectrum of the acceleration
    path_km: np.ndarray | None = None  # (channel,) Path of a dispersive wave, else zeros
    dispersion_s_km: np.ndarray | None = None  # (frequency,) Slowness added at each frequency along that path

    def part(self, channels: slice) -> Wave:
        """Give the wave on some channels."""
        path = None if self.path_km is None else self.path_km[channels]
        return replace(
            self,
            time_s=self.time_s[channels],
            amplitude=self.amplitude[channels],
            slowness_s_m=self.slowness_s_m[channels],
            t_star_s=self.t_star_s[channels],
            path_km=path,
        )


def polarisations(
    azimuth_rad: np.ndarray, incidence_rad: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the directions of propagation, SV and SH (Aki & Richards 2002, section 4.5).

    `azimuth_rad` (channel,), `incidence_rad` (channel,). Returns (channel, 3).
    """
    sin_a, cos_a = np.sin(azimuth_rad), np.cos(azimuth_rad)
    sin_i, cos_i = np.sin(incidence_rad), np.cos(incidence_rad)
    along = np.stack([sin_i * sin_a, sin_i * cos_a, cos_i], axis=-1)
    sv = np.stack([cos_i * sin_a, cos_i * cos_a, -sin_i], axis=-1)
    sh = np.stack([cos_a, -sin_a, np.zeros_like(sin_a)], axis=-1)
    return along, sv, sh


def axial_factor(
    tangent: np.ndarray, direction: np.ndarray, polarisation: np.ndarray, speed_m_s: np.ndarray
) -> np.ndarray:
    """Give the strain rate of a plane wave for unit acceleration.

    `tangent` and `direction` and `polarisation` (channel, 3), `speed_m_s` (channel,). Returns
    (channel,).
    """
    factor: np.ndarray = -(tangent * direction).sum(-1) * (tangent * polarisation).sum(-1) / speed_m_s
    return factor


def antialias(freqs_hz: np.ndarray, sampling_rate_hz: float) -> np.ndarray:
    """Give the response of the interrogator's causal low-pass filter.

    `freqs_hz` (frequency,). Returns (frequency,) complex128.
    """
    filter_ = scipy.signal.butter(4, 0.84, output="sos")
    response: np.ndarray = scipy.signal.sosfreqz(filter_, 2 * np.pi * freqs_hz / sampling_rate_hz)[1]
    return response


def acceleration_spectrum(
    freqs_hz: np.ndarray,
    sampling_rate_hz: float,
    moment_n_m: float,
    corner_hz: float,
    speeds_km_s: tuple[float, float],
) -> np.ndarray:
    """Give the far-field acceleration 1 km from a Brune source (Brune 1970; Aki & Richards 2002, eq. 4.32).

    The pulse ``t exp(-2 pi fc t)`` starts at once and is of minimum phase, so the spectrum carries its exact
    phase.

    `freqs_hz` (frequency,). Returns (frequency,) complex128.
    """
    source, receiver = (1e3 * speed for speed in speeds_km_s)
    impedance = 4 * np.pi * _DENSITY_KG_M3 * np.sqrt(source**5 * receiver) * 1e3
    brune = (2j * np.pi * freqs_hz) ** 2 / (1 + 1j * freqs_hz / corner_hz) ** 2
    spectrum: np.ndarray = (moment_n_m / impedance * sampling_rate_hz) * brune
    return spectrum * antialias(freqs_hz, sampling_rate_hz)


def add_wave(total: np.ndarray, wave: Wave, freqs_hz: np.ndarray, gauge_length_m: float) -> None:
    """Add a wave to the spectra of the channels.

    Each channel's spectrum is delayed to the sub-sample time of the arrival, attenuated with the causal
    operator of Futterman (1962), and averaged over the gauge length.

    `total` (channel, frequency) complex64, `freqs_hz` (frequency,).
    """
    some = np.flatnonzero(wave.amplitude)
    if not len(some):
        return
    safe_hz = np.maximum(freqs_hz, freqs_hz[1])
    log_delay = np.log(2 * freqs_hz[-1] / safe_hz) / np.pi
    t_star = wave.t_star_s[some, None]
    cycles = freqs_hz * wave.time_s[some, None] + t_star * (freqs_hz * log_delay)
    if wave.path_km is not None and wave.dispersion_s_km is not None:
        cycles += wave.path_km[some, None] * (freqs_hz * wave.dispersion_s_km)
    cycles -= np.rint(cycles)
    angle = (-2 * np.pi * cycles).astype(np.float32)
    reach = (freqs_hz * gauge_length_m).astype(np.float32) * wave.slowness_s_m[some, None].astype(np.float32)
    size = np.exp((-np.pi * freqs_hz).astype(np.float32) * t_star.astype(np.float32))
    size *= np.sinc(reach)
    size *= wave.amplitude[some, None].astype(np.float32)
    shifted = np.empty(angle.shape, np.complex64)
    np.multiply(size, np.cos(angle), out=shifted.real)
    np.multiply(size, np.sin(angle), out=shifted.imag)
    shifted *= wave.spectrum.astype(np.complex64)
    total[some] += shifted
