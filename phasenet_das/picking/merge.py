"""The pick table of parts: a merge by time that holds no more than what overlaps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from phasenet_das.picking.assemble import SORTED_BY, join_picks
from phasenet_das.picking.parts import PartStore, StoredPart
from phasenet_das.picking.scales import combine_scales, combining_reach_s
from phasenet_das.picking.work import PickedShard
from phasenet_das.tables import PickWriter, atomic_path, write_sidecar

_ROWS_AT_A_TIME = 400_000
_MARGIN_S = 1.0  # the peak is refined to within a sample of the core
_SLOWNESS = "slowness"


class PickSummary:
    """Counts of a table that is not held in memory.

    Attributes
    ----------
    num_picks : int
        Rows.
    by_phase : dict of str to int
        Rows of each phase.
    channels : set of (str, int)
        Cables and channels with picks.
    """

    def __init__(self) -> None:
        self.num_picks = 0
        self.by_phase: dict[str, int] = {}
        self.channels: set[tuple[str, int]] = set()

    def add(self, picks: pd.DataFrame) -> None:
        """Count further rows."""
        self.num_picks += len(picks)
        for phase, count in picks["phase_type"].value_counts().items():
            self.by_phase[str(phase)] = self.by_phase.get(str(phase), 0) + int(count)
        pairs = picks[["station_id", "channel_index"]].drop_duplicates()
        self.channels.update(pairs.itertuples(index=False, name=None))


def merged(parts: Sequence[StoredPart], read: Callable[[str], pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Merge parts to one table in the order of time."""
    reach = pd.Timedelta(seconds=merging_reach_s(parts))
    waiting: list[pd.DataFrame] = []
    rows, begin = 0, pd.Timestamp.min.tz_localize("UTC") + reach
    for part in sorted(parts, key=lambda one: (one.facts.start_ns, one.key)):
        if part.num_picks == 0:
            continue
        if rows >= _ROWS_AT_A_TIME:
            table = join_picks(waiting)
            end = pd.Timestamp(part.facts.start_ns, tz="UTC") - reach
            if (table["phase_time"] < end).any():
                yield _settled(table, begin, end)
                begin = max(begin, end)
            waiting = [table[table["phase_time"] >= begin - reach]]
            rows = len(waiting[0])
        waiting.append(read(part.key).assign(**{_SLOWNESS: part.facts.slowness}))
        rows += part.num_picks
    if rows:
        yield _settled(join_picks(waiting), begin, pd.Timestamp.max.tz_localize("UTC"))


def merging_reach_s(parts: Iterable[StoredPart]) -> float:
    """Give how far from a time picks of other parts matter for what the table holds there."""
    slowness = {part.facts.slowness for part in parts}
    return _MARGIN_S + (combining_reach_s(max(slowness)) if len(slowness) > 1 else 0.0)


def join_scales(picked: Iterable[PickedShard]) -> pd.DataFrame:
    """Put the picks of all shards and scales of a record together."""
    table = join_picks(one.picks.assign(**{_SLOWNESS: one.facts.slowness}) for one in picked)
    if table.empty:
        return table
    return _chosen(table)


def merge_parts(store: PartStore, parts: Sequence[StoredPart]) -> pd.DataFrame:
    """Merge parts to a table in memory."""
    return join_picks(merged(parts, store.picks))


def write_merged(
    store: PartStore, parts: Sequence[StoredPart], path: Path, facts: Mapping[str, Any]
) -> PickSummary:
    """Merge parts to a file, in bounded memory."""
    summary = PickSummary()
    with atomic_path(path) as temporary:
        writer = PickWriter(temporary, facts)
        for table in merged(parts, store.picks):
            writer.write(table)
            summary.add(table)
        writer.close()
    if path.suffix == ".csv":
        write_sidecar(path, facts)
    return summary


def _settled(table: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Choose among the scales, and give what lies in a span; the rest of the table is its surroundings."""
    chosen = _chosen(table.drop_duplicates(["pick_id", _SLOWNESS], ignore_index=True))
    within = (chosen["phase_time"] >= begin) & (chosen["phase_time"] < end)
    return chosen[within].reset_index(drop=True)


def _chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Choose among the scales, and sort."""
    chosen = combine_scales(table, table[_SLOWNESS].to_numpy()).drop(columns=_SLOWNESS)
    return chosen.sort_values(SORTED_BY, kind="stable", ignore_index=True)
