"""Waveforms of some channels of an event as miniSEED, and their stations as StationXML."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from phasenet_das.config import HandoverSettings, ReportSettings
from phasenet_das.io.archive import Archive
from phasenet_das.io.patch import UNKNOWN_UNIT
from phasenet_das.io.recording import Recording
from phasenet_das.tables import atomic_path
from phasenet_das.tables.codes import band_code, station_codes

if TYPE_CHECKING:
    from obspy import Inventory, Stream
    from obspy.core.inventory import Station

log = logging.getLogger(__name__)

_INSTRUMENT: Final = "SF"  # strain, along a fibre
_POSITION: Final = {"latitude": "latitude", "longitude": "longitude", "elevation": "elevation_m"}
_KEY: Final = ["station_id", "channel_index"]


def channel_code(recording: Recording) -> str:
    """Return the channel code of a fibre: the band of its sampling rate, strain, along the fibre."""
    return band_code(1.0 / recording.dt_s) + _INSTRUMENT


def write_waveforms(
    archive: Archive,
    picks: pd.DataFrame,
    origin_time: str,
    path: Path,
    channels: pd.DataFrame | None,
    settings: HandoverSettings,
    report: ReportSettings,
) -> dict[str, str]:
    """Write ``PATH.mseed`` and ``stations.xml`` beside it, and return the channel code of each cable."""
    margin = pd.Timedelta(seconds=settings.waveform_margin_s)
    origin = pd.Timestamp(origin_time)
    start, end = origin - margin, max([origin, *picks["phase_time"]]) + margin
    found = [
        (recording, chosen_rows(recording, channels, settings))
        for recording in archive.recordings
        if recording.start_ns < end.value and recording.end_ns > start.value
    ]
    codes = receiver_codes([one for one, _ in found], channels, report.network_code)
    stream = cut_stream(found, codes, start, end)
    if len(stream):
        with atomic_path(path.with_name(f"{path.name}.mseed")) as temporary:
            stream.write(str(temporary), format="MSEED", encoding="FLOAT32")
        inventory = make_inventory(found, codes, channels)
        if len(inventory):
            with atomic_path(path.with_name("stations.xml")) as temporary:
                inventory.write(str(temporary), format="STATIONXML", validate=True)
    return {recording.station_id: channel_code(recording) for recording, _ in found}


def chosen_rows(
    recording: Recording, channels: pd.DataFrame | None, settings: HandoverSettings
) -> np.ndarray:
    """Return the rows of the channels that are chosen: every Nth and those listed, if good."""
    number = recording.channel_index
    chosen = np.isin(number, settings.waveform_channels)
    if settings.waveform_step is not None:
        chosen |= number % settings.waveform_step == 0
    if channels is not None:
        own = channels[(channels["station_id"] == recording.station_id) & (channels["status"] == "ok")]
        chosen &= np.isin(number, own["channel_index"])
    return np.flatnonzero(chosen)


def receiver_codes(
    recordings: Sequence[Recording], channels: pd.DataFrame | None, network: str
) -> pd.DataFrame:
    """Return the codes of all channels, as the exports have them, by cable and channel."""
    held = [
        pd.DataFrame({"station_id": one.station_id, "channel_index": one.channel_index}) for one in recordings
    ]
    known = [] if channels is None else [channels[_KEY]]
    return station_codes(pd.concat([*known, *held]), network).set_index(_KEY)


def cut_stream(
    found: Sequence[tuple[Recording, np.ndarray]],
    codes: pd.DataFrame,
    start: pd.Timestamp,
    end: pd.Timestamp,
) -> Stream:
    """Cut the samples of some rows of recordings; a channel with missing samples is left out."""
    from obspy import Stream, Trace, UTCDateTime

    stream = Stream()
    for recording, rows in found:
        samples = recording.sample_range(*(one.tz_convert(None).to_datetime64() for one in (start, end)))
        begin = UTCDateTime(ns=recording.sample_ns(samples.start))
        for row in rows:
            data = recording.load(slice(row, row + 1), samples)[0]
            code = codes.loc[(recording.station_id, recording.channel_index[row])]
            if not len(data) or not np.isfinite(data).all():
                log.info("%s: no waveform, samples are missing", code["station_code"])
                continue
            header = {
                "network": code["network_code"],
                "station": code["station_code"],
                "channel": channel_code(recording),
                "starttime": begin,
                "delta": recording.dt_s,
            }
            stream.append(Trace(data, header))
    return stream


def make_inventory(
    found: Sequence[tuple[Recording, np.ndarray]], codes: pd.DataFrame, channels: pd.DataFrame | None
) -> Inventory:
    """Make the stations of some rows of recordings; those without a whole position are left out."""
    from obspy.core.inventory import Inventory, Network

    placed = pd.DataFrame() if channels is None else channels.set_index(_KEY)
    stations = {}
    for recording, rows in found:
        for number in recording.channel_index[rows]:
            key = recording.station_id, number
            place = placed.loc[key] if key in placed.index else None
            if place is not None and place[["longitude", "latitude", "elevation_m"]].notna().all():
                stations[key] = _station(recording, int(number), str(codes.loc[key, "station_code"]), place)
    names = sorted({str(codes.loc[key, "network_code"]) for key in stations})
    networks = [
        Network(name, [own for key, own in stations.items() if codes.loc[key, "network_code"] == name])
        for name in names
    ]
    return Inventory(networks, source="phasenet-das")


def _station(recording: Recording, number: int, code: str, place: pd.Series) -> Station:
    """Make one channel of a fibre a station; its samples are in the unit of the recording."""
    from obspy.core.inventory import Channel, Equipment, Response, Station
    from obspy.core.inventory.response import InstrumentSensitivity

    where = {name: float(place[of]) for name, of in _POSITION.items()}
    gain = None
    if recording.unit != UNKNOWN_UNIT:
        gain = Response(
            instrument_sensitivity=InstrumentSensitivity(1.0, 1.0, recording.unit, recording.unit)
        )
    sensor = Equipment(type="DAS", description=f"channel {number} of cable {recording.station_id}")
    channel = Channel(
        channel_code(recording),
        "",
        **where,
        depth=0.0,
        sample_rate=1.0 / recording.dt_s,
        sensor=sensor,
        response=gain,
    )
    return Station(code, **where, channels=[channel])
