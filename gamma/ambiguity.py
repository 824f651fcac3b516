"""Find other places that fit the picks of an event as well, and join the halves of events outside the box.

Other places are a cable's mirror image, and minima that a step of the location cannot leave. The P and the S
waves of an event outside the search box may have been placed apart on its edge.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gamma.domain import Domain
from gamma.initial import SeedGrid
from gamma.likelihood import PickData
from gamma.location import MILD_DAMPING, locate_step
from gamma.mixture import DEGREES_OF_FREEDOM, Events, Fit, expect, find_pairs
from gamma.results import FittedEvents, Mirrors

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_STARTS = 6
_STEPS = 25
_NODE_SCALE = 0.4
_SHARP = 2.0
_JUMP_GAIN = 1.0
_SWAP_GAIN = 5.0
_SWAP_S = 20.0
_MAX_LOSS = 3.0
_MIN_APART_KM = 2.0
_ONE_PHASE = 0.75
_SURE = 0.5
_SHARED_RECEIVERS = 0.5
_SAME_PLACE = 18.4  # chi square of two degrees of freedom, 99.99 %
JOINED = "P and S of one event outside the search box; joined"


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
    fitted = Fit(events, pairs, expect(data, events, pairs), converged=True)
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
    starts = np.repeat(hypocentre[:, None, :], _STARTS, axis=1)
    used = np.zeros((len(hypocentre), _STARTS), dtype=bool)
    used[:, 0] = True
    pick, owner, weight, sigma = claims
    bounds = np.searchsorted(owner, np.arange(len(hypocentre) + 1))
    for row, (lo, hi) in enumerate(pairwise(bounds)):
        if hi - lo < data.num_free:
            continue
        nodes = _best_nodes(data, grid, pick[lo:hi], weight[lo:hi], starts[row, 0, 1:])
        starts[row, 1 : 1 + len(nodes)] = nodes
        used[row, 1 : 1 + len(nodes)] = True
    hypocentre, cost = _descend(data, starts.reshape(-1, 4), pick, owner, weight, sigma)
    cost = np.where(used, cost.reshape(used.shape), np.inf)
    return hypocentre.reshape(starts.shape), cost


def _claims(data: PickData, fitted: Fit, chosen: I64) -> tuple[I64, I64, F64, F64]:
    """Pairs of the chosen events that they own: pick, owner (place in `events`), weight and scale."""
    pairs, now = fitted.pairs, fitted.expectation
    place = np.full(len(fitted.events), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    mine = np.flatnonzero((now.posterior > 0.3) & (place[pairs.event] >= 0))
    mine = mine[np.argsort(place[pairs.event[mine]], kind="stable")]
    pick = pairs.pick[mine]
    sigma = fitted.events.sigma_s[pairs.event[mine], data.group_of(pick)]
    sigma = np.minimum(sigma, _SHARP * data.sigma_s)  # one event's width, not that of two taken for one
    return pick, place[pairs.event[mine]], data.weight[pick] * now.posterior[mine], sigma


def _best_nodes(data: PickData, grid: SeedGrid, pick: I64, weight: F64, place_km: F64) -> F64:
    """Best nodes that are apart from each other and from the present place, with their origin times."""
    origin = data.time_s[pick] - grid.travel_time_s[:, data.receiver_phase[pick]]
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


def _descend(
    data: PickData, hypocentre: F64, pick: I64, owner: I64, weight: F64, sigma: F64
) -> tuple[F64, F64]:
    """Robust location of every start by iteratively reweighted steps."""
    starts = len(hypocentre)
    pick = np.tile(pick, _STARTS)
    event = (owner[None, :] * _STARTS + np.arange(_STARTS)[:, None]).ravel()
    weight, sigma = np.tile(weight, _STARTS), np.tile(sigma, _STARTS)
    residual, gradient = data.residuals(hypocentre, pick, event)
    damping = np.full(starts, MILD_DAMPING)
    for step in range(_STEPS):
        soft = sigma * max(1.0, 8.0 * 0.6**step)  # wide at first, so that far picks pull too
        robust = (DEGREES_OF_FREEDOM + 1.0) / (DEGREES_OF_FREEDOM + (residual / soft) ** 2)
        hypocentre, residual, gradient, _ = locate_step(
            data, hypocentre, pick, event, weight * robust / soft**2, residual, gradient, damping
        )
    half = 0.5 * (DEGREES_OF_FREEDOM + 1.0)
    loss = weight * half * np.log1p((residual / sigma) ** 2 / DEGREES_OF_FREEDOM)
    return hypocentre, np.bincount(event, loss, minlength=starts).astype(np.float64)


def join_outside(domain: Domain, fitted: FittedEvents) -> FittedEvents:
    """Join what the P and the S waves of an event outside the search box have made.

    No place inside has the time between P and S of an event farther away, so that its P and S waves are
    fitted best by two events, the one of S waves later. They are one when at least one of them lies on the
    edge, the same receivers see them and their places agree within their uncertainties. The one on the edge
    stays.
    """
    into = _partners(domain, fitted)
    gone = into != np.arange(len(into))
    if not gone.any():
        return fitted
    event = into[fitted.event]
    moved = event != fitted.event
    residual = fitted.residual_s.copy()
    residual[moved] = _residuals(fitted, fitted.pick[moved], event[moved])
    kept = np.flatnonzero(~gone)
    return replace(
        fitted,
        events=fitted.events.take(kept),
        member=fitted.member[kept],
        event=(np.cumsum(~gone) - 1)[event],
        residual_s=residual,
        location=fitted.location.take(kept),
        odds=fitted.odds[kept],
        dropped=fitted.dropped + Counter({JOINED: int(gone.sum())}),
    )


def _partners(domain: Domain, fitted: FittedEvents) -> I64:
    """Event that each event belongs to: mostly itself."""
    hypocentre, share = fitted.events.hypocentre, _s_share(fitted)
    into = np.arange(len(hypocentre))
    if domain.mode != "full":
        return into
    edge = domain.on_edge(hypocentre[:, 1:], top=False)
    p_only = share < 1.0 - _ONE_PHASE
    for s_event in np.flatnonzero(share > _ONE_PHASE):
        wait = hypocentre[s_event, 0] - hypocentre[:, 0]
        near = np.flatnonzero(p_only & (wait >= 0.0) & (wait <= domain.reach_s) & (edge | edge[s_event]))
        near = near[[_share_receivers(fitted, int(s_event), int(event)) for event in near]]
        apart = np.array([_separation(fitted, int(s_event), int(event)) for event in near])
        if len(near) == 0 or apart.min() > _SAME_PLACE:
            continue
        p_event = near[apart.argmin()]
        p_only[p_event] = False
        if edge[p_event]:
            into[s_event] = p_event
        else:
            into[p_event] = s_event
    return into


def _s_share(fitted: FittedEvents) -> F64:
    events = len(fitted.events)
    shear = (fitted.picks.receiver_phase[fitted.pick] & 1) == 1
    total = np.bincount(fitted.event, fitted.posterior, minlength=events)
    s_waves = np.bincount(fitted.event[shear], fitted.posterior[shear], minlength=events)
    share: F64 = s_waves / np.maximum(total, 1e-9)
    return share


def _share_receivers(fitted: FittedEvents, one: int, other: int) -> bool:
    """Whether most receivers of the event with fewer are receivers of the other too."""
    sure = fitted.posterior >= _SURE
    receiver = fitted.picks.receiver_phase[fitted.pick] >> 1
    first, second = (np.unique(receiver[sure & (fitted.event == event)]) for event in (one, other))
    return len(np.intersect1d(first, second)) > _SHARED_RECEIVERS * min(len(first), len(second))


def _separation(fitted: FittedEvents, one: int, other: int) -> float:
    """Squared distance of two epicentres over their uncertainties (Mahalanobis)."""
    offset = fitted.events.hypocentre[one, 1:3] - fitted.events.hypocentre[other, 1:3]
    covariance = fitted.location.covariance[[one, other], 1:3, 1:3].sum(axis=0)
    return float(offset @ np.linalg.pinv(covariance, hermitian=True) @ offset)


def _residuals(fitted: FittedEvents, pick: I64, event: I64) -> F64:
    hypocentre, receiver_phase, template = (
        fitted.events.hypocentre[event],
        fitted.picks.receiver_phase[pick],
        fitted.picks.template,
    )
    travel = template.travel_time.times(
        hypocentre[:, 1:], template.receiver_phase_xyz_km[receiver_phase], receiver_phase & 1
    )
    return fitted.picks.time_s[pick] - hypocentre[:, 0] - travel
