"""Evidence for each event, and how well its time and place are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gamma.locate import normal_equations
from gamma.mixture import DEGREES_OF_FREEDOM, Components, Fit, Problem

__all__ = ["Location", "describe_locations", "log_odds"]

F64 = npt.NDArray[np.float64]

_HORIZONTAL_68 = -2.0 * np.log(1.0 - 0.6827)  # chi-square of two degrees of freedom
_EVENT_RATE_S = 1.0 / 60.0


@dataclass(frozen=True)
class Location:
    """Uncertainties of all events.

    Attributes
    ----------
    covariance : numpy.ndarray, shape (events, 4, 4)
        Of origin time (s), x, y, z (km), from picks and from the velocity; zero for fixed parameters.
    distance_km, distance_uncertainty_km : numpy.ndarray, shape (events,)
        From the event to the nearest receiver.
    """

    covariance: F64
    distance_km: F64
    distance_uncertainty_km: F64


def _free(problem: Problem) -> npt.NDArray[np.bool_]:
    return np.concatenate([[True], problem.upper_km > problem.lower_km])


def _inverse(hessian: F64, free: npt.NDArray[np.bool_]) -> F64:
    """Invert the free part of each matrix, zero elsewhere."""
    index = np.flatnonzero(free)
    part = hessian[:, index[:, None], index]
    trace = np.einsum("kii->k", part)[:, None, None]
    inverse = np.linalg.pinv(part + 1e-12 * trace * np.eye(len(index)), hermitian=True)
    out = np.zeros_like(hessian)
    out[:, index[:, None], index] = inverse
    return out


def pick_covariance(problem: Problem, fit: Fit) -> tuple[F64, F64, F64]:
    """Covariance of locations from pick errors, with the weights used and their row sums.

    Returns
    -------
    covariance : numpy.ndarray, shape (events, 4, 4)
    weight : numpy.ndarray, shape (pairs,)
        Weights of the location (1/s^2).
    hessian : numpy.ndarray, shape (events, 4, 4)
    """
    pairs, now = fit.pairs, fit.expectation
    group = problem.slot_group[problem.slot[pairs.pick]]
    sigma = fit.components.sigma_s[pairs.event, group]
    weight = problem.weight[pairs.pick] * now.posterior * now.robust / sigma**2
    hessian, _ = normal_equations(pairs.event, weight, now.residual_s, now.gradient, len(fit.components))
    # Fisher information of a t location is (nu + 1) / (nu + 3) / sigma^2, the mean of the robust weight.
    scale = (DEGREES_OF_FREEDOM + 1.0) / (DEGREES_OF_FREEDOM + 3.0)
    information = hessian * scale
    return _inverse(information, _free(problem)), weight, hessian


def velocity_covariance(problem: Problem, fit: Fit, weight: F64, hessian: F64, relative: float) -> F64:
    """Covariance of locations from independent relative errors of vp and of vp/vs."""
    pairs, now = fit.pairs, fit.expectation
    time = problem.time_s[pairs.pick] - fit.components.theta[pairs.event, 0] - now.residual_s
    shear = (problem.slot[pairs.pick] & 1) == 1
    inverse = _inverse(hessian, _free(problem))
    out = np.zeros_like(hessian)
    for change in (-time, np.where(shear, time, 0.0)):
        _, slope = normal_equations(pairs.event, weight, -change, now.gradient, len(fit.components))
        moved = np.einsum("kij,kj->ki", inverse, slope) * relative
        out += moved[:, :, None] * moved[:, None, :]
    return out


def describe_locations(problem: Problem, fit: Fit, receiver_km: F64, relative_velocity: float) -> Location:
    """Uncertainty of every event's time, place and distance.

    Parameters
    ----------
    problem : Problem
    fit : Fit
    receiver_km : numpy.ndarray, shape (receivers, 3)
    relative_velocity : float
        Relative standard error of vp and of vp/vs.

    Returns
    -------
    Location
    """
    covariance, weight, hessian = pick_covariance(problem, fit)
    covariance = covariance + velocity_covariance(problem, fit, weight, hessian, relative_velocity)
    distance, direction = nearest_receiver(fit.components, receiver_km)
    spread = np.einsum("ki,kij,kj->k", direction, covariance[:, 1:, 1:], direction)
    return Location(covariance, distance, np.sqrt(np.maximum(spread, 0.0)))


def nearest_receiver(components: Components, receiver_km: F64) -> tuple[F64, F64]:
    """Distance to the nearest receiver (km) and the unit vector from it to the event."""
    distance = np.empty(len(components))
    direction = np.zeros((len(components), 3))
    for event, place in enumerate(components.theta[:, 1:]):
        offset = place - receiver_km
        square = np.einsum("ij,ij->i", offset, offset)
        nearest = int(square.argmin())
        distance[event] = np.sqrt(square[nearest])
        direction[event] = offset[nearest] / max(distance[event], 1e-9)
    return distance, direction


def log_odds(problem: Problem, fit: Fit) -> F64:
    """Evidence that an event is one, and not picks that fell together by chance.

    The rise of the log likelihood owed to the event, times the volume of its location uncertainty over
    that of the search box (Laplace's approximation), with one event a minute expected.

    Returns
    -------
    numpy.ndarray, shape (events,)
        Log odds in nat.
    """
    pairs, now, components = fit.pairs, fit.expectation, fit.components
    without = np.maximum(1.0 - now.posterior, 1e-12)
    gain = np.bincount(pairs.event, -problem.weight[pairs.pick] * np.log(without), minlength=len(components))
    free = _free(problem)
    index = np.flatnonzero(free)
    covariance, _, _ = pick_covariance(problem, fit)
    sides = (problem.upper_km - problem.lower_km)[free[1:]]
    widths = np.concatenate([[1.0 / _EVENT_RATE_S], sides])
    part = covariance[:, index[:, None], index] * (2.0 * np.pi / np.outer(widths, widths))
    _, logdet = np.linalg.slogdet(part + 1e-18 * np.eye(len(index)))
    return np.asarray(gain - components.count + 0.5 * np.minimum(logdet, 0.0))
