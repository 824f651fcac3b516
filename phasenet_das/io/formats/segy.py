"""SEG-Y: start, delay and interval of every trace; each record of a file is a recording."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from phasenet_das.errors import DataFormatError, SamplingError
from phasenet_das.io.recording import Recording, recording_of_header
from phasenet_das.io.time import FIRST_BELIEVABLE

_ENDINGS = {".sgy", ".segy"}
_TEXT, _BINARY, _TRACE = 3200, 400, 240  # bytes of the headers
_IBM = 1
_TYPES = {
    1: "u4",
    2: "i4",
    3: "i2",
    5: "f4",
    6: "f8",
    8: "i1",
    9: "i8",
    10: "u4",
    11: "u2",
    12: "u8",
    16: "u1",
}
_LOCAL_TIME, _GPS_TIME = 1, 5
_MOST = {"day": 366, "hour": 24, "minute": 59, "second": 60}
_FIELDS = {  # first byte of a field of the trace header, from 0, and its type
    "record": (8, "i4"),
    "number": (12, "i4"),
    "delay_ms": (108, "i2"),
    "samples": (114, "u2"),
    "interval_us": (116, "u2"),
    "year": (156, "i2"),
    "day": (158, "i2"),
    "hour": (160, "i2"),
    "minute": (162, "i2"),
    "second": (164, "i2"),
    "base": (166, "i2"),
    "scalar": (214, "i2"),
}


def is_segy(path: Path) -> bool:
    """Say whether a file has the ending and the length of SEG-Y, and is no HDF5."""
    if path.suffix.lower() not in _ENDINGS or path.stat().st_size < _TEXT + _BINARY:
        return False
    with path.open("rb") as file:
        return not file.read(8).startswith(b"\x89HDF")


def _binary(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(_TEXT)
        return file.read(_BINARY)


def _order(binary: bytes) -> str | None:
    """Find the byte order in which the format code and revision are known ones."""
    for order in (">", "<"):
        code = int(np.frombuffer(binary, f"{order}i2", 1, 24)[0])
        samples = int(np.frombuffer(binary, f"{order}u2", 1, 20)[0])
        if code in _TYPES and samples and binary[300 if order == ">" else 301] in (0, 1, 2):
            return order
    return None


def open_segy(path: Path) -> list[Recording]:
    """Describe a SEG-Y file from the headers of its traces."""
    label, binary = str(path), _binary(path)
    order = _order(binary)
    if order is None:
        code, samples = (int(item) for item in np.frombuffer(binary, ">i2", 3, 20)[[2, 0]])
        raise DataFormatError(
            f"{label}: found sample format {code}, {samples} samples a trace and revision {binary[300]} in "
            f"the header of SEG-Y. Expected a format of {sorted(_TYPES)}, 1 sample or more and revision 0 to "
            "2. Write the file anew in one of these."
        )
    code, count = (
        int(np.frombuffer(binary, f"{order}{kind}", 1, at)[0]) for kind, at in (("i2", 24), ("u2", 20))
    )
    revision = binary[300 if order == ">" else 301]
    extended = int(np.frombuffer(binary, f"{order}i2", 1, 304)[0])
    if revision and extended < 0:
        raise DataFormatError(
            f"{label}: the number of extended text headers is not stated ({extended}). Expected 0 or more. "
            "Write the file anew with their number."
        )
    begin = _TEXT + _BINARY + (_TEXT * extended if revision else 0)
    if revision >= 2:
        count = int(np.frombuffer(binary, f"{order}u4", 1, 68)[0]) or count
    traces = _traces(path, begin, count, np.dtype(f"{order}{_TYPES[code]}"))
    heads = _heads(traces["head"], order)
    if (heads["samples"] != min(count, count & 0xFFFF)).any() and (heads["samples"] != 0).any():
        raise DataFormatError(
            f"{label}: traces have {np.unique(heads['samples'])[:5].tolist()} samples, the file's header "
            f"says {count}. Expected traces of one length. Write one file for each length."
        )
    dt_s = _interval(heads["interval_us"], binary, order, revision, label)
    starts, notes = _starts(heads, label)
    recordings: list[Recording] = []
    for rows in _records(heads, starts, label):
        start = starts[rows[0]]
        recordings.append(
            recording_of_header(
                label,
                (len(rows), count),
                partial(_read_block, path, begin, count, traces.dtype["data"].base, code, rows),
                dtype=np.dtype("f4") if code == _IBM else traces.dtype["data"].base.newbyteorder("="),
                start_time=start,
                start_found=str(start) if not np.isnat(start) else _date_found(heads, rows[0]),
                channel_index=np.arange(len(rows)),
                format=f"SEG-Y {revision}",
                dt_s=dt_s or None,
                set_back=bool(recordings) and bool(dt_s) and bool(start < recordings[-1].end_time),
                warnings=notes,
            )
        )
    return recordings


def _traces(path: Path, begin: int, count: int, kind: np.dtype[Any]) -> np.ndarray:
    """Map the traces of a file: fields `head` and `data`, nothing is read yet."""
    trace = np.dtype([("head", f"V{_TRACE}"), ("data", kind, (count,))])
    number, rest = divmod(path.stat().st_size - begin, trace.itemsize)
    if rest or number < 1:
        raise DataFormatError(
            f"{path}: {number} traces of {count} samples leave {rest} bytes. Expected whole traces of one "
            "length. It was probably cut short: copy it again."
        )
    return np.memmap(path, trace, "r", begin, (number,))


def _heads(heads: np.ndarray, order: str) -> dict[str, np.ndarray]:
    raw = np.array(heads).view("u1").reshape(len(heads), _TRACE)
    return {
        name: np.ascontiguousarray(raw[:, at : at + int(kind[1])])
        .view(f"{order}{kind}")
        .ravel()
        .astype(np.int64)
        for name, (at, kind) in _FIELDS.items()
    }


def _interval(in_traces: np.ndarray, binary: bytes, order: str, revision: int, label: str) -> float:
    """Join the intervals of traces and file in s, 0 where none is stated."""
    of_file = float(np.frombuffer(binary, f"{order}u2", 1, 16)[0])
    exact = float(np.frombuffer(binary, f"{order}f8", 1, 72)[0]) if revision >= 2 else 0.0
    stated = {float(value) for value in np.unique(in_traces) if value} | ({of_file} if of_file else set())
    if len(stated) > 1:
        raise SamplingError(
            f"{label}: intervals of {sorted(stated)} µs are stated (file "
            f"header {of_file:g} µs). Expected one interval. Correct the headers."
        )
    rounded = stated.pop() if stated else 0.0
    if np.isfinite(exact) and exact > 0 and (not rounded or abs(exact - rounded) <= 1):
        return exact * 1e-6
    return rounded * 1e-6


def _starts(heads: dict[str, np.ndarray], label: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the time of the first sample of each trace (trace,) datetime64[ns], with its recording delay."""
    known = (heads["year"] > 1970) & (heads["day"] > 0)
    for name, most in _MOST.items():
        known &= (heads[name] >= 0) & (heads[name] <= most)
    years = np.where(known, heads["year"], 1970).astype("i8") - 1970
    scalar = np.where(heads["scalar"] == 0, 1, heads["scalar"]).astype(float)
    delay_ms = heads["delay_ms"] * np.where(scalar > 0, scalar, -1 / scalar)
    seconds = ((heads["day"] - 1) * 24 + heads["hour"]) * 3600 + heads["minute"] * 60 + heads["second"]
    starts = years.astype("datetime64[Y]").astype("datetime64[ns]") + seconds.astype("timedelta64[s]")
    starts = starts + np.rint(delay_ms * 1e6).astype("i8").astype("timedelta64[ns]")
    starts = np.where(known & (starts >= FIRST_BELIEVABLE), starts, np.datetime64("NaT", "ns"))
    bases = set(np.unique(heads["base"]).tolist())
    said = {_LOCAL_TIME: "local time", _GPS_TIME: "GPS time, ahead of UTC by leap seconds"} if bases else {}
    notes = (
        f"{label}: the header says that its times are {text}. They are read as UTC."
        for k, text in said.items()
        if k in bases
    )
    return starts, tuple(notes)


