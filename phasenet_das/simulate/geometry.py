"""Where each channel of a cable lies, and which way the fibre runs there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pyproj import Transformer

from phasenet_das.errors import ChannelGeometryError
from phasenet_das.simulate.config import CableConfig
from phasenet_das.simulate.fields import smooth_series
from phasenet_das.simulate.seeds import generator
from phasenet_das.tables import CHANNEL_COLUMNS, conform, read_channels


@dataclass(frozen=True)
class Cable:
    """A fibre in local Cartesian coordinates."""

    station_id: str  # Name of the cable
    channel_index: np.ndarray  # (channel,) The interrogator's numbers
    distance_m: np.ndarray  # (channel,) Optical distance
    position_km: np.ndarray  # (channel, 3) East and north of the origin, and depth below sea level
    # (channel, 3) Unit vector along the fibre, averaged over the gauge length (east, north, down)
    tangent: np.ndarray
    coupled: np.ndarray  # (channel,) False where no ground motion reaches the fibre
    located: np.ndarray  # (channel,) False where the channels file has no coordinates
    dx_m: float  # Channel spacing
    gauge_length_m: float  # Gauge length
    origin: tuple[float, float]  # Longitude and latitude of the origin of `position_km`

    @property
    def num_channels(self) -> int:
        """Number of channels."""
        return len(self.channel_index)

    @property
    def middle_km(self) -> np.ndarray:
        """Mean position of the channels, shape (3,)."""
        middle: np.ndarray = self.position_km.mean(axis=0)
        return middle

    @property
    def surface_km(self) -> float:
        """Depth of the free surface below sea level (negative above it)."""
        return float(self.position_km[:, 2].min())

    def to_geographic(self, x_km: np.ndarray, y_km: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn local coordinates into longitude and latitude."""
        lon, lat = _projection(self.origin).transform(
            np.asarray(x_km) * 1e3, np.asarray(y_km) * 1e3, direction="INVERSE"
        )
        return np.asarray(lon), np.asarray(lat)

    def table(self, dead: np.ndarray) -> pd.DataFrame:
        """Give the channel table that belongs to the recording.

        `dead` (channel,) bool.
        """
        lon, lat = self.to_geographic(self.position_km[:, 0], self.position_km[:, 1])
        unknown = np.where(self.located, 0.0, np.nan)
        table = pd.DataFrame(
            {
                "station_id": self.station_id,
                "channel_index": self.channel_index,
                "longitude": np.round(lon, 7) + unknown,
                "latitude": np.round(lat, 7) + unknown,
                "elevation_m": np.round(-1e3 * self.position_km[:, 2], 2) + unknown,
                "distance_m": self.distance_m,
                "status": np.where(dead, "dead", np.where(self.coupled, "ok", "uncoupled")),
            }
        )
        return conform(table, CHANNEL_COLUMNS, "channels")


def _projection(origin: tuple[float, float]) -> Transformer:
    target = f"+proj=aeqd +lon_0={origin[0]} +lat_0={origin[1]} +datum=WGS84 +units=m"
    return Transformer.from_crs("EPSG:4326", target, always_xy=True)


def make_cable(config: CableConfig, seed: int) -> Cable:
    """Lay out a cable: from a channels file when one is given, else drawn."""
    if config.channels_file is not None:
        return _cable_from_file(config)
    n = config.num_channels or 1000
    rng = generator(seed, "geometry")
    coupled = _slack_loops(n, config, rng)
    step_km = np.where(coupled, config.dx_m * 1e-3, 0.0)
    step_km[0] = 0.0
    heading = _headings(n, config, rng) if config.shape == "surface" else _well_headings(n, config, rng)
    position = np.cumsum(step_km[:, None] * heading, axis=0)
    position[:, 2] += _depths(n, config, rng)
    return _cable(config, position, coupled, np.ones(n, bool), (config.longitude, config.latitude))


def _slack_loops(n: int, config: CableConfig, rng: np.random.Generator) -> np.ndarray:
    coupled = np.ones(n, bool)
    if config.num_slack_loops and n > 4 * config.slack_loop_channels:
        starts = rng.integers(1, n - config.slack_loop_channels - 1, config.num_slack_loops)
        coupled[(starts[:, None] + np.arange(config.slack_loop_channels)).ravel()] = False
    return coupled


