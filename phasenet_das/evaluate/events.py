"""Events against truth or a reference catalog: which are found, and how well they are placed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.errors import ConfigError
from phasenet_das.matching import event_places, geodesic_km, match_events, time_ns

_PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class EventEvaluation:
    """How well events meet those of a reference.

    Attributes
    ----------
    table : pandas.DataFrame
        A single row: ``num_events, num_reference, num_matched, precision, recall, f1`` with 95 % intervals
        ``*_low, *_high`` (Wilson 1927), ``completeness_magnitude`` (NaN when unknown).
    errors : pandas.DataFrame
        A row for each quantity that both catalogs know (``time_s, epicentre_km, depth_km,
        source_distance_km, magnitude``): ``quantity, num, median, mae, p05 ... p95``. Events less reference;
        the epicentre's is a distance.
    by_magnitude : pandas.DataFrame
        ``magnitude_low, magnitude_high, num_reference, num_matched, recall``; empty when unknown.
    pairs : pandas.DataFrame
        Matches: ``event_row, reference_row`` and the errors.
    """

    table: pd.DataFrame
    errors: pd.DataFrame
    by_magnitude: pd.DataFrame
    pairs: pd.DataFrame


def evaluate_events(
    events: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    time_tolerance_s: float = 3.0,
    distance_tolerance_km: float = 15.0,
    coverage: pd.DataFrame | None = None,
    magnitude_step: float = 0.5,
) -> EventEvaluation:
    """Hold an event table against the truth or a reference catalog.

    Parameters
    ----------
    events, reference : pandas.DataFrame
        As for :func:`match_events`; see :func:`phasenet_das.evaluate.read_reference`.
    time_tolerance_s, distance_tolerance_km : float
        Largest differences of a match.
    coverage : pandas.DataFrame, optional
        What was examined: reference events whose origin time lies outside every examined span do not count,
        nor do the events they match.
    magnitude_step : float
        Width of the magnitude bins.

    Returns
    -------
    EventEvaluation
        Scores, errors and pairs. The completeness magnitude is the lower edge of the lowest bin from which
        on at least nine tenths of the reference's events are found in every bin.

    Raises
    ------
    ConfigError
        A tolerance is not positive.
    TableError
        A table has no ``time``.
    """
    if not magnitude_step > 0:
        raise ConfigError(f"magnitude_step: found {magnitude_step}, expected a positive number.")
    pairs = match_events(
        events, reference, time_tolerance_s=time_tolerance_s, distance_tolerance_km=distance_tolerance_km
    )
    counted = examined_events(reference, coverage)
    ignored = ~counted[pairs["reference_row"].to_numpy()]
    num_events, num_reference = len(events) - int(ignored.sum()), int(counted.sum())
    pairs = pairs[~ignored].reset_index(drop=True)
    by_magnitude = _by_magnitude(reference, counted, pairs, magnitude_step)
    row = _ratios(len(pairs), num_events, num_reference)
    row["completeness_magnitude"] = _completeness(by_magnitude)
    return EventEvaluation(pd.DataFrame([row]), _error_table(pairs), by_magnitude, pairs)


def examined_events(events: pd.DataFrame, coverage: pd.DataFrame | None) -> np.ndarray:
    """Mark the events (event,) with an origin time in an examined span; all without a coverage table."""
    if coverage is None:
        return np.ones(len(events), bool)
    spans = coverage[coverage["status"] == "examined"]
    begin, end = (np.sort(time_ns(spans[name])) for name in ("start", "end"))
    moments = time_ns(events["time"])
    inside: np.ndarray = np.searchsorted(begin, moments, "right") > np.searchsorted(end, moments, "right")
    return inside


def _ratios(matched: int, num_events: int, num_reference: int) -> dict[str, Any]:
    row: dict[str, Any] = {"num_events": num_events, "num_reference": num_reference, "num_matched": matched}
    for name, total in (("precision", num_events), ("recall", num_reference)):
        row[name] = matched / total if total else np.nan
        row[f"{name}_low"], row[f"{name}_high"] = _wilson(matched, total)
    total = num_events + num_reference
    return row | {"f1": 2 * matched / total if total else np.nan}


def _wilson(count: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if not total:
        return np.nan, np.nan
    share = count / total
    middle = share + z**2 / (2 * total)
    half = z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return float((middle - half) / (1 + z**2 / total)), float((middle + half) / (1 + z**2 / total))


def _error_table(pairs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name in ("time_s", "epicentre_km", "depth_km", "source_distance_km", "magnitude"):
        values = pairs[name].dropna().to_numpy(np.float64)
        if not len(values):
            continue
        points = np.percentile(values, _PERCENTILES)
        rows.append(
            {"quantity": name, "num": len(values), "median": float(np.median(values))}
            | {"mae": float(np.abs(values).mean())}
            | {f"p{n:02d}": float(point) for n, point in zip(_PERCENTILES, points, strict=True)}
        )
    columns = ["quantity", "num", "median", "mae", *(f"p{n:02d}" for n in _PERCENTILES)]
    return pd.DataFrame(rows, columns=columns)


def _by_magnitude(
    reference: pd.DataFrame, counted: np.ndarray, pairs: pd.DataFrame, step: float
) -> pd.DataFrame:
    columns = ["magnitude_low", "magnitude_high", "num_reference", "num_matched", "recall"]
    magnitude = event_places(reference, "reference")["magnitude"].to_numpy()
    known = magnitude[counted & np.isfinite(magnitude)]
    if not len(known):
        return pd.DataFrame(columns=columns)
    edges = step * np.arange(np.floor(known.min() / step + 1e-9), np.floor(known.max() / step + 1e-9) + 2)
    found = magnitude[pairs["reference_row"].to_numpy()]
    # Magnitudes are stated to a hundredth: one that lies on an edge belongs above it.
    total, matched = (np.histogram(values + 1e-9, edges)[0] for values in (known, found[np.isfinite(found)]))
    recall = np.divide(matched, total, out=np.full(len(total), np.nan), where=total > 0)
    values = (edges[:-1], edges[1:], total, matched, recall)
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def _completeness(by_magnitude: pd.DataFrame) -> float:
    """Give the lowest bin from which on nine tenths are found; a bin without an event shows nothing."""
    recall = by_magnitude["recall"].to_numpy(np.float64)
    good, bad = np.flatnonzero(recall >= 0.9), np.flatnonzero(recall < 0.9)
    above = good[good > bad.max(initial=-1)]
    return float(by_magnitude["magnitude_low"].iloc[above[0]]) if len(above) else np.nan


def source_distance_km(truth: pd.DataFrame, events: pd.DataFrame, channels: pd.DataFrame) -> np.ndarray:
    """Give the distance between the source and the channel of each pick.

    Parameters
    ----------
    truth : pandas.DataFrame
        Pick table with ``event_index``.
    events : pandas.DataFrame
        Event table with those ``event_index``.

    Returns
    -------
    numpy.ndarray, shape (pick,), float64
        Hypocentral distance in km; NaN where a position is not known.
    """
    picks = truth[["station_id", "channel_index", "event_index"]].reset_index(drop=True)
    keys = ["station_id", "channel_index"]
    receivers = picks.merge(channels[[*keys, "longitude", "latitude", "elevation_m"]], on=keys, how="left")
    sources = picks.merge(
        events[["event_index", "longitude", "latitude", "depth_km"]], on="event_index", how="left"
    )
    across = geodesic_km(receivers, sources)
    return np.hypot(across, sources["depth_km"].to_numpy() + receivers["elevation_m"].to_numpy() / 1e3)
