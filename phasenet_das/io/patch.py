"""The in-memory form of DAS data: a dascore Patch with channel numbers, channel status and a unit text."""

from __future__ import annotations

import tokenize
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from phasenet_das.errors import (
    ChannelGeometryError,
    DataFormatError,
    MissingMetadataError,
    SamplingError,
    UnitError,
)
from phasenet_das.io.time import parse_time, sample_times

if TYPE_CHECKING:
    from dascore import Patch, PatchAttrs


UNKNOWN_UNIT = "unknown"
STATUS_NAMES = np.array(["ok", "dead", "nonfinite"])
OK, DEAD, NONFINITE = range(3)
_ROUNDING_NS = 0.51
_WHOLE_NS = 1e-6  # what a float adds to a whole number of ns
_SHORTEST_DT_S = 1e-9
_SPATIAL_DIMS = ("distance", "channel")
_DASCORE_KEEPS = {"coords", "dims", "data_units"}


def make_patch(
    data: npt.ArrayLike,
    *,
    start_time: Any,  # noqa: ANN401 - text, datetime, datetime64, Timestamp or UTCDateTime
    dt_s: float,
    channel_index: npt.ArrayLike | None = None,
    distance_m: npt.ArrayLike | None = None,
    station_id: str = "",
    unit: str = UNKNOWN_UNIT,
    attrs: Mapping[str, Any] | None = None,
) -> Patch:
    """Make a Patch of this package's form from an array.

    Parameters
    ----------
    data : array-like, shape (channel, time), real
        Kept in its own dtype and not copied.
    start_time : str, datetime, numpy.datetime64, pandas.Timestamp or obspy.UTCDateTime
        Time of the first sample; read as UTC when it names no zone.
    dt_s : float
        Sampling interval in s. It need not be a whole number of nanoseconds: dascore's coordinate rounds
        it, the attribute ``dt_s`` keeps it, and :func:`get_times` and :func:`get_dt_s` give it back.
    channel_index : array-like of int, shape (channel,), optional
        Channel numbers of the interrogator, unique; 0, 1, 2 … by default.
    distance_m : array-like of float, shape (channel,), optional
        Optical distance in m. None, or any NaN: the distance is unknown.
    station_id : str
        Name of the cable; may be empty.
    unit : str
        Unit of the data as free text. It also becomes dascore's ``data_units`` when dascore can parse it.
    attrs : mapping, optional
        Further attributes of the Patch.

    Returns
    -------
    dascore.Patch
        Dims ``("distance", "time")``, or ``("channel", "time")`` when the distance is unknown.
        Coordinates on the first dim: ``channel_index`` (int32) and ``channel_status`` (int8 code, since
        dascore cannot slice text coordinates; see :func:`get_channel_status`).

    Raises
    ------
    DataFormatError
        The array is not two-dimensional, is empty or is not of real numbers.
    MissingMetadataError
        `start_time` is not a time.
    SamplingError
        `dt_s` is not a positive number.
    UnitError
        `unit` is not text.
    ChannelGeometryError
        `channel_index` or `distance_m` does not fit the array, or a channel number comes twice.
    """
    array = check_array(np.asarray(data))
    num_channels, num_samples = array.shape
    numbers = check_channel_index(channel_index, num_channels)
    start = parse_time(start_time)
    if start is None:
        raise MissingMetadataError(
            f"start_time: found {start_time!r}, expected a time such as '2024-05-01T12:00:00'."
        )
    check_dt(dt_s)
    check_unit_text(unit)
    coords: dict[str, Any] = {"time": _time_coord(start, dt_s, num_samples)}
    distance = _known_distance(distance_m, num_channels)
    dim = "channel" if distance is None else "distance"
    coords[dim] = numbers if distance is None else _distance_coord(distance)
    coords["channel_index"] = (dim, numbers)
    coords["channel_status"] = (dim, channel_status(array))
    import dascore

    known = {**(attrs or {}), "station_id": station_id, "unit": unit.strip() or UNKNOWN_UNIT}
    known |= _exact_dt_s(dt_s)
    return dascore.Patch(data=array, coords=coords, dims=(dim, "time"), attrs=_patch_attrs(known))


