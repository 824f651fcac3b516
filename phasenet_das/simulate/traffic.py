"""Vehicles that drive along the cable, and machines that run beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import next_fast_len, rfftfreq

from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.simulate.fields import WavePopulation, num_wavenumbers, patches, smooth_series, wave_field
from phasenet_das.simulate.geometry import Cable
from phasenet_das.simulate.seeds import generator

_REACH_M = 150.0


@dataclass(frozen=True)
class _Vehicle:
    """When a vehicle passes each channel (NaN where it does not), and how it sounds."""

    index: int
    pass_s: np.ndarray
    speed_m_s: float
    forward: bool
    strain_rate: float
    depth_m: float


class TrafficModel:
    """Vehicles and machines of a recording."""

    def __init__(self, config: SimulationConfig, cable: Cable, seed: int) -> None:
        self._config, self._cable, self._seed = config, cable, seed
        count = round(config.traffic.vehicles_per_hour * config.duration_s / 3600)
        drawn = [self._draw_vehicle(index) for index in range(count)]
        # A short cable can lie between the ends of a road.
        self._vehicles = [vehicle for vehicle in drawn if np.isfinite(vehicle.pass_s).any()]
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def _draw_vehicle(self, index: int) -> _Vehicle:
        traffic, cable = self._config.traffic, self._cable
        rng = generator(self._seed, "vehicle", index)
        n = cable.num_channels
        speed = float(traffic.vehicle_speed_m_s * np.exp(0.25 * rng.standard_normal()))
        local = speed * np.exp(0.12 * smooth_series(rng, n, 400.0 / cable.dx_m))
        forward = bool(rng.random() < 0.5)
        along = np.cumsum(cable.dx_m / local)
        ends = np.sort(rng.uniform(-0.3, 1.3, 2)) * n
        number = np.arange(n)
        on_road = (number >= min(ends[0], 0.7 * n)) & (number <= max(ends[1], ends[0] + 0.3 * n))
        pass_s = along if forward else along[-1] - along
        middle_s = np.median(pass_s[on_road]) if on_road.any() else 0.0
        pass_s = pass_s - middle_s + rng.uniform(0, self._config.duration_s)
        strain_rate = float(traffic.vehicle_strain_rate * rng.lognormal(0.0, 0.6))
        return _Vehicle(
            index, np.where(on_road, pass_s, np.nan), speed, forward, strain_rate, rng.uniform(6.0, 15.0)
        )

    def add(self, out: np.ndarray, start_sample: int) -> None:
        """Add vehicles and machines to a span.

        `out` (channel, time) float32.
        """
        rate = self._config.sampling_rate_hz
        begin, end = start_sample / rate, (start_sample + out.shape[1]) / rate
        for vehicle in self._vehicles:
            wide = 2.0 * _REACH_M / vehicle.speed_m_s
            if np.nanmin(vehicle.pass_s) - wide > end or np.nanmax(vehicle.pass_s) + wide < begin:
                self._kept.pop(vehicle.index, None)
                continue
            if vehicle.index not in self._kept:
                self._kept[vehicle.index] = self._render(vehicle)
            _add_rows(out, *self._kept[vehicle.index], start_sample)
        for number in range(self._config.traffic.num_machines):
            self._machine(out, start_sample, number)

    def _render(self, vehicle: _Vehicle) -> tuple[np.ndarray, np.ndarray]:
        """Rows aligned on the passing of the vehicle, and the first sample of each row."""
        rate, cable = self._config.sampling_rate_hz, self._cable
        half = int(_REACH_M / vehicle.speed_m_s * rate)
        n_t = next_fast_len(2 * half)
        passing = np.nan_to_num(vehicle.pass_s, nan=-1e6)
        start = np.floor(passing * rate).astype(np.int64) - half
        after_s = ((start[:, None] + np.arange(n_t)) / rate - passing[:, None]).astype(np.float32)
        metres = after_s * np.float32(vehicle.speed_m_s)
        rng = generator(self._seed, "vehicle-ground", vehicle.index)
        ground = np.exp(0.4 * smooth_series(rng, cable.num_channels, 60.0 / cable.dx_m))
        ground = np.where(np.isnan(vehicle.pass_s) | ~cable.coupled, 0.0, ground)
        rows = _load_strain_rate(metres / np.float32(vehicle.depth_m)) * np.float32(vehicle.strain_rate)
        slowness = (1.0 if vehicle.forward else -1.0) / vehicle.speed_m_s
        spectrum, amplitude = self._rumble(n_t, slowness)
        for patch in patches(cable.num_channels):
            rng = generator(self._seed, "vehicle-rumble", vehicle.index, patch.index)
            (field,) = wave_field(rng, amplitude, [spectrum], n_t)
            near = np.exp(-np.abs(metres[patch.channels]) / np.float32(35.0)) * patch.weight
            near *= np.float32(0.8 * vehicle.strain_rate)
            rows[patch.channels] += field[: len(near)] * near
        edge = np.minimum(1.0, 4 * (1 - np.abs(np.linspace(-1, 1, n_t)))).astype(np.float32)
        rows *= ground[:, None].astype(np.float32) * edge
        return rows, start

    def _rumble(self, n_t: int, slowness_s_m: float) -> tuple[np.ndarray, np.ndarray]:
        """Spectrum of the surface waves a vehicle makes (unit rms), and their wavenumbers in its frame."""
        noise, cable = self._config.noise, self._cable
        freqs = rfftfreq(n_t, 1 / self._config.sampling_rate_hz)
        population = WavePopulation(
            noise.ambient_speed_m_s, 0.3, cable.gauge_length_m, cable.dx_m, slowness_s_m
        )
        amplitude = population.amplitude(self._seed, freqs, num_wavenumbers(cable.num_channels))
        shape = 1 / (1 + (5.0 / np.maximum(freqs, 1e-3)) ** 4) / (1 + (freqs / 16.0) ** 4)
        power = (amplitude.astype(np.float64) ** 2).sum(axis=0)
        return shape / np.sqrt((shape**2 * power).mean()), amplitude

    def _machine(self, out: np.ndarray, start_sample: int, number: int) -> None:
        """Add one machine: a wandering tone and its overtone, spreading along the cable from one place."""
        cable, rate = self._cable, self._config.sampling_rate_hz
        rng = generator(self._seed, "machine", number)
        hertz = rng.uniform(0.06, 0.25) * rate
        place = int(rng.integers(cable.num_channels))
        range_m = cable.dx_m * np.abs(np.arange(cable.num_channels) - place) + rng.uniform(2.0, 10.0)
        decay = rng.uniform(30.0, 90.0)
        size = self._config.traffic.machine_strain_rate * rng.lognormal(0.0, 0.5)
        near = cable.coupled & (range_m < 6 * decay)
        phase, level = self._wander(number, start_sample, out.shape[1])
        for overtone, share in ((1, 1.0), (2, 0.4)):
            angle = 2 * np.pi * overtone * hertz / self._config.noise.ambient_speed_m_s * range_m[near]
            pattern = share * size * np.exp(-range_m[near] / decay)
            sample = start_sample + np.arange(out.shape[1])
            turn = 2 * np.pi * overtone * np.mod(hertz / rate * sample, 1.0) + overtone * phase
            wave = (pattern * np.cos(angle))[:, None] * (level * np.cos(turn))
            wave += (pattern * np.sin(angle))[:, None] * (level * np.sin(turn))
            out[near] += wave.astype(np.float32)

    def _wander(self, number: int, start_sample: int, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Phase and level of a machine, from knots on a fixed grid of time."""
        step = max(1, round(3.0 * self._config.sampling_rate_hz))
        sample = start_sample + np.arange(num_samples)
        knot = sample // step
        first, last = int(knot[0]), int(knot[-1]) + 1
        drawn = np.array(
            [
                generator(self._seed, "machine-knot", number, index + 1).standard_normal(2)
                for index in range(first, last + 1)
            ]
        )
        weight = (0.5 - 0.5 * np.cos(np.pi * (sample % step) / step))[:, None]
        mixed = drawn[knot - first] * (1 - weight) + drawn[knot - first + 1] * weight
        return 2.0 * mixed[:, 0], np.clip(0.7 + 0.8 * mixed[:, 1], 0.0, None)


def _load_strain_rate(ratio: np.ndarray) -> np.ndarray:
    """Strain rate at unit depth below a passing load (Boussinesq), of unit peak, by distance over depth."""
    squared = ratio * ratio
    shape: np.ndarray = ratio * (squared * 2.0 - 3.0) / (1 + squared) ** np.float32(3.5) / np.float32(0.64)
    return shape


def _add_rows(out: np.ndarray, rows: np.ndarray, start: np.ndarray, start_sample: int) -> None:
    """Add rows that each begin at their own sample, where they lie inside the span."""
    column = start[:, None] + np.arange(rows.shape[1]) - start_sample
    inside = (column >= 0) & (column < out.shape[1])
    channel = np.broadcast_to(np.arange(len(rows))[:, None], column.shape)
    out[channel[inside], column[inside]] += rows[inside]
