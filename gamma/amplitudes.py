"""Magnitudes from peak ground velocity, and what amplitudes say about which pick belongs to which event.

Relation: log10 PGV[cm/s] = 1.08 + 0.93 (M - 3.5) - 1.68 log10 R[km] (Picozzi et al. 2018,
doi:10.1029/2018JB015757), with R the hypocentral distance; amplitudes are taken in m/s.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gamma.domain import Domain
from gamma.results import FittedEvents

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_OFFSET, _PER_MAGNITUDE, _REFERENCE, _DECAY, _CM_PER_M = 1.08, 0.93, 3.5, -1.68, 2.0
_SURE = 0.5
_MIN_SCATTER = 0.1
_PRIOR_SCATTER = 0.3
_PRIOR_NUMBER = 5.0
_MIN_DISTANCE_KM = 1.0


def log_amplitude(magnitude: F64, distance_km: F64) -> F64:
    """Give the log10 of peak ground velocity (m/s) to be expected."""
    value = _OFFSET + _PER_MAGNITUDE * (magnitude - _REFERENCE) + _DECAY * np.log10(distance_km) - _CM_PER_M
    return np.asarray(value)


def pick_magnitude(log10_amplitude: F64, distance_km: F64) -> F64:
    """Magnitude that one amplitude (log10 of m/s) means."""
    level = log10_amplitude + _CM_PER_M - _OFFSET - _DECAY * np.log10(distance_km)
    return np.asarray(_REFERENCE + level / _PER_MAGNITUDE)


def _pair_magnitudes(domain: Domain, fitted: FittedEvents, amplitude: F64) -> F64:
    """Magnitude that each pair's amplitude means; NaN without one."""
    receiver = domain.receivers.xyz_km[fitted.picks.receiver_phase[fitted.row] >> 1]
    distance = np.linalg.norm(fitted.events.hypocentre[fitted.event, 1:] - receiver, axis=1)
    amplitude = amplitude[fitted.picks.pick[fitted.row]]
    positive = np.where(amplitude > 0.0, amplitude, np.nan)
    return pick_magnitude(np.log10(positive), np.maximum(distance, _MIN_DISTANCE_KM))


def event_magnitudes(domain: Domain, fitted: FittedEvents, amplitude: F64) -> dict[str, F64]:
    """Median magnitude of each event's picks, and its standard error: columns of the event table."""
    values = _pair_magnitudes(domain, fitted, amplitude)
    good = np.isfinite(values) & (fitted.posterior >= _SURE)
    num_events = len(fitted.events)
    number = np.bincount(fitted.event[good], minlength=num_events)
    middle = _medians(values[good], fitted.event[good], number)
    away = np.abs(values[good] - middle[fitted.event[good]])
    spread = 1.4826 * _medians(away, fitted.event[good], number)
    pooled = np.sqrt(
        (number * np.nan_to_num(spread) ** 2 + _PRIOR_NUMBER * (_PRIOR_SCATTER / _PER_MAGNITUDE) ** 2)
        / (number + _PRIOR_NUMBER)
    )
    error = np.where(number > 0, 1.2533 * pooled / np.sqrt(np.maximum(number, 1)), np.nan)
    return {"magnitude": middle, "magnitude_uncertainty": error}


def _medians(values: F64, group: I64, number: I64) -> F64:
    """Median of each group; NaN for empty ones."""
    order = np.lexsort((values, group))
    first = np.cumsum(number) - number
    low = np.minimum(first + np.maximum(number - 1, 0) // 2, max(len(values) - 1, 0))
    high = np.minimum(first + number // 2, max(len(values) - 1, 0))
    if len(values) == 0:
        return np.full(len(number), np.nan)
    ranked = values[order]
    return np.where(number > 0, 0.5 * (ranked[low] + ranked[high]), np.nan)


def with_amplitudes(domain: Domain, fitted: FittedEvents, amplitude: F64) -> FittedEvents:
    """Weigh posteriors by how well each pick's amplitude fits the event's magnitude.

    Each pair's intensity is multiplied by the likelihood of its amplitude under the event over that under
    all picks of the record (Bayes' rule); picks without amplitude keep theirs.
    """
    values = _pair_magnitudes(domain, fitted, amplitude)
    magnitude = event_magnitudes(domain, fitted, amplitude)["magnitude"]
    away = (values - magnitude[fitted.event]) * _PER_MAGNITUDE
    sure = np.isfinite(away) & (fitted.posterior >= _SURE)
    if not sure.any():
        return fitted
    scatter = max(_MIN_SCATTER, float(np.sqrt(np.mean(np.clip(away[sure], -1.0, 1.0) ** 2))))
    level = np.log10(amplitude[amplitude > 0.0])
    width, centre = max(float(level.std()), scatter), float(level.mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        background = (np.log10(amplitude[fitted.picks.pick[fitted.row]]) - centre) / width
    gain = 0.5 * background**2 - 0.5 * (away / scatter) ** 2 + np.log(width / scatter)
    factor = np.exp(np.clip(np.where(np.isfinite(gain), gain, 0.0), -20.0, 20.0))
    pick = fitted.picks.pick[fitted.row]
    noise = 1.0 - fitted.picks.claimed(fitted.row, fitted.posterior)
    weighted = fitted.posterior * factor
    total = noise + np.bincount(pick, weighted, minlength=len(fitted.picks))
    return replace(fitted, posterior=weighted / np.maximum(total[pick], 1e-12))
