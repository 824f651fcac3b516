"""Events that keep their ids: each association is matched with the events before, and changes are recorded.

An event is matched by the picks that it shares with an earlier one. Where it shares none, origin time and
place decide. The id of its first association stays. It is the only column in which the final tables differ
from those of one run over the same files: that run names an event by its final hypocentre.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from phasenet_das.matching import geodesic_km, match_events, nearest_first, time_ns
from phasenet_das.tables import EVENT_COLUMNS, conform, read_events
from phasenet_das.text import records
from phasenet_das.watch.revisions import Record, Revisions

RECENT_EVENTS: Final = "recent_events.parquet"
_SAMPLE = 128
"""Picks of an event that are remembered: those of the smallest ids, which are hashes."""
_LEAST_SHARE = 0.2
_TIME_TOLERANCE_S, _DISTANCE_TOLERANCE_KM = 2.0, 10.0
# Changes that make a revision: shares of the picks and of the uncertainty, and least moves (s, km).
_PICKS_SHARE, _MOVE_SHARE = 0.05, 0.25
_LEAST_MOVES = (
    ("time_s", "time_uncertainty_s", 0.02),
    ("epicentre_km", "horizontal_uncertainty_km", 0.1),
    ("depth_km", "depth_uncertainty_km", 0.1),
    ("source_distance_km", "source_distance_uncertainty_km", 0.1),
)
_LEAST_MAGNITUDE_STEP = 0.05


@dataclass(frozen=True)
class Pass:
    """One association, and the data on which it stands.

    Attributes
    ----------
    events, picks : pandas.DataFrame
        What the association returned.
    spans_ns : numpy.ndarray, shape (span, 2), int64
        Data that were associated; events outside stay as they were.
    stages : mapping of str to float
        Times of the machine's clock, s since 1970: ``file_closed_at``, ``picked_at``, ``associated_at``.
    """

    events: pd.DataFrame
    picks: pd.DataFrame
    spans_ns: np.ndarray
    stages: Mapping[str, float]

    @property
    def end_ns(self) -> int:
        """End of the data."""
        return int(self.spans_ns[:, 1].max(initial=0))

    def covers(self, times_ns: np.ndarray) -> np.ndarray:
        """Tell which times are in the data, bool of the same shape."""
        start, end = np.sort(self.spans_ns[:, 0]), np.sort(self.spans_ns[:, 1])
        inside: np.ndarray = np.searchsorted(start, times_ns, "right") > np.searchsorted(
            end, times_ns, "right"
        )
        return inside


@dataclass
class EventLife:
    """Names the events of each pass by the events before, and records every change.

    Parameters
    ----------
    revisions : Revisions
        The record.
    final_after_s : float
        An event is final when the data reach this time after its origin.
    clock : callable
        s since 1970.
    """

    revisions: Revisions
    final_after_s: float = 300.0
    clock: Callable[[], float] = time.time
    _passes: dict[str, int] = field(default_factory=dict)

    def take(self, found: Pass) -> pd.Series:
        """Record what a pass has changed, and return the id of each of its events."""
        events, old = conform(found.events, EVENT_COLUMNS, "events"), self._known()
        samples = sample_picks(events, found.picks)
        shared = shared_picks(old["sample"], events["event_index"].to_numpy(), found.picks)
        row = match_lives(old, events, shared)
        known, ids = row >= 0, self._name(events, row, old)
        lines = [
            *self._changed(old.iloc[row[known]], events[known], ids[known], samples, found),
            *self._begun(events[~known], ids[~known], samples, found),
            *self._gone(old[~np.isin(np.arange(len(old)), row)], shared, ids, found),
        ]
        self.revisions.append(lines)
        self._count(ids, lines)
        return pd.Series(ids, index=found.events.index, dtype="str")

    def passes(self, event_id: str) -> int:
        """Count the passes in a row that found an event in the same place."""
        return self._passes.get(event_id, 0)

    def alive(self) -> list[str]:
        """Return the ids of the events that are not cancelled."""
        return [name for name, line in self.revisions.latest.items() if line["status"] != "cancelled"]

    def _known(self) -> pd.DataFrame:
        """Return the last revision of each event, with ``status``, ``revision`` and ``sample``."""
        lines = list(self.revisions.latest.values())
        columns = [*EVENT_COLUMNS, *dict.fromkeys(name for line in lines for name in line["event"])]
        table = pd.DataFrame([line["event"] for line in lines], columns=list(dict.fromkeys(columns)))
        table["event_id"] = [line["event_id"] for line in lines]
        table = conform(table, EVENT_COLUMNS, "revisions")
        for name in ("status", "revision", "sample"):
            table[name] = [line[name] for line in lines]
        return table

    def identify(self, events: pd.DataFrame, picks: pd.DataFrame) -> pd.Series:
        """Return the ids of events, and record nothing."""
        old = self._known()
        shared = shared_picks(old["sample"], events["event_index"].to_numpy(), picks)
        ids = self._name(events, match_lives(old, events, shared), old)
        return pd.Series(ids, index=events.index, dtype="str")

    def _name(self, events: pd.DataFrame, row: np.ndarray, old: pd.DataFrame) -> np.ndarray:
        """Give the old id to a known event, and an id that nobody has to a new one."""
        names, known = events["event_id"].to_numpy(object), row >= 0
        ids = names.copy()
        ids[known] = old["event_id"].to_numpy(object)[row[known]]
        taken = {*self.revisions.latest, *ids[known]}
        for place in np.flatnonzero(~known):
            number = 1
            while ids[place] in taken:
                number += 1
                ids[place] = f"{names[place]}-{number}"
            taken.add(ids[place])
        return ids

    def _changed(
        self,
        old: pd.DataFrame,
        new: pd.DataFrame,
        ids: np.ndarray,
        samples: Mapping[int, list[int]],
        found: Pass,
    ) -> list[Record]:
        old, new = old.reset_index(drop=True), new.reset_index(drop=True)
        kinds = changes(old, new)
        was, ends = old["status"].to_numpy(object), self._ends(new, found)
        kinds["found again"] = was == "cancelled"
        kinds["late"] = (was == "final") & kinds.any(axis=1)
        kinds["final"] = ends & (was != "final")
        words = [";".join(kinds.columns[mask]) for mask in kinds.to_numpy()]
        return [
            self._line(record, str(ids[n]), int(old["revision"][n]) + 1, words[n], ends[n], samples, found)
            for n, record in enumerate(records(new))
            if words[n]
        ]

    def _begun(
        self, new: pd.DataFrame, ids: np.ndarray, samples: Mapping[int, list[int]], found: Pass
    ) -> list[Record]:
        ends = self._ends(new, found)
        return [
            self._line(record, str(ids[n]), 1, "new;final" if ends[n] else "new", ends[n], samples, found)
            for n, record in enumerate(records(new))
        ]

    def _gone(self, old: pd.DataFrame, shared: pd.DataFrame, ids: np.ndarray, found: Pass) -> list[Record]:
        """Cancel the events that the data no longer give, and name the event that has their picks."""
        gone = old[(old["status"] != "cancelled") & found.covers(time_ns(old["time"]))]
        best = shared[shared["share"] >= 0.5].sort_values("share")
        heir = dict(zip(best["old"].tolist(), ids[best["new"].to_numpy(np.int64)], strict=True))
        lines = []
        for row, name in zip(gone.index.tolist(), gone["event_id"].tolist(), strict=True):
            last = self.revisions.latest[name]
            words = ["late"] if last["status"] == "final" else []
            words.append(f"merged into {heir[row]}" if row in heir else "cancelled")
            stages = {**found.stages, "revised_at": self.clock()}
            change = {"change": ";".join(words), "status": "cancelled", "revision": last["revision"] + 1}
            lines.append({**last, **change, **stages})
        return lines

    def _ends(self, events: pd.DataFrame, found: Pass) -> np.ndarray:
        ends: np.ndarray = found.end_ns - time_ns(events["time"]) > self.final_after_s * 1e9
        return ends

    def _line(
        self,
        event: dict[str, Any],
        event_id: str,
        revision: int,
        change: str,
        is_final: bool,
        samples: Mapping[int, list[int]],
        found: Pass,
    ) -> Record:
        return {
            "record": "revision",
            "event_id": event_id,
            "revision": revision,
            "change": change,
            "status": "final" if is_final else "open",
            **found.stages,
            "revised_at": self.clock(),
            "event": {name: plain(value) for name, value in event.items()} | {"event_id": event_id},
            "sample": samples.get(event["event_index"], []),
        }

    def _count(self, ids: np.ndarray, lines: Sequence[Record]) -> None:
        moved = {line["event_id"] for line in lines if "location" in line["change"].split(";")}
        self._passes = {name: 1 if name in moved else self._passes.get(name, 0) + 1 for name in ids}


def read_recent_events(output: Path) -> pd.DataFrame:
    """Read the events so far of a watch; none before its first pass."""
    path, none = output / RECENT_EVENTS, pd.DataFrame(columns=list(EVENT_COLUMNS))
    return read_events(path) if path.exists() else conform(none, EVENT_COLUMNS, "events")


def plain(value: Any) -> Any:  # noqa: ANN401 - a cell of a table
    """Turn a cell into what JSON holds; the unknown is null."""
    if isinstance(value, pd.Timestamp):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sample_picks(events: pd.DataFrame, picks: pd.DataFrame) -> dict[int, list[int]]:
    """Return up to 128 pick ids of each event: the smallest, which are a random sample, as ids are hashes."""
    own = picks.loc[picks["event_index"].isin(events["event_index"]), ["event_index", "pick_id"]]
    kept = own.sort_values(["event_index", "pick_id"])
    kept = kept[kept.groupby("event_index").cumcount() < _SAMPLE]
    names, first = np.unique(kept["event_index"].to_numpy(), return_index=True)
    ids = np.split(kept["pick_id"].to_numpy(), first[1:])
    return {int(name): own.tolist() for name, own in zip(names, ids, strict=len(names) > 0)}


def shared_picks(samples: pd.Series, event_index: np.ndarray, picks: pd.DataFrame) -> pd.DataFrame:
    """Return, for pairs of events, the share of the remembered picks of the old one that the new one has.

    `samples`: pick ids of each old event. `event_index` (new,). Returns rows ``old, new`` and ``share``.
    """
    size = samples.map(len).to_numpy(np.int64)
    held = pd.DataFrame({"old": np.repeat(np.arange(len(samples)), size)})
    held["pick_id"] = np.concatenate([np.asarray(one, np.int64) for one in samples]) if len(samples) else 0
    place = pd.Series(np.arange(len(event_index)), index=event_index)
    own = picks.loc[picks["event_index"] >= 0, ["pick_id", "event_index"]]
    own = pd.DataFrame({"pick_id": own["pick_id"], "new": own["event_index"].map(place)}).dropna()
    pairs = held.merge(own.astype("int64"), on="pick_id").groupby(["old", "new"]).size()
    table = pairs.rename("share").reset_index()
    table["share"] = table["share"] / size[table["old"].to_numpy(np.int64)]
    return table


def match_lives(old: pd.DataFrame, new: pd.DataFrame, shared: pd.DataFrame) -> np.ndarray:
    """Return the row of the old event of each new one, -1 for none; shape (new,), int64.

    `shared`: from :func:`shared_picks`. The largest share is matched first. Events that share no picks are
    matched within 2 s, and 10 km where places are known.
    """
    row = np.full(len(new), -1, np.int64)
    close = shared[shared["share"] >= _LEAST_SHARE]
    a, b = close["old"].to_numpy(np.int64), close["new"].to_numpy(np.int64)
    chosen = nearest_first(a, b, -close["share"].to_numpy())
    row[b[chosen]] = a[chosen]
    free_old, free_new = np.setdiff1d(np.arange(len(old)), row), np.flatnonzero(row < 0)
    if len(free_old) and len(free_new):
        pairs = match_events(
            new.iloc[free_new],
            old.iloc[free_old],
            time_tolerance_s=_TIME_TOLERANCE_S,
            distance_tolerance_km=_DISTANCE_TOLERANCE_KM,
        )
        row[free_new[pairs["event_row"]]] = free_old[pairs["reference_row"]]
    return row


def changes(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Tell what has changed between two revisions of the same events, row by row; a column for each kind."""
    before, after = (table["num_picks"].to_numpy(np.float64) for table in (old, new))
    step = np.maximum(_PICKS_SHARE * before, 1.0)
    return pd.DataFrame(
        {
            "picks added": after - before >= step,
            "picks removed": before - after >= step,
            "location": _moved(old, new),
            "quality": old["quality"].to_numpy(object) != new["quality"].to_numpy(object),
            "magnitude": _differs(_magnitude(old), _magnitude(new), _LEAST_MAGNITUDE_STEP),
        }
    )


