"""Find the events: seeds, fits and tests in rounds, until the picks left over hold nothing new."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gamma.blocks import Runner, cut_batches, cut_blocks
from gamma.mixture import Components, Fit, Problem, fit
from gamma.problems import PickSet, with_noise
from gamma.relocate import search_alternatives, swap_phases
from gamma.seeds import Seeds, find_seeds
from gamma.segments import SeedPicks
from gamma.setup import Setup
from gamma.support import failures, halves, weakest

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_ROUNDS = 6
_ATTEMPTS = 12
_JUMP_GAIN = 1.0
_MIN_SEED_PICKS = 5.0
_EARLY_ROUNDS = 3
_HOPELESS = 8.0
_SWAP_S = 20.0
_SWAPS = 2
HALF = "P and S of one event in two places; sought again"


@dataclass(frozen=True)
class Batch:
    """Events to fit together.

    Attributes
    ----------
    problem : Problem
    pick : numpy.ndarray of int64, shape (picks,)
        Places of the problem's picks in the whole set.
    components : Components
    core : numpy.ndarray of bool, shape (events,)
        The batch's own events; the others are neighbours.
    fresh : numpy.ndarray of bool, shape (events,)
        Not fitted before.
    early : bool
        Whether a later round can find again what is dropped now.
    """

    problem: Problem
    pick: I64
    components: Components
    core: npt.NDArray[np.bool_]
    fresh: npt.NDArray[np.bool_]
    early: bool


@dataclass(frozen=True)
class BatchFit:
    """A batch's own events that stand, how much of each pick they explain, and what was dropped."""

    components: Components
    pick: I64
    claim: F64
    bounds: list[tuple[float, str]]
    dropped: Counter[str]


def search(runner: Runner, picks: PickSet) -> tuple[Components, PickSet, list[dict[str, Any]]]:
    """Find events in seed picks."""
    setup = runner.setup
    found = _no_events(picks)
    left = np.ones(len(picks), dtype=bool)
    history: list[dict[str, Any]] = []
    tried: set[tuple[float, ...]] = set()
    for number in range(_ROUNDS):
        seeds = _not_tried(_seed_all(runner, picks, left), tried)
        if len(seeds.count) == 0:
            break
        before = len(found)
        joined = found.joined(_as_components(setup, picks, seeds))
        fresh = np.arange(len(joined)) >= before
        order = np.lexsort((fresh, joined.theta[:, 1], joined.theta[:, 0]))
        early = number < _EARLY_ROUNDS
        found, claim, report = _fit_all(runner, picks, joined.take(order), fresh[order], early=early)
        history.append({"seeds": len(seeds.count), "events": len(found), **report})
        if HALF in report["dropped"]:
            tried.clear()
        left = claim < 0.5
        picks = with_noise(picks, 1.0 - claim)
        if len(found) <= before and HALF not in report["dropped"]:
            break
    return found, picks, history


def _not_tried(seeds: Seeds, tried: set[tuple[float, ...]]) -> Seeds:
    """Leave out seeds of the same place, time and number of picks as one tried before; note the others."""
    keys = [tuple(row) for row in np.column_stack([seeds.theta, seeds.count]).tolist()]
    new = np.array([key not in tried for key in keys], dtype=bool)
    tried.update(keys)
    return Seeds(seeds.theta[new], seeds.count[new])


def seed_components(runner: Runner, picks: PickSet) -> Components:
    """First guesses of events in all picks, before any fit."""
    return _as_components(runner.setup, picks, _seed_all(runner, picks, np.ones(len(picks), dtype=bool)))


def _no_events(picks: PickSet) -> Components:
    return Components(np.empty((0, 4)), np.empty(0), np.empty((0, picks.template.num_groups)))


def _as_components(setup: Setup, picks: PickSet, seeds: Seeds) -> Components:
    shape = (len(seeds.count), picks.template.num_groups)
    return Components(seeds.theta, np.maximum(seeds.count, 1.0), np.full(shape, setup.grid.window_s / 2.0))


def _seed_all(runner: Runner, picks: PickSet, left: npt.NDArray[np.bool_]) -> Seeds:
    """Seeds of all blocks, in order of time."""
    time, slot = picks.time_s[left], picks.slot[left]
    if len(time) == 0:
        return Seeds(np.empty((0, 4)), np.empty(0))
    setup = runner.setup
    margin = setup.grid.separation_s + 4.0 * setup.grid.window_s
    tasks = []
    for start, end in cut_blocks(float(time[0]) - setup.grid.reach_s, float(time[-1]), setup.config.block_s):
        first, last = np.searchsorted(time, [start - margin, end + margin + setup.grid.reach_s])
        if last > first:
            chosen = SeedPicks(time[first:last], slot[first:last], np.empty(0, np.int64))
            tasks.append((chosen, start, end))
    parts = list(runner.map(_seed_block, tasks))
    theta = [part.theta for part in parts] or [np.empty((0, 4))]
    return Seeds(np.concatenate(theta), np.concatenate([part.count for part in parts] or [np.empty(0)]))


def _seed_block(setup: Setup, task: tuple[SeedPicks, float, float]) -> Seeds:
    chosen, start, end = task
    return find_seeds(chosen, setup.grid, start, end, _MIN_SEED_PICKS)


