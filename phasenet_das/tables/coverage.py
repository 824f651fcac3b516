"""The coverage table: what was examined, what was wrong in it, what is in no recording and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.errors import PhaseNetDASError
from phasenet_das.tables.columns import COVERAGE_COLUMNS, conform

Channels = Mapping[str, np.ndarray]  # numbers of the channels of each geometry, or of each cable
_NO_TIME = np.iinfo(np.int64).min  # numpy's NaT
_HALF_SAMPLE = 0.5
_ALIKE = ["station_id", "first_channel", "last_channel", "num_channels", "status", "reason"]
_TO = " ... "
Runs = tuple[tuple[int, int, int], ...]

_ADJOINING_NS = 1000
_MANY_RUNS = 16
_DONE = {
    "dead": ("skipped", "one value only, to seven digits: not picked there"),
    "nonfinite": ("skipped", "NaN or infinite: not picked there"),
    "short": ("skipped", "not longer than the samples after a start that are never picked"),
    "saturated": ("examined", "saturated: picked, the amplitudes are lower bounds"),
    "coarse": ("examined", "a large offset hides the signal: subtract the mean of each channel first"),
}


@dataclass(frozen=True)
class QualityIssue:
    """Something wrong with some channels over some time."""

    kind: str  # one of ``phasenet_das.picking.preprocess.KINDS``, or ``short``: of the whole recording
    start_ns: int  # span, ns since 1970, half open
    end_ns: int
    channels: Runs  # runs of channels: first and last number, and how many


@dataclass(frozen=True)
class ChunkInfo:
    """What was examined by a chunk."""

    station_id: str  # name of the cable
    start_ns: int  # time of its core, ns since 1970, half open
    end_ns: int
    first_channel: int  # smallest and largest channel number
    last_channel: int
    num_channels: int  # channels of the core
    recording_channels: int  # channels of the whole recording
    dead: Runs  # runs of channels that are dead throughout, as in :class:`QualityIssue`
    unit: str  # unit of the amplitudes
    sources: tuple[str, ...]  # first and last file behind the core
    issues: tuple[QualityIssue, ...]  # what was wrong
    failures: dict[str, str]  # files that could not be read, of those loaded, and why
    rate_pass: int  # number of the rate pass, the fastest 0
    time_stretch: float  # true seconds in one of the network's
    work_fraction: float  # fraction of the work on the recording
    joined: bool  # whether picks of one arrival are joined

    def to_json(self) -> dict[str, Any]:
        """Give the infos as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ChunkInfo:
        """Restore the infos from what :meth:`to_json` gave."""
        issues = tuple(
            QualityIssue(one["kind"], one["start_ns"], one["end_ns"], _runs_of(one["channels"]))
            for one in values["issues"]
        )
        rest = {"dead": _runs_of(values["dead"]), "sources": tuple(values["sources"]), "issues": issues}
        return cls(**{**values, **rest})


def coverage_table(infos: Sequence[ChunkInfo], left_out: Iterable[pd.DataFrame] = ()) -> pd.DataFrame:
    """Make the coverage table of a run; what adjoins and is alike becomes one row."""
    ordered = sorted(infos, key=lambda one: (one.station_id, one.start_ns, one.end_ns, one.first_channel))
    read = [one for one in ordered if not _nothing_read(one)]
    slots = [_slot(list(group)) for _, group in groupby(read, key=_slot_key)]
    rows = [_examined_row(one) for one in _join_slots(slots)]
    rows += [_dead_row(one) for one in ordered if one.dead and _nothing_read(one)]
    rows += list(_issue_rows(ordered))
    rows += list(_failure_rows(ordered))
    tables = [pd.DataFrame(rows, columns=list(COVERAGE_COLUMNS)), *left_out]
    filled = [conform(table, COVERAGE_COLUMNS, "coverage") for table in tables if len(table)]
    if not filled:
        return conform(tables[0], COVERAGE_COLUMNS, "coverage")
    return pd.concat(filled, ignore_index=True)


