"""Headers of PRODML of one raw record with regular stamps, read quickly; dascore reads the rest."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.io.formats.vendor import no_data
from phasenet_das.io.patch import parse_unit, unit_text
from phasenet_das.io.recording import Recording, recording_of_header
from phasenet_das.io.time import believable

if TYPE_CHECKING:
    import h5py


_PRODML_NODES = {"Raw[0]"}
_PRODML_ATTRS = ("PulseRate", "PulseWidth", "NumberOfLoci", "schemaVersion", "uuid")
_STAMPS = ("PartStartTime", "PartEndTime")
_ALL_STAMPS = 10  # intervals; dascore then believes the array of stamps rather than their text
_UNIT_NAMES = ("GaugeLengthUnit", "GaugeLengthUnits", "GaugeLength.uom")


def prodml_header(path: Path, file: h5py.File) -> list[Recording] | None:
    """Describe PRODML of one raw record with regular stamps; None leaves it to dascore."""
    acquisition = file.get("Acquisition")
    if acquisition is None:
        return None
    groups = {name for name in acquisition if name.lower().startswith(("raw", "processed"))}
    if groups != _PRODML_NODES or not set(_PRODML_ATTRS) <= set(acquisition.attrs):
        return None
    node = acquisition["Raw[0]"]
    attrs = dict(acquisition.attrs)
    if not {"RawData", "RawDataTime"} <= set(node) or len([n for n in node if n.endswith("DataTime")]) != 1:
        return None
    if not {"SpatialSamplingInterval", "StartLocusIndex"} <= set(attrs):
        return None
    time = _prodml_time(node["RawDataTime"])
    shape = _prodml_shape(node["RawData"], int(attrs["NumberOfLoci"]), len(node["RawDataTime"]))
    spacing = _text(attrs.get("SpatialSamplingIntervalUnit", attrs.get("SpatialSamplingInterval.uom", "")))
    if time is None or shape is None or spacing not in ("m", ""):
        return None
    step, first = float(attrs["SpatialSamplingInterval"]), int(attrs["StartLocusIndex"])
    if step <= 0:
        return None
    return [
        recording_of_header(
            str(path),
            shape,
            no_data,
            dtype=node["RawData"].dtype,
            format=f"PRODML {_text(attrs['schemaVersion'])}",
            start_time=time[0],
            start_found=time[1],
            dt_s=time[2],
            channel_index=first + np.arange(shape[0]) if first >= 0 else None,
            distance_m=first * step + np.arange(shape[0]) * step,
            unit=_unit(_text(node.attrs.get("RawDataUnit", ""))),
            attrs=_gauge(attrs),
        )
    ]


def _prodml_time(times: h5py.Dataset) -> tuple[np.datetime64, str, float] | None:
    """Return start, its text and interval as the reader has them, None where it looks at every stamp."""
    count = len(times)
    stamps = [_text(times.attrs.get(name, "")).split("+")[0].rstrip("Z") for name in _STAMPS]
    if count < 2 or not all(stamps):
        return None
    try:
        start, end = (np.datetime64(stamp, "ns") for stamp in stamps)
    except ValueError:
        return None
    step = (end - start) / (count - 1)
    if step <= np.timedelta64(0, "ns"):
        return None
    last = np.datetime64(int(times[-1]), "us")
    missed = abs(float((last - (start + step * (count - 1)).astype("datetime64[us]")) / step))
    if 0 < missed < _ALL_STAMPS:
        return None
    first = np.datetime64(int(times[0]), "us").astype("datetime64[ns]")
    taken = first if believable(first) and not believable(start) else start
    return taken, str(start), float(step / np.timedelta64(1, "ns")) * 1e-9


def _prodml_shape(data: h5py.Dataset, num_channels: int, num_samples: int) -> tuple[int, int] | None:
    dims = data.attrs.get("Dimensions", "time, distance")
    if isinstance(dims, np.ndarray | list):
        names = [_text(name).lower() for name in dims]
    else:
        names = _text(dims).lower().replace(",", " ").split()
    expected = {
        "time distance": (num_samples, num_channels),
        "time locus": (num_samples, num_channels),
        "distance time": (num_channels, num_samples),
        "locus time": (num_channels, num_samples),
    }.get(" ".join(names))
    return (num_channels, num_samples) if data.shape == expected and data.dtype.kind in "iuf" else None


def _gauge(attrs: dict[str, Any]) -> dict[str, Any]:
    if "GaugeLength" not in attrs:
        return {}
    units = next((_text(attrs[name]) for name in _UNIT_NAMES if name in attrs), "m")
    return {"gauge_length": float(attrs["GaugeLength"]), "gauge_length_units": units}


@lru_cache(maxsize=64)
def _unit(text: str) -> str:
    return unit_text(parse_unit(text) if text and text.lower() != "unitless" else None)


def _text(value: Any) -> str:  # noqa: ANN401 - an HDF5 attribute
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
