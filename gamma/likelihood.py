"""Picks as the mixture takes them: one by one, or thinned to seed picks; and the rate of false picks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gamma.domain import Domain
from gamma.initial import make_seed_picks
from gamma.picks import Observations
from gamma.travel_time import TravelTimeModel

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_NOISE_BIN_S = 1800.0
_RECEIVER_PHASE_PRIOR = 5.0
_BIN_PRIOR = 20.0
_MIN_FACTOR = 0.05
_SAME_TIME = 0.25  # of a pick uncertainty: one arrival with two names
_SUREST = 0.02  # no name is surer than this where two contradict each other


@dataclass(frozen=True)
class PickData:
    """Picks of one batch, sorted by receiver-phase pair, then time, and what their likelihood depends on.

    A pick whose name may be wrong stands here twice, once as each phase, with one number in `pick`.
    """

    time_s: F64  # (rows,)
    receiver_phase: I64  # (rows,), 2 * receiver + phase (0 P, 1 S) as which the row takes the pick
    pick: I64  # (rows,), number of the pick, 0, 1, 2, ...
    log_name: F64  # (rows,), log probability of the pick's name, were it of the row's phase
    weight: F64  # (rows,), share of an independent observation
    noise: F64  # (rows,), rate of false picks of this receiver and name (1/s)
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

    def take(self, row: I64 | npt.NDArray[np.bool_]) -> PickData:
        """Select rows; they may repeat."""
        return replace(
            self,
            time_s=self.time_s[row],
            receiver_phase=self.receiver_phase[row],
            pick=self.pick[row],
            log_name=self.log_name[row],
            weight=self.weight[row],
            noise=self.noise[row],
        )

    def residuals(self, hypocentre: F64, event: I64) -> tuple[F64, F64]:
        """Residuals for the event (rows,) of each row, and gradients (rows, 3) of travel time by place."""
        source = hypocentre.T.take(
            event, axis=1
        )  # each coordinate in one stretch of memory, as in `place_km`
        time, gradient = self.travel_time.times_and_gradients(source[1:].T, self.place_km, self.phase)
        return self.time_s - source[0] - time, gradient

    @cached_property
    def phase(self) -> I64:
        """0 P, 1 S (rows,)."""
        return self.receiver_phase & 1

    @cached_property
    def group(self) -> I64:
        """Group of residuals (rows,)."""
        return self.receiver_phase_group[self.receiver_phase]

    @cached_property
    def place_km(self) -> F64:
        """Place of the receiver (rows, 3)."""
        return self.receiver_phase_xyz_km.T.take(self.receiver_phase, axis=1).T

    @cached_property
    def name(self) -> F64:
        """Probability of the pick's name, were it of the row's phase."""
        return np.exp(self.log_name)

    @cached_property
    def num_free(self) -> int:
        """Parameters of a location: origin time and the coordinates that are not fixed."""
        return 1 + int((self.upper_km > self.lower_km).sum())

    @cached_property
    def total_weight(self) -> float:
        """Number of independent pairs of receiver and phase."""
        return float(self.receiver_phase_weight.sum())


@dataclass(frozen=True)
class PickSeries:
    """All picks in order of time, each once or as both phases, with the rate of false picks at each."""

    time_s: F64  # (rows,)
    receiver_phase: I64  # as which the row takes the pick
    pick: I64  # number of the pick; the rows of a pick follow each other, the one of its name first
    log_name: F64
    noise: F64
    factor: F64  # weight beside the share of receiver and phase: the score, when the settings ask for it
    template: PickData  # without picks

    def __len__(self) -> int:
        """Count the picks."""
        return int(self.pick[-1]) + 1 if len(self.pick) else 0

    @property
    def named(self) -> I64:
        """First row of each pick: that of its name."""
        return np.flatnonzero(np.concatenate([[True], self.pick[1:] != self.pick[:-1]])[: len(self.pick)])

    def claimed(self, row: I64, posterior: F64) -> F64:
        """Sum the posteriors of rows by pick, at most 1."""
        claim = np.bincount(self.pick[row], posterior, minlength=len(self))
        return np.asarray(np.minimum(claim, 1.0), dtype=np.float64)

    def between(self, start_s: float, end_s: float) -> tuple[PickData, I64]:
        """Take the picks of an interval; also their places in this series."""
        first, last = np.searchsorted(self.time_s, [start_s, end_s])
        place = np.lexsort((self.time_s[first:last], self.receiver_phase[first:last]))
        new = np.diff(self.pick[first:last], prepend=-1) != 0
        named = first + np.flatnonzero(new)[np.cumsum(new) - 1][place]  # both rows of a pick weigh alike
        order = first + place
        data = replace(
            self.template,
            time_s=self.time_s[order],
            receiver_phase=self.receiver_phase[order],
            pick=self.pick[order] - (self.pick[first] if last > first else 0),
            log_name=self.log_name[order],
            weight=self.template.receiver_phase_weight[self.receiver_phase[named]] * self.factor[order],
            noise=self.noise[order],
        )
        return data, order.astype(np.int64)


def full_picks(domain: Domain, observations: Observations, weight: F64) -> PickSeries:
    """Every pick for itself; `weight` (receivers, 2)."""
    receivers = domain.receivers
    place = np.repeat(receivers.xyz_km, 2, axis=0)
    template = _template(domain, place, receivers.cable, weight)
    named = observations.receiver_phase
    log_name = _log_names(domain, observations)
    factor = _score_factor(domain, observations)
    return _pick_series(observations.time_s, named >> 1, log_name, named & 1, factor, template)


def seed_picks(domain: Domain, observations: Observations, weight: F64) -> tuple[PickSeries, I64]:
    """Thin the picks of cables to one for each aligned run of channels; also each pick's run, -1 for none.

    A run's name is that of most of its picks; how probable it is follows from all of them. Where names cannot
    be wrong, P and S make runs of their own.
    """
    cells = domain.cells
    cell_phase = 2 * cells.cell[observations.receiver_phase >> 1]
    gap = domain.config.pick_uncertainty_s
    if domain.mode == "point":
        cell_phase = cell_phase + (observations.receiver_phase & 1)
        gap = 2.0 * gap
    time_s, of_cell, members = make_seed_picks(observations.time_s, cell_phase, cells, gap)
    total: F64 = np.zeros((len(cells.size), 2))
    np.add.at(total, cells.cell, weight)
    place = np.repeat(domain.receivers.xyz_km[cells.representative], 2, axis=0)
    inside = members >= 0
    number = np.maximum(np.bincount(members[inside], minlength=len(time_s)), 1)

    def mean(values: F64) -> F64:
        summed = np.bincount(members[inside], values[inside], minlength=len(time_s))
        return np.asarray(summed / number, dtype=np.float64)

    log_name = np.column_stack([mean(column) for column in _log_names(domain, observations).T])
    named = np.argmax(log_name, axis=1)
    template = _template(domain, place, domain.receivers.cable[cells.representative], total)
    factor = mean(_score_factor(domain, observations))
    return _pick_series(time_s, of_cell, log_name, named, factor, template), members


def _log_names(domain: Domain, observations: Observations) -> F64:
    """Log probability (picks, 2) of each pick's name, were it P, and were it S.

    Cables: most of the wrong names are of whole stretches of a front. Where the receiver has a pick of the
    other phase at the same time, their scores decide.
    """
    phase = observations.receiver_phase & 1
    wrong = domain.wrong_name_share[observations.receiver_phase >> 1]
    if domain.mode != "point":
        rival = _rival_score(observations, _SAME_TIME * domain.config.pick_uncertainty_s)
        score = np.nan_to_num(observations.score, nan=0.5)
        shared = rival / np.maximum(score + rival, 1e-9)
        told = (rival > 0.0) & (wrong > 0.0)
        wrong = np.where(told, np.clip(shared, _SUREST, 1.0 - _SUREST), wrong)
    with np.errstate(divide="ignore"):
        return np.log(np.where(phase[:, None] == np.arange(2), 1.0 - wrong[:, None], wrong[:, None]))


def _rival_score(observations: Observations, within_s: float) -> F64:
    """Score of the receiver's pick of the other phase at the same time, 0 where there is none."""
    time, receiver_phase = observations.time_s, observations.receiver_phase
    order = np.lexsort((time, receiver_phase >> 1))
    out = np.zeros(len(order))
    score = np.nan_to_num(observations.score, nan=0.5)
    for one, other in ((order[:-1], order[1:]), (order[1:], order[:-1])):
        rival = (receiver_phase[one] ^ receiver_phase[other]) == 1
        rival &= np.abs(time[one] - time[other]) <= within_s
        out[one[rival]] = np.maximum(out[one[rival]], score[other[rival]])
    return out


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
        pick=np.empty(0, np.int64),
        log_name=empty,
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


