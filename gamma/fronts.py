"""Follow arrivals along a cable as fronts, and pair the fronts of P and S into first guesses of events.

Neighbouring channels see an arrival almost at once. Its picks form a front, which is one phase of one event
whatever the picks are called. Every pair of fronts that can be P and S of one event is located. Of all pairs
those are chosen that explain the fronts best, each front once: a matching of greatest weight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse.csgraph import connected_components

from gamma.domain import Domain
from gamma.initial import Seeds
from gamma.likelihood import PickSeries
from gamma.location import locate_from_nodes

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_PASSES = 3
_SKIP = 2
_KNOWN_SLOPE = 0.35
MIN_CELLS = 4
_MIN_COMMON = 0.5
_IN_ORDER = 0.9
_MOST_PARTNERS = 6
_SOFT = 1.5
# Scores of a pair, in nat. Neighbouring cells repeat each other's errors and names, so that those count less.
_PAIR = 5.0
_PER_CELL = 0.1
_LOSS = 0.5
_NAMES = 0.15
_WAIT_WIDTH = 0.1
_SLOPE_WIDTH_S_KM = 0.04
_KINDS = 50.0
_COMPANY = 2.0


@dataclass(frozen=True)
class Runs:
    """Aligned runs of picks in the cells of cables, by cell, then time."""

    pick: I64  # (runs,), number in the series
    time_s: F64
    cell: I64
    log_name: F64  # (runs, 2), log probability of the run's names, were it P, and were it S


def cable_runs(domain: Domain, picks: PickSeries, free: Mask) -> Runs:
    """Take the free picks (picks,) of cables."""
    named = picks.named
    cell = picks.receiver_phase[named] >> 1
    pick = np.flatnonzero(free & (domain.cells.size[cell] > 1))
    pick = pick[np.lexsort((picks.time_s[named[pick]], cell[pick]))]
    log_name = np.full((len(picks), 2), -np.inf)
    log_name[picks.pick, picks.receiver_phase & 1] = picks.log_name
    return Runs(pick, picks.time_s[named[pick]], cell[pick], log_name[pick])


def follow_fronts(domain: Domain, runs: Runs) -> I64:
    """Give each run (runs,) the number of its front, -1 where no front of enough cells holds it."""
    follower = np.full(len(runs.time_s), -1, dtype=np.int64)
    if len(follower) == 0:
        return follower
    along, cable = _cells_along(domain)
    slope = np.full(len(follower), np.nan)
    for _ in range(_PASSES):
        follower[:] = -1
        for step in range(1, _SKIP + 1):
            for _ in range(2):
                _link(domain, runs, slope, along, cable, step, follower)
        slope = _slopes(runs, along, follower)
    linked = np.flatnonzero(follower >= 0)
    graph = sparse.coo_matrix((np.ones(len(linked)), (linked, follower[linked])), (len(follower),) * 2)
    _, front = connected_components(graph, directed=False)
    size = np.bincount(front)
    number = np.where(size >= MIN_CELLS, np.cumsum(size >= MIN_CELLS) - 1, -1)
    return np.asarray(number[front], dtype=np.int64)


def _cells_along(domain: Domain) -> tuple[F64, I64]:
    """Place along its cable (km) of each cell, and its cable; cells of one cable follow each other."""
    middle = domain.cells.representative
    return domain.receivers.along_km[middle], domain.receivers.cable[middle]


def _link(domain: Domain, runs: Runs, slope: F64, along: F64, cable: I64, step: int, follower: I64) -> None:
    """Link runs without a follower to those `step` cells on without a leader; each other's best alone."""
    span = float(np.ptp(runs.time_s)) + 1.0
    start = float(runs.time_s.min())
    key = runs.cell * (3.0 * span) + runs.time_s - start
    leader = np.zeros(len(follower), dtype=bool)
    leader[follower[follower >= 0]] = True
    one = np.flatnonzero(follower < 0)
    target = runs.cell[one] + step
    one = one[target < len(along)]
    target = runs.cell[one] + step
    one, target = (a[cable[target] == cable[runs.cell[one]]] for a in (one, target))
    dx = np.abs(along[target] - along[runs.cell[one]])
    slowest = 1.0 / domain.model.slowest_km_s[1]
    known = np.isfinite(slope[one])
    aim = runs.time_s[one] + np.where(known, slope[one], 0.0) * dx
    width = 1.5 * domain.config.pick_uncertainty_s + np.where(known, _KNOWN_SLOPE, 1.0) * slowest * dx
    base = target * (3.0 * span) - start
    first, last = (
        np.searchsorted(key, base + np.clip(aim + side * width, start - span, start + 2 * span))
        for side in (-1.0, 1.0)
    )
    count = np.maximum(last - first, 0)
    a = np.repeat(np.arange(len(one)), count)
    b = np.repeat(first, count) + np.arange(len(a)) - np.repeat(np.cumsum(count) - count, count)
    a, b = a[~leader[b]], b[~leader[b]]
    mean = (
        np.nanmean(np.stack([slope[one[a]], slope[b], np.where(known[a], np.nan, 0.0)]), axis=0)
        if len(a)
        else np.empty(0)
    )
    cost = np.abs(runs.time_s[b] - runs.time_s[one[a]] - np.nan_to_num(mean) * dx[a])
    best = _first_of(a, cost, b) & _first_of(b, cost, a)
    follower[one[a[best]]] = b[best]


