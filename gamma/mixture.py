"""The mixture: events as components of a Poisson process of picks, fitted by expectation-maximisation.

Picks on receiver-phase slot ``s`` arrive at rate ``noise + sum_k (N_k / R) f((t - t0_k - T_ks) / sigma_k)``:
false picks at a constant rate, and each event ``k`` with ``N_k`` picks spread over ``R`` slots, late or early
by a residual with Student's t density ``f``. The mixture follows Zhu et al. (2022,
doi:10.1029/2021JB023249); the Poisson form needs no weights relative to a whole record, so that parts of a
record can be treated alone. The t density is used in both steps, which makes every iteration raise one and
the same bound (Dempster et al. 1977; Lange et al. 1989 for t).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import lgamma, log, pi

import numpy as np
import numpy.typing as npt
from scipy import sparse

from gamma.locate import Damping, locate_step
from gamma.traveltime import TravelTimeModel

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

DEGREES_OF_FREEDOM = 5.0
_LOG_NORM = lgamma(3.0) - lgamma(2.5) - 0.5 * log(DEGREES_OF_FREEDOM * pi)
PRIOR_OBSERVATIONS = 4.0
_MIN_COUNT = 0.5
_REACH_SIGMA = 6.0
_REFRESH = 12
_REFRESHES = 3
_TOLERANCE = 0.01
_MIN_RISE = 1e-4
_MERGE_OVERLAP = 0.15


@dataclass(frozen=True)
class Problem:
    """Picks and receivers of one batch.

    Attributes
    ----------
    time_s, slot, weight, noise : numpy.ndarray, shape (picks,)
        Sorted by slot, then time. `weight` is each pick's share of an independent observation, `noise`
        the rate of false picks on its slot (1/s).
    slot_xyz_km : numpy.ndarray, shape (slots, 3)
    slot_weight : numpy.ndarray, shape (slots,)
    slot_group : numpy.ndarray of int64, shape (slots,)
        Residuals of one group (phase of one cable, or of all seismometers) share a scale.
    num_groups : int
    travel_time : TravelTimeModel
    lower_km, upper_km : numpy.ndarray, shape (3,)
        Search box; equal limits fix a coordinate.
    sigma_s : float
        Expected scale of residuals, the centre of its prior.
    max_sigma_s : float
        Largest scale; one so wide that two events fit under it would swallow both.
    """

    time_s: F64
    slot: I64
    weight: F64
    noise: F64
    slot_xyz_km: F64
    slot_weight: F64
    slot_group: I64
    num_groups: int
    travel_time: TravelTimeModel
    lower_km: F64
    upper_km: F64
    sigma_s: float
    max_sigma_s: float

    @property
    def num_free(self) -> int:
        """Parameters of a location: origin time and the coordinates that are not fixed."""
        return 1 + int((self.upper_km > self.lower_km).sum())

    @property
    def total_weight(self) -> float:
        """Sum of slot weights: the number of independent slots."""
        return float(self.slot_weight.sum())


@dataclass(frozen=True)
class Components:
    """Events.

    Attributes
    ----------
    theta : numpy.ndarray, shape (events, 4)
        Origin time (s), x, y, z (km).
    count : numpy.ndarray, shape (events,)
        Expected number of independent picks.
    sigma_s : numpy.ndarray, shape (events, groups)
        Scale of residuals.
    """

    theta: F64
    count: F64
    sigma_s: F64

    def __len__(self) -> int:
        return len(self.theta)

    def take(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Components:
        """Select events."""
        return Components(self.theta[index], self.count[index], self.sigma_s[index])

    def joined(self, other: Components) -> Components:
        """Put two sets of events behind each other."""
        return Components(
            np.concatenate([self.theta, other.theta]),
            np.concatenate([self.count, other.count]),
            np.concatenate([self.sigma_s, other.sigma_s]),
        )


@dataclass(frozen=True)
class Pairs:
    """Which event sees which pick; sorted by event, then pick."""

    pick: I64
    event: I64


@dataclass(frozen=True)
class Trace:
    """One line of a fit's log: the bound after an iteration, and what changed the components before it."""

    bound: float
    change: str = ""


@dataclass(frozen=True)
class Expectation:
    """What the E-step gives, one value per pair unless said otherwise."""

    residual_s: F64
    gradient: F64
    posterior: F64
    robust: F64
    intensity: F64
    total: F64  # per pick: noise and all events
    bound: float


@dataclass
class Fit:
    """Result of a fit: events, pairs, posteriors, the log of the bound, and each event's first guess."""

    components: Components
    pairs: Pairs
    expectation: Expectation
    converged: bool
    n_iter: int
    trace: list[Trace] = field(default_factory=list)
    index: I64 = field(default_factory=lambda: np.empty(0, np.int64))


