"""Archives: an ordered set of gap-free recordings, of any number of files or of objects in memory.

:func:`open_archive` reads headers only; :meth:`Recording.load` opens files when they are needed. The rule by
which files become recordings is that of :mod:`phasenet_das.io.merge`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.config import DataSettings
from phasenet_das.errors import DataFormatError, PhaseNetDASError
from phasenet_das.io.files import cable_name
from phasenet_das.io.formats import is_object, open_source
from phasenet_das.io.index import Index, ScanReport, index_of_recordings, join_indexes, update_index
from phasenet_das.io.members import MemberReader, MemberTable
from phasenet_das.io.merge import merge_members, merged_recordings
from phasenet_das.io.metadata import ChosenChannels, JoinedRows, UserMetadata, join_metadata
from phasenet_das.io.recording import Recording
from phasenet_das.tables import coverage as cover
from phasenet_das.text import duration

log = logging.getLogger(__name__)

_SHOWN = 5
_IN_MEMORY = "DAS"


@dataclass(frozen=True)
class Archive:
    """An ordered set of recordings.

    Attributes
    ----------
    recordings : tuple of Recording
        By cable, then time; between two of a cable there is a gap, a change, or drift of the clock.
    coverage : pandas.DataFrame
        ``COVERAGE_COLUMNS``; a row with ``reason`` for whatever is not in a recording. Its ``status``:
        ``skipped`` (no recording), ``unreadable`` (damaged, unusable, or still being written),
        ``duplicate``, ``overlapped``, ``gap``, and ``split`` (nothing is lost, but the
        record is divided there).
    report : ScanReport
        How the files compare with the index.
    """

    recordings: tuple[Recording, ...]
    coverage: pd.DataFrame
    report: ScanReport = field(default_factory=ScanReport)

    def summary(self) -> str:
        """Say in a few lines what there is, for people."""
        cables: dict[str, list[Recording]] = {}
        for recording in self.recordings:
            cables.setdefault(recording.station_id, []).append(recording)
        lines = [f"archive: {len(self.recordings)} recording(s) of {len(cables)} cable(s)"]
        lines += [self._of_cable(name, found) for name, found in cables.items()]
        counts = self.coverage["status"].value_counts()
        lines += [
            f"  {status:<14}{counts[status]}: {self._first_reason(status)}" for status in sorted(counts.index)
        ]
        return "\n".join(lines)

    def _of_cable(self, name: str, found: list[Recording]) -> str:
        held_s = sum(item.num_samples * item.dt_s for item in found)
        gaps = self.coverage[(self.coverage["status"] == "gap") & (self.coverage["station_id"] == name)]
        missing_s = float((gaps["end"] - gaps["start"]).dt.total_seconds().sum())
        last = max(item.end_ns for item in found)
        first = min(item.start_ns for item in found)
        return (
            f"  {name or '(no name)'}: {len(found)} recording(s), {duration(held_s, 6)} from "
            f"{np.datetime64(first, 'ns')} to {np.datetime64(last, 'ns')} UTC, {len(gaps)} gap(s) of "
            f"{duration(missing_s, 6)} in all"
        )

    def _first_reason(self, status: str) -> str:
        return str(self.coverage.loc[self.coverage["status"] == status, "reason"].iloc[0])


def open_archive(
    inputs: Any,  # noqa: ANN401 - paths, objects that hold DAS data, or a list of them
    data: DataSettings | None = None,
    *,
    index: str | Path | None = None,
    strict: bool = False,
    channel_step: int = 1,
    progress: bool = False,
) -> Archive:
    """Open recordings as an archive, from headers alone.

    Parameters
    ----------
    inputs : path, dascore.Patch or BaseSpool, obspy.Stream, xarray.DataArray, or a sequence of them
        Files, folders and glob patterns; and objects in memory.
    data : DataSettings, optional
        What the files do not say, and the range of channels.
    index : str or pathlib.Path, optional
        Folder in which the headers are kept, so that a file is opened once.
    strict : bool
        Whether the first file that cannot be read is an error; otherwise it has a row of coverage.
    channel_step : int
        Only channels whose number is a multiple of this are taken.
    progress : bool
        Whether a progress bar is shown.

    Returns
    -------
    Archive
        A cable that its files do not name is called after its file, after its folder where a folder was
        given, and "DAS" in memory; a stated ``station_id`` wins.

    Raises
    ------
    DataFormatError
        Nothing can be used, or something is not a source of DAS data.
    ConfigError, ChannelGeometryError, SamplingError, UnitError
        A statement contradicts the files.
    """
    settings = data or DataSettings()
    paths, opened = _sorted_inputs(inputs)
    found = index_of_recordings(opened) if opened else None
    if paths or found is None:
        scanned = update_index(
            paths, None if index is None else Path(index), strict=strict, progress=progress
        )
        found = scanned if found is None else join_indexes(scanned, found)
    return archive_of_index(
        found,
        UserMetadata.of(settings),
        channels=settings.channel_range,
        channel_step=channel_step,
        strict=strict,
        opened=opened,
        name_of=lambda path: _IN_MEMORY if path in opened else cable_name(path, paths),
    )


def archive_of_source(source: Any, user: UserMetadata) -> Archive:  # noqa: ANN401 - as phasenet_das.read
    """Open one source, or a list of them, as :func:`phasenet_das.read` does: whatever is wrong raises."""
    paths, opened = _sorted_inputs(source)
    opened = {path: open_source(path) for path in paths} | opened
    if not opened:
        raise DataFormatError("found an empty list. Expected a path, a Patch or a list of them.")
    return archive_of_index(
        index_of_recordings(opened),
        user,
        strict=True,
        opened=opened,
        name_of=lambda path: cable_name(path, paths) if path in paths else _IN_MEMORY,
    )


def _sorted_inputs(inputs: Any) -> tuple[list[str], dict[str, list[Recording]]]:  # noqa: ANN401
    """Tell paths from objects, and open the objects, by a label of each."""
    several = isinstance(inputs, list | tuple | set | frozenset | Iterator) and not is_object(inputs)
    items = list(inputs) if several else [inputs]
    paths = [os.fspath(item) for item in items if isinstance(item, str | os.PathLike)]
    objects = [item for item in items if not isinstance(item, str | os.PathLike)]
    opened = {}
    for number, item in enumerate(objects):
        found = open_source(item)
        kind = found[0].label
        label = kind if len(objects) == 1 else f"{kind} {number}"
        opened[label] = [replace(recording, label=label) for recording in found]
    return paths, opened


def archive_of_index(
    index: Index,
    user: UserMetadata | None = None,
    *,
    channels: tuple[int, int] | None = None,
    channel_step: int = 1,
    strict: bool = False,
    opened: Mapping[str, list[Recording]] | None = None,
    name_of: Callable[[str], str] | None = None,
) -> Archive:
    """Merge what an index lists into recordings, without touching any file."""
    joined = join_metadata(index, user or UserMetadata(), channels, channel_step)
    if strict and joined.problems:
        raise joined.problems[min(joined.problems)]
    tables = [cover.unread(index.rows), cover.unusable(joined.rows, joined.problems)]
    usable = joined.rows.drop(index=list(joined.problems)) if joined.problems else joined.rows
    if usable.empty:
        raise _nothing(pd.concat(tables, ignore_index=True))
    members = merge_members(_named(usable, name_of))
    merged = merged_recordings(members)
    numbers = {name: item.channel_index for name, item in joined.channels.items()}
    tables += [cover.repeated(members, numbers), cover.between(merged, numbers)]
    coverage = cover.join_coverage(tables)
    _report(coverage, usable)
    recordings = _recordings(members, merged, joined, opened or {}, strict)
    return Archive(recordings, coverage, index.report)


def _nothing(coverage: pd.DataFrame) -> PhaseNetDASError:
    counts = ", ".join(f"{count} {status}" for status, count in coverage["status"].value_counts().items())
    bad = coverage[coverage["status"] == "unreadable"]
    first = (bad if len(bad) else coverage)["reason"].iloc[0]
    return DataFormatError(f"none of {len(coverage)} files is a usable recording ({counts}). First: {first}")


def _named(rows: pd.DataFrame, name_of: Callable[[str], str] | None) -> pd.DataFrame:
    """Name the cables that nobody names."""
    nameless = rows["station_id"] == ""
    if name_of is None or not nameless.any():
        return rows
    paths = rows.loc[nameless, "path"]
    names = paths.map({path: name_of(path) for path in paths.unique()})
    shown = ", ".join(sorted(set(names))[:_SHOWN])
    log.info(
        "%d file(s) do not name their cable: it is called %s. Set station_id= to name it", len(names), shown
    )
    return rows.assign(station_id=rows["station_id"].where(~nameless, names))


def _recordings(
    members: pd.DataFrame,
    merged: pd.DataFrame,
    joined: JoinedRows,
    opened: Mapping[str, list[Recording]],
    strict: bool,
) -> tuple[Recording, ...]:
    used = members[members["recording"] >= 0].sort_values(["recording", "position"], kind="stable")
    table, numbers = _member_table(used), used["recording"].to_numpy()
    ordered = merged.sort_values(["station_id", "start_ns", "config"], kind="stable")
    lows = np.searchsorted(numbers, ordered.index.to_numpy(), side="left").tolist()
    highs = np.searchsorted(numbers, ordered.index.to_numpy(), side="right").tolist()
    rows = {name: (item.rows, item.in_file) for name, item in joined.channels.items()}
    facts = zip(
        *(ordered[name].tolist() for name in ("num_samples", "start_ns", "dt_s", "station_id", "unit")),
        *(ordered[name].tolist() for name in ("gauge_length_m", "path", "geometry")),
        *(lows, highs),
        strict=True,
    )
    recordings = []
    for count, start, dt_s, station, unit, gauge, path, geometry, low, high in facts:
        chosen = joined.channels[geometry]
        bare = Recording(
            label=path,
            read_block=_no_block,
            num_samples=count,
            channel_index=chosen.channel_index,
            distance_m=chosen.distance_m,
            start_time=np.datetime64(start, "ns"),
            dt_s=dt_s,
            station_id=station,
            unit=unit,
            gauge_length_m=gauge,
        )
        own = (
            [opened[item][part] for item, part in _paths(table, low, high) if item in opened]
            if opened
            else []
        )
        if len(own) == high - low == 1:
            recordings.append(_of_one(bare, own[0], chosen, int(table.skipped[low])))
            continue
        exact = strict and len(own) == high - low  # as read() gives it; files that may fail need NaN
        dtype = np.result_type(*(item.dtype for item in own)) if exact else np.float32
        reader = MemberReader(
            bare.name, table, low, high, chosen.channel_index, rows, opened, np.dtype(dtype), strict
        )
        recordings.append(_of_members(bare, reader, own, chosen))
    return tuple(recordings)


def _no_block(_channels: slice, _samples: slice) -> np.ndarray:
    raise DataFormatError("a recording without samples was read. This is a fault of the package.")


def _paths(table: MemberTable, low: int, high: int) -> Iterable[tuple[str, int]]:
    return zip(table.path[low:high].tolist(), table.part[low:high].tolist(), strict=True)


def _member_table(used: pd.DataFrame) -> MemberTable:
    integers = ("position", "skipped", "size", "mtime_ns", "part", "num_samples")
    columns = {name: used[name].to_numpy(np.int64) for name in integers}
    columns |= {name: used[name].to_numpy(object) for name in ("path", "key", "geometry")}
    in_file = columns.pop("num_samples")
    return MemberTable(**columns, in_file=in_file, count=in_file - columns["skipped"])


def _of_one(bare: Recording, own: Recording, chosen: ChosenChannels, skipped: int) -> Recording:
    """Take a recording that is open as it is, with what is known of it now."""
    part = own.narrow(chosen.rows, slice(skipped, skipped + bare.num_samples))
    return replace(bare, **_header(part), read_block=part.read_block)


def _header(recording: Recording) -> dict[str, Any]:
    names = ("dtype", "format", "attrs", "channel_coords", "warnings", "gap_note", "start_found")
    return {name: getattr(recording, name) for name in names}


def _of_members(
    bare: Recording, reader: MemberReader, own: list[Recording], chosen: ChosenChannels
) -> Recording:
    known: dict[str, Any] = {}
    if own:
        known = _header(own[0].narrow(chosen.rows, slice(0, own[0].num_samples)))
        known["warnings"] = tuple(dict.fromkeys(note for item in own for note in item.warnings))
    known |= {"dtype": reader.dtype, "name_inputs": reader.inputs}
    return replace(bare, **known, read_block=reader, failures=reader.failures, notes=reader.notes)


def _report(coverage: pd.DataFrame, usable: pd.DataFrame) -> None:
    """Log what was left out, a line for each kind; and what headers contradict."""
    for status, rows in coverage.groupby("status"):
        level = logging.INFO if status in ("skipped", "gap") else logging.WARNING
        shown = "; ".join(rows["reason"].head(_SHOWN))
        more = f", and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        log.log(level, "%d %s: %s%s", len(rows), status, shown, more)
    noted = usable.loc[usable["note"] != "", "note"]
    if len(noted):
        log.warning("%d file(s) with remarks, the first: %s", len(noted), noted.iat[0])
