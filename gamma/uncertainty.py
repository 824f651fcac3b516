"""Evidence for each event, and how well its time and place are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gamma.correlation import CableOrder, Correlation, cable_order, correlated_sum
from gamma.domain import Domain
from gamma.likelihood import PickData
from gamma.location import DEGREES_OF_FREEDOM, normal_equations
from gamma.mixture import PRIOR_OBSERVATIONS, Fit

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

CHI_SQUARE_68 = -2.0 * float(np.log(1.0 - 0.6827))  # of two degrees of freedom
_EVENT_INTERVAL_S = 60.0
_MIN_CURVATURE = 0.15
_DEPTH_MARGIN_KM = 3.0
_CURVATURE_SPREAD = 0.4
_UNEVEN_SHARE = 0.007
_ALIKE_KM = 3.0
_USUAL_ERROR = 0.05
_SHARED, _OWN = 0.8, 0.6


@dataclass(frozen=True)
class Location:
    """Uncertainties of all events, from picks and from the velocity."""

    covariance: F64  # (events, 4, 4) of origin time (s), x, y, z (km); zero for fixed parameters
    distance_km: F64  # (events,), to the nearest receiver
    distance_uncertainty_km: F64

    def take(self, index: I64) -> Location:
        """Select events."""
        return Location(self.covariance[index], self.distance_km[index], self.distance_uncertainty_km[index])

    @classmethod
    def concatenate(cls, locations: list[Location]) -> Location:
        """Join the locations of several batches."""
        return cls(
            np.concatenate([np.zeros((0, 4, 4)), *(location.covariance for location in locations)]),
            np.concatenate([np.zeros(0), *(location.distance_km for location in locations)]),
            np.concatenate([np.zeros(0), *(location.distance_uncertainty_km for location in locations)]),
        )


@dataclass(frozen=True)
class _Weights:
    """Weights of the location, one per pair unless said otherwise."""

    group: I64
    claim: F64  # share of an independent observation
    weight: F64  # claim x robust / sigma^2
    hessian: F64  # (events, 4, 4)
    curvature: F64  # (events,): Hessian of the t likelihood over that of the reweighted squares


def _free(rows: PickData) -> npt.NDArray[np.bool_]:
    return np.concatenate([[True], rows.upper_km > rows.lower_km])


def _inverse(hessian: F64, free: npt.NDArray[np.bool_]) -> F64:
    """Invert the free part of each matrix, zero elsewhere."""
    index = np.flatnonzero(free)
    part = hessian[:, index[:, None], index]
    size = np.maximum(np.einsum("kii->ki", part), 1e-30)
    scale = 1.0 / np.sqrt(size)
    scaled = part * scale[:, :, None] * scale[:, None, :] + 1e-9 * np.eye(len(index))
    inverse = np.linalg.inv(scaled) * scale[:, :, None] * scale[:, None, :]
    out = np.zeros_like(hessian)
    out[:, index[:, None], index] = inverse
    return out


def _weights(fit: Fit) -> _Weights:
    pairs, now, num_events = fit.pairs, fit.expectation, len(fit.events)
    group = pairs.rows.group
    sigma = fit.events.sigma_s[pairs.event, group]
    claim = pairs.rows.weight * now.posterior
    weight = claim * now.robust / sigma**2
    hessian, _, _ = normal_equations(pairs.event, weight, now.residual_s, now.gradient, num_events)
    square = (now.residual_s / sigma) ** 2
    bend = now.robust * (DEGREES_OF_FREEDOM - square) / (DEGREES_OF_FREEDOM + square)
    bend -= (1.0 - now.posterior) * now.robust**2 * square  # the posterior falls with the residual too
    exact = np.bincount(pairs.event, claim * bend / sigma**2, minlength=num_events)
    curvature = exact / np.maximum(np.bincount(pairs.event, weight, minlength=num_events), 1e-30)
    return _Weights(group, claim, weight, hessian, np.clip(curvature, _MIN_CURVATURE, 1.0))


def _variances(fit: Fit, weights: _Weights) -> F64:
    """Variance of robustly weighted residuals by event and group (s^2), drawn towards that of all events."""
    pairs, now, num_events = fit.pairs, fit.expectation, len(fit.events)
    rows, groups = pairs.rows, pairs.rows.num_groups
    cell = pairs.event * groups + weights.group
    inner = weights.claim * now.posterior * now.robust**2
    size = num_events * groups
    number = np.bincount(cell, inner, minlength=size).reshape(num_events, groups)
    square = np.bincount(cell, inner * now.residual_s**2, minlength=size).reshape(num_events, groups)
    spent = rows.num_free * number / np.maximum(number.sum(axis=1, keepdims=True), 1e-9)
    prior = PRIOR_OBSERVATIONS
    degrees = np.maximum((number - spent).sum(axis=0), 0.0)
    common = (square.sum(axis=0) + prior * rows.sigma_s**2) / (degrees + prior)
    variance: F64 = (square + prior * common) / np.maximum(number + prior - spent, 1.0)
    return variance


def pick_covariance(fit: Fit, order: CableOrder | None = None, correlation: Correlation | None = None) -> F64:
    """Covariance of locations from pick errors (Huber's sandwich, with errors correlated along cables)."""
    fit = _inner_depth(fit)
    weights = _weights(fit)
    box = _box_precision(fit.pairs.rows)
    inverse = _inverse(weights.hessian * weights.curvature[:, None, None] + box, _free(fit.pairs.rows))
    variance = _variances(fit, weights)[fit.pairs.event, weights.group]
    row = np.sqrt(variance) * weights.weight
    share = fit.pairs.rows.weight
    alone = np.ones(len(share), dtype=bool)
    scatter = np.zeros_like(weights.hessian)
    if order is not None and correlation is not None:
        alone = weights.group < 2
        scatter += _cable_scatter(fit, weights.group, row, order, correlation)
    values = np.where(alone, row**2 / np.maximum(share, 1e-30), 0.0)
    scatter += normal_equations(
        fit.pairs.event, values, fit.expectation.residual_s, fit.expectation.gradient, len(fit.events)
    )[0]
    found = np.bincount(fit.pairs.event, weights.claim, minlength=len(inverse)).astype(np.float64)
    widening = _few_picks_factor(found, fit.pairs.rows.num_free)[:, None, None]
    covariance: F64 = inverse @ (scatter + box) @ inverse * widening
    return covariance


def _box_precision(rows: PickData) -> F64:
    """Inverse covariance (4, 4) of a place that is only known to lie in the search box."""
    sides = np.maximum(rows.upper_km - rows.lower_km, 1e-9)
    return np.diag(np.concatenate([[0.0], 12.0 / sides**2]))


def _few_picks_factor(found: F64, num_free: int) -> F64:
    """Widening for few picks: Huber's (1981, eq. 6.5) correction, and Student's t instead of a Gaussian."""
    correction = (1.0 + _CURVATURE_SPREAD * num_free / np.maximum(found, num_free)) ** 2
    degrees = np.maximum(found - num_free + PRIOR_OBSERVATIONS, 3.0)
    quantile = degrees * ((1.0 - 0.6827) ** (-2.0 / degrees) - 1.0)  # twice that of F(2, degrees)
    factor: F64 = correction * quantile / CHI_SQUARE_68
    return factor


def _inner_depth(fit: Fit) -> Fit:
    """Take the gradients of events near the depth limits a little inside.

    At the depth of the receivers travel time does not change with depth to first order, which would make
    the place of such an event look better known than it is.
    """
    lower, upper = fit.pairs.rows.lower_km[2], fit.pairs.rows.upper_km[2]
    depth = fit.events.hypocentre[:, 3]
    margin = min(_DEPTH_MARGIN_KM, 0.25 * (upper - lower))
    moved = np.clip(depth, lower + margin, upper - margin)
    if margin <= 0.0 or np.array_equal(moved, depth):
        return fit
    hypocentre = fit.events.hypocentre.copy()
    hypocentre[:, 3] = moved
    _, gradient = fit.pairs.rows.residuals(hypocentre, fit.pairs.event)
    return replace(fit, expectation=replace(fit.expectation, gradient=gradient))


def _cable_scatter(fit: Fit, group: I64, row: F64, order: CableOrder, correlation: Correlation) -> F64:
    """Scatter of the normal equations' right-hand side from correlated errors along cables."""
    pairs = fit.pairs
    out = np.zeros((len(fit.events), 4, 4))
    rank = order.rank[pairs.rows.receiver_phase >> 1]
    columns = np.column_stack([np.ones(len(row)), fit.expectation.gradient]) * row[:, None]
    bounds = np.searchsorted(pairs.event, np.arange(len(out) + 1))
    for event, (lo, hi) in enumerate(pairwise(bounds)):
        for cable_group in np.unique(group[lo:hi]):
            if cable_group < 2:
                continue
            mine = lo + np.flatnonzero(group[lo:hi] == cable_group)
            values = np.zeros((int(order.length[cable_group // 2 - 1]), 4))
            np.add.at(values, rank[mine], columns[mine])
            out[event] += correlated_sum(values, correlation.lags[cable_group - 2])
    return out


def velocity_covariance(fit: Fit, relative: float) -> F64:
    """Covariance of locations from independent relative errors of vp and of vp/vs."""
    fit = _inner_depth(fit)
    weights = _weights(fit)
    pairs, now = fit.pairs, fit.expectation
    time = pairs.rows.time_s - fit.events.hypocentre[pairs.event, 0] - now.residual_s
    shear = pairs.rows.phase == 1
    inverse = _inverse(weights.hessian, _free(fit.pairs.rows))
    out = np.zeros_like(inverse)
    for change in (-time, np.where(shear, time, 0.0)):
        _, slope, _ = normal_equations(pairs.event, weights.weight, -change, now.gradient, len(out))
        moved = np.einsum("kij,kj->ki", inverse, slope) * relative
        out += moved[:, :, None] * moved[:, None, :]
    return out


def uneven_covariance(fit: Fit, order: CableOrder, share: float, apart: float) -> F64:
    """Covariance of locations from ground that differs along the cable.

    Delays are a share of the travel time, and grow or bend along the cable. A location takes them up, so that
    residuals do not show them. S waves share most of the delays of P. `apart` is 0 to 1: how much the ground
    below the two ends differs. A short cable lies on ground that is alike.
    """
    fit = _inner_depth(fit)
    weights = _weights(fit)
    pairs, now = fit.pairs, fit.expectation
    out = np.zeros_like(weights.hessian)
    if share <= 0.0 or len(order.length) == 0:
        return out
    time = pairs.rows.time_s - fit.events.hypocentre[pairs.event, 0] - now.residual_s
    shear = pairs.rows.phase == 1
    cable = weights.group // 2 - 1
    rank = order.rank[pairs.rows.receiver_phase >> 1]
    place = np.where(cable >= 0, 2.0 * rank / np.maximum(order.length[cable] - 1, 1) - 1.0, 0.0)
    inverse = _inverse(weights.hessian + _box_precision(fit.pairs.rows), _free(fit.pairs.rows))
    for shape in (apart * np.sqrt(3.0) * place, apart**2 * np.sqrt(11.25) * (place**2 - 1.0 / 3.0)):
        delay = share * time * np.where(cable >= 0, shape, 0.0)
        for change in (np.where(shear, _SHARED, 1.0) * delay, np.where(shear, _OWN, 0.0) * delay):
            _, slope, _ = normal_equations(pairs.event, weights.weight, change, now.gradient, len(out))
            moved = np.einsum("kij,kj->ki", inverse, slope)
            out += moved[:, :, None] * moved[:, None, :]
    return out


def describe_locations(domain: Domain, fit: Fit, correlation: Correlation) -> Location:
    """Uncertainty of every event's time, place and distance."""
    order = cable_order(domain.receivers)
    covariance = pick_covariance(fit, order, correlation)
    share = _UNEVEN_SHARE
    if domain.ground is None:
        share *= domain.config.velocity_error / _USUAL_ERROR
    length = domain.receivers.horizontal_aperture_km
    covariance = covariance + uneven_covariance(fit, order, share, length / (length + _ALIKE_KM))
    if domain.ground is None:  # else that of the estimated ground is added last
        covariance = covariance + velocity_covariance(fit, domain.config.velocity_error)
    return _located(fit.events.hypocentre, covariance, domain.receivers.xyz_km)


def widened(location: Location, hypocentre: F64, more: F64, receiver_km: F64) -> Location:
    """Add a covariance (events, 4, 4) to those of locations."""
    return _located(hypocentre, location.covariance + more, receiver_km)


def _located(hypocentre: F64, covariance: F64, receiver_km: F64) -> Location:
    distance, direction = _nearest_receiver(hypocentre[:, 1:], receiver_km)
    spread = np.einsum("ki,kij,kj->k", direction, covariance[:, 1:, 1:], direction)
    return Location(covariance, distance, np.sqrt(np.maximum(spread, 0.0)))


def _nearest_receiver(places_km: F64, receiver_km: F64) -> tuple[F64, F64]:
    """Distance to the nearest receiver (km) and the unit vector from it to the event."""
    distance = np.empty(len(places_km))
    direction = np.zeros((len(places_km), 3))
    for event, place in enumerate(places_km):
        offset = place - receiver_km
        square = np.einsum("ij,ij->i", offset, offset)
        nearest = int(square.argmin())
        distance[event] = np.sqrt(square[nearest])
        direction[event] = offset[nearest] / max(distance[event], 1e-9)
    return distance, direction


def log_odds(fit: Fit) -> F64:
    """Evidence that an event is one, and not picks that fell together by chance.

    The rise of the log likelihood owed to the event, times the volume of its location uncertainty over
    that of the search box (Laplace's approximation), with one event a minute expected.
    """
    pairs, now, events = fit.pairs, fit.expectation, fit.events
    without = np.maximum(1.0 - now.posterior, 1e-12)
    gain = np.bincount(pairs.event, -pairs.rows.weight * np.log(without), minlength=len(events))
    free = _free(pairs.rows)
    index = np.flatnonzero(free)
    sides = (pairs.rows.upper_km - pairs.rows.lower_km)[free[1:]]
    widths = np.concatenate([[_EVENT_INTERVAL_S], sides])
    part = pick_covariance(fit)[:, index[:, None], index]
    part = part * (2.0 * np.pi / np.outer(widths, widths))
    # A location no better known than the box gains nothing more from its volume.
    values = np.clip(np.linalg.eigvalsh(part), 1e-18, 1.0) if len(part) else np.ones((0, 1))
    return np.asarray(gain - events.count + 0.5 * np.log(values).sum(axis=1))


def ellipses(covariance: F64) -> tuple[F64, F64, F64]:
    """68 % horizontal ellipses: semi-axes (km) and azimuth of the major one (degrees from north, 0-180)."""
    if len(covariance) == 0:
        return np.empty(0), np.empty(0), np.empty(0)
    values, vectors = np.linalg.eigh(covariance[:, 1:3, 1:3])
    axes = np.sqrt(np.maximum(values, 0.0) * CHI_SQUARE_68)
    azimuth = np.rad2deg(np.arctan2(vectors[:, 0, 1], vectors[:, 1, 1])) % 180.0
    return axes[:, 1], axes[:, 0], azimuth


def azimuthal_gaps(event: I64, receiver: I64, hypocentre: F64, receiver_km: F64) -> F64:
    """Largest azimuth range (degrees) without a receiver that picked the event: (events,)."""
    offset = receiver_km[receiver, :2] - hypocentre[event, 1:3]
    azimuth = np.rad2deg(np.arctan2(offset[:, 0], offset[:, 1])) % 360.0
    order = np.lexsort((azimuth, event))
    event, azimuth = event[order], azimuth[order]
    gap = np.full(len(hypocentre), np.nan)
    if len(event) == 0:
        return gap
    first = np.flatnonzero(np.concatenate([[True], event[1:] != event[:-1]]))
    last = np.append(first[1:], len(event)) - 1
    step = np.concatenate([np.diff(azimuth), [0.0]])
    step[last] = azimuth[first] + 360.0 - azimuth[last]
    gap[event[first]] = np.maximum.reduceat(step, first)
    return gap