def _nothing_read(one: ChunkInfo) -> bool:
    """Say whether no sample of a chunk could be picked: it was not examined, and its issues say why."""
    lost = [
        found
        for found in one.issues
        if found.kind in ("nonfinite", "short")
        and found.start_ns <= one.start_ns
        and found.end_ns >= one.end_ns
    ]
    dead = _count(one.dead)
    return any(_count(found.channels) + dead >= one.num_channels for found in lost)


def left_out_row(reason: str, *, station_id: str, span_ns: tuple[int, int], source: str) -> dict[str, Any]:
    """Make the row of a recording that cannot be picked."""
    return _row(station_id, span_ns, (-1, -1, 0), "skipped", reason, source)


def _slot_key(one: ChunkInfo) -> tuple[str, int, int]:
    return one.station_id, one.start_ns, one.end_ns


def _slot(infos: list[ChunkInfo]) -> ChunkInfo:
    """Join the blocks of channels of one span of time; equal cables that overlap stay what they are."""
    first = infos[0]
    return replace(
        first,
        first_channel=min(one.first_channel for one in infos),
        last_channel=max(one.last_channel for one in infos),
        num_channels=sum(one.num_channels for one in infos),
        dead=tuple(run for one in infos for run in one.dead),
    )


def _join_slots(slots: list[ChunkInfo]) -> Iterator[ChunkInfo]:
    """Join spans that adjoin and are alike."""
    open_: dict[tuple[Any, ...], ChunkInfo] = {}
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


def _examined_row(one: ChunkInfo) -> dict[str, Any]:
    dead = _count(one.dead)
    if dead >= one.num_channels:
        return _dead_row(one)
    reason = f"{dead} dead channels, such as {one.dead[0][0]}" if dead else ""
    channels = one.first_channel, one.last_channel, one.num_channels - dead
    return _row(
        one.station_id, (one.start_ns, one.end_ns), channels, "examined", reason, _TO.join(one.sources)
    )


def _dead_row(one: ChunkInfo) -> dict[str, Any]:
    """Make the row of channels that are dead over a whole span: nobody examined them."""
    channels = min(first for first, _, _ in one.dead), max(last for _, last, _ in one.dead), _count(one.dead)
    source = _TO.join(one.sources)
    return _row(one.station_id, (one.start_ns, one.end_ns), channels, *_DONE["dead"], source)


def _issue_rows(infos: list[ChunkInfo]) -> Iterator[dict[str, Any]]:
    open_: dict[tuple[Any, ...], tuple[QualityIssue, str]] = {}
    for one in infos:
        for found in one.issues:
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


def _rows_of(station_id: str, found: QualityIssue, source: str) -> Iterator[dict[str, Any]]:
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


def _failure_rows(infos: list[ChunkInfo]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for one in infos:
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


def runs_of_channels(numbers: np.ndarray, chosen: np.ndarray) -> Runs:
    """Join neighbouring chosen channels to runs: first and last number, and how many."""
    edges = np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]]))
    first, last = np.nonzero(edges == 1)[0], np.nonzero(edges == -1)[0] - 1
    ends = zip(first.tolist(), last.tolist(), strict=True)
    return tuple((int(numbers[i]), int(numbers[j]), j - i + 1) for i, j in ends)


def dead_throughout(infos: Sequence[ChunkInfo], channels_of: Channels) -> list[int]:
    """Name the channels that hold one value throughout on any of their cables.

    `channels_of` are the channel numbers of each cable, by ``station_id``.
    """
    found: set[int] = set()
    for station_id, numbers in channels_of.items():
        alive: set[int] = set()
        dead: set[int] = set()
        for one in (one for one in infos if one.station_id == station_id):
            here = {number for first, last, _ in one.dead for number in range(first, last + 1)}
            alive |= set(range(one.first_channel, one.last_channel + 1)) - here
            dead |= here
        found |= (dead - alive) & set(numbers.tolist())
    return sorted(found)


