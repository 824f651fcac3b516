"""DataArrays of xarray and xdas, Sections of DASPy, and files of xdas."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from phasenet_das.errors import DataFormatError, MissingPackageError
from phasenet_das.io.formats.axes import BROKEN_FILE, recordings_of_spans, times_of
from phasenet_das.io.formats.patches import OWN_ATTRS, OWN_COORDS
from phasenet_das.io.patch import UNKNOWN_UNIT, check_array, metres
from phasenet_das.io.recording import Recording, read_array, recording_of_header
from phasenet_das.io.time import Span, parse_time, regular_spans


def from_dataarray(array: Any, label: str = "DataArray", name: str = "DataArray") -> list[Recording]:  # noqa: ANN401
    """Describe an xarray or xdas DataArray of either dim order, without loading it."""
    dim = _dataarray_dim(array, label)
    time_first = str(array.dims[0]) == "time"
    shape = tuple(array.shape[::-1] if time_first else array.shape)
    check_array(np.empty((0 if 0 in shape else 1, 1), array.dtype), label)
    along = _along(array, dim, label)
    attrs = dict(getattr(array, "attrs", None) or {})
    numbers = along.get("channel_index", along.get("channel"))
    return recordings_of_spans(
        label,
        shape,
        partial(_read_dataarray, array, time_first),
        _dataarray_spans(array, shape[1], label),
        dtype=array.dtype,
        format=name,
        channel_index=numbers if numbers is not None and numbers.dtype.kind in "iu" else None,
        distance_m=along.get("distance"),
        unit=str(attrs.get("unit", attrs.get("units")) or UNKNOWN_UNIT),
        station_id=str(attrs.get("station_id") or ""),
        attrs={k: v for k, v in attrs.items() if k not in OWN_ATTRS and isinstance(v, str | int | float)},
        channel_coords={k: v for k, v in along.items() if k not in OWN_COORDS and v.dtype.kind in "iuf"},
    )


def _dataarray_dim(array: Any, label: str) -> str:  # noqa: ANN401
    names = [str(dim) for dim in array.dims]
    others = [name for name in names if name != "time"]
    if len(names) != 2 or len(others) != 1 or others[0] not in ("distance", "channel"):
        raise DataFormatError(
            f"{label}: found dims {tuple(names)}, expected time and one of distance, channel. Rename the "
            "dims first."
        )
    return others[0]


def _along(array: Any, dim: str, label: str) -> dict[str, np.ndarray]:  # noqa: ANN401
    """Return the coordinates that run along the cable; distance in m."""
    out: dict[str, np.ndarray] = {}
    for key in array.coords:
        coord = array.coords[key]
        dims = getattr(coord, "dims", None) or (getattr(coord, "dim", None),)  # xarray, xdas
        if dims == (dim,):
            out[str(key)] = np.asarray(coord.values)
    if "distance" in out:
        out["distance"] = metres(out["distance"], _units(array.coords["distance"]), label)
    return out


def _units(coord: Any) -> str:  # noqa: ANN401 - a coordinate of xarray; those of xdas have no attributes
    return str((getattr(coord, "attrs", None) or {}).get("units", ""))


def _dataarray_spans(array: Any, num_samples: int, label: str) -> list[Span]:  # noqa: ANN401
    if "time" not in array.coords:
        return [Span(0, num_samples, np.datetime64("NaT", "ns"), float("nan"))]
    coord = array.coords["time"]
    return regular_spans(times_of(np.asarray(coord.values), _units(coord), label), label)


def _read_dataarray(array: Any, time_first: bool, channels: slice, samples: slice) -> np.ndarray:  # noqa: ANN401
    """Read a block of a DataArray of either order, channels first."""
    block = array[samples, channels] if time_first else array[channels, samples]
    values = np.asarray(block.values)
    return values.T if time_first else values


def open_netcdf(path: Path) -> list[Recording]:
    """Describe a netCDF file as xdas or xarray write it."""
    array, name = _netcdf_array(path)
    return from_dataarray(array, str(path), name)


def _netcdf_array(path: Path) -> tuple[Any, str]:
    """Open the array of a netCDF file without loading it, and name the package that could."""
    xdas = _import("xdas", "xdas", f"{path}: netCDF")
    import xarray

    try:
        return xdas.open_dataarray(str(path)), "xdas netCDF"
    except BROKEN_FILE:
        pass  # the error lists the readers of all vendors
    try:
        return xarray.open_dataarray(path), "xarray netCDF"
    except BROKEN_FILE as error:
        text = str(error).strip().partition("\n")[0]
        raise DataFormatError(
            f"{path}: cannot be read as a DataArray ({text}). Expected one array with dims time and "
            "distance. Write it with DataArray.to_netcdf() of xdas or xarray."
        ) from error


def daspy_example() -> list[Recording]:
    """Describe the record that the package daspy-toolbox carries (PoroTomo, M4.3 of 2016-03-21)."""
    daspy = _import("daspy", "daspy-toolbox", "daspy:example")
    return from_section(daspy.read(), "daspy:example")


def from_section(section: Any, label: str = "Section") -> list[Recording]:  # noqa: ANN401 - daspy.Section
    """Describe a DASPy Section."""
    data = check_array(np.asarray(section.data), label)
    found = getattr(section, "start_time", None)
    dx_m, rate_hz = getattr(section, "dx", None), getattr(section, "fs", None)
    scale = getattr(section, "scale", None)
    unit = str(getattr(section, "data_type", None) or UNKNOWN_UNIT)
    extra = {
        "gauge_length": getattr(section, "gauge_length", None),
        "event_time": getattr(section, "origin_time", None),
    }
    return [
        recording_of_header(
            label,
            data.shape,
            partial(read_array, data),
            dtype=data.dtype,
            format="DASPy Section",
            start_time=parse_time(found),
            start_found="" if found is None else repr(str(found)),
            dt_s=1.0 / rate_hz if rate_hz else None,
            channel_index=np.arange(len(data)) + int(getattr(section, "start_channel", 0) or 0),
            distance_m=None
            if not dx_m
            else float(section.start_distance or 0) + np.arange(len(data)) * float(dx_m),
            unit=unit if scale in (None, 1) else f"{unit} (scale={scale})",
            attrs={name: str(value) for name, value in extra.items() if value is not None},
        )
    ]


def _import(module: str, package: str, what: str) -> Any:  # noqa: ANN401 - a module
    if find_spec(module) is None:
        raise MissingPackageError(f"{what} needs the package {package}. Install it: pip install {package}")
    return import_module(module)