def _moved(old: pd.DataFrame, new: pd.DataFrame) -> np.ndarray:
    """Tell which events have moved by a good part of their uncertainty."""
    placed = np.isfinite(old["longitude"].to_numpy()) == np.isfinite(new["longitude"].to_numpy())
    moved = ~placed
    shift = {
        "time_s": (time_ns(new["time"]) - time_ns(old["time"])) * 1e-9,
        "epicentre_km": np.nan_to_num(geodesic_km(old, new)),
    }
    for name, spread, least in _LEAST_MOVES:
        limit = np.maximum(_MOVE_SHARE * np.nan_to_num(new[spread].to_numpy(np.float64)), least)
        one, other = (0.0, shift[name]) if name in shift else (old[name].to_numpy(), new[name].to_numpy())
        moved = moved | _differs(np.asarray(one), np.asarray(other), limit)
    return moved


def _magnitude(events: pd.DataFrame) -> np.ndarray:
    known = "magnitude" in events.columns
    return events["magnitude"].to_numpy(np.float64) if known else np.full(len(events), np.nan)


def _differs(one: np.ndarray, other: np.ndarray, limit: np.ndarray | float) -> np.ndarray:
    """Tell numbers that differ by more than a limit; a number that comes or goes differs."""
    differs: np.ndarray = (np.abs(other - one) > limit) | (np.isnan(one) != np.isnan(other))
    return differs