def _patch_attrs(known: Mapping[str, Any]) -> Any:  # noqa: ANN401 - dascore.PatchAttrs
    """Make dascore's attributes; a value it refuses for one of its own names is kept as ``file_NAME``."""
    from dascore import PatchAttrs
    from pydantic import ValidationError

    attrs: dict[str, Any] = {"data_units": parse_unit(known["unit"])}
    for name, value in known.items():
        if name in _DASCORE_KEEPS:
            continue
        try:
            if name in PatchAttrs.model_fields:
                PatchAttrs(**{name: value})
            attrs[name] = value
        except ValidationError:
            attrs[f"file_{name}"] = value
    return PatchAttrs(**attrs)


def check_array(array: np.ndarray, label: str = "data") -> np.ndarray:
    """Return the array when it can hold DAS data: two-dimensional, not empty, real numbers."""
    if array.ndim != 2:
        raise DataFormatError(
            f"{label}: found an array of shape {array.shape}, expected two dimensions (channel, time)."
        )
    if array.size == 0:
        raise DataFormatError(f"{label}: found no samples (shape {array.shape}). The file holds no data.")
    if array.dtype.kind not in "iuf":
        raise DataFormatError(f"{label}: found values of type {array.dtype}, expected real numbers.")
    return array


def is_real(value: Any) -> bool:  # noqa: ANN401 - whatever a caller holds
    """Say whether something is a real number, and no text of one."""
    return isinstance(value, float | int | np.floating | np.integer)


def check_dt(dt_s: Any, label: str = "dt_s") -> float:  # noqa: ANN401 - whatever a caller holds
    """Return the sampling interval when it is a positive number of seconds."""
    if not is_real(dt_s) or not np.isfinite(dt_s) or dt_s < _SHORTEST_DT_S:
        found = f"{dt_s} s" if is_real(dt_s) else repr(dt_s)
        raise SamplingError(f"{label}: found a sampling interval of {found}, expected a positive number.")
    return float(dt_s)


def check_unit_text(unit: Any) -> None:  # noqa: ANN401 - whatever a caller holds
    """Refuse a stated unit that is no text."""
    if not isinstance(unit, str):
        raise UnitError(f"unit: found {unit!r}, expected text such as 'm/s'. Leave out an unknown unit.")


def check_channel_index(channel_index: npt.ArrayLike | None, num_channels: int) -> np.ndarray:
    """Return channel numbers as int32, 0 … n-1 when none are given."""
    if channel_index is None:
        return np.arange(num_channels, dtype=np.int32)
    given = np.asarray(channel_index)
    numbers = given.astype(np.int32)
    if numbers.shape != (num_channels,):
        raise ChannelGeometryError(
            f"channel_index: found shape {numbers.shape}, expected ({num_channels},), one number a channel."
        )
    if not np.array_equal(numbers, given):
        raise ChannelGeometryError("channel_index: found values that are not whole numbers of 32 bits.")
    unique, count = np.unique(numbers, return_counts=True)
    if len(unique) < num_channels:
        raise ChannelGeometryError(
            f"channel_index: channel {unique[count > 1][0]} is named twice. Channel numbers must be unique."
        )
    return numbers


def _known_distance(distance_m: npt.ArrayLike | None, num_channels: int) -> np.ndarray | None:
    if distance_m is None:
        return None
    distance = np.asarray(distance_m, dtype=np.float64)
    if distance.shape != (num_channels,):
        raise ChannelGeometryError(
            f"distance_m: found shape {distance.shape}, expected ({num_channels},), one value a channel."
        )
    return distance if np.isfinite(distance).all() else None


def _distance_coord(distance: np.ndarray) -> Any:  # noqa: ANN401 - a dascore coordinate
    from dascore.core import get_coord

    return get_coord(data=distance, units="m")


def _time_coord(start: np.datetime64, dt_s: float, num_samples: int) -> Any:  # noqa: ANN401
    from dascore.core import get_coord

    step = np.timedelta64(round(dt_s * 1e9), "ns")
    return get_coord(start=start, stop=start + step * num_samples, step=step, units="s")


def _exact_dt_s(dt_s: float) -> dict[str, float]:
    """Return the attribute that keeps an interval which dascore's time coordinate rounds to whole ns."""
    return {"dt_s": dt_s} if abs(dt_s * 1e9 - round(dt_s * 1e9)) > _WHOLE_NS else {}


