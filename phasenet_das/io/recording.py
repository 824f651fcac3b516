"""A gap-free piece of one cable that is loaded block by block: of an array, of files, or of a function."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
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
    is_real,
    spatial_first,
    units_in,
)
from phasenet_das.io.time import first_sample, sample_ns, usable_start

if TYPE_CHECKING:
    from dascore import Patch


log = logging.getLogger(__name__)

EVERYTHING = slice(None)
ChannelRange: TypeAlias = slice | tuple[int | None, int | None]
Loader: TypeAlias = Callable[[slice, slice], np.ndarray]
Inputs: TypeAlias = list[tuple[str, str]]
_NAN = float("nan")
_NO_TIME = np.datetime64("NaT", "ns")
_GAUGE_NAMES = ("gauge_length_m", "gauge_length")
_FINE_STEPS = 100


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
    channel_index : numpy.ndarray, shape (channel,), int
        The interrogator's numbers, in the order of the file.
    distance_m : numpy.ndarray, shape (channel,), float64
        Optical distance, NaN when unknown.
    start_time : numpy.datetime64
        UTC time of the first sample, NaT when unknown.
    dt_s : float
        Sampling interval in s, NaN when unknown.
    station_id : str
        Name of the cable, empty when unknown.
    unit : str
        Unit of the samples, "unknown" when nothing says.
    gauge_length_m : float
        NaN when unknown.
    dtype : numpy.dtype
        Type of the values that ``read_block`` gives.
    format : str
        Name of the format.
    attrs : mapping
        Further attributes.
    channel_coords : mapping of str to numpy.ndarray
        Further coordinates along the cable.
    warnings : tuple of str
        What the header contradicts.
    gap_note : str
        Names the channels with gaps.
    start_found : str
        Text of the start time in the source, for messages.
    numbered : bool
        Whether the source numbers its channels; 0, 1, 2 … otherwise.
    set_back : bool
        Whether the clock of the source was set back just before the first sample.
    dx_m : float
        Channel spacing that the source gives without distances, NaN without.
    name_inputs : callable
        ``name_inputs(samples)``: see :meth:`inputs`.
    failures : dict of str to str
        Files that could not be read after all, with the reason; their samples are NaN.
    notes : dict of str to str
        Files that were read but look wrong (nothing but zeros or NaN, a signal lost to its offset), with what
        was found.
    """

    label: str
    read_block: Loader = field(repr=False)
    num_samples: int
    channel_index: np.ndarray = field(repr=False)
    distance_m: np.ndarray = field(repr=False)
    start_time: np.datetime64 = _NO_TIME
    dt_s: float = _NAN
    station_id: str = ""
    unit: str = UNKNOWN_UNIT
    gauge_length_m: float = _NAN
    dtype: np.dtype[Any] = np.dtype(np.float32)  # noqa: RUF009 - a dtype does not change
    format: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    channel_coords: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()
    gap_note: str = ""
    start_found: str = ""
    numbered: bool = True
    set_back: bool = False
    dx_m: float = _NAN
    name_inputs: Callable[[slice], Inputs] = field(default=_no_inputs, repr=False)
    failures: dict[str, str] = field(default_factory=dict, repr=False)
    notes: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if len(self.distance_m) != len(self.channel_index):
            raise ChannelGeometryError(
                f"{self.label}: found {len(self.channel_index)} channels and {len(self.distance_m)} "
                "distances. Expected a number and a distance for each channel. Correct the file."
            )

    @property
    def num_channels(self) -> int:
        """Number of channels."""
        return len(self.channel_index)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of channels and samples."""
        return self.num_channels, self.num_samples

    @property
    def start_ns(self) -> int:
        """UTC time of the first sample, ns since 1970."""
        return int(self.start_time.astype(np.int64))

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
        return sample_ns(self.start_ns, self.dt_s, sample)

    def sample_range(self, start: np.datetime64 | None = None, end: np.datetime64 | None = None) -> slice:
        """Return the samples at times ``[start, end)`` as far as the recording goes; empty when none is."""
        first, last = (
            default if limit is None else min(max(self._first_at(limit), 0), self.num_samples)
            for limit, default in ((start, 0), (end, self.num_samples))
        )
        return slice(first, max(first, last))

    def _first_at(self, limit: np.datetime64) -> int:
        limit_ns = int(limit.astype("datetime64[ns]").astype(np.int64))
        return first_sample(self.start_ns, self.dt_s, limit_ns)

    def load(self, channels: slice = EVERYTHING, samples: slice = EVERYTHING) -> np.ndarray:
        """Load a block: slices of positions among channels and samples.

        Returns (channel, time) float32, C-contiguous, no view of the source.
        """
        channels, samples = slice(*channels.indices(self.num_channels)), self._inside(samples)
        values = self.read_block(channels, samples)
        hidden = hidden_by_offset(values)
        if hidden.any() and not self.notes:
            self.notes[self.label] = f"{self.label}: {say_hidden(self.channel_index[channels][hidden])}"
            log.warning("%s", self.notes[self.label])
        copy = True if values.base is not None else None  # what was just read needs no second copy
        return np.array(values, dtype=np.float32, order="C", copy=copy)

    def inputs(self, samples: slice = EVERYTHING, *, in_memory: bool = False) -> Inputs:
        """Name the files behind samples: path, and a key of the content.

        With `in_memory`, also the objects that lie beside files. Their key is empty.
        """
        named = self.name_inputs(self._inside(samples))
        return named if in_memory else [(name, key) for name, key in named if key]

    def _inside(self, samples: slice) -> slice:
        first = 0 if samples.start is None else samples.start
        end = self.num_samples if samples.stop is None else samples.stop
        if not 0 <= first <= end <= self.num_samples or samples.step not in (None, 1):
            raise ConfigError(
                f"{self.name}: samples [{first}, {end}) were asked for, but the recording has "
                f"[0, {self.num_samples}). Ask for a range inside."
            )
        return slice(first, end)

    def narrow(self, rows: np.ndarray, samples: slice) -> Recording:
        """Take some channels, by ascending positions, and a range of samples, without loading anything."""
        if len(rows) == self.num_channels and samples == slice(0, self.num_samples):
            return self
        known = not (np.isnat(self.start_time) or np.isnan(self.dt_s))
        start = np.datetime64(self.sample_ns(samples.start), "ns") if known else self.start_time
        return replace(
            self,
            read_block=partial(_read_narrowed, self.read_block, rows, samples.start),
            num_samples=samples.stop - samples.start,
            start_time=start,
            channel_index=self.channel_index[rows],
            distance_m=self.distance_m[rows],
            channel_coords={name: values[rows] for name, values in self.channel_coords.items()},
            name_inputs=partial(_narrowed_inputs, self.name_inputs, samples.start),
        )


def _read_narrowed(
    read_block: Loader, rows: np.ndarray, first: int, channels: slice, samples: slice
) -> np.ndarray:
    """Read a block of some rows of another reader, from its sample `first` on."""
    rows = rows[channels]
    samples = slice(samples.start + first, samples.stop + first)
    if not len(rows):
        return read_block(slice(0, 0), samples)
    lowest = int(rows.min())
    block = read_block(slice(lowest, int(rows.max()) + 1), samples)
    whole = len(block) == len(rows) and (np.diff(rows) == 1).all()
    return block if whole else block[rows - lowest]


def _narrowed_inputs(name_inputs: Callable[[slice], Inputs], first: int, samples: slice) -> Inputs:
    """Name the files behind samples that are counted from sample `first` of another recording."""
    return name_inputs(slice(samples.start + first, samples.stop + first))


def read_array(data: np.ndarray, channels: slice, samples: slice) -> np.ndarray:
    """Read a block of an array (channel, time)."""
    values: np.ndarray = data[channels, samples]
    return values


def recording_of_header(
    label: str,
    shape: tuple[int, int],
    read_block: Loader,
    *,
    start_time: np.datetime64 | None = None,
    dt_s: float | None = None,
    channel_index: np.ndarray | None = None,
    distance_m: np.ndarray | None = None,
    dx_m: float | None = None,
    attrs: Mapping[str, Any] | None = None,
    **known: Any,  # noqa: ANN401 - further fields of Recording
) -> Recording:
    """Make a recording of what a source says about itself; None is what it does not say.

    A start in 1970 counts as unknown: software writes it for "not set". Channels with numbers below 0 are
    numbered anew, because -1 is a seismometer's. Distances that are all equal are unknown.
    """
    notes = known.pop("warnings", ())
    if channel_index is not None and len(channel_index) and np.min(channel_index) < 0:
        notes = (
            *notes,
            f"{label}: channel numbers begin at {np.min(channel_index)}. They are counted from 0.",
        )
        channel_index = None
    if distance_m is not None and len(distance_m) > 1 and np.ptp(distance_m) == 0:
        notes = (*notes, f"{label}: all channels are at {distance_m[0]:g} m. Their distances are not used.")
        distance_m = np.full(len(distance_m), _NAN)
    if channel_index is not None and len(channel_index) != shape[0]:
        raise ChannelGeometryError(
            f"{label}: found {len(channel_index)} channel numbers for {shape[0]} channels. Expected one for "
            "each. Correct the file."
        )
    return Recording(
        label,
        read_block,
        shape[1],
        np.arange(shape[0], dtype=np.int32) if channel_index is None else channel_index,
        np.full(shape[0], _NAN) if distance_m is None else np.asarray(distance_m, np.float64),
        start_time=usable_start(start_time),
        dt_s=_NAN if dt_s is None else float(dt_s),
        numbered=channel_index is not None,
        dx_m=_NAN if dx_m is None else dx_m,
        attrs=attrs or {},
        gauge_length_m=gauge_length_of(attrs or {}),
        warnings=notes,
        **known,
    )


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
    array = check_array(np.asarray(data), label)
    return recording_of_function(
        partial(read_array, array),
        num_samples=array.shape[1],
        start_time=start_time,
        dt_s=dt_s,
        channel_index=check_channel_index(channel_index, len(array)),
        distance_m=distance_m,
        label=label,
        dtype=array.dtype,
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
    """Make a recording of a function: ``generate(channels, samples)`` makes a block (channel, time) anew."""
    numbers = check_channel_index(channel_index, len(channel_index))
    distance = np.full(len(numbers), _NAN) if distance_m is None else np.asarray(distance_m, np.float64)
    if distance.shape != numbers.shape:
        raise ChannelGeometryError(
            f"distance_m: found shape {distance.shape}, expected {numbers.shape}, one value a channel (NaN "
            "when unknown)."
        )
    start, dt_s = start_time.astype("datetime64[ns]"), check_dt(dt_s, label)
    return Recording(label, generate, num_samples, numbers, distance, start, dt_s, **known)


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


def channel_rows(recording: Recording, channels: ChannelRange | None) -> np.ndarray:
    """Find the positions of a range of channel numbers."""
    numbers = recording.channel_index
    if channels is None:
        return np.arange(len(numbers))
    if isinstance(channels, slice) and channels.step not in (None, 1):
        raise ConfigError(f"channels={channels}: a step is not supported. Expected (first, last + 1).")
    limits = (channels.start, channels.stop) if isinstance(channels, slice) else channels
    found = list(limits) if isinstance(limits, Iterable) else []
    if len(found) != 2 or not all(one is None or is_real(one) for one in found):
        raise ConfigError(
            f"channels={channels!r} is no range of numbers. Expected (first, last + 1), None for open."
        )
    low, high = found
    inside = np.ones(len(numbers), dtype=bool)
    if low is not None:
        inside &= numbers >= low
    if high is not None:
        inside &= numbers < high
    if not inside.any():
        raise ChannelGeometryError(
            f"{recording.label}: no channel in [{low}, {high}). The file holds {numbers.min()} to "
            f"{numbers.max()}."
        )
    return np.flatnonzero(inside)


def spacing_m(distance_m: np.ndarray) -> float:
    """Return the typical spacing of channels in m, NaN for a single channel."""
    return float(np.median(np.diff(distance_m))) if len(distance_m) > 1 else _NAN


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
