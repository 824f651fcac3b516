"""Pick files as an interrogator drops them and associate the last minutes: the shards of a growing record.

What a pass picks is what one run over the finished folder picks: only the shards near the moving end of the
record are picked again when it has moved on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gamma.errors import GammaError
from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io.archive import open_archive
from phasenet_das.io.inputs import find_recordings
from phasenet_das.picking.continuous import ContinuousRun, PickedParts, pick_parts
from phasenet_das.picking.merge import merge_parts, merging_reach_s
from phasenet_das.picking.parts import PartStore, StoredPart
from phasenet_das.picking.picker import Picker
from phasenet_das.tables import EVENT_COLUMNS, conform, read_events, write_table
from phasenet_das.tables.provenance import provenance

log = logging.getLogger(__name__)

Associate = Callable[[pd.DataFrame], tuple[pd.DataFrame, pd.DataFrame]]
"""From picks to events, and to the picks with the event of each."""

_DAY_NS = 86_400_000_000_000
_SHARD_S = 60.0


@dataclass(frozen=True)
class WatchStep:
    """What one pass has done.

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
            f"{self.num_files} new files, {self.num_picks} picks, {self.num_events} events of late"
        )


class Watcher:
    """Follows folders to which files are added.

    Writes ``picks/YYYY-MM-DD.parquet``, a table for each day; ``coverage.csv``; and, with `associate`,
    ``events.parquet`` and ``recent_picks.parquet``. All are whole at any time, and a new watcher of the same
    output goes on where the last one ended.

    Parameters
    ----------
    picker : Picker
        The network.
    inputs : sequence of str
        Files, folders, glob patterns.
    output : pathlib.Path
        Folder; made when missing.
    data, settings, continuous : DataSettings, PickSettings, ContinuousSettings, optional
        See :func:`phasenet_das.picking.pick_files`; shards are 60 s long unless set.
    associate : callable, optional
        Finds the events of some picks.
    recent_s : float
        Picks of this last span of the data are associated in each pass; earlier events stay, s.
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
        recent_s: float = 600.0,
        settle_s: float = 2.0,
    ) -> None:
        size = continuous or ContinuousSettings()
        if size.shard_s is None:
            size = size.model_copy(update={"shard_s": _SHARD_S})
        self._settings = settings or PickSettings()
        self._run = ContinuousRun.of(picker.shard_picker(self._settings), size)
        self._picker, self._inputs, self._output = picker, inputs, output
        self._data, self._associate = data or DataSettings(), associate
        self._recent_ns, self._settle_s = round(recent_s * 1e9), settle_s
        self._store = PartStore(output / "parts")
        self._files: dict[str, tuple[int, int]] = {}
        self._parts: dict[str, StoredPart] = {}

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
            self._files, self._parts = {}, {}  # tables may be behind: the next pass writes all of them
            raise

    def _pass(self, files: dict[str, tuple[int, int]], num_fresh: int, now: float) -> WatchStep:
        source = open_archive(list(files), self._data, index=self._store.folder / "index")
        found = pick_parts(self._run, source.recordings, self._store)
        self._files = files
        changed = self._take(found)
        facts = self._facts(found)
        picks = self._write_days(changed, facts)
        write_table(found.coverage([source.coverage]), self._output / "coverage.csv", facts)
        end_ns = max(part.facts.end_ns for part in found.parts)
        events = self._write_events(end_ns, facts)
        picked_to = pd.Timestamp(end_ns, tz="UTC")
        return WatchStep(num_fresh, picks, events, picked_to, now - end_ns * 1e-9)

    def follow(self, *, poll_s: float, report: Callable[[str], None]) -> None:
        """Pass after pass, until interrupted.

        Parameters
        ----------
        poll_s : float
            Time between looks at the folder, s.
        report : callable
            Takes a line for each pass that did something.
        """
        while True:
            try:
                step = self.step()
                if step is not None:
                    report(str(step))
            except (PhaseNetDASError, GammaError, OSError) as error:
                log.warning("nothing picked in this pass: %s", error)
            time.sleep(poll_s)

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

    def _take(self, found: PickedParts) -> list[StoredPart]:
        """Make these the parts, and give those that came or went."""
        parts = {part.key: part for part in found.parts}
        changed = [part for key, part in parts.items() if key not in self._parts]
        changed += [part for key, part in self._parts.items() if key not in parts]
        self._parts = parts
        self._store.remove_others(set(parts))
        return changed

    def _facts(self, found: PickedParts) -> dict[str, object]:
        return provenance(
            settings=self._settings,
            amplitude_unit=found.amplitude_unit,
            weights_id=self._picker.weights.weights_id,
        )

    def _write_days(self, changed: Sequence[StoredPart], facts: dict[str, object]) -> int:
        """Write the tables of the days that some parts touch, or whose picks theirs compete with.

        Gives the number of picks in the span of the parts that came.
        """
        margin = self._margin_ns()
        days = {
            day
            for part in changed
            for day in range(
                (part.facts.start_ns - margin) // _DAY_NS, (part.facts.end_ns - 1 + margin) // _DAY_NS + 1
            )
        }
        came = [part.facts for part in changed if part.key in self._parts]
        first = pd.Timestamp(min((facts.start_ns for facts in came), default=0), tz="UTC")
        end = pd.Timestamp(max((facts.end_ns for facts in came), default=0), tz="UTC")
        count = 0
        for day in sorted(days):
            start = day * _DAY_NS
            picks = self._picks_of(start, start + _DAY_NS)
            name = f"{pd.Timestamp(start):%Y-%m-%d}.parquet"
            write_table(picks, self._output / "picks" / name, facts)
            count += int(((picks["phase_time"] >= first) & (picks["phase_time"] < end)).sum())
        return count

    def _margin_ns(self) -> int:
        return round(merging_reach_s(self._parts.values()) * 1e9)

    def _picks_of(self, start_ns: int, end_ns: int) -> pd.DataFrame:
        margin = self._margin_ns()
        parts = [
            part
            for part in self._parts.values()
            if part.facts.start_ns < end_ns + margin and part.facts.end_ns > start_ns - margin
        ]
        picks = merge_parts(self._store, parts)
        low, high = pd.Timestamp(start_ns, tz="UTC"), pd.Timestamp(end_ns, tz="UTC")
        return picks[(picks["phase_time"] >= low) & (picks["phase_time"] < high)].reset_index(drop=True)

    def _write_events(self, end_ns: int, facts: dict[str, object]) -> int:
        """Associate the last minutes; events of the first fifth of them are left as they were before."""
        if self._associate is None:
            return 0
        picks = self._picks_of(end_ns - self._recent_ns, end_ns)
        events, picks = self._associate(picks)
        path = self._output / "events.parquet"
        settled = pd.Timestamp(end_ns - 4 * self._recent_ns // 5, tz="UTC")
        recent = events[events["time"] >= settled]
        before = read_events(path) if path.exists() else None
        tables = [] if before is None else [before[before["time"] < settled]]
        full = [table for table in [*tables, recent] if len(table)]
        joined = pd.concat(full, ignore_index=True) if full else events.iloc[:0]
        joined = joined.sort_values("time", kind="stable", ignore_index=True)
        joined["event_index"] = range(len(joined))
        write_table(conform(joined, EVENT_COLUMNS, "events"), path, facts)
        write_table(picks, self._output / "recent_picks.parquet", facts)
        return len(recent)
