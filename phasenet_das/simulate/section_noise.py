"""Noise for single sections: optical, common-mode, diffuse and plane waves, vehicles, real recordings."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.fft import irfft, rfftfreq

from phasenet_das.simulate.fields import (
    WavePopulation,
    complex_normal,
    num_wavenumbers,
    share,
    smooth_series,
    wave_field,
)
from phasenet_das.simulate.realnoise import fill

_POPULATIONS = 10


@lru_cache(maxsize=_POPULATIONS)
def _population(number: int, num_channels: int, num_samples: int, dt_s: float, seed: int) -> np.ndarray:
    """Waves of one of several speeds, from a tenth to ten times a channel's spacing in a sample."""
    speed = 10 ** (-1.0 + 2.0 * number / (_POPULATIONS - 1)) / dt_s
    waves = WavePopulation(speed, 0.4, gauge_length_m=1.5, dx_m=1.0)
    return waves.amplitude(seed, rfftfreq(num_samples, dt_s), num_wavenumbers(num_channels))


class SectionNoise:
    """Draws the noise of sections of one shape.

    `real` (channel, time) float32.
    """

    def __init__(
        self, num_channels: int, num_samples: int, dt_s: float, seed: int, real: list[np.ndarray]
    ) -> None:
        self._shape, self._dt_s, self._seed, self._real = (num_channels, num_samples), dt_s, seed, real
        self._freqs = rfftfreq(num_samples)

    def draw(self, rng: np.random.Generator, *, vehicles: bool) -> np.ndarray:
        """Draw the noise of one section.

        Returns (channel, time) float32.
        """
        n = self._shape[0]
        data = self._optical(rng)
        if rng.random() < 0.6:
            patch = smooth_series(rng, n, n * rng.uniform(0.05, 0.5))
            level = 10 ** (rng.uniform(-0.8, 0.6) + rng.uniform(0, 0.5) * patch)
            data += self.diffuse(rng) * level[:, None].astype(np.float32)
        if rng.random() < 0.4:
            data += self._common(rng) * np.float32(10 ** rng.uniform(-1, 0.3))
        if self._real and rng.random() < 0.5:
            record = self._real[int(rng.integers(len(self._real)))]
            data += fill(record, *self._shape, rng) * np.float32(10 ** rng.uniform(-0.7, 0.5))
        if vehicles:
            data += self._vehicles(rng)
        if rng.random() < 0.2:
            self._spikes(data, rng)
        return data / max(float(data.std()), 1e-12)

    def _coloured(self, rng: np.random.Generator) -> np.ndarray:
        """Spectrum that rises, falls or has a hump, of unit power."""
        hertz = np.maximum(self._freqs, self._freqs[1])
        shape = hertz ** rng.uniform(-0.8, 1.2)
        centre, width = np.exp(rng.uniform(np.log(0.01), np.log(0.4))), rng.uniform(0.05, 0.5)
        shape = shape / shape.mean() + rng.choice([0.0, 3.0]) * np.exp(
            -((np.log(hertz / centre) / width) ** 2)
        )
        shape *= 1 / np.sqrt(1 + (hertz / rng.uniform(0.3, 0.6)) ** 12)
        shape[0] = 0.0
        unit: np.ndarray = shape / np.sqrt((shape**2).mean())
        return unit

    def _optical(self, rng: np.random.Generator) -> np.ndarray:
        n, samples = self._shape
        scale = samples / np.sqrt(2 * len(self._freqs))
        coefficient = complex_normal(rng, (n, len(self._freqs)))
        coefficient *= (self._coloured(rng) * scale).astype(np.float32)
        data: np.ndarray = irfft(coefficient, samples, axis=1)
        width = int(rng.integers(1, 8)) if rng.random() < 0.5 else 1
        data = share(data, width)
        smooth = rng.uniform(0, 0.4) * smooth_series(rng, n, n * rng.uniform(0.03, 0.3))
        level = 10 ** (smooth + rng.uniform(0, 0.4) * rng.random() * rng.standard_normal(n))
        return data * level[:, None].astype(np.float32)

    def diffuse(self, rng: np.random.Generator) -> np.ndarray:
        """Draw waves of many directions and one range of speeds.

        Returns (channel, time) float32.
        """
        n, samples = self._shape
        amplitude = _population(int(rng.integers(_POPULATIONS)), n, samples, self._dt_s, self._seed)
        power = (amplitude.astype(np.float64) ** 2).sum(axis=0)
        shape = self._coloured(rng) / np.sqrt(np.maximum(power, 1e-3 * power.max()))
        shape /= np.sqrt((shape**2 * power).mean())
        field: np.ndarray = wave_field(rng, amplitude, [shape], samples)[0][:n]
        return field

    def _common(self, rng: np.random.Generator) -> np.ndarray:
        samples = self._shape[1]
        coefficient = complex_normal(rng, (len(self._freqs),)) * self._coloured(rng)
        series: np.ndarray = irfft(coefficient * (samples / np.sqrt(2 * len(self._freqs))), samples)
        return series.astype(np.float32)

    def _vehicles(self, rng: np.random.Generator) -> np.ndarray:
        """Streaks of moving loads: slow against any seismic wave."""
        n, samples = self._shape
        total = np.zeros(self._shape, np.float32)
        time = np.arange(samples, dtype=np.float32)
        for _ in range(int(rng.integers(1, 4))):
            pace = rng.choice([-1.0, 1.0]) * np.exp(rng.uniform(np.log(3.0), np.log(60.0)))
            passing = rng.uniform(-0.2, 1.2) * samples + pace * (np.arange(n) - n / 2)
            passing += 0.02 * samples * smooth_series(rng, n, 0.3 * n)
            width = abs(pace) * rng.uniform(0.5, 3.0) + 4.0
            ratio = (time - passing[:, None].astype(np.float32)) / np.float32(width)
            squared = ratio * ratio
            shape = ratio * (squared * 2 - 3) / (1 + squared) ** np.float32(3.5)
            total += shape * np.float32(10 ** rng.uniform(0.0, 1.3))
        return total

    def _spikes(self, data: np.ndarray, rng: np.random.Generator) -> None:
        count = int(rng.integers(1, 30))
        channel, sample = rng.integers(0, self._shape[0], count), rng.integers(0, self._shape[1], count)
        data[channel, sample] += (10 * rng.standard_normal(count)).astype(np.float32)
