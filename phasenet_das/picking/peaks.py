"""From the scores of some channels to rows of the pick table: peaks and times.

A peak is chosen by a rule that looks only nearby, vectorised over all channels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from phasenet_das.models.calibration import PickCalibration
from phasenet_das.picking.resampling import TimeGrid
from phasenet_das.tables import PICK_COLUMNS, conform, empty_picks, make_pick_ids

_GATHER_SAMPLES = 1_000_000

SORTED_BY = ["phase_time", "channel_index", "phase_type", "station_id"]
"""Order of the rows of a pick table."""


ONSET_SAMPLES = 20
"""Samples of the network's time axis that a channel must have before a pick."""


@dataclass(frozen=True)
class Scores:
    """Scores of some channels of a recording over some time."""

    # (3, group, time) float32: probabilities of N, P and S of each group of averaged channels
    scores: np.ndarray
    grid: TimeGrid  # times of the whole recording at the rate of the scores
    first: int  # number of the first score in `grid`
    # scores that this block answers for, half open, counted from its first; the others are context
    core: tuple[int, int]
    rows: np.ndarray  # (channel,) int64: rows of the channels among the conditioned data
    group: np.ndarray  # (channel,) int64: group of each of these channels
    missing: np.ndarray | None  # (channel, time) bool: samples of the scores that rest on no data


def channel_scores(block: Scores) -> np.ndarray:
    """Give every channel the scores of its group; where data is missing, noise.

    Returns (3, channel, time) float32.
    """
    core = slice(*block.core)
    scores = block.scores[:, block.group, core]
    if block.missing is not None:
        scores = np.where(block.missing[:, core], np.array([1, 0, 0], np.float32)[:, None, None], scores)
    return scores


def score_picks(block: Scores, thresholds: dict[str, float], min_separation: int) -> pd.DataFrame:
    """Pick the channels of a block.

    A pick needs some data of its channel before it (``ONSET_SAMPLES``).
    """
    parts = [
        _phase_picks(block, position, phase, thresholds[phase], min_separation)
        for position, phase in ((1, "P"), (2, "S"))
    ]
    return pd.concat(parts, ignore_index=True)


def _phase_picks(
    block: Scores, position: int, phase: str, min_score: float, min_separation: int
) -> pd.DataFrame:
    scores = block.scores[position]
    group, sample = find_peaks(scores, min_score, min_separation)
    mine = (sample >= block.core[0]) & (sample < block.core[1])
    group, sample = group[mine], sample[mine]
    offset = sub_sample_offset(scores, group, sample)
    peak, channel = _expand(group, block.group)
    seen = _has_past(block, channel, sample[peak])
    peak, channel = peak[seen], channel[seen]
    return pd.DataFrame(
        {
            "row": block.rows[channel],
            "peak_sample": sample[peak] + (block.first + block.grid.first_index),
            "phase_time_ns": block.grid.times_ns(block.first + sample[peak] + offset[peak]),
            "phase_type": phase,
            "phase_score": scores[group, sample][peak],
        }
    )


