"""Time axes of arrays in memory: counted or stamped times, cut at their gaps into recordings."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np

from phasenet_das.errors import MissingMetadataError, UnitError
from phasenet_das.io.patch import units_in
from phasenet_das.io.recording import Loader, Recording, recording_of_header
from phasenet_das.io.time import Span, parse_time, usable_start

# What readers let through when a file is cut short or is something else than its first bytes say.
BROKEN_FILE = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, AssertionError),
    *(struct.error, ArithmeticError),
)
_EPOCH = np.datetime64(0, "ns")
_LAST_NS = 2.0**63
_ROUNDING = 1e-12


def recordings_of_spans(
    label: str,
    shape: tuple[int, int],
    read_block: Loader,
    spans: list[Span],
    **known: Any,  # noqa: ANN401 - fields of Recording
) -> list[Recording]:
    """Make a recording of each run of regular samples of an array."""
    whole = recording_of_header(label, shape, read_block, **known)
    every = np.arange(shape[0])
    return [
        replace(
            whole.narrow(every, slice(span.first, span.last)),
            start_time=usable_start(span.start_time),
            start_found=str(span.start_time),
            dt_s=span.dt_s,
        )
        for span in spans
    ]


def times_of(values: np.ndarray, unit: Any, label: str) -> np.ndarray:  # noqa: ANN401 - text or a pint Quantity
    """Return times of any coordinate; what counts from nowhere begins in 1970, which is not believed."""
    if values.dtype.kind in "iuf":
        return _counted_times(values, str(unit or ""), label)
    return _EPOCH + values if values.dtype.kind == "m" else values


def _counted_times(numbers: np.ndarray, unit: str, label: str) -> np.ndarray:
    """Turn numbers into times by the text of their unit, such as ``ms`` or ``seconds since 2024-05-01``."""
    if not unit:
        raise MissingMetadataError(
            f"{label}: time is bare numbers without a unit. Convert them: "
            "pandas.to_datetime(numbers, unit='s') for seconds since 1970. Or, in xarray, state "
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
