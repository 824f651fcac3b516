"""The classes and flags of events in words, and an event in one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from phasenet_das.tables.columns import depth_known, located
from phasenet_das.text import coordinates, decimals, plus_minus

FLAG_MEANINGS: dict[str, str] = {
    "at-boundary": (
        "the location lies on the edge of the volume that was searched, so the true one may lie outside"
    ),  # in catalogs of earlier versions
    "azimuth-unconstrained": (
        "the receivers tell how far away the source is but not in which direction, "
        "so no longitude and latitude are given"
    ),
    "depth-unconstrained": "the receivers do not tell the depth",
    "distant": "the source is too far away for a position, so only its distance is given",
    "geometry-unknown": "the receivers have no coordinates: the whole array was taken for one point",
    "mirror-ambiguous": "the mirror image of this location across the cable fits the picks equally well",
    "velocity-assumed": "no velocity was stated and the picks do not tell it, so a common one was assumed",
}
CLASSES: Final = ("A", "B", "C", "D")


def quality_rules() -> dict[str, str]:
    """Return the rule of each class of events, A to D, as the associator states it."""
    import gamma

    return dict(getattr(gamma, "QUALITY_RULES", {}))


def count_classes(events: pd.DataFrame) -> str:
    """Count events by class in words, such as ``2 A, 1 D``; events of earlier versions have no class."""
    counts = events["quality"].value_counts()
    named = [f"{counts[name]:,} {name}" for name in CLASSES if name in counts.index]
    bare = len(events) - int(sum(counts.get(name, 0) for name in CLASSES))
    return ", ".join([*named, *([f"{bare:,} without a class"] if bare and named else [])])


def explain_flags(location_quality: str) -> list[str]:
    """Say in words what the flags of an event mean.

    Parameters
    ----------
    location_quality : str
        Flags joined by ``;``, as in the event table; empty for a location without reservations.

    Returns
    -------
    list of str
        One phrase per flag; a flag without an entry in ``FLAG_MEANINGS`` is given as it is.
    """
    flags = [flag.strip() for flag in location_quality.split(";") if flag.strip()]
    return [FLAG_MEANINGS.get(flag, flag) for flag in flags]


def describe_event(event: Mapping[str, Any]) -> str:
    """Put time, place and their uncertainties into one line of text.

    Parameters
    ----------
    event : mapping
        A row of the event table, as a Series or dict.

    Returns
    -------
    str
        For instance ``2016-03-21 07:37:11.9 UTC ± 1.4 s, 161 ± 9 km from the nearest channel``.
    """
    parts = [_time(event)]
    if located(event):
        parts.append(coordinates(event["longitude"], event["latitude"], event["horizontal_uncertainty_km"]))
        if math.isfinite(event["horizontal_uncertainty_km"]):
            parts[-1] += plus_minus(event["horizontal_uncertainty_km"], "km")
        if depth_known(event):
            parts.append(f"depth {_measure(event['depth_km'], event['depth_uncertainty_km'])}")
    if math.isfinite(event["source_distance_km"]):
        distance = _measure(event["source_distance_km"], event["source_distance_uncertainty_km"])
        parts.append(f"{distance} from the nearest channel")
    if not located(event) and math.isfinite(event.get("back_azimuth_deg", math.nan)):
        parts.append(f"towards {event['back_azimuth_deg']:.0f}° from north")
    return ", ".join(parts)


def _time(event: Mapping[str, Any]) -> str:
    digits = min(3, decimals(event["time_uncertainty_s"]))
    time = pd.Timestamp(event["time"]).round(f"{10 ** (9 - digits)}ns")
    text = f"{time:%Y-%m-%d %H:%M:%S.%f}"[: 19 + (digits + 1 if digits else 0)]
    return f"{text} UTC{plus_minus(event['time_uncertainty_s'], 's').removesuffix(' s')}" + (
        " s" if math.isfinite(event["time_uncertainty_s"]) else ""
    )


def _measure(value_km: float, uncertainty_km: float) -> str:
    return f"{value_km:.{decimals(uncertainty_km)}f}{plus_minus(uncertainty_km, 'km')}"
