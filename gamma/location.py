"""Robust location of all events at once: damped Gauss-Newton (Levenberg-Marquardt) inside the search box."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gamma.initial import SeedGrid
from gamma.likelihood import PickData

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_ROWS, _COLS = np.triu_indices(5)
_DIAGONAL = np.flatnonzero(_ROWS == _COLS)
_STARTS = 6
_STEPS = 25
_NODE_SCALE = 0.4
DEGREES_OF_FREEDOM = 5.0
"""Of Student's t, the density of residuals."""

MILD_DAMPING = 1e-3
"""Levenberg-Marquardt damping of an event before its first step."""


def normal_equations(
    event: I64, weight: F64, residual_s: F64, gradient: F64, num_events: int
) -> tuple[F64, F64, F64]:
    """Sum the weighted normal equations of every event (pairs sorted by event).

    Returns `hessian` (events, 4, 4), `slope` (events, 4), and `square` (events,), the weighted squares.
    """
    columns = np.ones((5, len(event)))
    columns[1:4], columns[4] = gradient.T, residual_s
    weighted = columns * weight
    products = np.empty((len(_ROWS), len(event)))
    for row, first in enumerate(_DIAGONAL):
        np.multiply(weighted[row], columns[row:], out=products[first : first + 5 - row])
    summed = np.zeros((num_events, 5, 5))
    new = np.flatnonzero(np.concatenate([[True], event[1:] != event[:-1]])[: len(event)])
    if len(new):  # sums of all rows of products in one call
        start = np.arange(len(products))[:, None] * len(event) + new
        sums = np.add.reduceat(products.ravel(), start.ravel()).reshape(start.shape)
        summed[event[new][:, None], _ROWS, _COLS] = summed[event[new][:, None], _COLS, _ROWS] = sums.T
    return summed[:, :4, :4], summed[:, :4, 4], summed[:, 4, 4]


def locate_step(
    rows: PickData,
    hypocentre: F64,
    event: I64,
    weight: F64,
    residual_s: F64,
    gradient: F64,
    damping: F64,
) -> tuple[F64, F64, F64, F64]:
    """Take one damped step for every event, kept only where the weighted squares fall.

    `rows` holds a pick for each pair; `event`, `weight` and so on (pairs,).
    `damping` (events,) is changed: looser where the step helped, tighter where it did not.
    Returns `hypocentre` (events, 4), `residual_s` (pairs,), `gradient` (pairs, 3) and `shift` (events,).
    """
    num_events = len(hypocentre)
    hessian, slope, old_cost = normal_equations(event, weight, residual_s, gradient, num_events)
    step = _damped_step(hessian, slope, hypocentre, rows, damping)
    trial = _inside(hypocentre, hypocentre + step, rows)
    new_residual, new_gradient = rows.residuals(trial, event)
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
    place, pull = hypocentre[:, 1:], slope[:, 1:]
    free = np.ones(hypocentre.shape, dtype=bool)
    free[:, 1:] = ~((place <= data.lower_km) & (pull < 0.0)) & ~((place >= data.upper_km) & (pull > 0.0))
    free[:, 1:] &= data.upper_km > data.lower_km
    matrix = np.where(free[:, :, None] & free[:, None, :], hessian, 0.0)
    diagonal = np.einsum("kii->ki", matrix)  # a view
    floor = np.maximum(diagonal.max(axis=1, keepdims=True), 1.0) * 1e-9
    diagonal += np.where(free, diagonal * damping[:, None] + floor, 1.0)
    step = np.linalg.solve(matrix, np.where(free, slope, 0.0)[:, :, None])[:, :, 0]
    return np.asarray(step, dtype=np.float64)