def _first_of(group: I64, cost: F64, tie: I64) -> Mask:
    """Mark the cheapest of each group."""
    order = np.lexsort((tie, cost, group))
    out = np.zeros(len(group), dtype=bool)
    if len(order):
        out[order[np.concatenate([[True], group[order[1:]] != group[order[:-1]]])]] = True
    return out


def _slopes(runs: Runs, along: F64, follower: I64) -> F64:
    """Slowness along the cable (s/km) about each linked run, smoothed along the front; NaN for lone runs."""
    place = along[runs.cell]
    after = np.where(follower >= 0, follower, np.arange(len(follower)))
    before = np.arange(len(follower))
    before[follower[follower >= 0]] = np.flatnonzero(follower >= 0)
    dx = place[after] - place[before]
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(dx > 0.0, (runs.time_s[after] - runs.time_s[before]) / dx, np.nan)
    for _ in range(4):
        slope = (slope[before] + slope + slope[after]) / 3.0
    return np.asarray(slope, dtype=np.float64)


@dataclass(frozen=True)
class FrontTable:
    """Arrival times of fronts by cell."""

    time_s: F64  # (fronts, cells), NaN where a front has no run
    log_name: F64  # (fronts, 2), sum over the cells
    middle_s: F64  # (fronts,), median time


def front_table(runs: Runs, front: I64, num_cells: int) -> FrontTable:
    """Bring fronts into a table, in order of time."""
    inside = front >= 0
    number = int(front.max(initial=-1)) + 1
    time = np.full((number, num_cells), np.nan)
    time[front[inside], runs.cell[inside]] = runs.time_s[inside]
    names = np.zeros((number, 2))
    np.add.at(names, front[inside], np.maximum(runs.log_name[inside], -20.0))
    middle = np.nanmedian(time, axis=1) if number else np.empty(0)
    order = np.argsort(middle, kind="stable")
    return FrontTable(time[order], names[order], middle[order])


def pair_fronts(domain: Domain, picks: PickSeries, free: Mask) -> Seeds:
    """Make first guesses of events from the fronts of free picks (picks,), each front used once."""
    runs = cable_runs(domain, picks, free)
    table = front_table(runs, follow_fronts(domain, runs), len(domain.cells.size))
    p, s = _candidates(domain, table)
    if len(p) == 0:
        return Seeds.none()
    names = table.log_name[p, 0] + table.log_name[s, 1]
    names = names - table.log_name[p].max(axis=1) - table.log_name[s].max(axis=1)
    place, loss, weight = _locate(domain, picks, table, p, s)
    score = _PAIR + _PER_CELL * weight - _LOSS * loss + _NAMES * names - _rivals(p, s)
    chosen = _match(p, s, score, len(table.middle_s))
    for _ in range(_PASSES):
        chosen = _match(p, s, score + _company(domain, table, p, s, chosen), len(table.middle_s))
    order = chosen[np.argsort(place[chosen, 0], kind="stable")]
    scale = np.full(len(order), 2.0 * domain.config.pick_uncertainty_s)
    return Seeds(place[order], weight[order], scale)


def _candidates(domain: Domain, table: FrontTable) -> tuple[I64, I64]:
    """List pairs of fronts (p, s) that can be P and S of an event: S later, on the same channels."""
    longest = domain.grid.longest_s_minus_p_s
    middle = table.middle_s
    moveout = np.nanmax(table.time_s, axis=1) - np.nanmin(table.time_s, axis=1) if len(middle) else middle
    wide = longest + float(np.max(moveout, initial=0.0))
    last = np.searchsorted(middle, middle + wide)
    count = np.maximum(last - np.arange(len(middle)) - 1, 0)
    p = np.repeat(np.arange(len(middle)), count)
    s = p + 1 + np.arange(len(p)) - np.repeat(np.cumsum(count) - count, count)
    keep = np.zeros(len(p), dtype=bool)
    number = np.isfinite(table.time_s).sum(axis=1)
    for lo in range(0, len(p), 20_000):
        part = slice(lo, lo + 20_000)
        wait = table.time_s[s[part]] - table.time_s[p[part]]
        common = np.isfinite(wait)
        enough = common.sum(axis=1) >= np.maximum(
            _MIN_COMMON * np.minimum(number[p[part]], number[s[part]]), 4
        )
        late = (wait > 0.0).sum(axis=1) >= _IN_ORDER * common.sum(axis=1)
        with np.errstate(all="ignore"):
            typical = np.nanmedian(np.where(enough[:, None], wait, 0.0), axis=1)
        keep[part] = enough & late & (typical < longest) & (typical > 0.5 * domain.config.pick_uncertainty_s)
    return p[keep], s[keep]


