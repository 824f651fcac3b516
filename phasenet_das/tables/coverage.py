"""What of an archive is in no recording, and why: rows of the coverage table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.errors import PhaseNetDASError
from phasenet_das.tables.columns import COVERAGE_COLUMNS, conform

Channels = Mapping[str, np.ndarray]  # numbers of the channels of each geometry
_NO_TIME = np.iinfo(np.int64).min  # numpy's NaT
_HALF_SAMPLE = 0.5


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
    if skipped == samples:
        return f"{path}: lies within what {owner} and others before it hold, which begin earlier"
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
    drifted = ~changed & (later["drifted"].to_numpy())
    gap = (missing_ns > half_ns) & ~drifted
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
            _split_reason(before.iloc[k], later.iloc[k], int(off_ns[k]), float(half_ns[k]))
            for k in np.flatnonzero(split).tolist()
        ],
        later.loc[split, "path"].tolist(),
        start_ns=start[1:][split],
        end_ns=start[1:][split],
        channels=_channels(later.loc[split, "geometry"], channels_of),
        **common,
    )
    return pd.concat([gaps, splits], ignore_index=True)


def _split_reason(before: pd.Series, later: pd.Series, off_ns: int, half_ns: float) -> str:
    if before["config"] == later["config"] and not later["drifted"]:
        return (
            f"{later['path']}: gap of {off_ns * 1e-9:.9g} s in this record, over which the cable has another"
        )
    if before["config"] == later["config"]:
        return (
            f"{later['path']}: its start is {off_ns * 1e-9:+.9g} s off the time axis, more than half a "
            "sample: the clock drifts or the interval is rounded"
        )
    names = {"dt_s": "interval", "unit": "unit", "gauge_length_m": "gauge length", "channels_id": "channels"}
    changes = [
        f"{label} {before[name]} to {later[name]}" if name != "channels_id" else "channels or their distances"
        for name, label in names.items()
        if before[name] != later[name] and not (pd.isna(before[name]) and pd.isna(later[name]))
    ]
    text = f"{later['path']}: the record changes: {', '.join(changes)}"
    if off_ns < -half_ns:
        text += (
            f"; it overlaps by {-off_ns * 1e-9:.9g} s with the record before the change, and both are "
            "used: pick them apart if that is one signal twice"
        )
    return text


def join_coverage(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join rows into one coverage table, by cable, time and file."""
    filled = [table for table in tables if len(table)]
    table = pd.concat(filled, ignore_index=True) if filled else _rows([], [], [])
    table = table.sort_values(["station_id", "start", "source"], kind="stable", ignore_index=True)
    return conform(table, COVERAGE_COLUMNS, "coverage")
