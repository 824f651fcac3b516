"""Pick files as an interrogator writes them, and associate the picks: the chunks of a growing recording.

The picks of a pass are those of one run over the same files. Only the chunks near the moving end of the
recording are picked again when files are added.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from gamma.errors import GammaError
from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io.archive import Archive, archive_of_index
from phasenet_das.io.files import cable_name, find_recordings
from phasenet_das.io.index import update_index
from phasenet_das.io.metadata import UserMetadata
from phasenet_das.picking.picker import Picker
from phasenet_das.picking.request import Range
from phasenet_das.picking.run import PickedChunks, PickRun, pick_chunks, select_range
from phasenet_das.picking.store import ChunkStore, StoredChunk, merge_chunks, merging_reach_s, write_merged
from phasenet_das.tables import EVENT_COLUMNS, PICK_COLUMNS, conform, read_events, write_table
from phasenet_das.tables.provenance import provenance

log = logging.getLogger(__name__)


class Associated(Protocol):
    """What an association returns, such as gamma.AssociationResult."""

    events: pd.DataFrame
    picks: pd.DataFrame


Associate = Callable[[pd.DataFrame], Associated]
"""From picks to events, and to the picks with the event of each."""

WriteCatalog = Callable[[Any, Path, dict[str, Any]], object]
"""Writes the result of an association into a folder, with provenance."""

_DAY_NS = 86_400_000_000_000
_CHUNK_S = 60.0
_WHOLE_PICKS = 200_000


@dataclass(frozen=True)
class WatchStep:
    """The result of one pass.

    Attributes
    ----------
    num_files : int
        New or changed files.
    num_picks : int
        Rows of the tables in the span of the data that came.
    num_events : int
        Events of the last minutes.
    picked_to : pandas.Timestamp
        End of the data.
    lag_s : float
        How far that is behind the clock, s.
    """

    num_files: int
    num_picks: int
    num_events: int
    picked_to: pd.Timestamp
    lag_s: float

    def __str__(self) -> str:
        return (
            f"picked to {self.picked_to:%Y-%m-%d %H:%M:%S} UTC, {self.lag_s:.0f} s behind the clock: "
            f"{self.num_files} new files, {self.num_picks} picks, {self.num_events} recent events"
        )


class Watcher:
    """Follows folders to which files are added.

    Each pass writes ``picks/YYYY-MM-DD.parquet``, a table for each day, and ``coverage.csv``. With
    `associate` it also writes ``recent_events.parquet`` and ``recent_picks.parquet``, the events so far and
    the picks of the last minutes. ``picks.parquet`` holds all picks. With `write_catalog`, the events and the
    catalog files lie beside it, as after one run over the same files. These whole tables are written after
    each pass while they hold at most 200,000 picks, and by :meth:`close`. All files are whole at any time. A
    new watcher of the same output resumes where the last one ended.

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
        Finds the events of a pick table: returns an object with ``events`` and ``picks``.
    write_catalog : callable, optional
        ``write_catalog(result, folder, provenance)`` writes the result of `associate`.
    recent_s : float
        Length of the last minutes, s.
    settle_s : float
        A file is taken when it has not changed for this long, s.
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
        recent_s: float = 600.0,
        settle_s: float = 2.0,
    ) -> None:
        size = continuous or ContinuousSettings()
        if size.chunk_s is None:
            size = size.model_copy(update={"chunk_s": _CHUNK_S})
        self._settings = settings or PickSettings()
        self._data, wanted = select_range(data, None, None, None)
        self._run = PickRun.of(picker.chunk_picker(self._settings), size, wanted=wanted)
        self._picker, self._inputs, self._output = picker, inputs, output
        self._associate, self._write_catalog = associate, write_catalog
        self._recent_ns, self._settle_s = round(recent_s * 1e9), settle_s
        self._store = ChunkStore(output / "chunks")
        self._files: dict[str, tuple[int, int]] = {}
        self._chunks: dict[str, StoredChunk] = {}
        self._provenance: dict[str, Any] = {}
        self._is_behind = False

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
            return None
        try:
            return self._pass(files, len(fresh), now)
        except BaseException:
            self._files, self._chunks = {}, {}  # tables may be behind: the next pass writes all of them
            self._is_behind = False
            raise

    def close(self) -> None:
        """Write the whole tables, if they lack anything."""
        if self._is_behind:
            self._write_whole()

    def _pass(self, files: dict[str, tuple[int, int]], num_fresh: int, now: float) -> WatchStep:
        source = self._open(list(files))
        found = pick_chunks(self._run, source.recordings, self._store)
        self._files = files
        changed = self._take(found)
        self._provenance = self._describe(found)
        self._is_behind = True
        picks = self._write_days(changed)
        write_table(found.coverage([source.coverage]), self._output / "coverage.csv", self._provenance)
        end_ns = max(chunk.info.end_ns for chunk in found.chunks)
        if sum(chunk.num_picks for chunk in found.chunks) <= _WHOLE_PICKS:
            events = self._recent_of(self._write_whole(), end_ns)
        else:
            events = self._associate_recent(end_ns)
        return WatchStep(num_fresh, picks, events, pd.Timestamp(end_ns, tz="UTC"), now - end_ns * 1e-9)

    def follow(self, *, poll_s: float, report: Callable[[str], None]) -> None:
        """Pass after pass, until interrupted.

        Parameters
        ----------
        poll_s : float
            Time between looks at the folder, s.
        report : callable
            Takes a line for each pass that did something.
        """
        try:
            while True:
                try:
                    step = self.step()
                    if step is not None:
                        report(str(step))
                except (PhaseNetDASError, GammaError, OSError) as error:
                    log.warning("nothing picked in this pass: %s", error)
                time.sleep(poll_s)
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
            if now_s - status.st_mtime >= self._settle_s:
                found[str(path)] = status.st_size, status.st_mtime_ns
        return found

    def _open(self, files: list[str]) -> Archive:
        """Open files; a cable without a name is called after the inputs, so that the name stays."""
        return archive_of_index(
            update_index(files, self._store.folder / "index"),
            UserMetadata.of(self._data),
            name_of=lambda path: cable_name(path, self._inputs),
        )

    def _take(self, found: PickedChunks) -> list[StoredChunk]:
        """Make these the chunks, and return those that came or went."""
        chunks = {chunk.key: chunk for chunk in found.chunks}
        changed = [chunk for key, chunk in chunks.items() if key not in self._chunks]
        changed += [chunk for key, chunk in self._chunks.items() if key not in chunks]
        self._chunks = chunks
        self._store.remove_others(set(chunks))
        return changed

    def _describe(self, found: PickedChunks) -> dict[str, Any]:
        return provenance(
            settings=self._picker.used_settings(self._settings),
            amplitude_unit=found.amplitude_unit,
            weights_id=self._picker.weights.weights_id,
        )

    def _write_days(self, changed: Sequence[StoredChunk]) -> int:
        """Write the tables of the days that some chunks touch, or whose picks compete with theirs.

        Returns the number of picks in the span of the chunks that came.
        """
        margin = self._margin_ns()
        days = {
            day
            for chunk in changed
            for day in range(
                (chunk.info.start_ns - margin) // _DAY_NS, (chunk.info.end_ns - 1 + margin) // _DAY_NS + 1
            )
        }
        came = [chunk.info for chunk in changed if chunk.key in self._chunks]
        first = pd.Timestamp(min((info.start_ns for info in came), default=0), tz="UTC")
        end = pd.Timestamp(max((info.end_ns for info in came), default=0), tz="UTC")
        count = 0
        for day in sorted(days):
            start = day * _DAY_NS
            picks = self._picks_of(start, start + _DAY_NS)
            name = f"{pd.Timestamp(start):%Y-%m-%d}.parquet"
            write_table(picks, self._output / "picks" / name, self._provenance)
            count += int(((picks["phase_time"] >= first) & (picks["phase_time"] < end)).sum())
        return count

    def _margin_ns(self) -> int:
        return round(merging_reach_s(self._chunks.values()) * 1e9)

    def _picks_of(self, start_ns: int, end_ns: int) -> pd.DataFrame:
        margin = self._margin_ns()
        chunks = [
            chunk
            for chunk in self._chunks.values()
            if chunk.info.start_ns < end_ns + margin and chunk.info.end_ns > start_ns - margin
        ]
        return merge_chunks(self._store, chunks, Range(start_ns, end_ns))

    def _write_whole(self) -> Associated | None:
        """Write the tables of all that was picked, as one run over the same files writes them."""
        chunks, path = list(self._chunks.values()), self._output / "picks.parquet"
        result = None
        if self._associate is None:
            write_merged(self._store, chunks, path, self._provenance)
        else:
            result = self._associate(merge_chunks(self._store, chunks))
            if self._write_catalog is None:
                write_table(conform(result.picks, PICK_COLUMNS, "picks"), path, self._provenance)
                self._write_events(result.events, "events.parquet")
            else:
                self._write_catalog(result, self._output, self._provenance)
        self._is_behind = False
        return result

    def _recent_of(self, result: Associated | None, end_ns: int) -> int:
        """Write what is recent of a whole association, and count its events."""
        if result is None:
            return 0
        start = pd.Timestamp(end_ns - self._recent_ns, tz="UTC")
        recent = result.picks[result.picks["phase_time"] >= start].reset_index(drop=True)
        self._write_events(result.events, "recent_events.parquet")
        write_table(recent, self._output / "recent_picks.parquet", self._provenance)
        return int((result.events["time"] >= start).sum())

    def _associate_recent(self, end_ns: int) -> int:
        """Associate the last minutes; events of the first fifth of them are left as they were before."""
        if self._associate is None:
            return 0
        result = self._associate(self._picks_of(end_ns - self._recent_ns, end_ns))
        path = self._output / "recent_events.parquet"
        settled = pd.Timestamp(end_ns - 4 * self._recent_ns // 5, tz="UTC")
        recent = result.events[result.events["time"] >= settled]
        before = read_events(path) if path.exists() else None
        tables = [] if before is None else [before[before["time"] < settled]]
        full = [table for table in [*tables, recent] if len(table)]
        joined = pd.concat(full, ignore_index=True) if full else result.events.iloc[:0]
        joined = joined.sort_values("time", kind="stable", ignore_index=True)
        joined["event_index"] = range(len(joined))
        self._write_events(joined, path.name)
        write_table(result.picks, self._output / "recent_picks.parquet", self._provenance)
        return len(recent)

    def _write_events(self, events: pd.DataFrame, name: str) -> None:
        write_table(conform(events, EVENT_COLUMNS, "events"), self._output / name, self._provenance)
