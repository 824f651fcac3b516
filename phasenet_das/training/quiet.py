"""Quiet spans of a recording, from which windows of noise are cut."""

from __future__ import annotations

import numpy as np
import pandas as pd

from phasenet_das.io.recording import Recording
from phasenet_das.matching import time_ns

_LENGTH_S = (20.0, 60.0)  # shortest and longest window of noise
_SEEN_SHARE = 0.02  # of the channels: with more coherent picks nearby, a second is not quiet
_SEEN_S = 21  # coherent picks are counted over this time, half before and half behind


def quiet_spans(
    recording: Recording,
    labels: pd.DataFrame,
    picks: pd.DataFrame,
    examined: pd.DataFrame | None,
    limits: tuple[np.datetime64 | None, np.datetime64 | None],
) -> np.ndarray:
    """List the spans (span, 2) int64 ns of a recording in which neither an event nor coherent picks are.

    Only spans that were picked count: those of a coverage table, or those between the first and last pick.
    """
    low, high = (
        at if limit is None else int(limit.astype("datetime64[ns]").astype(np.int64))
        for at, limit in zip((recording.start_ns, recording.end_ns), limits, strict=True)
    )
    low, high = max(low, recording.start_ns), min(high, recording.end_ns)
    seconds = max(0, (high - low) // 1_000_000_000)
    if not seconds:
        return np.empty((0, 2), np.int64)
    seen = np.zeros(seconds)
    for begin, end in _event_times_s(labels, picks, low):
        seen[int(np.clip(begin, 0, seconds)) : int(np.clip(end + 1, 0, seconds))] = recording.num_channels
    rest = labels[labels["event_index"] < 0]
    at = (time_ns(rest["phase_time"]) - low) // 1_000_000_000
    np.add.at(seen, at[(at >= 0) & (at < seconds)], 1)
    # Moveout spreads an event over many seconds: count what is seen for some time.
    around = np.convolve(seen, np.ones(_SEEN_S))[_SEEN_S // 2 :][:seconds]
    busy = around > _SEEN_SHARE * recording.num_channels
    busy |= ~_examined(examined, picks, recording.station_id, low, seconds)
    edges = np.flatnonzero(np.diff(np.concatenate([[1], busy, [1]])))
    runs = low + edges.reshape(-1, 2) * 1_000_000_000
    pieces = [_pieces(int(first), int(last)) for first, last in runs]
    return np.concatenate([np.empty((0, 2), np.int64), *pieces])


def _examined(
    coverage: pd.DataFrame | None, picks: pd.DataFrame, station_id: str, low_ns: int, seconds: int
) -> np.ndarray:
    """Mark the seconds (second,) that were picked: without a coverage table, those between picks."""
    if coverage is None:
        times = time_ns(picks["phase_time"])
        spans = np.array([[times.min(), times.max()]]) if len(times) else np.empty((0, 2), np.int64)
    else:
        known = coverage[coverage["status"] == "examined"]
        known = known[known["station_id"] == station_id] if station_id else known
        spans = np.stack([time_ns(known["start"]), time_ns(known["end"])], axis=1)
    inside = np.zeros(seconds, bool)
    for first, last in np.clip((spans - low_ns) // 1_000_000_000, 0, seconds):
        inside[first:last] = True
    return inside


def _event_times_s(labels: pd.DataFrame, picks: pd.DataFrame, low_ns: int) -> np.ndarray:
    """Begin and end (event, 2) of each event in s after `low_ns`: its coda lasts as long as its picks."""
    parts = [table[table["event_index"] >= 0][["event_index", "phase_time"]] for table in (labels, picks)]
    both = pd.concat(parts)
    seconds = (time_ns(both["phase_time"]) - low_ns) * 1e-9
    limits = pd.Series(seconds).groupby(both["event_index"].to_numpy()).agg(["min", "max"])
    length = (limits["max"] - limits["min"]).clip(5.0, 30.0)
    return np.stack([limits["min"], limits["max"] + length], axis=1)


def _pieces(begin_ns: int, end_ns: int) -> np.ndarray:
    """Part a quiet run (span, 2) into windows of noise of equal length."""
    shortest, longest = (int(seconds * 1e9) for seconds in _LENGTH_S)
    number = -(-(end_ns - begin_ns) // longest)
    if end_ns - begin_ns < shortest:
        return np.empty((0, 2), np.int64)
    bounds = np.linspace(begin_ns, end_ns, number + 1).astype(np.int64)
    return np.stack([bounds[:-1], bounds[1:]], axis=1)