def clip_info(info: ChunkInfo, start_ns: int | None, end_ns: int | None) -> ChunkInfo | None:
    """Keep the part of a chunk in a range of time; None when there is none."""
    low, high = _clip(info.start_ns, info.end_ns, start_ns, end_ns)
    if low >= high:
        return None
    spans = [(one, *_clip(one.start_ns, one.end_ns, start_ns, end_ns)) for one in info.issues]
    kept = tuple(replace(one, start_ns=first, end_ns=end) for one, first, end in spans if first < end)
    return replace(info, start_ns=low, end_ns=high, issues=kept)


def clip_coverage(table: pd.DataFrame, start_ns: int | None, end_ns: int | None) -> pd.DataFrame:
    """Keep the rows of a coverage table in a range of time, cut to it; rows without times stay."""
    out = table.copy()
    if start_ns is not None:
        start = pd.Timestamp(start_ns, tz="UTC")
        out = out[~(out["end"] <= start) | (out["start"] >= start)]
        out["start"] = out["start"].mask(out["start"] < start, start)
    if end_ns is not None:
        end = pd.Timestamp(end_ns, tz="UTC")
        out = out[~(out["start"] >= end)]
        out["end"] = out["end"].mask(out["end"] > end, end)
    return out.reset_index(drop=True)


def _clip(low: int, high: int, start_ns: int | None, end_ns: int | None) -> tuple[int, int]:
    return (
        low if start_ns is None else max(low, start_ns),
        high if end_ns is None else min(high, end_ns),
    )


def _runs_of(values: Sequence[Sequence[int]]) -> Runs:
    return tuple((int(first), int(last), int(count)) for first, last, count in values)


