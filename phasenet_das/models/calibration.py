"""What a score is worth: the share of right picks and their error in time, by phase and score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from phasenet_das.errors import WeightsError


@dataclass(frozen=True)
class ScoreCurve:
    """Reliability of the picks of one phase over their score; straight lines between the points.

    Attributes
    ----------
    score : tuple of float
        Scores, increasing.
    probability : tuple of float
        Share of right picks at each score, not decreasing.
    time_uncertainty_samples : tuple of float
        Half-width, in samples of the network's time axis, that holds 68 % of the errors of right picks;
        not increasing.
    """

    score: tuple[float, ...]
    probability: tuple[float, ...]
    time_uncertainty_samples: tuple[float, ...]


@dataclass(frozen=True)
class PickCalibration:
    """Curves of P and S.

    Attributes
    ----------
    curves : dict of str to ScoreCurve
        By phase.
    source : str
        What it was measured on.
    """

    curves: Mapping[str, ScoreCurve]
    source: str = ""

    def apply(self, phase: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the reliability of picks.

        Parameters
        ----------
        phase : numpy.ndarray, shape (pick,), str
            ``P`` or ``S``.
        score : numpy.ndarray, shape (pick,), float
            Scores of the network.

        Returns
        -------
        probability, time_uncertainty_samples : numpy.ndarray, shape (pick,), float32
            NaN for a phase that was not calibrated.
        """
        probability, uncertainty = np.full((2, len(score)), np.nan, np.float32)
        for name, curve in self.curves.items():
            mine = phase == name
            probability[mine] = np.interp(score[mine], curve.score, curve.probability)
            uncertainty[mine] = np.interp(score[mine], curve.score, curve.time_uncertainty_samples)
        return probability, uncertainty

    def to_json(self) -> dict[str, Any]:
        """Give what ``config.json`` keeps."""
        return {
            "source": self.source,
            "curves": {
                phase: {name: list(values) for name, values in vars(curve).items()}
                for phase, curve in self.curves.items()
            },
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str) -> PickCalibration:
        """Read what ``config.json`` keeps.

        Parameters
        ----------
        values : mapping
            As :meth:`to_json` gives it.
        where : str
            Name of the file, for messages.

        Raises
        ------
        WeightsError
            A curve lacks points, or its points are out of order.
        """
        try:
            curves = {
                phase: ScoreCurve(**{name: tuple(map(float, row)) for name, row in curve.items()})
                for phase, curve in values["curves"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WeightsError(
                f"{where}: the calibration cannot be read ({error!r}). Measure it anew."
            ) from error
        for phase, curve in curves.items():
            lengths = {len(row) for row in vars(curve).values()}
            if len(lengths) != 1 or not curve.score or np.any(np.diff(curve.score) <= 0):
                raise WeightsError(
                    f"{where}: calibration of {phase}: expected as many probabilities and uncertainties as "
                    f"scores, and increasing scores. Found {curve}."
                )
        return cls(curves, str(values.get("source", "")))
