"""What every reader returns: what is known about a recording, and how to load a block of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from phasenet_das.errors import (
    ChannelGeometryError,
    ConfigError,
    DataFormatError,
    MissingMetadataError,
    SamplingError,
    UnitError,
)
from phasenet_das.io.patch import UNKNOWN_UNIT, check_channel_index, check_dt, parse_unit
from phasenet_das.io.timing import believable, parse_time, sample_times

ChannelRange: TypeAlias = slice | tuple[int | None, int | None]
TimeRange: TypeAlias = tuple[Any, Any]
Loader: TypeAlias = Callable[[slice, slice], np.ndarray]

_DT_TOLERANCE = 1e-6
_DX_TOLERANCE = 1e-3
_SAME_SAMPLE = 0.1  # intervals by which two pieces may miss each other and still be contiguous
_ON_SAMPLE = 1e-3


@dataclass(frozen=True)
class Opened:
    """One cable over one unbroken span, not loaded yet; None is what the source does not say.

    ``load(channels, samples)`` takes two slices of positions and returns an array (channel, time).
    ``channel_coords`` are further coordinates along the cable, ``gap_note`` names channels with gaps,
    and ``start_believed`` says that even a start in 1970 was stated by someone.
    """

    label: str
    format: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    load: Loader
    start_time: np.datetime64 | None = None
    dt_s: float | None = None
    channel_index: np.ndarray | None = None
    distance_m: np.ndarray | None = None
    dx_m: float | None = None
    unit: str = UNKNOWN_UNIT
    station_id: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict)
    channel_coords: Mapping[str, np.ndarray] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    gap_note: str = ""
    start_found: str = ""
    start_believed: bool = False


@dataclass(frozen=True)
class Stated:
    """What the caller says about a recording, to fill what the source lacks."""

    start_time: Any = None
    dt_s: float | None = None
    dx_m: float | None = None
    unit: str | None = None
    station_id: str | None = None
    first_channel: int | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())


def resolve(recording: Opened, stated: Stated, *, strict: bool = True) -> Opened:
    """Join what the source says with what the caller states.

    A statement fills what the source lacks, and otherwise must agree with it: the interval within
    1e-6, the channel spacing within 1e-3 (relative), the start time within half a sample, units when
    both can be parsed. A unit text that cannot be parsed counts as lacking. The station is a name,
    not a measurement: the caller's wins. Without numbers, channels are 0 … n-1; a known spacing
    places channel k at k times the spacing.
    """
    dt_s = _resolve_dt(recording, stated.dt_s)
    start_time = _resolve_start(recording, stated.start_time, dt_s)
    if strict:
        _require(recording, start_time, dt_s)
    numbers = _resolve_channels(recording, stated.first_channel)
    distance_m, dx_m = _resolve_distance(recording, stated.dx_m, numbers)
    return replace(
        recording,
        start_time=start_time,
        dt_s=dt_s,
        channel_index=numbers,
        distance_m=distance_m,
        dx_m=dx_m,
        unit=_resolve_unit(recording, stated.unit),
        station_id=recording.station_id if stated.station_id is None else stated.station_id,
    )


def _require(recording: Opened, start_time: np.datetime64 | None, dt_s: float | None) -> None:
    if dt_s is None:
        raise MissingMetadataError(
            f"{recording.label}: found no sampling interval. State it with dt_s=, in seconds."
        )
    if start_time is None:
        found = recording.start_found or "none"
        raise MissingMetadataError(
            f"{recording.label}: no usable start time (found: {found}); expected a UTC time such as "
            "2024-05-01T12:00:00. State it with start_time= (--start-time)."
        )


def _resolve_dt(recording: Opened, stated: float | None) -> float | None:
    found = recording.dt_s
    if stated is not None:
        check_dt(stated, "dt_s=")
    if found is None or np.isnan(found) or (found == 0 and stated is not None):
        return stated
    check_dt(found, recording.label)
    if stated is not None and abs(stated / found - 1) > _DT_TOLERANCE:
        raise SamplingError(
            f"{recording.label}: dt_s={stated} was stated, but the file says {found}. Leave the "
            "statement out; if the file is wrong, correct its header."
        )
    return found


def _resolve_start(recording: Opened, stated: Any, dt_s: float | None) -> np.datetime64 | None:  # noqa: ANN401
    believed = recording.start_believed or believable(recording.start_time)
    found = recording.start_time if believed else None
    if stated is None:
        return found
    start = parse_time(stated)
    if start is None:
        raise ConfigError(
            f"start_time={stated!r} is not a time; expected ISO 8601 such as '2024-05-01T12:00:00' (UTC)."
        )
    if found is None:
        return start
    tolerance_ns = 0.5e9 * (dt_s or 0.0)
    if abs(float((start - found).astype(np.int64))) > tolerance_ns:
        raise ConfigError(
            f"{recording.label}: start_time={start} was stated, but the file says {found}. Leave the "
            "statement out; if the file is wrong, correct its header."
        )
    return found


def _resolve_channels(recording: Opened, first_channel: int | None) -> np.ndarray:
    count = recording.shape[0]
    if recording.channel_index is None:
        return check_channel_index(np.arange(count) + (first_channel or 0), count)
    numbers = check_channel_index(recording.channel_index, count)
    if first_channel is not None and numbers[0] != first_channel:
        raise ChannelGeometryError(
            f"{recording.label}: first_channel={first_channel} was stated, but the file's first channel is "
            f"{numbers[0]}. Leave the statement out; channels= cuts a range."
        )
    return numbers


def _resolve_distance(
    recording: Opened, stated: float | None, numbers: np.ndarray
) -> tuple[np.ndarray | None, float | None]:
    if stated is not None and not (np.isfinite(stated) and stated > 0):
        raise ChannelGeometryError(f"dx_m={stated} was stated; expected a positive channel spacing in m.")
    found = recording.dx_m if recording.distance_m is None else spacing_m(recording.distance_m)
    if found is not None and stated is not None and abs(stated / abs(found) - 1) > _DX_TOLERANCE:
        raise ChannelGeometryError(
            f"{recording.label}: dx_m={stated} was stated, but the file says {found:.6g} m. "
            "Leave the statement out."
        )
    if recording.distance_m is not None:
        return recording.distance_m, found
    dx_m = stated if found is None else found
    return (None, None) if dx_m is None else (numbers * float(dx_m), float(dx_m))


def spacing_m(distance_m: np.ndarray) -> float | None:
    """Return the typical spacing of channels in m, None for a single channel."""
    return float(np.median(np.diff(distance_m))) if len(distance_m) > 1 else None


def _resolve_unit(recording: Opened, stated: str | None) -> str:
    if stated is None:
        return recording.unit
    found, meant = parse_unit(recording.unit), parse_unit(stated)
    if found is not None and found != meant:
        raise UnitError(
            f"{recording.label}: unit={stated!r} was stated, but the file says {recording.unit!r}. Leave the "
            "statement out; if the file is wrong, correct its header."
        )
    return stated


def join(recordings: Sequence[Opened]) -> list[Opened]:
    """Order resolved recordings of one cable by time; merge those that follow each other without a gap."""
    ordered = sorted(recordings, key=lambda item: time_axis(item)[0])
    groups: list[list[Opened]] = []
    for item in ordered:
        if groups and _follows(groups[-1], item):
            groups[-1].append(item)
        else:
            groups.append([item])
    return [group[0] if len(group) == 1 else _merge(group) for group in groups]


def time_axis(recording: Opened) -> tuple[np.datetime64, float]:
    """Return start time and interval of a resolved recording."""
    if recording.start_time is None or recording.dt_s is None:
        raise MissingMetadataError(
            f"{recording.label}: holds several spans, one of them without time. "
            "Read each apart, with start_time=."
        )
    return recording.start_time, recording.dt_s


def _follows(group: list[Opened], item: Opened) -> bool:
    """Say whether `item` continues `group`; what cannot be one cable raises."""
    first = group[0]
    if not _same_cable(first, item):
        raise DataFormatError(
            f"{item.label}: holds several sets of channels ({first.shape[0]} and {item.shape[0]}). "
            "Expected one cable; write each cable to a file of its own."
        )
    (start, dt_s), (next_start, next_dt_s) = time_axis(first), time_axis(item)
    if abs(next_dt_s / dt_s - 1) > _DT_TOLERANCE:
        raise SamplingError(
            f"{item.label}: the sampling interval changes from {dt_s} to {next_dt_s} s at "
            f"{next_start}. Split the file."
        )
    count = sum(piece.shape[1] for piece in group)
    missing = float((next_start - sample_times(start, dt_s, 1, count)[0]).astype(np.int64)) * 1e-9 / dt_s
    if missing < -_SAME_SAMPLE:
        raise SamplingError(
            f"{item.label}: spans overlap by {-missing:.1f} samples at {next_start}. Expected each "
            "sample once; remove the repeated part."
        )
    return missing <= _SAME_SAMPLE


def end_time(recording: Opened) -> np.datetime64:
    """Return the time of the sample after the last one of a resolved recording."""
    start, dt_s = time_axis(recording)
    end: np.datetime64 = sample_times(start, dt_s, 1, recording.shape[1])[0]
    return end


def channel_numbers(recording: Opened) -> np.ndarray:
    """Return the channel numbers of a resolved recording."""
    return check_channel_index(recording.channel_index, recording.shape[0])


def _same_cable(one: Opened, other: Opened) -> bool:
    if not np.array_equal(channel_numbers(one), channel_numbers(other)):
        return False
    if one.distance_m is None or other.distance_m is None:
        return one.distance_m is other.distance_m
    return np.allclose(one.distance_m, other.distance_m)


def _merge(group: list[Opened]) -> Opened:
    lengths = [item.shape[1] for item in group]
    edges = np.concatenate([[0], np.cumsum(lengths)])

    def load(channels: slice, samples: slice) -> np.ndarray:
        """Load a block from the recordings that hold it."""
        blocks = [
            item.load(channels, slice(max(samples.start - a, 0), min(samples.stop, b) - a))
            for item, a, b in zip(group, edges[:-1].tolist(), edges[1:].tolist(), strict=True)
            if a < samples.stop and samples.start < b
        ]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)

    notes = tuple(dict.fromkeys(note for item in group for note in item.warnings))
    return replace(group[0], shape=(group[0].shape[0], int(edges[-1])), load=load, warnings=notes)


def gaps(recordings: list[Opened]) -> list[tuple[np.datetime64, np.datetime64]]:
    """List the gaps between spans that follow each other in time."""
    return [(end_time(one), time_axis(other)[0]) for one, other in itertools.pairwise(recordings)]


def cut(recording: Opened, channels: ChannelRange | None, time: TimeRange | None) -> Opened:
    """Narrow a recording to a range of channel numbers and times, without loading it."""
    rows, samples = _rows(recording, channels), _samples(recording, time)
    if len(rows) == recording.shape[0] and samples == slice(0, recording.shape[1]):
        return recording
    start = recording.start_time
    if start is not None and recording.dt_s is not None:
        start = sample_times(start, recording.dt_s, 1, samples.start)[0]
    return replace(
        recording,
        shape=(len(rows), samples.stop - samples.start),
        load=_cut_loader(recording.load, rows, samples.start),
        start_time=start,
        channel_index=channel_numbers(recording)[rows],
        distance_m=None if recording.distance_m is None else recording.distance_m[rows],
        channel_coords={name: values[rows] for name, values in recording.channel_coords.items()},
    )


def _cut_loader(load: Loader, rows: np.ndarray, first: int) -> Loader:
    def load_cut(channels: slice, samples: slice) -> np.ndarray:
        """Load a block of what was not cut away."""
        wanted = rows[channels]
        lowest = int(wanted.min())
        block = load(slice(lowest, int(wanted.max()) + 1), slice(samples.start + first, samples.stop + first))
        return block if len(block) == len(wanted) else block[wanted - lowest]

    return load_cut


def _rows(recording: Opened, channels: ChannelRange | None) -> np.ndarray:
    numbers = channel_numbers(recording)
    if channels is None:
        return np.arange(len(numbers))
    if isinstance(channels, slice) and channels.step not in (None, 1):
        raise ConfigError(f"channels={channels}: a step is not supported; expected (first, last + 1).")
    low, high = (channels.start, channels.stop) if isinstance(channels, slice) else channels
    inside = np.ones(len(numbers), dtype=bool)
    if low is not None:
        inside &= numbers >= low
    if high is not None:
        inside &= numbers < high
    if not inside.any():
        raise ChannelGeometryError(
            f"{recording.label}: no channel in [{low}, {high}); the file holds {numbers.min()} to "
            f"{numbers.max()}."
        )
    return np.flatnonzero(inside)


def _samples(recording: Opened, time: TimeRange | None) -> slice:
    count = recording.shape[1]
    if time is None:
        return slice(0, count)
    start, end = time_limits(time)
    first = 0 if start is None else _first_sample(recording, start)
    last = count if end is None else _first_sample(recording, end)
    first, last = max(first, 0), min(last, count)
    if first >= last:
        raise ConfigError(
            f"{recording.label}: no sample in [{start}, {end}); the recording runs from "
            f"{recording.start_time} to {end_time(recording)}."
        )
    return slice(first, last)


def time_limits(time: TimeRange) -> tuple[np.datetime64 | None, np.datetime64 | None]:
    """Read the two limits of a time range, None for open ones."""
    start, end = (None if limit is None else parse_time(limit) for limit in time)
    for limit, parsed in zip(time, (start, end), strict=True):
        if limit is not None and parsed is None:
            raise ConfigError(
                f"time: {limit!r} is not a time; expected ISO 8601 such as '2024-05-01T12:00:00' (UTC)."
            )
    return start, end


def _first_sample(recording: Opened, limit: np.datetime64) -> int:
    start, dt_s = time_axis(recording)
    return int(np.ceil(float((limit - start).astype(np.int64)) * 1e-9 / dt_s - _ON_SAMPLE))
