"""Which events to trust: the classes A to D, by one stated rule."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

MOST_UNCERTAIN_KM = 15.0
"""A position less certain than this is none: class D."""

QUALITY_RULES: dict[str, str] = {
    "A": "The horizontal uncertainty is at most 2.5 km and a quarter of the distance. There is one place, "
    "not two mirror images. The receivers span at least 60° as seen from the event (gap at most 300°). P and "
    "S are both picked, residuals are at most 1.5 pick uncertainties (rms), and the velocity is not assumed.",
    "B": "The horizontal uncertainty is at most 5 km and half of the distance. P and S are both picked, and "
    "residuals are at most 2.5 pick uncertainties (rms).",
    "C": "The horizontal uncertainty is at most 15 km and the distance itself.",
    "D": "The event has no position (distant, or the direction is unknown), or its position is less certain.",
}
"""Class of an event: the first whose rule it meets."""


def quality_classes(events: pd.DataFrame, pick_uncertainty_s: float) -> npt.NDArray[np.object_]:
    """Give the class of each event (events,) from the columns of the event table."""
    spread, distance = (
        events[name].to_numpy(np.float64) for name in ("horizontal_uncertainty_km", "source_distance_km")
    )
    rms, gap = (events[name].to_numpy(np.float64) for name in ("residual_rms_s", "azimuthal_gap_deg"))
    flags = events["location_quality"].astype(str)
    both = (events[["num_p_picks", "num_s_picks"]].to_numpy() > 0).all(axis=1)
    doubtful = flags.str.contains("mirror-ambiguous|velocity-assumed").to_numpy(bool)
    placed = (
        np.isfinite(events["x_km"].to_numpy(np.float64)) if "x_km" in events else np.zeros(len(rms), bool)
    )
    within = {
        name: placed & (spread <= np.minimum(most_km, share * distance))
        for name, most_km, share in (("A", 2.5, 0.25), ("B", 5.0, 0.5), ("C", MOST_UNCERTAIN_KM, 1.0))
    }
    within["A"] &= ~doubtful & both & (gap <= 300.0) & (rms <= 1.5 * pick_uncertainty_s)
    within["B"] &= both & (rms <= 2.5 * pick_uncertainty_s)
    return np.asarray(np.select(list(within.values()), list(within), "D"), dtype=object)
