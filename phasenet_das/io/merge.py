"""THE rule by which what lies in files, or in one file, becomes gap-free recordings, each sample once.

Members are recordings as their files give them, of one cable, interval, channels, unit and gauge length,
ordered by start. The time axis of a recording is start + i · dt, and what a member misses it by is judged,
not what two stamps differ by:

- A member that begins within half a sample of where the axis ends continues the recording.
- A member that begins later begins a new recording: gaps are never bridged.
- A member that begins earlier overlaps: the samples that are there stay, the member contributes
  what lies more than half a sample beyond. Of two equal members the first in the order stays.
- A member that overlaps with another of its own file, inside which the clock was set back, begins a new
  recording with what lies beyond: its samples do not follow those that are there.
- A member that misses the axis though it continues the stamp of the member before, because clocks drift or dt
  is rounded, begins a new recording, and no sample is lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

HALF_SAMPLE = 0.5
CAUSES = ("first", "gap", "drift", "step")
FIRST, GAP, DRIFT, STEP = range(len(CAUSES))
SAME_INTERVAL = 1e-6


@dataclass(frozen=True)
class MergePlan:
    """Where each member goes, arrays of shape (member,), int64.

    ``recording`` is the number of its recording, -1 when it contributes nothing; ``skipped`` counts the
    samples at its beginning that an earlier member has already, and ``kept_by`` is that member, -1 without;
    ``position`` is the sample of the recording at which it begins; ``cause`` says why a recording begins
    here: ``FIRST``, ``GAP``, ``DRIFT`` or ``STEP``, -1 where none does.
    """

    recording: np.ndarray
    skipped: np.ndarray
    position: np.ndarray
    kept_by: np.ndarray
    cause: np.ndarray


_COLUMNS = ("recording", "skipped", "position", "kept_by", "cause")


def merge(
    start_ns: np.ndarray, num_samples: np.ndarray, dt_s: np.ndarray, file: np.ndarray | None = None
) -> MergePlan:
    """Merge members by the rule of this module.

    `start_ns` (member,) int64, `num_samples` (member,) int, `dt_s` (member,) float64, `file` (member,) int:
    a number for each file inside which the clock was set back, -1 for other files.
    """
    count = len(start_ns)
    files = (np.full(count, -1) if file is None else file).tolist()
    out = MergePlan(*(np.full(count, fill, dtype=np.int64) for fill in (-1, 0, 0, -1, -1)))
    recording, length, begun, axis_dt_ns, covered, last = -1, 0, 0, 1.0, 0, -1
    members = zip(start_ns.tolist(), num_samples.tolist(), (dt_s * 1e9).tolist(), strict=True)
    for k, (start, samples, dt_ns) in enumerate(members):
        skip, cause = 0, FIRST
        if recording >= 0:
            skip, cause = _continue(start, covered, begun + round(length * axis_dt_ns), dt_ns)
        if skip > 0:
            out.kept_by[k] = last
        if skip >= samples:
            out.skipped[k] = samples
            continue
        if skip > 0 and files[k] == files[last] >= 0:
            cause = STEP
        if cause >= 0:
            begun = start + round(skip * dt_ns)
            recording, length, axis_dt_ns = recording + 1, 0, dt_ns
        out.recording[k], out.skipped[k], out.position[k], out.cause[k] = recording, skip, length, cause
        length += samples - skip
        covered, last = start + round(samples * dt_ns), k
    return out


def _continue(start: int, covered: int, expected: int, dt_ns: float) -> tuple[int, int]:
    """Say how many samples of a member to skip, and why it begins a new recording: -1 when it continues.

    The axis of the recording ends at `expected`, the member before by its own stamp at `covered`.
    """
    if abs(start - expected) <= HALF_SAMPLE * dt_ns:
        return 0, -1
    if abs(start - covered) <= HALF_SAMPLE * dt_ns:
        return 0, DRIFT
    if start > expected:
        return 0, GAP
    return math.floor((expected - start) / dt_ns + HALF_SAMPLE), -1


def cluster(values: np.ndarray, tolerance: float) -> np.ndarray:
    """Put a number on each group of values that are equal within a relative tolerance.

    `values` (n,) float64. Returns (n,) int64.
    """
    unique, place = np.unique(values, return_inverse=True)
    groups = np.zeros(len(unique), dtype=np.int64)
    lowest = -np.inf
    for k, value in enumerate(unique.tolist()):
        new = value > lowest * (1 + tolerance) or k == 0
        lowest = value if new else lowest
        groups[k] = (groups[k - 1] + 1 if new else groups[k - 1]) if k else 0
    return groups[place]


def merge_members(rows: pd.DataFrame) -> pd.DataFrame:
    """Order members by cable, what they have in common, and time; and say where each goes.

    Adds ``config`` (equal for what can be one recording) and the columns of :class:`MergePlan`, with numbers
    of recordings and members that are those of the result.
    """
    gauge = rows["gauge_length_m"].fillna(-1.0)
    same = [rows["station_id"], cluster(rows["dt_s"].to_numpy(), SAME_INTERVAL), rows["channels_id"]]
    rows = rows.assign(config=rows.groupby([*same, rows["unit"], gauge], sort=True).ngroup())
    set_back = rows["set_back"].groupby(rows["path"]).transform("any")
    rows = rows.assign(file=np.where(set_back, rows["path"].factorize()[0], -1))
    rows = rows.sort_values(["config", "start_ns", "path", "part"], kind="stable", ignore_index=True)
    configs = rows["config"].to_numpy(np.int64)
    bounds = np.searchsorted(configs, np.arange(int(configs[-1]) + 2))
    columns = {name: np.empty(len(rows), np.int64) for name in _COLUMNS}
    recordings = 0
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        group = rows.iloc[low:high]
        found = merge(*(group[name].to_numpy() for name in ("start_ns", "num_samples", "dt_s", "file")))
        for name in _COLUMNS:
            columns[name][low:high] = getattr(found, name)
        inside, kept_by = columns["recording"][low:high], columns["kept_by"][low:high]
        inside[inside >= 0] += recordings
        kept_by[kept_by >= 0] += low
        recordings = int(inside.max()) + 1
    return rows.assign(**columns)


def merged_recordings(members: pd.DataFrame) -> pd.DataFrame:
    """Describe each recording, a row by its number, from the member with which it begins."""
    first = members[members["cause"] >= FIRST].set_index("recording").sort_index()
    begin = first["start_ns"] + np.rint(first["skipped"] * (first["dt_s"] * 1e9)).astype(np.int64)
    used = members[members["recording"] >= 0]
    lengths = (used["num_samples"] - used["skipped"]).groupby(used["recording"]).sum()
    names = (
        "station_id",
        "dt_s",
        "channels_id",
        "unit",
        "gauge_length_m",
        "config",
        "geometry",
        "path",
        "part",
    )
    return first[list(names)].assign(
        start_ns=begin, num_samples=lengths, cause=np.array(CAUSES)[first["cause"]]
    )
