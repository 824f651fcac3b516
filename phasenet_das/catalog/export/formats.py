"""The catalog in the format of another program, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from gamma.errors import nearest_name
from phasenet_das.catalog.export.catalog_csv import write_catalog_csv
from phasenet_das.catalog.export.columns import Misfits
from phasenet_das.catalog.export.common import RECEIVER, PreparedCatalog, prepare_catalog
from phasenet_das.catalog.export.geojson import write_geojson
from phasenet_das.catalog.export.hypodd import (
    HYPOCENTRE,
    choose_pairs,
    without_hypocentre,
    write_hypodd,
    write_hypodd_dtcc,
    write_hypodd_stations,
)
from phasenet_das.catalog.export.hypoinverse import write_hypoinverse, write_hypoinverse_stations
from phasenet_das.catalog.export.nonlinloc import write_nonlinloc, write_nonlinloc_stations
from phasenet_das.catalog.export.nordic import EPICENTRE, write_nordic
from phasenet_das.catalog.export.quakeml import write_quakeml
from phasenet_das.catalog.export.thinning import MAX_PICKS_PER_PHASE
from phasenet_das.errors import ConfigError
from phasenet_das.tables import atomic_path, empty_picks, write_table
from phasenet_das.tables.codes import place_stations


class _Format(NamedTuple):
    write: Callable[[PreparedCatalog, Path], Path]
    write_stations: Callable[[pd.DataFrame, Path], Path] = write_table
    needs: tuple[str, ...] = ()  # columns without which an event cannot be written
    has_codes: bool = True  # whether picks are of station codes
    has_numbers: bool = False  # whether an event has a number in place of its name


_FORMATS: Final = {
    "quakeml": _Format(write_quakeml),
    "csv": _Format(write_catalog_csv, has_codes=False),
    "geojson": _Format(write_geojson, has_codes=False),
    "nonlinloc": _Format(write_nonlinloc, write_nonlinloc_stations),
    "hypodd": _Format(write_hypodd, write_hypodd_stations, HYPOCENTRE, has_numbers=True),
    "hypoinverse": _Format(write_hypoinverse, write_hypoinverse_stations, has_numbers=True),
    "nordic": _Format(write_nordic, needs=EPICENTRE),
}
EXPORT_FORMATS: Final = tuple(_FORMATS)


@dataclass(frozen=True)
class Exported:
    """The file that an export has written, and the events that its format cannot hold.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    num_events : int
        Events in it.
    left_out : list of str
        ``event_id`` of events that the format cannot hold.
    misfits : Misfits
        Values that its columns cannot hold, counted by name, and picks that are left out.
    num_times : int
        Differential times in it, if it is one of ``dt.cc``.
    """

    path: Path
    num_events: int
    left_out: list[str]
    misfits: Misfits = field(default_factory=Misfits)
    num_times: int = 0


def export_catalog(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    path: str | Path,
    name: str = "quakeml",
    channels: pd.DataFrame | None = None,
    *,
    max_picks_per_phase: int = MAX_PICKS_PER_PHASE,
    network: str = "XX",
    metadata: Mapping[str, Any] | None = None,
) -> Exported:
    """Write a catalog in one of ``EXPORT_FORMATS``, whole or not at all.

    Equal arguments give equal bytes.

    Parameters
    ----------
    events, picks : pandas.DataFrame
        Event table, and picks with their ``event_index``.
    name : str, optional
        One of ``EXPORT_FORMATS``.
    channels : pandas.DataFrame, optional
        Channel table: gives positions, and keeps station codes the same whichever channels have picks.
    max_picks_per_phase : int, optional
        Most picks to keep for an event and phase on one cable (:func:`phasenet_das.catalog.thin_picks`).
    network : str, optional
        Network code of the cables (:func:`phasenet_das.tables.station_codes`); HYPOINVERSE holds two
        characters.
    metadata : mapping, optional
        Provenance, where the format holds it.

    Returns
    -------
    Exported
        The file, and the events it does not hold: hypoDD needs a hypocentre, Nordic an epicentre. Beside a
        file with station codes, ``NAME.codes.csv`` lists the cable and channel of each code. Beside one with
        numbers of events, ``NAME.events.csv`` lists the ``event_id`` and the magnitude of each number.

    Raises
    ------
    ConfigError
        There is no such format, or `max_picks_per_phase` is not positive.
    TableError
        A table lacks a column or holds a value that does not fit, or an ``event_id`` is repeated.
    ChannelGeometryError
        A receiver has no station code, or the format cannot hold the network code.
    """
    kind = _format(name)
    prepared = prepare_catalog(
        events,
        picks,
        channels,
        max_picks_per_phase=max_picks_per_phase,
        network=network,
        metadata=metadata,
    )
    held = prepared.events[list(kind.needs)].notna().all(axis=1)
    left_out = prepared.events.loc[~held, "event_id"].tolist()
    prepared = replace(prepared, events=prepared.events[held])
    written = kind.write(prepared, Path(path))
    prepared.misfits.report(written)
    if kind.has_codes:
        _write_codes(prepared.picks, written)
    if kind.has_numbers:
        _write_numbers(prepared, written)
    return Exported(written, int(held.sum()), left_out, prepared.misfits)


def _write_codes(table: pd.DataFrame, path: Path) -> None:
    """Write beside an export which channel each of its station codes is."""
    names = ["network_code", "station_code", *RECEIVER]
    codes = table[names].drop_duplicates().sort_values(names)
    with atomic_path(path.with_name(f"{path.name}.codes.csv")) as temporary:
        codes.to_csv(temporary, index=False)


def _write_numbers(prepared: PreparedCatalog, path: Path) -> None:
    """Write beside an export which event each of its numbers is, and its magnitude where it is known."""
    numbers = prepared.events[["event_id"]].assign(magnitude=prepared.events.get("magnitude", np.nan))
    numbers.insert(0, "number", prepared.events["event_index"] + 1)
    with atomic_path(path.with_name(f"{path.name}.events.csv")) as temporary:
        numbers.to_csv(temporary, index=False)


def export_stations(channels: pd.DataFrame, path: str | Path, name: str, network: str = "XX") -> Path:
    """Write the receivers as the program of a format reads them.

    Parameters
    ----------
    channels : pandas.DataFrame
        Channel table; receivers without coordinates are left out.
    name : str
        ``nonlinloc``, ``hypodd`` or ``hypoinverse``; for any other of ``EXPORT_FORMATS`` a CSV table of
        receivers, positions and codes.
    network : str, optional
        Network code of the cables.

    Raises
    ------
    ConfigError
        There is no such format.
    ChannelGeometryError
        No receiver has coordinates, or the format cannot hold the network code.
    """
    return _format(name).write_stations(place_stations(channels, network), Path(path))


def export_differential_times(
    pairs: pd.DataFrame,
    events: pd.DataFrame,
    path: str | Path,
    channels: pd.DataFrame | None = None,
    *,
    max_picks_per_phase: int = MAX_PICKS_PER_PHASE,
    network: str = "XX",
) -> Exported:
    """Write differential travel times from cross-correlation as hypoDD's ``dt.cc``.

    Of each pair of events, cable and phase the best-correlated channels are kept, spread along the cable by
    the rule of :func:`phasenet_das.catalog.thin_picks`. The weight is the square of the coefficient. Pairs of
    opposite polarity are left out: half a period of error looks just like them.

    Parameters
    ----------
    pairs : pandas.DataFrame
        From :func:`phasenet_das.evaluate.compare_differential_times` with ``between="events"``.
    events : pandas.DataFrame
        Event table; pairs of which one event has no hypocentre are left out.
    channels : pandas.DataFrame, optional
        Channel table, so that station codes are those of the phase file.
    max_picks_per_phase : int, optional
        Most channels to keep for a pair of events and phase on one cable.
    network : str, optional
        Network code of the cables.

    Returns
    -------
    Exported
        The file and its counts. Beside the file are the tables of :func:`export_catalog`.

    Raises
    ------
    TableError
        `pairs` lacks a column, pairs channels instead of events, or holds no time that can be written. No
        file is then written.
    """
    prepared = prepare_catalog(
        events, empty_picks(), channels, max_picks_per_phase=max_picks_per_phase, network=network
    )
    used = choose_pairs(prepared, pairs)
    written = write_hypodd_dtcc(prepared, used, Path(path))
    _write_numbers(prepared, written)
    _write_codes(prepared.codes(pairs.rename(columns={"channel_1": "channel_index"})), written)
    num_events = pd.concat([used["event_1"], used["event_2"]]).nunique()
    return Exported(written, num_events, without_hypocentre(prepared.events), num_times=len(used))


def _format(name: str) -> _Format:
    if name not in _FORMATS:
        raise ConfigError(
            f"format '{name}': expected {', '.join(EXPORT_FORMATS)}.{nearest_name(name, EXPORT_FORMATS)}"
        )
    return _FORMATS[name]
