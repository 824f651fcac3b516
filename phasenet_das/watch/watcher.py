"""Pick files as an interrogator writes them, and associate the picks: the chunks of a growing recording.

The picks of a pass are those of one run over the same files. Only the chunks near the moving end of the
recording are picked again when files are added. The events of a pass get the ids that they had before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gamma.errors import GammaError
from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings, WatchSettings
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io.archive import Archive, archive_of_index
from phasenet_das.io.files import cable_name, find_recordings
from phasenet_das.io.index import update_index
from phasenet_das.io.metadata import UserMetadata
from phasenet_das.io.recording import Recording
from phasenet_das.picking.archive import select_range
from phasenet_das.picking.peaks import join_picks
from phasenet_das.picking.picker import Picker
from phasenet_das.picking.request import Range
from phasenet_das.picking.run import PickedChunks, PickRun, pick_chunks
from phasenet_das.picking.store import (
    ChunkStore,
    StoredChunk,
    merge_chunks,
    merged,
    merging_reach_s,
    write_merged,
)
from phasenet_das.tables import COVERAGE_COLUMNS, EVENT_COLUMNS, PICK_COLUMNS, conform, write_table
from phasenet_das.tables.coverage import left_out_row
from phasenet_das.tables.provenance import provenance
from phasenet_das.watch.days import DAY_NS, DayFolders, catalog_of_day
from phasenet_das.watch.events import RECENT_EVENTS, EventLife, Pass, read_recent_events
from phasenet_das.watch.handover import Handover
from phasenet_das.watch.health import Health
from phasenet_das.watch.pace import Pace
from phasenet_das.watch.revisions import Revisions

if TYPE_CHECKING:
    from gamma import AssociationResult
    from gamma.velocity import VelocityEstimate

log = logging.getLogger(__name__)


Associate = Callable[[pd.DataFrame, "VelocityEstimate | None"], "AssociationResult"]
"""From picks, and the ground of an earlier result, to events and to the picks with the event of each."""

WriteCatalog = Callable[[Any, Path, dict[str, Any]], object]
"""Writes the result of an association into a folder, with provenance."""

_CHUNK_S = 60.0
_CHUNKS_IN_MEMORY = 32
_WHOLE_SHARE, _DAYS_SHARE = 1 / 30, 1 / 10  # of the time, to write the tables of all picks, and of their days
_S_PER_PICK, _S_PER_CHUNK = 3e-4, 5e-3  # that this takes, before the first time
_SHORT_SHARE, _SHORT_S = 0.3, 120.0  # of the last minutes, associated by most passes
_LONG_EVERY = 0.1  # of their length: then all of them are associated
_EDGE_NS = 5_000_000_000
_TOO_LATE = "before the tables: its day had left them when it came"


@dataclass(frozen=True)
class WatchStep:
    """The result of one pass.

    Attributes
    ----------
    num_files : int
        New or changed files.
    num_picks : int
        Rows of the tables in the span of the data that came, of the last minutes at most.
    num_events : int
        Events of the last minutes.
    picked_to : pandas.Timestamp
        End of the data.
    lag_s : float
        How far that is behind the clock, s.
    data_s, took_s : float
        Length of the data that came after the last pass, and time that this pass took, s.
    last_file : str
        The newest file, written at `arrived_s` (s since 1970).
    """

    num_files: int
    num_picks: int
    num_events: int
    picked_to: pd.Timestamp
    lag_s: float
    data_s: float
    took_s: float
    last_file: str
    arrived_s: float

    def __str__(self) -> str:
        return (
            f"picked to {self.picked_to:%Y-%m-%d %H:%M:%S} UTC, {self.lag_s:.0f} s behind the clock: "
            f"{self.num_files} new files, {self.num_picks} picks, {self.num_events} recent events"
        )


class Watcher:
    """Follows folders to which files are added.

    Each pass writes ``recent_picks.parquet``, the picks of the last minutes, ``coverage.csv`` and, with
    `associate`, ``recent_events.parquet``, the events so far. ``picks/YYYY-MM-DD.parquet`` are tables of the
    days, and ``picks.parquet`` holds all picks. With `write_catalog`, the events and the catalog files lie
    beside it, as after one run over the same files. These longer tables are written after each pass while
    that takes 1 s at most, later in a tenth (days) and a thirtieth of the time, and by :meth:`close`. All
    files are whole at any time. A new watcher of the same output resumes where the last one ended.

    An event keeps its ``event_id`` while it changes. ``revisions.jsonl`` holds each change
    (:func:`phasenet_das.watch.read_revisions`). With ``keep_days``, an old day moves from the tables to the
    folder ``days/YYYY-MM-DD``.

    Parameters
    ----------
    picker : Picker
        The network.
    inputs : sequence of str
        Files, folders, glob patterns.
    output : pathlib.Path
        Folder; made when missing.
    data, settings, continuous : DataSettings, PickSettings, ContinuousSettings, optional
        See :func:`phasenet_das.picking.pick_archive`; chunks are 60 s long unless set.
    associate : callable, optional
        ``associate(picks, ground)`` finds the events of a pick table: returns an object with ``events``,
        ``picks`` and ``ground``. The last minutes are associated with the ground of all picks.
    write_catalog : callable, optional
        ``write_catalog(result, folder, provenance)`` writes the result of `associate`.
    watch : WatchSettings, optional
        Times and retention.
    handover : Handover, optional
        Where events go.
    health : Health, optional
        Keeps the state for the log, the status page and monitoring.
    """

    def __init__(
        self,
        picker: Picker,
        inputs: Sequence[str],
        output: Path,
        *,
        data: DataSettings | None = None,
        settings: PickSettings | None = None,
        continuous: ContinuousSettings | None = None,
        associate: Associate | None = None,
        write_catalog: WriteCatalog | None = None,
        watch: WatchSettings | None = None,
        handover: Handover | None = None,
        health: Health | None = None,
    ) -> None:
        size = continuous or ContinuousSettings()
        if size.chunk_s is None:
            size = size.model_copy(update={"chunk_s": _CHUNK_S})
        self._settings = settings or PickSettings()
        self._data, self._wanted = select_range(data, None, None, None)
        self._run = PickRun.of(picker.chunk_picker(self._settings), size, wanted=self._wanted)
        self._picker, self._inputs, self._output = picker, inputs, output
        self._associate, self._write_catalog = associate, write_catalog
        self._watch, self._handover = watch or WatchSettings(), handover
        self._health = health or Health(output, self._watch.health)
        self._recent_ns = round(self._watch.recent_s * 1e9)
        self._days = DayFolders(output / "days", self._watch.keep_days)
        self._life = EventLife(Revisions(output / "revisions.jsonl"), self._watch.final_after_s)
        self._stages: dict[str, float] = {}
        self._store = ChunkStore(output / "chunks")
        self._read = lru_cache(_CHUNKS_IN_MEMORY)(self._store.picks)
        self._files: dict[str, tuple[int, int]] = {}
        self._chunks: dict[str, StoredChunk] = {}
        self._provenance: dict[str, Any] = {}
        self._archive: Archive | None = None
        self._is_behind, self._days_behind = False, set[int]()
        self._whole_pace, self._days_pace = Pace(_WHOLE_SHARE), Pace(_DAYS_SHARE)
        self._end_ns: int | None = None
        self._events = read_recent_events(output)
        self._event_of = pd.Series(dtype=object)  # id of the event of each of the last picks, by pick id
        self._missed: list[dict[str, Any]] = []  # coverage rows of data that came after their day
        self._long_ns = 0  # end of the data when all of the last minutes were associated
        self._ground: VelocityEstimate | None = None

    def step(self, now_s: float | None = None) -> WatchStep | None:
        """Pick what has come since the last pass.

        Parameters
        ----------
        now_s : float, optional
            The clock, s since 1970; by default that of the machine.

        Returns
        -------
        WatchStep or None
            None when nothing has come.

        Raises
        ------
        PhaseNetDASError
            Nothing can be picked.
        """
        now = time.time() if now_s is None else now_s
        files = self._complete_files(now)
        fresh = [path for path, state in files.items() if self._files.get(path) != state]
        if not fresh:
            self._hand_over()
            return None
        self._health.began(len(fresh))
        self._stages = {"file_closed_at": max(files[path][1] for path in fresh) * 1e-9}
        try:
            return self._pass(files, fresh, now)
        except BaseException:
            self._files, self._chunks = {}, {}  # tables may be behind: the next pass writes all of them
            self._is_behind = False
            raise

    def close(self) -> None:
        """Write the tables that lack anything, and end the handing over."""
        if self._is_behind and self._end_ns is not None:
            self._write_days()
            result = self._write_whole(self._end_ns)
            self._hand_over(result)
        if self._handover is not None:
            self._handover.close()

    def _pass(self, files: dict[str, tuple[int, int]], fresh: list[str], now: float) -> WatchStep:
        began_s, last = time.monotonic(), max(fresh, key=lambda path: files[path][1])
        source = self._open(list(files))
        self._run = replace(self._run, wanted=replace(self._wanted, start_ns=self._days.first_ns()))
        found = pick_chunks(self._run, source.recordings, self._store)
        self._stages["picked_at"] = time.time()
        self._files, self._archive = files, source
        came = self._take(found)
        self._provenance = self._describe(found)
        self._is_behind = True
        write_table(self._coverage(found, source), self._output / "coverage.csv", self._provenance)
        end_ns = self._data_end_ns(found, source, now)
        if self._days_pace.is_due(len(found.chunks) * _S_PER_CHUNK):
            self._write_days()
        if self._whole_pace.is_due(sum(chunk.num_picks for chunk in found.chunks) * _S_PER_PICK):
            result = self._write_whole(end_ns)
        else:
            result = self._recent_association(end_ns)
        events = self._write_recent(result, end_ns)
        self._hand_over(result)
        start_ns = min(chunk.info.start_ns for chunk in found.chunks)
        for day in self._days.over(start_ns, end_ns, round(now * 1e9)):
            self._archive_day(day, found, source)
        before_ns = start_ns if self._end_ns is None else self._end_ns
        self._end_ns = end_ns
        return WatchStep(
            len(fresh),
            len(self._picks_of(max(came[0], end_ns - self._recent_ns), came[1])),
            events,
            pd.Timestamp(end_ns, tz="UTC"),
            now - end_ns * 1e-9,
            data_s=(end_ns - before_ns) * 1e-9,
            took_s=time.monotonic() - began_s,
            last_file=last,
            arrived_s=files[last][1] * 1e-9,
        )

    def follow(self) -> None:
        """Pass after pass, until interrupted. The log has a line for each."""
        try:
            while True:
                try:
                    self._health.passed(self.step())
                except (PhaseNetDASError, GammaError, OSError) as error:
                    self._health.failed(error)
                time.sleep(self._watch.poll_s)
        finally:
            self.close()

    def _complete_files(self, now_s: float) -> dict[str, tuple[int, int]]:
        """Find the files that have not changed for a while, with size and time of change."""
        try:
            paths = [Path(path) for path in find_recordings(self._inputs)]
        except PhaseNetDASError:
            return {}  # the folder is still empty
        found = {}
        for path in paths:
            try:
                status = path.stat()
            except OSError:
                continue  # gone, or of another name by now
            if now_s - status.st_mtime >= self._watch.settle_s:
                found[str(path)] = status.st_size, status.st_mtime_ns
        return found

    def _open(self, files: list[str]) -> Archive:
        """Open files; a cable without a name is called after the inputs, so that the name stays."""
        return archive_of_index(
            update_index(files, self._store.folder / "index"),
            UserMetadata.of(self._data),
            name_of=lambda path: cable_name(path, self._inputs),
        )

    def _take(self, found: PickedChunks) -> tuple[int, int]:
        """Make these the chunks, note the days that change, and return the span of the chunks that came."""
        chunks = {chunk.key: chunk for chunk in found.chunks}
        came = [chunk.info for key, chunk in chunks.items() if key not in self._chunks]
        went = [chunk.info for key, chunk in self._chunks.items() if key not in chunks]
        self._chunks = chunks
        self._store.remove_others(set(chunks))
        margin, first = self._margin_ns(), self._days.first_ns() or 0
        for info in (*came, *went):  # the picks of neighbours compete with theirs
            days = range((info.start_ns - margin) // DAY_NS, (info.end_ns - 1 + margin) // DAY_NS + 1)
            self._days_behind.update(day for day in days if day * DAY_NS >= first)
        return min((info.start_ns for info in came), default=0), max(
            (info.end_ns for info in came), default=0
        )

    def _coverage(self, found: PickedChunks, source: Archive) -> pd.DataFrame:
        """Make the coverage table, with the data that came after their day had left the tables."""
        table = found.coverage([source.coverage])
        missed = [row for recording in source.recordings for row in self._missed_rows(recording)]
        if missed and missed != self._missed:
            log.warning(
                "%s from %s on: not picked, because the tables begin at %s. Check the clock of the "
                "interrogator. If it was wrong, stop the watch, remove the folders of %s from this day on, "
                "remove the files with wrong times, and start again.",
                missed[-1]["station_id"],
                missed[-1]["start"],
                pd.Timestamp(self._days.first_ns() or 0, tz="UTC"),
                self._days.root,
            )
        self._missed = missed
        if not missed:
            return table
        rows = conform(pd.DataFrame(missed), COVERAGE_COLUMNS, "coverage")
        return pd.concat([table, rows], ignore_index=True)

    def _missed_rows(self, recording: Recording) -> Iterator[dict[str, Any]]:
        station_id = self._run.picker.station_id(recording)
        for span_ns in self._days.missed(station_id, recording.start_ns, recording.end_ns):
            start, end = (np.datetime64(ns, "ns") for ns in span_ns)
            files = [path for path, _ in recording.inputs(recording.sample_range(start, end))]
            source = " ... ".join(dict.fromkeys((*files[:1], *files[-1:])))
            yield left_out_row(_TOO_LATE, station_id=station_id, span_ns=span_ns, source=source)

    def _data_end_ns(self, found: PickedChunks, source: Archive, now: float) -> int:
        """Return the end of the data. Recordings that begin in the future count only if there is no other.

        Otherwise one file with a wrong clock moves the last minutes to its time and makes all events final.
        """
        limit_ns = round((now + self._health.limits.max_clock_s) * 1e9)
        begun_ns = max((one.end_ns for one in source.recordings if one.start_ns <= limit_ns), default=0)
        infos = [chunk.info for chunk in found.chunks]
        begun = [info for info in infos if info.start_ns < begun_ns]
        return max(info.end_ns for info in begun or infos)

    def _describe(self, found: PickedChunks) -> dict[str, Any]:
        return provenance(
            settings=self._picker.used_settings(self._settings),
            amplitude_unit=found.amplitude_unit,
            weights_id=self._picker.weights.weights_id,
        )

    def _write_days(self) -> None:
        """Write the tables of the days that have changed."""
        with self._days_pace.measured():
            for day in sorted(self._days_behind):
                picks = self._picks_of(day * DAY_NS, (day + 1) * DAY_NS, is_long=True)
                path = self._output / "picks" / f"{pd.Timestamp(day * DAY_NS):%Y-%m-%d}.parquet"
                write_table(picks, path, self._provenance)
            self._days_behind.clear()

    def _margin_ns(self) -> int:
        return round(merging_reach_s(self._chunks.values()) * 1e9)

    def _picks_of(self, start_ns: int, end_ns: int, *, is_long: bool = False) -> pd.DataFrame:
        """Return the picks of a span; the chunks of a short one stay in memory."""
        margin, span = self._margin_ns(), Range(start_ns, end_ns)
        chunks = [
            chunk
            for chunk in self._chunks.values()
            if chunk.info.start_ns < end_ns + margin and chunk.info.end_ns > start_ns - margin
        ]
        return join_picks(merged(chunks, self._store.picks if is_long else self._read, span))

    def _spans_ns(self, start_ns: int | None, end_ns: int) -> np.ndarray:
        """Return the spans of the chunks between two times; shape (chunk, 2), int64."""
        spans = [(chunk.info.start_ns, chunk.info.end_ns) for chunk in self._chunks.values()]
        return np.array(spans, np.int64).reshape(-1, 2).clip(start_ns or 0, end_ns)

    def _find_events(
        self, picks: pd.DataFrame, end_ns: int, start_ns: int | None = None
    ) -> AssociationResult:
        """Associate picks of data to an end. Events from a time on get the ids that they had before."""
        assert self._associate is not None  # noqa: S101 - asked for by the caller
        result = self._associate(picks, self._ground if start_ns else None)
        stages, events = {**self._stages, "associated_at": time.time()}, result.events
        if start_ns is not None:  # an event that moves over the limit is not taken for gone
            events = events[events["time"] >= pd.Timestamp(start_ns - _EDGE_NS, tz="UTC")]
        ids = self._life.take(Pass(events, result.picks, self._spans_ns(start_ns, end_ns), stages))
        return replace(result, events=events.assign(event_id=ids))

    def _write_whole(self, end_ns: int) -> AssociationResult | None:
        """Write the tables of all that was picked, as one run over the same files writes them."""
        chunks, path, wanted = list(self._chunks.values()), self._output / "picks.parquet", self._run.wanted
        result = None
        with self._whole_pace.measured():
            if self._associate is None:
                write_merged(self._store, chunks, path, self._provenance, wanted)
            else:
                result = self._find_events(merge_chunks(self._store, chunks, wanted), end_ns)
                self._ground = result.ground
                self._write_result(result, self._output)
        self._is_behind = False
        return result

    def _write_result(self, result: AssociationResult, folder: Path) -> None:
        if self._write_catalog is not None:
            self._write_catalog(result, folder, self._provenance)
            return
        picks, events = conform(result.picks, PICK_COLUMNS, "picks"), result.events
        write_table(picks, folder / "picks.parquet", self._provenance)
        write_table(conform(events, EVENT_COLUMNS, "events"), folder / "events.parquet", self._provenance)

    def _hand_over(self, result: AssociationResult | None = None) -> None:
        if self._handover is not None:
            self._handover.offer(self._life, result, self._archive)

    def _archive_day(self, day: int, found: PickedChunks, source: Archive) -> None:
        """Move a day from the tables to a folder of its own."""
        span = Range(day * DAY_NS, (day + 1) * DAY_NS)
        margin = DayFolders.MARGIN_NS
        with self._days.folder(day) as folder:
            picks = self._picks_of(day * DAY_NS - margin, (day + 1) * DAY_NS + margin, is_long=True)
            if self._associate is None:
                write_table(span.select(picks), folder / "picks.parquet", self._provenance)
            else:
                result = self._associate(picks, None)
                result.events["event_id"] = self._life.identify(result.events, result.picks)
                self._write_result(catalog_of_day(result, span), folder)
            coverage = replace(found, wanted=span).coverage([source.coverage])
            write_table(coverage, folder / "coverage.csv", self._provenance)
            self._life.revisions.copy(folder / "revisions.jsonl", span.start_ns, span.end_ns)
        self._life.revisions.forget((day + 1) * DAY_NS - margin)

    def _recent_association(self, end_ns: int) -> AssociationResult | None:
        """Associate the last minutes, mostly a part. Events of the first fifth stay, and keep their picks."""
        if self._associate is None:
            return None
        length_ns = self._recent_ns
        if 0 <= end_ns - self._long_ns < _LONG_EVERY * length_ns:
            length_ns = min(length_ns, max(round(_SHORT_SHARE * length_ns), round(_SHORT_S * 1e9)))
        else:
            self._long_ns = end_ns
        start_ns = end_ns - 4 * length_ns // 5
        events, picks = self._events, self._picks_of(end_ns - length_ns, end_ns)
        settled = events.loc[events["time"] < pd.Timestamp(start_ns - _EDGE_NS, tz="UTC"), "event_id"]
        taken = self._event_of.index[self._event_of.isin(settled)]
        result = self._find_events(picks[~picks["pick_id"].isin(taken)], end_ns, start_ns)
        if self._ground is None and result.ground is not None and result.ground.status == "estimated":
            self._ground = result.ground  # until all picks have been associated
        return result

    def _write_recent(self, result: AssociationResult | None, end_ns: int) -> int:
        """Write the picks of the last minutes, and all events so far; count the recent ones."""
        start, end = (pd.Timestamp(ns, tz="UTC") for ns in (end_ns - self._recent_ns, end_ns))
        picks, recent = self._picks_of(start.value, end_ns).assign(event_index=-1), 0
        if result is not None:
            events = self._events = self._joined_events(result.events)
            write_table(events, self._output / RECENT_EVENTS, self._provenance)
            settled = self._event_of[~self._event_of.isin(result.events["event_id"])]
            event_of = pd.concat([event_of_picks(result), settled])
            self._event_of = event_of[~event_of.index.duplicated() & event_of.index.isin(picks["pick_id"])]
            number = pd.Series(events.index, index=events["event_id"])
            found = picks["pick_id"].map(self._event_of).map(number)
            picks["event_index"] = found.fillna(-1).astype("int64")
            recent = int(events["time"].between(start, end).sum())
        write_table(picks, self._output / "recent_picks.parquet", self._provenance)
        return recent

    def _joined_events(self, found: pd.DataFrame) -> pd.DataFrame:
        """Put events beside those before them that were neither found anew nor cancelled."""
        before, found = self._events, conform(found, EVENT_COLUMNS, "events")
        others = before["event_id"].isin(self._life.alive()) & ~before["event_id"].isin(found["event_id"])
        full = [table for table in (before[others], found) if len(table)]
        joined = pd.concat(full) if full else found
        joined = joined.sort_values("time", kind="stable", ignore_index=True)
        return joined.assign(event_index=joined.index)


def event_of_picks(result: AssociationResult) -> pd.Series:
    """Return the id of the event of each pick that has one, by pick id."""
    event = result.picks.set_index("pick_id")["event_index"]
    ids: pd.Series = event.map(result.events.set_index("event_index")["event_id"]).dropna()
    return ids