def locate_from_nodes(
    data: PickData,
    grid: SeedGrid,
    pick: I64,
    owner: I64,
    weight: F64,
    sigma: F64,
    num_events: int,
    start: F64 | None = None,
) -> tuple[F64, F64]:
    """Locate events from the best separate nodes of the grid, with their picks held fixed.

    `pick`, `owner` (sorted), `weight` and `sigma` (pairs,); `start` (events, 4) is the first start of each.
    Returns `hypocentre` (events, starts, 4) and `cost` (events, starts), the negative log likelihood (nat) of
    the picks; infinite for starts not used.
    """
    starts = np.zeros((num_events, _STARTS, 4))
    used = np.zeros((num_events, _STARTS), dtype=bool)
    begin = 0
    if start is not None:
        starts[:], used[:, 0], begin = start[:, None], True, 1
    bounds = np.searchsorted(owner, np.arange(num_events + 1))
    for row, (lo, hi) in enumerate(pairwise(bounds)):
        if hi - lo < data.num_free:
            continue
        taken = None if start is None else start[row, 1:]
        nodes = _best_nodes(data, grid, pick[lo:hi], weight[lo:hi], taken)
        starts[row, begin : begin + len(nodes)] = nodes
        used[row, begin : begin + len(nodes)] = True
    event, number = np.nonzero(used.T)[::-1]
    place, loss = _descend(data, starts[event, number], event, pick, owner, weight, sigma)
    cost = np.full(used.shape, np.inf)
    starts[event, number], cost[event, number] = place, loss
    return starts, cost


def _best_nodes(data: PickData, grid: SeedGrid, pick: I64, weight: F64, place_km: F64 | None) -> F64:
    """Best nodes that are apart from each other and from the present place, with their origin times."""
    origin = data.time_s[pick] - grid.travel_time_s[:, data.receiver_phase[pick]]
    middle = np.median(origin, axis=1)
    scale = _NODE_SCALE * grid.window_s
    cost = np.log1p(((origin - middle[:, None]) / scale) ** 2 / DEGREES_OF_FREEDOM) @ weight
    apart = 2.5 * grid.spacing_km
    others = np.empty((0, 2)) if place_km is None else place_km[None, :2]
    most = _STARTS - len(others)
    chosen: list[int] = []
    for node in np.argsort(cost, kind="stable")[:400].tolist():
        if len(chosen) == most:
            break
        if (np.hypot(*(others - grid.nodes_km[node, :2]).T) > apart).all():
            chosen.append(node)
            others = np.concatenate([others, grid.nodes_km[node : node + 1, :2]])
    return np.column_stack([middle[chosen], grid.nodes_km[chosen]])


def _descend(
    data: PickData, hypocentre: F64, event_of: I64, pick: I64, owner: I64, weight: F64, sigma: F64
) -> tuple[F64, F64]:
    """Robust location of every start (starts, 4) by iteratively reweighted steps.

    `event_of` (starts,): event of each start.
    """
    number = np.bincount(owner, minlength=int(event_of.max(initial=-1)) + 1)
    first = np.concatenate([[0], np.cumsum(number)])[event_of]
    count = number[event_of]
    event = np.repeat(np.arange(len(hypocentre)), count)
    pair = np.repeat(first - np.cumsum(count) + count, count) + np.arange(len(event))
    rows, weight, sigma = data.take(pick[pair]), weight[pair], sigma[pair]
    residual, gradient = rows.residuals(hypocentre, event)
    damping = np.full(len(hypocentre), MILD_DAMPING)
    for step in range(_STEPS):
        soft = sigma * max(1.0, 8.0 * 0.6**step)  # wide at first, so that far picks pull too
        robust = (DEGREES_OF_FREEDOM + 1.0) / (DEGREES_OF_FREEDOM + (residual / soft) ** 2)
        hypocentre, residual, gradient, _ = locate_step(
            rows, hypocentre, event, weight * robust / soft**2, residual, gradient, damping
        )
    half = 0.5 * (DEGREES_OF_FREEDOM + 1.0)
    loss = weight * half * np.log1p((residual / sigma) ** 2 / DEGREES_OF_FREEDOM)
    return hypocentre, np.bincount(event, loss, minlength=len(hypocentre)).astype(np.float64)
