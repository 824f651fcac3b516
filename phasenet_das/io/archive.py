"""Archives: folders of files as an ordered sequence of gap-free recordings.

:func:`open_archive` reads headers only; :meth:`Recording.load` opens files when they are needed. The
rules by which files become recordings are those of :mod:`phasenet_das.io.arrange`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.config import DataSettings
from phasenet_das.errors import ConfigError, DataFormatError, PhaseNetDASError
from phasenet_das.io import left_out
from phasenet_das.io.arrange import FIRST, arrange, cluster
from phasenet_das.io.files import Files, Pieces
from phasenet_das.io.index import Index, ScanReport
from phasenet_das.io.opened import time_limits
from phasenet_das.io.recording import Recording
from phasenet_das.io.scan import update_index
from phasenet_das.io.statements import Selected, resolve_rows

log = logging.getLogger(__name__)

_SAME_INTERVAL = 1e-6
_ON_SAMPLE = 1e-3
_SHOWN = 5


@dataclass(frozen=True)
class Archive:
    """An ordered set of recordings.

    Attributes
    ----------
    recordings : tuple of Recording
        By cable, then time; between two of a cable there is a gap, a change, or drift of the clock.
    coverage : pandas.DataFrame
        ``COVERAGE_COLUMNS``; a row with ``reason`` for whatever is not in a segment. Its ``status``:
        ``skipped`` (no recording), ``unreadable`` (damaged, unusable, or still being written),
        ``duplicate``, ``overlapped``, ``out-of-range``, ``gap``, and ``split`` (nothing is lost, but the
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
            f"  {name or '(no name)'}: {len(found)} recording(s), {_duration(held_s)} from "
            f"{np.datetime64(first, 'ns')} to {np.datetime64(last, 'ns')} UTC, {len(gaps)} gap(s) of "
            f"{_duration(missing_s)} in all"
        )

    def _first_reason(self, status: str) -> str:
        return str(self.coverage.loc[self.coverage["status"] == status, "reason"].iloc[0])


def _duration(seconds: float) -> str:
    for name, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.6g} {name}"
    return f"{seconds:.6g} s"


def open_archive(
    inputs: Iterable[str | Path],
    data: DataSettings | None = None,
    *,
    index: Path | None = None,
    strict: bool = False,
    start: Any = None,  # noqa: ANN401 - as phasenet_das.read
    end: Any = None,  # noqa: ANN401
    channel_step: int = 1,
    progress: bool = False,
) -> Archive:
    """Open files, folders and glob patterns as gap-free recordings, from headers alone."""
    limits = _limits(start, end)
    found = update_index(inputs, index, strict=strict, progress=progress)
    return archive_of_index(found, data, strict=strict, limits_ns=limits, channel_step=channel_step)


def _limits(start: Any, end: Any) -> tuple[int | None, int | None]:  # noqa: ANN401
    low, high = (
        None if limit is None else int(limit.astype(np.int64)) for limit in time_limits((start, end))
    )
    if low is not None and high is not None and low >= high:
        raise ConfigError(f"the range of time [{start}, {end}) is empty; expected a start before the end.")
    return low, high


def archive_of_index(
    index: Index,
    data: DataSettings | None = None,
    *,
    strict: bool = False,
    limits_ns: tuple[int | None, int | None] = (None, None),
    channel_step: int = 1,
) -> Archive:
    """Arrange the files of an index into recordings, without touching them."""
    rows, selected, problems = resolve_rows(index, data or DataSettings(), channel_step)
    if strict and problems:
        raise problems[min(problems)]
    tables = [left_out.unread(index.rows), left_out.unusable(rows, problems)]
    usable = rows.drop(index=list(problems)) if problems else rows
    if usable.empty:
        raise _nothing(pd.concat(tables, ignore_index=True))
    pieces = _arrange(usable)
    chains = _segments(pieces)
    clipped, chains = _clip(pieces, chains, limits_ns)
    tables += [left_out.repeated(pieces, selected), left_out.between(chains, selected)]
    if limits_ns != (None, None):
        tables.append(left_out.out_of_range(pieces, clipped, selected))
    recordings = _recordings(clipped, chains, selected, strict)
    coverage = left_out.join(tables)
    _report(coverage, usable)
    return Archive(recordings, coverage, index.report)


def _nothing(coverage: pd.DataFrame) -> PhaseNetDASError:
    counts = ", ".join(f"{count} {status}" for status, count in coverage["status"].value_counts().items())
    bad = coverage[coverage["status"] == "unreadable"]
    first = (bad if len(bad) else coverage)["reason"].iloc[0]
    return DataFormatError(f"none of {len(coverage)} files is a usable recording ({counts}); first: {first}")


def _arrange(rows: pd.DataFrame) -> pd.DataFrame:
    """Order recordings by cable, what they have in common, and time; and say where each goes.

    Adds ``config`` (equal for what can be one segment), and ``segment``, ``skipped``, ``position``,
    ``owner`` (a position in the result), ``cause`` of :class:`phasenet_das.io.arrange.Arranged`.
    """
    gauge = rows["gauge_length_m"].fillna(-1.0)
    same = [rows["station_id"], cluster(rows["dt_s"].to_numpy(), _SAME_INTERVAL), rows["place"]]
    rows = rows.assign(config=rows.groupby([*same, rows["unit"], gauge], sort=True).ngroup())
    rows = rows.sort_values(["config", "start_ns", "path", "part"], kind="stable", ignore_index=True)
    configs = rows["config"].to_numpy(np.int64)
    bounds = np.searchsorted(configs, np.arange(int(configs[-1]) + 2))
    columns = {name: np.empty(len(rows), np.int64) for name in _ARRANGED}
    segments = 0
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        part = rows.iloc[low:high]
        found = arrange(*(part[name].to_numpy() for name in ("start_ns", "num_samples", "dt_s")))
        for name in _ARRANGED:
            columns[name][low:high] = getattr(found, name)
        inside = columns["segment"][low:high]
        inside[inside >= 0] += segments
        owner = columns["owner"][low:high]
        owner[owner >= 0] += low
        segments = int(inside.max()) + 1
    return rows.assign(**columns)


