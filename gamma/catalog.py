"""The tables that leave: events and picks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gamma.final import Assigned, Final
from gamma.observations import Observations
from gamma.setup import Setup
from gamma.uncertainty import azimuthal_gaps, ellipses

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_SPREADS = [
    "time_uncertainty_s", "horizontal_uncertainty_km", "depth_uncertainty_km",
    "source_distance_uncertainty_km", "ellipse_major_km", "ellipse_minor_km", "ellipse_azimuth_deg",
]  # fmt: skip


@dataclass(frozen=True)
class Mirrors:
    """A second place that explains an event's picks about as well; NaN where there is none.

    Attributes
    ----------
    theta : numpy.ndarray, shape (events, 4)
    loss : numpy.ndarray, shape (events,)
        By how much (nat) it explains the picks worse.
    """

    theta: F64
    loss: F64


def picks_table(
    picks: pd.DataFrame, observations: Observations, assigned: Assigned, reasons: list[str], reason: I64
) -> pd.DataFrame:
    """Add event, score, residual and reason to the picks given, same rows, same order.

    `reason` (observations,).
    """
    out = picks.copy()
    rows, size = observations.row, observations.num_rows
    out["event_index"] = _scatter(size, rows, assigned.event, -1).astype(np.int64)
    out["association_score"] = _scatter(size, rows, assigned.score, np.nan).astype(np.float32)
    out["travel_time_residual_s"] = _scatter(size, rows, assigned.residual_s, np.nan).astype(np.float32)
    texts = [*reasons, *observations.excluded]
    codes = np.zeros(size, dtype=np.int64)
    codes[rows] = reason
    for number, where in enumerate(observations.excluded.values(), start=len(reasons)):
        codes[where] = number
    out["reason"] = pd.array(np.array(texts, dtype=object)[codes], dtype="str")
    return out


def _scatter(size: int, rows: I64, values: npt.NDArray[Any], fill: float) -> F64:
    out = np.full(size, fill, dtype=np.float64)
    out[rows] = values
    return out


def events_table(
    setup: Setup, observations: Observations, final: Final, assigned: Assigned, mirrors: Mirrors
) -> pd.DataFrame:
    """Describe every event."""
    theta, location = _to_decimetres(final.components.theta), final.location
    given = assigned.event >= 0
    event, slot = assigned.event[given], final.picks.slot[given]
    counts = _counts(setup, len(theta), event, slot)
    square = np.bincount(event, assigned.residual_s[given] ** 2, minlength=len(theta))
    time_ns = observations.reference_ns + np.round(theta[:, 0] * 1e9).astype(np.int64)
    major, minor, azimuth = ellipses(location.covariance)
    full, deep = setup.mode == "full", setup.mode != "point"
    blank = np.full(len(theta), np.nan)
    longitude, latitude = setup.receivers.frame.to_geographic(theta[:, 1], theta[:, 2])
    depth_error = np.sqrt(np.maximum(location.covariance[:, 3, 3], 0.0))
    gap = azimuthal_gaps(event, slot >> 1, theta, setup.receivers.xyz_km)
    columns: dict[str, Any] = {
        "event_index": np.arange(len(theta), dtype=np.int64),
        "event_id": pd.array(_event_ids(time_ns, theta), dtype="str"),
        "time": pd.to_datetime(time_ns, utc=True).as_unit("ns"),
        "time_uncertainty_s": np.sqrt(np.maximum(location.covariance[:, 0, 0], 0.0)),
        "longitude": longitude if full else blank,
        "latitude": latitude if full else blank,
        "depth_km": theta[:, 3] if deep else blank,
        "horizontal_uncertainty_km": major if full else blank,
        "depth_uncertainty_km": depth_error if deep else blank,
        "source_distance_km": location.distance_km,
        "source_distance_uncertainty_km": location.distance_uncertainty_km,
        **counts,
        "residual_rms_s": np.sqrt(square / np.maximum(counts["num_picks"], 1)),
        "azimuthal_gap_deg": gap if full else blank,
        "location_quality": pd.array(_flags(setup, final, mirrors), dtype="str"),
    }
    if full:
        columns |= {"x_km": theta[:, 1], "y_km": theta[:, 2], "z_km": theta[:, 3]}
        columns |= {"ellipse_major_km": major, "ellipse_minor_km": minor, "ellipse_azimuth_deg": azimuth}
        if setup.receivers.num_cables:
            columns |= _mirror_columns(setup, mirrors)
    columns["log_odds"] = final.odds
    table = pd.DataFrame(columns)
    beyond = setup.on_edge(final.components.theta[:, 1:], top=False)
    table.loc[beyond, table.columns.intersection(_SPREADS)] = np.nan
    return table


def _to_decimetres(theta: F64) -> F64:
    """Round places to 0.1 m; what the box stops a hair short of its edge lies on the edge."""
    return np.column_stack([theta[:, 0], np.round(theta[:, 1:], 4) + 0.0])


def _counts(setup: Setup, events: int, event: I64, slot: I64) -> dict[str, I64]:
    shear = (slot & 1) == 1
    receivers = np.unique(event * len(setup.receivers) + (slot >> 1)) // len(setup.receivers)
    return {
        "num_picks": np.bincount(event, minlength=events).astype(np.int64),
        "num_p_picks": np.bincount(event[~shear], minlength=events).astype(np.int64),
        "num_s_picks": np.bincount(event[shear], minlength=events).astype(np.int64),
        "num_channels": np.bincount(receivers, minlength=events).astype(np.int64),
    }


def _mirror_columns(setup: Setup, mirrors: Mirrors) -> dict[str, F64]:
    longitude, latitude = setup.receivers.frame.to_geographic(mirrors.theta[:, 1], mirrors.theta[:, 2])
    return {
        "mirror_longitude": longitude,
        "mirror_latitude": latitude,
        "mirror_x_km": mirrors.theta[:, 1],
        "mirror_y_km": mirrors.theta[:, 2],
        "mirror_depth_km": mirrors.theta[:, 3],
        "mirror_log_odds": -mirrors.loss,
    }


def _flags(setup: Setup, final: Final, mirrors: Mirrors) -> list[str]:
    place = final.components.theta[:, 1:]
    depth_range = float(setup.upper_km[2] - setup.lower_km[2])
    depth_error = np.sqrt(np.maximum(final.location.covariance[:, 3, 3], 0.0))
    flags = {
        "at-boundary": setup.on_edge(place),
        "mirror-ambiguous": np.isfinite(mirrors.loss) & (setup.mode == "full"),
        "azimuth-unconstrained": np.full(len(place), setup.mode != "full"),
        "depth-unconstrained": (depth_error > depth_range / 4.0) & (setup.mode != "point"),
        "geometry-unknown": np.full(len(place), not setup.receivers.geometry_known),
    }
    return [";".join(name for name, mask in flags.items() if mask[i]) for i in range(len(place))]


def _event_ids(time_ns: I64, theta: F64) -> list[str]:
    """Name events by origin time and a short hash of their place, so that equal inputs give equal names."""
    stamps = pd.to_datetime(time_ns, utc=True).strftime("%Y%m%dT%H%M%S%f").str[:-3]
    places = np.round(theta[:, 1:], 2) + 0.0
    return [
        f"ev{stamp}-{hashlib.sha256(f'{ms}{place.tolist()}'.encode()).hexdigest()[:6]}"
        for stamp, ms, place in zip(stamps, time_ns // 10**6, places, strict=True)
    ]
