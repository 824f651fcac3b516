"""Which events stand: evidence, enough picks, and picks of their own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gamma.domain import Domain
from gamma.likelihood import PickData
from gamma.mixture import Fit
from gamma.uncertainty import log_odds

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_ONE_PHASE_SHARE = 0.25
EVIDENCE_TESTS = ("too little evidence", "too few independent picks")


def failed_tests(
    domain: Domain, data: PickData, fitted: Fit, *, counted: bool
) -> tuple[F64, dict[str, Mask]]:
    """Test every event: log odds, and which events (events,) fail each test."""
    config, pairs = domain.config, fitted.pairs
    num_events = len(fitted.events)
    own = fitted.expectation.posterior >= config.min_association_score
    if domain.mode == "point":
        own &= ~_contested(domain, fitted)
    phase = data.receiver_phase[pairs.pick] & 1
    weight = data.weight[pairs.pick]
    number = np.stack([_count(pairs.event, own & (phase == k), num_events) for k in (0, 1)])
    effective = np.stack([_count(pairs.event, own & (phase == k), num_events, weight) for k in (0, 1)])
    odds = log_odds(data, fitted)
    failed = {
        EVIDENCE_TESTS[0]: odds < config.min_log_odds,
        EVIDENCE_TESTS[1]: effective.sum(axis=0) < domain.min_effective_picks,
    }
    if counted:
        failed["too few picks"] = number.sum(axis=0) < (config.min_picks or 0)
        failed["too few stations"] = _stations(data, fitted, own) < (config.min_stations or 0)
    for k, name, asked, needed in (
        (0, "too few P picks", config.min_p_picks, domain.min_p_picks),
        (1, "too few S picks", config.min_s_picks, domain.min_s_picks),
    ):
        if asked is None or counted:
            failed[name] = (effective if asked is None else number)[k] < needed
    return odds, failed


def _count(event: I64, where: Mask, num_events: int, weight: F64 | None = None) -> F64:
    chosen = None if weight is None else weight[where]
    return np.bincount(event[where], chosen, minlength=num_events).astype(np.float64)


def _stations(data: PickData, fitted: Fit, own: Mask) -> F64:
    receivers = len(data.receiver_phase_weight) // 2
    seats = np.unique(
        fitted.pairs.event[own] * receivers + (data.receiver_phase[fitted.pairs.pick[own]] >> 1)
    )
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
    best = np.full(int(pairs.pick.max(initial=-1)) + 1, len(count))
    np.minimum.at(best, pairs.pick[near], rank[pairs.event[near]])
    contested: Mask = best[pairs.pick] < rank[pairs.event]
    return contested


def split_by_phase(data: PickData, fitted: Fit, reach_s: float) -> Mask:
    """Events of one phase alone with an event of the other phase beside them: one event in two places."""
    pairs, num_events = fitted.pairs, len(fitted.events)
    claim = data.weight[pairs.pick] * fitted.expectation.posterior
    shear = (data.receiver_phase[pairs.pick] & 1) == 1
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
