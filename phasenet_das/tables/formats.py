"""Pick tables of other packages, to and from: QuakeFlow, GaMMA, PyOcto, SeisBench, ObsPy.

Those packages know stations, not channels of a cable. On the way out each receiver becomes
``NETWORK.STATION[.LOCATION]`` with the code that all exports share
(:func:`phasenet_das.tables.station_codes`); on the way back, the channel table says which channel a code
stands for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gamma.errors import nearest_name
from phasenet_das.errors import ChannelGeometryError, TableError
from phasenet_das.tables.codes import place_stations, station_codes
from phasenet_das.tables.columns import (
    PICK_COLUMNS,
    associated_phase,
    conform,
    require_columns,
    with_event_phase,
)
from phasenet_das.tables.files import complete_picks, read_table

_QUAKEFLOW_TIME = "%Y-%m-%dT%H:%M:%S.%f"
_PYOCTO = {
    "phase_score": "probability", "event_index": "event_idx", "travel_time_residual_s": "residual",
}  # fmt: skip


def to_quakeflow(picks: pd.DataFrame) -> pd.DataFrame:
    """Give picks the columns of PhaseNet, PhaseNet-DAS and QuakeFlow.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table.

    Returns
    -------
    pandas.DataFrame
        ``station_id, channel_index, phase_time`` (ISO text to the microsecond, UTC without a zone, as those
        programs write it), ``phase_type, phase_score, phase_amplitude, event_index, gamma_score``.
        The phase of a pick with an event is that as which the event took it, so that no S comes before P.
    """
    table = conform(picks, PICK_COLUMNS, "picks")
    out = table[["station_id", "channel_index"]].copy()
    out["phase_time"] = table["phase_time"].dt.round("us").dt.strftime(_QUAKEFLOW_TIME)
    out["phase_type"] = associated_phase(table)
    out[["phase_score", "phase_amplitude"]] = table[["phase_score", "phase_amplitude"]]
    out["event_index"], out["gamma_score"] = table["event_index"], table["association_score"]
    return out


def from_quakeflow(table: pd.DataFrame, station_id: str | None = None) -> pd.DataFrame:
    """Take picks of PhaseNet, PhaseNet-DAS or QuakeFlow.

    Parameters
    ----------
    table : pandas.DataFrame
        At least ``phase_time`` (text without a zone is UTC), ``phase_type``, and ``channel_index`` of a cable
        or ``station_id``; ``phase_score, phase_amplitude`` (or ``phase_amp``), ``event_index, gamma_score``.
    station_id : str, optional
        Name of the cable, where the table has only ``channel_index``.

    Returns
    -------
    pandas.DataFrame
        The pick table; further columns pass through.

    Raises
    ------
    TableError
        A column is missing, or neither the table nor the caller names the station.
    """
    out = table.rename(columns={"gamma_score": "association_score", "phase_amp": "phase_amplitude"})
    if "station_id" not in out.columns:
        if station_id is None:
            raise TableError("picks: no column station_id. Say station_id= to name the cable.")
        out["station_id"] = station_id
    return complete_picks(out, "picks")


def read_station_picks(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read pick tables of seismometers as PhaseNet writes them, without a channel; each pick once."""
    tables = []
    for path in paths:
        table = read_table(path)
        require_columns(table, ("station_id", "phase_time", "phase_type", "phase_score"), str(path))
        tables.append(from_quakeflow(table.assign(phase_type=table["phase_type"].str.upper())))
    return pd.concat(tables, ignore_index=True).drop_duplicates("pick_id", ignore_index=True)


def to_gamma(picks: pd.DataFrame, channels: pd.DataFrame | None = None, network: str = "XX") -> pd.DataFrame:
    """Give picks the columns of GaMMA: ``id, timestamp, type, prob, amp``.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table.
    channels : pandas.DataFrame, optional
        Channel table, so that codes do not depend on which channels have picks.
    network : str, optional
        Network code of the cables.

    Returns
    -------
    pandas.DataFrame
        In the order of `picks`, with their index; ``timestamp`` is ISO text, UTC without a zone. ``amp`` is
        the amplitude as it is: GaMMA takes m/s for it.
    """
    coded = _coded(picks, channels, network)
    time = coded["phase_time"].dt.round("us").dt.strftime(_QUAKEFLOW_TIME)
    return pd.DataFrame(
        {
            "id": coded["station_id"],
            "timestamp": time,
            "type": coded["phase_type"].str.lower(),
            "prob": coded["phase_score"],
            "amp": coded["phase_amplitude"],
        }
    )


