"""HDF5 layouts of one dataset and a stamp for each of its samples: GDR, Terra15 and Uptech."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from phasenet_das.errors import ChannelGeometryError, DataFormatError
from phasenet_das.io.formats.datasets import check_dataset, read_dataset, scale_notes, stored_type, time_axis
from phasenet_das.io.formats.stated import (
    Stated,
    compare,
    interval_of_rate,
    number_of,
    text_of,
    unit_of_text,
)
from phasenet_das.io.patch import metres
from phasenet_das.io.recording import Recording, recording_of_header

_GDR_DATA, _GDR_HEAD = "DasRawData/RawData", "DasMetadata/Interrogator/Acquisition"
_UPTECH_DATA, _UPTECH_MARKS = "Acquisition/StrainRate", {"acquisition_frequency", "sampling_interval"}
_UNKNOWN = float("nan")


def open_gdr(path: Path, file: h5py.File) -> list[Recording] | None:
    """Describe a file of the Geothermal Data Repository, None for a file of another kind."""
    data, head = file.get(_GDR_DATA), file.get(_GDR_HEAD)
    if data is None or head is None or data.ndim != 2:
        return None
    dims = [text_of(name).lower() for name in np.ravel(data.attrs.get("DasDimensions", ["time", "locus"]))]
    if len(dims) != 2 or sum(name.startswith("time") for name in dims) != 1:
        raise DataFormatError(f"{path}: DasDimensions are {dims}, expected 'time step' and 'locus'.")
    named = ("AcquisitionSampleRate", "SpatialSamplingInterval", "SpatialSamplingIntervalUnit")
    gauge: dict[str, Any] = {"gauge_length": number_of(head.attrs.get("GaugeLength", ""))}
    gauge |= {"gauge_length_units": _known_text(head.attrs, "GaugeLengthUnit") or "m"}
    unit = unit_of_text(_known_text(head.attrs, "UnitOfMeasure"))
    channels = number_of(head.attrs.get("NumberOfChannels", ""))
    return _open(path, data, head.attrs, named, dims[0].startswith("time"), channels, "GDR", unit, gauge)


def open_uptech(path: Path, file: h5py.File) -> list[Recording] | None:
    """Describe an Uptech file, None for a file of another kind."""
    data = file.get(_UPTECH_DATA)
    if data is None or data.ndim != 2 or not set(data.attrs) >= _UPTECH_MARKS:
        return None
    gauge = {"gauge_length": number_of(data.attrs.get("gauge_length", ""))}
    named = ("acquisition_frequency", "sampling_interval", "")
    return _open(path, data, data.attrs, named, True, _UNKNOWN, "Uptech", "1 / second", gauge)


def _open(
    path: Path,
    data: h5py.Dataset,
    attrs: Mapping[str, Any],
    named: tuple[str, str, str],
    time_first: bool,
    channels: float,
    kind: str,
    unit: str,
    gauge: Mapping[str, Any],
) -> list[Recording]:
    """Describe a dataset; `named` are the attributes of rate, channel spacing and its unit.

    `channels` is the stated number of channels, NaN without.
    """
    label, (rate, spacing, length) = str(path), named
    check_dataset(data, label)
    dt_s = interval_of_rate(number_of(attrs.get(rate, "")))
    time_first, stamps, notes = time_axis(data, time_first, dt_s, channels, label)
    shape = data.shape[::-1] if time_first else data.shape
    spacing_m = number_of(attrs.get(spacing, ""))
    if not spacing_m > 0 and not np.isnan(spacing_m):
        raise ChannelGeometryError(f"{label}: found {spacing} {spacing_m}, expected more than 0.")
    recording = recording_of_header(
        label,
        shape,
        partial(read_dataset, path, data.name, time_first),
        dtype=stored_type(data),
        format=kind,
        dt_s=dt_s,
        distance_m=metres(np.arange(shape[0]) * spacing_m, _known_text(attrs, length), label),
        unit=unit,
        attrs=gauge,
        start_found=" ".join(notes),
        warnings=(*notes, *scale_notes({**attrs, **data.attrs}, label)),
    )
    return compare(recording, Stated(stamps=stamps, intervals_s={rate: dt_s}))


def _known_text(attrs: Mapping[str, Any], name: str) -> str:
    """Return an attribute as text; NaN is what these files write for unknown."""
    text = text_of(attrs.get(name, "")).strip()
    return "" if text.lower() == "nan" else text
