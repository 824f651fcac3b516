"""Picks as the mixture takes them: one by one, or thinned to seed picks; and the rate of false picks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gamma.domain import Domain
from gamma.initial import SeedPicks, make_seed_picks
from gamma.picks import Observations
from gamma.travel_time import TravelTimeModel

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_NOISE_BIN_S = 1800.0
_RECEIVER_PHASE_PRIOR = 5.0
_BIN_PRIOR = 20.0
_MIN_FACTOR = 0.05


@dataclass(frozen=True)
class PickData:
    """Picks of one batch, sorted by receiver-phase pair, then time, and what their likelihood depends on."""

    time_s: F64  # (picks,)
    receiver_phase: I64  # (picks,), 2 * receiver + phase (0 P, 1 S)
    weight: F64  # (picks,), share of an independent observation
    noise: F64  # (picks,), rate of false picks of this receiver and phase (1/s)
    receiver_phase_xyz_km: F64  # (pairs of receiver and phase, 3)
    receiver_phase_weight: F64
    receiver_phase_group: (
        I64  # residuals of a group (phase of one cable, or of all seismometers) share a scale
    )
    num_groups: int
    travel_time: TravelTimeModel
    lower_km: F64  # (3,), search box; equal limits fix a coordinate
    upper_km: F64
    sigma_s: float  # expected scale of residuals, the centre of its prior
    max_sigma_s: float  # one so wide that two events fit under it would swallow both

    def residuals(self, hypocentre: F64, pick: I64, event: I64) -> tuple[F64, F64]:
        """Residuals (pairs,) of picks for events, and gradients of travel time by the place (pairs, 3)."""
        receiver_phase = self.receiver_phase[pick]
        time, gradient = self.travel_time.times_and_gradients(
            hypocentre[event, 1:], self.receiver_phase_xyz_km[receiver_phase], receiver_phase & 1
        )
        return self.time_s[pick] - hypocentre[event, 0] - time, gradient

    def group_of(self, pick: I64) -> I64:
        """Group of residuals that each pick belongs to."""
        return self.receiver_phase_group[self.receiver_phase[pick]]

    @property
    def num_free(self) -> int:
        """Parameters of a location: origin time and the coordinates that are not fixed."""
        return 1 + int((self.upper_km > self.lower_km).sum())

    @property
    def total_weight(self) -> float:
        """Number of independent pairs of receiver and phase."""
        return float(self.receiver_phase_weight.sum())


@dataclass(frozen=True)
class PickSeries:
    """All picks in order of time, with the rate of false picks at each."""

    time_s: F64  # (picks,)
    receiver_phase: I64
    noise: F64
    factor: F64  # weight beside the share of receiver and phase: the score, when the settings ask for it
    template: PickData  # without picks

    def __len__(self) -> int:
        return len(self.time_s)

    def between(self, start_s: float, end_s: float) -> tuple[PickData, I64]:
        """Take the picks of an interval; also their places in this series."""
        first, last = np.searchsorted(self.time_s, [start_s, end_s])
        order = first + np.lexsort((self.time_s[first:last], self.receiver_phase[first:last]))
        receiver_phase = self.receiver_phase[order]
        data = replace(
            self.template,
            time_s=self.time_s[order],
            receiver_phase=receiver_phase,
            weight=self.template.receiver_phase_weight[receiver_phase] * self.factor[order],
            noise=self.noise[order],
        )
        return data, order.astype(np.int64)


def full_picks(domain: Domain, observations: Observations, weight: F64) -> PickSeries:
    """Every pick for itself; `weight` (receivers, 2)."""
    receivers = domain.receivers
    template = _template(domain, np.repeat(receivers.xyz_km, 2, axis=0), receivers.cable, weight)
    return _pick_series(
        observations.time_s, observations.receiver_phase, _score_factor(domain, observations), template
    )


def seed_picks(domain: Domain, observations: Observations, weight: F64) -> tuple[PickSeries, SeedPicks]:
    """Thin the picks of cables to one per aligned run of channels."""
    cells = domain.cells
    gap = 2.0 * domain.config.pick_uncertainty_s
    seeds = make_seed_picks(observations.time_s, observations.receiver_phase, cells, gap)
    total: F64 = np.zeros((len(cells.size), 2))
    np.add.at(total, cells.cell, weight)
    place = np.repeat(domain.receivers.xyz_km[cells.representative], 2, axis=0)
    cable = domain.receivers.cable[cells.representative]
    inside = seeds.members >= 0
    total_score = np.bincount(
        seeds.members[inside], _score_factor(domain, observations)[inside], len(seeds.time_s)
    )
    number = np.bincount(seeds.members[inside], minlength=len(seeds.time_s))
    factor: F64 = np.asarray(total_score / np.maximum(number, 1), dtype=np.float64)
    return _pick_series(
        seeds.time_s, seeds.receiver_phase, factor, _template(domain, place, cable, total)
    ), seeds


def _score_factor(domain: Domain, observations: Observations) -> F64:
    """Weight of each pick from its score: 1 unless the settings ask for more."""
    if not domain.config.use_score_weights:
        return np.ones(len(observations))
    return np.clip(np.nan_to_num(observations.score, nan=1.0), _MIN_FACTOR, 1.0)


def _template(domain: Domain, place_km: F64, cable: I64, weight: F64) -> PickData:
    receiver_phases = np.arange(len(place_km))
    empty = np.empty(0)
    return PickData(
        time_s=empty,
        receiver_phase=np.empty(0, np.int64),
        weight=empty,
        noise=empty,
        receiver_phase_xyz_km=place_km,
        receiver_phase_weight=weight.ravel(),
        receiver_phase_group=2 * (cable[receiver_phases >> 1] + 1) + (receiver_phases & 1),
        num_groups=2 * (domain.receivers.num_cables + 1),
        travel_time=domain.model,
        lower_km=domain.lower_km,
        upper_km=domain.upper_km,
        sigma_s=domain.config.pick_uncertainty_s,
        max_sigma_s=domain.max_sigma_s,
    )


def _pick_series(time_s: F64, receiver_phase: I64, factor: F64, template: PickData) -> PickSeries:
    bare = PickSeries(time_s, receiver_phase, np.ones(len(time_s)), factor, template)
    return with_noise(bare, np.full(len(time_s), 0.5))


def receiver_weights(domain: Domain) -> F64:
    """Independent observations (receivers, 2) that a P and an S pick make, before residuals are known."""
    cable = domain.receivers.cable
    weight = np.ones((len(cable), 2))
    for index in range(domain.receivers.num_cables):
        channels = cable == index
        number = domain.config.effective_observations or len(np.unique(domain.cells.cell[channels]))
        weight[channels] = min(1.0, number / channels.sum())
    return weight


def with_noise(picks: PickSeries, share: F64) -> PickSeries:
    """Estimate the rate of false picks (1/s) of each pick's receiver and phase in its half hour.

    `share` (picks,): how much of each pick no event explains. Rates of receivers and phases are drawn towards
    their mean, half hours towards the whole record; half hours without any pick count as not recorded.
    """
    if len(picks) == 0:
        return picks
    interval = (picks.time_s / _NOISE_BIN_S).astype(np.int64)
    present, interval = np.unique(interval, return_inverse=True)
    span = min(float(np.ptp(picks.time_s)) + 30.0, _NOISE_BIN_S * len(present))
    receiver_phases = len(picks.template.receiver_phase_weight)
    per_receiver_phase = np.bincount(picks.receiver_phase, share, minlength=receiver_phases)
    mean = max(float(per_receiver_phase.sum()), 1.0) / (receiver_phases * span)
    rate = (per_receiver_phase + _RECEIVER_PHASE_PRIOR) / (span + _RECEIVER_PHASE_PRIOR / mean)
    per_bin = np.bincount(interval, share)
    factor = (per_bin + _BIN_PRIOR) / (per_bin.mean() + _BIN_PRIOR)
    return replace(picks, noise=rate[picks.receiver_phase] * factor[interval])
