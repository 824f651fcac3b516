"""The mixture: events as components of a Poisson process of picks, fitted by expectation-maximisation.

Picks of receiver-phase pair ``s`` arrive at rate ``noise + sum_k (N_k / R) f((t - t0_k - T_ks) / sigma_k)``:
false picks at a constant rate, and each event ``k`` with ``N_k`` picks spread over ``R`` pairs, late or early
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

from gamma.likelihood import PickData
from gamma.location import DEGREES_OF_FREEDOM, MILD_DAMPING, locate_step

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

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
class Events:
    """Components of the mixture."""

    hypocentre: F64  # (events, 4): origin time (s), x, y, z (km)
    count: F64  # (events,), expected number of independent picks
    sigma_s: F64  # (events, groups), scale of residuals

    def __len__(self) -> int:
        return len(self.hypocentre)

    def take(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Events:
        """Select events."""
        return Events(self.hypocentre[index], self.count[index], self.sigma_s[index])

    def joined(self, other: Events) -> Events:
        """Put two sets of events behind each other."""
        return Events(
            np.concatenate([self.hypocentre, other.hypocentre]),
            np.concatenate([self.count, other.count]),
            np.concatenate([self.sigma_s, other.sigma_s]),
        )


@dataclass(frozen=True)
class Pairs:
    """Which event sees which pick; sorted by event, then pick."""

    pick: I64
    event: I64


@dataclass(frozen=True)
class Expectation:
    """What the E-step gives, one value per pair unless said otherwise."""

    residual_s: F64
    gradient: F64
    posterior: F64
    robust: F64
    bound: float


@dataclass
class Fit:
    """Events, pairs, posteriors, each event's first guess (its index), and the log of the bound.

    A line of the log is the bound after an iteration, and what changed the events before it.
    """

    events: Events
    pairs: Pairs
    expectation: Expectation
    converged: bool
    bounds: list[tuple[float, str]] = field(default_factory=list)
    index: I64 = field(default_factory=lambda: np.empty(0, np.int64))


def find_pairs(data: PickData, events: Events, reach_s: F64) -> Pairs:
    """Find the picks within reach (events, groups) of each event's predicted arrivals."""
    receiver_phases = np.unique(data.receiver_phase)
    num_events = len(events)
    if num_events == 0 or len(receiver_phases) == 0:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64))
    span = float(np.ptp(data.time_s)) + float(reach_s.max()) * 2 + 1.0
    origin = float(data.time_s.min())
    rank = np.searchsorted(receiver_phases, data.receiver_phase)
    keys = rank * (2 * span) + (data.time_s - origin)
    predicted = events.hypocentre[:, :1] + data.travel_time.times(
        events.hypocentre[:, None, 1:], data.receiver_phase_xyz_km[None, receiver_phases], receiver_phases & 1
    )
    reach = reach_s[:, data.receiver_phase_group[receiver_phases]]
    base = np.arange(len(receiver_phases)) * (2 * span)
    early = np.clip(predicted - reach - origin, -span / 2, 1.5 * span)
    late = np.clip(predicted + reach - origin, -span / 2, 1.5 * span)
    first = np.searchsorted(keys, base + early, side="left")
    last = np.searchsorted(keys, base + late, side="right")
    number = (last - first).ravel()
    offset = np.repeat(np.cumsum(number) - number, number)
    pick = np.repeat(first.ravel(), number) + np.arange(int(number.sum())) - offset
    event = np.repeat(np.repeat(np.arange(num_events), len(receiver_phases)), number)
    return Pairs(pick, event)


def expect(data: PickData, events: Events, pairs: Pairs) -> Expectation:
    """E-step: residuals, posterior of each pair, robust weights, and the bound."""
    residual, gradient = data.residuals(events.hypocentre, pairs.pick, pairs.event)
    return _posterior(data, events, pairs, residual, gradient)


