"""Times of samples: reading them from text, regular axes, and gaps."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from phasenet_das.errors import ConfigError, SamplingError

TimeRange: TypeAlias = tuple[Any, Any]

_ISO_DATE = re.compile(r"^\s*\d{4}-?\d{2}-?\d{2}")
FIRST_BELIEVABLE = np.datetime64("1971-01-01T00:00:00", "ns")
_JITTER_SAMPLES = 0.1  # of a sample: what clocks and rounding may move a time stamp off the regular axis
_GAP_SAMPLES = 1.5
_ON_SAMPLE = 1e-3


@dataclass(frozen=True)
class Span:
    """A run of regular samples: samples ``[first, last)`` of an axis, its start and interval."""

    first: int
    last: int
    start_time: np.datetime64
    dt_s: float


def parse_time(value: Any) -> np.datetime64 | None:  # noqa: ANN401 - whatever a file or a caller holds
    """Read a time as UTC."""
    import pandas as pd

    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    nanoseconds = getattr(value, "ns", None)
    if isinstance(nanoseconds, int):  # obspy.UTCDateTime
        return np.datetime64(nanoseconds, "ns")
    if isinstance(value, str) and not _ISO_DATE.match(value):
        return None
    if not isinstance(value, str | dt.datetime | np.datetime64):
        return None
    try:
        stamp = pd.Timestamp(value)
        stamp = stamp.tz_convert(None) if stamp.tzinfo is not None else stamp
        time: np.datetime64 = stamp.as_unit("ns").to_datetime64()
    except ValueError:  # not a date, or outside what nanoseconds can count
        return None
    return None if np.isnat(time) else time


def believable(time: np.datetime64 | None) -> bool:
    """Say whether a start time can be a recording's: 1970 is what software writes for "not set"."""
    return time is not None and not np.isnat(time) and bool(time >= FIRST_BELIEVABLE)


def sample_times(start: np.datetime64, dt_s: float, num_samples: int, first: int = 0) -> np.ndarray:
    """Return the times of samples ``first … first + num_samples - 1``, each rounded to 1 ns on its own.

    Returns (num_samples,) datetime64[ns].
    """
    offsets = np.rint(np.arange(first, first + num_samples) * (dt_s * 1e9))
    times: np.ndarray = start.astype("datetime64[ns]") + offsets.astype("timedelta64[ns]")
    return times


def regular_spans(times: np.ndarray, label: str) -> list[Span]:
    """Split an axis of times at its gaps, and fit each run with a start and an interval.

    `times` (time,) datetime64.
    """
    times = times.astype("datetime64[ns]")
    if len(times) < 2:
        return [Span(0, len(times), times[0], float("nan"))]
    steps = np.diff(times).astype(np.float64)
    if steps.min() <= 0:
        worst = int(np.argmin(steps))
        raise SamplingError(
            f"{label}: time does not increase from sample {worst} ({times[worst]}) to {worst + 1} "
            f"({times[worst + 1]}); expected increasing times. Sort or split the recording."
        )
    typical = float(np.median(steps))
    edges = np.flatnonzero(steps > _GAP_SAMPLES * typical) + 1
    bounds = [0, *edges.tolist(), len(times)]
    return [_fit_span(times, a, b, typical, label) for a, b in itertools.pairwise(bounds)]


def _fit_span(times: np.ndarray, first: int, last: int, typical_ns: float, label: str) -> Span:
    count = last - first
    offsets = (times[first:last] - times[first]).astype(np.float64)
    dt_ns = offsets[-1] / (count - 1) if count > 1 else typical_ns
    strayed = np.abs(offsets - dt_ns * np.arange(count)).max() / dt_ns
    if strayed > _JITTER_SAMPLES or abs(dt_ns / typical_ns - 1) > _JITTER_SAMPLES:
        raise SamplingError(
            f"{label}: irregular sampling: samples {first} to {last - 1} stray up to {strayed:.2f} "
            f"intervals from a regular axis of {dt_ns * 1e-9:.9g} s. Resample the recording to a regular "
            "axis first."
        )
    return Span(first, last, times[first], float(dt_ns * 1e-9))


def usable_start(found: np.datetime64 | None) -> np.datetime64:
    """Return a start time as a source gives it, NaT for one that cannot be a recording's."""
    if found is None or not believable(found):
        return np.datetime64("NaT", "ns")
    return found.astype("datetime64[ns]")


def sample_ns(start_ns: int, dt_s: float, sample: int) -> int:
    """Return the time of a sample, rounded to 1 ns, in ns since 1970."""
    return start_ns + round(sample * (dt_s * 1e9))


def first_sample(start_ns: int, dt_s: float, limit_ns: int) -> int:
    """Return the first sample that is not before a time; one within a thousandth of an interval is at it."""
    return int(np.ceil((limit_ns - start_ns) / (dt_s * 1e9) - _ON_SAMPLE))


def time_limits(limits: TimeRange) -> tuple[np.datetime64 | None, np.datetime64 | None]:
    """Read the two limits of a time range, None for open ones."""
    start, end = (None if limit is None else parse_time(limit) for limit in limits)
    for limit, parsed in zip(limits, (start, end), strict=True):
        if limit is not None and parsed is None:
            raise ConfigError(
                f"time: {limit!r} is not a time; expected ISO 8601 such as '2024-05-01T12:00:00' (UTC)."
            )
    return start, end
