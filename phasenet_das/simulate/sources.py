"""Earthquakes, swarms, blasts and distant earthquakes: where, when, how large, and how they radiate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from phasenet_das.simulate.config import SimulationConfig, SourceConfig
from phasenet_das.simulate.geometry import Cable
from phasenet_das.simulate.seeds import generator


@dataclass(frozen=True)
class Event:
    """One source."""

    index: int  # Number in order of time
    source_type: str  # ``earthquake``, ``quarry_blast`` or ``distant_earthquake``
    origin_s: float  # Origin time after the start of the recording
    position_km: np.ndarray  # (3,) East, north, depth in the cable's coordinates
    magnitude: float  # Moment magnitude
    stress_drop_mpa: float
    strike_deg: float  # of the double couple, as dip and rake
    dip_deg: float
    rake_deg: float


def moment_n_m(magnitude: np.ndarray | float) -> np.ndarray:
    """Give the seismic moment (Hanks & Kanamori 1979)."""
    moment: np.ndarray = np.asarray(10.0 ** (1.5 * np.asarray(magnitude, float) + 9.05))
    return moment


def corner_frequency_hz(moment: float, stress_drop_mpa: float, vs_km_s: float, phase: str) -> float:
    """Give the corner frequency (Brune 1970; P higher by 1.3, Madariaga 1976)."""
    corner = 0.49 * vs_km_s * 1e3 * (stress_drop_mpa * 1e6 / moment) ** (1 / 3)
    return corner * (1.3 if phase == "P" else 1.0)


def radiation(
    event: Event, azimuth_rad: np.ndarray, takeoff_rad: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the far-field radiation pattern (Aki & Richards 2002, eqs 4.89-4.91).

    `azimuth_rad` (receiver,), `takeoff_rad` (receiver,).
    """
    if event.source_type == "quarry_blast":
        one = np.ones_like(takeoff_rad)
        return one, 0.33 * np.sin(2 * takeoff_rad), 0.1 * np.cos(azimuth_rad)
    dip, rake = np.deg2rad(event.dip_deg), np.deg2rad(event.rake_deg)
    phi = azimuth_rad - np.deg2rad(event.strike_deg)
    i = takeoff_rad
    a, b = np.cos(rake) * np.sin(dip), np.cos(rake) * np.cos(dip)
    c, d = np.sin(rake) * np.sin(2 * dip), np.sin(rake) * np.cos(2 * dip)
    p = (
        a * np.sin(i) ** 2 * np.sin(2 * phi)
        - b * np.sin(2 * i) * np.cos(phi)
        + c * (np.cos(i) ** 2 - np.sin(i) ** 2 * np.sin(phi) ** 2)
        + d * np.sin(2 * i) * np.sin(phi)
    )
    sv = (
        d * np.cos(2 * i) * np.sin(phi)
        - b * np.cos(2 * i) * np.cos(phi)
        + 0.5 * a * np.sin(2 * i) * np.sin(2 * phi)
        - 0.5 * c * np.sin(2 * i) * (1 + np.sin(phi) ** 2)
    )
    sh = (
        b * np.cos(i) * np.sin(phi)
        + a * np.sin(i) * np.cos(2 * phi)
        + d * np.cos(i) * np.cos(phi)
        - 0.5 * c * np.sin(i) * np.sin(2 * phi)
    )
    return p, sv, sh


def draw_events(config: SimulationConfig, cable: Cable, seed: int) -> pd.DataFrame:
    """Draw everything that radiates in a recording."""
    sources = config.sources
    hours = config.duration_s / 3600.0
    rng = generator(seed, "events")
    kinds = [
        _local_events(round(sources.events_per_hour * hours), config, cable, rng),
        _blasts(round(sources.blasts_per_hour * hours), config, cable, rng),
        _distant_events(round(sources.distant_per_hour * hours), config, cable, rng),
    ]
    table = pd.concat([kind for kind in kinds if len(kind)] or [kinds[0]], ignore_index=True)
    table = table.sort_values("origin_s", kind="stable").reset_index(drop=True)
    table.insert(0, "event_index", np.arange(len(table)))
    return table


def events_of(table: pd.DataFrame) -> list[Event]:
    """Turn the table of :func:`draw_events` into events."""
    return [
        Event(
            index=int(row["event_index"]),
            source_type=str(row["source_type"]),
            origin_s=float(row["origin_s"]),
            position_km=np.array([row["x_km"], row["y_km"], row["z_km"]], float),
            **{name: float(row[name]) for name in _MECHANISM},
        )
        for row in table.to_dict("records")
    ]


_MECHANISM = ("magnitude", "stress_drop_mpa", "strike_deg", "dip_deg", "rake_deg")


def _table(kind: str, origin: np.ndarray, position: np.ndarray, magnitude: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "source_type": kind,
            "origin_s": origin,
            "x_km": position[:, 0],
            "y_km": position[:, 1],
            "z_km": position[:, 2],
            "magnitude": np.round(magnitude, 2),
        }
    )


