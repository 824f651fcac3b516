"""Days that have left the tables of a watch: a folder each, whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import pandas as pd

from phasenet_das.picking.request import Range
from phasenet_das.tables import read_coverage
from phasenet_das.watch.health import version_of

if TYPE_CHECKING:
    from gamma import AssociationResult

DAY_NS: Final = 86_400_000_000_000
_LEAST_NS: Final = 1_000_000_000  # a shorter part is the rounding of an edge
_TABLES_KEPT: Final = 4096  # coverage tables of days


@dataclass(frozen=True)
class DayFolders:
    """The folders ``YYYY-MM-DD`` of days that are over; the tables begin after the last of them."""

    root: Path
    keep_days: int | None

    MARGIN_NS: ClassVar[int] = 600_000_000_000
    """Data beside a day that are associated with it, and time for which its events are remembered."""

    def first_ns(self) -> int | None:
        """Return the start of the tables; None where no day has left them."""
        names = sorted(path.name for path in self.root.glob("????-??-??"))
        return int(pd.Timestamp(names[-1]).as_unit("ns").value) + DAY_NS if names else None

    def over(self, start_ns: int, end_ns: int, now_ns: int) -> range:
        """Return the days that leave the tables of some data, as numbers since 1970.

        Samples in the future of the clock end no day: one file of a wrong clock would end all days up to it.
        """
        first = max(start_ns, self.first_ns() or start_ns) // DAY_NS
        last = (min(end_ns, now_ns) - 1) // DAY_NS
        return range(first, first if self.keep_days is None else last - self.keep_days)

    def missed(self, station_id: str, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """Return the parts of a recording that no folder holds, because they came after their day."""
        end_ns = min(end_ns, self.first_ns() or start_ns)
        days = range(start_ns // DAY_NS, (end_ns - 1) // DAY_NS + 1)
        held = sorted(
            (max(first, start_ns), min(end, end_ns))
            for day in days
            for station, first, end in _held(*version_of(self._path(day) / "coverage.csv"))
            if station == station_id and first < end_ns
        )
        found, reached = [], start_ns
        for first, end in (*held, (end_ns, end_ns)):
            if first - reached > _LEAST_NS:
                found.append((reached, first))
            reached = max(reached, end)
        return found

    @contextlib.contextmanager
    def folder(self, day: int) -> Iterator[Path]:
        """Give a folder to fill, which gets the name of the day only when the block ends well."""
        path = self._path(day)
        temporary = path.with_name(f".{path.name}")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(path)

    def _path(self, day: int) -> Path:
        return self.root / f"{pd.Timestamp(day * DAY_NS):%Y-%m-%d}"


@lru_cache(_TABLES_KEPT)
def _held(path: Path, mtime_ns: int) -> list[tuple[str, int, int]]:
    """Read the cable, start and end of each row of a day that says something of samples that were read."""
    if not mtime_ns:
        return []
    table = read_coverage(path)
    table = table[table["status"].isin(["examined", "skipped"])].dropna(subset=["start", "end"])
    start, end = (table[name].dt.as_unit("ns").astype("int64").tolist() for name in ("start", "end"))
    return list(zip(table["station_id"].tolist(), start, end, strict=True))


def catalog_of_day(result: AssociationResult, span: Range) -> AssociationResult:
    """Keep the events of a day, their picks, and the other picks of the day."""
    times = result.events["time"].dt.as_unit("ns").astype("int64").to_numpy()
    events = result.events[span.holds_times(times)].reset_index(drop=True)
    number = pd.Series(events.index, index=events["event_index"])
    index = result.picks["event_index"].map(number).fillna(-1).astype("int64")
    inside = span.holds_times(result.picks["phase_time"].dt.as_unit("ns").astype("int64").to_numpy())
    picks = result.picks.assign(event_index=index)[inside | (index >= 0)].reset_index(drop=True)
    return replace(result, events=events.assign(event_index=events.index), picks=picks)
