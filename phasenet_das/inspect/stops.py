"""The places that a person goes through: the events of a pick table, or pieces of the recordings."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from phasenet_das.errors import TableError
from phasenet_das.io.read import cut
from phasenet_das.io.recording import Recording

log = logging.getLogger(__name__)

AROUND_S = 10.0
_LONGEST_S = 120.0  # of a piece without an event


@dataclass(frozen=True)
class Stop:
    """A piece of a recording to inspect, with the event that it shows; loaded when it is opened."""

    name: str
    recording: Recording
    event_index: int | None = None


def make_stops(
    recordings: Iterable[Recording], picks: pd.DataFrame, around_s: float, *, associated: bool = True
) -> list[Stop]:
    """List the events by time, or the pieces of the recordings where nothing is associated.

    The labels of picks that were not `associated` have one event, which is none to go to.
    """
    recordings = list(recordings)
    if not associated or not (picks["event_index"] >= 0).any():
        return [stop for recording in recordings for stop in _pieces(recording)]
    stops, lost = [], 0
    for event_index, own in picks[picks["event_index"] >= 0].groupby("event_index"):
        stop = _event(int(str(event_index)), own, recordings, around_s)
        lost += stop is None
        stops += [] if stop is None else [stop]
    if lost:
        log.warning(
            "%d of %d events are outside of the recordings and are not shown", lost, lost + len(stops)
        )
    if not stops:
        raise TableError(
            f"picks: found {lost} event(s), all outside of the recordings "
            f"({recordings[0].start_time} to {recordings[-1].end_time}). Give the recordings of these picks."
        )
    return sorted(stops, key=lambda stop: stop.recording.start_ns)


def _event(
    event_index: int, picks: pd.DataFrame, recordings: list[Recording], around_s: float
) -> Stop | None:
    times = picks["phase_time"].dt.tz_localize(None)
    middle = times.quantile(0.5, interpolation="lower").to_datetime64()
    around = np.timedelta64(round(around_s * 1e9), "ns")
    first, last = times.min().to_datetime64() - around, times.max().to_datetime64() + around
    for recording in recordings:
        if recording.start_time <= middle < recording.end_time:
            return Stop(f"Event {event_index + 1}", cut(recording, None, (first, last)), event_index)
    return None


def _pieces(recording: Recording) -> Iterator[Stop]:
    """Part a recording into equal pieces that a screen can show."""
    number = max(int(np.ceil(recording.num_samples * recording.dt_s / _LONGEST_S)), 1)
    edges = np.linspace(0, recording.num_samples, number + 1).astype(int)
    rows = np.arange(recording.num_channels)
    for first, end in itertools.pairwise(edges):
        yield Stop(recording.name, recording.narrow(rows, slice(int(first), int(end))))
