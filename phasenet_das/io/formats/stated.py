"""What a vendor's file states of itself, read apart from the reader of its samples; and both compared.

Time stamps of samples come before a stated rate, and a rate before a stated end. Distances are those of the
header. Contradictions of a file with itself are warned about, and refused
where no field is the better evidence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import h5py
import numpy as np

from phasenet_das.errors import ChannelGeometryError, DataFormatError, SamplingError
from phasenet_das.io.patch import UNKNOWN_UNIT, parse_unit, unit_text
from phasenet_das.io.recording import Recording
from phasenet_das.io.time import FIRST_BELIEVABLE, Span, believable, parse_time, stamped_spans, usable_start

_SAME_INTERVAL = 1e-6
_SPACINGS_BESIDE = 1.5  # of the last channel, by two statements
_EARLIEST_S, _LATEST_S = 31_536_000.0, 4_102_444_800.0  # 1971 and 2100, in s since 1970
_TICKS_NS = (10**9, 10**6, 10**3, 1)
_FEW, _ALIKE = 1001, 0.01  # stamps whose step is looked at, relative
_NO_STAMPS = np.empty(0, "datetime64[ns]")
STAMP_NAMES = re.compile(r"^t$|time|stamp", re.IGNORECASE)
_BEST_STAMPS = (
    "gps",
    "utc",
    "unix",
    "das",
    "time",
    "stamp",
    "t",
    "posix",
    "cpu",
    "computer",
)  # by preference
_DEEPEST = 4
SPELT_OUT = {
    "1/s": "1 / second",
    "strain/s": "strain / second",
    "strain": "strain",
    "m/s": "meter / second",
    "rad": "radian",
    "counts": "count",
}
"""Frequent units as dascore writes them: dascore takes longer to load than a header takes to read."""


@dataclass(frozen=True)
class Stated:
    """What a file states; None and empty is what it does not.

    ``stamps`` (stamp,) datetime64[ns] are of every ``each``-th sample, ``jitter_s`` is what they may be off.
    ``intervals_s`` and ``ends`` (of the last sample) are named by their fields, the best first.
    ``distance_m`` (channel,) is that of each channel, ``last_m`` that of the last by another field.
    """

    stamps: np.ndarray | None = None
    each: int = 1
    jitter_s: float = 0.0
    intervals_s: Mapping[str, float] = field(default_factory=dict)
    ends: Mapping[str, np.datetime64] = field(default_factory=dict)
    start_time: np.datetime64 | None = None
    distance_m: np.ndarray | None = None
    last_m: Mapping[str, float] = field(default_factory=dict)
    unit: str = ""
    notes: tuple[str, ...] = ()


def compare(recording: Recording, stated: Stated) -> list[Recording]:
    """Take from a file's own statements whatever is better than what a reader made of them."""
    notes = list(stated.notes)
    if stated.distance_m is not None and (np.ptp(stated.distance_m) > 0 or recording.num_channels == 1):
        recording = replace(recording, distance_m=stated.distance_m)
        notes += _last_channel(recording, stated)
    if stated.unit:
        recording = replace(recording, unit=stated.unit)
    dt_s, intervals = _stated_interval(recording, stated)
    notes += intervals
    start = recording.start_time if stated.start_time is None else stated.start_time
    times: tuple[str, ...] = ()
    spans = [Span(0, recording.num_samples, start, dt_s)]
    if stated.stamps is not None and len(stated.stamps):
        relative = believable(start) and not believable(stated.stamps[0])
        spans, times = stamped_spans(
            stated.stamps + (start - stated.stamps[0]) if relative else stated.stamps,
            recording.label,
            recording.num_samples,
            each=stated.each,
            dt_s=dt_s if stated.intervals_s or stated.each > 1 or stated.jitter_s else float("nan"),
            jitter_s=stated.jitter_s,
        )
        notes += _first_stamp(recording, stated, dt_s)
    notes += [*times, *_ends(recording, stated, spans[-1])]
    every = np.arange(recording.num_channels)
    before = [None, *spans[:-1]]
    return [
        replace(
            recording.narrow(every, slice(span.first, span.last)),
            start_time=usable_start(span.start_time),
            start_found=recording.start_found if np.isnat(span.start_time) else str(span.start_time),
            dt_s=span.dt_s,
            set_back=earlier is not None and bool(span.start_time < earlier.start_time + _length(earlier)),
            warnings=(*recording.warnings, *notes),
        )
        for span, earlier in zip(spans, before, strict=True)
    ]


def _length(span: Span) -> np.timedelta64:
    return np.timedelta64(round((span.last - span.first) * span.dt_s * 1e9), "ns")


