"""Objects already in memory: dascore Patch, xarray and xdas DataArray, DASPy Section; and xdas files."""

from __future__ import annotations

import struct
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.errors import DataFormatError, MissingMetadataError, MissingPackageError, UnitError
from phasenet_das.io.opened import Loader, Opened
from phasenet_das.io.patch import (
    UNKNOWN_UNIT,
    check_array,
    get_dt_s,
    get_station_id,
    get_unit,
    is_marked,
    metres,
    numbers_lost,
    spatial_dim,
    spatial_first,
    units_in,
)
from phasenet_das.io.timing import Span, parse_time, regular_spans

if TYPE_CHECKING:
    from dascore import Patch, PatchAttrs


_OWN_ATTRS = {"coords", "dims", "data_units", "unit", "units", "station_id", "dt_s", "path"}
_OWN_COORDS = {"time", "distance", "channel", "channel_index", "channel_status"}
# What readers let through when a file is cut short or is something else than its first bytes say.
BROKEN_FILE = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, AssertionError),
    *(struct.error, OverflowError),
)
_EPOCH = np.datetime64(0, "ns")
_LAST_NS = 2.0**63
_ROUNDING = 1e-12


def patch_attrs(attrs: PatchAttrs) -> dict[str, Any]:
    """Return the attributes of a Patch that are not kept elsewhere."""
    return {
        name: value for name, value in dict(attrs).items() if name not in _OWN_ATTRS and value is not None
    }


def is_own_patch(patch: Patch) -> bool:
    """Say whether a Patch already has this package's form."""
    return (
        patch.dims in (("distance", "time"), ("channel", "time"))
        and {"channel_index", "channel_status"} <= set(patch.coords.coord_map)
        and is_marked(patch.attrs)
    )


def from_patch(patch: Patch, label: str = "Patch", name: str = "dascore Patch") -> list[Opened]:
    """Describe a Patch of either dim order."""
    dim = spatial_dim(patch)
    array = check_array(spatial_first(patch), label)
    along = np.asarray(patch.get_array(dim))
    numbers = along if dim == "channel" and along.dtype.kind in "iu" else None
    if "channel_index" in patch.coords.coord_map:
        numbers = np.asarray(patch.get_array("channel_index"))
    elif numbers is None and is_marked(patch.attrs):
        raise numbers_lost(label)
    return _recordings(
        array.shape,
        array.dtype,
        _patch_spans(patch, label),
        lambda channels, samples: array[channels, samples],
        label=label,
        format=name,
        channel_index=numbers,
        distance_m=metres(along, patch.get_coord(dim).units, label) if dim == "distance" else None,
        unit=get_unit(patch),
        station_id=get_station_id(patch),
        attrs=patch_attrs(patch.attrs),
        channel_coords={
            key: np.asarray(patch.get_array(key))
            for key, dims in patch.coords.dim_map.items()
            if dims == (dim,) and key not in _OWN_COORDS
        },
        start_believed=is_own_patch(patch),
    )


def _patch_spans(patch: Patch, label: str) -> list[Span]:
    coord = patch.get_coord("time")
    if coord.evenly_sampled and coord.dtype.kind == "M" and coord.step > np.timedelta64(0, "ns"):
        return [Span(0, len(coord), coord.min(), get_dt_s(patch))]
    return regular_spans(_times(coord.values, coord.units, label), label)


def _recordings(
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    spans: list[Span],
    load: Loader,
    **known: Any,  # noqa: ANN401 - fields of Opened
) -> list[Opened]:
    return [
        Opened(
            shape=(shape[0], span.last - span.first),
            dtype=dtype,
            load=_shifted(load, span.first),
            start_time=span.start_time,
            start_found=str(span.start_time),
            dt_s=span.dt_s,
            **known,
        )
        for span in spans
    ]


def _shifted(load: Loader, first: int) -> Loader:
    return lambda channels, samples: load(channels, slice(samples.start + first, samples.stop + first))