def channel_status(array: np.ndarray) -> np.ndarray:
    """Judge each channel from its values.

    `array` (channel, time). Returns (channel,) int8.
    """
    low, high = array.min(axis=1), array.max(axis=1)  # both carry NaN through
    status = np.zeros(len(array), dtype=np.int8)
    if array.shape[1] > 1:
        status[low == high] = DEAD
    if array.dtype.kind == "f":
        status[~(np.isfinite(low) & np.isfinite(high))] = NONFINITE
    return status


def parse_unit(text: Any) -> Any:  # noqa: ANN401 - text or a pint Quantity; a Quantity or None
    """Return dascore's quantity for a unit text, or None when it cannot be parsed."""
    import dascore
    from pint.errors import PintError

    try:
        return dascore.get_quantity(text)
    except (PintError, ValueError, TypeError, AttributeError, SyntaxError, tokenize.TokenError):
        return None


def units_in(base: str, unit: Any) -> float | None:  # noqa: ANN401 - text or a pint Quantity
    """Return how many base units such as m make one of `unit`, None when it is of another kind or unknown."""
    if unit == base:
        return 1.0
    from pint.errors import PintError

    quantity = parse_unit(unit)
    try:
        return None if quantity is None else float(quantity.to(base).magnitude)
    except PintError:
        return None


def metres(distance: npt.ArrayLike, unit: Any, label: str) -> np.ndarray:  # noqa: ANN401 - as units_in
    """Return distances in m; without a unit they are."""
    values = np.asarray(distance, dtype=np.float64)
    if unit is None or unit == "":
        return values
    factor = units_in("m", unit)
    if factor is None:
        raise UnitError(
            f"{label}: distance is in {str(unit)!r}, expected a unit of length such as m. Correct the unit "
            "of the coordinate."
        )
    return values * factor


def unit_text(quantity: Any) -> str:  # noqa: ANN401 - a pint Quantity or None
    """Write dascore's ``data_units`` as text that parses back, "unknown" for None."""
    if quantity is None:
        return UNKNOWN_UNIT
    return f"{quantity.units:D}" if quantity.magnitude == 1 else f"{quantity:D}"


def spatial_dim(patch: Patch, label: str = "Patch") -> str:
    """Name the dim of a Patch that runs along the cable."""
    names = [dim for dim in patch.dims if dim != "time"]
    if len(patch.dims) != 2 or len(names) != 1 or names[0] not in _SPATIAL_DIMS:
        raise DataFormatError(
            f"{label}: found dims {patch.dims}, expected time and one of {', '.join(_SPATIAL_DIMS)}. "
            "Rename the dim with patch.rename_coords()."
        )
    return names[0]


def spatial_first(patch: Patch) -> np.ndarray:
    """Return the Patch's data as (channel, time), a view."""
    array: np.ndarray = patch.data
    return array if patch.dims.index(spatial_dim(patch)) == 0 else array.T


def get_data(patch: Patch) -> np.ndarray:
    """Return the data for computing.

    Parameters
    ----------
    patch : dascore.Patch
        Dims time and distance or channel, in either order.

    Returns
    -------
    numpy.ndarray, shape (channel, time), float32, C-contiguous
        The Patch's own array when it already is of this form: do not write into it.

    Raises
    ------
    DataFormatError
        The Patch has other dims.
    """
    return np.ascontiguousarray(spatial_first(patch), dtype=np.float32)


def get_channel_index(patch: Patch) -> np.ndarray:
    """Return the interrogator's channel numbers.

    Parameters
    ----------
    patch : dascore.Patch
        As :func:`phasenet_das.read` makes it.

    Returns
    -------
    numpy.ndarray, shape (channel,), int32

    Raises
    ------
    ChannelGeometryError
        The numbers are lost: dascore drops them when a spatial operation changes the channels.
    """
    coords = patch.coords.coord_map
    for name in ("channel_index", "channel"):
        if name in coords:
            return np.asarray(patch.get_array(name)).astype(np.int32)
    raise numbers_lost("Patch")


