"""The coverage table of a run: what was examined, what was wrong in it, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.picking.findings import Finding, ShardFacts
from phasenet_das.tables import COVERAGE_COLUMNS, conform

_ADJOINING_NS = 1000
_MANY_RUNS = 16
_DONE = {
    "dead": ("skipped", "one value only, to seven digits: not picked there"),
    "nonfinite": ("skipped", "NaN or infinite: not picked there"),
    "saturated": ("examined", "saturated: picked, the amplitudes are lower bounds"),
    "coarse": ("examined", "a large offset hides the signal: subtract the mean of each channel first"),
}


def coverage_table(facts: Sequence[ShardFacts], left_out: Iterable[pd.DataFrame] = ()) -> pd.DataFrame:
    """Make the coverage table of a run; what adjoins and is alike becomes one row."""
    ordered = sorted(facts, key=lambda one: (one.station_id, one.start_ns, one.end_ns, one.first_channel))
    slots = [_slot(list(group)) for _, group in groupby(ordered, key=_slot_key)]
    rows = [_examined_row(one) for one in _join_slots(slots)]
    rows += list(_finding_rows(ordered))
    rows += list(_failure_rows(ordered))
    tables = [pd.DataFrame(rows, columns=list(COVERAGE_COLUMNS)), *left_out]
    filled = [conform(table, COVERAGE_COLUMNS, "coverage") for table in tables if len(table)]
    if not filled:
        return conform(tables[0], COVERAGE_COLUMNS, "coverage")
    return pd.concat(filled, ignore_index=True)


def left_out_row(reason: str, *, station_id: str, span_ns: tuple[int, int], source: str) -> dict[str, Any]:
    """Make the row of a record that cannot be picked."""
    return _row(station_id, span_ns, (-1, -1, 0), "skipped", reason, source)


def _slot_key(one: ShardFacts) -> tuple[str, int, int]:
    return one.station_id, one.start_ns, one.end_ns


def _slot(facts: list[ShardFacts]) -> ShardFacts:
    """Join the blocks of channels of one span of time; equal cables that overlap stay what they are."""
    first = facts[0]
    return replace(
        first,
        first_channel=min(one.first_channel for one in facts),
        last_channel=max(one.last_channel for one in facts),
        num_channels=sum(one.num_channels for one in facts),
        dead=tuple(run for one in facts for run in one.dead),
    )


def _join_slots(slots: list[ShardFacts]) -> Iterator[ShardFacts]:
    """Join spans that adjoin and are alike."""
    open_: dict[tuple[Any, ...], ShardFacts] = {}
    for one in slots:
        key = one.station_id, one.first_channel, one.last_channel, one.num_channels, one.dead, one.unit
        before = open_.get(key)
        if before is not None and abs(one.start_ns - before.end_ns) <= _ADJOINING_NS:
            sources = tuple(dict.fromkeys((*before.sources[:1], *one.sources[-1:])))
            open_[key] = replace(before, end_ns=one.end_ns, sources=sources)
            continue
        if before is not None:
            yield before
        open_[key] = one
    yield from sorted(open_.values(), key=lambda one: (one.station_id, one.start_ns))


def _examined_row(one: ShardFacts) -> dict[str, Any]:
    dead = _count(one.dead)
    reason = f"{dead} dead channels, such as {one.dead[0][0]}" if dead else ""
    channels = one.first_channel, one.last_channel, one.num_channels - dead
    return _row(
        one.station_id, (one.start_ns, one.end_ns), channels, "examined", reason, " ... ".join(one.sources)
    )


def _finding_rows(facts: list[ShardFacts]) -> Iterator[dict[str, Any]]:
    open_: dict[tuple[Any, ...], tuple[Finding, str]] = {}
    for one in facts:
        for found in one.findings:
            key = one.station_id, found.kind, found.channels
            before = open_.get(key)
            if before is not None and abs(found.start_ns - before[0].end_ns) <= _ADJOINING_NS:
                open_[key] = replace(before[0], end_ns=found.end_ns), before[1]
                continue
            if before is not None:
                yield from _rows_of(one.station_id, *before)
            open_[key] = found, one.sources[0] if one.sources else ""
    for (station, *_), last in sorted(open_.items(), key=lambda item: (item[0][0], item[1][0].start_ns)):
        yield from _rows_of(str(station), *last)


def _rows_of(station_id: str, found: Finding, source: str) -> Iterator[dict[str, Any]]:
    status, reason = _DONE[found.kind]
    runs = found.channels
    if len(runs) > _MANY_RUNS:
        count = _count(runs)
        reason = f"{count} channels of this range {reason}"
        channels = [(runs[0][0], runs[-1][1], count)]
    else:
        channels = list(runs)
    for one in channels:
        yield _row(station_id, (found.start_ns, found.end_ns), one, status, reason, source)


def _failure_rows(facts: list[ShardFacts]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for one in facts:
        for path, reason in one.failures.items():
            if path not in seen:
                seen.add(path)
                yield left_out_row(
                    reason, station_id=one.station_id, span_ns=(one.start_ns, one.end_ns), source=path
                ) | {"status": "unreadable"}


def _count(runs: Sequence[tuple[int, int, int]]) -> int:
    return sum(count for _, _, count in runs)


def _row(
    station_id: str,
    span_ns: tuple[int, int],
    channels: tuple[int, int, int],
    status: str,
    reason: str,
    source: str,
) -> dict[str, Any]:
    start, end = (pd.Timestamp(np.datetime64(ns, "ns"), tz="UTC") for ns in span_ns)
    first, last, count = channels
    return {
        "station_id": station_id,
        "start": start,
        "end": end,
        "first_channel": first,
        "last_channel": last,
        "num_channels": count,
        "status": status,
        "reason": reason,
        "source": source,
    }
