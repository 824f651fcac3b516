"""The last fit: every pick for itself, effective numbers from residuals, uncertainties, assignment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gamma.blocks import Runner, cut_batches
from gamma.correlation import CableOrder, Correlation, cable_order, estimate_correlation
from gamma.mixture import Components, Fit, Problem, find_pairs, fit, reach_of
from gamma.problems import PickSet, with_noise
from gamma.setup import Setup
from gamma.support import EVIDENCE_TESTS, failures, weakest
from gamma.uncertainty import Location, describe_locations

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_ATTEMPTS = 6
_MIN_POSTERIOR = 0.02


@dataclass(frozen=True)
class _Task:
    problem: Problem
    pick: I64
    components: Components
    member: I64
    core: npt.NDArray[np.bool_]
    correlation: Correlation | None


@dataclass(frozen=True)
class _Part:
    components: Components
    member: I64
    pick: I64
    event: I64
    posterior: F64
    residual_s: F64
    near: I64
    location: Location | None
    odds: F64
    converged: bool
    bounds: list[tuple[float, str]]
    dropped: Counter[str]


@dataclass(frozen=True)
class Final:
    """Events as they stand at the end, sorted by origin time.

    Attributes
    ----------
    components : Components
    member : numpy.ndarray of int64, shape (events,)
        Place of each event in the list given.
    pick, event : numpy.ndarray of int64, shape (pairs,)
    posterior, residual_s : numpy.ndarray, shape (pairs,)
    near : numpy.ndarray of int64, shape (n,)
        Picks within reach of some event's predicted arrivals.
    location : Location
    odds : numpy.ndarray, shape (events,)
    correlation : Correlation
    converged : bool
    picks : PickSet
    bounds : list
        The log of the bound, batch by batch.
    dropped : Counter
    """

    components: Components
    member: I64
    pick: I64
    event: I64
    posterior: F64
    residual_s: F64
    near: I64
    location: Location
    odds: F64
    correlation: Correlation
    converged: bool
    picks: PickSet
    bounds: list[list[tuple[float, str]]]
    dropped: Counter[str]


@dataclass(frozen=True)
class Assigned:
    """Each pick's event, -1 for none, with its posterior and residual (NaN for none), and why none."""

    event: I64
    score: F64
    residual_s: F64
    duplicate: npt.NDArray[np.bool_]


def finish(runner: Runner, picks: PickSet, components: Components) -> Final:
    """Fit all picks one by one from the events found, and describe the events.

    With cables, the residuals of a first pass give the effective number of observations of each cable,
    and a second pass uses it.
    """
    setup = runner.setup
    receivers, order = setup.receivers, cable_order(setup.receivers)
    share = np.ones(2 * receivers.num_cables)
    for cable in range(receivers.num_cables):
        share[2 * cable : 2 * cable + 2] = picks.template.slot_weight[
            2 * int(np.argmax(receivers.cable == cable))
        ]
    correlation = Correlation(tuple(np.ones(1) for _ in share), share)
    parts = _pass(runner, picks, components, None)
    components, member, pairs, by_time = _join(components, parts)
    odds = np.concatenate([np.empty(0), *(part.odds for part in parts)])[by_time]
    dropped = sum((part.dropped for part in parts), Counter[str]())
    picks = with_noise(picks, 1.0 - _claims(len(picks), *pairs[::2]))
    if receivers.num_cables and len(components):
        correlation = _correlation(setup, order, picks, components, pairs, share)
        picks = _reweighted(setup, picks, correlation)
    parts = _pass(runner, picks, components, correlation)
    last, moved, pairs, by_time = _join(components, parts)
    return Final(
        components=last,
        member=member[moved],
        pick=pairs[0],
        event=pairs[1],
        posterior=pairs[2],
        residual_s=pairs[3],
        near=np.unique(np.concatenate([np.empty(0, np.int64), *(part.near for part in parts)])),
        location=_locations(parts).take(by_time),
        odds=odds[moved],
        correlation=correlation,
        converged=all(part.converged for part in parts),
        picks=picks,
        bounds=[part.bounds for part in parts],
        dropped=sum((part.dropped for part in parts), dropped),
    )


def _pass(
    runner: Runner, picks: PickSet, components: Components, correlation: Correlation | None
) -> list[_Part]:
    setup = runner.setup
    window = setup.grid.window_s
    tasks = []
    for span in cut_batches(components, setup.reach_s, len(picks.template.slot_weight)):
        chosen = components.take(span.member)
        problem, pick = picks.between(
            chosen.theta[0, 0] - 2.0 * window, chosen.theta[-1, 0] + setup.reach_s + window
        )
        tasks.append(_Task(problem, pick, chosen, span.member, span.core, correlation))
    return list(runner.map(_finish_batch, tasks))


def _finish_batch(setup: Setup, task: _Task) -> _Part:
    """Fit a batch on single picks; in the second pass also test and describe its events."""
    components, member, core = task.components, task.member, task.core
    bounds: list[tuple[float, str]] = []
    dropped: Counter[str] = Counter()
    for attempt in range(_ATTEMPTS):
        fitted = fit(
            task.problem,
            components,
            max_iterations=setup.config.max_iterations,
            reach_s=2.0 * setup.grid.window_s,
        )
        bounds += [(line.bound, line.change) for line in fitted.trace]
        components, member, core = fitted.components, member[fitted.index], core[fitted.index]
        odds, failed = failures(setup, task.problem, fitted, counted=True)
        if task.correlation is not None and setup.receivers.num_cables:
            # Residuals that hang together say how well an event is placed, not whether it is one.
            failed = {name: mask for name, mask in failed.items() if name not in EVIDENCE_TESTS}
        failing = np.any(list(failed.values()), axis=0)
        if not failing.any() or attempt == _ATTEMPTS - 1:
            core = core & ~failing
            break
        drop = weakest(components.theta[:, 0], odds, failing, setup.reach_s)
        dropped.update({name: int((mask & drop & core).sum()) for name, mask in failed.items()})
        components, member, core = components.take(~drop), member[~drop], core[~drop]
    location = None
    if task.correlation is not None:
        order = cable_order(setup.receivers)
        full = describe_locations(
            task.problem,
            fitted,
            setup.receivers.xyz_km,
            setup.config.velocity_uncertainty,
            order,
            task.correlation,
        )
        location = Location(full.covariance[core], full.distance_km[core], full.distance_uncertainty_km[core])
    return _core_part(task, fitted, member, core, odds, location, bounds, dropped)


