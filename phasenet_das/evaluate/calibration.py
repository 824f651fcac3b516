"""Calibrate scores against known arrivals, and check a calibration on others: the reliability diagram."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from phasenet_das.errors import TableError
from phasenet_das.evaluate.picks import TOLERANCE_S
from phasenet_das.matching import match_picks
from phasenet_das.models.calibration import PickCalibration, ScoreCurve

_ONE_SIGMA = 68.27  # per cent
_SMALLEST_BIN = 30
_DIGITS = 5  # of the curves in a file
_NEEDED = ("phase_probability", "phase_time_uncertainty_s")


def scored_residuals(
    picks: pd.DataFrame, truth: pd.DataFrame, tolerance_s: Mapping[str, float]
) -> pd.DataFrame:
    """Say of each pick whether it is right, and how far off.

    Parameters
    ----------
    tolerance_s : mapping of str to float
        Largest error of a right pick, by phase.

    Returns
    -------
    pandas.DataFrame
        A row for each pick of these phases, in its order: ``phase_type, phase_score, residual_s``; the
        latter is NaN for a wrong pick. Columns of a calibration are kept.
    """
    picks = picks.reset_index(drop=True)
    pairs = match_picks(picks, truth, tolerance_s)
    residual = np.full(len(picks), np.nan)
    residual[pairs["pick_row"].to_numpy()] = pairs["residual_s"].to_numpy()
    kept = ["phase_type", "phase_score", *(name for name in _NEEDED if name in picks.columns)]
    table = picks[kept].assign(residual_s=residual)
    return table[table["phase_type"].isin(list(tolerance_s))]


def fit_calibration(residuals: pd.DataFrame, *, max_points: int = 20, source: str = "") -> PickCalibration:
    """Measure what scores are worth.

    Picks are sorted by score into bins of equal number; shares of right picks are made to rise with the
    score, and errors in time to fall, by isotonic regression (Barlow et al. 1972; pool adjacent violators).

    Parameters
    ----------
    residuals : pandas.DataFrame
        ``phase_type, phase_score, residual_samples`` (NaN for wrong picks), with picks of low scores too.
    max_points : int
        Most points of a curve.
    source : str
        What the picks come from.

    Returns
    -------
    PickCalibration
        Phases with fewer than thirty picks, or no right one, are left out.
    """
    curves = {}
    for phase, group in residuals.groupby("phase_type", observed=True):
        number = min(max_points, len(group) // _SMALLEST_BIN)
        if number and group["residual_samples"].notna().any():
            curves[str(phase)] = _curve(group, number)
    return PickCalibration(curves, source)


def _curve(group: pd.DataFrame, number: int) -> ScoreCurve:
    from sklearn.isotonic import IsotonicRegression

    bins = _equal_bins(group["phase_score"].to_numpy(), number)
    residual = group["residual_samples"].abs().to_numpy()
    score = np.round([group["phase_score"].to_numpy()[rows].mean() for rows in bins], _DIGITS)
    right = np.array([np.isfinite(residual[rows]).mean() for rows in bins])
    error = np.array([_spread(residual[rows]) for rows in bins])
    known = np.isfinite(error)
    probability = IsotonicRegression(increasing=True).fit_transform(score, right)
    fit = IsotonicRegression(increasing=False, out_of_bounds="clip").fit(score[known], error[known])
    distinct = np.append(np.diff(score) > 0, True)
    columns = (score, probability, fit.predict(score))
    return ScoreCurve(*(tuple(np.round(column[distinct], _DIGITS).tolist()) for column in columns))


def _equal_bins(values: np.ndarray, number: int) -> list[np.ndarray]:
    return np.array_split(np.argsort(values, kind="stable"), number)


def _spread(residual: np.ndarray) -> float:
    """Half-width that holds 68 % of the errors of right picks; NaN without any."""
    right = residual[np.isfinite(residual)]
    return float(np.percentile(right, _ONE_SIGMA)) if len(right) else float("nan")


def reliability_table(
    picks: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    tolerance_s: Mapping[str, float] = TOLERANCE_S,
    num_bins: int = 10,
) -> pd.DataFrame:
    """Compare what calibrated picks state about themselves with what is true.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table with ``phase_probability`` and ``phase_time_uncertainty_s``.
    truth : pandas.DataFrame
        True picks, other ones than the calibration was measured on.
    tolerance_s : mapping of str to float
        Largest error of a right pick, by phase.
    num_bins : int
        Bins of equal number of picks.

    Returns
    -------
    pandas.DataFrame
        ``phase, quantity, stated, observed, num_picks``: quantity is ``probability`` (mean stated, share of
        right picks) or ``time_uncertainty_s`` (mean stated, 68 % of the errors of right picks).

    Raises
    ------
    TableError
        The picks come from a network that was not calibrated.
    """
    missing = [name for name in _NEEDED if name not in picks.columns]
    if missing:
        raise TableError(
            f"picks: no column {', '.join(missing)}. Expected picks of a network whose config.json holds a "
            "calibration."
        )
    rows = []
    for phase, group in scored_residuals(picks, truth, tolerance_s).groupby("phase_type", observed=True):
        residual = group["residual_s"].abs().to_numpy()
        for quantity, column in zip(("probability", "time_uncertainty_s"), _NEEDED, strict=True):
            stated = group[column].to_numpy(float)
            judged = np.flatnonzero(
                np.isfinite(stated) & ((quantity == "probability") | np.isfinite(residual))
            )
            if not len(judged):
                continue
            number = max(1, min(num_bins, len(judged) // _SMALLEST_BIN))
            for part in _equal_bins(stated[judged], number):
                inside = judged[part]
                found = (
                    np.isfinite(residual[inside]).mean()
                    if quantity == "probability"
                    else _spread(residual[inside])
                )
                rows.append((str(phase), quantity, stated[inside].mean(), found, len(inside)))
    return pd.DataFrame(rows, columns=["phase", "quantity", "stated", "observed", "num_picks"]).dropna()