def from_dataarray(array: Any, label: str = "DataArray", name: str = "DataArray") -> list[Opened]:  # noqa: ANN401
    """Describe an xarray or xdas DataArray of either dim order, without loading it."""
    dim = _dataarray_dim(array, label)
    time_first = str(array.dims[0]) == "time"
    shape = tuple(array.shape[::-1] if time_first else array.shape)
    check_array(np.empty((0 if 0 in shape else 1, 1), array.dtype), label)
    along = _along(array, dim, label)
    attrs = dict(getattr(array, "attrs", None) or {})
    numbers = along.get("channel_index", along.get("channel"))
    return _recordings(
        shape,
        array.dtype,
        _dataarray_spans(array, shape[1], label),
        _dataarray_loader(array, time_first),
        label=label,
        format=name,
        channel_index=numbers if numbers is not None and numbers.dtype.kind in "iu" else None,
        distance_m=along.get("distance"),
        unit=str(attrs.get("unit", attrs.get("units")) or UNKNOWN_UNIT),
        station_id=str(attrs.get("station_id") or ""),
        attrs={k: v for k, v in attrs.items() if k not in _OWN_ATTRS and isinstance(v, str | int | float)},
        channel_coords={k: v for k, v in along.items() if k not in _OWN_COORDS and v.dtype.kind in "iuf"},
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
    return regular_spans(_times(np.asarray(coord.values), _units(coord), label), label)


def _times(values: np.ndarray, unit: Any, label: str) -> np.ndarray:  # noqa: ANN401 - text or a pint Quantity
    """Return times of any coordinate; what counts from nowhere begins in 1970, which is not believed."""
    if values.dtype.kind in "iuf":
        return _counted_times(values, str(unit or ""), label)
    return _EPOCH + values if values.dtype.kind == "m" else values


def _counted_times(numbers: np.ndarray, unit: str, label: str) -> np.ndarray:
    """Turn numbers into times by the text of their unit, such as ``ms`` or ``seconds since 2024-05-01``."""
    if not unit:
        raise MissingMetadataError(
            f"{label}: time is bare numbers and no unit says what they count. Convert them: "
            "pandas.to_datetime(numbers, unit='s') for seconds since 1970; or, in xarray, state "
            "array['time'].attrs['units'] = 's' (ms, us, ns, 'seconds since 2024-05-01')."
        )
    counted, _, since = unit.partition(" since ")
    each_ns, origin = units_in("ns", counted), parse_time(since) if since else _EPOCH
    if each_ns is None or origin is None:
        raise UnitError(
            f"{label}: time is in {unit!r}, expected s, ms, us, ns or such as 'seconds since "
            "2024-05-01T12:00:00'. Correct the unit of the coordinate."
        )
    furthest_ns = np.abs(numbers).max(initial=0) * each_ns + abs(float(origin.astype(np.int64)))
    if not furthest_ns < _LAST_NS:  # NaN too
        raise UnitError(
            f"{label}: time is in {unit!r} and runs to {numbers.max()}, which is no date before 2262. "
            "Correct the unit of the coordinate, or its values."
        )
    whole = round(each_ns)
    if numbers.dtype.kind in "iu" and abs(whole / each_ns - 1) < _ROUNDING:
        return origin + (numbers.astype(np.int64) * whole).astype("timedelta64[ns]")
    return origin + np.rint(numbers * each_ns).astype("timedelta64[ns]")


def _dataarray_loader(array: Any, time_first: bool) -> Loader:  # noqa: ANN401
    def load(channels: slice, samples: slice) -> np.ndarray:
        """Load a block, channels first."""
        block = array[samples, channels] if time_first else array[channels, samples]
        values = np.asarray(block.values)
        return values.T if time_first else values

    return load


def open_xdas(path: Path) -> list[Opened]:
    """Describe a netCDF file as xdas or xarray write it, through xdas."""
    xdas = _import("xdas", "xdas", f"{path}: netCDF")
    try:
        array = xdas.open_dataarray(str(path))
    except BROKEN_FILE as error:
        raise DataFormatError(
            f"{path}: cannot be read as an xdas DataArray ({error}). Expected one array with dims time and "
            "distance; write it with DataArray.to_netcdf() of xdas."
        ) from error
    return from_dataarray(array, str(path), "xdas netCDF")


def daspy_example() -> list[Opened]:
    """Describe the record that the package daspy-toolbox carries (PoroTomo, M4.3 of 2016-03-21)."""
    daspy = _import("daspy", "daspy-toolbox", "daspy:example")
    return from_section(daspy.read(), "daspy:example")


def from_section(section: Any, label: str = "Section") -> list[Opened]:  # noqa: ANN401 - daspy.Section
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
        Opened(
            label=label,
            format="DASPy Section",
            shape=data.shape,
            dtype=data.dtype,
            load=lambda channels, samples: data[channels, samples],
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
