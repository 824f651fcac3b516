"""Which windows are trained on, and which validate: whole events, on all cables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from phasenet_das.config import TrainDataSettings
from phasenet_das.errors import ConfigError
from phasenet_das.training.windows import TrainingWindow, find_windows


def split_training_windows(
    data: TrainDataSettings, seed: int
) -> tuple[list[TrainingWindow], list[TrainingWindow]]:
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


def group_by_event(windows: Sequence[TrainingWindow], same_event_s: float) -> np.ndarray:
    """Give each window the number of its event.

    Returns (window,) int64.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(windows)
    begin = np.array([window.begin_time for window in windows], "datetime64[ns]").astype(np.int64)
    end = np.array([window.end_time for window in windows], "datetime64[ns]").astype(np.int64)
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


def split_groups(names: Sequence[str], fraction: float, seed: int) -> np.ndarray:
    """Choose groups for validation by the digest of their names.

    Returns (group,) bool.
    """
    digests = [hashlib.sha256(f"{seed}:{name}".encode()).hexdigest() for name in names]
    count = int(np.ceil(fraction * len(names))) if len(names) > 1 else 0
    chosen = np.zeros(len(names), bool)
    chosen[np.argsort(digests, kind="stable")[:count]] = True
    return chosen


def split_windows(
    windows: Sequence[TrainingWindow], fraction: float, *, same_event_s: float, seed: int
) -> tuple[list[TrainingWindow], list[TrainingWindow]]:
    """Split windows by event."""
    if not windows:
        return [], []
    group = group_by_event(windows, same_event_s)
    begin = np.array([window.begin_time for window in windows], "datetime64[ns]")
    names = [str(begin[group == number].min()) for number in range(int(group.max()) + 1)]
    held_out = split_groups(names, fraction, seed)[group]
    training = [window for window, out in zip(windows, held_out, strict=True) if not out]
    return training, [window for window, out in zip(windows, held_out, strict=True) if out]
