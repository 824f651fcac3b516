"""Phases for HYPOINVERSE-2000 in its year-2000 archive format, and their reading (Klein 2002).

Written from the tables of columns of the manual (USGS Open-File Report 02-171): a summary line with the
trial hypocentre, a line for each station with its P and S, and a terminator with the number of the event.
Numbers carry their decimal point implied by the column (F5.2 ``1234`` is 12.34). Seconds are hundredths, so
times are within 5 ms of the pick: for more, take NonLinLoc or hypoDD files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.catalog.export.columns import Line, Misfits
from phasenet_das.catalog.export.common import PreparedCatalog, write_lines
from phasenet_das.errors import ChannelGeometryError, DataFormatError
from phasenet_das.tables.columns import located
from phasenet_das.text import records

_SUMMARY_LENGTH, _STATION_LENGTH, _ID_END = 164, 120, 146
_SCORES_OF_WEIGHT_CODES = (0.8, 0.6, 0.4)  # at least: code 0, 1, 2; below: 3
_NO_READING = "4"


def write_hypoinverse(catalog: PreparedCatalog, path: Path) -> Path:
    """Write events and their picks as an archive file of HYPOINVERSE-2000.

    Weight codes follow the score of the pick: 0 (full) from 0.8, 1 from 0.6, 2 from 0.4, else 3. A pick
    without a score has code 0. The number of an event is its ``event_index`` plus one. An event without
    coordinates has a blank trial hypocentre, which makes the program begin near the earliest station.
    """
    lines: list[str] = []
    for event, own in catalog.events_with_picks():
        _check_networks(own["network_code"])
        lines += [
            _summary(event, catalog.misfits),
            *_stations(event, own, catalog.misfits),
            _terminator(event, catalog.misfits),
        ]
    return write_lines(lines, path)


def _check_networks(codes: pd.Series) -> None:
    long = sorted({str(code) for code in codes if len(str(code)) > 2})
    if long:
        raise ChannelGeometryError(
            f"network code '{long[0]}' has {len(long[0])} characters, HYPOINVERSE holds two. Say "
            "--network-code with a shorter one."
        )


def _summary(event: dict[str, Any], misfits: Misfits) -> str:
    line, time = Line(_SUMMARY_LENGTH, misfits), event["time"].round("10ms")
    line.text(1, 12, f"{time:%Y%m%d%H%M}")
    line.number(13, 4, time.second + time.microsecond * 1e-6, "time", 2)
    if located(event):
        for column, width, value, letters in ((17, 2, "latitude", " S"), (24, 3, "longitude", "E ")):
            degrees, hundredths = divmod(round(abs(event[value]) * 6000), 6000)
            line.number(column, width, degrees, value)
            line.text(column + width, 1, letters[event[value] < 0])
            line.number(column + width + 1, 4, hundredths, value)
    line.number(32, 5, event["depth_km"], "depth_km", 2)
    line.number(40, 3, event["num_picks"], "num_picks")
    line.number(43, 3, event["azimuthal_gap_deg"], "azimuthal_gap_deg")
    line.number(46, 3, event["source_distance_km"], "source_distance_km")
    line.number(49, 4, event["residual_rms_s"], "residual_rms_s", 2)
    line.number(83, 3, event["num_s_picks"], "num_s_picks")
    line.number(86, 4, event["horizontal_uncertainty_km"], "horizontal_uncertainty_km", 2)
    line.number(90, 4, event["depth_uncertainty_km"], "depth_uncertainty_km", 2)
    line.number(137, 10, event["event_index"] + 1, "event_index")
    magnitude = event.get("magnitude", math.nan)
    if line.number(124, 3, magnitude, "magnitude", 2, blank=True):  # an external one, and its label
        line.text(123, 1, "X")
    return str(line)


def _stations(event: dict[str, Any], picks: pd.DataFrame, misfits: Misfits) -> Iterator[str]:
    """Write a line for each station, by arrival, with its best P and its best S."""
    best = picks.sort_values("phase_score", ascending=False, kind="stable")
    best = best.drop_duplicates(["network_code", "station_code", "phase_type"]).sort_values("phase_time")
    for _, group in best.groupby(["network_code", "station_code"], sort=False):
        phases = {row["phase_type"]: row for row in records(group)}
        if phases.keys() & {"P", "S"}:
            yield _station(event, phases.get("P"), phases.get("S"), misfits)


def _station(
    event: dict[str, Any], p: dict[str, Any] | None, s: dict[str, Any] | None, misfits: Misfits
) -> str:
    first = p or s
    assert first is not None  # noqa: S101 - the caller passes one of them
    line, minute = Line(_STATION_LENGTH, misfits), first["phase_time"].floor("min")
    line.text(1, 5, first["station_code"], "station_code")
    line.text(6, 2, first["network_code"], "network_code")
    line.text(10, 3, first["channel_code"], "channel_code")
    line.text(18, 12, f"{minute:%Y%m%d%H%M}")
    line.text(112, 2, first["location_code"], "location_code")
    if p is None:
        line.text(17, 1, _NO_READING)
    else:
        _reading(line, p, minute, (14, " P"), 17, 30, 35)
    if s is not None:
        _reading(line, s, minute, (47, " S"), 50, 42, 51)
    distance_km, azimuth_deg = _from_epicentre(event, first)
    line.number(75, 4, distance_km, "epicentral distance", 1)
    line.number(92, 3, azimuth_deg, "azimuth")
    return str(line)


def _reading(
    line: Line,
    pick: dict[str, Any],
    minute: pd.Timestamp,
    remark: tuple[int, str],
    weight: int,
    seconds: int,
    residual: int,
) -> None:
    line.text(remark[0], 2, remark[1])
    line.text(weight, 1, str(sum(pick["phase_score"] < score for score in _SCORES_OF_WEIGHT_CODES)))
    line.number(seconds, 5, (pick["phase_time"] - minute).total_seconds(), "arrival seconds", 2)
    line.number(residual, 4, pick["travel_time_residual_s"], "travel_time_residual_s", 2)


def _from_epicentre(event: dict[str, Any], pick: dict[str, Any]) -> tuple[float, float]:
    if not (located(event) and math.isfinite(pick["longitude"]) and math.isfinite(pick["latitude"])):
        return math.nan, math.nan
    from obspy.geodetics import gps2dist_azimuth

    metres, azimuth, _ = gps2dist_azimuth(
        event["latitude"], event["longitude"], pick["latitude"], pick["longitude"]
    )
    return metres / 1000, azimuth


def _terminator(event: dict[str, Any], misfits: Misfits) -> str:
    line = Line(72, misfits)
    line.number(63, 10, event["event_index"] + 1, "event_index")
    return str(line)


def write_hypoinverse_stations(placed: pd.DataFrame, path: Path) -> Path:
    """Write placed stations: site code, network, component, degrees and minutes, elevation in m."""
    _check_networks(placed["network_code"])
    misfits = Misfits()
    write_lines([_place(row, misfits) for row in records(placed)], path)
    misfits.report(path)
    return path


def _place(row: dict[str, Any], misfits: Misfits) -> str:
    line = Line(50, misfits)
    line.text(1, 5, row["station_code"])
    line.text(7, 2, row["network_code"])
    line.text(11, 3, row["channel_code"])
    for column, width, name, letters in ((16, 2, "latitude", "NS"), (27, 3, "longitude", "EW")):
        degrees, rest = divmod(round(abs(row[name]) * 600_000), 600_000)
        line.number(column, width, degrees, name)
        line.text(column + width + 1, 7, f"{rest / 10_000:7.4f}")
        line.text(column + width + 8, 1, letters[row[name] < 0])
    line.number(39, 4, row["elevation_m"], "elevation_m")
    return str(line)


def read_hypoinverse(path: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read an archive file of HYPOINVERSE-2000 in the year-2000 format.

    Parameters
    ----------
    path : str or pathlib.Path
        Summary, station and terminator lines; shadow lines (``$``) are skipped.

    Returns
    -------
    events : pandas.DataFrame
        ``event_number, time`` (UTC), ``latitude, longitude, depth_km`` (NaN when blank), ``magnitude``
        (external) and ``residual_rms_s``.
    picks : pandas.DataFrame
        ``event_number, network_code, station_code, phase_type, phase_time, weight_code`` and
        ``travel_time_residual_s``.

    Raises
    ------
    DataFormatError
        A line is none of these, or the last event has no terminator.
    """
    events: list[dict[str, Any]] = []
    picks: list[dict[str, Any]] = []
    head: str | None = None
    for number, line in enumerate(Path(path).read_text().splitlines(), start=1):
        if line.startswith("$"):
            continue
        try:
            if not line[:12].strip():
                head = None
            elif head is None:
                head = line
                events.append(_read_summary(line))
            else:
                picks += [
                    {"event_number": events[-1]["event_number"], **pick} for pick in _read_station(line)
                ]
        except ValueError as error:
            raise DataFormatError(
                f"{path}, line {number}: not of the Y2000 archive format: {error}"
            ) from error
    if head is not None:
        raise DataFormatError(f"{path}: the last event has no terminator line. The file is cut short.")
    return pd.DataFrame(events), pd.DataFrame(picks)


