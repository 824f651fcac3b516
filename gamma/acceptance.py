"""Which events stand: evidence, enough picks, and picks of their own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gamma.domain import Domain
from gamma.fronts import MIN_CELLS
from gamma.mixture import Fit
from gamma.uncertainty import log_odds

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_ONE_PHASE_SHARE = 0.25
RING_SHARE = 0.6
PHASE_SHARE = 0.15
_NAMED_SHARE = 0.5
_EVEN = float(np.log(0.5))
_RMS_RATIO = 2.5
_GROUND_SHARE = 0.02
EVIDENCE_TESTS = ("too little evidence", "too few independent picks")


def failed_tests(domain: Domain, fitted: Fit, *, counted: bool) -> tuple[F64, dict[str, Mask]]:
    """Test every event: log odds, and which events (events,) fail each test."""
    config, pairs = domain.config, fitted.pairs
    num_events = len(fitted.events)
    own = fitted.expectation.posterior >= config.min_association_score
    if domain.mode == "point":
        own &= ~_contested(domain, fitted)
    by_phase = 2 * pairs.event + pairs.rows.phase
    number, effective = (
        np.bincount(by_phase, own * weight, minlength=2 * num_events).reshape(num_events, 2).T
        for weight in (1.0, pairs.rows.weight)
    )
    odds = log_odds(fitted)
    failed = {
        EVIDENCE_TESTS[0]: odds < config.min_log_odds,
        EVIDENCE_TESTS[1]: effective.sum(axis=0) < domain.min_effective_picks,
    }
    if domain.mode == "full" and config.min_p_picks is None and config.min_s_picks is None:
        failed["P or S on too few channels"] = ~_both_phases(domain, fitted, own)
        failed["residuals too large"] = _rms(fitted, own) > _rms_limit_s(domain)
    if counted and config.min_picks is not None:
        failed["too few picks"] = number.sum(axis=0) < config.min_picks
    if counted and config.min_stations is not None:
        failed["too few stations"] = _stations(fitted, own) < config.min_stations
    for k, name, asked, needed in (
        (0, "too few P picks", config.min_p_picks, domain.min_p_picks),
        (1, "too few S picks", config.min_s_picks, domain.min_s_picks),
    ):
        if asked is None or counted:
            failed[name] = (effective if asked is None else number)[k] < needed
    return odds, failed


def describe_rules(domain: Domain) -> list[str]:
    """Say in sentences which picks an event must have."""
    config = domain.config
    rules = []
    stated = config.min_p_picks is not None or config.min_s_picks is not None
    if domain.mode == "full" and domain.receivers.num_cables and not stated:
        rules.append(
            f"An event has P and S picks, each on {PHASE_SHARE:.0%} or more of the channels between its "
            "first and its last pick on a cable."
        )
        rules.append(f"Its residuals are at most {_rms_limit_s(domain):.2g} s (rms).")
        if domain.beyond is not None:
            limit = f"{_rms_limit_s(domain.beyond):.2g} s"
            rules.append(
                f"Beyond the search box the share is {RING_SHARE:.0%}, and residuals are at most {limit}."
            )
    if stated or domain.mode == "point":
        p_picks, s_picks = domain.min_p_picks, domain.min_s_picks
        rules.append(f"An event has {p_picks} or more P picks and {s_picks} or more S picks.")
    if config.min_picks is not None:
        rules.append(f"An event has {config.min_picks} picks or more.")
    else:
        rules.append(
            f"An event has {domain.min_effective_picks:g} independent picks or more. Neighbouring channels "
            "of a cable repeat each other, and count as one."
        )
    if config.min_stations is not None:
        rules.append(f"An event has picks at {config.min_stations} receivers or more.")
    rules.append(f"The log odds of an event against chance are {config.min_log_odds:g} or more.")
    return rules


def _rms_limit_s(domain: Domain) -> float:
    """Largest rms of residuals on a cable: pick errors, and what unknown ground does along the cable."""
    across = domain.receivers.horizontal_aperture_km / domain.model.slowest_km_s[1]
    return float(np.hypot(_RMS_RATIO * domain.residual_s, _GROUND_SHARE * across))


def _both_phases(domain: Domain, fitted: Fit, own: Mask) -> Mask:
    """Whether a cable has P and S of the event (events,) on a share of the channels that see it.

    The channels that see it lie between the first and the last with a pick. An event without enough picks on
    any cable may have them at seismometers. Half of the share must have the name of the phase.
    """
    pairs, events = fitted.pairs, len(fitted.events)
    phase_share = PHASE_SHARE
    if domain.inner is not None:  # afar, all channels are equally far
        phase_share = RING_SHARE
    rows = pairs.rows.take(own)
    receiver_phase = rows.receiver_phase
    event, named = pairs.event[own], rows.log_name > _EVEN
    cable = rows.group // 2 - 1
    alone = np.bincount(event[cable < 0], minlength=events)
    good = alone >= domain.min_effective_picks if domain.num_alone else np.zeros(events, dtype=bool)
    for index in range(domain.receivers.num_cables):
        mine = cable == index
        place = receiver_phase[mine] >> 1  # cells, or channels, in order along the cable
        low, high = np.full(events, np.inf), np.full(events, -np.inf)
        np.minimum.at(low, event[mine], place)
        np.maximum.at(high, event[mine], place)
        needed = np.maximum(phase_share * (high - low + 1.0), MIN_CELLS - 1)
        good |= np.all(
            [
                np.bincount(event[chosen], minlength=events) >= share * needed
                for phase in (0, 1)
                for chosen, share in (
                    (mine & (receiver_phase & 1 == phase), 1.0),
                    (mine & (receiver_phase & 1 == phase) & named, _NAMED_SHARE),
                )
            ],
            axis=0,
        )
    return good


def _rms(fitted: Fit, own: Mask) -> F64:
    """Root mean square (events,) of the residuals of picks on cables (s)."""
    pairs = fitted.pairs
    mine = own & (pairs.rows.group >= 2)
    event, weight = pairs.event[mine], pairs.rows.weight[mine]
    square = weight * fitted.expectation.residual_s[mine] ** 2
    events = len(fitted.events)
    total = np.bincount(event, weight, minlength=events)
    return np.sqrt(np.bincount(event, square, minlength=events) / np.maximum(total, 1e-9))


def _stations(fitted: Fit, own: Mask) -> F64:
    receivers = len(fitted.pairs.rows.receiver_phase_weight) // 2
    seats = np.unique(fitted.pairs.event[own] * receivers + (fitted.pairs.rows.receiver_phase[own] >> 1))
    return np.bincount(seats // max(receivers, 1), minlength=len(fitted.events)).astype(np.float64)


def _contested(domain: Domain, fitted: Fit) -> Mask:
    """Pairs whose pick a larger event explains too, as far as a point array can tell arrivals apart.

    Without moveout, picks of one phase that scatter or are mislabelled near another event's arrival look
    like an event of their own; a real one has picks of both phases that no larger event explains.
    """
    pairs, count = fitted.pairs, fitted.events.count
    near = np.abs(fitted.expectation.residual_s) <= domain.grid.window_s
    rank = np.empty(len(count), dtype=np.int64)
    rank[np.lexsort((fitted.events.hypocentre[:, 0], -count))] = np.arange(len(count))
    pick = pairs.rows.pick
    best = np.full(int(pick.max(initial=-1)) + 1, len(count))
    np.minimum.at(best, pick[near], rank[pairs.event[near]])
    contested: Mask = best[pick] < rank[pairs.event]
    return contested


def split_by_phase(fitted: Fit, reach_s: float) -> Mask:
    """Events of one phase alone with an event of the other phase beside them: one event in two places."""
    pairs, num_events = fitted.pairs, len(fitted.events)
    claim = pairs.rows.weight * fitted.expectation.posterior
    shear = pairs.rows.phase == 1
    total = np.maximum(np.bincount(pairs.event, claim, minlength=num_events), 1e-9)
    s_share = np.bincount(pairs.event[shear], claim[shear], minlength=num_events) / total
    time = fitted.events.hypocentre[:, 0]
    p_only, s_only = s_share < _ONE_PHASE_SHARE, s_share > 1.0 - _ONE_PHASE_SHARE
    out = np.zeros(num_events, dtype=bool)
    for one, other in ((p_only, s_only), (s_only, p_only)):
        near = np.searchsorted(np.sort(time[other]), time[:, None] + np.array([-reach_s, reach_s]))
        out |= one & (near[:, 1] > near[:, 0])
    return out


def least_supported(time_s: F64, odds: F64, failed: Mask, reach_s: float) -> Mask:
    """Of the events that fail, those with the least evidence among failing ones they may share picks with.

    Dropping one frees its picks for the others, which may then stand.
    """
    order = np.lexsort((time_s, odds))
    drop = np.zeros(len(odds), dtype=bool)
    for event in order[failed[order]]:
        if not (np.abs(time_s[drop] - time_s[event]) < reach_s).any():
            drop[event] = True
    return drop