def _rows(
    status: str | Sequence[str],
    reason: Sequence[str],
    source: Sequence[str],
    *,
    station_id: Any = "",  # noqa: ANN401 - one or one for each row
    start_ns: Any = _NO_TIME,  # noqa: ANN401
    end_ns: Any = _NO_TIME,  # noqa: ANN401
    channels: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> pd.DataFrame:
    count = len(reason)
    first, last, number = channels or (-1, -1, 0)
    return pd.DataFrame(
        {
            "station_id": np.broadcast_to(np.asarray(station_id, dtype=object), (count,)),
            "start": _times(start_ns, count),
            "end": _times(end_ns, count),
            "first_channel": first,
            "last_channel": last,
            "num_channels": number,
            "status": np.broadcast_to(np.asarray(status, dtype=object), (count,)),
            "reason": list(reason),
            "source": list(source),
        }
    )


def _times(ns: Any, count: int) -> pd.DatetimeIndex:  # noqa: ANN401
    stamps = np.broadcast_to(np.asarray(ns, dtype=np.int64), (count,))
    return pd.DatetimeIndex(stamps.astype("datetime64[ns]")).tz_localize("UTC")


def _end_ns(start_ns: np.ndarray, num_samples: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
    lengths: np.ndarray = np.rint(num_samples * (dt_s * 1e9)).astype(np.int64)
    return start_ns + lengths


def _channels(geometry: pd.Series, channels_of: Channels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return first and last channel and number of channels of each row."""
    codes, names = pd.factorize(geometry)
    numbers = [channels_of[name] for name in names]
    facts = np.array([(item.min(), item.max(), len(item)) for item in numbers], dtype=np.int32)
    first, last, count = facts.reshape(-1, 3)[codes].T
    return first, last, count


def unread(rows: pd.DataFrame) -> pd.DataFrame:
    """Name the files of an index that are no recordings, or could not be read."""
    bad = rows[rows["status"] != "ok"]
    return _rows(bad["status"].tolist(), bad["reason"].tolist(), bad["path"].tolist())


def unusable(rows: pd.DataFrame, problems: Mapping[int, PhaseNetDASError]) -> pd.DataFrame:
    """Name the recordings that cannot be used, with their problem, by position."""
    if not problems:
        return _rows([], [], [])
    bad = rows.loc[sorted(problems)]
    ends = np.where(
        (bad["start_ns"] == _NO_TIME) | bad["dt_s"].isna(),
        _NO_TIME,
        _end_ns(bad["start_ns"].to_numpy(), bad["num_samples"].to_numpy(), bad["dt_s"].fillna(0).to_numpy()),
    )
    return _rows(
        "unreadable",
        [str(problems[row]) for row in bad.index],
        bad["path"].tolist(),
        station_id=bad["station_id"].to_numpy(object),
        start_ns=bad["start_ns"].to_numpy(),
        end_ns=ends,
    )


def repeated(members: pd.DataFrame, channels_of: Channels) -> pd.DataFrame:
    """Name what an earlier file has already: whole files (``duplicate``, ``overlapped``) and beginnings."""
    later = members[members["kept_by"] >= 0]
    if later.empty:
        return _rows([], [], [])
    owners = members.iloc[later["kept_by"].to_numpy()]
    dt_ns = later["dt_s"].to_numpy() * 1e9
    apart = np.abs(later["start_ns"].to_numpy() - owners["start_ns"].to_numpy()) / dt_ns
    same = (apart <= _HALF_SAMPLE) & (later["num_samples"].to_numpy() == owners["num_samples"].to_numpy())
    equal = later["key"].to_numpy(object) == owners["key"].to_numpy(object)
    facts = zip(
        *(later[name].tolist() for name in ("path", "skipped", "num_samples")),
        owners["path"].tolist(),
        same.tolist(),
        equal.tolist(),
        strict=True,
    )
    skipped = later["skipped"].to_numpy()
    return _rows(
        np.where(same, "duplicate", "overlapped").tolist(),
        [_repeated_reason(*fact) for fact in facts],
        later["path"].tolist(),
        station_id=later["station_id"].to_numpy(object),
        start_ns=later["start_ns"].to_numpy(),
        end_ns=later["start_ns"].to_numpy() + np.rint(skipped * dt_ns).astype(np.int64),
        channels=_channels(later["geometry"], channels_of),
    )


def _repeated_reason(path: str, skipped: int, samples: int, owner: str, same: bool, equal: bool) -> str:
    if same:
        how = "the same content as" if equal else "other content for the same span as"
        return f"{path}: {how} {owner}, which comes first and is used"
    owner = "a part of the same file" if owner == path else owner
    if skipped == samples:
        return f"{path}: lies within {owner} and others before it, which begin earlier"
    return f"{path}: its first {skipped} of {samples} samples overlap with {owner}, which begins earlier"


def between(recordings: pd.DataFrame, channels_of: Channels) -> pd.DataFrame:
    """Name gaps between the recordings of a cable, and where its record is divided though nothing lacks."""
    tables = [
        _between(part, channels_of)
        for _, part in recordings.groupby("station_id", sort=True)
        if len(part) > 1
    ]
    return pd.concat(tables, ignore_index=True) if tables else _rows([], [], [])


def _between(recordings: pd.DataFrame, channels_of: Channels) -> pd.DataFrame:
    recordings = recordings.sort_values(["start_ns", "config"], kind="stable")
    start = recordings["start_ns"].to_numpy()
    ends = _end_ns(start, recordings["num_samples"].to_numpy(), recordings["dt_s"].to_numpy())
    reached = np.maximum.accumulate(ends)[:-1]
    later, before = recordings.iloc[1:], recordings.iloc[:-1]
    missing_ns = start[1:] - reached
    half_ns = _HALF_SAMPLE * later["dt_s"].to_numpy() * 1e9
    changed = later["config"].to_numpy() != before["config"].to_numpy()
    off_axis = ~changed & later["cause"].isin(["drift", "step"]).to_numpy()
    gap = (missing_ns > half_ns) & ~off_axis
    split = changed | ~gap
    off_ns = np.where(changed, missing_ns, start[1:] - ends[:-1])
    reasons = [f"gap of {ns * 1e-9:.9g} s" for ns in missing_ns[gap].tolist()]
    common = {"station_id": str(recordings["station_id"].iat[0])}
    gaps = _rows(
        "gap",
        reasons,
        later.loc[gap, "path"].tolist(),
        start_ns=reached[gap],
        end_ns=start[1:][gap],
        channels=_channels(later.loc[gap, "geometry"], channels_of),
        **common,
    )
    splits = _rows(
        "split",
        [
            _split_reason(before.iloc[k], later.iloc[k], int(off_ns[k]), float(half_ns[k]), channels_of)
            for k in np.flatnonzero(split).tolist()
        ],
        later.loc[split, "path"].tolist(),
        start_ns=start[1:][split],
        end_ns=start[1:][split],
        channels=_channels(later.loc[split, "geometry"], channels_of),
        **common,
    )
    return pd.concat([gaps, splits], ignore_index=True)


def _split_reason(
    before: pd.Series, later: pd.Series, off_ns: int, half_ns: float, channels_of: Channels
) -> str:
    if before["config"] == later["config"] and later["cause"] == "step":
        return (
            f"{later['path']}: the clock was set back inside the file. A new recording begins after the "
            "times that were recorded before"
        )
    if before["config"] == later["config"] and later["cause"] != "drift":
        return (
            f"{later['path']}: gap of {off_ns * 1e-9:.9g} s in this record, over which the cable has another"
        )
    if before["config"] == later["config"]:
        return (
            f"{later['path']}: its start is {off_ns * 1e-9:+.9g} s off the time axis, more than half a "
            "sample: the clock drifts or the interval is rounded"
        )
    names = {"dt_s": "interval", "unit": "unit", "gauge_length_m": "gauge length"}
    changes = [
        f"{label} {before[name]} to {later[name]}"
        for name, label in names.items()
        if before[name] != later[name] and not (pd.isna(before[name]) and pd.isna(later[name]))
    ]
    if before["channels_id"] != later["channels_id"]:
        one, other = (len(channels_of[row["geometry"]]) for row in (before, later))
        changes.append("channels or their distances" if one == other else f"{one} channels to {other}")
    text = f"{later['path']}: the record changes: {', '.join(changes)}"
    if off_ns < -half_ns:
        text += (
            f". It overlaps by {-off_ns * 1e-9:.9g} s with the record before the change, and both are "
            "used: pick them apart if that is one signal twice"
        )
    return text


def join_coverage(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join rows into one coverage table, by cable, time and file."""
    filled = [table for table in tables if len(table)]
    table = pd.concat(filled, ignore_index=True) if filled else _rows([], [], [])
    table = table.sort_values(["station_id", "start", "source"], kind="stable", ignore_index=True)
    return conform(table, COVERAGE_COLUMNS, "coverage")


def merge_coverage(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Merge coverage tables: each row once, and rows that are alike and adjoin or overlap as one."""
    filled = [conform(table, COVERAGE_COLUMNS, "coverage") for table in tables]
    table = pd.concat([one for one in filled if len(one)] or filled[:1], ignore_index=True)
    table = table.drop_duplicates().sort_values([*_ALIKE, "start", "end"], kind="stable", ignore_index=True)
    kind = table.groupby(_ALIKE, sort=False).ngroup()
    latest = table.groupby(kind)["end"].cummax()
    adjoins = (table["start"] <= latest.shift()) & (kind == kind.shift())
    runs = table.groupby((~adjoins).cumsum(), sort=False)
    out = runs.first()
    out["end"] = runs["end"].max()
    out["source"] = _first_to_last(out["source"], runs["source"].last())
    out = out.sort_values(["station_id", "start"], kind="stable", ignore_index=True)
    return conform(out, COVERAGE_COLUMNS, "coverage")


def _first_to_last(begin: pd.Series, end: pd.Series) -> pd.Series:
    """Name the first file of the first rows and the last file of the last, as the rows themselves do."""
    first = begin.str.split(_TO, regex=False).str[0]
    last = end.str.split(_TO, regex=False).str[-1]
    return first.where(first == last, first + _TO + last)
