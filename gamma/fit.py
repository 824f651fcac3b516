"""Find the events: rounds of first guesses and fits, a refit on all picks, and a second look at what is left.

Events are fitted in batches. A batch carries along its neighbours, the events that may share picks with it,
so that results depend neither on the batches nor on the number of workers.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gamma.acceptance import EVIDENCE_TESTS, failed_tests, least_supported, split_by_phase
from gamma.ambiguity import exchange_s_picks, jump, second_places
from gamma.amplitudes import event_magnitudes, with_amplitudes
from gamma.correlation import CableOrder, Correlation, cable_order, estimate_correlation
from gamma.domain import Domain
from gamma.fronts import pair_fronts
from gamma.initial import SeedPicks, Seeds, find_seeds
from gamma.likelihood import PickData, PickSeries, full_picks, receiver_weights, seed_picks, with_noise
from gamma.mixture import Events, Fit, find_pairs, fit_mixture, reach_of, touched
from gamma.picks import Observations
from gamma.results import FittedEvents, Look, Mirrors, assign
from gamma.uncertainty import Location, describe_locations
from gamma.workers import Runner

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

logger = logging.getLogger("gamma")

_MAX_BATCH = 64
_MAX_PAIRS = 150_000
_ROUNDS = 6
_EARLY_ROUNDS = 3
_MIN_SEED_PICKS = 5.0
_ATTEMPTS = 12
_REFIT_ATTEMPTS = 6
_HOPELESS = 8.0
_SWAPS = 2
_MIN_POSTERIOR = 0.02
BEYOND = "farther away than the search box"
SPLIT = "P and S of one event in two places, sought again"


def look(runner: Runner, observations: Observations) -> Look:
    """Find the events in picks, and give each pick its event."""
    domain, amplitude = runner.domain, observations.amplitude
    weight = receiver_weights(domain)
    thinned, members = seed_picks(domain, observations, weight)
    # Without cables, seed picks are all picks.
    whole = full_picks(domain, observations, weight) if domain.receivers.num_cables else thinned
    found, thinned, history = search(runner, thinned)
    fitted = refit(runner, whole, found)
    mirrors = _find_mirrors(runner, thinned, found, fitted)
    if domain.config.use_amplitude:
        fitted = with_amplitudes(domain, fitted, amplitude)
    if not fitted.converged:
        logger.warning(
            "the mixture did not converge in max_iterations=%d steps for every batch of events. Raise it, or "
            "look for events far outside the search box",
            domain.config.max_iterations,
        )
    magnitudes = event_magnitudes(domain, fitted, amplitude) if domain.config.use_amplitude else {}
    return Look(domain, observations, fitted, assign(domain, fitted, members), mirrors, magnitudes, history)


# The batch loop


@dataclass(frozen=True)
class Batch:
    """Events to fit together, and the picks they can have."""

    data: PickData
    row: I64  # places of the batch's rows of picks in the whole series
    events: Events
    member: I64  # places of the events in the list of all events
    own: Mask  # the batch's own events; the others are neighbours


def _over_batches(
    runner: Runner,
    function: Callable[[Domain, Batch], Any],
    picks: PickSeries,
    events: Events,
    margin_s: tuple[float, float],
) -> list[Any]:
    """Call a function with each batch of the events, sorted by origin time.

    `margin_s`: a batch has picks from so long before its first origin to so long after its last arrival.
    """
    return list(runner.map(function, _batches(runner.domain.reach_s, picks, events, margin_s)))


def _batches(
    reach_s: float, picks: PickSeries, events: Events, margin_s: tuple[float, float]
) -> Iterator[Batch]:
    time = events.hypocentre[:, 0]
    size = int(np.clip(_MAX_PAIRS // max(len(picks.template.receiver_phase_weight), 1), 4, _MAX_BATCH))
    for first in range(0, len(time), size):
        last = min(first + size, len(time))
        lo = int(np.searchsorted(time, time[first] - reach_s))
        hi = int(np.searchsorted(time, time[last - 1] + reach_s, side="right"))
        member = np.arange(lo, hi)
        data, row = picks.between(time[lo] - margin_s[0], time[hi - 1] + reach_s + margin_s[1])
        yield Batch(data, row, events.take(member), member, (member >= first) & (member < last))


def _fit_margin_s(domain: Domain) -> tuple[float, float]:
    return 2.0 * domain.grid.window_s, domain.grid.window_s


def _fit(domain: Domain, data: PickData, events: Events, moving: Mask | None = None) -> Fit:
    iterations, reach = domain.config.max_iterations, 2.0 * domain.grid.window_s
    return fit_mixture(data, events, max_iterations=iterations, reach_s=reach, moving=moving)


# Rounds of first guesses and fits


@dataclass(frozen=True)
class BatchFit:
    """A batch's own events that stand, how much of each row of picks they explain, and what was dropped."""

    events: Events
    row: I64
    claim: F64
    bounds: list[tuple[float, str]]
    dropped: Counter[str]
    first_s: float
    tried: int


