"""Days that have left the tables of a watch: a folder each, whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import pandas as pd

from phasenet_das.picking.request import Range

if TYPE_CHECKING:
    from gamma import AssociationResult

DAY_NS: Final = 86_400_000_000_000


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

    def over(self, start_ns: int, end_ns: int) -> range:
        """Return the days that leave the tables of some data, as numbers since 1970."""
        first = max(start_ns, self.first_ns() or start_ns) // DAY_NS
        return range(first, first if self.keep_days is None else (end_ns - 1) // DAY_NS - self.keep_days)

    @contextlib.contextmanager
    def folder(self, day: int) -> Iterator[Path]:
        """Give a folder to fill, which gets the name of the day only when the block ends well."""
        name = f"{pd.Timestamp(day * DAY_NS):%Y-%m-%d}"
        temporary = self.root / f".{name}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(self.root / name)


def catalog_of_day(result: AssociationResult, span: Range) -> AssociationResult:
    """Keep the events of a day, their picks, and the other picks of the day."""
    times = result.events["time"].dt.as_unit("ns").astype("int64").to_numpy()
    events = result.events[span.holds_times(times)].reset_index(drop=True)
    number = pd.Series(events.index, index=events["event_index"])
    index = result.picks["event_index"].map(number).fillna(-1).astype("int64")
    inside = span.holds_times(result.picks["phase_time"].dt.as_unit("ns").astype("int64").to_numpy())
    picks = result.picks.assign(event_index=index)[inside | (index >= 0)].reset_index(drop=True)
    return replace(result, events=events.assign(event_index=events.index), picks=picks)
