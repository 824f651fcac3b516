"""The catalog in the Nordic format of SEISAN, through ObsPy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from phasenet_das.catalog.export.columns import Misfits
from phasenet_das.catalog.export.common import PreparedCatalog
from phasenet_das.catalog.obspy_events import obspy_catalog
from phasenet_das.tables import atomic_path

if TYPE_CHECKING:
    from obspy import UTCDateTime
    from obspy.core.event import Event, Origin


EPICENTRE: Final = ("longitude", "latitude")
_MAGNITUDE_TYPES: Final = frozenset({"ML", "Mc", "mb", "mB", "Ms", "MS", "Mw", "MW", "MbLg"})
_DEPTHS_M: Final = (-99_940.0, 999_940.0)  # F5.1, in km
_LARGEST_RMS_S: Final = 99.94  # F4.1
_KIND: Final = 79  # where a line says what it holds
# ObsPy stamps the present time into the line of the event's number; equal catalogs give equal files.
_STAMP: Final = re.compile(
    r"(?<=Action:ARG )\d\d-\d\d-\d\d \d\d:\d\d(?=.*ID:\d\d(\d\d)(\d\d)(\d\d)(\d\d)(\d\d))"
)


def write_nordic(catalog: PreparedCatalog, path: Path) -> Path:
    """Write located events and their picks as a Nordic file of SEISAN 12 and later.

    The newer of the two formats holds network codes, five-letter station codes and milliseconds. A magnitude
    without ``magnitude_type``, or of one that the format does not know, is left out.
    """
    made = obspy_catalog(catalog)
    for event in made:
        _narrow(event.origins[0], catalog.misfits)
        _drop_early(event, catalog.misfits)
        _name_phases(event)
        for comment in event.comments:  # lines are counted in bytes
            comment.text = comment.text.replace("°", " deg").encode("ascii", "replace").decode()
        for one in (event.origins[0], *event.picks):
            one.time = _to_milliseconds(one.time)
        event.magnitudes = [one for one in event.magnitudes if one.magnitude_type in _MAGNITUDE_TYPES]
    with atomic_path(path) as temporary:
        if len(made):
            made.write(str(temporary), format="NORDIC", nordic_format="NEW", high_accuracy=True)
            text = _with_seconds(temporary.read_text(), [event.origins[0].time for event in made])
            temporary.write_text(_STAMP.sub(r"\1-\2-\3 \4:\5", text))
    return path


def _narrow(origin: Origin, misfits: Misfits) -> None:
    """Take away what is wider than its columns, which would move all columns behind."""
    if origin.depth is not None and not _DEPTHS_M[0] <= origin.depth <= _DEPTHS_M[1]:
        misfits.add("depth_km", origin.depth / 1000, "")
        origin.depth = None
    rms_s = origin.quality.standard_error if origin.quality else None
    if rms_s is not None and rms_s > _LARGEST_RMS_S:
        misfits.add("residual_rms_s", rms_s, "")
        origin.quality.standard_error = None


def _drop_early(event: Event, misfits: Misfits) -> None:
    """Leave out picks before the origin: the hours of the format count from its day on."""
    origin = event.origins[0]
    early = {pick.resource_id for pick in event.picks if pick.time < origin.time}
    for pick in event.picks:
        if pick.resource_id in early:
            misfits.add("travel time", pick.time - origin.time, "no pick")
    event.picks = [pick for pick in event.picks if pick.resource_id not in early]
    origin.arrivals = [arrival for arrival in origin.arrivals if arrival.pick_id not in early]


def _name_phases(event: Event) -> None:
    """Name each pick by its arrival: the format holds one phase, and ObsPy writes that of the pick."""
    phase = {arrival.pick_id: arrival.phase for arrival in event.origins[0].arrivals}
    for pick in event.picks:
        pick.phase_hint = phase[pick.resource_id]


def _to_milliseconds(time: UTCDateTime) -> UTCDateTime:
    """Round to what is written, so that its minute, hour and day are those of the rounded time."""
    from obspy import UTCDateTime

    return UTCDateTime(ns=(time.ns + 500_000) // 1_000_000 * 1_000_000)


def _with_seconds(text: str, origin_times: list[UTCDateTime]) -> str:
    """Write the seconds of the origins again: ObsPy prints microseconds without their leading zeros.

    Line 1 holds tenths (F4.1), line H milliseconds (F6.3). Line 1 stays below 60.0, whose minute would be
    that of the next line.
    """
    lines, number, seconds = text.splitlines(keepends=True), -1, 0.0
    for position, line in enumerate(lines):
        kind = line[_KIND : _KIND + 1]
        if kind == "1":
            number += 1
            seconds = origin_times[number].second + origin_times[number].microsecond / 1e6
            lines[position] = f"{line[:16]}{min(round(seconds, 1), 59.9):4.1f}{line[20:]}"
        elif kind == "H":
            lines[position] = f"{line[:16]}{seconds:6.3f}{line[22:]}"
    return "".join(lines)
