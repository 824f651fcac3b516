"""Datasets of HDF5: their blocks, packed numbers, and which of their axes is time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from phasenet_das.io.formats.stated import find_stamps, number_of, text_of
from phasenet_das.io.patch import check_array

_PACKING = {"scale_factor": 1.0, "add_offset": 0.0, "_FillValue": float("nan")}  # CF names, and defaults
_SCALES = re.compile(
    r"^(data_?)?(scal(e|ing)|gain|calibration|conversion)(_?(factor|constant))?$", re.IGNORECASE
)


def read_dataset(path: Path, name: str, time_first: bool, channels: slice, samples: slice) -> np.ndarray:
    """Read a block of a dataset of an HDF5 file, channels first, with the CF attributes of packed numbers."""
    with h5py.File(path, "r") as file:
        dataset = file[name]
        block: np.ndarray = dataset[samples, channels].T if time_first else dataset[channels, samples]
        packing = {key: number_of(dataset.attrs[key]) for key in _PACKING if key in dataset.attrs}
    if not packing:
        return block
    scale, offset, fill = (packing.get(key, default) for key, default in _PACKING.items())
    values = np.where(block == fill, np.nan, block * scale + offset)
    return values.astype(np.float32)


def check_dataset(data: h5py.Dataset, label: str) -> None:
    """Refuse a dataset that cannot be samples: not two axes, empty, or no real numbers."""
    check_array(np.broadcast_to(np.zeros((), data.dtype), data.shape), label)


def stored_type(dataset: h5py.Dataset) -> np.dtype[Any]:
    """Return the type of the values that `read_dataset` returns."""
    packed = any(key in dataset.attrs for key in _PACKING)
    return np.dtype(np.float32) if packed else np.dtype(dataset.dtype)


def scale_notes(attrs: Mapping[str, Any], label: str) -> tuple[str, ...]:
    """Warn of attributes that look like a scale and are not applied."""
    found = {name: text_of(value) for name, value in attrs.items() if _SCALES.search(name)}
    return tuple(
        f"{label}: the attribute {name} = {value} is not applied. Amplitudes are in stored numbers."
        for name, value in found.items()
        if name not in _PACKING and value not in ("1", "1.0")
    )


def time_axis(
    data: h5py.Dataset, time_first: bool, dt_s: float, num_channels: float, label: str
) -> tuple[bool, np.ndarray | None, tuple[str, ...]]:
    """Find the stamps of a dataset, and whether time is its first axis.

    `dt_s` and `num_channels` are as stated, NaN without. Also returns warnings.
    """
    lengths = data.shape if time_first else data.shape[::-1]
    stamps, notes = find_stamps(data.file, lengths[0], dt_s)
    others = None if stamps is not None else find_stamps(data.file, lengths[1], dt_s)[0]
    found = stamps if others is None else others
    count = 0 if found is None else len(found)
    order, reversed_notes = axes_order(time_first, data.shape, count, num_channels, label)
    return (order, others, reversed_notes) if order != time_first else (order, stamps, notes)


def axes_order(
    time_first: bool, shape: tuple[int, int], num_stamps: int, num_channels: float, label: str
) -> tuple[bool, tuple[str, ...]]:
    """Reverse the stated order of axes if the counts of stamps and channels fit the other order only.

    Returns whether time is first, and a warning. A count of 0 is unknown.
    """
    samples, channels = shape if time_first else shape[::-1]
    if num_stamps == samples or num_channels == channels:
        return time_first, ()
    if num_stamps != channels and num_channels != samples:
        return time_first, ()
    note = (
        f"{label}: the first axis of {shape} should be {'time' if time_first else 'channels'}, but the "
        f"number of {'stamps' if num_stamps == channels else 'channels'} fits the other one. The number is "
        "used."
    )
    return not time_first, (note,)
