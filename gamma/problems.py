"""Picks as the mixture takes them: one by one, or thinned to seed picks; and the rate of false picks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gamma.mixture import Problem
from gamma.observations import Observations
from gamma.segments import SeedPicks, make_seed_picks
from gamma.setup import Setup

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_NOISE_BIN_S = 1800.0
_SLOT_PRIOR = 5.0
_BIN_PRIOR = 20.0
_MIN_FACTOR = 0.05


@dataclass(frozen=True)
class PickSet:
    """All picks of a record in order of time, and the mixture's fixed parts.

    Attributes
    ----------
    time_s, slot, noise, factor : numpy.ndarray, shape (picks,)
        `factor` weighs a pick beside its slot's share (its score, when the settings say so).
    template : Problem
        Without picks.
    """

    time_s: F64
    slot: I64
    noise: F64
    factor: F64
    template: Problem

    def __len__(self) -> int:
        return len(self.time_s)

    def between(self, start_s: float, end_s: float) -> tuple[Problem, I64]:
        """Cut out the picks of an interval, as a problem and as places in this set."""
        first, last = np.searchsorted(self.time_s, [start_s, end_s])
        order = first + np.lexsort((self.time_s[first:last], self.slot[first:last]))
        slot = self.slot[order]
        problem = replace(
            self.template,
            time_s=self.time_s[order],
            slot=slot,
            weight=self.template.slot_weight[slot] * self.factor[order],
            noise=self.noise[order],
        )
        return problem, order.astype(np.int64)


def full_picks(setup: Setup, observations: Observations, weight: F64) -> PickSet:
    """Every pick for itself.

    `weight` (receivers, 2).
    """
    receivers = setup.receivers
    template = _template(setup, np.repeat(receivers.xyz_km, 2, axis=0), receivers.cable, weight)
    return _pick_set(observations.time_s, observations.slot, _score_factor(setup, observations), template)


def seed_picks(setup: Setup, observations: Observations, weight: F64) -> tuple[PickSet, SeedPicks]:
    """Thin the picks of cables to one per aligned run of channels."""
    cells = setup.cells
    gap = 2.0 * setup.config.pick_uncertainty_s
    seeds = make_seed_picks(observations.time_s, observations.slot, cells, gap)
    total: F64 = np.zeros((len(cells.size), 2))
    np.add.at(total, cells.cell, weight)
    place = np.repeat(setup.receivers.xyz_km[cells.representative], 2, axis=0)
    cable = setup.receivers.cable[cells.representative]
    inside = seeds.members >= 0
    total_score = np.bincount(
        seeds.members[inside], _score_factor(setup, observations)[inside], len(seeds.time_s)
    )
    number = np.bincount(seeds.members[inside], minlength=len(seeds.time_s))
    factor: F64 = np.asarray(total_score / np.maximum(number, 1), dtype=np.float64)
    return _pick_set(seeds.time_s, seeds.slot, factor, _template(setup, place, cable, total)), seeds


def _score_factor(setup: Setup, observations: Observations) -> F64:
    """Weight of each pick from its score: 1 unless the settings ask for more."""
    if not setup.config.use_score_weights:
        return np.ones(len(observations))
    return np.clip(np.nan_to_num(observations.score, nan=1.0), _MIN_FACTOR, 1.0)


def _template(setup: Setup, place_km: F64, cable: I64, weight: F64) -> Problem:
    slots = np.arange(len(place_km))
    empty = np.empty(0)
    return Problem(
        time_s=empty,
        slot=np.empty(0, np.int64),
        weight=empty,
        noise=empty,
        slot_xyz_km=place_km,
        slot_weight=weight.ravel(),
        slot_group=2 * (cable[slots >> 1] + 1) + (slots & 1),
        num_groups=2 * (setup.receivers.num_cables + 1),
        travel_time=setup.model,
        lower_km=setup.lower_km,
        upper_km=setup.upper_km,
        sigma_s=setup.config.pick_uncertainty_s,
        max_sigma_s=setup.max_sigma_s,
    )


def _pick_set(time_s: F64, slot: I64, factor: F64, template: Problem) -> PickSet:
    bare = PickSet(time_s, slot, np.ones(len(time_s)), factor, template)
    return with_noise(bare, np.full(len(time_s), 0.5))


def receiver_weights(setup: Setup) -> F64:
    """Share of an independent observation that each receiver's pick makes, before residuals are known.

    Returns (receivers, 2).
    """
    cable = setup.receivers.cable
    weight = np.ones((len(cable), 2))
    for index in range(setup.receivers.num_cables):
        channels = cable == index
        number = setup.config.effective_observations or len(np.unique(setup.cells.cell[channels]))
        weight[channels] = min(1.0, number / channels.sum())
    return weight


def with_noise(picks: PickSet, share: F64) -> PickSet:
    """Estimate the rate of false picks (1/s) on each pick's slot and half hour.

    Slots are drawn towards their mean, half hours towards the whole record; half hours without any pick
    count as not recorded.

    `share` (picks,).
    """
    if len(picks) == 0:
        return picks
    interval = (picks.time_s / _NOISE_BIN_S).astype(np.int64)
    present, interval = np.unique(interval, return_inverse=True)
    span = min(float(np.ptp(picks.time_s)) + 30.0, _NOISE_BIN_S * len(present))
    slots = len(picks.template.slot_weight)
    per_slot = np.bincount(picks.slot, share, minlength=slots)
    mean = max(float(per_slot.sum()), 1.0) / (slots * span)
    rate = (per_slot + _SLOT_PRIOR) / (span + _SLOT_PRIOR / mean)
    per_bin = np.bincount(interval, share)
    factor = (per_bin + _BIN_PRIOR) / (per_bin.mean() + _BIN_PRIOR)
    return replace(picks, noise=rate[picks.slot] * factor[interval])