def _core_part(
    task: _Task,
    fitted: Fit,
    member: I64,
    core: npt.NDArray[np.bool_],
    odds: F64,
    location: Location | None,
    bounds: list[tuple[float, str]],
    dropped: Counter[str],
) -> _Part:
    pairs, now = fitted.pairs, fitted.expectation
    mine = core[pairs.event] & (now.posterior >= _MIN_POSTERIOR) if len(core) else np.zeros(0, dtype=bool)
    number = np.cumsum(core) - 1
    return _Part(
        components=fitted.components.take(core),
        member=member[core],
        pick=task.pick[pairs.pick[mine]],
        event=number[pairs.event[mine]],
        posterior=now.posterior[mine],
        residual_s=now.residual_s[mine],
        near=_near(task, fitted, core),
        location=location,
        odds=odds[core],
        converged=fitted.converged,
        bounds=bounds,
        dropped=+dropped,
    )


def _near(task: _Task, fitted: Fit, core: npt.NDArray[np.bool_]) -> I64:
    """List picks within reach of the batch's own events, those included that another pick displaced."""
    if task.correlation is None or not core.any():
        return np.empty(0, np.int64)
    own = fitted.components.take(core)
    return task.pick[np.unique(find_pairs(task.problem, own, reach_of(task.problem, own)).pick)]


def _join(
    components: Components, parts: list[_Part]
) -> tuple[Components, I64, tuple[I64, I64, F64, F64], I64]:
    """Put the batches' own events and pairs together, by origin time; also give the order applied."""
    joined = components.take(np.zeros(0, np.int64))
    member, pick, event, posterior, residual = ([np.empty(0, kind)] for kind in (int, int, int, float, float))
    count = 0
    for part in parts:
        joined = joined.joined(part.components)
        member.append(part.member)
        pick.append(part.pick)
        event.append(part.event + count)
        posterior.append(part.posterior)
        residual.append(part.residual_s)
        count += len(part.components)
    order = np.lexsort(joined.theta.T[::-1])
    rank = np.argsort(order, kind="stable")
    pairs = (
        np.concatenate(pick),
        rank[np.concatenate(event)],
        np.concatenate(posterior),
        np.concatenate(residual),
    )
    return joined.take(order), np.concatenate(member)[order], pairs, order


def _locations(parts: list[_Part]) -> Location:
    return Location.concatenate([part.location for part in parts if part.location is not None])


def _claims(size: int, pick: I64, posterior: F64) -> F64:
    return np.minimum(np.bincount(pick, posterior, minlength=size), 1.0)


def _correlation(
    setup: Setup,
    order: CableOrder,
    picks: PickSet,
    components: Components,
    pairs: tuple[I64, I64, F64, F64],
    default: F64,
) -> Correlation:
    pick, event, posterior, residual = pairs
    sure = posterior >= 0.5
    slot = picks.slot[pick[sure]]
    scale = components.sigma_s[event[sure], picks.template.slot_group[slot]]
    return estimate_correlation(setup.receivers, order, event[sure], slot, residual[sure] / scale, default)


def _reweighted(setup: Setup, picks: PickSet, correlation: Correlation) -> PickSet:
    """Give every cable channel its share of an independent observation."""
    cable = setup.receivers.cable
    weight = picks.template.slot_weight.reshape(-1, 2).copy()
    if setup.config.effective_observations is None:
        for group, share in enumerate(correlation.independent_share):
            weight[cable == group // 2, group % 2] = min(float(share), 1.0)
    return replace(picks, template=replace(picks.template, slot_weight=weight.ravel()))


def assign(setup: Setup, final: Final) -> Assigned:
    """Give each pick to its most probable event, one pick per event, receiver and phase."""
    size, slots = len(final.picks), len(final.picks.template.slot_weight)
    event = np.full(size, -1, dtype=np.int64)
    score, residual = np.full(size, np.nan), np.full(size, np.nan)
    duplicate = np.zeros(size, dtype=bool)
    order = np.lexsort((final.event, -final.posterior, final.pick))
    order = order[np.unique(final.pick[order], return_index=True)[1]]
    order = order[final.posterior[order] >= setup.config.min_association_score]
    seat = final.event[order] * slots + final.picks.slot[final.pick[order]]
    ranked = order[np.lexsort((final.pick[order], -final.posterior[order], seat))]
    first = np.unique(np.sort(seat), return_index=True)[1]
    duplicate[final.pick[ranked]] = True
    kept = ranked[first]
    duplicate[final.pick[kept]] = False
    event[final.pick[kept]] = final.event[kept]
    score[final.pick[kept]] = final.posterior[kept]
    residual[final.pick[kept]] = final.residual_s[kept]
    return Assigned(event, score, residual, duplicate)


def summarise(final: Final) -> dict[str, Any]:
    """Give the last pass's part of the summary."""
    return {"converged": final.converged, "dropped_last": dict(final.dropped)}