def _posterior(data: PickData, events: Events, pairs: Pairs, residual: F64, gradient: F64) -> Expectation:
    group = data.group_of(pairs.pick)
    sigma = events.sigma_s[pairs.event, group]
    square = (residual / sigma) ** 2
    half = 0.5 * (DEGREES_OF_FREEDOM + 1.0)
    log_density = _LOG_NORM - np.log(sigma) - half * np.log1p(square / DEGREES_OF_FREEDOM)
    rate = events.count / data.total_weight
    intensity = rate[pairs.event] * np.exp(log_density + data.log_name[pairs.pick])
    pick, noise = data.pick[pairs.pick], data.noise[pairs.pick]
    claimed = np.bincount(pick, intensity)
    total = noise + claimed[pick]
    # A pick's share of the bound, once for all its pairs.
    part = data.weight[pairs.pick] * np.log1p(claimed[pick] / noise) * intensity / claimed[pick]
    return Expectation(
        residual_s=residual,
        gradient=gradient,
        posterior=intensity / total,
        robust=(DEGREES_OF_FREEDOM + 1.0) / (DEGREES_OF_FREEDOM + square),
        bound=float(part.sum()) + _log_prior(data, events),
    )


def _log_prior(data: PickData, events: Events) -> float:
    """Prior on counts (few events, Figueiredo & Jain 2002) and scales, with the Poisson normalisation."""
    count = events.count
    prior = -count.sum() - 0.5 * data.num_free * np.log(count).sum()
    variance = events.sigma_s**2
    scale = -0.5 * PRIOR_OBSERVATIONS * (np.log(variance) + data.sigma_s**2 / variance)
    return float(prior + scale.sum())


def fit_mixture(data: PickData, events: Events, *, max_iterations: int, reach_s: float) -> Fit:
    """Fit the mixture from first guesses."""
    index = np.arange(len(events))
    pairs = find_pairs(data, events, np.full(events.sigma_s.shape, reach_s))
    current = expect(data, events, pairs)
    damping = np.full(len(events), MILD_DAMPING)
    bounds = [(current.bound, "start")]
    converged = len(events) == 0
    iteration = age = refreshed = 0
    while not converged and iteration < max_iterations:
        iteration, age = iteration + 1, age + 1
        events, current, settled = _maximise(data, events, pairs, current, damping)
        settled |= 0.0 <= current.bound - bounds[-1][0] < _MIN_RISE * len(events)
        bounds.append((current.bound, ""))
        if not settled and age < _REFRESH:
            continue
        age = 0
        keep, change = _survivors(data, events, pairs, current, settled)
        reach = np.minimum(reach_of(data, events), reach_s)
        new_pairs = _nearest_only(data, events.take(keep), reach[keep], everywhere=settled)
        if keep.all() and (_same(new_pairs, pairs) or (settled and refreshed >= _REFRESHES)):
            converged = settled
            continue
        refreshed = refreshed + settled if keep.all() else 0
        events, damping, pairs, index = events.take(keep), damping[keep], new_pairs, index[keep]
        current = expect(data, events, pairs)
        bounds.append((current.bound, change or "reach"))
        converged = len(events) == 0
    return Fit(events, pairs, current, converged, bounds, index)


def _same(a: Pairs, b: Pairs) -> bool:
    return np.array_equal(a.pick, b.pick) and np.array_equal(a.event, b.event)


def _nearest_only(data: PickData, events: Events, reach_s: F64, *, everywhere: bool) -> Pairs:
    """Pairs within reach, of one event, receiver and phase only the one nearest to the prediction.

    Before locations have settled this is done on cables alone, where two events a second apart would else
    be taken for one with a wide scale; a seismometer's nearest pick may still be a false one.
    """
    pairs = find_pairs(data, events, reach_s)
    if len(pairs.pick) == 0:
        return pairs
    receiver_phase = data.receiver_phase[pairs.pick]
    late = np.abs(data.residuals(events.hypocentre, pairs.pick, pairs.event)[0])
    late += data.sigma_s * np.sqrt(-2.0 * data.log_name[pairs.pick])
    seat = pairs.event * len(data.receiver_phase_weight) + receiver_phase
    first = np.flatnonzero(np.concatenate([[True], seat[1:] != seat[:-1]]))
    run = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(seat))))
    keep = late <= np.minimum.reduceat(late, first)[run]
    if not everywhere:
        keep |= data.receiver_phase_group[receiver_phase] < 2
    return Pairs(pairs.pick[keep], pairs.event[keep])


