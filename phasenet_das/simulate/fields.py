"""Random fields along a cable: smooth curves, and waves of many directions and speeds.

A diffuse wave field on a straight fibre is a Gaussian field whose power in frequency and wavenumber is that
of its plane waves. Waves of azimuth ``phi`` and speed ``c`` have the wavenumber ``f cos(phi) / c`` along the
fibre. Rayleigh waves strain it by ``cos(phi)**2 / c`` for each unit of acceleration, Love waves by
``sin(phi) cos(phi) / c``, together a power of ``cos(phi)**2 / c**2``, less what the gauge length averages
out. Waves shorter than two channel spacings alias, as they do on a real cable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, irfft2, next_fast_len, rfft

from phasenet_das.simulate.seeds import generator

_PATCH = 1024
_OVERLAP = 64
_DIRECTIONS = 512


def smooth_series(rng: np.random.Generator, num: int, length: float, rows: int | None = None) -> np.ndarray:
    """Draw a stationary Gaussian series of unit variance.

    Returns (num,) or (rows, num), float64.
    """
    shape: tuple[int, ...] = (num,) if rows is None else (rows, num)
    if length < 0.5:
        return rng.standard_normal(shape)
    length = min(length, 20.0 * num)
    size = next_fast_len(int(num + 6 * length) + 1, real=True)
    white = rng.standard_normal((*shape[:-1], size))
    response = np.exp(-((np.pi * np.fft.rfftfreq(size) * length) ** 2))
    weight = np.full(len(response), 2.0)
    weight[0] = 1.0
    if size % 2 == 0:
        weight[-1] = 1.0
    response /= np.sqrt((weight * response**2).sum() / size)
    smooth: np.ndarray = irfft(rfft(white, axis=-1) * response, size, axis=-1)[..., :num]
    return smooth


def complex_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw complex normal numbers of unit mean square."""
    parts = rng.standard_normal((*shape[:-1], 2 * shape[-1]), dtype=np.float32)
    parts *= np.float32(np.sqrt(0.5))
    return parts.view(np.complex64)


@dataclass(frozen=True)
class WavePopulation:
    """Plane waves that make up a diffuse field."""

    speed_m_s: float  # Median speed
    speed_spread: float  # Standard deviation of the logarithm of the speed
    gauge_length_m: float
    dx_m: float  # Channel spacing
    # Slowness along the fibre of the frame in which the field is wanted (a moving source), else 0
    frame_slowness_s_m: float = 0.0

    def amplitude(self, seed: int, freqs_hz: np.ndarray, num_wavenumbers: int) -> np.ndarray:
        """Give the spectral amplitude of strain rate for unit acceleration.

        `freqs_hz` (frequency,). Returns (wavenumber, frequency) float32.
        """
        rng = generator(seed, "population")
        strata = (np.arange(_DIRECTIONS) + rng.random((len(freqs_hz), _DIRECTIONS))) / _DIRECTIONS
        cos_phi = np.cos(np.pi * strata)
        log_speed = rng.standard_normal((1, _DIRECTIONS)) * self.speed_spread
        slowness = cos_phi / (self.speed_m_s * np.exp(log_speed))
        wavenumber = freqs_hz[:, None] * slowness
        power = (slowness * np.sinc(wavenumber * self.gauge_length_m)) ** 2 / _DIRECTIONS
        wavenumber -= freqs_hz[:, None] * self.frame_slowness_s_m
        column = np.rint(wavenumber * (self.dx_m * num_wavenumbers)).astype(np.int64) % num_wavenumbers
        cell = column * len(freqs_hz) + np.arange(len(freqs_hz))[:, None]
        total = np.bincount(cell.ravel(), power.ravel(), num_wavenumbers * len(freqs_hz))
        return np.sqrt(total).reshape(num_wavenumbers, len(freqs_hz)).astype(np.float32)


@dataclass(frozen=True)
class CrossFade:
    """One patch of channels, and its weights where it overlaps its neighbours."""

    index: int  # Number of the patch
    channels: slice  # The channels it covers
    # (channel, 1) Squares add up to one over all patches, so that the variance is the same everywhere
    weight: np.ndarray


def patches(num_channels: int) -> Iterator[CrossFade]:
    """Cut a cable into overlapping patches that depend on nothing but its number of channels."""
    stride = _PATCH - _OVERLAP
    count = max(1, -(-(num_channels - _OVERLAP) // stride))
    ramp = np.sin(0.5 * np.pi * (np.arange(_OVERLAP) + 0.5) / _OVERLAP)
    for index in range(count):
        low, high = index * stride, min(index * stride + _PATCH, num_channels)
        weight = np.ones(high - low)
        if index > 0:
            weight[:_OVERLAP] = ramp[: high - low]
        if index < count - 1:
            weight[-_OVERLAP:] = ramp[::-1]
        yield CrossFade(index, slice(low, high), weight[:, None].astype(np.float32))


def num_wavenumbers(num_channels: int) -> int:
    """Give the number of wavenumbers of a patch: channels, and room so that its ends are strangers."""
    return int(next_fast_len(min(num_channels, _PATCH) + _OVERLAP))


def wave_field(
    rng: np.random.Generator, amplitude: np.ndarray, spectra: list[np.ndarray], num_samples: int
) -> list[np.ndarray]:
    """Draw one diffuse field and pass it through several filters.

    `amplitude` (wavenumber, frequency) float32, `spectra` (frequency,). Returns (wavenumber,
    num_samples) float32.
    """
    n_k, n_f = amplitude.shape
    scale = n_k * num_samples / np.sqrt(2.0 * n_f)
    coefficient = complex_normal(rng, (n_k, n_f))
    coefficient *= amplitude
    return [
        irfft2(coefficient * (scale * spectrum).astype(np.float32), (n_k, num_samples))
        for spectrum in spectra
    ]


def share(data: np.ndarray, width: int) -> np.ndarray:
    """Average over neighbouring channels, keeping the variance.

    `data` (channel, time) float32. Returns (channel, time) float32.
    """
    total = data.copy()
    for shift in range(1, width):
        total += np.roll(data, shift, axis=0)
    total /= np.float32(np.sqrt(width))
    return total