def _has_past(block: Scores, channel: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Tell the peaks with data before them: a beginning, or data after a gap, looks like an onset."""
    seen = block.first + sample >= ONSET_SAMPLES
    if block.missing is not None:
        past = np.maximum(sample[:, None] - np.arange(ONSET_SAMPLES + 1), 0)
        seen &= ~block.missing[channel[:, None], past].any(axis=1)
    return seen


def _expand(peak_group: np.ndarray, channel_group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair each peak of a group with every channel of that group."""
    order = np.argsort(channel_group, kind="stable")
    members = channel_group[order]
    first = np.searchsorted(members, peak_group, "left")
    count = np.searchsorted(members, peak_group, "right") - first
    peak = np.repeat(np.arange(len(peak_group)), count)
    within = np.arange(len(peak)) - np.repeat(np.cumsum(count) - count, count)
    return peak, order[np.repeat(first, count) + within]


def pick_table(
    picks: pd.DataFrame, station_id: str, channel_index: np.ndarray, distance_m: np.ndarray
) -> pd.DataFrame:
    """Make the pick table of a recording.

    `channel_index` and `distance_m` (channel,).
    """
    if picks.empty:
        return empty_picks()
    row = picks["row"].to_numpy()
    phase = picks["phase_type"].to_numpy(dtype=str)
    table = pd.DataFrame(
        {
            "pick_id": make_pick_ids(station_id, channel_index[row], phase, picks["peak_sample"].to_numpy()),
            "station_id": station_id,
            "channel_index": channel_index[row],
            "distance_m": distance_m[row],
            "phase_time": picks["phase_time_ns"].to_numpy().astype("datetime64[ns]"),
            "phase_type": phase,
            "phase_score": picks["phase_score"].to_numpy(),
            "phase_amplitude": picks["phase_amplitude"].to_numpy(),
            "event_index": -1,
            "association_score": np.nan,
            "travel_time_residual_s": np.nan,
        }
    )
    table = table.sort_values(["phase_time", "channel_index", "phase_type"], kind="stable")
    return conform(table, PICK_COLUMNS, "picks")


def add_pick_probability(picks: pd.DataFrame, calibration: PickCalibration, dt_s: float) -> pd.DataFrame:
    """Say of each pick how likely it is right, and how far off it may be."""
    probability, samples = calibration.apply(
        picks["phase_type"].to_numpy(dtype=str), picks["phase_score"].to_numpy()
    )
    return picks.assign(
        phase_probability=probability, phase_time_uncertainty_s=(samples * dt_s).astype(np.float32)
    )


def join_picks(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put pick tables together."""
    full = [table for table in tables if len(table)]
    if not full:
        return empty_picks()
    return pd.concat(full, ignore_index=True).sort_values(SORTED_BY, kind="stable", ignore_index=True)


def find_peaks(scores: np.ndarray, min_score: float, min_separation: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the samples whose score is the highest within a distance on their channel.

    A local maximum at or above the threshold is kept when no other local maximum within
    `min_separation` samples is higher (of equals, the earlier stays). Unlike a greedy search this
    depends only on the scores nearby, so that pieces of a recording give the peaks of the whole.

    `scores` (channel, time) float32. Returns `row, sample` (n,) int64.
    """
    row, sample = _local_maxima(scores, min_score)
    value = scores[row, sample]
    keep = np.ones(len(row), dtype=bool)
    for step in range(1, max(len(row), 1)):
        near = (row[step:] == row[:-step]) & (sample[step:] - sample[:-step] <= min_separation)
        if not near.any():
            break
        later_wins = value[step:] > value[:-step]
        keep[:-step] &= ~(near & later_wins)
        keep[step:] &= ~(near & ~later_wins)
    return row[keep], sample[keep]


def _local_maxima(scores: np.ndarray, min_score: float) -> tuple[np.ndarray, np.ndarray]:
    """Find samples at or above the threshold, above the one before, and not below the one behind."""
    rows = max(1, _GATHER_SAMPLES // max(1, scores.shape[1]))
    found = []
    for first in range(0, len(scores), rows):
        part = scores[first : first + rows]
        # Along one axis: of two, numpy looks at each sample on its own.
        row, sample = np.divmod(np.flatnonzero(part[:, 1:-1] >= min_score), max(1, part.shape[1] - 2))
        value = part[row, sample + 1]
        top = (value > part[row, sample]) & (value >= part[row, sample + 2])
        found.append((row[top] + first, sample[top] + 1))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    row, sample = (np.concatenate(part) for part in zip(*found, strict=True))
    return row, sample


def sub_sample_offset(scores: np.ndarray, row: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Refine peaks by the vertex of the parabola through three samples.

    `scores` (channel, time) float32, `row` and `sample` (n,) int64. Returns (n,) float64.
    """
    before, at, after = (scores[row, sample + k].astype(np.float64) for k in (-1, 0, 1))
    curvature = before - 2 * at + after
    slope = 0.5 * (before - after)
    offset = np.divide(slope, curvature, out=np.zeros_like(slope), where=curvature < 0)
    return np.clip(offset, -0.5, 0.5)
