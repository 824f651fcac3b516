"""Say what a source of DAS data holds, without loading more than is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.errors import ChannelGeometryError, ConfigError, MissingMetadataError
from phasenet_das.io.formats import open_source
from phasenet_das.io.patch import DEAD, NONFINITE, channel_status
from phasenet_das.io.read import check_one_cable, cut, gaps_of
from phasenet_das.io.recording import ChannelRange, Recording, spacing_m
from phasenet_das.io.time import TimeRange
from phasenet_das.text import runs

if TYPE_CHECKING:
    from phasenet_das.io.metadata import UserMetadata

_LOAD_ALL = 2**24  # values; above it channels are judged from blocks
_NUM_BLOCKS = 8
_BLOCK_SAMPLES = 256


@dataclass(frozen=True)
class Description:
    """What a source of DAS data holds; None is what it does not say.

    ``end_time`` is that of the sample after the last one, ``gaps`` are half-open spans without data
    between ``start_time`` and ``end_time``, and ``num_samples`` does not count them.
    """

    path: str
    format: str
    station_id: str
    num_channels: int
    first_channel: int
    last_channel: int
    first_distance_m: float | None
    last_distance_m: float | None
    dx_m: float | None
    start_time: np.datetime64 | None
    end_time: np.datetime64 | None
    dt_s: float | None
    num_samples: int
    gaps: tuple[tuple[np.datetime64, np.datetime64], ...]
    unit: str
    dtype: str
    dead_channels: tuple[int, ...]
    nonfinite_channels: tuple[int, ...]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line for each thing known, for people."""
        rows = [(name, text) for name, text in self._rows() if text]
        return "\n".join([self.path, *(f"  {name:<10}{text}" for name, text in rows)])

    def _rows(self) -> list[tuple[str, str]]:
        unknown = "unknown"
        dx = unknown if self.dx_m is None else f"{self.dx_m:.6g} m"
        place = (
            ""
            if self.first_distance_m is None
            else f", {self.first_distance_m:.1f} to {self.last_distance_m:.1f} m"
        )
        rate = unknown if self.dt_s is None else f"{self.dt_s:.9g} s ({1 / self.dt_s:.6g} Hz)"
        return [
            ("format", self.format),
            ("station", self.station_id),
            (
                "channels",
                f"{self.num_channels} ({self.first_channel} to {self.last_channel}{place}), spacing {dx}",
            ),
            ("start", unknown if self.start_time is None else f"{self.start_time} UTC"),
            ("end", unknown if self.end_time is None else f"{self.end_time} UTC"),
            ("interval", rate),
            ("samples", str(self.num_samples)),
            ("unit", f"{self.unit}, stored as {self.dtype}"),
            *(("gap", f"{start} to {end}") for start, end in self.gaps),
            ("dead", _name_channels(self.dead_channels)),
            ("nonfinite", _name_channels(self.nonfinite_channels)),
            *(("note", note) for note in self.warnings),
        ]


def _name_channels(channels: tuple[int, ...]) -> str:
    """Write channel numbers as ranges: ``3, 7-9 (4 channels)``."""
    if not channels:
        return ""
    return f"{runs(np.array(channels), 10)} ({len(channels)} channel{'s' if len(channels) > 1 else ''})"


