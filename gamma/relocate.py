"""Other places that explain the same picks: a cable's mirror image, and minima that a step cannot leave."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gamma.locate import Damping, locate_step
from gamma.mixture import DEGREES_OF_FREEDOM, Fit, Problem
from gamma.seeds import SeedGrid

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_STARTS = 6
_STEPS = 25
_NODE_SCALE = 0.4
_SHARP = 2.0
_SWAP_GAIN = 5.0


@dataclass(frozen=True)
class Alternatives:
    """Locations reached from other starts.

    Attributes
    ----------
    theta : numpy.ndarray, shape (events, starts, 4)
        The first start is the current location.
    cost : numpy.ndarray, shape (events, starts)
        Negative log likelihood (nat) of the event's picks; infinite for starts not used.
    """

    theta: F64
    cost: F64


def search_alternatives(problem: Problem, fitted: Fit, grid: SeedGrid, events: I64) -> Alternatives:
    """Locate events anew from the best separate nodes of the grid, with their picks held fixed.

    `events` (chosen,).
    """
    claims = _claims(problem, fitted, events)
    return _search(problem, grid, fitted.components.theta[events], claims)


def swap_phases(problem: Problem, fitted: Fit, grid: SeedGrid, one: int, two: int) -> F64 | None:
    """Try whether two events fit better when they exchange their S picks.

    Two events a few seconds apart on a cable can each take the other's S wave and still be located, badly.

    Returns (2, 4) or None.
    """
    pair = np.array([one, two])
    pick, owner, weight, sigma = _claims(problem, fitted, pair)
    sigma = np.minimum(sigma, problem.sigma_s)
    theta, rows = fitted.components.theta[pair], np.arange(2)
    now = _search(problem, grid, theta, (pick, owner, weight, sigma))
    owner = np.where((problem.slot[pick] & 1) == 1, 1 - owner, owner)
    order = np.argsort(owner, kind="stable")
    then = _search(problem, grid, theta, (pick[order], owner[order], weight[order], sigma[order]))
    best = then.cost.argmin(axis=1)
    gain = float(now.cost.min(axis=1).sum() - then.cost[rows, best].sum())
    return then.theta[rows, best] if gain > _SWAP_GAIN else None


def _search(problem: Problem, grid: SeedGrid, theta: F64, claims: tuple[I64, I64, F64, F64]) -> Alternatives:
    starts = np.repeat(theta[:, None, :], _STARTS, axis=1)
    used = np.zeros((len(theta), _STARTS), dtype=bool)
    used[:, 0] = True
    pick, owner, weight, sigma = claims
    bounds = np.searchsorted(owner, np.arange(len(theta) + 1))
    for row, (lo, hi) in enumerate(pairwise(bounds)):
        if hi - lo < problem.num_free:
            continue
        nodes = _best_nodes(problem, grid, pick[lo:hi], weight[lo:hi], starts[row, 0, 1:])
        starts[row, 1 : 1 + len(nodes)] = nodes
        used[row, 1 : 1 + len(nodes)] = True
    theta, cost = _descend(problem, starts.reshape(-1, 4), pick, owner, weight, sigma)
    cost = np.where(used, cost.reshape(used.shape), np.inf)
    return Alternatives(theta.reshape(starts.shape), cost)


def _claims(problem: Problem, fitted: Fit, events: I64) -> tuple[I64, I64, F64, F64]:
    """Pairs of the chosen events that they own: pick, owner (place in `events`), weight and scale."""
    pairs, now = fitted.pairs, fitted.expectation
    place = np.full(len(fitted.components), -1, dtype=np.int64)
    place[events] = np.arange(len(events))
    mine = np.flatnonzero((now.posterior > 0.3) & (place[pairs.event] >= 0))
    mine = mine[np.argsort(place[pairs.event[mine]], kind="stable")]
    pick = pairs.pick[mine]
    sigma = fitted.components.sigma_s[pairs.event[mine], problem.slot_group[problem.slot[pick]]]
    sigma = np.minimum(sigma, _SHARP * problem.sigma_s)  # one event's width, not that of two taken for one
    return pick, place[pairs.event[mine]], problem.weight[pick] * now.posterior[mine], sigma


def _best_nodes(problem: Problem, grid: SeedGrid, pick: I64, weight: F64, place_km: F64) -> F64:
    """Best nodes that are apart from each other and from the present place, with their origin times."""
    origin = problem.time_s[pick] - grid.travel_time_s[:, problem.slot[pick]]
    middle = np.median(origin, axis=1)
    scale = _NODE_SCALE * grid.window_s
    cost = np.log1p(((origin - middle[:, None]) / scale) ** 2 / DEGREES_OF_FREEDOM) @ weight
    apart = 2.5 * grid.spacing_km
    chosen: list[int] = []
    for node in np.argsort(cost, kind="stable")[:400].tolist():
        if len(chosen) == _STARTS - 1:
            break
        others = np.concatenate([grid.nodes_km[chosen], place_km[None]])[:, :2]
        if (np.hypot(*(others - grid.nodes_km[node, :2]).T) > apart).all():
            chosen.append(node)
    return np.column_stack([middle[chosen], grid.nodes_km[chosen]])


def _descend(problem: Problem, theta: F64, pick: I64, owner: I64, weight: F64, sigma: F64) -> tuple[F64, F64]:
    """Robust location of every start by iteratively reweighted steps."""
    starts = len(theta)
    pick = np.tile(pick, _STARTS)
    event = (owner[None, :] * _STARTS + np.arange(_STARTS)[:, None]).ravel()
    weight, sigma = np.tile(weight, _STARTS), np.tile(sigma, _STARTS)
    slot = problem.slot[pick]
    time, gradient = problem.travel_time.times_and_gradients(
        theta[event, 1:], problem.slot_xyz_km[slot], slot & 1
    )
    residual = problem.time_s[pick] - theta[event, 0] - time
    damping = Damping.start(starts)
    for step in range(_STEPS):
        soft = sigma * max(1.0, 8.0 * 0.6**step)  # wide at first, so that far picks pull too
        robust = (DEGREES_OF_FREEDOM + 1.0) / (DEGREES_OF_FREEDOM + (residual / soft) ** 2)
        theta, residual, gradient, _ = locate_step(
            problem, theta, pick, event, weight * robust / soft**2, residual, gradient, damping
        )
    half = 0.5 * (DEGREES_OF_FREEDOM + 1.0)
    loss = weight * half * np.log1p((residual / sigma) ** 2 / DEGREES_OF_FREEDOM)
    return theta, np.bincount(event, loss, minlength=starts).astype(np.float64)
