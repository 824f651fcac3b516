"""Find other places that fit the picks of an event as well.

They are a cable's mirror image, and minima that a step of the location cannot leave.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gamma.domain import Domain
from gamma.initial import SeedGrid
from gamma.likelihood import PickData
from gamma.location import locate_from_nodes
from gamma.mixture import Events, Fit, expect, find_pairs
from gamma.results import Mirrors

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_SHARP = 2.0
_JUMP_GAIN = 1.0
_SWAP_GAIN = 5.0
_SWAP_S = 20.0
_MAX_LOSS = 3.0
_MIN_APART_KM = 2.0


def jump(domain: Domain, data: PickData, fitted: Fit, fresh: Mask) -> Events | None:
    """Move new events seen mostly by cables to a clearly better place; None when none moves."""
    if domain.mode != "full" or not fresh.any() or domain.receivers.num_cables == 0:
        return None
    chosen = np.flatnonzero(fresh)
    place, cost = search_alternatives(data, fitted, domain.grid, chosen)
    best = cost.argmin(axis=1)
    rows = np.arange(len(chosen))
    better = cost[rows, best] < cost[:, 0] - _JUMP_GAIN
    if not better.any():
        return None
    hypocentre = fitted.events.hypocentre.copy()
    hypocentre[chosen[better]] = place[rows, best][better]
    sigma = fitted.events.sigma_s.copy()
    sigma[chosen[better]] = np.minimum(sigma[chosen[better]], 2.0 * data.sigma_s)
    return replace(fitted.events, hypocentre=hypocentre, sigma_s=sigma)


def exchange_s_picks(domain: Domain, data: PickData, fitted: Fit) -> Events | None:
    """Let pairs of events close in time exchange their S picks where that fits clearly better."""
    if domain.mode != "full" or domain.receivers.num_cables == 0:
        return None
    hypocentre = fitted.events.hypocentre.copy()
    order = np.argsort(hypocentre[:, 0], kind="stable")
    moved = np.zeros(len(hypocentre), dtype=bool)
    for place, one in enumerate(order):
        for two in order[place + 1 :]:
            if hypocentre[two, 0] - hypocentre[one, 0] > _SWAP_S:
                break
            if moved[one] or moved[two]:
                continue
            better = _swapped_hypocentres(data, fitted, domain.grid, int(one), int(two))
            if better is not None:
                hypocentre[[one, two]] = better
                moved[[one, two]] = True
    if not moved.any():
        return None
    sigma = fitted.events.sigma_s.copy()
    sigma[moved] = np.minimum(sigma[moved], 2.0 * data.sigma_s)
    return replace(fitted.events, hypocentre=hypocentre, sigma_s=sigma)


def second_places(domain: Domain, data: PickData, events: Events, chosen: I64) -> Mirrors:
    """Find another place that fits the picks of each chosen event about as well, such as a mirror image."""
    reach = np.maximum(6.0 * events.sigma_s, 4.0 * data.sigma_s)
    pairs = find_pairs(data, events, reach)
    fitted = Fit(events, pairs, expect(events, pairs), converged=True)
    place, cost = search_alternatives(data, fitted, domain.grid, chosen)
    apart = np.linalg.norm(place[:, :, 1:3] - place[:, :1, 1:3], axis=2)
    loss = np.where(apart > _MIN_APART_KM, cost - cost[:, :1], np.inf)
    best = loss.argmin(axis=1)
    rows = np.arange(len(chosen))
    near = loss[rows, best] < _MAX_LOSS
    hypocentre = np.where(near[:, None], place[rows, best], np.nan)
    return Mirrors(hypocentre, np.where(near, np.maximum(loss[rows, best], 0.0), np.nan))


def search_alternatives(data: PickData, fitted: Fit, grid: SeedGrid, chosen: I64) -> tuple[F64, F64]:
    """Locate events anew from the best separate nodes of the grid, with their picks held fixed.

    Returns `hypocentre` (events, starts, 4), of which the first is the current location, and `cost`
    (events, starts), the negative log likelihood (nat) of the picks; infinite for starts not used.
    """
    return _search(data, grid, fitted.events.hypocentre[chosen], _claims(data, fitted, chosen))


def _swapped_hypocentres(data: PickData, fitted: Fit, grid: SeedGrid, one: int, two: int) -> F64 | None:
    """Try whether two events fit better when they exchange their S picks: hypocentres (2, 4) or None.

    Two events a few seconds apart on a cable can each take the other's S wave and still be located, badly.
    """
    pair = np.array([one, two])
    pick, owner, weight, sigma = _claims(data, fitted, pair)
    sigma = np.minimum(sigma, data.sigma_s)
    hypocentre, rows = fitted.events.hypocentre[pair], np.arange(2)
    _, now = _search(data, grid, hypocentre, (pick, owner, weight, sigma))
    owner = np.where((data.receiver_phase[pick] & 1) == 1, 1 - owner, owner)
    order = np.argsort(owner, kind="stable")
    place, then = _search(data, grid, hypocentre, (pick[order], owner[order], weight[order], sigma[order]))
    best = then.argmin(axis=1)
    gain = float(now.min(axis=1).sum() - then[rows, best].sum())
    return place[rows, best] if gain > _SWAP_GAIN else None


def _search(
    data: PickData, grid: SeedGrid, hypocentre: F64, claims: tuple[I64, I64, F64, F64]
) -> tuple[F64, F64]:
    return locate_from_nodes(data, grid, *claims, len(hypocentre), start=hypocentre)


def _claims(data: PickData, fitted: Fit, chosen: I64) -> tuple[I64, I64, F64, F64]:
    """Pairs of the chosen events that they own: pick, owner (place in `events`), weight and scale."""
    pairs, now = fitted.pairs, fitted.expectation
    place = np.full(len(fitted.events), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    mine = np.flatnonzero((now.posterior > 0.3) & (place[pairs.event] >= 0))
    mine = mine[np.argsort(place[pairs.event[mine]], kind="stable")]
    rows = pairs.rows.take(mine)
    sigma = fitted.events.sigma_s[pairs.event[mine], rows.group]
    sigma = np.minimum(sigma, _SHARP * data.sigma_s)  # one event's width, not that of two taken for one
    return pairs.pick[mine], place[pairs.event[mine]], rows.weight * now.posterior[mine], sigma
