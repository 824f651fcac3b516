"""The mixture: events as components of a Poisson process of picks, fitted by expectation-maximisation.

Picks of receiver-phase pair ``s`` arrive at rate ``noise + sum_k (N_k / R) f((t - t0_k - T_ks) / sigma_k)``:
false picks at a constant rate, and each event ``k`` with ``N_k`` picks spread over ``R`` pairs, late or early
by a residual with Student's t density ``f``. The mixture follows Zhu et al. (2022,
doi:10.1029/2021JB023249); the Poisson form needs no weights relative to a whole record, so that parts of a
record can be treated alone. The t density is used in both steps, which makes every iteration raise one and
the same bound (Dempster et al. 1977; Lange et al. 1989 for t).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from math import exp, lgamma, log, pi

import numpy as np
import numpy.typing as npt

from gamma.likelihood import PickData
from gamma.location import DEGREES_OF_FREEDOM, MILD_DAMPING, locate_step

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_NORM = exp(lgamma(3.0) - lgamma(2.5) - 0.5 * log(DEGREES_OF_FREEDOM * pi))
PRIOR_OBSERVATIONS = 4.0
_MIN_COUNT = 0.5
_REACH_SIGMA = 6.0
_REFRESH = 12
_REFRESHES = 3
_TOLERANCE = 0.01
_REST = 0.001
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

    def take(self, index: I64 | Mask) -> Events:
        """Select events."""
        return Events(self.hypocentre[index], self.count[index], self.sigma_s[index])

    def replaced(self, where: Mask, other: Events) -> Events:
        """Put others in the place of some events."""
        out = Events(self.hypocentre.copy(), self.count.copy(), self.sigma_s.copy())
        out.hypocentre[where], out.count[where], out.sigma_s[where] = (
            other.hypocentre,
            other.count,
            other.sigma_s,
        )
        return out

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
    rows: PickData  # the picks themselves, one for each pair

    @cached_property
    def cell(self) -> I64:
        """Place of event and group of residuals in a flat table (events, groups)."""
        return self.event * self.rows.num_groups + self.rows.group

    def take(self, index: I64 | Mask) -> Pairs:
        """Select pairs."""
        return Pairs(self.pick[index], self.event[index], self.rows.take(index))


@dataclass(frozen=True)
class Expectation:
    """What the E-step gives, one value per pair unless said otherwise."""

    residual_s: F64
    gradient: F64
    intensity: F64
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
    new = np.diff(data.receiver_phase, prepend=-1) != 0
    receiver_phases = data.receiver_phase[new]
    num_events = len(events)
    if num_events == 0 or len(receiver_phases) == 0:
        none = np.empty(0, np.int64)
        return Pairs(none, none, data.take(none))
    span = float(np.ptp(data.time_s)) + float(reach_s.max()) * 2 + 1.0
    origin = float(data.time_s.min())
    keys = (np.cumsum(new) - 1) * (2 * span) + (data.time_s - origin)
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
    return Pairs(pick, event, data.take(pick))


def expect(events: Events, pairs: Pairs) -> Expectation:
    """E-step: residuals, posterior of each pair, robust weights, and the bound."""
    residual, gradient = pairs.rows.residuals(events.hypocentre, pairs.event)
    return _posterior(events, pairs, residual, gradient)


def _posterior(events: Events, pairs: Pairs, residual: F64, gradient: F64) -> Expectation:
    rows = pairs.rows
    peak = _NORM * events.count[:, None] / (rows.total_weight * events.sigma_s)
    tail = residual / events.sigma_s.ravel()[pairs.cell]
    tail *= tail
    tail /= DEGREES_OF_FREEDOM
    tail += 1.0
    intensity = peak.ravel()[pairs.cell] * rows.name / (tail * tail * tail)
    claimed = np.bincount(rows.pick, intensity)[rows.pick]
    # A pick's share of the bound, once for all its pairs.
    part = rows.weight * np.log1p(claimed / rows.noise) * intensity / claimed
    return Expectation(
        residual_s=residual,
        gradient=gradient,
        intensity=intensity,
        posterior=intensity / (rows.noise + claimed),
        robust=(DEGREES_OF_FREEDOM + 1.0) / DEGREES_OF_FREEDOM / tail,
        bound=float(part.sum()) + _log_prior(rows, events),
    )


def _log_prior(data: PickData, events: Events) -> float:
    """Prior on counts (few events, Figueiredo & Jain 2002) and scales, with the Poisson normalisation."""
    count = events.count
    prior = -count.sum() - 0.5 * data.num_free * np.log(count).sum()
    variance = events.sigma_s**2
    scale = -0.5 * PRIOR_OBSERVATIONS * (np.log(variance) + data.sigma_s**2 / variance)
    return float(prior + scale.sum())


def fit_mixture(
    data: PickData, events: Events, *, max_iterations: int, reach_s: float, moving: Mask | None = None
) -> Fit:
    """Fit the mixture from first guesses. Events not `moving` rest until they lose or gain picks."""
    index = np.arange(len(events))
    moving = np.ones(len(events), dtype=bool) if moving is None else moving
    reach = np.where(moving[:, None], reach_s, np.minimum(reach_of(data, events), reach_s))
    pairs, current = _expect_nearest(data, events, reach, moving[:, None])
    damping = np.full(len(events), MILD_DAMPING)
    bounds = [(current.bound, "start")]
    converged = len(events) == 0
    iteration = refreshed = 0
    while not converged and iteration < max_iterations:
        steps = min(_REFRESH, max_iterations - iteration)
        events, current, settled, moving, risen = _settle(
            events, pairs, current, damping, moving, steps, _MIN_RISE * len(events)
        )
        iteration += len(risen)
        bounds += [(bound, "") for bound in risen]
        keep, change = _survivors(events, pairs, current, settled)
        reach = np.minimum(reach_of(data, events), reach_s)[keep]
        alone = (np.arange(data.num_groups) < 2) & (not settled)
        new_pairs, then = _expect_nearest(data, events.take(keep), reach, alone)
        if keep.all() and (_same(new_pairs, pairs) or (settled and refreshed >= _REFRESHES)):
            converged = settled
            continue
        refreshed = refreshed + settled if keep.all() else 0
        claimed = np.bincount(pairs.event, current.posterior, minlength=len(events))[keep]
        events, damping, pairs, index, current = (
            events.take(keep),
            damping[keep],
            new_pairs,
            index[keep],
            then,
        )
        claimed -= np.bincount(pairs.event, current.posterior, minlength=len(events))
        moving = moving[keep] | (np.abs(claimed) > _REST)
        bounds.append((current.bound, change or "reach"))
        converged = len(events) == 0 or bool(settled and keep.all() and not moving.any())
    return Fit(events, pairs, current, converged, bounds, index)


def _settle(
    events: Events,
    pairs: Pairs,
    now: Expectation,
    damping: F64,
    moving: Mask,
    steps: int,
    min_rise: float,
) -> tuple[Events, Expectation, bool, Mask, list[float]]:
    """Iterate at most `steps` times, until no event moves beyond the tolerance or the bound hardly rises.

    Once half of the events rest, those moving are fitted alone, until those at rest lose or gain picks by it.
    Also says whether all settled, which still move, and the bound after each iteration. `damping` is changed.
    """
    bounds, settled, moving = [now.bound], True, moving.copy()
    while moving.any() and len(bounds) <= steps:
        if 2 * moving.sum() > len(events):
            events, now, drift = _maximise(events, pairs, now, damping)
            bounds.append(now.bound)
            moving = drift >= _REST
            settled = drift.max(initial=0.0) < _TOLERANCE or 0.0 <= bounds[-1] - bounds[-2] < min_rise
            if settled:
                break
            continue
        mine, few, loose = moving[pairs.event], events.take(moving), damping[moving]
        part, before = _without_others(pairs, now, moving), now.posterior
        start = _posterior(few, part, now.residual_s[mine], now.gradient[mine])
        steps_left = steps + 1 - len(bounds)
        few, then, settled, still, risen = _settle(
            few, part, start, loose, np.ones(len(few), dtype=bool), steps_left, min_rise
        )
        events, damping[moving] = events.replaced(moving, few), loose
        now.residual_s[mine], now.gradient[mine] = then.residual_s, then.gradient
        now = _posterior(events, pairs, now.residual_s, now.gradient)
        bounds += [bounds[-1] + bound - start.bound for bound in risen[:-1]] + [now.bound]
        stirred = np.unique(pairs.event[~mine & (np.abs(now.posterior - before) > _REST)])
        moving[moving] = still
        moving[stirred] = True
        if settled and len(stirred) == 0:
            break
        settled = False
    return events, now, settled, moving, bounds[1:]


def _without_others(pairs: Pairs, now: Expectation, moving: Mask) -> Pairs:
    """Pairs of the moving events, numbered anew. Noise includes what the other events explain."""
    mine = moving[pairs.event]
    part = pairs.take(mine)
    others = np.bincount(pairs.rows.pick, np.where(mine, 0.0, now.intensity))
    rows = replace(part.rows, noise=part.rows.noise + others[part.rows.pick])
    return Pairs(part.pick, (np.cumsum(moving) - 1)[part.event], rows)


def touched(fit: Fit, dropped: Mask) -> Mask:
    """Mark the events that share picks with dropped ones (events,)."""
    pick, share = fit.pairs.rows.pick, fit.expectation.posterior
    lost = np.bincount(pick, np.where(dropped[fit.pairs.event], share, 0.0))
    return np.bincount(fit.pairs.event, lost[pick] > _REST, minlength=len(fit.events)) > 0


def _same(a: Pairs, b: Pairs) -> bool:
    return np.array_equal(a.pick, b.pick) and np.array_equal(a.event, b.event)


def _expect_nearest(data: PickData, events: Events, reach_s: F64, several: Mask) -> tuple[Pairs, Expectation]:
    """E-step for pairs within reach, of one event, receiver and phase only the one nearest to the prediction.

    `several` (events, groups): takes all. Before locations have settled these are picks of seismometers, as
    the nearest may still be a false one. On a cable, two events a second apart would be taken for one with a
    wide scale.
    """
    pairs = find_pairs(data, events, reach_s)
    residual, gradient = pairs.rows.residuals(events.hypocentre, pairs.event)
    late = np.abs(residual) + data.sigma_s * np.sqrt(-2.0 * pairs.rows.log_name)
    seat = pairs.event * len(data.receiver_phase_weight) + pairs.rows.receiver_phase
    first = np.flatnonzero(np.diff(seat, prepend=-1))
    keep = np.broadcast_to(several, events.sigma_s.shape).ravel()[pairs.cell]
    if len(first):
        run = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(seat))))
        keep |= late <= np.minimum.reduceat(late, first)[run]
    if not keep.all():
        pairs, residual, gradient = pairs.take(keep), residual[keep], gradient[keep]
    return pairs, _posterior(events, pairs, residual, gradient)


def reach_of(data: PickData, events: Events) -> F64:
    """Windows (s) about predicted arrivals that hold all but a sliver of the residual density."""
    return np.maximum(_REACH_SIGMA * events.sigma_s, 4.0 * data.sigma_s)


def _maximise(
    events: Events, pairs: Pairs, now: Expectation, damping: F64
) -> tuple[Events, Expectation, F64]:
    """M-step: counts, locations, then scales, each raising the same bound (Meng & Rubin 1993).

    Also says how far each event moved (events,), in scales of its uncertainty.
    """
    num_events, rows = len(events), pairs.rows
    claim = rows.weight * now.posterior
    found = np.bincount(pairs.event, claim, minlength=num_events)
    count = np.maximum(found - 0.5 * rows.num_free, 1e-3)
    robust = claim * now.robust
    weight = robust / (events.sigma_s**2).ravel()[pairs.cell]
    hypocentre, residual, gradient, shift = locate_step(
        rows, events.hypocentre, pairs.event, weight, now.residual_s, now.gradient, damping
    )
    size = num_events * rows.num_groups
    square = np.bincount(pairs.cell, robust * residual**2, minlength=size)
    number = np.bincount(pairs.cell, claim, minlength=size)
    variance = (square + PRIOR_OBSERVATIONS * rows.sigma_s**2) / (number + PRIOR_OBSERVATIONS)
    scale = np.minimum(np.sqrt(variance), rows.max_sigma_s).reshape(events.sigma_s.shape)
    updated = Events(hypocentre, count, scale)
    scales = np.abs(np.log(updated.sigma_s / events.sigma_s)).max(axis=1)
    drift = np.maximum(np.maximum(shift, scales), np.abs(np.log(count / events.count)))
    return updated, _posterior(updated, pairs, residual, gradient), drift


def _survivors(events: Events, pairs: Pairs, now: Expectation, settled: bool) -> tuple[Mask, str]:
    """Events that the prior has not emptied and that do not repeat a larger one."""
    keep = events.count > _MIN_COUNT
    change = "" if keep.all() else f"death of {int((~keep).sum())}"
    if settled:
        repeated = _repeated(events, pairs, now) & keep
        if repeated.any():
            keep &= ~repeated
            change = "; ".join(filter(None, [change, f"merge of {int(repeated.sum())}"]))
    return keep, change


def _repeated(events: Events, pairs: Pairs, now: Expectation) -> Mask:
    """Events that share their picks evenly with a larger one: the same event found twice."""
    num_events, rows = len(events), pairs.rows
    own = np.bincount(pairs.event, rows.weight * now.posterior, minlength=num_events)
    order = np.argsort(rows.pick, kind="stable")
    pick, event, root = (
        rows.pick[order],
        pairs.event[order],
        np.sqrt(rows.weight[order]) * now.posterior[order],
    )
    shared = np.zeros((num_events, num_events))
    for step in range(1, len(pick)):
        both = np.flatnonzero(pick[step:] == pick[:-step])
        if len(both) == 0:
            break
        np.add.at(shared, (event[both], event[both + step]), root[both] * root[both + step])
    shared += shared.T
    smaller = events.count[:, None] < events.count
    smaller |= (events.count[:, None] == events.count) & np.tri(num_events, k=-1, dtype=bool)
    return np.any(smaller & (shared > _MERGE_OVERLAP * own[:, None]), axis=1)
