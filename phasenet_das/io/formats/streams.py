"""ObsPy Streams and miniSEED files in which every channel of one cable is a trace."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from phasenet_das.errors import DataFormatError, SamplingError
from phasenet_das.io.merge import merge
from phasenet_das.io.recording import Recording, recording_of_header

if TYPE_CHECKING:
    from obspy import Stream, Trace


_RECORD_START = re.compile(rb"^\d{6}[DRQM][ \x00]|^MS\x03")
_STATION_NUMBER = re.compile(r"^(\D*)(\d{1,9})$")
_FLOATS = {"FLOAT32": np.float32, "FLOAT64": np.float64}
_BESIDE = 0.1  # intervals by which the samples of two traces may lie beside each other
_RAGGED_ENDS = 0.05  # share of the span that traces may start later or end earlier than others

_Interval: TypeAlias = tuple[int, int]  # ns since 1970, half open
_Get: TypeAlias = Callable[[int, int], "Iterable[Trace]"]


@dataclass(frozen=True)
class _Cable:
    """Traces sorted into channels: ids in order of the channel numbers, and where each has data."""

    ids: list[str]
    numbers: np.ndarray | None
    spans: list[list[_Interval]]
    dt_ns: float
    warnings: tuple[str, ...]
    gap_note: str


def is_miniseed(path: Path) -> bool:
    """Say whether a file starts with a miniSEED record."""
    with path.open("rb") as file:
        return _RECORD_START.match(file.read(8)) is not None


def open_miniseed(path: Path) -> list[Recording]:
    """Describe a miniSEED file from its record headers."""
    import obspy
    from obspy.io.mseed import ObsPyMSEEDError
    from obspy.io.mseed.util import get_record_information

    try:
        if get_record_information(str(path))["excess_bytes"]:
            raise DataFormatError(f"{path}: the last miniSEED record is incomplete. Copy the file again.")
        headers = obspy.read(str(path), format="MSEED", headonly=True)
    except (ObsPyMSEEDError, OSError, ValueError, KeyError) as error:
        if isinstance(error, DataFormatError):
            raise
        raise DataFormatError(f"{path}: damaged miniSEED file ({error}). Copy it again.") from error

    found: set[str] = {trace.stats.mseed.encoding for trace in headers}
    samples = [trace for trace in headers if trace.stats.mseed.encoding != "ASCII"]
    if not samples:
        raise DataFormatError(f"{path}: holds text records only. Expected one trace for each channel.")
    kinds = [_FLOATS.get(encoding, np.int32) for encoding in found - {"ASCII"}]
    dtype = np.result_type(*kinds)
    cables = _cables(samples)
    return [
        recording
        for traces in cables
        for recording in _open(traces, partial(_read_traces, path), dtype, str(path), "miniSEED")
    ]


def from_stream(stream: Stream, label: str = "Stream") -> list[Recording]:
    """Describe a Stream of one-channel traces."""
    if any(isinstance(trace.data, np.ma.MaskedArray) for trace in stream):
        stream = stream.split()
    filled = [trace for trace in stream if trace.stats.npts > 0]
    if not filled:
        raise DataFormatError(f"{label}: holds no samples. Expected one trace for each channel.")
    dtype = np.result_type(*{trace.data.dtype for trace in filled})
    cables = _cables(filled)
    parts = [_open(traces, partial(_traces_held, traces), dtype, label, "ObsPy Stream") for traces in cables]
    return [recording for part in parts for recording in part]


def _cables(traces: Sequence[Trace]) -> list[list[Trace]]:
    """Sort traces into cables: by network, where several networks number channels alike."""
    by_network: dict[str, dict[str, list[Trace]]] = defaultdict(lambda: defaultdict(list))
    for trace in traces:
        by_network[trace.stats.network][trace.id].append(trace)
    numbers = [_numbers(by_id) for by_id in by_network.values()]
    known = [set(found.values()) for found in numbers if found is not None]
    if len(known) < len(numbers) or len(set().union(*known)) == sum(map(len, known)):
        return [list(traces)]
    return [[trace for group in by_id.values() for trace in group] for by_id in by_network.values()]


def _open(traces: Iterable[Trace], get: _Get, dtype: np.dtype[Any], label: str, name: str) -> list[Recording]:
    by_id: dict[str, list[Trace]] = defaultdict(list)
    for trace in traces:
        by_id[trace.id].append(trace)
    cable = _sort(by_id, label)
    spans = reduce(_overlap, cable.spans)
    notes = cable.warnings + _ragged_ends(cable, spans, label)
    first = [by_id[code][0].stats for code in cable.ids]
    distances = [stats.get("distance") for stats in first]
    networks = {stats.network for stats in first}
    station_id = networks.pop() if len(networks) == 1 else ""
    return [
        recording_of_header(
            label,
            (len(cable.ids), int((end - start) / cable.dt_ns + _BESIDE)),
            _Traces(get, cable.ids, _beside(cable, start), start, cable.dt_ns, dtype, label),
            dtype=dtype,
            format=name,
            start_time=np.datetime64(start, "ns"),
            start_found=str(np.datetime64(start, "ns")),
            dt_s=cable.dt_ns * 1e-9,
            channel_index=cable.numbers,
            distance_m=None if None in distances else np.asarray(distances, dtype=np.float64),
            station_id=station_id,
            warnings=notes,
            gap_note=cable.gap_note,
        )
        for start, end in spans
    ]


def _sort(by_id: dict[str, list[Trace]], label: str) -> _Cable:
    stations = [code.rsplit(".", 2)[0] for code in by_id]
    if len(set(stations)) < len(stations):
        twice = next(code for code in stations if stations.count(code) > 1)
        raise DataFormatError(
            f"{label}: station {twice} has several components or locations. Expected one trace for each "
            "channel. "
            "Keep one with Stream.select(channel=…)."
        )
    dt_s = _common_interval([trace for group in by_id.values() for trace in group], label)
    numbers = _numbers(by_id)
    order = list(by_id) if numbers is None else sorted(by_id, key=numbers.__getitem__)
    spans = [_spans(by_id[code], dt_s, label) for code in order]
    broken = [code for code, found in zip(order, spans, strict=True) if len(found) > 1]
    unnumbered = f"{label}: station codes give no unique numbers. Channels are 0 to {len(order) - 1}."
    return _Cable(
        ids=order,
        numbers=None if numbers is None else np.array([numbers[code] for code in order], dtype=np.int32),
        spans=spans,
        dt_ns=dt_s * 1e9,
        warnings=(unnumbered,) if numbers is None and len(order) > 1 else (),
        gap_note=_name_broken(broken, len(order)) if broken else "",
    )


def _name_broken(broken: list[str], count: int) -> str:
    names = ", ".join(broken[:5]) + (" …" if len(broken) > 5 else "")
    return f"Gaps are in {len(broken)} of {count} traces: {names}."


def _common_interval(traces: list[Trace], label: str) -> float:
    delta = np.array([trace.stats.delta for trace in traces])
    odd = np.flatnonzero(np.abs(delta / np.median(delta) - 1) > 1e-6)
    if odd.size:
        names = ", ".join(f"{traces[k].id} {delta[k]:.9g} s" for k in odd[:3])
        raise SamplingError(
            f"{label}: {odd.size} of {len(traces)} traces differ in sampling interval from "
            f"{np.median(delta):.9g} s "
            f"({names}). Resample them, or leave them out."
        )
    return float(np.median(delta))


def _numbers(by_id: dict[str, list[Trace]]) -> dict[str, int] | None:
    """Read channel numbers off the station codes, None when they are not numbers of one series."""
    found = {code: _STATION_NUMBER.match(group[0].stats.station) for code, group in by_id.items()}
    matches = [match for match in found.values() if match is not None]
    numbers = {int(match[2]) for match in matches}
    if len(numbers) < len(by_id) or len({match[1] for match in matches}) > 1:
        return None
    return {code: int(match[2]) for code, match in found.items() if match is not None}


def _spans(group: list[Trace], dt_s: float, label: str) -> list[_Interval]:
    """Return where a channel has data, in time order, with traces joined that continue each other."""
    ordered = sorted((trace.stats for trace in group), key=lambda stats: stats.starttime.ns)
    starts, counts = (
        np.array(values, dtype=np.int64)
        for values in zip(*((stats.starttime.ns, stats.npts) for stats in ordered), strict=True)
    )
    plan = merge(starts, counts, np.full(len(starts), dt_s))
    if plan.skipped.any():
        k = int(np.flatnonzero(plan.skipped)[0])
        mend = "Join them with Stream.merge() if they are one channel, or give each its own station code."
        if not group[0].stats.station:
            mend = "Their station code is blank: give each channel its own, such as 00001, 00002."
        raise SamplingError(
            f"{label}: traces of {group[0].id} overlap by {plan.skipped[k]} samples at "
            f"{ordered[k].starttime}. Expected each sample once. {mend}"
        )
    firsts = np.flatnonzero(plan.cause >= 0)
    lengths = np.add.reduceat(counts, firsts)
    return [
        (start, start + round(length * dt_s * 1e9))
        for start, length in zip(starts[firsts].tolist(), lengths.tolist(), strict=True)
    ]


def _beside(cable: _Cable, origin_ns: int) -> dict[str, float]:
    """Name the traces whose samples lie beside the common axis, and by how many intervals."""
    off = {}
    for code, found in zip(cable.ids, cable.spans, strict=True):
        start = next(start for start, end in found if end > origin_ns)
        exact = (start - origin_ns) / cable.dt_ns
        if abs(exact - round(exact)) > _BESIDE:
            off[code] = abs(exact - round(exact))
    return off


def _overlap(one: list[_Interval], other: list[_Interval]) -> list[_Interval]:
    """Intersect two lists of intervals."""
    both = [(max(a, c), min(b, d)) for a, b in one for c, d in other]
    return [(start, end) for start, end in both if start < end]


def _ragged_ends(cable: _Cable, spans: list[_Interval], label: str) -> tuple[str, ...]:
    """Say what is left out where traces start late or end early; refuse when it is a lot."""
    starts = np.array([found[0][0] for found in cable.spans])
    ends = np.array([found[-1][1] for found in cable.spans])
    late, early = cable.ids[int(starts.argmax())], cable.ids[int(ends.argmin())]
    if not spans:
        raise SamplingError(
            f"{label}: no time at which all {len(cable.ids)} traces have data: {late} starts at "
            f"{np.datetime64(int(starts.max()), 'ns')}, {early} ends at "
            f"{np.datetime64(int(ends.min()), 'ns')}. Leave out "
            "the odd traces."
        )
    left_out = [spans[0][0] - int(starts.min()), int(ends.max()) - spans[-1][1]]
    if max(left_out) <= _BESIDE * cable.dt_ns:
        return ()
    what = (
        f"{label}: traces differ in span: {left_out[0] * 1e-9:.6g} s at the start (until {late} starts) and "
        f"{left_out[1] * 1e-9:.6g} s at the end (from where {early} ends)"
    )
    if sum(left_out) > _RAGGED_ENDS * int(ends.max() - starts.min()):
        raise SamplingError(f"{what} are not on all channels. Leave out those traces, or use Stream.trim().")
    return (f"{what} are left out.",)


def _read_traces(path: Path, start_ns: int, end_ns: int) -> Iterable[Trace]:
    """Read the traces of a span from a file."""
    import obspy

    first, last = obspy.UTCDateTime(ns=start_ns), obspy.UTCDateTime(ns=end_ns)
    stream: Stream = obspy.read(str(path), format="MSEED", starttime=first, endtime=last)
    return stream


def _traces_held(traces: list[Trace], _start_ns: int, _end_ns: int) -> Iterable[Trace]:
    return traces


@dataclass(frozen=True)
class _Traces:
    """Reads blocks of traces; every sample of a block lies in a trace."""

    get: _Get
    ids: list[str]
    beside: dict[str, float]
    origin_ns: int
    dt_ns: float
    dtype: np.dtype[Any]
    label: str

    def __call__(self, channels: slice, samples: slice) -> np.ndarray:
        ids = self.ids[channels]
        for code in ids:
            if code in self.beside:
                raise SamplingError(
                    f"{self.label}: samples of {code} lie {self.beside[code]:.2f} intervals beside those of "
                    "the other traces. Expected one time axis. Interpolate the traces to common times first."
                )
        start = self.origin_ns + round(samples.start * self.dt_ns)
        count = samples.stop - samples.start
        rows = {code: row for row, code in enumerate(ids)}
        block = np.zeros((len(ids), count), dtype=self.dtype)
        for trace in self.get(start, start + round((count - 1) * self.dt_ns)) if count else ():
            if trace.id in rows:
                place_trace(trace, block[rows[trace.id]], start, self.dt_ns)
        return block


def place_trace(trace: Trace, row: np.ndarray, start_ns: int, dt_ns: float) -> None:
    """Copy the part of a trace that falls into a row which starts at `start_ns`."""
    offset = round((trace.stats.starttime.ns - start_ns) / dt_ns)
    first, last = max(offset, 0), min(offset + trace.stats.npts, len(row))
    if first < last:
        row[first:last] = trace.data[first - offset : last - offset]
