"""The phases of an event on every channel: direct, head, converted, reflected, scattered, surface waves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import rfft

from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.simulate.earth import DelayField, LayeredEarth, Rays
from phasenet_das.simulate.fields import smooth_series
from phasenet_das.simulate.geometry import Cable
from phasenet_das.simulate.seeds import generator
from phasenet_das.simulate.sources import Event, corner_frequency_hz, moment_n_m, radiation
from phasenet_das.simulate.waves import Wave, acceleration_spectrum, axial_factor, polarisations

_MULTIPATHS = 6
_MULTIPATH_SHARE = {"P": 2.0, "S": 0.7}  # much of the coda of P is P turned into S
_FORWARD_S = 2.0
_POINT_SHARE = 0.15  # of the slow waves, what point scatterers make
_DEEPER_S = 20.0  # longer paths run deeper, where less is lost
_HEAD_AMPLITUDE = 0.25
_REFLECTED = 0.35  # the weathered ground swallows most of what the surface would send down
_S_TO_P = 0.15  # precursors of S are seldom seen; P along the fibre would make too much of them
_MEAN_RADIATION = {"P": 0.52, "S": 0.63}  # rms over the focal sphere (Boore & Boatwright 1984)
_GEOMETRIC_KM = 100.0  # beyond it body waves turn into guided waves, which spread in two dimensions


@dataclass(frozen=True)
class Arrivals:
    """First arrivals of an event."""

    p_s: np.ndarray  # (channel,) Times after the origin, as s_s
    s_s: np.ndarray
    p_delay_s: np.ndarray  # (channel,) The part that the layers do not explain, as s_delay_s
    s_delay_s: np.ndarray


@dataclass(frozen=True)
class _Path:
    """Geometry of one event: azimuths, distance, and both kinds of rays with their delays added."""

    event: Event
    azimuth_rad: np.ndarray
    offset_km: np.ndarray
    spreading_km: np.ndarray
    direct: dict[str, Rays]
    head: dict[str, Rays]
    delay_s: dict[str, np.ndarray]

    def first(self, phase: str) -> np.ndarray:
        layers = np.minimum(self.direct[phase].time_s, self.head[phase].time_s)
        first: np.ndarray = layers + self.delay_s[phase]
        return first

    def arrivals(self) -> Arrivals:
        return Arrivals(self.first("P"), self.first("S"), self.delay_s["P"], self.delay_s["S"])


class PhaseModel:
    """Turns an event into waves."""

    def __init__(self, config: SimulationConfig, cable: Cable, seed: int) -> None:
        self._config, self._cable, self._seed = config, cable, seed
        self._earth = LayeredEarth.from_config(config.earth)
        self._delays = DelayField(config.earth, cable.num_channels, cable.dx_m, seed)
        self._scatterers = self._draw_scatterers()
        rng = generator(seed, "kappa")
        site = smooth_series(rng, cable.num_channels, config.waves.site_length_m / cable.dx_m)
        self._kappa_s = config.earth.kappa_s * np.exp(0.3 * site)

    def _draw_scatterers(self) -> dict[str, np.ndarray]:
        rng = generator(self._seed, "scatterers")
        waves, cable = self._config.waves, self._cable
        count, length = waves.num_scatterers, cable.num_channels * cable.dx_m
        speed = waves.slow_speed_m_s * np.exp(waves.slow_speed_spread * rng.standard_normal(count))
        return {
            "channel": rng.integers(0, cable.num_channels, count),
            "aside_m": rng.uniform(0, 0.05, count) * min(length, 5000.0),
            "speed_m_s": speed,
            "strength": rng.lognormal(0.0, 0.6, count),
            "reach_m": speed * rng.uniform(0.1, 0.5, count) * (100.0 / self._config.sampling_rate_hz),
        }

    def path(self, event: Event) -> _Path:
        """Find the rays of an event."""
        receivers = self._cable.position_km
        east, north, down = (receivers - event.position_km).T
        offset = np.hypot(east, north)
        distance = np.sqrt(offset**2 + down**2)
        guided = np.minimum(distance, _GEOMETRIC_KM) * np.sqrt(np.maximum(distance / _GEOMETRIC_KM, 1.0))
        direct = {phase: self._earth.direct(phase, event.position_km, receivers) for phase in "PS"}
        head = {phase: self._earth.head(phase, event.position_km, receivers) for phase in "PS"}
        delay = {
            phase: self._delays(
                phase,
                event.position_km,
                receivers,
                np.minimum(direct[phase].time_s, head[phase].time_s),
            )
            for phase in "PS"
        }
        azimuth = np.arctan2(east, north)
        return _Path(event, azimuth, offset, np.maximum(guided, 0.05), direct, head, delay)

    def arrivals(self, event: Event) -> Arrivals:
        """Give the first arrivals of an event."""
        return self.path(event).arrivals()

    def acceleration(self, phase: str, event: Event, freqs_hz: np.ndarray) -> np.ndarray:
        """Give the acceleration 1 km from an event, without radiation pattern and attenuation.

        `freqs_hz` (frequency,). Returns (frequency,) complex128.
        """
        depth = event.position_km[2]
        moment = float(moment_n_m(event.magnitude))
        vs = float(self._earth.speed_at("S", depth))
        corner = corner_frequency_hz(moment, event.stress_drop_mpa, vs, phase)
        speeds = (
            float(self._earth.speed_at(phase, depth)),
            float(self._earth.speed_at(phase, self._cable.middle_km[2])),
        )
        rate = self._config.sampling_rate_hz
        return acceleration_spectrum(freqs_hz, rate, moment, corner, speeds)

    def t_star(self, phase: str, path: _Path) -> np.ndarray:
        """Give the attenuation time of each channel: along the path, and below the cable.

        Returns (channel,).
        """
        earth = self._config.earth
        quality, share = (earth.q_p, 0.7) if phase == "P" else (earth.q_s, 1.0)
        time = path.direct[phase].time_s
        t_star: np.ndarray = time / (quality * (1 + time / _DEEPER_S)) + share * self._kappa_s
        return t_star

    def waves(self, path: _Path, start_s: float, freqs_hz: np.ndarray) -> list[Wave]:
        """Build every wave of an event.

        `freqs_hz` (frequency,).
        """
        found: list[Wave] = []
        for phase in "PS":
            spectrum = self.acceleration(phase, path.event, freqs_hz)
            rng = generator(self._seed, f"waves.{phase}", path.event.index)
            lag = float(np.median(path.first("S") - path.first("P")))
            sharp = 1 / np.sqrt(1 + lag / _FORWARD_S)  # forward scattering blurs the onset of long paths
            source = spectrum * (sharp + self._train(rng, len(freqs_hz), 0.05 * lag, 2.5 - sharp**2))
            found += self._body(phase, path, start_s, source)
            found += self._converted(phase, path, start_s, source)
            found += self._multipath(phase, path, start_s, spectrum, rng)
            found += self._scattered(phase, path, start_s, source)
        return found + self._surface(path, start_s, freqs_hz)

    def _wave(
        self,
        phase: str,
        path: _Path,
        time_s: np.ndarray,
        amplitude: np.ndarray,
        slowness_s_m: np.ndarray,
        spectrum: np.ndarray,
    ) -> Wave:
        near = amplitude / path.spreading_km
        return Wave(time_s, near, slowness_s_m, self.t_star(phase, path), spectrum)

    def _train(self, rng: np.random.Generator, n_f: int, decay_s: float, energy: float) -> np.ndarray:
        """Spectrum of a random train that swells and decays, of a given energy (to that of a spike)."""
        n_t = 2 * (n_f - 1)
        after = (np.arange(n_t) + 1.0) / self._config.sampling_rate_hz
        decay = max(decay_s, 6.0 / self._config.sampling_rate_hz)
        series = rng.standard_normal(n_t) * np.exp(-after / decay) * (1 - np.exp(-after / (0.15 * decay)))
        spectrum: np.ndarray = rfft(series * np.sqrt(energy / (series**2).sum()))
        return spectrum

    def _surface_factor(self) -> np.ndarray:
        """Twice the motion at the free surface."""
        buried = self._cable.position_km[:, 2] - self._cable.surface_km > 0.05
        well = self._config.cable.shape == "borehole" and self._config.cable.channels_file is None
        factor: np.ndarray = np.where(buried & well, 1.0, 2.0)
        return factor

    def _body(self, phase: str, path: _Path, start_s: float, spectrum: np.ndarray) -> list[Wave]:
        """Direct waves, head waves, and what the free surface sends down a well."""
        waves = []
        for rays, factor in ((path.direct[phase], 1.0), (path.head[phase], _HEAD_AMPLITUDE)):
            exists = np.isfinite(rays.time_s)
            if not exists.any():
                continue
            time = np.where(exists, rays.time_s, 0.0) + path.delay_s[phase] - start_s
            size = np.where(exists, factor, 0.0) * self._surface_factor()
            strain, slowness = self._radiated(phase, path, rays, rays.up_at_receiver)
            waves.append(self._wave(phase, path, time, size * strain, slowness, spectrum))
        rays = path.direct[phase]
        deep = (self._surface_factor() < 2) & rays.up_at_receiver
        if deep.any():
            surface = np.full(len(deep), self._cable.surface_km)
            above = self._earth.thickness(surface, self._cable.position_km[:, 2])
            time = rays.time_s + 2 * self._earth.vertical_time(phase, above, rays.slowness_s_km)
            strain, slowness = self._radiated(phase, path, rays, ~rays.up_at_receiver)
            time = time + path.delay_s[phase] - start_s
            waves.append(
                self._wave(phase, path, time, np.where(deep, -_REFLECTED * strain, 0), slowness, spectrum)
            )
        return waves

    def _radiated(
        self, phase: str, path: _Path, rays: Rays, up_at_receiver: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Strain rate for unit acceleration with the radiation pattern, and slowness along the fibre."""
        depth = self._cable.position_km[:, 2]
        source_speed = float(self._earth.speed_at(phase, path.event.position_km[2]))
        sine = np.clip(rays.slowness_s_km * source_speed, 0.0, 1.0)
        takeoff = np.where(rays.up_at_source, np.pi - np.arcsin(sine), np.arcsin(sine))
        p, sv, sh = radiation(path.event, path.azimuth_rad, takeoff)
        speed = self._earth.speed_at(phase, depth)
        sine = np.clip(rays.slowness_s_km * speed, 0.0, 1.0)
        incidence = np.where(up_at_receiver, np.pi - np.arcsin(sine), np.arcsin(sine))
        along, to_sv, to_sh = polarisations(path.azimuth_rad, incidence)
        fibre = self._cable.tangent
        slowness = (fibre * along).sum(-1) / (1e3 * speed)
        if phase == "P":
            return p * axial_factor(fibre, along, along, 1e3 * speed), slowness
        strain = sv * axial_factor(fibre, along, to_sv, 1e3 * speed)
        return strain + sh * axial_factor(fibre, along, to_sh, 1e3 * speed), slowness

    def _converted(self, phase: str, path: _Path, start_s: float, spectrum: np.ndarray) -> list[Wave]:
        """P to S behind P, and S to P before S, at the two strongest interfaces between source and cable."""
        other = "S" if phase == "P" else "P"
        earth, rays, depth = self._earth, path.direct[phase], self._cable.position_km[:, 2]
        vs = earth.speed_km_s["S"]
        contrast = np.diff(vs) / (0.5 * (vs[1:] + vs[:-1]))
        between = (earth.top_km[1:] > depth.min()) & (earth.top_km[1:] < path.event.position_km[2])
        strongest = np.argsort(np.where(between, -contrast, np.inf))[: min(2, int(between.sum()))]
        waves = []
        for interface in strongest:
            top = earth.top_km[interface + 1]
            above = earth.thickness(depth, np.maximum(depth, top))
            p = rays.slowness_s_km
            lag = earth.vertical_time(other, above, p) - earth.vertical_time(phase, above, p)
            speed = earth.speed_at(other, depth)
            possible = rays.up_at_receiver & (p * speed < 0.98) & (depth < top)
            sine = np.clip(p * speed, 0.0, 1.0)
            along, to_sv, _ = polarisations(path.azimuth_rad, np.pi - np.arcsin(sine))
            toward = to_sv if other == "S" else along
            size = self._config.waves.conversion * contrast[interface] * 2 * p * vs[interface + 1]
            size *= 1.0 if phase == "P" else _S_TO_P
            size = np.where(possible, size * _MEAN_RADIATION[phase] * self._surface_factor(), 0.0)
            strain = axial_factor(self._cable.tangent, along, toward, 1e3 * speed)
            slowness = (self._cable.tangent * along).sum(-1) / (1e3 * speed)
            time = np.maximum(rays.time_s + lag + path.delay_s[phase], path.first("P")) - start_s
            waves.append(self._wave(other, path, time, size * strain, slowness, spectrum))
        return waves

    def _multipath(
        self, phase: str, path: _Path, start_s: float, spectrum: np.ndarray, rng: np.random.Generator
    ) -> list[Wave]:
        """Body waves from somewhat other directions, each followed by its own random train."""
        rays, first = path.direct[phase], path.first(phase)
        room_s = float(np.min(path.first("S") - path.first("P")))
        slowness = self._slowness_vector(phase, path, rays)
        where = self._cable.position_km - self._cable.middle_km
        energy = self._config.waves.multipath * _MULTIPATH_SHARE[phase] / _MULTIPATHS
        length = max(2.0, 4 * self._config.waves.site_length_m / self._cable.dx_m)
        waves = []
        for number in range(_MULTIPATHS):
            turned = np.einsum("ij,jk->ik", slowness, _rotation(rng, 0.45))
            if number % 4 == 3:
                turned = turned * (1.0, 1.0, -1.0)  # scattered above a buried channel
            tilt = ((turned - slowness) * where).sum(-1)
            tilt -= tilt.min()
            tilt *= min(1.0, 0.5 * room_s / max(float(tilt.max()), 1e-9))
            time = first + tilt + room_s * rng.uniform(0.0, 0.05) - start_s
            train = self._train(rng, len(spectrum), room_s * rng.uniform(0.3, 1.2), energy)
            pattern = smooth_series(rng, self._cable.num_channels, length)
            along = 1e-3 * (self._cable.tangent * turned).sum(-1)
            size = _MEAN_RADIATION[phase] * self._surface_factor() * pattern * np.abs(along)
            waves.append(self._wave(phase, path, time, size, along, spectrum * train))
        return waves

    def _slowness_vector(self, phase: str, path: _Path, rays: Rays) -> np.ndarray:
        """Slowness of a ray at each channel in s/km (east, north, down)."""
        p = rays.slowness_s_km
        vertical = np.sqrt(np.maximum(self._speed(phase) ** -2.0 - p**2, 0.0))
        down = np.where(rays.up_at_receiver, -vertical, vertical)
        return np.stack([p * np.sin(path.azimuth_rad), p * np.cos(path.azimuth_rad), down], axis=-1)

    def _speed(self, phase: str) -> np.ndarray:
        return self._earth.speed_at(phase, self._cable.position_km[:, 2])

    def _scattered(self, phase: str, path: _Path, start_s: float, spectrum: np.ndarray) -> list[Wave]:
        """Slow waves from strong scatterers beside the cable: hyperbolas, the same for every event."""
        first, cable = path.first(phase), self._cable
        share = self._config.waves.scatter_p if phase == "P" else self._config.waves.scatter_s
        place = cable.dx_m * np.arange(cable.num_channels)
        waves = []
        for channel, aside, speed, strength, reach in zip(*self._scatterers.values(), strict=True):
            ahead = place - place[channel]
            range_m = np.hypot(ahead, aside) + 1.0
            size = np.exp(-range_m / reach) * (ahead / range_m) ** 2 / speed
            size = np.where(range_m < 5 * reach, size, 0.0) * strength * np.sqrt(_POINT_SHARE * share)
            size *= _MEAN_RADIATION[phase] * self._surface_factor()[channel]
            time = np.maximum(first[channel] + range_m / speed, first) - start_s
            slowness = ahead / range_m / speed
            waves.append(self._wave(phase, path, time, size, slowness, spectrum))
        return waves

    def _surface(self, path: _Path, start_s: float, freqs_hz: np.ndarray) -> list[Wave]:
        """Dispersed Rayleigh and Love waves of a shallow source, behind S."""
        depth = path.event.position_km[2] - self._cable.surface_km
        size = self._config.waves.surface_wave * np.exp(-depth / 0.8)
        if size < 0.01:
            return []
        vs = self._earth.speed_km_s["S"]
        slowest = float((path.first("S") / np.maximum(path.offset_km, 1e-3)).max())
        shallow = max(1.05 * slowest, 1.0 / (0.88 * vs[0]))
        deep = max(1.05 * slowest, 1.0 / (0.88 * vs[min(2, len(vs) - 1)]))
        dispersion = (shallow - deep) * freqs_hz**2 / (freqs_hz**2 + 1.0)
        spectrum = self.acceleration("S", path.event, freqs_hz) * np.exp(-freqs_hz / 3.0)
        toward = np.stack([np.sin(path.azimuth_rad), np.cos(path.azimuth_rad)], -1)
        cosine = (self._cable.tangent[:, :2] * toward).sum(-1)
        sine = (self._cable.tangent[:, :2] * toward[:, ::-1] * (1, -1)).sum(-1)
        waves = []
        for strain in (cosine**2, sine * cosine):
            amplitude = 2 * size * np.sqrt(np.maximum(path.offset_km, 0.2)) * strain * 1e-3 * shallow
            wave = self._wave(
                "S", path, path.offset_km * deep - start_s, amplitude, 1e-3 * shallow * cosine, spectrum
            )
            waves.append(replace(wave, path_km=path.offset_km, dispersion_s_km=dispersion))
        return waves


def _rotation(rng: np.random.Generator, spread_rad: float) -> np.ndarray:
    """Draw a rotation about a random axis (Rodrigues), shape (3, 3)."""
    axis = rng.standard_normal(3)
    x, y, z = axis / np.linalg.norm(axis)
    angle = rng.normal(0.0, spread_rad)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: np.ndarray = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotation
