"""The quakeflow_das HDF5 layout: one dataset ``data`` (channel, time) with its metadata as attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.errors import ChannelGeometryError, DataFormatError, SamplingError
from phasenet_das.io.formats.datasets import check_dataset, read_dataset, scale_notes, stored_type, time_axis
from phasenet_das.io.formats.stated import STAMP_NAMES, Stated, compare
from phasenet_das.io.patch import (
    get_channel_index,
    get_distance_m,
    get_dt_s,
    get_station_id,
    get_times,
    get_unit,
    spatial_first,
)
from phasenet_das.io.recording import Recording, recording_of_header, spacing_m
from phasenet_das.io.time import parse_time, sample_times

if TYPE_CHECKING:
    import h5py
    from dascore import Patch


_LAYOUT = "quakeflow_das HDF5"
_MARKS = ("begin_time", "start_time", "dt_s", "sampling_rate_hz")
_READ = {
    *_MARKS,
    *(
        "end_time",
        "dx_m",
        "unit",
        "first_channel",
        "station_id",
        "dims",
        "nt",
        "nch",
        "channel_index",
        "distance_m",
    ),
}
_NUMBERS, _DISTANCES = ("channel_index", "channels", "channel"), ("distance_m", "distance")  # datasets
_SAME_PLACE_M = 1e-6
_MANY_CHANNELS = 10  # times the samples
_NOT_ATTRS = {"coords", "history", "data_units"}  # dascore keeps these for itself


def is_quakeflow(file: h5py.File, *, marked: bool = True) -> bool:
    """Say whether an open HDF5 file is of this layout."""
    dataset = file.get("data")
    if not getattr(dataset, "ndim", 0):
        return False
    if _is_marked(file) or not marked:
        return True
    others = set(file) - {"data", *_NUMBERS, *_DISTANCES}
    return bool(others) and all(
        STAMP_NAMES.search(name) and getattr(file[name], "ndim", 0) for name in others
    )


def _is_marked(file: h5py.File) -> bool:
    return any(name in file["data"].attrs or name in file.attrs for name in _MARKS)


def open_quakeflow(path: Path, file: h5py.File) -> list[Recording]:
    """Describe a file of the quakeflow_das layout, without loading its data."""
    dataset = file["data"]
    attrs = {name: _plain(value) for name, value in {**file.attrs, **dataset.attrs}.items()}
    label = str(path)
    dt_s = _interval(attrs, label)
    found = attrs.get("begin_time", attrs.get("start_time"))
    start_time = parse_time(found)
    usable_dt_s = dt_s if dt_s is not None and np.isfinite(dt_s) and dt_s > 0 else None
    check_dataset(dataset, label)
    near_s = usable_dt_s or float("nan")
    time_first = _time_is_first(dataset.shape, attrs, usable_dt_s, label)
    numbers = _along(file, _NUMBERS)
    channels = float("nan") if numbers is None else len(numbers)
    channels = dataset.shape[time_first] if "dims" in attrs else channels
    time_first, stamps, notes = time_axis(dataset, time_first, near_s, channels, label)
    if stamps is not None and not _is_marked(file):
        notes = ()  # no layout stated an order
    shape = dataset.shape[::-1] if time_first else dataset.shape
    recording = recording_of_header(
        label,
        shape,
        partial(read_dataset, path, "data", time_first),
        dtype=stored_type(dataset),
        format=_LAYOUT if _is_marked(file) else "plain HDF5",
        start_time=start_time,
        start_found=" ".join(notes) if found is None else repr(str(found)),
        dt_s=dt_s,
        channel_index=_channel_index(file, attrs, shape[0]),
        distance_m=_along(file, _DISTANCES),
        dx_m=_spacing(attrs, label),
        unit=str(attrs.get("unit") or "unknown"),
        station_id=str(attrs.get("station_id") or ""),
        attrs=_other_attrs(attrs),
        warnings=(
            *notes,
            *scale_notes(attrs, label),
            *_end_mismatch(attrs, start_time, usable_dt_s, shape[1], label),
            *(() if stamps is not None else _order_in_doubt(file, attrs, usable_dt_s, shape, label)),
        ),
    )
    if stamps is None:
        return [recording]
    return compare(recording, Stated(stamps=stamps, intervals_s={"dt_s": usable_dt_s} if usable_dt_s else {}))


def _plain(value: Any) -> Any:  # noqa: ANN401 - an HDF5 attribute
    """Turn an HDF5 attribute into a plain Python value."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, np.generic):
        value = value.item()
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _number(attrs: Mapping[str, Any], name: str, label: str) -> float | None:
    """Return a numeric attribute, None when it is missing or NaN."""
    value = attrs.get(name)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise DataFormatError(f"{label}: attribute {name} is {value!r}, expected a number.") from error
    return None if np.isnan(number) else number