def find_pairs(problem: Problem, components: Components, reach_s: F64) -> Pairs:
    """Find the picks within reach of each event's predicted arrivals.

    `reach_s` (events, groups).
    """
    slots = np.unique(problem.slot)
    num_events = len(components)
    if num_events == 0 or len(slots) == 0:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64))
    span = float(np.ptp(problem.time_s)) + float(reach_s.max()) * 2 + 1.0
    origin = float(problem.time_s.min())
    rank = np.searchsorted(slots, problem.slot)
    keys = rank * (2 * span) + (problem.time_s - origin)
    predicted = components.theta[:, :1] + problem.travel_time.times(
        components.theta[:, None, 1:], problem.slot_xyz_km[None, slots], slots & 1
    )
    reach = reach_s[:, problem.slot_group[slots]]
    base = np.arange(len(slots)) * (2 * span)
    early = np.clip(predicted - reach - origin, -span / 2, 1.5 * span)
    late = np.clip(predicted + reach - origin, -span / 2, 1.5 * span)
    first = np.searchsorted(keys, base + early, side="left")
    last = np.searchsorted(keys, base + late, side="right")
    number = (last - first).ravel()
    offset = np.repeat(np.cumsum(number) - number, number)
    pick = np.repeat(first.ravel(), number) + np.arange(int(number.sum())) - offset
    event = np.repeat(np.repeat(np.arange(num_events), len(slots)), number)
    return Pairs(pick, event)


def expect(problem: Problem, components: Components, pairs: Pairs) -> Expectation:
    """E-step: residuals, posterior of each pair, robust weights, and the bound."""
    slot = problem.slot[pairs.pick]
    time, gradient = problem.travel_time.times_and_gradients(
        components.theta[pairs.event, 1:], problem.slot_xyz_km[slot], slot & 1
    )
    residual = problem.time_s[pairs.pick] - components.theta[pairs.event, 0] - time
    return _posterior(problem, components, pairs, residual, gradient)


def _posterior(
    problem: Problem, components: Components, pairs: Pairs, residual: F64, gradient: F64
) -> Expectation:
    group = problem.slot_group[problem.slot[pairs.pick]]
    sigma = components.sigma_s[pairs.event, group]
    square = (residual / sigma) ** 2
    half = 0.5 * (DEGREES_OF_FREEDOM + 1.0)
    log_density = _LOG_NORM - np.log(sigma) - half * np.log1p(square / DEGREES_OF_FREEDOM)
    rate = components.count / problem.total_weight
    intensity = rate[pairs.event] * np.exp(log_density)
    total = problem.noise + np.bincount(pairs.pick, intensity, minlength=len(problem.noise))
    touched = np.zeros(len(total), dtype=bool)
    touched[pairs.pick] = True
    bound = float((problem.weight[touched] * np.log(total[touched] / problem.noise[touched])).sum())
    return Expectation(
        residual_s=residual,
        gradient=gradient,
        posterior=intensity / total[pairs.pick],
        robust=(DEGREES_OF_FREEDOM + 1.0) / (DEGREES_OF_FREEDOM + square),
        intensity=intensity,
        total=total,
        bound=bound + _log_prior(problem, components),
    )


def _log_prior(problem: Problem, components: Components) -> float:
    """Prior on counts (few events, Figueiredo & Jain 2002) and scales, with the Poisson normalisation."""
    count = components.count
    prior = -count.sum() - 0.5 * problem.num_free * np.log(count).sum()
    variance = components.sigma_s**2
    scale = -0.5 * PRIOR_OBSERVATIONS * (np.log(variance) + problem.sigma_s**2 / variance)
    return float(prior + scale.sum())


def fit(problem: Problem, components: Components, *, max_iterations: int, reach_s: float) -> Fit:
    """Fit the mixture from first guesses."""
    trace: list[Trace] = []
    index = np.arange(len(components))
    pairs = find_pairs(problem, components, np.full(components.sigma_s.shape, reach_s))
    current = expect(problem, components, pairs)
    damping = Damping.start(len(components))
    trace.append(Trace(current.bound, "start"))
    converged = len(components) == 0
    iteration = age = refreshed = 0
    while not converged and iteration < max_iterations:
        iteration, age = iteration + 1, age + 1
        components, current, settled = _maximise(problem, components, pairs, current, damping)
        settled |= 0.0 <= current.bound - trace[-1].bound < _MIN_RISE * len(components)
        trace.append(Trace(current.bound))
        if not settled and age < _REFRESH:
            continue
        age = 0
        keep, change = _survivors(problem, components, pairs, current, settled)
        reach = np.minimum(reach_of(problem, components), reach_s)
        new_pairs = _nearest_only(problem, components.take(keep), reach[keep], everywhere=settled)
        if keep.all() and (_same(new_pairs, pairs) or (settled and refreshed >= _REFRESHES)):
            converged = settled
            continue
        refreshed = refreshed + settled if keep.all() else 0
        components, damping, pairs, index = components.take(keep), damping.take(keep), new_pairs, index[keep]
        current = expect(problem, components, pairs)
        trace.append(Trace(current.bound, change or "reach"))
        converged = len(components) == 0
    return Fit(components, pairs, current, converged, iteration, trace, index)