def search(runner: Runner, picks: PickSeries) -> tuple[Events, PickSeries, list[dict[str, Any]]]:
    """Find events in seed picks, in rounds, until the picks left over hold nothing new."""
    found = _no_events(picks)
    left = np.ones(len(picks), dtype=bool)
    history: list[dict[str, Any]] = []
    tried: set[tuple[float, ...]] = set()
    for number in range(_ROUNDS):
        seeds = _not_tried(_seed_all(runner, picks, left), tried)
        if len(seeds.count) == 0:
            break
        before = len(found)
        joined = found.joined(_as_events(picks, seeds))
        fresh = np.arange(len(joined)) >= before
        order = np.lexsort((fresh, joined.hypocentre[:, 1], joined.hypocentre[:, 0]))
        early = number < _EARLY_ROUNDS
        found, claim, report = _fit_all(runner, picks, joined.take(order), fresh[order], early=early)
        history.append({"seeds": len(seeds.count), "events": len(found), **report})
        if SPLIT in report["dropped"]:
            tried.clear()
        left = claim < 0.5
        picks = with_noise(picks, 1.0 - claim)
        if len(found) <= before and SPLIT not in report["dropped"]:
            break
    return found, picks, history


def _not_tried(seeds: Seeds, tried: set[tuple[float, ...]]) -> Seeds:
    """Drop seeds of the same place, time and number of picks as one tried before; note the others."""
    keys = [tuple(row) for row in np.column_stack([seeds.hypocentre, seeds.count]).tolist()]
    new = np.array([key not in tried for key in keys], dtype=bool)
    tried.update(keys)
    return Seeds(seeds.hypocentre[new], seeds.count[new], seeds.scale_s[new])


def _no_events(picks: PickSeries) -> Events:
    return Events(np.empty((0, 4)), np.empty(0), np.empty((0, picks.template.num_groups)))


def _as_events(picks: PickSeries, seeds: Seeds) -> Events:
    sigma = np.repeat(seeds.scale_s[:, None], picks.template.num_groups, axis=1)
    return Events(seeds.hypocentre, np.maximum(seeds.count, 1.0), sigma)


def _seed_all(runner: Runner, picks: PickSeries, left: Mask) -> Seeds:
    """First guesses from picks that are left (picks,), in order of time.

    Cables: paired fronts. Seismometers: all time blocks, which lie on an absolute grid.
    """
    domain = runner.domain
    found = []
    if domain.mode != "point" and domain.receivers.num_cables:
        found.append(pair_fronts(domain, picks, left))
    if domain.mode == "point" or (domain.receivers.cable < 0).any():
        rows = picks.named[left]
        tasks = _blocks(domain, picks.time_s[rows], picks.receiver_phase[rows])
        found += list(runner.map(_seed_block, tasks))
    seeds = Seeds.concatenate(found)
    order = np.argsort(seeds.hypocentre[:, 0], kind="stable")
    return Seeds(seeds.hypocentre[order], seeds.count[order], seeds.scale_s[order])


def _blocks(domain: Domain, time_s: F64, receiver_phase: I64) -> Iterator[tuple[SeedPicks, float, float]]:
    """Cut seed picks into blocks, each with all picks that an origin in it can have."""
    if len(time_s) == 0:
        return
    grid, block_s = domain.grid, domain.config.block_s
    margin = grid.separation_s + 4.0 * grid.window_s
    first_block = int(np.floor((float(time_s[0]) - grid.reach_s) / block_s))
    for block in range(first_block, int(np.floor(time_s[-1] / block_s)) + 1):
        start, end = block * block_s, (block + 1) * block_s
        first, last = np.searchsorted(time_s, [start - margin, end + margin + grid.reach_s])
        if last > first:
            chosen = SeedPicks(time_s[first:last], receiver_phase[first:last])
            yield chosen, start, end


