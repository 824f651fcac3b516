"""From looks at the picks to the velocity of the ground, and back to the uncertainty of the events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gamma.config import AssociationConfig
from gamma.domain import Domain
from gamma.receivers import Receivers
from gamma.results import Look
from gamma.uncertainty import widened
from gamma.velocity import Arrivals, VelocityEstimate, estimate_velocity, spread_of_models

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_MOST_KM = 200.0
_WELL_SEEN = 0.8
_ENOUGH = 6
_STEP_SHARE, _STEP_KM = 0.1, 0.1  # to which arrivals are rounded: of the pick uncertainty; first places


def estimate_ground(receivers: Receivers, config: AssociationConfig, looks: list[Look]) -> VelocityEstimate:
    """Estimate the velocity from the events that were found near the receivers with both phases."""
    found = [arrivals_of(look, _sound(look)) for look in looks if look.domain.mode == "full"]
    lower = np.append(receivers.xyz_km[:, :2].min(axis=0) - _MOST_KM, config.depth_range_km[0])
    upper = np.append(receivers.xyz_km[:, :2].max(axis=0) + _MOST_KM, config.depth_range_km[1])
    return estimate_velocity(
        _rounded(_joined(found, receivers.xyz_km), _STEP_SHARE * config.pick_uncertainty_s),
        depth_range_km=config.depth_range_km,
        lower_km=lower,
        upper_km=upper,
        sigma_s=config.pick_uncertainty_s,
    )


def with_ground_error(look: Look) -> Look:
    """Add to the uncertainty of every event that of the estimated ground."""
    domain, fitted = look.domain, look.fitted
    if domain.ground is None or len(look) == 0:
        return look
    more = spread_of_models(
        arrivals_of(look, np.arange(len(look))),
        domain.ground,
        depth_range_km=domain.config.depth_range_km,
        lower_km=domain.lower_km,
        upper_km=domain.upper_km,
        sigma_s=domain.config.pick_uncertainty_s,
    )
    location = widened(fitted.location, fitted.events.hypocentre, more, domain.receivers.xyz_km)
    return replace(look, fitted=replace(fitted, location=location))


def arrivals_of(look: Look, chosen: I64) -> Arrivals:
    """Thin the picks of the chosen events to that nearest to the middle of each cell, by phase."""
    domain, given = look.domain, look.assignment
    place = np.full(len(look) + 1, -1, dtype=np.int64)  # the last for picks of no event
    place[chosen] = np.arange(len(chosen))
    mine = np.flatnonzero(place[given.event] >= 0)
    receiver_phase, event = given.receiver_phase[mine], place[given.event[mine]]
    cell_phase = 2 * domain.cells.cell[receiver_phase >> 1] + (receiver_phase & 1)
    key = event * (2 * len(domain.cells.size)) + cell_phase
    middle = domain.cells.representative[domain.cells.cell]
    off_km = np.linalg.norm(domain.receivers.xyz_km - domain.receivers.xyz_km[middle], axis=1)
    order = np.lexsort((mine, off_km[receiver_phase >> 1], key))
    nearest = order[np.flatnonzero(np.diff(key[order], prepend=-1))]
    return Arrivals(
        event=event[nearest],
        place_km=domain.receivers.xyz_km[middle[receiver_phase[nearest] >> 1]],
        phase=receiver_phase[nearest] & 1,
        time_s=look.observations.time_s[mine[nearest]],
        weight=np.ones(len(nearest)),
        hypocentre=look.fitted.events.hypocentre[chosen],
    )


def _sound(look: Look) -> I64:
    """Events inside the search box with P and S on nearly as many receivers as the events seen best.

    In unknown ground, events that take parts of several earthquakes have one of the phases on few channels.
    """
    given, domain = look.assignment, look.domain
    taken = given.event >= 0
    shear = given.receiver_phase[taken] & 1
    number = np.min(
        [np.bincount(given.event[taken][shear == phase], minlength=len(look)) for phase in (0, 1)], axis=0
    )
    inside = ~domain.on_edge(look.fitted.events.hypocentre[:, 1:], top=False)
    best = inside & (number >= _WELL_SEEN * np.percentile(number, 90.0)) if len(number) else inside
    return np.flatnonzero(best if best.sum() >= _ENOUGH else inside & (number > 0))


def _joined(parts: list[Arrivals], receiver_km: F64) -> Arrivals:
    """Put the arrivals of several looks together; the times of an event count from the zero of its look."""
    number = np.cumsum([0, *(len(part.hypocentre) for part in parts)])
    event = [part.event + first for part, first in zip(parts, number[:-1], strict=True)]
    return Arrivals(
        event=np.concatenate([np.empty(0, np.int64), *event]),
        place_km=np.concatenate([receiver_km[:0], *(part.place_km for part in parts)]),
        phase=np.concatenate([np.empty(0, np.int64), *(part.phase for part in parts)]),
        time_s=np.concatenate([np.empty(0), *(part.time_s for part in parts)]),
        weight=np.concatenate([np.empty(0), *(part.weight for part in parts)]),
        hypocentre=np.concatenate([np.empty((0, 4)), *(part.hypocentre for part in parts)]),
    )


def _rounded(arrivals: Arrivals, step_s: float) -> Arrivals:
    """Round arrivals, so that microseconds do not show.

    The search for the ground ends in a flat valley, where the last digits would decide.
    """
    steps = np.array([step_s, *[_STEP_KM] * 3])
    return replace(
        arrivals,
        time_s=np.round(arrivals.time_s / step_s) * step_s,
        hypocentre=np.round(arrivals.hypocentre / steps) * steps,
    )


def velocity_text(domain: Domain) -> str:
    """Say in one sentence where the velocities come from."""
    if domain.ground is not None:
        return domain.ground.text
    config = domain.config
    if config.layers is not None:
        return f"Velocity: stated, {len(config.layers)} layers ± {100.0 * config.velocity_error:.3g} %."
    vp, vs = config.homogeneous_km_s
    error = f"± {100.0 * config.velocity_error:.3g} %"
    return f"Velocity: stated, vp {vp:.3g} and vs {vs:.3g} km/s {error}. The same at all depths."


def describe_velocity(domain: Domain) -> dict[str, Any]:
    """Velocities in use, and how well they are known."""
    config, ground = domain.config, domain.ground
    layers = [layer.model_dump() for layer in config.layers or ()]
    if config.layers is None:
        vp, vs = config.homogeneous_km_s
        top = float(min(domain.lower_km[2], domain.receivers.xyz_km[:, 2].min()))
        layers = [{"depth_km": top, "vp_km_s": vp, "vs_km_s": vs}]
    out = {"text": velocity_text(domain), "layers": layers, "relative_uncertainty": config.velocity_error}
    if ground is None:
        return {"status": "stated", **out}
    ratio = {"vp_vs_ratio": ground.vp_vs_ratio, "vp_vs_uncertainty": ground.vp_vs_uncertainty}
    return {"status": ground.status, **out, **ratio, "relative_uncertainty": ground.relative_uncertainty}