def _field(line: str, column: int, width: int, decimals: int = 0) -> float:
    text = line[column - 1 : column - 1 + width].strip()
    if not text:
        return math.nan
    return float(text) if "." in text else int(text) / 10**decimals


def _read_summary(line: str) -> dict[str, Any]:
    line = line.ljust(_SUMMARY_LENGTH)
    seconds = pd.Timedelta(round(_field(line, 13, 4, 2) * 1e9), unit="ns")
    north = -1 if line[18] == "S" else 1
    east = 1 if line[26] == "E" else -1
    return {
        "event_number": int(_field(line, 137, 10)),
        "time": pd.Timestamp(f"{line[:8]}T{line[8:12]}", tz="UTC") + seconds,
        "latitude": north * (_field(line, 17, 2) + _field(line, 20, 4, 2) / 60),
        "longitude": east * (_field(line, 24, 3) + _field(line, 28, 4, 2) / 60),
        "depth_km": _field(line, 32, 5, 2),
        "magnitude": _field(line, 124, 3, 2),
        "residual_rms_s": _field(line, 49, 4, 2),
    }


def _read_station(line: str) -> Iterator[dict[str, Any]]:
    minute = pd.Timestamp(f"{line[17:25]}T{line[25:29]}", tz="UTC")
    for phase, remark, weight, seconds, residual in (("P", 14, 17, 30, 35), ("S", 47, 50, 42, 51)):
        if phase not in line[remark - 1 : remark + 1]:
            continue
        yield {
            "network_code": line[5:7].strip(),
            "station_code": line[:5].strip(),
            "phase_type": phase,
            "phase_time": minute + pd.Timedelta(round(_field(line, seconds, 5, 2) * 1e9), unit="ns"),
            "weight_code": int(np.nan_to_num(_field(line, weight, 1))),
            "travel_time_residual_s": _field(line, residual, 4, 2),
        }