def _seed_block(domain: Domain, task: tuple[SeedPicks, float, float]) -> Seeds:
    chosen, start, end = task
    return find_seeds(chosen, domain.grid, start, end, _MIN_SEED_PICKS)


def _fit_all(
    runner: Runner, picks: PickSeries, events: Events, fresh: Mask, *, early: bool
) -> tuple[Events, F64, dict[str, Any]]:
    """Fit all events in batches; also how much of each pick they explain."""
    function = partial(fit_batch, fresh=fresh, early=early)
    fits: list[BatchFit] = _over_batches(runner, function, picks, events, _fit_margin_s(runner.domain))
    joined = _no_events(picks)
    claim = np.zeros(len(picks))
    dropped: Counter[str] = Counter()
    for batch in fits:
        joined = joined.joined(batch.events)
        np.add.at(claim, picks.pick[batch.row], batch.claim)
        dropped.update(batch.dropped)
    order = np.lexsort(joined.hypocentre.T[::-1])
    blocks = [
        {
            "from_s": batch.first_s,
            "tried": batch.tried,
            "kept": len(batch.events),
            "dropped": dict(batch.dropped),
        }
        for batch in fits
    ]
    report = {"dropped": dict(dropped), "blocks": blocks, "bounds": [batch.bounds for batch in fits]}
    return joined.take(order), np.minimum(claim, 1.0), report


def fit_batch(domain: Domain, batch: Batch, fresh: Mask, *, early: bool) -> BatchFit:
    """Fit a batch, try other places for its new events, and drop events without support, the weakest first.

    `fresh` (all events,): not fitted before. `early`: a later round can find again the events dropped now.
    """
    data, events, own, fresh = batch.data, batch.events, batch.own, fresh[batch.member]
    bounds: list[tuple[float, str]] = []
    dropped: Counter[str] = Counter()
    moving: Mask | None = fresh
    swaps = 0
    for _ in range(_ATTEMPTS):
        fitted = _fit(domain, data, events, moving)
        bounds += fitted.bounds
        events, own, fresh = fitted.events, own[fitted.index], fresh[fitted.index]
        jumped = jump(domain, data, fitted, fresh)
        fresh = np.zeros(len(events), dtype=bool)
        stands = np.ones(len(events), dtype=bool)
        if jumped is not None:
            events, moving = jumped, None
            continue
        odds, failed = failed_tests(domain, fitted, counted=False)
        failing = np.any(list(failed.values()), axis=0)
        if failing.any():
            hopeless = failing & (odds < domain.config.min_log_odds - _HOPELESS)
            weak = least_supported(events.hypocentre[:, 0], odds, failing, domain.reach_s)
            stands = ~(hopeless | weak)
        elif early:
            failed = {SPLIT: split_by_phase(fitted, domain.reach_s)}
            stands = ~failed[SPLIT]
        if stands.all():
            swapped = exchange_s_picks(domain, data, fitted) if swaps < _SWAPS else None
            if swapped is None:
                break
            events, moving, swaps = swapped, None, swaps + 1
            continue
        dropped.update({name: int((mask & ~stands & own).sum()) for name, mask in failed.items()})
        moving = touched(fitted, ~stands)[stands]
        events, own, fresh = events.take(stands), own[stands], fresh[stands]
    kept = np.flatnonzero(stands)[own]
    mine = np.isin(fitted.pairs.event, kept)
    posterior = fitted.expectation.posterior[mine]
    claim = np.bincount(fitted.pairs.pick[mine], posterior, minlength=len(batch.row)).astype(np.float64)
    first_s = round(float(batch.events.hypocentre[batch.own, 0].min()), 3)
    return BatchFit(
        fitted.events.take(kept), batch.row, claim, bounds, +dropped, first_s, int(batch.own.sum())
    )


# The refit on all picks


