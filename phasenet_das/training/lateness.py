"""How late faint picks are, as the picks themselves tell it."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from phasenet_das.training.moveout import fit_moveout, mean_nearby

log = logging.getLogger(__name__)

_FRONT = ["phase_type", "event_index"]
_FEWEST_PICKS, _FEWEST_FRONTS = 200, 10  # of a phase, from which its lateness can be told


def without_lateness(table: pd.DataFrame, *, half_width: int, sigma_s: float) -> np.ndarray:
    """Give the times of picks without the lateness that their scores tell.

    Noise hides the onset of a wave, so picks of low scores are late. On a front they lie beside picks of high
    scores. There, the slope of the times over the scores is the lateness. It is taken as proportional to one
    minus the score, and as the same on all fronts of a phase. The slope is shrunk by its standard error. For
    it, a front is one observation (Liang & Zeger 1986), because neighbours share their errors. Picks that are
    early, and those of few fronts, stay as they are.

    Parameters
    ----------
    table : pandas.DataFrame
        Picks of one cable: ``row`` (place along the cable), ``seconds``, ``phase_type``, ``phase_score``,
        ``event_index``. A front is an event and a phase.
    half_width : int
        Picks within so many places are neighbours.
    sigma_s : float
        Largest lateness, s. Picks three times as far from their front tell nothing.

    Returns
    -------
    numpy.ndarray, shape (pick,), float64
        Seconds.
    """
    score, seconds = (table[name].to_numpy(np.float64) for name in ("phase_score", "seconds"))
    best = table.sort_values([*_FRONT, "row", "phase_score", "seconds"])
    best = best.drop_duplicates([*_FRONT, "row"], keep="last", ignore_index=True)
    late, faint = np.zeros((2, len(best)))
    for mine in best.groupby(_FRONT, sort=True).indices.values():
        late[mine], faint[mine] = _beside_neighbours(best.iloc[mine], half_width, sigma_s)
    sums = best[_FRONT].assign(power=faint**2, product=faint * late, picks=faint != 0)
    sums = sums.groupby(_FRONT, sort=True).sum()
    lateness = sums.groupby(level="phase_type").apply(_slope).clip(0.0, sigma_s)
    for phase, late_s in lateness[lateness > 0].items():
        log.info("%s picks of score 0.5 are late by %.3f s, which the labels are not", phase, 0.5 * late_s)
    return seconds - lateness.reindex(table["phase_type"]).to_numpy(np.float64) * (1.0 - score)


def _beside_neighbours(front: pd.DataFrame, half_width: int, sigma_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Measure how much later and how much fainter each pick (pick,) of a front is than its neighbours."""
    place = front["row"].to_numpy(np.int64) - int(front["row"].min())
    times, scores = np.full((2, int(place.max()) + 1), np.nan)
    times[place], scores[place] = front["seconds"], front["phase_score"]
    off = times - fit_moveout(times, half_width=half_width, max_residual=3.0 * sigma_s).time
    near = np.abs(off) <= 3.0 * sigma_s
    late, bright = (
        np.where(near, value - mean_nearby(np.where(near, value, np.nan), half_width), 0.0)
        for value in (off, scores)
    )
    return late[place], -bright[place]


def _slope(fronts: pd.DataFrame) -> float:
    """Slope of lateness over faintness, from the sums of each front, shrunk by its standard error."""
    power, number = fronts["power"].sum(), int((fronts["power"] > 0).sum())
    if number < _FEWEST_FRONTS or fronts["picks"].sum() < _FEWEST_PICKS:
        return 0.0
    slope = fronts["product"].sum() / power
    misfit = np.square(fronts["product"] - slope * fronts["power"]).sum()
    variance = number / (number - 1) * misfit / power**2
    return float(slope * max(0.0, 1.0 - variance / max(slope**2, 1e-12)))
