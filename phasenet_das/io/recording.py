"""A gap-free piece of one cable that is loaded block by block: of an array, of files, or of a function."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

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

EVERYTHING = slice(None)
Loader: TypeAlias = Callable[[slice, slice], np.ndarray]
Inputs: TypeAlias = list[tuple[str, str]]
_GAUGE_NAMES = ("gauge_length_m", "gauge_length")
_FINE_STEPS = 100
_ON_SAMPLE = 1e-3


def _no_inputs(_samples: slice) -> Inputs:
    return []


@dataclass(frozen=True, eq=False)
class Recording:
    """A gap-free piece of one cable, loaded block by block.

    Sample k is at ``start_time + k * dt_s``, rounded to 1 ns.

    Attributes
    ----------
    label : str
        File or name, for messages.
    read_block : callable
        ``read_block(channels, samples)``, two slices of positions with start and stop: the values as they are
        stored, (channel, time).
    num_samples : int
        Length.
    start_time : numpy.datetime64
        UTC time of the first sample.
    dt_s : float
        Sampling interval in s.
    channel_index : numpy.ndarray, shape (channel,), int32
        The interrogator's numbers, in the order of the file.
    distance_m : numpy.ndarray, shape (channel,), float64
        Optical distance, NaN when unknown.
    station_id : str
        Name of the cable, empty when unknown.
    unit : str
        Unit of the samples, "unknown" when nothing says.
    gauge_length_m : float
        NaN when unknown.
    failures : dict of str to str
        Files that could not be read after all, with the reason; their samples are NaN.
    notes : dict of str to str
        Files that were read but look wrong (nothing but zeros or NaN, a signal lost to its offset), with what
        was found.
    """

    label: str
    read_block: Loader = field(repr=False)
    num_samples: int
    start_time: np.datetime64
    dt_s: float
    channel_index: np.ndarray = field(repr=False)
    distance_m: np.ndarray = field(repr=False)
    station_id: str = ""
    unit: str = UNKNOWN_UNIT
    gauge_length_m: float = float("nan")
    name_inputs: Callable[[slice], Inputs] = field(default=_no_inputs, repr=False)
    failures: dict[str, str] = field(default_factory=dict, repr=False)
    notes: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def num_channels(self) -> int:
        """Number of channels."""
        return len(self.channel_index)

    @property
    def start_ns(self) -> int:
        """UTC time of the first sample, ns since 1970."""
        return int(self.start_time.astype("datetime64[ns]").astype(np.int64))

    @property
    def end_ns(self) -> int:
        """UTC time of the sample after the last, ns since 1970."""
        return self.sample_ns(self.num_samples)

    @property
    def end_time(self) -> np.datetime64:
        """UTC time of the sample after the last."""
        return np.datetime64(self.end_ns, "ns")

    @property
    def name(self) -> str:
        """Short, for logs: station and start to the millisecond."""
        return f"{self.station_id} {np.datetime_as_string(self.start_time, unit='ms')}".strip()

    def sample_ns(self, sample: int) -> int:
        """Return the UTC time of a sample, also of one outside, in ns since 1970."""
        return self.start_ns + round(sample * (self.dt_s * 1e9))

    def sample_range(self, start: np.datetime64 | None = None, end: np.datetime64 | None = None) -> slice:
        """Return the samples at times ``[start, end)`` as far as the recording goes; empty when none is."""
        first, last = (
            default if limit is None else min(max(self._first_at(limit), 0), self.num_samples)
            for limit, default in ((start, 0), (end, self.num_samples))
        )
        return slice(first, max(first, last))

    def _first_at(self, limit: np.datetime64) -> int:
        """Return the first sample that is not before a time."""
        since_ns = int(limit.astype("datetime64[ns]").astype(np.int64)) - self.start_ns
        return int(np.ceil(since_ns / (self.dt_s * 1e9) - _ON_SAMPLE))

    def load(self, channels: slice = EVERYTHING, samples: slice = EVERYTHING) -> np.ndarray:
        """Load a block: slices of positions among channels and samples.

        Returns (channel, time) float32, C-contiguous, a copy.
        """
        channels, samples = slice(*channels.indices(self.num_channels)), self._inside(samples)
        values = self.read_block(channels, samples)
        hidden = hidden_by_offset(values)
        if hidden.any() and not self.notes:
            self.notes[self.label] = f"{self.label}: {say_hidden(self.channel_index[channels][hidden])}"
            log.warning("%s", self.notes[self.label])
        return np.array(values, dtype=np.float32, order="C")

    def inputs(self, samples: slice = EVERYTHING) -> Inputs:
        """Name the files behind samples: path, and a key of the content."""
        return self.name_inputs(self._inside(samples))

    def _inside(self, samples: slice) -> slice:
        first = 0 if samples.start is None else samples.start
        end = self.num_samples if samples.stop is None else samples.stop
        if not 0 <= first <= end <= self.num_samples or samples.step not in (None, 1):
            raise ConfigError(
                f"{self.name}: samples [{first}, {end}) were asked for, but the recording has "
                f"[0, {self.num_samples}). Ask for a range inside."
            )
        return slice(first, end)


@dataclass(frozen=True)
class _Array:
    """Reads blocks of an array, (channel, time)."""

    data: np.ndarray

    def __call__(self, channels: slice, samples: slice) -> np.ndarray:
        values: np.ndarray = self.data[channels, samples]
        return values


def recording_of_array(
    data: np.ndarray,
    *,
    start_time: np.datetime64,
    dt_s: float,
    channel_index: np.ndarray | None = None,
    distance_m: np.ndarray | None = None,
    label: str = "array",
    **known: Any,  # noqa: ANN401 - further fields of Recording
) -> Recording:
    """Make a recording of an array (channel, time) of real numbers, which is not copied."""
    array = check_array(np.asarray(data))
    numbers = check_channel_index(channel_index, len(array))
    return recording_of_function(
        _Array(array),
        num_samples=array.shape[1],
        start_time=start_time,
        dt_s=dt_s,
        channel_index=numbers,
        distance_m=distance_m,
        label=label,
        **known,
    )


def recording_of_function(
    generate: Loader,
    *,
    num_samples: int,
    start_time: np.datetime64,
    dt_s: float,
    channel_index: np.ndarray,
    distance_m: np.ndarray | None = None,
    label: str = "function",
    **known: Any,  # noqa: ANN401 - further fields of Recording
) -> Recording:
    """Make a recording whose blocks a function makes: ``generate(channels, samples)`` (channel, time)."""
    check_dt(dt_s, label)
    numbers = check_channel_index(channel_index, len(channel_index))
    distance = np.full(len(numbers), np.nan) if distance_m is None else np.asarray(distance_m, np.float64)
    if distance.shape != numbers.shape:
        raise ChannelGeometryError(
            f"distance_m: found shape {distance.shape}, expected {numbers.shape}, one value a channel (NaN "
            "when unknown)."
        )
    start = start_time.astype("datetime64[ns]")
    return Recording(label, generate, num_samples, start, dt_s, numbers, distance, **known)


def recording_of_patch(
    patch: Patch, *, label: str = "Patch", gauge_length_m: float | None = None
) -> Recording:
    """Make a recording of a Patch in memory."""
    return recording_of_array(
        spatial_first(patch),
        start_time=get_times(patch)[0],
        dt_s=get_dt_s(patch),
        channel_index=get_channel_index(patch),
        distance_m=get_distance_m(patch),
        label=label,
        station_id=get_station_id(patch),
        unit=get_unit(patch),
        gauge_length_m=gauge_length_of(dict(patch.attrs)) if gauge_length_m is None else gauge_length_m,
    )


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