@dataclass(frozen=True)
class BatchRefit:
    """A batch's own events that stand, refitted on single picks, with their pairs; see `FittedEvents`."""

    events: Events
    member: I64
    row: I64
    event: I64
    posterior: F64
    residual_s: F64
    near: I64
    location: Location | None
    odds: F64
    converged: bool
    bounds: list[tuple[float, str]]
    dropped: Counter[str]


def refit(runner: Runner, picks: PickSeries, events: Events) -> FittedEvents:
    """Fit all picks one by one from the events found, and describe the events.

    With cables, the residuals of a first pass give the effective number of observations of each cable,
    and a second pass uses it.
    """
    domain = runner.domain
    receivers, order = domain.receivers, cable_order(domain.receivers)
    share = np.ones(2 * receivers.num_cables)
    for cable in range(receivers.num_cables):
        first = 2 * int(np.argmax(receivers.cable == cable))
        share[2 * cable : 2 * cable + 2] = picks.template.receiver_phase_weight[first]
    correlation = Correlation(tuple(np.ones(1) for _ in share), share)
    margin = _fit_margin_s(domain)
    one: list[BatchRefit] = _over_batches(
        runner, partial(refit_batch, correlation=None), picks, events, margin
    )
    events, member, pairs, by_time = _join(events, one)
    odds = np.concatenate([np.empty(0), *(batch.odds for batch in one)])[by_time]
    picks = with_noise(picks, 1.0 - picks.claimed(pairs[0], pairs[2]))
    if receivers.num_cables and len(events):
        correlation = _correlation(domain, order, picks, events, pairs, share)
        picks = _reweighted(domain, picks, correlation)
    two: list[BatchRefit] = _over_batches(
        runner, partial(refit_batch, correlation=correlation), picks, events, margin
    )
    last, moved, pairs, by_time = _join(events, two)
    locations = Location.concatenate([batch.location for batch in two if batch.location is not None])
    return FittedEvents(
        events=last,
        member=member[moved],
        row=pairs[0],
        event=pairs[1],
        posterior=pairs[2],
        residual_s=pairs[3],
        near=np.unique(np.concatenate([np.empty(0, np.int64), *(batch.near for batch in two)])),
        location=locations.take(by_time),
        odds=odds[moved],
        correlation=correlation,
        converged=all(batch.converged for batch in two),
        picks=picks,
        bounds=[batch.bounds for batch in two],
        dropped=sum((batch.dropped for batch in (*one, *two)), Counter[str]()),
    )


def refit_batch(domain: Domain, batch: Batch, correlation: Correlation | None) -> BatchRefit:
    """Fit a batch on single picks and test its events; with a correlation (second pass), describe them."""
    events, member, own, data = batch.events, batch.member, batch.own, batch.data
    bounds: list[tuple[float, str]] = []
    dropped: Counter[str] = Counter()
    moving: Mask | None = None
    for attempt in range(_REFIT_ATTEMPTS):
        fitted = _fit(domain, data, events, moving)
        bounds += fitted.bounds
        events, member, own = fitted.events, member[fitted.index], own[fitted.index]
        odds, failed = failed_tests(domain, fitted, counted=True)
        if correlation is not None and domain.receivers.num_cables:
            # Residuals that hang together say how well an event is placed, not whether it is one.
            failed = {name: mask for name, mask in failed.items() if name not in EVIDENCE_TESTS}
        failing = np.any(list(failed.values()), axis=0)
        if not failing.any() or attempt == _REFIT_ATTEMPTS - 1:
            own = own & ~failing
            break
        drop = least_supported(events.hypocentre[:, 0], odds, failing, domain.reach_s)
        dropped.update({name: int((mask & drop & own).sum()) for name, mask in failed.items()})
        moving = touched(fitted, drop)[~drop]
        events, member, own = events.take(~drop), member[~drop], own[~drop]
    location, near = None, np.empty(0, np.int64)
    if correlation is not None:
        location = describe_locations(domain, fitted, correlation)
        if domain.beyond is not None:  # sought anew in a larger box
            spread = np.sqrt(np.maximum(np.einsum("kii->ki", location.covariance)[:, 1:], 0.0))
            edge = domain.on_wall(fitted.events.hypocentre[:, 1:], spread)
            if not domain.last:  # perhaps one event that fits nowhere in the box
                edge |= split_by_phase(fitted, domain.reach_s)
            dropped[BEYOND] += int((edge & own).sum())
            own = own & ~edge
        location = location.take(np.flatnonzero(own))
        kept = fitted.events.take(own)  # in reach of these are also picks that another pick displaced
        near = batch.row[np.unique(find_pairs(data, kept, reach_of(data, kept)).pick)]
    pairs, now = fitted.pairs, fitted.expectation
    mine = own[pairs.event] & (now.posterior >= _MIN_POSTERIOR) if len(own) else np.zeros(0, dtype=bool)
    return BatchRefit(
        events=fitted.events.take(own),
        member=member[own],
        row=batch.row[pairs.pick[mine]],
        event=(np.cumsum(own) - 1)[pairs.event[mine]],
        posterior=now.posterior[mine],
        residual_s=now.residual_s[mine],
        near=near,
        location=location,
        odds=odds[own],
        converged=fitted.converged,
        bounds=bounds,
        dropped=+dropped,
    )


