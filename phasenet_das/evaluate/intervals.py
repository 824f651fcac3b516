"""Confidence intervals by resampling whole events, for picks of one event err together along a cable."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_BLOCK = 4_000_000


def bootstrap_ratios(
    numerator: np.ndarray, denominator: np.ndarray, *, num_draws: int, seed: int
) -> np.ndarray:
    """Draw ratios of sums over units, the units drawn anew with replacement (Efron 1979).

    All ratios of a draw rest on the same units, so that they may be combined draw by draw.

    `numerator` and `denominator` (ratio, unit) float64. Returns (draw, ratio) float64.
    """
    parts = [
        _ratio(weights @ numerator.T, weights @ denominator.T)
        for weights in _weights(numerator.shape[1], num_draws, seed)
    ]
    return np.concatenate(parts) if parts else np.empty((0, len(numerator)))


def _weights(num_units: int, num_draws: int, seed: int) -> Iterator[np.ndarray]:
    """How often each unit is drawn, some draws at a time."""
    rng = np.random.default_rng(seed)
    share = np.full(num_units, 1.0 / max(num_units, 1))
    step = max(1, _BLOCK // max(num_units, 1))
    for first in range(0, num_draws if num_units else 0, step):
        yield rng.multinomial(num_units, share, size=min(step, num_draws - first)).astype(np.float64)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def interval(draws: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Give the percentile interval of draws.

    `draws` (draw, ...). Returns (...).
    """
    shape = draws.shape[1:]
    ends = np.full((2, *shape), np.nan)
    known = np.isfinite(draws).any(axis=0) if len(draws) else np.zeros(shape, bool)
    ends[:, known] = np.nanquantile(draws[:, known], [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return ends[0], ends[1]
