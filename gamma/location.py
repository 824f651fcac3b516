"""Robust location of all events at once: damped Gauss-Newton (Levenberg-Marquardt) inside the search box."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gamma.likelihood import PickData

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_ROWS, _COLS = np.triu_indices(4)


MILD_DAMPING = 1e-3
"""Levenberg-Marquardt damping of an event before its first step."""


def normal_equations(
    event: I64, weight: F64, residual_s: F64, gradient: F64, num_events: int
) -> tuple[F64, F64]:
    """Sum the weighted normal equations of every event: `hessian` (events, 4, 4) and `slope` (events, 4)."""
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
    data: PickData,
    hypocentre: F64,
    pick: I64,
    event: I64,
    weight: F64,
    residual_s: F64,
    gradient: F64,
    damping: F64,
) -> tuple[F64, F64, F64, F64]:
    """Take one damped step for every event, kept only where the weighted squares fall.

    `damping` (events,) is changed: looser where the step helped, tighter where it did not.
    Returns `hypocentre` (events, 4), `residual_s` (pairs,), `gradient` (pairs, 3) and `shift` (events,).
    """
    num_events = len(hypocentre)
    hessian, slope = normal_equations(event, weight, residual_s, gradient, num_events)
    step = _damped_step(hessian, slope, hypocentre, data, damping)
    trial = _inside(hypocentre, hypocentre + step, data)
    new_residual, new_gradient = data.residuals(trial, pick, event)
    old_cost = np.bincount(event, weight * residual_s**2, minlength=num_events)
    new_cost = np.bincount(event, weight * new_residual**2, minlength=num_events)
    better = new_cost <= old_cost
    damping[:] = np.clip(np.where(better, damping * 0.2, damping * 10.0), 1e-6, 1e8)
    moved = trial - hypocentre
    shift = np.sqrt(np.maximum(np.einsum("ki,kij,kj->k", moved, hessian, moved), 0.0))
    kept = better[event]
    return (
        np.where(better[:, None], trial, hypocentre),
        np.where(kept, new_residual, residual_s),
        np.where(kept[:, None], new_gradient, gradient),
        shift,
    )


def _inside(hypocentre: F64, trial: F64, data: PickData) -> F64:
    """Keep steps inside the box; one that would leave it goes half way to the edge.

    Sources exactly at the depth of all receivers would feel no pull in depth, and stay.
    """
    place, aim = hypocentre[:, 1:], trial[:, 1:]
    aim = np.where(aim < data.lower_km, 0.5 * (place + data.lower_km), aim)
    aim = np.where(aim > data.upper_km, 0.5 * (place + data.upper_km), aim)
    return np.column_stack([trial[:, 0], aim])


def _damped_step(hessian: F64, slope: F64, hypocentre: F64, data: PickData, damping: F64) -> F64:
    """Solve for the step of free parameters: those neither fixed nor pressed against the box."""
    pressed = (hypocentre[:, 1:] <= data.lower_km) & (slope[:, 1:] < 0.0)
    pressed |= (hypocentre[:, 1:] >= data.upper_km) & (slope[:, 1:] > 0.0)
    free = np.ones(hypocentre.shape, dtype=bool)
    free[:, 1:] = ~pressed & (data.upper_km > data.lower_km)
    matrix = np.where(free[:, :, None] & free[:, None, :], hessian, 0.0)
    diagonal = np.einsum("kii->ki", matrix).copy()
    floor = np.maximum(diagonal.max(axis=1, keepdims=True), 1.0) * 1e-9
    extra = np.where(free, diagonal * damping[:, None] + floor, 1.0)
    matrix[:, np.arange(4), np.arange(4)] += extra
    step: F64 = np.linalg.solve(matrix, np.where(free, slope, 0.0)[:, :, None])[:, :, 0]
    return step