def _first_stamp(recording: Recording, stated: Stated, dt_s: float) -> list[str]:
    """Warn of a stated start that is not the first stamp."""
    start = recording.start_time if stated.start_time is None else stated.start_time
    first = None if stated.stamps is None else stated.stamps[0]
    if first is None or not believable(start) or not believable(first):
        return []
    limit_s = max(stated.jitter_s, 0.0 if np.isnan(dt_s) else dt_s)
    if abs(float((first - start) / np.timedelta64(1, "ns")) * 1e-9) <= limit_s:
        return []
    return [
        f"{recording.label}: the start is stated as {start}, the first stamp is {first}. The stamp counts."
    ]


def _stated_interval(recording: Recording, stated: Stated) -> tuple[float, list[str]]:
    """Choose the interval that a file states, the reader's where it states none."""
    found = {name: value for name, value in stated.intervals_s.items() if np.isfinite(value) and value > 0}
    if not found:
        return recording.dt_s, []
    name, dt_s = next(iter(found.items()))
    others = {key: value for key, value in found.items() if abs(value / dt_s - 1) > _SAME_INTERVAL}
    if not others:
        return dt_s, []
    both = ", ".join(f"{key} {value:.9g} s" for key, value in {name: dt_s, **others}.items())
    if stated.stamps is None or len(stated.stamps) < 2:
        fitting = [key for key, value in found.items() if _fits_an_end(recording, stated, value)]
        if not fitting:
            raise SamplingError(
                f"{recording.label}: the header contradicts itself: {both}. Nothing else tells the sampling "
                "interval. Correct the header."
            )
        name, dt_s = fitting[0], found[fitting[0]]
    return dt_s, [f"{recording.label}: the header contradicts itself: {both}. {name} is used."]


def _fits_an_end(recording: Recording, stated: Stated, dt_s: float) -> bool:
    start = recording.start_time if stated.start_time is None else stated.start_time
    return any(_samples_off(start, recording.num_samples, dt_s, end) <= 1.5 for end in stated.ends.values())


def _samples_off(start: np.datetime64, count: int, dt_s: float, end: np.datetime64) -> float:
    """Return by how many samples a stated end misses the last of `count` samples."""
    return abs(float((end - start) / np.timedelta64(1, "ns")) * 1e-9 / dt_s - (count - 1))


def _ends(recording: Recording, stated: Stated, last: Span) -> list[str]:
    """Warn of a stated end that misses the last sample; that of the next sample is an end too."""
    if np.isnat(last.start_time) or np.isnan(last.dt_s):
        return []
    off = {
        name: end
        for name, end in stated.ends.items()
        if _samples_off(last.start_time, last.last - last.first, last.dt_s, end) > 1.5
    }
    return [
        f"{recording.label}: {name} says that the last sample is at {end}, but start, interval and number of "
        "samples say otherwise. The end is not used."
        for name, end in off.items()
    ]


def _last_channel(recording: Recording, stated: Stated) -> list[str]:
    """Warn of a last channel elsewhere; refuse one that fits if samples were channels."""
    found_m = recording.distance_m
    step_m = float(found_m[-1] - found_m[0]) / max(len(found_m) - 1, 1)
    limit_m = _SPACINGS_BESIDE * abs(step_m)
    other_m = found_m[0] + (recording.num_samples - 1) * step_m
    for name, last_m in stated.last_m.items():
        if abs(last_m - other_m) <= limit_m < abs(last_m - found_m[-1]):
            raise DataFormatError(
                f"{recording.label}: found {recording.num_channels} channels of {recording.num_samples} "
                f"samples, but {name} fits the reverse. Expected time as the first axis. Transpose the data."
            )
    return [
        f"{recording.label}: {name} puts the last channel at {last_m:.6g} m, but first channel and spacing "
        f"put it at {found_m[-1]:.6g} m. The spacing is used."
        for name, last_m in stated.last_m.items()
        if len(found_m) > 1 and abs(last_m - found_m[-1]) > limit_m
    ]


