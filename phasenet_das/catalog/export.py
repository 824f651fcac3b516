"""The catalog in the format of another program, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from gamma.errors import nearest_name
from phasenet_das.catalog.catalog_csv import write_catalog_csv
from phasenet_das.catalog.geojson import write_geojson
from phasenet_das.catalog.hypodd import (
    hypodd_locatable,
    write_hypodd,
    write_hypodd_dtcc,
    write_hypodd_stations,
)
from phasenet_das.catalog.hypoinverse import write_hypoinverse, write_hypoinverse_stations
from phasenet_das.catalog.nonlinloc import write_nonlinloc, write_nonlinloc_stations
from phasenet_das.catalog.nordic import write_nordic
from phasenet_das.catalog.obspy_events import write_quakeml
from phasenet_das.catalog.prepare import place_stations
from phasenet_das.errors import ConfigError
from phasenet_das.tables import write_table

EXPORT_FORMATS: Final = ("quakeml", "csv", "geojson", "nonlinloc", "hypodd", "hypoinverse", "nordic")

_WITH_PICKS: Final[dict[str, Callable[..., Path]]] = {
    "quakeml": write_quakeml,
    "nonlinloc": write_nonlinloc,
    "hypodd": write_hypodd,
    "hypoinverse": write_hypoinverse,
    "nordic": write_nordic,
}
_STATIONS: Final[dict[str, Callable[..., Path]]] = {
    "nonlinloc": write_nonlinloc_stations,
    "hypodd": write_hypodd_stations,
    "hypoinverse": write_hypoinverse_stations,
}


@dataclass(frozen=True)
class Exported:
    """What was written, and what the format could not hold.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    num_events : int
        Events in it.
    left_out : list of str
        ``event_id`` of events that the format cannot hold.
    """

    path: Path
    num_events: int
    left_out: list[str]


def export_catalog(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    path: str | Path,
    name: str = "quakeml",
    channels: pd.DataFrame | None = None,
    *,
    max_picks_per_phase: int = 50,
    network: str = "XX",
    metadata: Mapping[str, Any] | None = None,
) -> Exported:
    """Write a catalog in one of ``EXPORT_FORMATS``.

    Parameters
    ----------
    events, picks : pandas.DataFrame
        Event table, and picks with their ``event_index``.
    path : str or pathlib.Path
        The file to write.
    name : str, optional
        One of ``EXPORT_FORMATS``.
    channels : pandas.DataFrame, optional
        Channel table: gives positions, and keeps station codes the same whichever channels have picks.
    max_picks_per_phase : int, optional
        Most picks to keep for an event and phase on one cable (:func:`phasenet_das.catalog.thin_picks`).
    network : str, optional
        Network code of the cables.
    metadata : mapping, optional
        Provenance, where the format holds it.

    Returns
    -------
    Exported
        The file, and the events it does not hold: hypoDD needs a hypocentre, Nordic an epicentre.

    Raises
    ------
    ConfigError
        There is no such format.
    TableError, ChannelGeometryError
        As in :func:`phasenet_das.catalog.to_obspy`.
    """
    _check_name(name, EXPORT_FORMATS)
    facts = dict(metadata or {})
    if name == "csv":
        written = write_catalog_csv(events, path, facts)
    elif name == "geojson":
        written = write_geojson(events, path, channels, facts)
    else:
        more = {"method_id": facts.get("weights_id")} if name == "quakeml" else {}
        written = _WITH_PICKS[name](
            events, picks, path, channels, max_picks_per_phase=max_picks_per_phase, network=network, **more
        )
    held = pd.Series(data=True, index=events.index)
    if name == "hypodd":
        held = hypodd_locatable(events)
    elif name == "nordic":
        held = events[["longitude", "latitude"]].notna().all(axis=1)
    return Exported(written, int(held.sum()), events.loc[~held, "event_id"].astype(str).tolist())


def export_stations(channels: pd.DataFrame, path: str | Path, name: str, network: str = "XX") -> Path:
    """Write the receivers as the program of a format reads them.

    Parameters
    ----------
    channels : pandas.DataFrame
        Channel table.
    path : str or pathlib.Path
        The file to write.
    name : str
        ``nonlinloc``, ``hypodd`` or ``hypoinverse``; for any other of ``EXPORT_FORMATS`` a CSV table of
        receivers, positions and codes.
    network : str, optional
        Network code of the cables.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    ConfigError
        There is no such format.
    ChannelGeometryError
        No receiver has coordinates.
    """
    _check_name(name, EXPORT_FORMATS)
    if name in _STATIONS:
        return _STATIONS[name](channels, path, network)
    return write_table(place_stations(channels, network), path)


def export_differential_times(
    sources: Iterable[Any],
    events: pd.DataFrame,
    picks: pd.DataFrame,
    path: str | Path,
    channels: pd.DataFrame | None = None,
    *,
    bandpass_hz: tuple[float, float] = (1.0, 15.0),
    window_s: tuple[float, float] = (0.5, 1.5),
    max_lag_s: float = 0.5,
    min_correlation: float = 0.7,
    max_picks_per_phase: int = 50,
    network: str = "XX",
) -> Path:
    """Cross-correlate the picks of events channel by channel and write hypoDD's ``dt.cc``.

    Parameters
    ----------
    sources : iterable
        Recordings that the picks were made on; see :func:`phasenet_das.io.read`.
    events, picks : pandas.DataFrame
        Event table, and picks with their ``event_index``.
    path : str or pathlib.Path
        The file to write.
    channels : pandas.DataFrame, optional
        Channel table.
    bandpass_hz : tuple of float, optional
        Band of the waveforms, Hz.
    window_s : tuple of float, optional
        Span before and after a pick, s.
    max_lag_s : float, optional
        Largest move of a waveform, s.
    min_correlation : float, optional
        Smallest coefficient of a pair that is kept.
    max_picks_per_phase, network
        As in :func:`export_catalog`.

    Returns
    -------
    pathlib.Path
        The file written (:func:`phasenet_das.catalog.write_hypodd_dtcc`).

    Raises
    ------
    ConfigError
        A setting makes no sense, or the recordings differ in sampling rate.
    """
    from phasenet_das.evaluate import CorrelationWindow, compare_differential_times

    window = CorrelationWindow(window_s[0], window_s[1], max_lag_s, bandpass_hz)
    pairs = compare_differential_times(
        sources, picks, window, between="events", min_correlation=min_correlation
    )
    return write_hypodd_dtcc(
        pairs, events, path, channels, max_picks_per_phase=max_picks_per_phase, network=network
    )


def _check_name(name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ConfigError(f"format '{name}': expected {', '.join(known)}.{nearest_name(name, known)}")