def _mechanisms(
    table: pd.DataFrame, sources: SourceConfig, rng: np.random.Generator, family: np.ndarray
) -> pd.DataFrame:
    """Give each family (swarm or lone event) a mechanism, and its members small departures from it."""
    count = int(family.max(initial=-1)) + 1
    strike, dip = rng.uniform(0, 360, count), np.rad2deg(np.arccos(rng.uniform(0.1, 0.9, count)))
    rake = rng.uniform(-180, 180, count)
    n = len(table)
    table["strike_deg"] = (strike[family] + 8 * rng.standard_normal(n)) % 360
    table["dip_deg"] = np.clip(dip[family] + 5 * rng.standard_normal(n), 5, 90)
    table["rake_deg"] = (rake[family] + 8 * rng.standard_normal(n) + 180) % 360 - 180
    table["stress_drop_mpa"] = sources.stress_drop_mpa * np.exp(0.6 * rng.standard_normal(n))
    return table


def _magnitudes(n: int, sources: SourceConfig, rng: np.random.Generator) -> np.ndarray:
    """Draw from the doubly truncated Gutenberg-Richter distribution."""
    beta = sources.b_value * np.log(10)
    span = 1 - np.exp(-beta * (sources.magnitude_max - sources.magnitude_min))
    drawn: np.ndarray = sources.magnitude_min - np.log1p(-rng.random(n) * span) / beta
    return drawn


def _around(
    n: int, low_km: float, high_km: float, depth: tuple[float, float], cable: Cable, rng: np.random.Generator
) -> np.ndarray:
    """Draw epicentres evenly over a ring about the cable's middle; depths evenly."""
    radius = np.sqrt(rng.uniform(low_km**2, high_km**2, n))
    azimuth = rng.uniform(0, 2 * np.pi, n)
    middle = cable.middle_km
    return np.stack(
        [
            middle[0] + radius * np.sin(azimuth),
            middle[1] + radius * np.cos(azimuth),
            rng.uniform(*depth, n),
        ],
        axis=1,
    )


def _local_events(n: int, config: SimulationConfig, cable: Cable, rng: np.random.Generator) -> pd.DataFrame:
    sources = config.sources
    depth = (sources.depth_min_km, sources.depth_max_km)
    near, far = sources.distance_min_km, sources.distance_max_km
    position = _around(n, near, far, depth, cable, rng)
    origin = rng.uniform(0, config.duration_s, n)
    family = np.arange(n)
    members = np.flatnonzero(rng.random(n) < sources.swarm_fraction)
    swarm = rng.integers(0, sources.num_swarms, len(members))
    centre = _around(sources.num_swarms, near, far, depth, cable, rng)
    onset = rng.uniform(0, config.duration_s, sources.num_swarms)
    position[members] = centre[swarm] + sources.swarm_radius_km * rng.standard_normal((len(members), 3))
    position[:, 2] = np.clip(position[:, 2], max(depth[0] - 1, cable.surface_km + 0.2), depth[1] + 2)
    wait = rng.exponential(0.5 * sources.swarm_duration_s, len(members))
    origin[members] = (onset[swarm] + wait) % config.duration_s
    family[members] = n + swarm
    followers = np.flatnonzero(rng.random(n) < sources.overlap_fraction)
    if n > 1:
        leaders = (followers + rng.integers(1, n, len(followers))) % n
        origin[followers] = (origin[leaders] + rng.uniform(0.3, 6.0, len(followers))) % config.duration_s
    table = _table("earthquake", origin, position, _magnitudes(n, sources, rng))
    return _mechanisms(table, sources, rng, np.unique(family, return_inverse=True)[1])


def _blasts(n: int, config: SimulationConfig, cable: Cable, rng: np.random.Generator) -> pd.DataFrame:
    sources = config.sources
    nearest_km = min(max(2.0, sources.distance_min_km), sources.distance_max_km)
    quarry = _around(1, nearest_km, sources.distance_max_km, (0, 0), cable, rng)
    position = quarry + 0.2 * rng.standard_normal((n, 3))
    position[:, 2] = cable.surface_km + 0.03
    top = max(sources.magnitude_min, min(sources.magnitude_max, 2.0))
    magnitude = rng.uniform(max(sources.magnitude_min, top - 1.0), top, n)
    table = _table("quarry_blast", rng.uniform(0, config.duration_s, n), position, magnitude)
    table = _mechanisms(table, sources, rng, np.arange(n))
    table["stress_drop_mpa"] *= 0.1
    return table


def _distant_events(n: int, config: SimulationConfig, cable: Cable, rng: np.random.Generator) -> pd.DataFrame:
    sources = config.sources
    position = _around(n, sources.distant_min_km, sources.distant_max_km, (4.0, 16.0), cable, rng)
    origin = rng.uniform(-0.12 * sources.distant_max_km, config.duration_s, n)
    magnitude = rng.uniform(sources.distant_magnitude_min, sources.distant_magnitude_max, n)
    table = _table("distant_earthquake", origin, position, magnitude)
    return _mechanisms(table, sources, rng, np.arange(n))
