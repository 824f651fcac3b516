"""From picks to a catalog: associate, and write the tables that belong together."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phasenet_das.catalog.export.catalog_csv import write_catalog_csv
from phasenet_das.catalog.export.common import prepare_catalog
from phasenet_das.catalog.export.quakeml import write_quakeml
from phasenet_das.config import ReportSettings
from phasenet_das.errors import ChannelGeometryError
from phasenet_das.tables import EVENT_COLUMNS, GROUP_COLUMNS, PICK_COLUMNS, atomic_path, conform, write_table
from phasenet_das.tables.channels import receivers_of, within_recording
from phasenet_das.text import runs

if TYPE_CHECKING:
    from gamma import AssociationConfig, AssociationResult
    from gamma.velocity import VelocityEstimate


log = logging.getLogger(__name__)

_RECEIVER = ["station_id", "channel_index"]


def associate(
    picks: pd.DataFrame,
    channels: pd.DataFrame | None = None,
    settings: AssociationConfig | None = None,
    *,
    workers: int = 1,
    ground: VelocityEstimate | None = None,
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
    ground : gamma.velocity.VelocityEstimate, optional
        ``ground`` of an earlier result, so that the velocity is not estimated again.

    Returns
    -------
    gamma.AssociationResult
        ``events``, ``picks`` (the same rows in the same order) and ``summary``.

    Raises
    ------
    gamma.errors.GammaError
        The tables cannot be used; the message says why.
    ChannelGeometryError
        There are picks, and none of them is of a receiver in `channels`.
    """
    import gamma
    from gamma import AssociationConfig

    if channels is not None:
        _refuse_unplaced(picks, channels)

    receivers = receivers_of(picks) if channels is None else within_recording(channels, picks)
    if receivers.empty:  # nothing was picked and nothing is placed: any receiver gives the empty catalog
        receivers = receivers_of(
            pd.DataFrame({"station_id": ["none"], "channel_index": 0, "distance_m": 0.0})
        )
    result = gamma.associate(
        picks, receivers, settings or AssociationConfig(), explain=True, workers=workers, ground=ground
    )
    kept = int((result.picks["event_index"] >= 0).sum())
    log.info("%d events from %d of %d picks", len(result.events), kept, len(picks))
    return result


def explain_rejected(result: AssociationResult, receivers: pd.DataFrame | None) -> list[str]:
    """Say why picks belong to no event.

    Parameters
    ----------
    result : gamma.AssociationResult
        Events, picks and summary.
    receivers : pandas.DataFrame, optional
        The channel table that was used.

    Returns
    -------
    list of str
        Lines for a person; empty when every pick has an event.
    """
    summary = result.summary
    lines = []
    if summary["reasons"]:
        counts = ", ".join(f"{number} {reason}" for reason, number in summary["reasons"].items())
        lines.append(f"picks without an event: {counts}")
    unknown = result.picks[result.picks["reason"] == "unknown station"]
    if receivers is not None and len(unknown):
        lines.append(_explain_unplaced(unknown, receivers))
    return lines


def _refuse_unplaced(picks: pd.DataFrame, receivers: pd.DataFrame) -> None:
    """Refuse a channel table that has no receiver of the picks: it belongs to another cable."""
    known = pd.MultiIndex.from_frame(receivers[_RECEIVER])
    if len(picks) and not pd.MultiIndex.from_frame(picks[_RECEIVER]).isin(known).any():
        raise ChannelGeometryError(_explain_unplaced(picks, receivers))


def _explain_unplaced(picks: pd.DataFrame, receivers: pd.DataFrame) -> str:
    known = sorted(receivers["station_id"].astype(str).unique())
    missing = []
    for name, own in picks.groupby("station_id", dropna=False):
        channels = f" channels {runs(own['channel_index'].to_numpy())}" if str(name) in known else ""
        missing.append(f"{name}{channels} ({len(own)} picks)")
    return (
        f"No position for {', '.join(missing)}. The channel table holds {', '.join(known) or 'nothing'}. "
        "Pick with the table's name of the cable (--station-id), or complete the table. Channels that it "
        "marks bad are left out."
    )


def write_association(result: AssociationResult, folder: str | Path, metadata: Mapping[str, Any]) -> Path:
    """Write the files of an association: events, picks and groups (Parquet), and ``association.json``.

    Parameters
    ----------
    result : gamma.AssociationResult
        Events, picks, groups and summary.
    folder : str or pathlib.Path
        Made when missing.
    metadata : mapping
        Provenance, written into each file.
    """
    folder = Path(folder)
    write_table(conform(result.events, EVENT_COLUMNS, "events"), folder / "events.parquet", metadata)
    write_table(conform(result.picks, PICK_COLUMNS, "picks"), folder / "picks.parquet", metadata)
    write_table(conform(result.groups, GROUP_COLUMNS, "groups"), folder / "groups.parquet", metadata)
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
    """
    folder, choice = Path(folder), settings or ReportSettings()
    folder.mkdir(parents=True, exist_ok=True)
    prepared = prepare_catalog(
        events,
        picks,
        channels,
        max_picks_per_phase=choice.max_picks_per_phase,
        network=choice.network_code,
        metadata=metadata,
    )
    write_catalog_csv(prepared, folder / "catalog.csv")
    write_quakeml(prepared, folder / "catalog.xml")
    return folder