def _date_found(heads: dict[str, np.ndarray], trace: int) -> str:
    return ", ".join(f"{name} {heads[name][trace]}" for name in ("year", *_MOST))


def _records(heads: dict[str, np.ndarray], starts: np.ndarray, label: str) -> list[np.ndarray]:
    """Sort traces into records: of one start, and of one field record where that tells more."""
    numbers = heads["record"]
    if len(np.unique(numbers)) == len(numbers):  # a count of traces
        numbers = np.zeros_like(numbers)
    keys = np.stack([starts.astype(np.int64), numbers], axis=1)
    _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    groups = [np.flatnonzero(which.ravel() == k) for k in np.argsort(first, kind="stable")]
    begun = [starts[rows[0]] for rows in groups]
    longest = heads["number"][max(groups, key=len)]
    for rows in groups:
        if not np.array_equal(heads["number"][rows], longest[: len(rows)]):
            raise SamplingError(
                f"{label}: {len(rows)} of {len(longest)} traces of a record, such as trace {rows[0] + 1}, "
                f"start at another time ({starts[rows[0]]}). Expected one start for each record. Correct "
                "their headers."
            )
    repeated = any(_repeats(heads["number"][rows]) for rows in groups)
    if repeated or len({str(item) for item in begun}) < len(groups):
        raise SamplingError(
            f"{label}: holds several records (traces of equal numbers) that start at the same time "
            f"({begun[0]}). Expected a time for each. Write a file for each, or correct the times."
        )
    return groups


def _repeats(numbers: np.ndarray) -> bool:
    """Say whether traces are numbered 1, 2, ... n several times; equal numbers throughout are none."""
    unique, counts = np.unique(numbers, return_counts=True)
    return len(unique) > 1 and bool((counts == counts[0]).all()) and bool(counts[0] > 1)


def _read_block(
    path: Path,
    begin: int,
    count: int,
    kind: np.dtype[Any],
    code: int,
    rows: np.ndarray,
    channels: slice,
    samples: slice,
) -> np.ndarray:
    """Read a block of some traces, as numbers of this machine."""
    values = np.array(_traces(path, begin, count, kind)["data"][rows[channels], samples])
    return _of_ibm(values.astype(np.uint32)) if code == _IBM else values.astype(kind.newbyteorder("="))


def _of_ibm(bits: np.ndarray) -> np.ndarray:
    """Turn IBM floats, as unsigned integers, into float32."""
    sign = np.where(bits >> 31, -1.0, 1.0)
    exponent = ((bits >> 24) & 0x7F).astype(np.int64) - 64
    return (sign * (bits & 0xFFFFFF) * 2.0**-24 * 16.0**exponent).astype(np.float32)
