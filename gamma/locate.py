"""Robust location of all events at once: damped Gauss-Newton (Levenberg-Marquardt) inside the search box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gamma.traveltime import TravelTimeModel

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_ROWS, _COLS = np.triu_indices(4)


class Geometry(Protocol):
    """What a location needs to know of the problem."""

    @property
    def time_s(self) -> F64:
        """Pick times."""
        ...

    @property
    def slot(self) -> I64:
        """Receiver-phase slot of each pick."""
        ...

    @property
    def slot_xyz_km(self) -> F64:
        """Position of each slot."""
        ...

    @property
    def travel_time(self) -> TravelTimeModel:
        """Velocity model."""
        ...

    @property
    def lower_km(self) -> F64:
        """Lower corner of the search box."""
        ...

    @property
    def upper_km(self) -> F64:
        """Upper corner of the search box."""
        ...


@dataclass
class Damping:
    """Levenberg-Marquardt damping of each event, carried from step to step."""

    value: F64

    @classmethod
    def start(cls, events: int) -> Damping:
        """Give every event a mild damping."""
        return cls(np.full(events, 1e-3))

    def take(self, index: I64 | npt.NDArray[np.bool_]) -> Damping:
        """Select events."""
        return Damping(self.value[index])

    def update(self, better: npt.NDArray[np.bool_]) -> None:
        """Loosen where the step helped, tighten where it did not."""
        self.value = np.clip(np.where(better, self.value * 0.2, self.value * 10.0), 1e-6, 1e8)


def normal_equations(
    event: I64, weight: F64, residual_s: F64, gradient: F64, num_events: int
) -> tuple[F64, F64]:
    """Sum the weighted normal equations of every event.

    `event` (pairs,); `weight` (pairs,); `residual_s` (pairs,); `gradient` (pairs, 3). Returns
    `hessian` (events, 4, 4); `slope` (events, 4).
    """
    columns = [np.ones_like(residual_s), gradient[:, 0], gradient[:, 1], gradient[:, 2]]
    weighted = [weight * column for column in columns]
    hessian = np.empty((num_events, 4, 4))
    for i, j in zip(_ROWS, _COLS, strict=True):
        entry = np.bincount(event, weighted[i] * columns[j], minlength=num_events)
        hessian[:, i, j] = hessian[:, j, i] = entry
    slope = np.empty((num_events, 4))
    for place, column in enumerate(weighted):
        slope[:, place] = np.bincount(event, column * residual_s, minlength=num_events)
    return hessian, slope


def locate_step(
    geometry: Geometry,
    theta: F64,
    pick: I64,
    event: I64,
    weight: F64,
    residual_s: F64,
    gradient: F64,
    damping: Damping,
) -> tuple[F64, F64, F64, F64]:
    """Take one damped step for every event, kept only where the weighted squares fall.

    `theta` (events, 4); `pick` and `event` (pairs,); `weight` and `residual_s` (pairs,); `gradient`
    (pairs, 3). Returns `theta` (events, 4); `residual_s` (pairs,); `gradient` (pairs, 3); `shift`
    (events,).
    """
    events = len(theta)
    hessian, slope = normal_equations(event, weight, residual_s, gradient, events)
    step = _damped_step(hessian, slope, theta, geometry, damping)
    trial = _inside(theta, theta + step, geometry)
    slot = geometry.slot[pick]
    time, new_gradient = geometry.travel_time.times_and_gradients(
        trial[event, 1:], geometry.slot_xyz_km[slot], slot & 1
    )
    new_residual = geometry.time_s[pick] - trial[event, 0] - time
    old_cost = np.bincount(event, weight * residual_s**2, minlength=events)
    new_cost = np.bincount(event, weight * new_residual**2, minlength=events)
    better = new_cost <= old_cost
    damping.update(better)
    moved = trial - theta
    shift = np.sqrt(np.maximum(np.einsum("ki,kij,kj->k", moved, hessian, moved), 0.0))
    kept = better[event]
    return (
        np.where(better[:, None], trial, theta),
        np.where(kept, new_residual, residual_s),
        np.where(kept[:, None], new_gradient, gradient),
        shift,
    )


def _inside(theta: F64, trial: F64, geometry: Geometry) -> F64:
    """Keep steps inside the box; one that would leave it goes half way to the edge.

    Sources exactly at the depth of all receivers would feel no pull in depth, and stay.
    """
    place, aim = theta[:, 1:], trial[:, 1:]
    aim = np.where(aim < geometry.lower_km, 0.5 * (place + geometry.lower_km), aim)
    aim = np.where(aim > geometry.upper_km, 0.5 * (place + geometry.upper_km), aim)
    return np.column_stack([trial[:, 0], aim])


def _damped_step(hessian: F64, slope: F64, theta: F64, geometry: Geometry, damping: Damping) -> F64:
    """Solve for the step of free parameters: those neither fixed nor pressed against the box."""
    pressed = (theta[:, 1:] <= geometry.lower_km) & (slope[:, 1:] < 0.0)
    pressed |= (theta[:, 1:] >= geometry.upper_km) & (slope[:, 1:] > 0.0)
    free = np.ones(theta.shape, dtype=bool)
    free[:, 1:] = ~pressed & (geometry.upper_km > geometry.lower_km)
    matrix = np.where(free[:, :, None] & free[:, None, :], hessian, 0.0)
    diagonal = np.einsum("kii->ki", matrix).copy()
    floor = np.maximum(diagonal.max(axis=1, keepdims=True), 1.0) * 1e-9
    extra = np.where(free, diagonal * damping.value[:, None] + floor, 1.0)
    matrix[:, np.arange(4), np.arange(4)] += extra
    step: F64 = np.linalg.solve(matrix, np.where(free, slope, 0.0)[:, :, None])[:, :, 0]
    return step