def stamps_of(values: np.ndarray, near_s: float = float("nan")) -> np.ndarray:
    """Turn stored stamps into times: in the unit that makes them dates, else in the one of steps of `near_s`.

    `values` (stamp,) numbers, of which some may be NaN. Returns (stamp,) datetime64[ns], empty if no unit
    fits. Stamps that count from nowhere begin in 1970. A count of samples is a unit too.
    """
    values = np.ravel(values)
    if values.dtype.kind == "M":
        return values.astype("datetime64[ns]")
    if values.dtype.kind not in "iuf":
        return _NO_STAMPS
    values = _filled(values.astype(np.float64)) if values.dtype.kind == "f" else values.astype(np.int64)
    few = values[:: max(1, len(values) // 8)]
    usual = float(np.median(few)) if len(few) else 0.0
    tick_ns = next((item for item in _TICKS_NS if _EARLIEST_S < usual * item * 1e-9 < _LATEST_S), 0)
    if not tick_ns:
        step = float(np.median(np.diff(values[:_FEW]))) if len(values) > 1 else float("nan")
        units_ns = (item for item in _TICKS_NS if abs(step * item * 1e-9 / near_s - 1) < _ALIKE)
        tick_ns = next(units_ns, 0)
        if not tick_ns and step == 1 and near_s > 0:
            return np.rint(values * (near_s * 1e9)).astype(np.int64).astype("datetime64[ns]")
    whole = np.floor(values).astype(np.int64) if values.dtype.kind == "f" else values
    parts = np.rint((values - whole) * tick_ns).astype(np.int64)
    return (whole * tick_ns + parts).astype("datetime64[ns]") if tick_ns else _NO_STAMPS


def _filled(values: np.ndarray) -> np.ndarray:
    """Fill NaN between stamps, and cut it after the last; empty where most stamps are NaN."""
    known = np.flatnonzero(np.isfinite(values))
    if 2 * len(known) < len(values) or len(known) in (0, len(values)):
        return values[: len(known)] if len(known) == len(values) else values[:0]
    return np.interp(np.arange(known[-1] + 1), known, values[known])


def find_stamps(
    file: h5py.File, num_samples: int, near_s: float = float("nan")
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Find the dataset of an HDF5 file that stamps each sample; else name those that nearly do."""
    found: dict[str, h5py.Dataset] = {}

    def look(name: str, item: Any) -> None:  # noqa: ANN401 - a group or a dataset
        flat = isinstance(item, h5py.Dataset) and item.ndim and max(item.shape) == item.size > 0
        if flat and name.count("/") < _DEEPEST and STAMP_NAMES.search(name.rsplit("/", 1)[-1]):
            found[name] = item

    file.visititems(look)
    notes = []
    for name in sorted(found, key=_preference):
        stamps = stamps_of(found[name][()], near_s)
        stamps = stamps[: written(stamps)]
        if len(stamps) == num_samples:
            return stamps, ()
        notes.append(
            f"{file.filename}: {name} holds {len(stamps)} usable times. Expected one for each of "
            f"{num_samples} samples. They are not used."
        )
    return None, tuple(notes)


def _preference(name: str) -> tuple[int, str]:
    last = name.rsplit("/", 1)[-1].lower()
    return next((k for k, word in enumerate(_BEST_STAMPS) if word in last), len(_BEST_STAMPS)), name


def written(stamps: np.ndarray) -> int:
    """Count stamps up to the last that is a date: recorders leave zeros in a block that is not full."""
    dates = np.flatnonzero(stamps > FIRST_BELIEVABLE)
    return int(dates[-1]) + 1 if len(dates) else len(stamps)


def text_of(value: Any) -> str:  # noqa: ANN401 - an HDF5 attribute or a scalar dataset
    """Return an HDF5 value as text."""
    value = value[()] if isinstance(value, h5py.Dataset) else value
    value = np.ravel(value)[0] if isinstance(value, np.ndarray) and value.size else value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


@lru_cache(maxsize=64)
def unit_of_text(text: str) -> str:
    """Write a unit as other readers do; one that cannot be parsed keeps its words."""
    if not text or text.lower() == "unitless":
        return UNKNOWN_UNIT
    if text in SPELT_OUT:
        return SPELT_OUT[text]
    known = parse_unit(text)
    return text if known is None else unit_text(known)


def number_of(value: Any) -> float:  # noqa: ANN401 - an HDF5 attribute or a scalar dataset
    """Return an HDF5 value as a number, NaN where it is none."""
    try:
        return float(text_of(value).split()[0])
    except (ValueError, IndexError):
        return float("nan")


def _numbers(attrs: Mapping[str, Any], *names: str) -> tuple[float, ...]:
    return tuple(number_of(attrs[name]) if name in attrs else float("nan") for name in names)


def interval_of_rate(rate_hz: float) -> float:
    """Return the interval in s of a rate, NaN for what is none."""
    return 1.0 / rate_hz if np.isfinite(rate_hz) and rate_hz > 0 else float("nan")


def silixa(attrs: Mapping[str, Any], num_channels: int) -> Stated:
    """Read the header that Silixa writes to HDF5 and TDMS alike."""
    first_m, last_m, multiplier, step = _numbers(
        attrs, "Start Distance (m)", "Stop Distance (m)", "Fibre Length Multiplier", "SpatialResolution[m]"
    )
    if not np.isfinite(first_m):
        first_m = _numbers(attrs, "Zero Offset (m)")[0]
    spacing_m = step * (multiplier if np.isfinite(multiplier) else 1.0)
    if not np.isfinite(spacing_m) and num_channels > 1:
        spacing_m = (last_m - first_m) / (num_channels - 1)
    distance_m = first_m + np.arange(num_channels) * spacing_m
    rate = "SamplingFrequency[Hz]"
    return Stated(
        intervals_s={rate: interval_of_rate(_numbers(attrs, rate)[0])},
        distance_m=distance_m if np.isfinite(distance_m).all() else None,
        last_m={"Stop Distance (m)": last_m} if np.isfinite(last_m) else {},
    )


def _silixa_hdf5(file: h5py.File, recording: Recording) -> Stated:
    """Read the header, and a start in ISO 8601, of which dascore swaps day and month."""
    attrs = file["Acoustic"].attrs
    start = parse_time(text_of(attrs.get("GPSTimeStamp", "")))
    return replace(silixa(attrs, recording.num_channels), start_time=start)


def _ap_sensing(file: h5py.File, recording: Recording) -> Stated:
    """Take the spacing of the processing server: the positions of the digitiser count its own samples."""
    server, daq = file["ProcessingServer"], file["DAQ"]
    first_m, last_m = number_of(daq["PositionStart"]), number_of(daq["PositionEnd"])
    spacing_m = number_of(server["SpatialSampling"]) if "SpatialSampling" in server else float("nan")
    fine_m = number_of(daq["SamplingInterval"]) if "SamplingInterval" in daq else float("nan")
    points = number_of(server["SpatialSamplingPoints"]) if "SpatialSamplingPoints" in server else float("nan")
    if abs(fine_m * points / spacing_m - 1) < 1e-4 or not np.isfinite(spacing_m):
        spacing_m = fine_m * points
    distance_m = first_m + np.arange(recording.num_channels) * spacing_m
    gauge_m = number_of(server["GaugeLength"]) if "GaugeLength" in server else 0.0
    near = (
        abs(last_m - distance_m[-1]) <= gauge_m + _SPACINGS_BESIDE * spacing_m
    )  # the last gauge has no channel
    return Stated(
        intervals_s={"DataRate": interval_of_rate(number_of(server["DataRate"]))},
        distance_m=distance_m if np.isfinite(distance_m).all() else None,
        last_m={} if near else {"DAQ/PositionEnd": last_m},
    )


def _optodas(file: h5py.File, recording: Recording) -> Stated:
    header, shape = file["header"], file["data"].shape
    if recording.num_channels not in shape:
        raise ChannelGeometryError(
            f"{recording.label}: header/channels names {recording.num_channels} channels, but the data has "
            f"the shape {shape}. Expected a number for each channel. Correct the header."
        )
    axis = [text_of(name) for name in header["dimensionNames"][:]].index("time")
    fields = {"header/dt": "dt", f"header/dimensionRanges/dimension{axis}/unitScale": None}
    intervals_s = {name: number_of(file[name]) for name in fields if name in file}
    missing = header.get("missingSamples")
    notes: tuple[str, ...] = ()
    if missing is not None and missing.size:
        lost = (
            f"{recording.label}: header/missingSamples lists {missing.size} samples that the interrogator "
            "lost. Times after the first may be early."
        )
        notes = (lost,)
    return Stated(intervals_s=intervals_s, unit=text_of(header["unit"]).strip(), notes=notes)


def _terra15(file: h5py.File, recording: Recording) -> Stated:
    unit = text_of(file.attrs.get("data_product_units", ""))
    rows = len(file["data_product/data"])
    if recording.num_samples < min(rows, 2):
        raise SamplingError(
            f"{recording.label}: data_product/gps_time holds no times for {rows} samples. Expected seconds "
            "since 1970. If posix_time holds them, copy it to gps_time."
        )
    stamps, _ = find_stamps(file, recording.num_samples)
    return Stated(stamps=stamps, unit=unit if parse_unit(unit) is None else "")


def _neubrex(file: h5py.File, _recording: Recording) -> Stated:
    attrs = file["Acoustic"].attrs
    name = "TimeSamplingInterval(seconds)"
    return Stated(intervals_s={name: _numbers(attrs, name)[0]} if name in attrs else {})


def of_any_hdf5(file: h5py.File, recording: Recording) -> Stated:
    """Read what can be told from the layout alone: a stamp for each sample."""
    return Stated(stamps=find_stamps(file, recording.num_samples)[0])


OF_HDF5 = {
    "APSensing": _ap_sensing,
    "NeubrexDAS": _neubrex,
    "OptoDAS": _optodas,
    "Silixa_H5": _silixa_hdf5,
    "TERRA15": _terra15,
}