def _fit_all(
    runner: Runner, picks: PickSet, components: Components, fresh: npt.NDArray[np.bool_], *, early: bool
) -> tuple[Components, F64, dict[str, Any]]:
    """Fit all events in batches; also how much of each pick they explain."""
    reach = runner.setup.reach_s
    tasks = []
    for span in cut_batches(components, reach, len(picks.template.slot_weight)):
        chosen = components.take(span.member)
        window = runner.setup.grid.window_s
        problem, pick = picks.between(chosen.theta[0, 0] - 2.0 * window, chosen.theta[-1, 0] + reach + window)
        tasks.append(Batch(problem, pick, chosen, span.core, fresh[span.member], early))
    parts: list[BatchFit] = list(runner.map(fit_batch, tasks))
    joined = _no_events(picks)
    claim = np.zeros(len(picks))
    dropped: Counter[str] = Counter()
    for part in parts:
        joined = joined.joined(part.components)
        np.add.at(claim, part.pick, part.claim)
        dropped.update(part.dropped)
    order = np.lexsort(joined.theta.T[::-1])
    blocks = [
        {
            "from_s": round(float(task.components.theta[task.core, 0].min()), 3),
            "tried": int(task.core.sum()),
            "kept": len(part.components),
            "dropped": dict(part.dropped),
        }
        for task, part in zip(tasks, parts, strict=True)
    ]
    report = {"dropped": dict(dropped), "blocks": blocks, "bounds": [part.bounds for part in parts]}
    return joined.take(order), np.minimum(claim, 1.0), report


def fit_batch(setup: Setup, batch: Batch) -> BatchFit:
    """Fit a batch, try other places for its new events, and drop what has no support, weakest first."""
    problem, components = batch.problem, batch.components
    core, fresh = batch.core, batch.fresh
    bounds: list[tuple[float, str]] = []
    dropped: Counter[str] = Counter()
    swaps = 0
    for _ in range(_ATTEMPTS):
        fitted = _fit(setup, problem, components)
        bounds += [(line.bound, line.change) for line in fitted.trace]
        components, core, fresh = fitted.components, core[fitted.index], fresh[fitted.index]
        jumped = _jump(setup, problem, fitted, fresh)
        fresh = np.zeros(len(components), dtype=bool)
        stands = np.ones(len(components), dtype=bool)
        if jumped is not None:
            components = jumped
            continue
        odds, failed = failures(setup, problem, fitted, counted=False)
        failing = np.any(list(failed.values()), axis=0)
        if failing.any():
            hopeless = failing & (odds < setup.config.min_log_odds - _HOPELESS)
            stands = ~(hopeless | weakest(components.theta[:, 0], odds, failing, setup.reach_s))
        elif batch.early:
            failed = {HALF: halves(problem, fitted, setup.reach_s)}
            stands = ~failed[HALF]
        if stands.all():
            swapped = _swap(setup, problem, fitted) if swaps < _SWAPS else None
            if swapped is None:
                break
            components, swaps = swapped, swaps + 1
            continue
        dropped.update({name: int((mask & ~stands & core).sum()) for name, mask in failed.items()})
        components, core, fresh = components.take(stands), core[stands], fresh[stands]
    return _own_part(batch, fitted, stands, core, bounds, dropped)


def _fit(setup: Setup, problem: Problem, components: Components) -> Fit:
    return fit(
        problem, components, max_iterations=setup.config.max_iterations, reach_s=2.0 * setup.grid.window_s
    )


def _own_part(
    batch: Batch,
    fitted: Fit,
    stands: npt.NDArray[np.bool_],
    core: npt.NDArray[np.bool_],
    bounds: list[tuple[float, str]],
    dropped: Counter[str],
) -> BatchFit:
    own = np.flatnonzero(stands)[core]
    pairs = fitted.pairs
    mine = np.isin(pairs.event, own)
    claim = np.bincount(
        pairs.pick[mine], fitted.expectation.posterior[mine], minlength=len(batch.pick)
    ).astype(np.float64)
    return BatchFit(fitted.components.take(own), batch.pick, claim, bounds, +dropped)


def _swap(setup: Setup, problem: Problem, fitted: Fit) -> Components | None:
    """Let pairs of events close in time exchange their S picks where that fits clearly better."""
    if setup.mode != "full" or setup.receivers.num_cables == 0:
        return None
    theta = fitted.components.theta.copy()
    order = np.argsort(theta[:, 0], kind="stable")
    moved = np.zeros(len(theta), dtype=bool)
    for place, one in enumerate(order):
        for two in order[place + 1 :]:
            if theta[two, 0] - theta[one, 0] > _SWAP_S:
                break
            if moved[one] or moved[two]:
                continue
            better = swap_phases(problem, fitted, setup.grid, int(one), int(two))
            if better is not None:
                theta[[one, two]] = better
                moved[[one, two]] = True
    if not moved.any():
        return None
    sigma = fitted.components.sigma_s.copy()
    sigma[moved] = np.minimum(sigma[moved], 2.0 * problem.sigma_s)
    return replace(fitted.components, theta=theta, sigma_s=sigma)


def _jump(setup: Setup, problem: Problem, fitted: Fit, fresh: npt.NDArray[np.bool_]) -> Components | None:
    """Move new events seen mostly by cables to a clearly better place; None when none moves."""
    if setup.mode != "full" or not fresh.any() or setup.receivers.num_cables == 0:
        return None
    events = np.flatnonzero(fresh)
    other = search_alternatives(problem, fitted, setup.grid, events)
    best = other.cost.argmin(axis=1)
    rows = np.arange(len(events))
    better = other.cost[rows, best] < other.cost[:, 0] - _JUMP_GAIN
    if not better.any():
        return None
    theta = fitted.components.theta.copy()
    theta[events[better]] = other.theta[rows, best][better]
    sigma = fitted.components.sigma_s.copy()
    sigma[events[better]] = np.minimum(sigma[events[better]], 2.0 * problem.sigma_s)
    return replace(fitted.components, theta=theta, sigma_s=sigma)