def _interval(attrs: Mapping[str, Any], label: str) -> float | None:
    dt_s, rate_hz = _number(attrs, "dt_s", label), _number(attrs, "sampling_rate_hz", label)
    if rate_hz is None:
        return dt_s
    if rate_hz <= 0:
        raise SamplingError(f"{label}: found sampling_rate_hz {rate_hz}, expected a positive number.")
    if dt_s is None:
        return 1.0 / rate_hz
    if abs(dt_s * rate_hz - 1) > 1e-6:
        raise SamplingError(
            f"{label}: dt_s {dt_s} and sampling_rate_hz {rate_hz} contradict each other. "
            "Correct one of the attributes."
        )
    return dt_s


def _spacing(attrs: Mapping[str, Any], label: str) -> float | None:
    dx_m = _number(attrs, "dx_m", label)
    if dx_m is not None and not (np.isfinite(dx_m) and dx_m >= 0):
        raise ChannelGeometryError(f"{label}: found dx_m {dx_m}, expected a positive channel spacing in m.")
    return dx_m or None


def _channel_index(file: h5py.File, attrs: Mapping[str, Any], num_channels: int) -> np.ndarray | None:
    numbers = _along(file, _NUMBERS)
    if numbers is not None:
        return numbers
    first = _number(attrs, "first_channel", str(file.filename))
    return None if first is None else np.arange(num_channels) + int(first)


def _along(file: h5py.File, names: tuple[str, ...]) -> np.ndarray | None:
    """Return the first dataset of these names that has a value for each channel."""
    found = next((file[name] for name in names if getattr(file.get(name), "ndim", 0)), None)
    return None if found is None else np.ravel(found[()])


def _time_is_first(shape: tuple[int, int], attrs: Mapping[str, Any], dt_s: float | None, label: str) -> bool:
    """Find the order of the axes: from ``dims``, else the counts, else begin and end; else the layout's."""
    expected, channels = _number(attrs, "nt", label), _number(attrs, "nch", label)
    if "dims" in attrs:
        time_first = _time_first_in(attrs["dims"], label)
        if expected != channels and shape == ((channels, expected) if time_first else (expected, channels)):
            raise DataFormatError(
                f"{label}: dims are {attrs['dims']!r}, but shape {shape}, nt and nch say the reverse. "
                "Correct the attribute that is wrong."
            )
        return time_first
    if expected is not None:
        return shape[0] == expected != shape[1]
    promised = _promised_samples(attrs, dt_s)
    if promised is None:
        return False
    first, second = (promised - 0.5 <= count <= promised + 1.5 for count in shape)  # as _end_mismatch
    return first and not second


def _promised_samples(attrs: Mapping[str, Any], dt_s: float | None) -> float | None:
    """Return how many samples begin and end say there are, None when they do not."""
    begin = parse_time(attrs.get("begin_time", attrs.get("start_time")))
    end = parse_time(attrs.get("end_time"))
    if begin is None or end is None or not dt_s:
        return None
    return float((end - begin).astype(np.int64)) * 1e-9 / dt_s


def _order_in_doubt(
    file: h5py.File, attrs: Mapping[str, Any], dt_s: float | None, shape: tuple[int, int], label: str
) -> tuple[str, ...]:
    """Warn of far more channels than samples where nothing says which axis is which."""
    said = {"dims", "nt"} & set(attrs) or {"channel_index", "distance_m"} & set(file)
    if said or _promised_samples(attrs, dt_s) is not None or shape[0] < _MANY_CHANNELS * shape[1]:
        return ()
    note = (
        f"{label}: taken for {shape[0]} channels of {shape[1]} samples, since nothing says the order of the "
        "axes and the layout has channels first. If time is first, write the attribute dims: 'time,channel'."
    )
    return (note,)


