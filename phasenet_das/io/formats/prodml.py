"""PRODML: each raw record of an acquisition, and its bands of energy by name only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from phasenet_das.errors import ChannelGeometryError, DataFormatError
from phasenet_das.io.formats.datasets import axes_order, check_dataset, read_dataset, scale_notes, stored_type
from phasenet_das.io.formats.stated import (
    Stated,
    compare,
    interval_of_rate,
    number_of,
    stamps_of,
    text_of,
    unit_of_text,
)
from phasenet_das.io.patch import metres
from phasenet_das.io.recording import Recording, recording_of_header
from phasenet_das.io.time import believable, parse_time

_MARKS = {"PulseRate", "NumberOfLoci", "schemaVersion", "SpatialSamplingInterval"}
_SPACING_UNITS = (
    "SpatialSamplingIntervalUnit",
    "SpatialSamplingIntervalUnits",
    "SpatialSamplingInterval.uom",
)
_GAUGE_UNITS = ("GaugeLengthUnit", "GaugeLengthUnits", "GaugeLength.uom")
_TIME_NAMES, _CHANNEL_NAMES = {"time"}, {"locus", "distance", "channel"}


def open_prodml(path: Path, file: h5py.File) -> list[Recording] | None:
    """Describe the raw records of a PRODML file, None for a file of another kind."""
    acquisition = file.get("Acquisition")
    if acquisition is None or not set(acquisition.attrs) >= _MARKS:
        return None
    nodes = [acquisition[name] for name in sorted(acquisition) if name.lower().startswith("raw")]
    raw = [(node, data) for node in nodes if (data := _data(node)) is not None]
    others = _bands(acquisition)
    if not raw:
        found = f"bands of energy ({others[0]} and {len(others) - 1} more)" if others else "no raw record"
        raise DataFormatError(
            f"{path}: found {found} in this PRODML file. Expected samples of waves: a group "
            "Acquisition/Raw[0] with RawData and RawDataTime."
        )
    notes: tuple[str, ...] = ()
    if others:
        notes = (f"{path}: {len(others)} band(s) of energy, such as {others[0]}, are not read.",)
    parts = [_record(path, acquisition, node, data, notes) for node, data in raw]
    return [recording for part in parts for recording in part]


def _data(node: h5py.Group | h5py.Dataset) -> h5py.Dataset | None:
    """Find the samples of a raw record, None where it has none."""
    names = [name for name in node if name.lower().endswith("data")] if isinstance(node, h5py.Group) else []
    found = node[names[0]] if len(names) == 1 else None
    return found if isinstance(found, h5py.Dataset) else None


def _bands(acquisition: h5py.Group) -> list[str]:
    found: list[str] = []

    def look(_name: str, item: Any) -> None:  # noqa: ANN401 - a group or a dataset
        if isinstance(item, h5py.Dataset) and item.ndim == 2:
            found.append(item.name.lstrip("/"))

    for name in acquisition:
        if name.lower().startswith(("processed", "fbe")) and isinstance(acquisition[name], h5py.Group):
            acquisition[name].visititems(look)
    return sorted(found)


def _record(
    path: Path, acquisition: h5py.Group, node: h5py.Group, data: h5py.Dataset, notes: tuple[str, ...]
) -> list[Recording]:
    attrs, label = acquisition.attrs, str(path)
    check_dataset(data, label)
    times = [node[name] for name in node if name.lower().endswith("datatime")]
    loci, num_stamps = number_of(attrs["NumberOfLoci"]), times[0].size if len(times) == 1 else 0
    time_first = _time_first(data.attrs if "Dimensions" in data.attrs else node.attrs, label)
    time_first, turned = axes_order(time_first, data.shape, num_stamps, loci, label)
    notes = (*notes, *turned, *scale_notes(data.attrs, label))
    shape = data.shape[::-1] if time_first else data.shape
    first = int(number_of(attrs.get("StartLocusIndex", node.attrs.get("StartLocusIndex", 0))))
    step_m = float(attrs["SpatialSamplingInterval"])
    if not step_m > 0:
        raise ChannelGeometryError(f"{label}: found SpatialSamplingInterval {step_m}, expected more than 0.")
    stated, start = _stated(node, data, times, shape[1])
    if loci != shape[0]:
        notes = (*notes, f"{label}: NumberOfLoci is {loci:g}, but {data.name} has {shape[0]} channels.")
    recording = recording_of_header(
        label,
        shape,
        partial(read_dataset, path, data.name, time_first),
        dtype=stored_type(data),
        format=f"PRODML {text_of(attrs['schemaVersion'])}",
        start_time=start,
        dt_s=next(iter(stated.intervals_s.values()), None),
        channel_index=first + np.arange(shape[0]),
        distance_m=metres((first + np.arange(shape[0])) * step_m, _first_text(attrs, _SPACING_UNITS), label),
        unit=unit_of_text(text_of(node.attrs.get("RawDataUnit", ""))),
        attrs=_gauge(attrs),
        warnings=notes,
    )
    return compare(recording, stated)


def _stated(
    node: h5py.Group, data: h5py.Dataset, times: list[h5py.Dataset], num_samples: int
) -> tuple[Stated, np.datetime64 | None]:
    """Read stamps, rate and end of a raw record, and its start: a stamp, or text where that is no date."""
    texts: dict[str, Any] = {}
    for item in (node, *times, data):
        texts |= {name: parse_time(text_of(item.attrs[name])) for name in _TEXTS if name in item.attrs}
    start, end = texts.get("PartStartTime"), texts.get("PartEndTime")
    dt_s = interval_of_rate(number_of(node.attrs.get("OutputDataRate", "")))
    intervals_s = {"OutputDataRate": dt_s}
    stamps = stamps_of(times[0][()], dt_s) if len(times) == 1 else np.empty(0, "datetime64[ns]")
    whole = len(stamps) == num_samples
    if not whole and start is not None and end is not None and num_samples > 1:
        intervals_s["PartEndTime"] = float((end - start) / np.timedelta64(1, "ns")) * 1e-9 / (num_samples - 1)
    intervals_s = {name: value for name, value in intervals_s.items() if value > 0}
    if not believable(start) and whole and believable(stamps[0]):
        start = stamps[0]
    ends = {} if end is None or not believable(end) else {"PartEndTime": end}
    return Stated(stamps=stamps if whole else None, intervals_s=intervals_s, ends=ends), start


_TEXTS = ("PartStartTime", "PartEndTime")


def _time_first(attrs: Mapping[str, Any], label: str) -> bool:
    """Read the order of the axes; PRODML's own is time, locus."""
    found = attrs.get("Dimensions", "time locus")
    parts = (
        [text_of(part) for part in np.ravel(found)]
        if isinstance(found, np.ndarray | list)
        else [text_of(found)]
    )
    names = " ".join(parts).lower().replace(",", " ").split()
    if len(names) != 2 or not (set(names) & _TIME_NAMES and set(names) & _CHANNEL_NAMES):
        raise DataFormatError(
            f"{label}: Dimensions are {names}, expected time and locus. Correct the attribute."
        )
    return names[0] in _TIME_NAMES


def _first_text(attrs: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((text_of(attrs[name]) for name in names if name in attrs), "")


def _gauge(attrs: Mapping[str, Any]) -> dict[str, Any]:
    if "GaugeLength" not in attrs:
        return {}
    units = _first_text(attrs, _GAUGE_UNITS) or "m"
    return {"gauge_length": number_of(attrs["GaugeLength"]), "gauge_length_units": units}
