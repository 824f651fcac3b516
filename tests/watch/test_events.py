"""Events keep their ids for life, each change is a revision, and a kill loses none of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phasenet_das.tables.columns import EVENT_COLUMNS
from phasenet_das.watch import read_revisions
from phasenet_das.watch.events import EventLife, Pass
from phasenet_das.watch.revisions import Revisions
from tests.tables_at_hand import graded_events, graded_picks

STAGES = {"file_closed_at": 10.0, "picked_at": 12.0, "associated_at": 13.0}


def _pass(events: pd.DataFrame, picks: pd.DataFrame, end: str = "00:05:00", start: str = "00:00:00") -> Pass:
    """One association of data from 2020-01-01; the ids of its events are those of a run over this alone."""
    span = [pd.Timestamp(f"2020-01-01T{time}").as_unit("ns").value for time in (start, end)]
    named = events.assign(event_id=[f"of-{end}-{number}" for number in range(len(events))])
    return Pass(named, picks, np.array([span]), STAGES)


def _life(path: Path) -> EventLife:
    return EventLife(Revisions(path / "revisions.jsonl"), final_after_s=120.0, clock=lambda: 15.0)


def _last(life: EventLife, name: str) -> tuple[int, str, str]:
    line = life.revisions.latest[name]
    return line["revision"], line["change"], line["status"]


def test_an_event_keeps_its_id_until_it_is_final(tmp_path: Path) -> None:
    events, picks, life = graded_events(), graded_picks(), _life(tmp_path)
    early = picks.assign(event_index=picks["event_index"].where(picks["event_index"] < 1, -1))
    assert life.take(_pass(events[:1], early, "00:00:30")).tolist() == ["of-00:00:30-0"]
    ids = life.take(_pass(events, picks, "00:05:00"))
    first = ids[0]
    assert first == "of-00:00:30-0"
    assert _last(life, first) == (2, "final", "final")
    assert _last(life, ids[3]) == (1, "new", "open")
    moved = events.copy()
    moved.loc[3, "num_picks"] += 100
    moved.loc[3, "time"] += pd.Timedelta(seconds=1)
    moved.loc[4, "time"] += pd.Timedelta(seconds=0.001)
    assert life.take(_pass(moved, picks, "00:05:02")).tolist() == ids.tolist()
    assert _last(life, ids[3]) == (2, "picks added;location;final", "final")
    assert _last(life, ids[4])[0] == 1, "a move far within the uncertainty is no revision"
    assert [life.passes(name) for name in ids[[3, 4]]] == [1, 2]


def test_the_order_of_events_and_new_pick_ids_do_not_show(tmp_path: Path) -> None:
    events, picks, life = graded_events(), graded_picks(), _life(tmp_path)
    ids = life.take(_pass(events, picks))
    turned = events.iloc[::-1]
    assert life.take(_pass(turned, picks)).sort_index().tolist() == ids.tolist()
    strange = picks.assign(pick_id=np.arange(len(picks)))
    assert life.take(_pass(events, strange)).tolist() == ids.tolist(), "time and place are the same"


def test_events_that_go_are_cancelled_and_come_back_under_their_id(tmp_path: Path) -> None:
    events, picks, life = graded_events(), graded_picks(), _life(tmp_path)
    ids = life.take(_pass(events, picks))
    none = picks.assign(event_index=-1)
    life.take(_pass(events[:0], none, start="00:04:00"))
    assert _last(life, ids[3])[2] == "open", "its data were not associated again"
    assert _last(life, ids[4]) == (2, "cancelled", "cancelled")
    life.take(_pass(events[:0], none))
    assert _last(life, ids[0]) == (2, "late;cancelled", "cancelled")
    assert life.take(_pass(events[4:], picks)).tolist() == [ids[4]]
    assert _last(life, ids[4]) == (3, "found again", "open")


def test_an_event_that_takes_the_picks_of_another(tmp_path: Path) -> None:
    events, picks, life = graded_events(), graded_picks(), _life(tmp_path)
    ids = life.take(_pass(events, picks))
    joined = picks.assign(event_index=picks["event_index"].replace({4: 3}))
    life.take(_pass(events[:4], joined))
    assert _last(life, ids[4]) == (2, f"merged into {ids[3]}", "cancelled")


def test_a_kill_at_any_byte_loses_no_whole_line(tmp_path: Path) -> None:
    events, picks, life = graded_events(), graded_picks(), _life(tmp_path)
    ids = life.take(_pass(events, picks))
    path = life.revisions.path
    whole = path.read_bytes()
    ends = [number for number, byte in enumerate(whole) if byte == ord("\n")]
    for cut in (0, 1, ends[0] - 1, ends[0], ends[0] + 1, ends[2] + 7, len(whole)):
        path.write_bytes(whole[:cut])
        assert len(read_revisions(path)) == sum(end < cut for end in ends)
        again = _life(tmp_path)
        assert again.take(_pass(events, picks)).iloc[0] == ids[0]
        table = read_revisions(path)
        assert sorted(table["event_id"]) == sorted(ids), "each once, whatever was lost"
        assert (table["revision"] == 1).all()


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life = _life(tmp_path)
    ids = life.take(_pass(graded_events(), graded_picks()))
    before = life.revisions.path.read_bytes()
    with monkeypatch.context() as full:
        full.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            life.take(_pass(graded_events()[:0], graded_picks().assign(event_index=-1)))
    assert life.revisions.path.read_bytes() == before
    assert _last(life, ids[4])[2] == "open"


def test_the_table_of_revisions_has_the_latency_of_each_stage(tmp_path: Path) -> None:
    life = _life(tmp_path)
    ids = life.take(_pass(graded_events(), graded_picks()))
    sent = {"record": "delivery", "receiver": "webhook", "event_id": ids[1], "revision": 1}
    life.revisions.append([{**sent, "at": 16.0, "error": "refused"}, {**sent, "at": 19.5, "error": ""}])
    table = read_revisions(life.revisions.path).set_index("event_id")
    assert set(EVENT_COLUMNS) <= {"event_id", *table.columns}
    assert table["latency_s"].tolist() == [5.0, 9.5, 5.0, 5.0, 5.0]
    assert (table["picked_at"] - table["file_closed_at"]).dt.total_seconds().tolist() == [2.0] * 5
    assert table["handed_over_at"].isna().tolist() == [True, False, True, True, True]


def test_events_of_days_that_are_over_are_forgotten(tmp_path: Path) -> None:
    life = _life(tmp_path)
    ids = life.take(_pass(graded_events(), graded_picks()))
    limit = pd.Timestamp("2020-01-01T00:02:30").as_unit("ns").value
    life.revisions.copy(tmp_path / "day.jsonl", 0, limit)
    life.revisions.forget(limit)
    assert read_revisions(tmp_path / "day.jsonl")["event_id"].tolist() == ids[:3].tolist()
    assert list(Revisions(life.revisions.path).latest) == list(life.revisions.latest) == ids[3:].tolist()
