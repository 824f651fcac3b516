"""From picks to a catalog: associate, and write the tables that belong together."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phasenet_das.catalog.catalog_csv import write_catalog_csv
from phasenet_das.catalog.obspy_events import write_quakeml
from phasenet_das.config import ReportSettings
from phasenet_das.geometry import receivers_of, within_recording
from phasenet_das.tables import EVENT_COLUMNS, PICK_COLUMNS, atomic_path, conform, write_table

if TYPE_CHECKING:
    from gamma import AssociationConfig, AssociationResult

__all__ = ["associate_picks", "write_association", "write_catalog"]

log = logging.getLogger(__name__)


def associate_picks(
    picks: pd.DataFrame,
    channels: pd.DataFrame | None = None,
    settings: AssociationConfig | None = None,
    *,
    workers: int = 1,
) -> AssociationResult:
    """Group picks into events and locate them.

    Parameters
    ----------
    picks : pandas.DataFrame
        The pick table, of one or several cables and of seismometers.
    channels : pandas.DataFrame, optional
        Positions of the receivers (``CHANNEL_COLUMNS``); without them events get an origin time and
        a distance, but no position.
    settings : gamma.AssociationConfig, optional
        The defaults when left out.
    workers : int
        Processes; the result does not depend on it.

    Returns
    -------
    gamma.AssociationResult
        ``events``, ``picks`` (the same rows in the same order) and ``summary``.

    Raises
    ------
    gamma.errors.GammaError
        The tables cannot be used; the message says why.
    """
    import gamma

    receivers = receivers_of(picks) if channels is None else within_recording(channels, picks)
    if receivers.empty:  # nothing was picked and nothing is placed: any receiver gives the empty catalog
        receivers = receivers_of(
            pd.DataFrame({"station_id": ["none"], "channel_index": 0, "distance_m": 0.0})
        )
    result = gamma.associate(
        picks, receivers, settings or gamma.AssociationConfig(), explain=True, workers=workers
    )
    kept = int((result.picks["event_index"] >= 0).sum())
    log.info("%d events from %d of %d picks", len(result.events), kept, len(picks))
    return result


def write_association(result: AssociationResult, folder: str | Path, metadata: Mapping[str, Any]) -> Path:
    """Write what an association gave: ``events.parquet``, ``picks.parquet``, ``association.json``.

    Parameters
    ----------
    result : gamma.AssociationResult
        Events, picks and summary.
    folder : str or pathlib.Path
        Made when missing.
    metadata : mapping
        Provenance, written into each file.

    Returns
    -------
    pathlib.Path
        The folder.
    """
    folder = Path(folder)
    write_table(conform(result.events, EVENT_COLUMNS, "events"), folder / "events.parquet", metadata)
    write_table(conform(result.picks, PICK_COLUMNS, "picks"), folder / "picks.parquet", metadata)
    with atomic_path(folder / "association.json") as temporary:
        temporary.write_text(json.dumps(result.summary, indent=2, sort_keys=True, default=str) + "\n")
    return folder


def write_catalog(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    folder: str | Path,
    channels: pd.DataFrame | None = None,
    settings: ReportSettings | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write the catalog for people and other programs: ``catalog.csv`` and ``catalog.xml`` (QuakeML).

    Parameters
    ----------
    events, picks : pandas.DataFrame
        Event table, and picks with their ``event_index``.
    folder : str or pathlib.Path
        Made when missing.
    channels : pandas.DataFrame, optional
        Positions of the receivers.
    settings : ReportSettings, optional
        Network code and thinning.
    metadata : mapping, optional
        Provenance, written beside the CSV file; its ``weights_id`` and ``version`` go into QuakeML.

    Returns
    -------
    pathlib.Path
        The folder.
    """
    folder, choice, facts = Path(folder), settings or ReportSettings(), dict(metadata or {})
    folder.mkdir(parents=True, exist_ok=True)
    write_catalog_csv(events, folder / "catalog.csv", facts)
    write_quakeml(
        events,
        picks,
        folder / "catalog.xml",
        channels,
        max_picks_per_phase=choice.max_picks_per_phase,
        network=choice.network_code,
        method_id=facts.get("weights_id"),
        creation_info={"agency_id": "phasenet-das", "version": str(facts.get("version", ""))}
        if facts
        else None,
    )
    return folder