def _time_first_in(dims: Any, label: str) -> bool:  # noqa: ANN401 - an HDF5 attribute
    parts = [_plain(part) for part in dims] if isinstance(dims, np.ndarray | list | tuple) else [dims]
    names = re.findall(r"\w+", " ".join(map(str, parts)).lower())
    if len(names) != 2 or names.count("time") != 1:
        raise DataFormatError(f"{label}: dims are {dims!r}, expected 'channel,time' or 'time,channel'.")
    return names[0] == "time"


def _end_mismatch(
    attrs: Mapping[str, Any], start: np.datetime64 | None, dt_s: float | None, num_samples: int, label: str
) -> tuple[str, ...]:
    """Compare ``nt`` and ``end_time`` with the samples; the end may be that of the last or of the next."""
    promised = attrs.get("nt")
    if isinstance(promised, int | float) and promised != num_samples:
        return (f"{label}: nt is {promised:g}, but the data has {num_samples} samples. nt is not used.",)
    end = parse_time(attrs.get("end_time"))
    if end is None or start is None or not dt_s:
        return ()
    spanned = float((end - start).astype(np.int64)) * 1e-9 / dt_s
    if num_samples - 1.5 <= spanned <= num_samples + 0.5:
        return ()
    counted = sample_times(start, dt_s, 1, num_samples)[0]
    return (
        f"{label}: end_time is {end}, but start, dt_s and samples give {counted}. Times follow the start.",
    )


def _other_attrs(attrs: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: _plain(value) for name, value in attrs.items() if name not in _READ | _NOT_ATTRS}
    return {
        name: value for name, value in plain.items() if isinstance(value, str | int | float) and value != ""
    }


def write_quakeflow(patch: Patch, path: str | Path) -> Path:
    """Write a Patch in the quakeflow_das HDF5 layout, whole or not at all.

    Parameters
    ----------
    patch : dascore.Patch
        As :func:`phasenet_das.read` makes it.
    path : str or pathlib.Path
        The file; its folder is made when missing.

    Returns
    -------
    pathlib.Path
        The file written: dataset ``data`` (channel, time) in the Patch's dtype, attributes
        ``begin_time``, ``end_time`` (of the sample after the last), ``dt_s``, ``dx_m`` (when above 0),
        ``unit``, ``station_id``, ``first_channel``, ``dims`` and the Patch's own text and numbers.
        Datasets ``channel_index`` and ``distance_m`` are added when ``first_channel`` and ``dx_m``
        do not tell all.

    Raises
    ------
    DataFormatError
        The Patch has other dims than time and distance or channel.
    """
    import h5py

    from phasenet_das.tables import atomic_path

    path = Path(path)
    array = spatial_first(patch)
    numbers, distance_m = get_channel_index(patch), get_distance_m(patch)
    start, dt_s = get_times(patch)[0], get_dt_s(patch)
    attrs: dict[str, Any] = _other_attrs(dict(patch.attrs.model_dump()))
    attrs |= {
        "begin_time": f"{start}+00:00",
        "end_time": f"{sample_times(start, dt_s, 1, array.shape[1])[0]}+00:00",
        "dt_s": dt_s,
        "unit": get_unit(patch),
        "station_id": get_station_id(patch),
        "first_channel": int(numbers[0]),
        "dims": "channel,time",
    }
    dx_m = spacing_m(distance_m)
    if dx_m > 0:
        attrs["dx_m"] = dx_m
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("data", data=array).attrs.update(attrs)
        if not np.array_equal(numbers, numbers[0] + np.arange(len(numbers))):
            file["channel_index"] = numbers
        if np.isfinite(distance_m).all() and (
            not dx_m > 0 or not np.allclose(distance_m, numbers * dx_m, rtol=0, atol=_SAME_PLACE_M)
        ):
            file["distance_m"] = distance_m
    return path