def from_gamma(
    table: pd.DataFrame, channels: pd.DataFrame | None = None, network: str = "XX"
) -> pd.DataFrame:
    """Take picks in the columns of GaMMA.

    Parameters
    ----------
    table : pandas.DataFrame
        ``id, timestamp, type`` and optionally ``prob, amp, event_index, gamma_score``.
    channels : pandas.DataFrame, optional
        Channel table that the codes belong to. Without it each code is the ``station_id`` of a seismometer.
    network : str, optional
        Network code of the cables.

    Returns
    -------
    pandas.DataFrame
        The pick table.

    Raises
    ------
    TableError
        A column is missing.
    ChannelGeometryError
        A code belongs to no channel.
    """
    names = {
        "id": "station_id", "timestamp": "phase_time", "type": "phase_type", "prob": "phase_score",
        "amp": "phase_amplitude", "gamma_score": "association_score",
    }  # fmt: skip
    out = table.rename(columns=names)
    if "phase_type" in out.columns:
        out["phase_type"] = out["phase_type"].str.upper()
    return _decoded(out, channels, network)


def gamma_stations(channels: pd.DataFrame, network: str = "XX") -> pd.DataFrame:
    """Make the station table of GaMMA and PyOcto: ``id, x(km), y(km), z(km)``, z down.

    Parameters
    ----------
    channels : pandas.DataFrame
        Channel table; receivers without coordinates are left out.
    network : str, optional
        Network code of the cables.

    Returns
    -------
    pandas.DataFrame
        Kilometres east and north of the middle of the receivers (azimuthal equidistant, WGS 84), and their
        ``longitude, latitude, elevation(m)``.

    Raises
    ------
    ChannelGeometryError
        No receiver has coordinates.
    """
    from pyproj import Proj

    placed = place_stations(channels, network)
    longitude, latitude = placed["longitude"].to_numpy(), placed["latitude"].to_numpy()
    first = longitude[0]  # longitudes turn about it, so that 180 degrees is no edge
    middle = first + np.median((longitude - first + 180) % 360 - 180)
    plane = Proj(proj="aeqd", lon_0=middle, lat_0=np.median(latitude), ellps="WGS84")
    east, north = plane(longitude, latitude)
    return pd.DataFrame(
        {
            "id": _names(placed),
            "x(km)": np.asarray(east) / 1000,
            "y(km)": np.asarray(north) / 1000,
            "z(km)": -placed["elevation_m"] / 1000,
            "longitude": longitude,
            "latitude": latitude,
            "elevation(m)": placed["elevation_m"],
        }
    )


def to_pyocto(picks: pd.DataFrame, channels: pd.DataFrame | None = None, network: str = "XX") -> pd.DataFrame:
    """Give picks, and their events, the columns of PyOcto; arguments as in :func:`to_gamma`.

    The phase of a pick with an event is that as which the event took it.

    Returns
    -------
    pandas.DataFrame
        ``station, phase, time`` (seconds since 1970), ``probability, event_idx, residual``.
    """
    coded = _coded(picks, channels, network)
    out = pd.DataFrame({"station": coded["station_id"], "phase": coded["phase_type"]})
    out["time"] = _stamps(coded) / 1e9
    return out.join(coded[list(_PYOCTO)].rename(columns=_PYOCTO))


def from_pyocto(
    table: pd.DataFrame, channels: pd.DataFrame | None = None, network: str = "XX"
) -> pd.DataFrame:
    """Take picks of PyOcto; arguments as in :func:`from_gamma`.

    `table`: ``station, phase, time`` (seconds since 1970), optionally ``probability, event_idx, residual``.
    """
    missing = [name for name in ("station", "phase", "time") if name not in table.columns]
    if missing:
        hints = " ".join(f"'{name}':{nearest_name(name, map(str, table.columns))}" for name in missing)
        raise TableError(f"PyOcto picks: missing column(s) {', '.join(missing)}. {hints}")
    names = {theirs: ours for ours, theirs in _PYOCTO.items()}
    out = table.rename(columns={"station": "station_id", "phase": "phase_type", **names})
    nanoseconds = np.round(out.pop("time").to_numpy(np.float64) * 1e9).astype(np.int64)
    out["phase_time"] = pd.to_datetime(nanoseconds, utc=True).as_unit("ns")
    return _decoded(out, channels, network)


def to_seisbench(picks: pd.DataFrame, channels: pd.DataFrame | None = None, network: str = "XX") -> Any:  # noqa: ANN401
    """Make a SeisBench ``PickList``; arguments as in :func:`to_gamma`.

    Raises
    ------
    ImportError
        The optional package seisbench is not installed.
    """
    from obspy import UTCDateTime
    from seisbench.util import Pick, PickList

    coded = _coded(picks, channels, network)
    made = []
    columns = (coded["station_id"], _stamps(coded), coded["phase_type"], coded["phase_score"])
    for station, stamp, phase, score in zip(*columns, strict=True):
        time = UTCDateTime(ns=int(stamp))
        made.append(Pick(station, time, end_time=time, peak_time=time, peak_value=float(score), phase=phase))
    return PickList(made)


