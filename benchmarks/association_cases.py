"""Made association cases with known truth: a seismic network, a fibre-optic cable, and both together.

The recipes are those of the shared cases (``bench/association/README.md``), with seed, number of events,
spacing, noise, share of false picks and velocity error as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

__all__ = ["EPOCH", "Case", "das_case", "joint_case", "make_cable", "make_network", "network_case"]

EPOCH = pd.Timestamp("2020-01-01T00:00:00Z")
VP_KM_S = 6.0
VS_KM_S = VP_KM_S / 1.75


@dataclass
class Case:
    """Picks and stations as :func:`gamma.associate` takes them, the truth, and the settings to use.

    ``picks`` carries ``true_event`` (-1: false pick); ``truth`` holds ``event, t_s, x_km, y_km, z_km``.
    """

    name: str
    picks: pd.DataFrame
    stations: pd.DataFrame
    truth: pd.DataFrame
    settings: dict[str, object] = field(default_factory=dict)


def make_network(rng: np.random.Generator, num_stations: int = 25) -> pd.DataFrame:
    """Scatter stations over +-50 km, at 0.5-1.5 km above sea level."""
    xy = rng.uniform(-50.0, 50.0, (num_stations, 2))
    return pd.DataFrame(
        {
            "station_id": [f"ST{i:03d}" for i in range(num_stations)],
            "channel_index": -1,
            "x_km": xy[:, 0],
            "y_km": xy[:, 1],
            "z_km": -rng.uniform(0.5, 1.5, num_stations),
        }
    )


def make_cable(num_channels: int = 1000, dx_km: float = 0.02) -> pd.DataFrame:
    """Lay a winding cable that bends once, some 60 degrees to the left after two thirds of its length."""
    along = np.arange(num_channels) * dx_km
    length = along[-1]
    heading = 0.33 * np.sin(2.0 * np.pi * along / (0.9 * length))
    heading = np.where(along > 0.62 * length, np.deg2rad(43.0), heading)
    x = np.cumsum(np.cos(heading)) * dx_km
    y = np.cumsum(np.sin(heading)) * dx_km
    return pd.DataFrame(
        {
            "station_id": "CABLE",
            "channel_index": np.arange(num_channels),
            "x_km": x - 0.5 * (x[0] + x[-1]),
            "y_km": y - 0.5 * (y[0] + y[-1]),
            "z_km": 0.0,
        }
    )


def _travel_times(truth: pd.DataFrame, stations: pd.DataFrame, vscale: float) -> np.ndarray:
    """Arrival times (s), shape (events, receivers, 2)."""
    source = truth[["x_km", "y_km", "z_km"]].to_numpy()
    receiver = stations[["x_km", "y_km", "z_km"]].to_numpy()
    distance = np.linalg.norm(source[:, None] - receiver[None], axis=2)
    slowness = np.array([1.0 / VP_KM_S, 1.0 / VS_KM_S]) / vscale
    return truth["t_s"].to_numpy()[:, None, None] + distance[:, :, None] * slowness


def _table(
    arrivals: np.ndarray,
    kept: np.ndarray,
    stations: pd.DataFrame,
    score: np.ndarray,
    false: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> pd.DataFrame:
    event, receiver, phase = np.nonzero(kept)
    receiver = np.concatenate([receiver, false[0]])
    t = np.concatenate([arrivals[kept], false[1]])
    table = pd.DataFrame(
        {
            "station_id": stations["station_id"].to_numpy()[receiver],
            "channel_index": stations["channel_index"].to_numpy()[receiver].astype(np.int32),
            "phase_time": EPOCH + pd.to_timedelta(np.round(t * 1e9).astype(np.int64), unit="ns"),
            "phase_type": np.array(["P", "S"])[np.concatenate([phase, false[2]])],
            "phase_score": np.concatenate([score, false[3]]).astype(np.float32),
            "true_event": np.concatenate([event, np.full(len(false[0]), -1)]),
        }
    )
    return table.sort_values("phase_time", kind="stable", ignore_index=True)


def _false_picks(
    rng: np.random.Generator, number: int, receivers: int, span: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        rng.integers(0, receivers, number),
        rng.uniform(*span, number),
        rng.integers(0, 2, number),
    )


def network_case(
    seed: int,
    *,
    num_events: int = 180,
    spacing_s: float = 30.0,
    noise_s: float = 0.1,
    false_share: float = 0.1,
    vscale: float = 1.0,
    stations: pd.DataFrame | None = None,
    name: str = "network",
) -> Case:
    """Make a sequence recorded by a network: every station picks both phases of every event.

    Scores of true picks are ``10^-(|error|/noise)``: they leak the error, as in the shared case.
    """
    rng = np.random.default_rng(seed)
    stations = make_network(rng) if stations is None else stations
    even = np.linspace(-44.5, 44.5, num_events)
    truth = pd.DataFrame(
        {
            "event": np.arange(num_events),
            "t_s": np.arange(num_events) * spacing_s,
            "x_km": rng.permutation(even),
            "y_km": rng.permutation(even),
            "z_km": rng.uniform(4.0, 16.0, num_events),
        }
    )
    arrivals = _travel_times(truth, stations, vscale)
    error = rng.normal(0.0, noise_s, arrivals.shape)
    arrivals = arrivals + error
    span = (float(arrivals.min()), float(arrivals.max()))
    number = round(false_share * arrivals.size)
    false = (*_false_picks(rng, number, len(stations), span), 10.0 ** -rng.uniform(0.0, 1.0, number))
    kept = np.ones(arrivals.shape, dtype=bool)
    picks = _table(arrivals, kept, stations, (10.0 ** (-np.abs(error) / noise_s))[kept], false)
    settings = {"x_range_km": (-56.0, 56.0), "y_range_km": (-56.0, 56.0), "depth_range_km": (0.0, 20.0)}
    settings["velocity_uncertainty"] = abs(vscale - 1.0)
    return Case(name, picks, stations, truth, _velocities(settings))


def _velocities(settings: dict[str, object]) -> dict[str, object]:
    return {"vp_km_s": VP_KM_S, "vs_km_s": VS_KM_S, **settings}


def _disc_events(rng: np.random.Generator, num_events: int, span_s: float) -> pd.DataFrame:
    """Events at random times within the span, uniform over a disc of 40 km, 3-15 km deep."""
    radius = 40.0 * np.sqrt(rng.uniform(0.0, 1.0, num_events))
    azimuth = rng.uniform(0.0, 2.0 * np.pi, num_events)
    return pd.DataFrame(
        {
            "event": np.arange(num_events),
            "t_s": np.sort(rng.uniform(0.0, span_s, num_events)),
            "x_km": radius * np.cos(azimuth),
            "y_km": radius * np.sin(azimuth),
            "z_km": rng.uniform(3.0, 15.0, num_events),
        }
    )


def _correlated(
    rng: np.random.Generator, shape: tuple[int, int, int], noise_s: float, width: int
) -> np.ndarray:
    """Draw noise with a moving-average correlation of `width` channels along axis 1."""
    white = rng.normal(size=(shape[0], shape[1] + width - 1, shape[2]))
    total = np.cumsum(np.concatenate([np.zeros((shape[0], 1, shape[2])), white], axis=1), axis=1)
    return noise_s * (total[:, width:] - total[:, :-width]) / np.sqrt(width)


def das_case(
    seed: int,
    *,
    num_events: int = 20,
    span_s: float = 1200.0,
    white_s: float = 0.03,
    correlated_s: float = 0.03,
    false_share: float = 0.1,
    num_channels: int = 1000,
    name: str = "das",
) -> Case:
    """Make events recorded by one winding cable; nine of ten channels pick each phase."""
    rng = np.random.default_rng(seed)
    stations = make_cable(num_channels, 20.0 / num_channels)
    truth = _disc_events(rng, num_events, span_s)
    arrivals = _travel_times(truth, stations, 1.0)
    width = max(1, num_channels // 10) + 1
    arrivals = arrivals + rng.normal(0.0, white_s, arrivals.shape)
    arrivals += _correlated(rng, arrivals.shape, correlated_s, width)
    kept = rng.uniform(size=arrivals.shape) < 0.9
    number = round(false_share * kept.sum())
    span = (float(arrivals.min()), float(arrivals.max()))
    false = (*_false_picks(rng, number, num_channels, span), rng.uniform(0.3, 0.9, number))
    picks = _table(arrivals, kept, stations, rng.uniform(0.5, 1.0, int(kept.sum())), false)
    settings = {
        "x_range_km": (-50.0, 50.0),
        "y_range_km": (-50.0, 50.0),
        "depth_range_km": (0.0, 30.0),
        "velocity_uncertainty": 0.0,
    }
    return Case(name, picks, stations, truth, _velocities(settings))


def joint_case(seed: int, *, num_events: int = 20, num_stations: int = 8, use: str = "both") -> Case:
    """Make events seen by a cable and a sparse network; `use` is "both", "cable" or "network"."""
    cable = das_case(seed, num_events=num_events, name=f"joint-{use}")
    rng = np.random.default_rng([seed, 1])
    network = make_network(rng, num_stations)
    arrivals = _travel_times(cable.truth, network, 1.0) + rng.normal(0.0, 0.1, (num_events, num_stations, 2))
    kept = rng.uniform(size=arrivals.shape) < 0.8
    number = round(0.1 * kept.sum())
    span = (float(arrivals.min()), float(arrivals.max()))
    false = (*_false_picks(rng, number, num_stations, span), rng.uniform(0.3, 0.9, number))
    picks = _table(arrivals, kept, network, rng.uniform(0.5, 1.0, int(kept.sum())), false)
    chosen = {"both": [0, 1], "cable": [0], "network": [1]}[use]
    all_picks = [cable.picks, picks]
    all_stations = [cable.stations, network]
    cable.picks = pd.concat([all_picks[i] for i in chosen], ignore_index=True)
    cable.stations = pd.concat([all_stations[i] for i in chosen], ignore_index=True)
    return cable