def _join(events: Events, batches: list[BatchRefit]) -> tuple[Events, I64, tuple[I64, I64, F64, F64], I64]:
    """Put the batches' own events and pairs together, by origin time; also give the order applied."""
    joined = events.take(np.zeros(0, np.int64))
    member, row, event, posterior, residual = ([np.empty(0, kind)] for kind in (int, int, int, float, float))
    for batch in batches:
        member.append(batch.member)
        row.append(batch.row)
        event.append(batch.event + len(joined))
        posterior.append(batch.posterior)
        residual.append(batch.residual_s)
        joined = joined.joined(batch.events)
    order = np.lexsort(joined.hypocentre.T[::-1])
    rank = np.argsort(order, kind="stable")
    numbers = rank[np.concatenate(event)]
    pairs = (np.concatenate(row), numbers, np.concatenate(posterior), np.concatenate(residual))
    return joined.take(order), np.concatenate(member)[order], pairs, order


def _correlation(
    domain: Domain,
    order: CableOrder,
    picks: PickSeries,
    events: Events,
    pairs: tuple[I64, I64, F64, F64],
    default: F64,
) -> Correlation:
    row, event, posterior, residual = pairs
    sure = posterior >= 0.5
    receiver_phase = picks.receiver_phase[row[sure]]
    scaled = residual[sure] / events.sigma_s[event[sure], picks.template.receiver_phase_group[receiver_phase]]
    return estimate_correlation(domain.receivers, order, event[sure], receiver_phase, scaled, default)


def _reweighted(domain: Domain, picks: PickSeries, correlation: Correlation) -> PickSeries:
    """Give every cable channel its share of an independent observation."""
    cable = domain.receivers.cable
    weight = picks.template.receiver_phase_weight.reshape(-1, 2).copy()
    if domain.config.effective_observations is None:
        for group, share in enumerate(correlation.independent_share):
            weight[cable == group // 2, group % 2] = min(float(share), 1.0)
    return replace(picks, template=replace(picks.template, receiver_phase_weight=weight.ravel()))


# Other places


def _find_mirrors(runner: Runner, picks: PickSeries, found: Events, fitted: FittedEvents) -> Mirrors:
    """Look for other places that explain each event's picks about as well, of all events seen by cables."""
    domain, hypocentre = runner.domain, fitted.events.hypocentre
    mirrors = Mirrors(np.full(hypocentre.shape, np.nan), np.full(len(hypocentre), np.nan))
    if domain.mode != "full" or domain.receivers.num_cables == 0 or len(hypocentre) == 0:
        return mirrors
    order = np.argsort(hypocentre[:, 0], kind="stable")
    events = replace(found.take(fitted.member), hypocentre=hypocentre).take(order)
    batches: list[Mirrors] = _over_batches(runner, _mirror_batch, picks, events, (1.0, 0.0))
    mirrors.hypocentre[order] = np.concatenate([batch.hypocentre for batch in batches])
    mirrors.loss[order] = np.concatenate([batch.loss for batch in batches])
    return mirrors


def _mirror_batch(domain: Domain, batch: Batch) -> Mirrors:
    return second_places(domain, batch.data, batch.events, np.flatnonzero(batch.own))