def from_seisbench(
    picks: Iterable[Any], channels: pd.DataFrame | None = None, network: str = "XX"
) -> pd.DataFrame:
    """Take picks of SeisBench, such as ``output.picks``; arguments as in :func:`from_gamma`.

    The name of a receiver is the trace id (NET.STA.LOC), without the dot that ends it where the location is
    empty. Picks without a peak take their start.
    """
    rows: list[tuple[str, int, str, float]] = []
    for pick in picks:
        time = pick.peak_time if pick.peak_time is not None else pick.start_time
        score = np.nan if pick.peak_value is None else float(pick.peak_value)
        rows.append((str(pick.trace_id).rstrip("."), time.ns, str(pick.phase), score))
    return _decoded(_from_rows(rows), channels, network)


def to_obspy_picks(
    picks: pd.DataFrame, channels: pd.DataFrame | None = None, network: str = "XX"
) -> list[Any]:
    """Make ObsPy picks; arguments as in :func:`to_gamma`."""
    from obspy import UTCDateTime
    from obspy.core.event import Pick, WaveformStreamID

    coded = _coded(picks, channels, network)
    made = []
    for name, stamp, phase in zip(coded["station_id"], _stamps(coded), coded["phase_type"], strict=True):
        code, station, location = [*str(name).split("."), ""][:3]
        where = WaveformStreamID(code, station, location or None)
        made.append(Pick(time=UTCDateTime(ns=int(stamp)), waveform_id=where, phase_hint=phase))
    return made


def from_obspy_picks(
    picks: Iterable[Any], channels: pd.DataFrame | None = None, network: str = "XX"
) -> pd.DataFrame:
    """Take ObsPy picks, or those of all events of a catalog; arguments as in :func:`from_gamma`."""
    rows: list[tuple[str, int, str, float]] = []
    for item in picks:
        for pick in getattr(item, "picks", [item]):
            where, hint = pick.waveform_id, str(pick.phase_hint or "")
            codes = (where.network_code or "", where.station_code or "", where.location_code or "")
            phase = hint[:1] if hint[:1] in "PS" else hint
            rows.append((".".join(codes).rstrip("."), pick.time.ns, phase, np.nan))
    return _decoded(_from_rows(rows), channels, network)


def _stamps(picks: pd.DataFrame) -> pd.Series:
    return picks["phase_time"].dt.as_unit("ns").astype("int64")


def _from_rows(rows: list[tuple[str, int, str, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["station_id", "phase_time", "phase_type", "phase_score"])
    times = pd.to_datetime(frame["phase_time"].astype("int64"), utc=True)
    return frame.assign(phase_time=times.dt.as_unit("ns"))


def _names(codes: pd.DataFrame) -> pd.Series:
    """NETWORK.STATION, and .LOCATION where there is one."""
    name = codes["network_code"] + "." + codes["station_code"]
    location = codes["location_code"]
    return name.where(location == "", name + "." + location)


def _coded(picks: pd.DataFrame, channels: pd.DataFrame | None, network: str) -> pd.DataFrame:
    """Put the code of each receiver in place of its cable, and the phase of events; rows and index stay."""
    table = with_event_phase(conform(picks, PICK_COLUMNS, "picks").set_axis(picks.index))
    receiver = ["station_id", "channel_index"]
    known = table[receiver] if channels is None else pd.concat([channels[receiver], table[receiver]])
    codes = station_codes(known, network)
    name = _names(codes).set_axis(pd.MultiIndex.from_frame(codes[receiver]))
    return table.assign(station_id=name.loc[pd.MultiIndex.from_frame(table[receiver])].to_numpy(dtype=str))


def _decoded(table: pd.DataFrame, channels: pd.DataFrame | None, network: str) -> pd.DataFrame:
    """Put cable and channel in place of each code."""
    if "station_id" not in table.columns:
        raise TableError(f"picks: no column for the station. Found {', '.join(map(str, table.columns))}.")
    if channels is None:
        return complete_picks(table, "picks")
    codes = station_codes(channels, network)
    known = codes.set_axis(_names(codes))
    name = table["station_id"].astype(str)
    strange = ~name.isin(known.index)
    if strange.any():
        raise ChannelGeometryError(
            f"{int(strange.sum())} picks of stations that the channel table does not have, first "
            f"'{name[strange].iloc[0]}'.{nearest_name(str(name[strange].iloc[0]), known.index)} "
            "Give the channel table and network code that the picks were exported with."
        )
    found = known.loc[name.tolist()]
    out = table.assign(
        station_id=found["station_id"].to_numpy(dtype=str), channel_index=found["channel_index"].to_numpy()
    )
    if "distance_m" in channels.columns:
        once = channels.drop_duplicates(["station_id", "channel_index"])
        place = once.set_index(["station_id", "channel_index"])["distance_m"]
        out["distance_m"] = place.reindex(
            pd.MultiIndex.from_frame(out[["station_id", "channel_index"]])
        ).to_numpy()
    return complete_picks(out, "picks")