_ARRANGED = ("segment", "skipped", "position", "owner", "cause")


def _segments(pieces: pd.DataFrame) -> pd.DataFrame:
    """Describe each segment: a row by its number, from the piece with which it begins."""
    first = pieces[pieces["cause"] >= FIRST].set_index("segment").sort_index()
    begin = first["start_ns"] + np.rint(first["skipped"] * (first["dt_s"] * 1e9)).astype(np.int64)
    used = pieces[pieces["segment"] >= 0]
    lengths = (used["num_samples"] - used["skipped"]).groupby(used["segment"]).sum()
    names = ["station_id", "dt_s", "place", "unit", "gauge_length_m", "config", "cause", "geometry", "path"]
    return first[names].assign(start_ns=begin, num_samples=lengths)


def _clip(
    pieces: pd.DataFrame, chains: pd.DataFrame, limits_ns: tuple[int | None, int | None]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cut segments to a range of time: the pieces that remain, with ``count``; and the segments."""
    used = pieces[pieces["segment"] >= 0]
    used = used.assign(count=used["num_samples"] - used["skipped"])
    if limits_ns == (None, None):
        return used, chains
    dt_ns = chains["dt_s"] * 1e9
    low, high = (
        chains["num_samples"] * side
        if limit is None
        else np.ceil((limit - chains["start_ns"]) / dt_ns - _ON_SAMPLE).clip(0, chains["num_samples"])
        for side, limit in enumerate(limits_ns)
    )
    low, high = low.astype(np.int64), high.astype(np.int64)
    of_piece = used["segment"].to_numpy()
    begin = np.maximum(used["position"], low.to_numpy()[of_piece])
    end = np.minimum(used["position"] + used["count"], high.to_numpy()[of_piece])
    used = used.assign(
        skipped=used["skipped"] + begin - used["position"],
        position=begin - low.to_numpy()[of_piece],
        count=end - begin,
    )
    chains = chains.assign(
        start_ns=chains["start_ns"] + np.rint(low * dt_ns).astype(np.int64), num_samples=high - low
    )
    return used[used["count"] > 0], chains[chains["num_samples"] > 0]


def _recordings(
    pieces: pd.DataFrame, chains: pd.DataFrame, selected: dict[str, Selected], strict: bool
) -> tuple[Recording, ...]:
    pieces = pieces.sort_values(["segment", "position"], kind="stable")
    integers = ("position", "count", "skipped", "size", "mtime_ns", "part", "num_samples")
    texts = ("path", "key", "geometry")
    columns: dict[str, np.ndarray] = {name: pieces[name].to_numpy(np.int64) for name in integers}
    columns |= {name: pieces[name].to_numpy(object) for name in texts}
    columns["in_file"] = columns.pop("num_samples")
    table = Pieces(**columns)
    numbers = pieces["segment"].to_numpy()
    ordered = chains.sort_values(["station_id", "start_ns", "config"], kind="stable")
    lows = np.searchsorted(numbers, ordered.index.to_numpy(), side="left").tolist()
    highs = np.searchsorted(numbers, ordered.index.to_numpy(), side="right").tolist()
    rows = {name: (item.rows, item.in_file) for name, item in selected.items()}
    facts = ("station_id", "start_ns", "dt_s", "num_samples", "geometry", "unit", "gauge_length_m", "path")
    each = zip(*(ordered[name].tolist() for name in facts), _names(ordered), lows, highs, strict=True)
    recordings = []
    for station, start, dt_s, count, geometry, unit, gauge, path, name, low, high in each:
        numbers = selected[geometry].channel_index
        files = Files(name, table, low, high, numbers, rows, strict)
        recordings.append(
            Recording(
                label=path,
                read_block=files,
                num_samples=count,
                start_time=np.datetime64(start, "ns"),
                dt_s=dt_s,
                channel_index=numbers,
                distance_m=selected[geometry].distance_m,
                station_id=station,
                unit=unit,
                gauge_length_m=gauge,
                name_inputs=files.inputs,
                failures=files.failures,
                notes=files.notes,
            )
        )
    return tuple(recordings)


def _names(chains: pd.DataFrame) -> list[str]:
    """Name each recording as :attr:`Recording.name` does."""
    starts = np.datetime_as_string(chains["start_ns"].to_numpy().astype("datetime64[ns]"), unit="ms").tolist()
    return [
        f"{station} {start}".strip()
        for station, start in zip(chains["station_id"].tolist(), starts, strict=True)
    ]


def _report(coverage: pd.DataFrame, usable: pd.DataFrame) -> None:
    """Log what was left out, a line for each kind; and what headers contradict."""
    for status, rows in coverage.groupby("status"):
        level = logging.INFO if status in ("skipped", "out-of-range", "gap") else logging.WARNING
        shown = "; ".join(rows["reason"].head(_SHOWN))
        more = f"; and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        log.log(level, "%d %s: %s%s", len(rows), status, shown, more)
    noted = usable.loc[usable["note"] != "", "note"]
    if len(noted):
        log.warning("%d file(s) with remarks, the first: %s", len(noted), noted.iat[0])
