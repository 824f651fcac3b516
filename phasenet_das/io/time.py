"""Times of samples: reading them from text, regular axes, and gaps."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterable
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
_HALF_SAMPLE = 0.5
_JITTERS = 6.0  # times the median deviation of steps: what stamps of a bad clock do without a jump
_BAD_STAMPS = 3  # in a row
_JUMPS, _JUMPING_SHARE = 20, 0.02  # more are an irregular axis
_SAME_RATE = 1e-3  # relative; clocks of instruments differ by less from their nominal rate


@dataclass(frozen=True)
class Span:
    """A run of regular samples: samples ``[first, last)`` of an axis, its start and interval."""

    first: int
    last: int
    start_time: np.datetime64
    dt_s: float


def parse_time(value: Any) -> np.datetime64 | None:  # noqa: ANN401 - whatever a file or a caller holds
    """Read a time as UTC."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    nanoseconds = getattr(value, "ns", None)
    if isinstance(nanoseconds, int):  # obspy.UTCDateTime
        return np.datetime64(nanoseconds, "ns")
    if isinstance(value, str) and not _ISO_DATE.match(value):
        return None
    if not isinstance(value, str | dt.datetime | np.datetime64):
        return None
    import pandas as pd

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
            f"({times[worst + 1]}). Expected increasing times. Sort or split the recording."
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


def stamped_spans(
    stamps: np.ndarray,
    label: str,
    num_samples: int,
    *,
    each: int = 1,
    dt_s: float = float("nan"),
    jitter_s: float = 0.0,
) -> tuple[list[Span], tuple[str, ...]]:
    """Split samples where the clock that stamped them jumps, and say where the stated interval is wrong.

    `stamps` (stamp,) datetime64[ns], of every `each`-th sample. `dt_s` is the stated interval, NaN
    without. A few bad stamps and slow drift are no jump. A jump back begins a span as a gap does.
    """
    if len(stamps) < 2:
        return [Span(0, num_samples, stamps[0], dt_s)], ()
    past_ns = (stamps - stamps[0]).astype(np.float64)
    if _is_stated_axis(past_ns, each * dt_s * 1e9, each):
        return [Span(0, num_samples, stamps[0], dt_s)], ()
    coarse = each > 1 or jitter_s > _HALF_SAMPLE * dt_s
    typical_ns = dt_s * 1e9 if coarse and dt_s > 0 else float(np.median(np.diff(past_ns))) / each
    if not typical_ns > 0:
        raise SamplingError(
            f"{label}: the time stamps do not increase (typical step {typical_ns * 1e-9:.3g} s). Expected "
            "a stamp for each sample. Correct the stamps, or remove them and state start and interval."
        )
    missed_ns = past_ns - np.arange(len(stamps)) * (each * typical_ns)
    steps = np.diff(missed_ns)
    usual_ns = float(np.median(np.abs(steps - np.median(steps))))
    limit_ns = max(_HALF_SAMPLE * typical_ns, _JITTERS * usual_ns, jitter_s * 1e9)
    edges = np.flatnonzero(np.abs(steps) > limit_ns) + 1
    if each == 1 and len(edges) > max(_JUMPS, len(stamps) * _JUMPING_SHARE):
        raise SamplingError(
            f"{label}: irregular sampling: {len(edges)} of {len(steps)} steps between time stamps differ "
            f"from {typical_ns * each * 1e-9:.9g} s. Resample the recording to a regular axis first."
        )
    firsts = _runs_begin(missed_ns, edges, limit_ns)
    ends = [*firsts[1:], len(stamps)]
    ns, notes = _interval_ns(
        missed_ns, firsts, ends, (typical_ns, dt_s * 1e9, limit_ns if coarse else 0.0), each, label
    )
    samples = [first * each for first in firsts] + [num_samples]
    return [
        Span(first, last, stamps[k], ns * 1e-9)
        for k, (first, last) in zip(firsts, itertools.pairwise(samples), strict=True)
        if last > first
    ], notes


def _is_stated_axis(past_ns: np.ndarray, step_ns: float, each: int) -> bool:
    """Say at once that stamps are the stated axis, as those of most files are."""
    missed_ns = past_ns - np.arange(len(past_ns)) * step_ns
    near_ns = step_ns / each
    worst_ns = max(abs(missed_ns.min()), abs(missed_ns.max()))
    return bool(worst_ns <= near_ns / 4 and abs(missed_ns[-1]) <= _JITTER_SAMPLES * near_ns)


def _runs_begin(missed_ns: np.ndarray, edges: np.ndarray, limit_ns: float) -> list[int]:
    """Find the stamps from which the axis has jumped for good; `missed_ns` (stamp,) is by how much."""
    bounds, firsts, known = [0, *edges.tolist(), len(missed_ns)], [0], 0
    for k, (first, end) in enumerate(itertools.pairwise(bounds)):
        later = [first, *bounds[k + 1 : k + 1 + _BAD_STAMPS]] if end - first <= _BAD_STAMPS else [first]
        returns = [
            i for i in later if i < len(missed_ns) and abs(missed_ns[i] - missed_ns[known]) <= limit_ns
        ]
        if not returns:
            firsts.append(first)
        if not returns or returns[0] == first:
            known = end - 1
    return firsts


def _interval_ns(
    missed_ns: np.ndarray,
    firsts: list[int],
    ends: list[int],
    known_ns: tuple[float, float, float],
    each: int,
    label: str,
) -> tuple[float, tuple[str, ...]]:
    """Choose the interval: the stated one where stamps do not contradict it, else that of the stamps."""
    typical_ns, stated_ns, coarse_ns = known_ns
    lengths = np.subtract(ends, firsts) - 1
    drift_ns = float(sum(missed_ns[b - 1] - missed_ns[a] for a, b in zip(firsts, ends, strict=True)))
    own_ns = typical_ns + drift_ns / max(int(lengths.sum()) * each, 1)
    longest = int(lengths.max()) * each
    if abs(own_ns - stated_ns) * longest <= max(coarse_ns, _JITTER_SAMPLES * stated_ns):
        return stated_ns, ()
    if not abs(own_ns / stated_ns - 1) > _SAME_RATE:
        return own_ns, ()
    note = (
        f"{label}: the header states a sampling interval of {stated_ns * 1e-9:.9g} s, but the time stamps "
        f"are {own_ns * 1e-9:.9g} s apart. The stamps are used."
    )
    return own_ns, (note,)


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
    found = list(limits) if isinstance(limits, Iterable) else []
    if len(found) != 2:
        raise ConfigError(f"time={limits!r} is no range of times. Expected (start, end), None for open.")
    start, end = (None if limit is None else parse_time(limit) for limit in found)
    for limit, parsed in zip(found, (start, end), strict=True):
        if limit is not None and parsed is None:
            raise ConfigError(
                f"time: {limit!r} is not a time. Expected ISO 8601 such as '2024-05-01T12:00:00' (UTC)."
            )
    return start, end
