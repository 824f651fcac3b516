"""Which windows are trained on, and which validate: whole events, or the last share of a sequence."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Sequence

import numpy as np

from phasenet_das.config import TrainDataSettings
from phasenet_das.errors import ConfigError
from phasenet_das.training.windows import TrainingWindow, find_windows

log = logging.getLogger(__name__)

_FRACTION = 0.1
_FEWEST_HELD_OUT, _ENOUGH_FOR_THEM = 2, 4

Split = tuple[list[TrainingWindow], list[TrainingWindow]]
"""Windows to train on, and to validate on."""


def split_training_windows(data: TrainDataSettings, seed: int) -> Split:
    """Find the windows to train on and those to validate on."""
    windows = find_windows(data.windows, data.labels)
    if data.validation_windows:
        held_out = find_windows(data.validation_windows)
        common = {window.path.resolve() for window in windows} & {w.path.resolve() for w in held_out}
        if common:
            raise ConfigError(
                f"validation_windows: {len(common)} are trained on too, such as {min(common)}. Part them."
            )
        return windows, held_out
    return split_windows(windows, data.validation_fraction, same_event_s=data.same_event_s, seed=seed)


def split_windows(
    windows: Sequence[TrainingWindow], fraction: float | None, *, same_event_s: float, seed: int
) -> Split:
    """Split windows by event, or by time if a sequence chains all of them to one event.

    Windows of noise are split alike. A window that overlaps an event of the other side is left out.
    """
    quiet = np.array([window.quiet for window in windows], bool)
    begin, end = _times(windows)
    held_out = np.zeros(len(windows), bool)
    group = group_by_event([window for window in windows if not window.quiet], same_event_s)
    is_sequence = len(group) > 1 and not group.any()
    if is_sequence:
        count = held_out_count(len(group), fraction)
        held_out = begin >= np.sort(begin[~quiet])[len(group) - count :].min(initial=end.max())
    else:
        held_out[~quiet] = _split_by_group(group, begin[~quiet], fraction, seed)
        quiet_group = group_by_event([window for window in windows if window.quiet], 0.0)
        held_out[quiet] = _split_by_group(quiet_group, begin[quiet], fraction, seed)
    left_out = ~held_out & _overlap(begin, end, held_out & ~quiet)
    if is_sequence and (left_out | held_out)[~quiet].all():
        held_out[:] = left_out[:] = False  # the windows overlap too much for both sides to have one
    left_out |= held_out & quiet & _overlap(begin, end, ~held_out & ~quiet)
    if is_sequence and held_out.any():
        log.info(
            "all %d windows chain to one event: the last %d by time validate, %d that overlap are left out",
            len(group), (held_out & ~quiet).sum(), left_out.sum(),
        )  # fmt: skip
    return _chosen(windows, ~held_out & ~left_out), _chosen(windows, held_out & ~left_out)


def _chosen(windows: Sequence[TrainingWindow], chosen: np.ndarray) -> list[TrainingWindow]:
    return list(itertools.compress(windows, chosen))


def _times(windows: Sequence[TrainingWindow]) -> tuple[np.ndarray, np.ndarray]:
    """List begins and ends (window,), int64 ns."""
    begin = np.array([window.begin_time for window in windows], "datetime64[ns]").astype(np.int64)
    end = np.array([window.end_time for window in windows], "datetime64[ns]").astype(np.int64)
    return begin, end


def _overlap(begin: np.ndarray, end: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Mark the windows that share samples' time with any of `others` (window,) bool."""
    order = np.flatnonzero(others)[np.argsort(begin[others], kind="stable")]
    if not len(order):
        return np.zeros(len(begin), bool)
    begun = np.searchsorted(begin[order], end, "left")  # others that begin before a window ends
    latest_end = np.maximum.accumulate(end[order])
    inside: np.ndarray = (begun > 0) & (latest_end[np.maximum(begun - 1, 0)] > begin)
    return inside


def group_by_event(windows: Sequence[TrainingWindow], same_event_s: float) -> np.ndarray:
    """Give each window the number of its event.

    Returns (window,) int64.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(windows)
    begin, end = _times(windows)
    order = np.argsort(begin, kind="stable")
    latest_end = np.maximum.accumulate(end[order])
    linked = begin[order][1:] - latest_end[:-1] < same_event_s * 1e9
    chain = np.concatenate([[0], np.cumsum(~linked)])
    in_time = np.empty(n, np.int64)
    in_time[order] = chain
    names = [window.event_id or f"\0{number}" for number, window in enumerate(windows)]
    by_name = np.unique(names, return_inverse=True)[1] + n
    links = coo_array((np.ones(n), (in_time, by_name)), shape=(2 * n, 2 * n))
    groups = connected_components(links, directed=False)[1][in_time]
    numbered: np.ndarray = np.unique(groups, return_inverse=True)[1]
    return numbered


def _split_by_group(group: np.ndarray, begin: np.ndarray, fraction: float | None, seed: int) -> np.ndarray:
    """Choose whole groups for validation, but none with more than half of the windows.

    A group is as large as events follow each other closely. Those that would bring the windows for
    validation above twice their share are left, unless all are so large. `group`, `begin` (window,).
    Returns (window,) bool.
    """
    size = np.bincount(group)
    first = np.full(len(size), np.iinfo(np.int64).max)
    np.minimum.at(first, group, begin)
    names = [str(np.datetime64(int(ns), "ns")) for ns in first]
    chosen = np.zeros(len(size), bool)
    least, most = held_out_count(len(size), fraction), 2 * held_out_count(len(group), fraction)
    order = _by_digest(names, seed)
    order = order[2 * size[order] <= len(group)]
    for number in order:
        if chosen.sum() < least and size[chosen].sum() + size[number] <= most:
            chosen[number] = True
    if least and not chosen.any():
        chosen[order[size[order].argsort(kind="stable")[:1]]] = True
    held_out: np.ndarray = chosen[group]
    return held_out


def split_groups(names: Sequence[str], fraction: float | None, seed: int) -> np.ndarray:
    """Choose groups for validation by the digest of their names.

    Returns (group,) bool.
    """
    chosen = np.zeros(len(names), bool)
    chosen[_by_digest(names, seed)[: held_out_count(len(names), fraction)]] = True
    return chosen


def _by_digest(names: Sequence[str], seed: int) -> np.ndarray:
    """Put groups in an order (group,) that only their names and the seed decide."""
    digests = [hashlib.sha256(f"{seed}:{name}".encode()).hexdigest() for name in names]
    return np.argsort(digests, kind="stable")


def held_out_count(count: int, fraction: float | None) -> int:
    """Say how many of some events to validate on: a tenth, of 4 and more at least 2, and never all."""
    if count < 2 or fraction == 0:
        return 0
    fewest = _FEWEST_HELD_OUT if fraction is None and count >= _ENOUGH_FOR_THEM else 1
    share = _FRACTION if fraction is None else fraction
    return min(max(int(np.ceil(share * count)), fewest), count - 1)
