"""Segments: runs of samples without a gap, of one cable and one geometry, loaded block by block."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np

from phasenet_das.errors import ChannelGeometryError, ConfigError
from phasenet_das.io.patch import (
    UNKNOWN_UNIT,
    check_array,
    check_channel_index,
    check_dt,
    get_channel_index,
    get_distance_m,
    get_dt_s,
    get_station_id,
    get_times,
    get_unit,
    spatial_first,
    units_in,
)

if TYPE_CHECKING:
    from dascore import Patch


log = logging.getLogger(__name__)

ALL_CHANNELS = slice(None)
Generator: TypeAlias = Callable[[int, int, slice], np.ndarray]
_GAUGE_NAMES = ("gauge_length_m", "gauge_length")
_FINE_STEPS = 100


@runtime_checkable
class Segment(Protocol):
    """A run of samples without a gap, of one cable and one geometry.

    Sample k is at ``start_ns + k * dt_s * 1e9``, rounded to 1 ns (:func:`sample_time_ns`).

    Attributes
    ----------
    station_id : str
        Name of the cable; may be empty.
    start_ns : int
        UTC time of the first sample, ns since 1970.
    dt_s : float
        Sampling interval in s.
    num_samples : int
        Length.
    channel_index : numpy.ndarray, shape (channel,), int32
        The interrogator's numbers, in the order of the file.
    distance_m : numpy.ndarray, shape (channel,), float64
        Optical distance, NaN when unknown.
    unit : str
        Unit of the samples, "unknown" when nothing says.
    gauge_length_m : float
        NaN when unknown.
    name : str
        Short, for logs: station and start.
    failures : dict of str to str
        Files that could not be read after all, with the reason; their samples are NaN.
    notes : dict of str to str
        Files that were read but look wrong (nothing but zeros or NaN, a signal lost to its offset), with what
        was found.
    """

    station_id: str
    start_ns: int
    dt_s: float
    num_samples: int
    channel_index: np.ndarray
    distance_m: np.ndarray
    unit: str
    gauge_length_m: float
    name: str
    failures: dict[str, str]
    notes: dict[str, str]

    def load(self, first: int, end: int, channels: slice = ALL_CHANNELS) -> np.ndarray:
        """Load samples ``[first, end)`` of the channels at the positions `channels`.

        Returns (channel, end - first) float32, C-contiguous.
        """

    def inputs(self, first: int, end: int) -> list[tuple[str, str]]:
        """Name the files behind samples ``[first, end)``: path, and a key of the content."""


def check_span(segment: Segment, first: int, end: int) -> None:
    """Refuse a span that is not inside a segment."""
    if not 0 <= first <= end <= segment.num_samples:
        raise ConfigError(
            f"{segment.name}: samples [{first}, {end}) were asked for, but the segment has "
            f"[0, {segment.num_samples})."
        )


def sample_time_ns(segment: Segment, sample: int) -> int:
    """Return the UTC time of a sample, also of one outside the segment, in ns since 1970."""
    return segment.start_ns + round(sample * (segment.dt_s * 1e9))


def segment_name(station_id: str, start_ns: int) -> str:
    """Name a segment for logs: station and start to the millisecond."""
    start = np.datetime_as_string(np.datetime64(start_ns, "ns"), unit="ms")
    return f"{station_id} {start}".strip()


@dataclass
class _Described:
    """What all segments say about themselves, and the checks on it."""

    station_id: str
    start_ns: int
    dt_s: float
    num_samples: int
    channel_index: np.ndarray
    distance_m: np.ndarray
    unit: str = UNKNOWN_UNIT
    gauge_length_m: float = float("nan")
    name: str = ""
    failures: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_dt(self.dt_s, self.name or "dt_s")
        self.channel_index = check_channel_index(self.channel_index, len(self.channel_index))
        self.distance_m = np.asarray(self.distance_m, dtype=np.float64)
        if self.distance_m.shape != self.channel_index.shape:
            raise ChannelGeometryError(
                f"distance_m: found shape {self.distance_m.shape}, expected {self.channel_index.shape}, one "
                "value a channel (NaN when unknown)."
            )
        self.name = self.name or segment_name(self.station_id, self.start_ns)


@dataclass(init=False)
class ArraySegment(_Described):
    """A segment that is already in memory.

    `data` (channel, time) real; `channel_index` (channel,) int, optional; `distance_m` (channel,)
    float64, optional.
    """

    def __init__(
        self,
        data: np.ndarray,
        *,
        start_ns: int,
        dt_s: float,
        channel_index: np.ndarray | None = None,
        distance_m: np.ndarray | None = None,
        station_id: str = "",
        unit: str = UNKNOWN_UNIT,
        gauge_length_m: float = float("nan"),
        name: str = "",
    ) -> None:
        self._data = check_array(np.asarray(data))
        count = len(self._data)
        super().__init__(
            station_id=station_id,
            start_ns=start_ns,
            dt_s=dt_s,
            num_samples=self._data.shape[1],
            channel_index=check_channel_index(channel_index, count),
            distance_m=np.full(count, np.nan) if distance_m is None else distance_m,
            unit=unit,
            gauge_length_m=gauge_length_m,
            name=name,
        )

    def load(self, first: int, end: int, channels: slice = ALL_CHANNELS) -> np.ndarray:
        """Copy samples ``[first, end)``; see :meth:`Segment.load`."""
        check_span(self, first, end)
        values = self._data[channels, first:end]
        hidden = hidden_by_offset(values)
        if hidden.any() and not self.notes:
            self.notes[self.name] = f"{self.name}: {say_hidden(self.channel_index[channels][hidden])}"
            log.warning("%s", self.notes[self.name])
        return np.array(values, dtype=np.float32, order="C")

    def inputs(self, first: int, end: int) -> list[tuple[str, str]]:
        """Return nothing: no file is behind this segment."""
        check_span(self, first, end)
        return []


@dataclass
class GeneratedSegment(_Described):
    """A segment whose samples are made when they are asked for, of any length.

    Notes
    -----
    The other parameters are those of :class:`Segment`.
    """

    generate: Generator = field(kw_only=True, repr=False)

    def load(self, first: int, end: int, channels: slice = ALL_CHANNELS) -> np.ndarray:
        """Make samples ``[first, end)``; see :meth:`Segment.load`."""
        check_span(self, first, end)
        return np.ascontiguousarray(self.generate(first, end, channels), dtype=np.float32)

    def inputs(self, first: int, end: int) -> list[tuple[str, str]]:
        """Return nothing: no file is behind this segment."""
        check_span(self, first, end)
        return []


def hidden_by_offset(values: np.ndarray) -> np.ndarray:
    """Say on which channels float32 loses the signal, because an offset takes its digits.

    `values` (channel, time) real. Returns (channel,) bool.
    """
    if np.can_cast(values.dtype, np.float32) or values.shape[1] < _FINE_STEPS:
        return np.zeros(len(values), bool)
    high, low = (extreme.astype(np.float64) for extreme in (values.max(axis=1), values.min(axis=1)))
    step = np.spacing(np.maximum(np.abs(high), np.abs(low)).astype(np.float32))
    rounds = (step > 1) | (values.dtype.kind == "f")  # whole numbers below 2**24 are held exactly
    hidden: np.ndarray = rounds & (high > low) & (high - low < _FINE_STEPS * step)
    return hidden


def say_hidden(channel_index: np.ndarray) -> str:
    """Say that the signal of channels is lost to an offset, and how to keep it."""
    return (
        f"{len(channel_index)} channel(s), such as {channel_index[0]}, have an offset so large that float32 "
        "has fewer than 100 steps for their signal: picks are lost. Subtract the mean of each channel first."
    )


def segment_of_patch(patch: Patch, *, gauge_length_m: float | None = None, name: str = "") -> ArraySegment:
    """Make a segment of a Patch in memory."""
    if gauge_length_m is None:
        gauge_length_m = gauge_length_of(dict(patch.attrs))
    return ArraySegment(
        spatial_first(patch),
        start_ns=int(get_times(patch)[0].astype(np.int64)),
        dt_s=get_dt_s(patch),
        channel_index=get_channel_index(patch),
        distance_m=get_distance_m(patch),
        station_id=get_station_id(patch),
        unit=get_unit(patch),
        gauge_length_m=gauge_length_m,
        name=name,
    )


def gauge_length_of(attrs: Mapping[str, object]) -> float:
    """Find the gauge length among a recording's attributes."""
    for name in _GAUGE_NAMES:
        try:
            value = float(str(attrs.get(name)))
        except ValueError:
            continue
        units = "m" if name.endswith("_m") else str(attrs.get("gauge_length_units") or "m")
        length_m = value * (units_in("m", units) or float("nan"))
        if np.isfinite(length_m) and length_m > 0:
            return round(length_m, 6)
    return float("nan")
