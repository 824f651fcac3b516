"""Observations and stations for NonLinLoc (Lomax et al. 2000), and their reading.

A line of the phase format: station, instrument, component, onset, phase, first motion, date, hour and
minute, seconds, error type, error, coda duration, amplitude, period; ``?`` and -1 stand for what is not
known. Events are parted by blank lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from phasenet_das.catalog.export.common import PreparedCatalog, write_lines
from phasenet_das.errors import DataFormatError
from phasenet_das.text import records

_FIELDS = 14
# A pick without residuals (no event was located) still needs a finite error.
_UNKNOWN_ERROR_S = 1.0


def write_nonlinloc(catalog: PreparedCatalog, path: Path) -> Path:
    """Write the picks of events as NonLinLoc observations, times to 0.1 ms.

    The error is that of the pick, or 1 s where none is known.
    """
    lines: list[str] = []
    for event, own in catalog.events_with_picks():
        if len(own):
            lines += [f"PUBLIC_ID {event['event_id']}", *map(_line, records(own)), ""]
    return write_lines(lines or ["", ""], path)


def _line(pick: dict[str, Any]) -> str:
    time = pick["phase_time"].round("100us")
    seconds = time.second + time.microsecond * 1e-6
    error = pick["time_error_s"] if pick["time_error_s"] > 0 else _UNKNOWN_ERROR_S
    return (
        f"{pick['station_code']:<6} {'?':<4} {pick['channel_code'] or '?':<4} ? {pick['phase_type']:<6} ? "
        f"{time:%Y%m%d} {time:%H%M} {seconds:7.4f} GAU {error:9.2e} {-1:9.2e} {-1:9.2e} {-1:9.2e}"
    )


def write_nonlinloc_stations(placed: pd.DataFrame, path: Path) -> Path:
    """Write placed stations as ``GTSRCE`` statements: ``LATLON``, degrees, depth 0, elevation in km."""
    lines = [
        f"GTSRCE {row['station_code']} LATLON {row['latitude']:.6f} {row['longitude']:.6f} 0.0 "
        f"{row['elevation_m'] / 1000:.4f}"
        for row in records(placed)
    ]
    return write_lines(lines, path)


def read_nonlinloc(path: str | Path) -> pd.DataFrame:
    """Read NonLinLoc observations.

    Parameters
    ----------
    path : str or pathlib.Path
        A phase file; comment lines begin with ``#``.

    Returns
    -------
    pandas.DataFrame
        ``event_index`` (0, 1, ... in the order of the file), ``station_code, phase_type, phase_time`` (UTC)
        and ``time_error_s``.

    Raises
    ------
    DataFormatError
        A line has too few fields, or its time cannot be read.
    """
    rows, index, inside = [], -1, False
    for number, line in enumerate(Path(path).read_text().splitlines(), start=1):
        if not line.strip():
            inside = False
            continue
        if line.startswith("#"):
            continue
        index, inside = index + (not inside), True
        if line.startswith("PUBLIC_ID"):
            continue
        rows.append((index, *_parse(line, f"{path}, line {number}")))
    names = ["event_index", "station_code", "phase_type", "phase_time", "time_error_s"]
    return pd.DataFrame(rows, columns=names)


def _parse(line: str, where: str) -> tuple[str, str, pd.Timestamp, float]:
    parts = line.split()
    if len(parts) < _FIELDS:
        raise DataFormatError(f"{where}: expected {_FIELDS} fields of a NonLinLoc pick, found {len(parts)}.")
    try:
        minute = pd.Timestamp(f"{parts[6]}T{parts[7]}", tz="UTC")
        time = minute + pd.Timedelta(round(float(parts[8]) * 1e9), unit="ns")
        return parts[0], parts[4], time, float(parts[10])
    except ValueError as error:
        raise DataFormatError(f"{where}: the time or error cannot be read: {error}") from error
