"""Pick tables of other packages, to and from: PyOcto, SeisBench, ObsPy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from gamma.errors import PickError, nearest_name

_COLUMNS = ["station_id", "channel_index", "phase_time", "phase_type", "phase_score"]


def _table(rows: list[tuple[str, Any, str, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["station_id", "phase_time", "phase_type", "phase_score"])
    frame["phase_time"] = pd.to_datetime(frame["phase_time"].astype("int64"), utc=True).dt.as_unit("ns")
    frame["channel_index"] = np.int32(-1)
    frame["phase_score"] = frame["phase_score"].astype(np.float32)
    return frame.astype({"station_id": "str", "phase_type": "str"})[_COLUMNS]


def from_pyocto(picks: pd.DataFrame) -> pd.DataFrame:
    """Take PyOcto's picks: ``station``, ``phase``, ``time`` (seconds since 1970); other columns pass through.

    Returns
    -------
    pandas.DataFrame
        ``station_id, channel_index, phase_time, phase_type, phase_score``; the score is NaN unless a column
        ``probability`` holds it.

    Raises
    ------
    PickError
        A column is missing.
    """
    missing = [name for name in ("station", "phase", "time") if name not in picks.columns]
    if missing:
        hints = " ".join(f"'{name}':{nearest_name(name, map(str, picks.columns))}" for name in missing)
        raise PickError(f"PyOcto picks: missing column(s) {', '.join(missing)}. {hints}")
    out = picks.rename(columns={"station": "station_id", "phase": "phase_type", "probability": "phase_score"})
    nanoseconds = np.round(out.pop("time").to_numpy(np.float64) * 1e9).astype(np.int64)
    out["phase_time"] = pd.to_datetime(nanoseconds, utc=True).as_unit("ns")
    if "phase_score" not in out.columns:
        out["phase_score"] = np.float32(np.nan)
    if "channel_index" not in out.columns:
        out["channel_index"] = np.int32(-1)
    return out


def to_pyocto(picks: pd.DataFrame) -> pd.DataFrame:
    """Give picks, and their events if there are any, PyOcto's names.

    Returns
    -------
    pandas.DataFrame
        ``station, phase, time`` (seconds since 1970) and, for associated picks, ``event_idx, residual``.
    """
    seconds = pd.to_datetime(picks["phase_time"], utc=True).dt.as_unit("ns").astype("int64") / 1e9
    out = pd.DataFrame({"station": picks["station_id"], "phase": picks["phase_type"], "time": seconds})
    for ours, theirs in (
        ("phase_score", "probability"),
        ("event_index", "event_idx"),
        ("travel_time_residual_s", "residual"),
    ):
        if ours in picks.columns:
            out[theirs] = picks[ours]
    return out


def from_seisbench(picks: Iterable[Any]) -> pd.DataFrame:
    """Take SeisBench's picks (``trace_id, peak_time, phase, peak_value``), such as ``output.picks``.

    Returns
    -------
    pandas.DataFrame
        ``station_id`` is the trace id (NET.STA.LOC). Picks without a peak take their start.
    """
    rows: list[tuple[str, Any, str, float]] = []
    for pick in picks:
        time = pick.peak_time if pick.peak_time is not None else pick.start_time
        score = np.nan if pick.peak_value is None else float(pick.peak_value)
        rows.append((str(pick.trace_id), time.ns, str(pick.phase), score))
    return _table(rows)


def to_seisbench(picks: pd.DataFrame) -> Any:  # noqa: ANN401 - a type of an optional package
    """Make a SeisBench ``PickList``.

    Raises
    ------
    ImportError
        The optional package seisbench is not installed.
    """
    from obspy import UTCDateTime
    from seisbench.util import Pick, PickList

    times = pd.to_datetime(picks["phase_time"], utc=True).dt.as_unit("ns").astype("int64")
    made = []
    for station, time, phase, score in zip(
        picks["station_id"], times, picks["phase_type"], picks["phase_score"], strict=True
    ):
        moment = UTCDateTime(ns=int(time))
        made.append(
            Pick(station, moment, end_time=moment, peak_time=moment, peak_value=float(score), phase=phase)
        )
    return PickList(made)


def from_obspy(picks: Iterable[Any]) -> pd.DataFrame:
    """Take ObsPy picks (``obspy.core.event.Pick``), or those of all events of a catalog."""
    rows: list[tuple[str, Any, str, float]] = []
    for item in picks:
        for pick in getattr(item, "picks", [item]):
            where = pick.waveform_id
            parts = [where.network_code or "", where.station_code or "", where.location_code or ""]
            hint = str(pick.phase_hint or "")
            rows.append(
                (".".join(parts).rstrip("."), pick.time.ns, hint[:1] if hint[:1] in "PS" else hint, np.nan)
            )
    return _table(rows)


def to_obspy(picks: pd.DataFrame) -> list[Any]:
    """Make ObsPy picks; ``station_id`` is split at its dots into network, station and location."""
    from obspy import UTCDateTime
    from obspy.core.event import Pick, WaveformStreamID

    times = pd.to_datetime(picks["phase_time"], utc=True).dt.as_unit("ns").astype("int64")
    made = []
    for station, time, phase in zip(picks["station_id"], times, picks["phase_type"], strict=True):
        parts = [*str(station).split("."), "", ""]
        network, code = (parts[0], parts[1]) if "." in str(station) else ("", parts[0])
        location = parts[2] if "." in str(station) else ""
        where = WaveformStreamID(network, code, location or None)
        made.append(Pick(time=UTCDateTime(ns=int(time)), waveform_id=where, phase_hint=phase))
    return made
