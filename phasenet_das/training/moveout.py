"""Labels refined along the cable: robust local fits of the moveout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from phasenet_das.errors import ConfigError
from phasenet_das.training.sample import Sample

__all__ = ["refine_arrivals", "refine_sample"]

_ROUNDS = 5
_MIN_PICKS = 4
_BISQUARE = 4.685  # of the residuals' standard deviation (Holland & Welsch 1977): 95 % efficient
_MAD_TO_STD = 1.4826


def refine_arrivals(
    times: np.ndarray, *, half_width: int, max_residual: float, min_scale: float = 0.5
) -> np.ndarray:
    """Replace picks along a cable by a robust local line through their neighbours.

    Each channel gets the value of a line fitted to the picks within `half_width` channels, with tricube
    weights by distance times bisquare weights by residual, renewed a few times (Cleveland 1979, locally
    weighted regression). Picks far from the line are dropped rather than moved.

    Parameters
    ----------
    times : numpy.ndarray, shape (channel,), float64
        Picks in samples; what is not finite is no pick.
    half_width : int
        Reach of the fit to each side, channels.
    max_residual : float
        Picks farther than this from the fit become NaN, samples.
    min_scale : float
        Residuals are not taken for smaller than this when outliers are sought, samples.

    Returns
    -------
    numpy.ndarray, shape (channel,), float64
        Refined picks; what is not finite is as it was. With fewer than 4 picks in reach a pick stays.

    Raises
    ------
    ConfigError
        `half_width` is less than 1.
    """
    if half_width < 1:
        raise ConfigError(f"half_width: found {half_width}, expected 1 channel or more.")
    has = np.isfinite(times)
    if not has.any():
        return times.copy()
    offset = np.arange(-half_width, half_width + 1)
    index = np.arange(len(times))[:, None] + offset
    inside = (index >= 0) & (index < len(times))
    index = np.clip(index, 0, len(times) - 1)
    near = inside & has[index]
    tricube = (1 - np.abs(offset / (half_width + 1)) ** 3) ** 3
    value = np.where(near, times[index], 0.0)
    trust = np.where(has, 1.0, 0.0)
    fit, residual = times, np.zeros(len(times))
    for _ in range(_ROUNDS):
        fit = _local_lines(value, np.where(near, tricube * trust[index], 0.0), offset)
        residual = np.abs(np.where(has & np.isfinite(fit), times - fit, np.inf))
        scale = max(_MAD_TO_STD * float(np.median(residual[has])), min_scale)
        trust = np.clip(1 - (residual / (_BISQUARE * scale)) ** 2, 0, 1) ** 2
    alone = near.sum(axis=1) < _MIN_PICKS
    refined = np.where(residual <= max_residual, fit, np.nan)
    return np.where(has & ~alone, refined, times)


def _local_lines(value: np.ndarray, weight: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Fit a weighted line in each row, and give its value at offset zero; NaN without any weight."""
    total = weight.sum(axis=1)
    safe = np.maximum(total, 1e-12)
    mean_x, mean_y = weight @ offset / safe, (weight * value).sum(axis=1) / safe
    dx = offset - mean_x[:, None]
    variance = (weight * dx**2).sum(axis=1)
    covariance = (weight * dx * (value - mean_y[:, None])).sum(axis=1)
    slope = np.divide(covariance, variance, out=np.zeros_like(variance), where=variance > 1e-6)
    return np.where(total > 1e-9, mean_y - slope * mean_x, np.nan)


def refine_sample(sample: Sample, *, half_width: int, max_residual_s: float) -> Sample:
    """Refine every event and phase of a sample.

    Parameters
    ----------
    sample : Sample
        With arrivals of single-channel picks.
    half_width : int
        Reach of the fit to each side, channels.
    max_residual_s : float
        Picks farther than this from the fit are dropped: nobody knows, rather than noise.

    Returns
    -------
    Sample
        Same data.
    """
    rows = sample.arrivals.reshape(-1, sample.arrivals.shape[2])
    limit = max_residual_s / sample.dt_s
    refined = [refine_arrivals(row, half_width=half_width, max_residual=limit) for row in rows]
    return replace(sample, arrivals=np.reshape(refined, sample.arrivals.shape))
