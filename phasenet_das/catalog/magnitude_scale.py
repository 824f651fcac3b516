"""Magnitude scales: those calibrated on a cable, and those of papers, which have a name.

All are of the form of Yin et al. (2023, doi:10.1029/2023GL103045), for P and S apart:

    log10 E = a M + b log10 D + K

with the peak strain rate E in 1/s, the hypocentral distance D in km, and a site term K for each channel.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from gamma.errors import nearest_name
from phasenet_das.errors import ConfigError, TableError
from phasenet_das.tables import atomic_path

# a, b, and the mean K of each published cable, in log10 of microstrain per second: so say the axes of the
# figures in the authors' code. No K of P was published for Sanriku, a cable on the sea floor.
_PUBLISHED: Final[dict[str, dict[str, tuple[float, float, dict[str, float]]]]] = {
    "yin2023": {
        "P": (0.437, -1.269, {"Ridgecrest": 0.401, "Long Valley N": 0.574, "Long Valley S": 0.250}),
        "S": (
            0.690,
            -1.588,
            {"Ridgecrest": 0.299, "Long Valley N": 0.449, "Long Valley S": 0.459, "Sanriku": -0.374},
        ),
    }
}
_MICRO_LOG10: Final = -6
_TABLES: Final = ("coefficients", "sites", "residuals")
_NUMBERS_OF_RESIDUALS: Final = ("reference_magnitude", "magnitude", "residual")


@dataclass(frozen=True)
class MagnitudeScale:
    """A calibrated magnitude scale of one or several cables.

    Attributes
    ----------
    coefficients : pandas.DataFrame
        A row for each phase: ``phase_type, magnitude_slope`` (a), ``distance_slope`` (b), ``num_picks``. A
        column ``site_log10`` holds K of the channels that have no site term of their own; without it such
        channels are not used.
    sites : pandas.DataFrame
        ``station_id, channel_index, phase_type, site_log10`` (K) and ``num_events`` behind it.
    residuals : pandas.DataFrame
        ``event_id, reference_magnitude, magnitude, residual`` of the events of the calibration, each
        estimated by a scale that was fitted without it.
    uncertainty : float
        Root mean square of these residuals: the standard error of a magnitude; NaN with a single event.
    magnitude_type : str or None
        Type of the reference's magnitudes, which the scale reproduces.
    amplitudes : str
        The amplitudes of the calibration: "records" (of :func:`measure_amplitudes`) or "picks" (of the pick
        table); "any" for a scale of a paper.
    """

    coefficients: pd.DataFrame
    sites: pd.DataFrame
    residuals: pd.DataFrame
    uncertainty: float
    magnitude_type: str | None = None
    amplitudes: str = "picks"

    def slopes(self) -> dict[str, tuple[float, float]]:
        """Return a and b of each phase."""
        rows = self.coefficients[["phase_type", "magnitude_slope", "distance_slope"]].to_numpy()
        return {str(phase): (float(a), float(b)) for phase, a, b in rows}

    def write(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> Path:
        """Write the scale as JSON.

        Parameters
        ----------
        path : str or pathlib.Path
            The file to write; :func:`read_magnitude_scale` reads it.
        """
        tables = {name: _without_nan(getattr(self, name)) for name in _TABLES}
        uncertainty = self.uncertainty if np.isfinite(self.uncertainty) else None
        facts = {} if metadata is None else {"metadata": dict(metadata)}
        own = {
            "uncertainty": uncertainty,
            "magnitude_type": self.magnitude_type,
            "amplitudes": self.amplitudes,
        }
        text = json.dumps({**tables, **own, **facts}, indent=1, allow_nan=False)
        with atomic_path(path) as temporary:
            temporary.write_text(text + "\n")
        return Path(path)


def read_magnitude_scale(path: str | Path) -> MagnitudeScale:
    """Read a scale that :meth:`MagnitudeScale.write` wrote, or take the named scale.

    Parameters
    ----------
    path : str or pathlib.Path
        The file, or ``yin2023`` where there is no file of this name.

    Raises
    ------
    TableError
        The file is not a magnitude scale.
    """
    path = Path(path)
    if is_named_scale(path):
        return named_scale(path.name)
    try:
        content = json.loads(path.read_text())
        tables = [pd.DataFrame(content[name]) for name in _TABLES]
        tables[2] = tables[2].astype(dict.fromkeys(_NUMBERS_OF_RESIDUALS, "float64"))
        uncertainty, magnitude_type = content["uncertainty"], content["magnitude_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(
            f"{path}: not a magnitude scale ({error}). Write one with MagnitudeScale.write."
        ) from error
    return MagnitudeScale(
        coefficients=tables[0],
        sites=tables[1],
        residuals=tables[2],
        uncertainty=np.nan if uncertainty is None else float(uncertainty),
        magnitude_type=magnitude_type,
        amplitudes=content.get("amplitudes", "picks"),
    )


def _without_nan(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Give the columns of a table; unknown numbers are None, for which JSON has a word."""
    known = table.astype(object).where(table.notna(), None)
    return {str(name): known[name].tolist() for name in known.columns}


def is_named_scale(path: str | Path) -> bool:
    """Whether this names the scale of a paper, not a file. Settings put their folder before it."""
    return Path(path).name in _PUBLISHED and not Path(path).exists()


def named_scale(name: str) -> MagnitudeScale:
    """Return the scale of a paper, for channels whose site terms are not known.

    K is the mean of the published cables. The uncertainty is the magnitude between the two cables that differ
    most. The magnitudes of the paper are those of regional catalogs, so their type is not known.

    Parameters
    ----------
    name : str
        ``yin2023``: Yin et al. (2023, doi:10.1029/2023GL103045).

    Raises
    ------
    ConfigError
        There is no scale of this name.
    """
    if name not in _PUBLISHED:
        raise ConfigError(f"scale '{name}': no such scale.{nearest_name(name, _PUBLISHED)}")
    phases = _PUBLISHED[name]
    rows = [
        (phase, a, b, 0, float(np.mean([*sites.values()])) + _MICRO_LOG10)
        for phase, (a, b, sites) in phases.items()
    ]
    columns = ["phase_type", "magnitude_slope", "distance_slope", "num_picks", "site_log10"]
    kinds = {"station_id": "str", "channel_index": "int64", "phase_type": "str", "site_log10": "float64"}
    return MagnitudeScale(
        coefficients=pd.DataFrame(rows, columns=columns),
        sites=pd.DataFrame({column: pd.Series([], dtype=kind) for column, kind in kinds.items()}),
        residuals=pd.DataFrame(columns=["event_id", "reference_magnitude", "magnitude", "residual"]),
        uncertainty=float(max(np.ptp([*sites.values()]) / a for a, _, sites in phases.values())),
        amplitudes="any",
    )
