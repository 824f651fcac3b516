"""Noise of a fibre: of a recording in blocks on a grid of time, of single sections, of real recordings.

A block of a recording's noise is a function of the seed and its number alone. Neighbouring blocks overlap.
They are cross-faded with weights whose squares add up to one, so that stationary noise stays stationary.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy
from scipy.fft import ifft, irfft, rfftfreq

from phasenet_das.errors import ConfigError, MissingMetadataError
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
from phasenet_das.simulate.seeds import generator
from phasenet_das.simulate.waves import antialias

log = logging.getLogger(__name__)

_STRIDE = 8192
_FADE = 1024
_BLOCK = _STRIDE + _FADE
_KEEP_CHANNELS = 2000
_POPULATIONS = 10
_ENDINGS = (".h5", ".hdf5", ".tdms", ".sgy", ".segy")


def _unit_power(shape: np.ndarray) -> np.ndarray:
    """Scale an amplitude spectrum so that its noise has unit variance and no mean; changes `shape`."""
    shape[0] = 0.0
    unit: np.ndarray = shape / np.sqrt((shape**2).mean())
    return unit


def _white_rms(num_samples: int, num_freqs: int) -> float:
    """Scale by which complex normal coefficients of unit power become a series of unit variance."""
    return float(num_samples / np.sqrt(2 * num_freqs))


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
        self._real: list[np.ndarray] = []
        if self._noise.real_noise_dir is not None:
            self._real = load_noise(self._noise.real_noise_dir, config.sampling_rate_hz)
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
        return _unit_power(shape)

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
        coefficient *= (self._optical * _white_rms(_BLOCK, len(self._freqs))).astype(np.float32)
        data = irfft(coefficient, _BLOCK, axis=1)
        if noise.optical_length_m > self._cable.dx_m:
            data = share(data, round(noise.optical_length_m / self._cable.dx_m))
        data *= np.float32(noise.optical_rms) * self._level[channels, None]
        if noise.ambient_rms > 0 or noise.swell_rms > 0:
            rng = generator(self._seed, "ambient", block, patch.index)
            (field,) = wave_field(rng, self._population, [self._ambient_spectrum(block)], _BLOCK)
            data += field[:n] * self._ambient_level[channels, None]
        if self._real:
            rng = generator(self._seed, "real-noise", block, patch.index)
            record = self._real[int(rng.integers(len(self._real)))]
            data += np.float32(noise.real_noise_rms) * fill(record, n, _BLOCK, rng)
        return data * patch.weight

    def _common(self, block: int) -> np.ndarray:
        """Common-mode noise: what shakes the interrogator or its laser, the same on all channels."""
        rng = generator(self._seed, "common", block)
        shape = self._unit_rms(self._optical_shape() ** 0.3 * (1 + 3.0 / np.maximum(self._freqs, 1.0)))
        coefficient = complex_normal(rng, (len(self._freqs),)) * shape * _white_rms(_BLOCK, len(shape))
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


@lru_cache(maxsize=_POPULATIONS)
def _population(number: int, num_channels: int, num_samples: int, dt_s: float, seed: int) -> np.ndarray:
    """Waves of one of several speeds, from a tenth to ten times a channel's spacing in a sample."""
    speed = 10 ** (-1.0 + 2.0 * number / (_POPULATIONS - 1)) / dt_s
    waves = WavePopulation(speed, 0.4, gauge_length_m=1.5, dx_m=1.0)
    return waves.amplitude(seed, rfftfreq(num_samples, dt_s), num_wavenumbers(num_channels))


def _rows_in_time(coefficient: np.ndarray, num_samples: int) -> np.ndarray:
    """Transform rows back to time; torch is three times as fast where a length has large factors."""
    import torch

    series: np.ndarray = torch.fft.irfft(torch.from_numpy(coefficient), num_samples, dim=1).numpy()
    return series


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
        return _unit_power(shape)

    def _optical(self, rng: np.random.Generator) -> np.ndarray:
        n, samples = self._shape
        scale = _white_rms(samples, len(self._freqs))
        coefficient = complex_normal(rng, (n, len(self._freqs)))
        coefficient *= (self._coloured(rng) * scale).astype(np.float32)
        data = _rows_in_time(coefficient, samples)
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
        scale = len(amplitude) * samples / np.sqrt(2.0 * len(self._freqs))
        coefficient = complex_normal(rng, amplitude.shape)
        coefficient *= amplitude
        coefficient *= (scale * shape).astype(np.float32)
        return _rows_in_time(ifft(coefficient, axis=0)[:n], samples)

    def _common(self, rng: np.random.Generator) -> np.ndarray:
        samples = self._shape[1]
        coefficient = complex_normal(rng, (len(self._freqs),)) * self._coloured(rng)
        series: np.ndarray = irfft(coefficient * _white_rms(samples, len(self._freqs)), samples)
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


def load_noise(folder: str | Path, sampling_rate_hz: float) -> list[np.ndarray]:
    """Read every recording of a folder and bring it to one sampling rate.

    Returns (channel, time) float32.
    """
    from phasenet_das import io

    records = []
    for path in sorted(Path(folder).iterdir()):
        if path.suffix.lower() not in _ENDINGS:
            continue
        try:
            patch = io.read(path)
        except MissingMetadataError:  # when it was recorded does not matter here
            patch = io.read(path, start_time="1970-01-01")
        data = _resample(io.get_data(patch), 1.0 / io.get_dt_s(patch), sampling_rate_hz)
        data = data - data.mean(axis=1, keepdims=True)
        rms = data.std(axis=1)
        live = np.isfinite(rms) & (rms > 0)
        if live.sum() >= 2 and data.shape[1] >= 64:
            records.append((data[live] / np.median(rms[live])).astype(np.float32))
        else:
            log.warning("%s: no noise from it: fewer than two live channels or 64 samples", path)
    if not records:
        raise ConfigError(f"{folder}: no recording with two live channels. Give a folder of DAS files.")
    return records


def _resample(data: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    up, down = round(to_hz * 100), round(from_hz * 100)
    common = int(np.gcd(up, down))
    out: np.ndarray = scipy.signal.resample_poly(data, up // common, down // common, axis=1)
    return out


def fill(record: np.ndarray, num_channels: int, num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Stretch a recording over a shape: mirrored along the cable, random pieces crossfaded in time.

    `record` (channel, time) float32. Returns (num_channels, num_samples) float32.
    """
    rows, length = record.shape
    place = (int(rng.integers(rows)) + np.arange(num_channels)) % (2 * rows)
    place = np.where(place < rows, place, 2 * rows - 1 - place)
    piece = min(length, num_samples)
    fade = max(1, piece // 8)
    ramp = np.sin(0.5 * np.pi * (np.arange(fade) + 0.5) / fade).astype(np.float32)
    out = np.zeros((num_channels, num_samples + 2 * piece), np.float32)
    window = np.concatenate([ramp, np.ones(piece - 2 * fade, np.float32), ramp[::-1]])
    for start in range(0, num_samples + piece, piece - fade):
        offset = int(rng.integers(0, length - piece + 1))
        crop = record[:, offset : offset + piece] * window * rng.choice([-1, 1]).astype(np.float32)
        out[:, start : start + piece] += crop[place]
    return out[:, fade : fade + num_samples]
