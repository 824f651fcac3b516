"""The file of one revision of an event, in QuakeML 1.2 and in the XML of SeisComP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from phasenet_das.catalog.export.common import prepare_catalog
from phasenet_das.catalog.obspy_events import obspy_catalog
from phasenet_das.config import ReportSettings
from phasenet_das.tables import EVENT_COLUMNS, atomic_path, conform
from phasenet_das.tables.files import fill_text
from phasenet_das.watch.revisions import Record

if TYPE_CHECKING:
    from obspy.core.event import Catalog

_FORMATS: Final = {"quakeml": ("xml", "QUAKEML"), "scml": ("scml", "SCML")}
_STATUS: Final = {"open": "preliminary", "final": "final", "cancelled": "rejected"}


def write_event_files(
    line: Record,
    picks: pd.DataFrame,
    path: Path,
    channels: pd.DataFrame | None,
    formats: Sequence[str],
    report: ReportSettings,
    channel_codes: Mapping[str, str],
) -> None:
    """Write a revision beside `path`, an ending for each format; a file replaces that of the last revision.

    `channel_codes`: channel code of each cable whose waveforms go out too.
    """
    made = event_catalog(line, picks, channels, report, channel_codes)
    for name in formats:
        ending, kind = _FORMATS[name]
        with atomic_path(path.with_name(f"{path.name}.{ending}")) as temporary:
            made.write(str(temporary), format=kind, validate=True)  # by the schema


def event_catalog(
    line: Record,
    picks: pd.DataFrame,
    channels: pd.DataFrame | None,
    report: ReportSettings,
    channel_codes: Mapping[str, str],
) -> Catalog:
    """Make the ObsPy catalog of one revision, whose number is the version of the event."""
    event = event_row(line)
    prepared = prepare_catalog(
        event,
        picks.assign(event_index=event["event_index"].iloc[0]),
        channels,
        max_picks_per_phase=report.max_picks_per_phase,
        network=report.network_code,
    )
    created = pd.Timestamp(line["revised_at"], unit="s")
    made = obspy_catalog(
        prepared,
        creation_info={
            "agency_id": "phasenet-das",
            "version": str(line["revision"]),
            "creation_time": created.isoformat(),
        },
    )
    only = made[0]
    only.event_type = "not existing" if line["status"] == "cancelled" else "earthquake"
    only.event_type_certainty = "suspected"
    for origin in only.origins:
        origin.evaluation_status = _STATUS[line["status"]]
    for pick, cable in zip(only.picks, prepared.picks["station_id"], strict=True):
        pick.waveform_id.channel_code = pick.waveform_id.channel_code or channel_codes.get(cable)
    return made


def event_row(line: Record) -> pd.DataFrame:
    """Return the event of a revision as an event table of one row."""
    table = pd.DataFrame([line["event"]])
    words = {name: fill_text(table[name]) for name in ("quality", "location_quality")}
    return conform(table.assign(**words), EVENT_COLUMNS, "revisions")