def _same(a: Pairs, b: Pairs) -> bool:
    return np.array_equal(a.pick, b.pick) and np.array_equal(a.event, b.event)


def _nearest_only(problem: Problem, components: Components, reach_s: F64, *, everywhere: bool) -> Pairs:
    """Pairs within reach, of each event's picks on one slot only the one nearest to the prediction.

    Before locations have settled this is done on cables alone, where two events a second apart would else
    be taken for one with a wide scale; a seismometer's nearest pick may still be a false one.
    """
    pairs = find_pairs(problem, components, reach_s)
    if len(pairs.pick) == 0:
        return pairs
    slot = problem.slot[pairs.pick]
    time = problem.travel_time.times(components.theta[pairs.event, 1:], problem.slot_xyz_km[slot], slot & 1)
    late = np.abs(problem.time_s[pairs.pick] - components.theta[pairs.event, 0] - time)
    seat = pairs.event * len(problem.slot_weight) + slot
    first = np.flatnonzero(np.concatenate([[True], seat[1:] != seat[:-1]]))
    run = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(seat))))
    keep = late <= np.minimum.reduceat(late, first)[run]
    if not everywhere:
        keep |= problem.slot_group[slot] < 2
    return Pairs(pairs.pick[keep], pairs.event[keep])


def reach_of(problem: Problem, components: Components) -> F64:
    """Windows (s) about predicted arrivals that hold all but a sliver of the residual density."""
    return np.maximum(_REACH_SIGMA * components.sigma_s, 4.0 * problem.sigma_s)


def _maximise(
    problem: Problem, components: Components, pairs: Pairs, now: Expectation, damping: Damping
) -> tuple[Components, Expectation, bool]:
    """M-step: counts, locations, then scales, each raising the same bound (Meng & Rubin 1993).

    Also says whether nothing moved by more than the tolerance.
    """
    events = len(components)
    group = problem.slot_group[problem.slot[pairs.pick]]
    claim = problem.weight[pairs.pick] * now.posterior
    found = np.bincount(pairs.event, claim, minlength=events)
    count = np.maximum(found - 0.5 * problem.num_free, 1e-3)
    sigma = components.sigma_s[pairs.event, group]
    weight = claim * now.robust / sigma**2
    theta, residual, gradient, shift = locate_step(
        problem, components.theta, pairs.pick, pairs.event, weight, now.residual_s, now.gradient, damping
    )
    cell = pairs.event * problem.num_groups + group
    size = events * problem.num_groups
    square = np.bincount(cell, claim * now.robust * residual**2, minlength=size)
    number = np.bincount(cell, claim, minlength=size)
    variance = (square + PRIOR_OBSERVATIONS * problem.sigma_s**2) / (number + PRIOR_OBSERVATIONS)
    scale = np.minimum(np.sqrt(variance), problem.max_sigma_s).reshape(components.sigma_s.shape)
    updated = Components(theta, count, scale)
    drift = max(
        float(shift.max(initial=0.0)),
        float(np.abs(np.log(updated.sigma_s / components.sigma_s)).max(initial=0.0)),
        float(np.abs(np.log(count / components.count)).max(initial=0.0)),
    )
    return updated, _posterior(problem, updated, pairs, residual, gradient), drift < _TOLERANCE


def _survivors(
    problem: Problem, components: Components, pairs: Pairs, now: Expectation, settled: bool
) -> tuple[npt.NDArray[np.bool_], str]:
    """Components that the prior has not emptied and that do not repeat a larger one."""
    keep = components.count > _MIN_COUNT
    change = "" if keep.all() else f"death of {int((~keep).sum())}"
    if settled:
        repeated = _repeated(problem, components, pairs, now) & keep
        if repeated.any():
            keep &= ~repeated
            change = "; ".join(filter(None, [change, f"merge of {int(repeated.sum())}"]))
    return keep, change


def _repeated(
    problem: Problem, components: Components, pairs: Pairs, now: Expectation
) -> npt.NDArray[np.bool_]:
    """Components that share their picks evenly with a larger one: the same event found twice."""
    events = len(components)
    claim = sparse.csr_matrix(
        (np.sqrt(problem.weight[pairs.pick]) * now.posterior, (pairs.event, pairs.pick)),
        shape=(events, len(problem.time_s)),
    )
    shared = (claim @ claim.T).tocoo()
    a, b = shared.row, shared.col
    smaller = (components.count[a] < components.count[b]) | (
        (components.count[a] == components.count[b]) & (a > b)
    )
    own = np.bincount(pairs.event, problem.weight[pairs.pick] * now.posterior, minlength=events)
    heavy = shared.data > _MERGE_OVERLAP * own[a]
    repeated = np.zeros(events, dtype=bool)
    repeated[a[smaller & heavy]] = True
    return repeated