def is_marked(attrs: PatchAttrs) -> bool:
    """Say whether the attributes are those that :func:`make_patch` gives."""
    return hasattr(attrs, "unit") and hasattr(attrs, "station_id")


def numbers_lost(label: str) -> ChannelGeometryError:
    """Make the error for a Patch whose channels nothing names any more."""
    return ChannelGeometryError(
        f"{label}: found no coordinate channel_index, expected the interrogator's number of each channel. "
        "The methods decimate, resample and aggregate of dascore drop it. Attach the numbers of the new "
        "channels with patch.update_coords(channel_index=(dim, numbers)), or pass a new Patch through "
        "phasenet_das.read()."
    )


def get_distance_m(patch: Patch) -> np.ndarray:
    """Return the optical distance of each channel.

    Parameters
    ----------
    patch : dascore.Patch
        As :func:`phasenet_das.read` makes it.

    Returns
    -------
    numpy.ndarray, shape (channel,), float64
        In m, whatever the unit of the coordinate; NaN when unknown.

    Raises
    ------
    UnitError
        The coordinate's unit is not one of length.
    """
    if spatial_dim(patch) == "distance":
        coord = patch.get_coord("distance")
        return metres(coord.values, coord.units, "Patch")
    return np.full(spatial_first(patch).shape[0], np.nan)


def get_channel_status(patch: Patch) -> np.ndarray:
    """Return what each channel was found to be when it was read.

    Parameters
    ----------
    patch : dascore.Patch
        As :func:`phasenet_das.read` makes it; judged anew when the coordinate is lost.

    Returns
    -------
    numpy.ndarray, shape (channel,), str
        ``"ok"``, ``"dead"`` (constant) or ``"nonfinite"`` (holds NaN or infinity).
    """
    if "channel_status" in patch.coords.coord_map:
        codes = np.asarray(patch.get_array("channel_status"))
    else:
        codes = channel_status(spatial_first(patch))
    names: np.ndarray = STATUS_NAMES[codes]
    return names


def get_times(patch: Patch) -> np.ndarray:
    """Return the time of each sample.

    Parameters
    ----------
    patch : dascore.Patch
        Any Patch with a time dim.

    Returns
    -------
    numpy.ndarray, shape (time,), datetime64[ns]
        UTC.
    """
    if not hasattr(patch.attrs, "dt_s"):
        return np.asarray(patch.get_array("time")).astype("datetime64[ns]")
    coord = patch.get_coord("time")
    return sample_times(coord.min(), get_dt_s(patch), len(coord))


def get_dt_s(patch: Patch) -> float:
    """Return the sampling interval, from the time coordinate.

    Parameters
    ----------
    patch : dascore.Patch
        Any Patch with a time dim.

    Returns
    -------
    float
        In s.

    Raises
    ------
    SamplingError
        The Patch has one sample and no interval.
    """
    coord = patch.get_coord("time")
    if len(coord) > 1:
        step_ns = float((coord.max() - coord.min()) / np.timedelta64(1, "ns")) / (len(coord) - 1)
    elif coord.step is not None and not np.isnat(coord.step):
        step_ns = float(coord.step / np.timedelta64(1, "ns"))
    else:
        raise SamplingError(
            "Patch: one sample, so that the sampling interval is unknown. Expected two or more."
        )
    exact = getattr(
        patch.attrs, "dt_s", None
    )  # dascore rounds the interval to whole ns; outdated once resampled
    if exact is not None and abs(exact * 1e9 - step_ns) <= _ROUNDING_NS:
        return float(exact)
    return step_ns * 1e-9


def get_station_id(patch: Patch) -> str:
    """Return the name of the cable, empty when unknown."""
    return str(getattr(patch.attrs, "station_id", None) or getattr(patch.attrs, "station", None) or "")


def get_unit(patch: Patch) -> str:
    """Return the unit of the data as text.

    Parameters
    ----------
    patch : dascore.Patch
        Any Patch.

    Returns
    -------
    str
        The text of the file; what dascore says when one of its operations has changed the unit
        since; ``"unknown"`` when neither is known.
    """
    text = str(getattr(patch.attrs, "unit", None) or "")
    quantity = patch.attrs.data_units
    if not text or (quantity is not None and parse_unit(text) != quantity):
        return unit_text(quantity)
    return text