def _locate(domain: Domain, picks: PickSeries, table: FrontTable, p: I64, s: I64) -> tuple[F64, F64, F64]:
    """Locate every pair: hypocentres (pairs, 4), loss (pairs,) in nat, and number of independent picks."""
    times = np.stack([table.time_s[p], table.time_s[s]], axis=2)  # (pairs, cells, phase)
    owner, cell, phase = np.nonzero(np.isfinite(times))
    receiver_phase = 2 * cell + phase
    weight = picks.template.receiver_phase_weight[receiver_phase]
    data = replace(
        picks.template,
        time_s=times[owner, cell, phase],
        receiver_phase=receiver_phase,
        pick=np.arange(len(owner)),
        log_name=np.zeros(len(owner)),
        weight=weight,
        noise=np.ones(len(owner)),
    )
    sigma = np.full(len(owner), _SOFT * domain.residual_s)
    place, cost = locate_from_nodes(data, domain.grid, np.arange(len(owner)), owner, weight, sigma, len(p))
    best = cost.argmin(axis=1)
    rows = np.arange(len(p))
    number = np.bincount(owner, weight, minlength=len(p)).astype(np.float64)
    return place[rows, best], cost[rows, best], number


def _rivals(p: I64, s: I64) -> F64:
    """Log number of the pairs that each pair's fronts could make: among many, some fit by chance."""
    return np.asarray(sum(np.log(np.bincount(side)[side]) for side in (p, s)), dtype=np.float64)


def _company(domain: Domain, table: FrontTable, p: I64, s: I64, chosen: I64) -> F64:
    """Log prior of each pair (pairs,) from the chosen ones like it: earthquakes come in swarms.

    Pairs are alike in the time from P to S and in the slowness of P along the cable.
    """
    along, _ = _cells_along(domain)
    wait = np.nanmedian(table.time_s[s] - table.time_s[p], axis=1)
    slope = _front_slopes(table, along)[p]
    width_s = domain.config.pick_uncertainty_s + _WAIT_WIDTH * wait
    number = np.empty(len(p))
    for lo in range(0, len(p), 2000):
        part = slice(lo, lo + 2000)
        away = ((wait[part, None] - wait[chosen]) / width_s[part, None]) ** 2
        away += ((slope[part, None] - slope[chosen]) / _SLOPE_WIDTH_S_KM) ** 2
        itself = (p[part, None] == p[chosen]) | (s[part, None] == s[chosen])
        number[part] = np.where(itself, 0.0, np.exp(-0.5 * away)).sum(axis=1)
    return _COMPANY * np.log((1.0 + number) / (1.0 + len(chosen) / _KINDS))


def _front_slopes(table: FrontTable, along: F64) -> F64:
    """Mean slowness along the cable (s/km) of each front (fronts,), by least squares."""
    known = np.isfinite(table.time_s)
    number = known.sum(axis=1, keepdims=True)
    x = np.where(known, along, 0.0)
    x = np.where(known, x - x.sum(axis=1, keepdims=True) / number, 0.0)
    return np.asarray(
        (x * np.nan_to_num(table.time_s - table.middle_s[:, None])).sum(axis=1) / (x**2).sum(axis=1)
    )


def _match(p: I64, s: I64, score: F64, num_fronts: int) -> I64:
    """Choose the pairs of greatest total score in which no front is used twice."""
    good = np.flatnonzero(score > 0.0)
    if len(good) == 0:
        return good
    for side in (p, s):  # a front's best few partners hold the answer
        rank = _rank_within(side[good], -score[good])
        good = good[rank < _MOST_PARTNERS]
    graph = sparse.coo_matrix((np.ones(len(good)), (p[good], s[good])), (num_fronts, num_fronts))
    _, cluster = connected_components(graph, directed=False)
    member = cluster[p[good]]
    order = np.argsort(member, kind="stable")
    edges = np.flatnonzero(np.diff(member[order], prepend=-1, append=num_fronts + 1))
    chosen = [_match_cluster(p, s, score, good[order[lo:hi]]) for lo, hi in pairwise(edges)]
    return np.concatenate(chosen)


def _rank_within(group: I64, value: F64) -> I64:
    order = np.lexsort((value, group))
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    rank = np.empty(len(group), dtype=np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(first, np.diff(np.append(first, len(group))))
    return rank


def _match_cluster(p: I64, s: I64, score: F64, pairs: I64) -> I64:
    if len(pairs) == 1:
        return pairs
    fronts, place = np.unique(np.concatenate([p[pairs], s[pairs]]), return_inverse=True)
    column = np.tile(np.arange(len(pairs)), 2)
    use = sparse.csr_matrix((np.ones(len(column)), (place.ravel(), column)), (len(fronts), len(pairs)))
    found = milp(
        -score[pairs],
        constraints=LinearConstraint(use, -np.inf, 1.0),
        integrality=np.ones(len(pairs)),
        bounds=Bounds(0.0, 1.0),
    )
    return pairs[found.x > 0.5]
