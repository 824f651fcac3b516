"""Exact rays in a layered earth, and the delays by which the true earth departs from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasenet_das.simulate.config import EarthConfig
from phasenet_das.simulate.fields import smooth_series
from phasenet_das.simulate.seeds import generator

_BISECTIONS = 60


@dataclass(frozen=True)
class Rays:
    """Rays of one phase from one source to many receivers."""

    time_s: np.ndarray  # (receiver,) Travel time; infinite where the ray does not exist
    slowness_s_km: np.ndarray  # (receiver,) Horizontal slowness (ray parameter)
    up_at_source: np.ndarray  # (receiver,) Whether the ray leaves the source upwards
    up_at_receiver: np.ndarray  # (receiver,) Whether it reaches the receiver upwards


@dataclass(frozen=True)
class LayeredEarth:
    """Flat layers of constant velocity."""

    top_km: np.ndarray  # (layer,) Tops below sea level; the first layer has none
    speed_km_s: dict[str, np.ndarray]  # (layer,) Velocity by phase, ``P`` and ``S``

    @classmethod
    def from_config(cls, config: EarthConfig) -> LayeredEarth:
        """Make the earth of the settings."""
        top = np.array(config.layer_top_km)
        top[0] = -np.inf
        return cls(top, {"P": np.array(config.vp_km_s), "S": np.array(config.vs_km_s)})

    def speed_at(self, phase: str, depth_km: np.ndarray | float) -> np.ndarray:
        """Give the velocity at a depth."""
        layer = np.searchsorted(self.top_km, depth_km, side="right") - 1
        speed: np.ndarray = self.speed_km_s[phase][layer]
        return speed

    def thickness(self, upper_km: np.ndarray, lower_km: np.ndarray) -> np.ndarray:
        """Give the thickness of each layer between two depths.

        `upper_km` and `lower_km` (receiver,). Returns (receiver, layer).
        """
        bottom = np.append(self.top_km[1:], np.inf)
        upper, lower = np.broadcast_arrays(np.atleast_1d(upper_km), np.atleast_1d(lower_km))
        between = np.minimum(lower[:, None], bottom) - np.maximum(upper[:, None], self.top_km)
        return np.maximum(between, 0.0)

    def vertical_time(self, phase: str, thickness_km: np.ndarray, slowness_s_km: np.ndarray) -> np.ndarray:
        """Give the vertical part of the travel time (tau) through layers.

        `thickness_km` (receiver, layer), `slowness_s_km` (receiver,). Returns (receiver,).
        """
        squared = self.speed_km_s[phase] ** -2.0 - slowness_s_km[:, None] ** 2
        total: np.ndarray = (thickness_km * np.sqrt(np.maximum(squared, 0.0))).sum(axis=1)
        return total

    def direct(self, phase: str, source_km: np.ndarray, receivers_km: np.ndarray) -> Rays:
        """Find the direct rays: bisection of ``X(p)`` (Aki & Richards 2002, section 9.3).

        `source_km` (3,), `receivers_km` (receiver, 3).
        """
        offset = np.hypot(*(receivers_km[:, :2] - source_km[:2]).T)
        depth = receivers_km[:, 2]
        level = np.abs(depth - source_km[2]) < 1e-6
        depth = np.where(level, source_km[2] - 1e-6, depth)
        layers = self.thickness(np.minimum(depth, source_km[2]), np.maximum(depth, source_km[2]))
        speed = self.speed_km_s[phase]
        fastest = np.where(layers > 0, speed, 0.0).max(axis=1)
        ratio = speed / fastest[:, None]

        def reach(tangent: np.ndarray) -> np.ndarray:
            sine = np.minimum(ratio * (tangent / np.sqrt(1 + tangent**2))[:, None], 1.0)
            cosine = np.sqrt(np.maximum(1 - sine**2, 1e-24))
            total: np.ndarray = (layers * sine / cosine).sum(axis=1)
            return total

        low, high = np.full(len(offset), -20.0), np.log(np.maximum(offset, 1e-9)) + 25.0
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            short = reach(np.exp(middle)) < offset
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        tangent = np.exp(0.5 * (low + high))
        slowness = tangent / np.sqrt(1 + tangent**2) / fastest
        time = offset * slowness + self.vertical_time(phase, layers, slowness)
        up = depth <= source_km[2]
        return Rays(time, slowness, up, up)

    def head(self, phase: str, source_km: np.ndarray, receivers_km: np.ndarray) -> Rays:
        """Find the fastest head waves along the interfaces below source and receiver.

        `source_km` (3,), `receivers_km` (receiver, 3).
        """
        offset = np.hypot(*(receivers_km[:, :2] - source_km[:2]).T)
        speed = self.speed_km_s[phase]
        best = np.full(len(offset), np.inf)
        slowness = np.full(len(offset), 1.0 / speed[-1])
        for top, below in zip(self.top_km[1:], speed[1:], strict=True):
            legs = self.thickness(receivers_km[:, 2], np.full(len(offset), top))
            legs = legs + self.thickness(source_km[2:], np.array([top]))
            fits = (top > source_km[2]) & (top > receivers_km[:, 2])
            fits &= np.where(legs > 0, speed, 0.0).max(axis=1) < below
            if not fits.any():
                continue
            p = np.full(len(offset), 1.0 / below)
            sine = np.minimum(speed / below, 1 - 1e-12)
            fits &= (legs * sine / np.sqrt(1 - sine**2)).sum(axis=1) <= offset
            time = np.where(fits, offset / below + self.vertical_time(phase, legs, p), np.inf)
            slowness = np.where(time < best, p, slowness)
            best = np.minimum(best, time)
        below_source = np.zeros(len(offset), bool)
        return Rays(best, slowness, below_source, ~below_source)

    def first(self, phase: str, source_km: np.ndarray, receivers_km: np.ndarray) -> np.ndarray:
        """Give the time of the first arrival.

        `source_km` (3,), `receivers_km` (receiver, 3). Returns (receiver,).
        """
        direct = self.direct(phase, source_km, receivers_km).time_s
        return np.minimum(direct, self.head(phase, source_km, receivers_km).time_s)


class DelayField:
    """Delays that vary smoothly with the place of the source and of the receiver.

    The path delay is a random Fourier series in both places, so that neighbours have alike delays; the site
    delay belongs to the channel alone. S delays are mostly those of P, longer by the velocity ratio.
    """

    _TERMS = 48

    def __init__(self, config: EarthConfig, num_channels: int, dx_m: float, seed: int) -> None:
        rng = generator(seed, "delays")
        length = config.delay_length_km
        self._wave = {phase: rng.standard_normal((self._TERMS, 6)) / length for phase in "PS"}
        self._angle = {phase: rng.uniform(0, 2 * np.pi, self._TERMS) for phase in "PS"}
        self._path = config.path_delay
        scale = config.site_delay_s
        channels = 1e3 * length / dx_m
        common = smooth_series(rng, num_channels, 0.5 * channels)
        fine = smooth_series(rng, num_channels, 0.05 * channels, rows=2)
        self._site = {
            "P": scale * (0.9 * common + 0.4 * fine[0]),
            "S": 1.8 * scale * (0.8 * common + 0.6 * fine[1]),
        }

    def __call__(
        self, phase: str, source_km: np.ndarray, receivers_km: np.ndarray, time_s: np.ndarray
    ) -> np.ndarray:
        """Give the delay of each channel.

        `source_km` (3,), `receivers_km` (channel, 3), `time_s` (channel,). Returns (channel,).
        """
        shared = self._series("P", source_km, receivers_km)
        if phase == "S":
            shared = 0.8 * shared + 0.6 * self._series("S", source_km, receivers_km)
        delay = self._path * time_s * shared + self._site[phase]
        limit = 0.1 * time_s
        bounded: np.ndarray = limit * np.tanh(delay / np.maximum(limit, 1e-9))
        return bounded

    def _series(self, phase: str, source_km: np.ndarray, receivers_km: np.ndarray) -> np.ndarray:
        wave, angle = self._wave[phase], self._angle[phase]
        total = np.zeros(len(receivers_km))
        for start in range(0, len(receivers_km), 4096):
            part = slice(start, start + 4096)
            argument = np.einsum("ij,kj->ik", receivers_km[part], wave[:, 3:])
            argument += np.einsum("kj,j->k", wave[:, :3], source_km) + angle
            total[part] = np.sqrt(2.0 / self._TERMS) * np.cos(argument).sum(axis=1)
        return total