def reach_of(data: PickData, events: Events) -> F64:
    """Windows (s) about predicted arrivals that hold all but a sliver of the residual density."""
    return np.maximum(_REACH_SIGMA * events.sigma_s, 4.0 * data.sigma_s)


def _maximise(
    data: PickData, events: Events, pairs: Pairs, now: Expectation, damping: F64
) -> tuple[Events, Expectation, bool]:
    """M-step: counts, locations, then scales, each raising the same bound (Meng & Rubin 1993).

    Also says whether nothing moved by more than the tolerance.
    """
    num_events = len(events)
    group = data.group_of(pairs.pick)
    claim = data.weight[pairs.pick] * now.posterior
    found = np.bincount(pairs.event, claim, minlength=num_events)
    count = np.maximum(found - 0.5 * data.num_free, 1e-3)
    sigma = events.sigma_s[pairs.event, group]
    weight = claim * now.robust / sigma**2
    hypocentre, residual, gradient, shift = locate_step(
        data, events.hypocentre, pairs.pick, pairs.event, weight, now.residual_s, now.gradient, damping
    )
    cell = pairs.event * data.num_groups + group
    size = num_events * data.num_groups
    square = np.bincount(cell, claim * now.robust * residual**2, minlength=size)
    number = np.bincount(cell, claim, minlength=size)
    variance = (square + PRIOR_OBSERVATIONS * data.sigma_s**2) / (number + PRIOR_OBSERVATIONS)
    scale = np.minimum(np.sqrt(variance), data.max_sigma_s).reshape(events.sigma_s.shape)
    updated = Events(hypocentre, count, scale)
    drift = max(
        float(shift.max(initial=0.0)),
        float(np.abs(np.log(updated.sigma_s / events.sigma_s)).max(initial=0.0)),
        float(np.abs(np.log(count / events.count)).max(initial=0.0)),
    )
    return updated, _posterior(data, updated, pairs, residual, gradient), drift < _TOLERANCE


def _survivors(
    data: PickData, events: Events, pairs: Pairs, now: Expectation, settled: bool
) -> tuple[npt.NDArray[np.bool_], str]:
    """Events that the prior has not emptied and that do not repeat a larger one."""
    keep = events.count > _MIN_COUNT
    change = "" if keep.all() else f"death of {int((~keep).sum())}"
    if settled:
        repeated = _repeated(data, events, pairs, now) & keep
        if repeated.any():
            keep &= ~repeated
            change = "; ".join(filter(None, [change, f"merge of {int(repeated.sum())}"]))
    return keep, change


def _repeated(data: PickData, events: Events, pairs: Pairs, now: Expectation) -> npt.NDArray[np.bool_]:
    """Events that share their picks evenly with a larger one: the same event found twice."""
    num_events = len(events)
    claim = sparse.csr_matrix(
        (np.sqrt(data.weight[pairs.pick]) * now.posterior, (pairs.event, data.pick[pairs.pick])),
        shape=(num_events, int(data.pick.max(initial=-1)) + 1),
    )
    shared = (claim @ claim.T).tocoo()
    a, b = shared.row, shared.col
    smaller = (events.count[a] < events.count[b]) | ((events.count[a] == events.count[b]) & (a > b))
    own = np.bincount(pairs.event, data.weight[pairs.pick] * now.posterior, minlength=num_events)
    heavy = shared.data > _MERGE_OVERLAP * own[a]
    repeated = np.zeros(num_events, dtype=bool)
    repeated[a[smaller & heavy]] = True
    return repeated
