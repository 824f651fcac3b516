"""What a fibre records without any event, made in blocks on a fixed grid of time.

A block is a function of the seed and its number alone. Neighbouring blocks overlap, and are cross-faded with
weights whose squares add up to one, so that stationary noise stays stationary.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft, rfftfreq

from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.simulate.fields import (
    CrossFade,
    WavePopulation,
    complex_normal,
    num_wavenumbers,
    patches,
    share,
    smooth_series,
    wave_field,
)
from phasenet_das.simulate.geometry import Cable
from phasenet_das.simulate.realnoise import RealNoise
from phasenet_das.simulate.seeds import generator
from phasenet_das.simulate.waves import antialias

_STRIDE = 8192
_FADE = 1024
_BLOCK = _STRIDE + _FADE
_KEEP_CHANNELS = 2000


class NoiseModel:
    """Optical, common-mode, ambient and real noise, fading, spikes and dead channels."""

    def __init__(self, config: SimulationConfig, cable: Cable, seed: int) -> None:
        self._config, self._noise, self._cable, self._seed = config, config.noise, cable, seed
        self._freqs = rfftfreq(_BLOCK, 1 / config.sampling_rate_hz)
        self._patches = list(patches(cable.num_channels))
        self._draw_channels()
        self._optical = self._unit_rms(self._optical_shape())
        population = WavePopulation(
            self._noise.ambient_speed_m_s, 0.5, cable.gauge_length_m, cable.dx_m
        ).amplitude(seed, self._freqs, num_wavenumbers(cable.num_channels))
        self._population = population
        self._power = (population.astype(np.float64) ** 2).sum(axis=0)
        self._real = RealNoise.open(config, seed) if self._noise.real_noise_dir is not None else None
        self._kept: dict[int, np.ndarray] = {}
        ramp = np.sin(0.5 * np.pi * (np.arange(_FADE) + 0.5) / _FADE)
        self._window = np.concatenate([ramp, np.ones(_STRIDE - _FADE), ramp[::-1]]).astype(np.float32)

    def _draw_channels(self) -> None:
        noise, n, dx = self._noise, self._cable.num_channels, self._cable.dx_m
        rng = generator(self._seed, "channels")
        level = noise.level_smooth_dex * smooth_series(rng, n, 150.0 / dx)
        level += noise.level_rough_dex * rng.standard_normal(n)
        self._level = (10.0**level).astype(np.float32)
        patch = noise.ambient_patch_dex * smooth_series(rng, n, 80.0 / dx)
        self._ambient_level = np.where(self._cable.coupled, 10.0**patch, 0.02).astype(np.float32)
        self._fades = rng.random(n) < noise.fading_fraction
        self.dead = rng.random(n) < noise.dead_fraction
        self._live = np.where(self.dead, 0.0, 1.0).astype(np.float32)[:, None]

    def _optical_shape(self) -> np.ndarray:
        hertz = np.sqrt(self._freqs**2 + self._noise.flicker_hz**2)
        shape: np.ndarray = hertz**self._noise.optical_slope
        return shape

    def _unit_rms(self, shape: np.ndarray) -> np.ndarray:
        """Make the spectrum of unit-variance noise, through the interrogator's filter."""
        shape = shape * np.abs(antialias(self._freqs, self._config.sampling_rate_hz))
        shape[0] = 0.0
        unit: np.ndarray = shape / np.sqrt((shape**2).mean())
        return unit

    def _ambient_spectrum(self, block: int) -> np.ndarray:
        """Ground motion whose peak and slopes wander slowly from block to block."""
        noise, hertz = self._noise, np.maximum(self._freqs, 1e-6)
        rng = generator(self._seed, "ambient-shape", block)
        low, high = noise.ambient_low_hz, noise.ambient_high_hz
        shape = 1 / (1 + (low / hertz) ** 4) / (1 + (hertz / high) ** 4)
        for _ in range(4):
            centre = np.exp(rng.uniform(np.log(low), np.log(high)))
            shape += 2 * rng.random() * np.exp(-(((hertz - centre) / (0.06 * centre)) ** 2))
        rms = np.sqrt((shape**2 * self._power).mean())
        spectrum: np.ndarray = shape * (noise.ambient_rms * np.exp(0.15 * rng.standard_normal()) / rms)
        if noise.swell_rms > 0:
            swell = np.exp(-(((hertz - 0.11) / 0.04) ** 2))
            swell *= noise.swell_rms / np.sqrt((swell**2 * self._power).mean())
            spectrum = np.sqrt(spectrum**2 + swell**2)
        return spectrum

    def _whole_block(self, block: int) -> np.ndarray:
        """Noise of one block on all channels; the last two are kept, since files share blocks."""
        if block not in self._kept:
            while len(self._kept) > 1 or (self._kept and self._cable.num_channels > _KEEP_CHANNELS):
                self._kept.pop(next(iter(self._kept)))
            data = np.zeros((self._cable.num_channels, _BLOCK), np.float32)
            for patch in self._patches:
                data[patch.channels] += self._block(block, patch)
            data += self._common(block)
            self._kept[block] = data
        return self._kept[block]

    def _block(self, block: int, patch: CrossFade) -> np.ndarray:
        """Noise of one block and patch, shape (channel, time)."""
        noise = self._noise
        channels = patch.channels
        n = channels.stop - channels.start
        rng = generator(self._seed, "optical", block, patch.index)
        coefficient = complex_normal(rng, (n, len(self._freqs)))
        coefficient *= (self._optical * (_BLOCK / np.sqrt(2 * len(self._freqs)))).astype(np.float32)
        data = irfft(coefficient, _BLOCK, axis=1)
        if noise.optical_length_m > self._cable.dx_m:
            data = share(data, round(noise.optical_length_m / self._cable.dx_m))
        data *= np.float32(noise.optical_rms) * self._level[channels, None]
        if noise.ambient_rms > 0 or noise.swell_rms > 0:
            rng = generator(self._seed, "ambient", block, patch.index)
            (field,) = wave_field(rng, self._population, [self._ambient_spectrum(block)], _BLOCK)
            data += field[:n] * self._ambient_level[channels, None]
        if self._real is not None:
            data += self._real.block(block, patch.index, n, _BLOCK)
        return data * patch.weight

    def _common(self, block: int) -> np.ndarray:
        """Common-mode noise: what shakes the interrogator or its laser, the same on all channels."""
        rng = generator(self._seed, "common", block)
        shape = self._unit_rms(self._optical_shape() ** 0.3 * (1 + 3.0 / np.maximum(self._freqs, 1.0)))
        coefficient = complex_normal(rng, (len(self._freqs),)) * shape * (_BLOCK / np.sqrt(2 * len(shape)))
        series: np.ndarray = irfft(coefficient, _BLOCK) * self._noise.common_mode * self._noise.optical_rms
        bursts = rng.poisson(0.25)
        for _ in range(bursts):
            centre, width = rng.uniform(0, _BLOCK), rng.uniform(0.05, 0.5) * self._config.sampling_rate_hz
            series *= 1 + 6 * np.exp(-(((np.arange(_BLOCK) - centre) / width) ** 2))
        return series.astype(np.float32)

    def add(self, out: np.ndarray, start_sample: int) -> None:
        """Add the noise of a span.

        `out` (channel, time) float32.
        """
        stop = start_sample + out.shape[1]
        for block in range(start_sample // _STRIDE - 1, (stop - 1) // _STRIDE + 1):
            origin = block * _STRIDE
            low, high = max(origin, start_sample), min(origin + _BLOCK, stop)
            if low >= high:
                continue
            inside, target = (
                slice(low - origin, high - origin),
                slice(low - start_sample, high - start_sample),
            )
            window = self._window[inside]
            number = block + 1  # block -1 lies before the recording
            out[:, target] += self._whole_block(number)[:, inside] * window
        self._fade(out, start_sample)
        self._spikes(out, start_sample)

    def _fade(self, out: np.ndarray, start_sample: int) -> None:
        """Let the noise of some channels swell and sink, as the light in their stretch of fibre fades."""
        rows = np.flatnonzero(self._fades)
        if not len(rows):
            return
        step = max(1, round(8.0 * self._config.sampling_rate_hz))
        sample = start_sample + np.arange(out.shape[1])
        knot = sample // step
        first, last = int(knot[0]), int(knot[-1]) + 1
        levels = np.stack(
            [
                generator(self._seed, "fading", number + 1).standard_normal(self._cable.num_channels)[rows]
                for number in range(first, last + 1)
            ],
            axis=1,
        )
        weight = 0.5 - 0.5 * np.cos(np.pi * (sample % step) / step)
        mixed = levels[:, knot - first] * (1 - weight) + levels[:, knot - first + 1] * weight
        out[rows] *= 10.0 ** (self._noise.fading_dex * np.maximum(mixed, -0.5)).astype(np.float32)

    def _spikes(self, out: np.ndarray, start_sample: int) -> None:
        """Add single-sample jumps of phase; they come in one channel or in a few neighbours."""
        noise, n = self._noise, self._cable.num_channels
        stop = start_sample + out.shape[1]
        per_block = noise.spikes_per_channel_hour * n * _STRIDE / self._config.sampling_rate_hz / 3600
        for block in range(start_sample // _STRIDE, (stop - 1) // _STRIDE + 1):
            rng = generator(self._seed, "spikes", block + 1)
            count = rng.poisson(per_block)
            sample = block * _STRIDE + rng.integers(0, _STRIDE, count) - start_sample
            size = noise.optical_rms * 30 * rng.lognormal(0.0, 0.8, count) * rng.choice([-1.0, 1.0], count)
            channel = rng.integers(0, n, count)
            inside = (sample >= 0) & (sample < out.shape[1])
            np.add.at(out, (channel[inside], sample[inside]), size[inside].astype(np.float32))

    def silence(self, out: np.ndarray) -> None:
        """Set dead channels to zero.

        `out` (channel, time) float32.
        """
        out *= self._live