def _headings(n: int, config: CableConfig, rng: np.random.Generator) -> np.ndarray:
    turn = np.zeros(n)
    if config.num_bends:
        where = rng.integers(1, n, config.num_bends)
        np.add.at(turn, where, rng.uniform(-1, 1, config.num_bends) * config.max_bend_deg)
    azimuth = np.deg2rad(config.azimuth_deg + np.cumsum(turn))
    return np.stack([np.sin(azimuth), np.cos(azimuth), np.zeros(n)], axis=1)


def _well_headings(n: int, config: CableConfig, rng: np.random.Generator) -> np.ndarray:
    tilt = np.deg2rad(config.deviation_deg) * (1 + 0.3 * smooth_series(rng, n, 200.0))
    azimuth = np.deg2rad(config.azimuth_deg)
    return np.stack([np.sin(tilt) * np.sin(azimuth), np.sin(tilt) * np.cos(azimuth), np.cos(tilt)], axis=1)


def _depths(n: int, config: CableConfig, rng: np.random.Generator) -> np.ndarray:
    """Depth below sea level in km: of the ground along a surface cable, of the wellhead for a well."""
    if config.shape == "borehole":
        return np.full(n, -1e-3 * config.elevation_m)
    end = config.elevation_m if config.elevation_end_m is None else config.elevation_end_m
    relief = config.relief_m * smooth_series(rng, n, max(2.0, 1000.0 / config.dx_m))
    return -1e-3 * (np.linspace(config.elevation_m, end, n) + relief - relief[0])


def _cable(
    config: CableConfig,
    position: np.ndarray,
    coupled: np.ndarray,
    located: np.ndarray,
    origin: tuple[float, float],
    numbers: np.ndarray | None = None,
    dx_m: float | None = None,
) -> Cable:
    n = len(position)
    dx_m = config.dx_m if dx_m is None else dx_m
    if numbers is None:
        numbers = config.first_channel + np.arange(n)
    return Cable(
        station_id=config.station_id,
        channel_index=numbers.astype(np.int32),
        distance_m=numbers * dx_m,
        position_km=position,
        tangent=_tangents(position, max(1, round(0.5 * config.gauge_length_m / dx_m))),
        coupled=coupled,
        located=located,
        dx_m=dx_m,
        gauge_length_m=config.gauge_length_m,
        origin=origin,
    )


def _tangents(position: np.ndarray, half: int) -> np.ndarray:
    """Chord over one gauge length about each channel; where the fibre is coiled, that of its neighbour."""
    n = len(position)
    index = np.arange(n)
    chord = position[np.minimum(index + half, n - 1)] - position[np.maximum(index - half, 0)]
    length = np.linalg.norm(chord, axis=1)
    good = np.flatnonzero(length > 1e-9)
    if not len(good):
        raise ChannelGeometryError("all channels lie at one point: the direction of the fibre is unknown.")
    nearest = good[np.clip(np.searchsorted(good, index), 0, len(good) - 1)]
    tangent: np.ndarray = chord[nearest] / length[nearest, None]
    return tangent


def _cable_from_file(config: CableConfig) -> Cable:
    path = Path(str(config.channels_file))
    table = read_channels(path, config.station_id)
    table = table.sort_values("channel_index")
    table = table[table["channel_index"] >= config.first_channel].iloc[: config.num_channels]
    located = table[["longitude", "latitude", "elevation_m"]].notna().all(axis=1).to_numpy()
    if located.sum() < 2:
        raise ChannelGeometryError(f"{path}: fewer than two channels have coordinates.")
    good = table[located]
    origin = (float(good["longitude"].iloc[0]), float(good["latitude"].iloc[0]))
    x_m, y_m = _projection(origin).transform(good["longitude"].to_numpy(), good["latitude"].to_numpy())
    known = np.stack([x_m / 1e3, y_m / 1e3, -good["elevation_m"].to_numpy() / 1e3], axis=1)
    numbers = table["channel_index"].to_numpy()
    position = np.stack([np.interp(numbers, numbers[located], column) for column in known.T], axis=1)
    steps = np.linalg.norm(np.diff(known, axis=0), axis=1) / np.diff(numbers[located])
    coupled = located & table["status"].isin(["ok", "good"]).to_numpy()
    return _cable(config, position, coupled, located, origin, numbers, 1e3 * float(np.median(steps)))
