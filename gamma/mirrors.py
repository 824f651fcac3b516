"""Second places: where else an event seen by cables could be."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gamma.blocks import Runner, cut_batches
from gamma.catalog import Mirrors
from gamma.mixture import Components, Fit, Problem, expect, find_pairs
from gamma.problems import PickSet
from gamma.relocate import search_alternatives
from gamma.setup import Setup

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_MAX_LOSS = 3.0
_MIN_APART_KM = 2.0


@dataclass(frozen=True)
class _Task:
    problem: Problem
    components: Components
    core: npt.NDArray[np.bool_]


def find_mirrors(runner: Runner, picks: PickSet, found: Components, theta: F64, member: I64) -> Mirrors:
    """Look for other places that explain each event's picks about as well.

    `theta` (events, 4); `member` (events,).
    """
    setup = runner.setup
    none = Mirrors(np.full((len(theta), 4), np.nan), np.full(len(theta), np.nan))
    if setup.mode != "full" or setup.receivers.num_cables == 0 or len(theta) == 0:
        return none
    components = replace(found.take(member), theta=theta)
    order = np.argsort(theta[:, 0], kind="stable")
    components = components.take(order)
    tasks = []
    for span in cut_batches(components, setup.reach_s, len(picks.template.slot_weight)):
        chosen = components.take(span.member)
        problem, _ = picks.between(chosen.theta[0, 0] - 1.0, chosen.theta[-1, 0] + setup.reach_s)
        tasks.append(_Task(problem, chosen, span.core))
    parts = list(runner.map(_mirror_batch, tasks))
    out_theta = np.concatenate([part.theta for part in parts])
    out_loss = np.concatenate([part.loss for part in parts])
    none.theta[order], none.loss[order] = out_theta, out_loss
    return none


def _mirror_batch(setup: Setup, task: _Task) -> Mirrors:
    components, problem = task.components, task.problem
    reach = np.maximum(6.0 * components.sigma_s, 4.0 * problem.sigma_s)
    pairs = find_pairs(problem, components, reach)
    fitted = Fit(components, pairs, expect(problem, components, pairs), converged=True, n_iter=0)
    events = np.flatnonzero(task.core)
    other = search_alternatives(problem, fitted, setup.grid, events)
    apart = np.linalg.norm(other.theta[:, :, 1:3] - other.theta[:, :1, 1:3], axis=2)
    loss = np.where(apart > _MIN_APART_KM, other.cost - other.cost[:, :1], np.inf)
    best = loss.argmin(axis=1)
    rows = np.arange(len(events))
    near = loss[rows, best] < _MAX_LOSS
    theta = np.where(near[:, None], other.theta[rows, best], np.nan)
    return Mirrors(theta, np.where(near, np.maximum(loss[rows, best], 0.0), np.nan))