def _pick_series(
    time_s: F64, receiver: I64, log_name: F64, named: I64, factor: F64, template: PickData
) -> PickSeries:
    """Put picks in order of time, each as its name and, where that can be wrong, as the other phase."""
    pick = np.repeat(np.arange(len(time_s)), 2)
    phase = np.column_stack([named, 1 - named]).ravel()
    log = log_name[pick, phase]
    keep = np.isfinite(log)
    pick, phase, log = pick[keep], phase[keep], log[keep]
    receiver_phase = 2 * receiver[pick] + phase
    bare = PickSeries(time_s[pick], receiver_phase, pick, log, np.ones(len(pick)), factor[pick], template)
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
    """Estimate the rate of false picks (1/s) of each pick's receiver and name in its half hour.

    `share` (picks,): how much of each pick no event explains. Rates of receivers and names are drawn towards
    their mean, half hours towards the whole record; half hours without any pick count as not recorded.
    """
    if len(picks) == 0:
        return picks
    time_s, named = picks.time_s[picks.named], picks.receiver_phase[picks.named]
    interval = (time_s / _NOISE_BIN_S).astype(np.int64)
    present, interval = np.unique(interval, return_inverse=True)
    span = min(float(np.ptp(time_s)) + 30.0, _NOISE_BIN_S * len(present))
    receiver_phases = len(picks.template.receiver_phase_weight)
    per_receiver_phase = np.bincount(named, share, minlength=receiver_phases)
    mean = max(float(per_receiver_phase.sum()), 1.0) / (receiver_phases * span)
    rate = (per_receiver_phase + _RECEIVER_PHASE_PRIOR) / (span + _RECEIVER_PHASE_PRIOR / mean)
    per_bin = np.bincount(interval, share)
    factor = (per_bin + _BIN_PRIOR) / (per_bin.mean() + _BIN_PRIOR)
    return replace(picks, noise=(rate[named] * factor[interval])[picks.pick])