def describe(
    source: Any,  # noqa: ANN401 - as read
    *,
    start_time: Any = None,  # noqa: ANN401
    dt_s: float | None = None,
    dx_m: float | None = None,
    unit: str | None = None,
    station_id: str | None = None,
    first_channel: int | None = None,
    channels: ChannelRange | None = None,
    time: TimeRange | None = None,
    any_quantity: bool = False,
) -> Description:
    """Say what a source of DAS data holds.

    Parameters
    ----------
    source, start_time, dt_s, dx_m, unit, station_id, first_channel, channels, time, any_quantity
        As :func:`phasenet_das.read`. What the source lacks and nobody states is no error here: it is
        None, and a warning says how to state it.

    Returns
    -------
    Description
        Up to 16.8 million values are loaded to find dead channels; of more, eight blocks of 256 samples,
        spread evenly: a channel that lives only between them then counts as dead, one that died
        between them as alive, and a warning says so.

    Raises
    ------
    DataFormatError, SamplingError, ChannelGeometryError, UnitError, ConfigError, MissingPackageError
        As :func:`phasenet_das.read`, but gaps are listed and dead recordings are described.
    """
    from phasenet_das.io.metadata import UserMetadata

    user = UserMetadata(start_time, dt_s, dx_m, unit, station_id, first_channel, any_quantity)
    found, missing = _open(source, user)
    if not missing:
        found = _cut_all(found, channels, time)
    first, status, sampled = found[0], *_judge(found)
    numbers, distance_m = first.channel_index, first.distance_m
    gap_notes = [first.gap_note] if len(found) > 1 and first.gap_note else []
    notes = dict.fromkeys(
        [*missing, *(note for item in found for note in item.warnings), *gap_notes, *sampled]
    )
    placed = bool(np.isfinite(distance_m).all())
    start = None if np.isnat(first.start_time) else first.start_time
    return Description(
        path=first.label,
        format=first.format,
        station_id=first.station_id,
        num_channels=len(numbers),
        first_channel=int(numbers[0]),
        last_channel=int(numbers[-1]),
        first_distance_m=float(distance_m[0]) if placed else None,
        last_distance_m=float(distance_m[-1]) if placed else None,
        dx_m=spacing_m(distance_m) if placed and len(distance_m) > 1 else None,
        start_time=start,
        end_time=None if missing else found[-1].end_time,
        dt_s=None if np.isnan(first.dt_s) else first.dt_s,
        num_samples=sum(item.num_samples for item in found),
        gaps=tuple(gaps_of(found)),
        unit=first.unit,
        dtype=str(first.dtype),
        dead_channels=tuple(numbers[status == DEAD].tolist()),
        nonfinite_channels=tuple(numbers[status == NONFINITE].tolist()),
        warnings=tuple(notes),
    )


def _open(source: Any, user: UserMetadata) -> tuple[list[Recording], list[str]]:  # noqa: ANN401 - as read
    """Open a source, and say what nobody states that read() would need."""
    from phasenet_das.io.archive import archive_of_source
    from phasenet_das.io.metadata import fill

    try:
        found = list(archive_of_source(source, user).recordings)
    except MissingMetadataError:
        if isinstance(source, list | tuple | set | frozenset):
            if len(source) > 1:
                raise
            (source,) = source
        opened = open_source(source)
        if len(opened) > 1:
            raise
        recording = fill(opened[0], user)
        missing = _missing(recording)
        if not missing:
            raise
        return [recording], missing
    check_one_cable(found)
    return found, []


def _missing(recording: Recording) -> list[str]:
    notes = []
    if np.isnat(recording.start_time):
        found = f" (the file says {recording.start_found})" if recording.start_found else ""
        notes.append(f"no usable start time{found}: state it with start_time= (--start-time).")
    if np.isnan(recording.dt_s):
        notes.append("no sampling interval: state it with dt_s= (--dt-s).")
    return notes


def _cut_all(
    recordings: list[Recording], channels: ChannelRange | None, time: TimeRange | None
) -> list[Recording]:
    """Cut every recording, and drop those outside the time range."""
    kept, problems = [], []
    for item in recordings:
        try:
            kept.append(cut(item, channels, time))
        except (ConfigError, ChannelGeometryError) as error:
            problems.append(error)
    if not kept:
        raise problems[0]
    return kept


def _judge(recordings: list[Recording]) -> tuple[np.ndarray, list[str]]:
    """Return the status of each channel, and a note when only blocks were looked at."""
    total = sum(item.shape[0] * item.shape[1] for item in recordings)
    everything = slice(0, recordings[0].shape[0])
    if total <= _LOAD_ALL:
        blocks = [item.read_block(everything, slice(0, item.shape[1])) for item in recordings]
        return channel_status(np.concatenate(blocks, axis=1)), []
    blocks = [item.read_block(everything, part) for item in recordings for part in _blocks(item.shape[1])]
    note = f"dead channels were judged from {len(blocks)} blocks of {_BLOCK_SAMPLES} samples, not from all."
    return channel_status(np.concatenate(blocks, axis=1)), [note]


def _blocks(num_samples: int) -> list[slice]:
    starts = np.linspace(0, max(num_samples - _BLOCK_SAMPLES, 0), _NUM_BLOCKS).astype(int)
    return [slice(start, min(start + _BLOCK_SAMPLES, num_samples)) for start in np.unique(starts).tolist()]
