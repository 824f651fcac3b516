"""Corrections of a pick table: each is what was asked, can be taken back, and becomes a label."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phasenet_das.errors import ConfigError, TableError
from phasenet_das.inspect import Area, Moveout, PickEditor
from phasenet_das.tables import PICK_COLUMNS, conform, read_metadata, read_picks

START = pd.Timestamp("2024-05-06T07:08:09Z")


def make_picks(event: int = 0) -> pd.DataFrame:
    """P after 2 s and S after 5 s on channels 0 to 9, with scores from 0.1 to 1."""
    rows = []
    for channel in range(10):
        for phase, second in (("P", 2.0), ("S", 5.0)):
            rows.append((channel, phase, START + pd.Timedelta(seconds=second), (channel + 1) / 10))
    table = pd.DataFrame(rows, columns=["channel_index", "phase_type", "phase_time", "phase_score"])
    table = table.assign(station_id="A", pick_id=np.arange(20), event_index=event, distance_m=0.0)
    for name in PICK_COLUMNS:
        if name not in table:
            table[name] = 0.01
    return conform(table, PICK_COLUMNS)


def at(second: float) -> np.datetime64:
    return START.tz_localize(None).to_datetime64() + np.timedelta64(round(second * 1e9), "ns")


@pytest.fixture
def editor() -> PickEditor:
    return PickEditor(make_picks())


def test_the_threshold_hides_picks_and_keeps_them(editor):
    editor.min_score = 0.55
    assert len(editor.visible) == 10
    editor.min_score = 0.0
    assert len(editor.visible) == 20


def test_the_nearest_pick_is_found_within_reach_only(editor):
    assert editor.nearest(3.2, at(2.1), max_channels=1, max_s=0.5) == 6
    assert editor.nearest(3.2, at(2.1), max_channels=1, max_s=4.0, phase="S") == 7
    assert editor.nearest(3.2, at(3.0), max_channels=1, max_s=0.5) is None
    editor.min_score = 0.45
    assert editor.nearest(3.2, at(2.1), max_channels=0.5, max_s=0.5) is None


def test_an_added_pick_belongs_to_the_event_and_is_not_added_twice(editor):
    (name,) = editor.add(4, at(3.0), "P")
    assert editor.add(4, at(3.0), "P") == name
    row = editor.picks[editor.picks["pick_id"] == name].iloc[0]
    assert (row.event_index, row.phase_score, row.edited) == (0, 1.0, "added")
    assert row.phase_time == START + pd.Timedelta(seconds=3)
    with pytest.raises(TableError, match="'P' or 'S'"):
        editor.add(4, at(3.0), "Pn")


def test_a_moved_pick_keeps_its_name_and_loses_its_residual(editor):
    editor.move(6, at(2.5))
    row = editor.picks[editor.picks["pick_id"] == 6].iloc[0]
    assert row.phase_time == START + pd.Timedelta(seconds=2.5)
    assert np.isnan(row.travel_time_residual_s)
    assert row.edited == "moved"


def test_every_correction_can_be_taken_back(editor):
    before = editor.picks.copy()
    editor.add(4, at(3.0), "P")
    editor.move(6, at(2.5))
    editor.delete(7)
    editor.judge(8, keep=False)
    assert editor.num_edits == 4
    assert len(editor.picks) == 20
    while editor.undo():
        pass
    pd.testing.assert_frame_equal(editor.picks, before)


def test_a_line_chooses_moves_and_adds_what_lies_along_it(editor):
    line = Moveout(np.array([9.0, 1.0]), np.array([at(2.8), at(2.0)]))  # 2 s on channel 1, 0.1 s a channel
    assert sorted(editor.choose(line, "P", within_s=0.45)) == [2, 4, 6, 8, 10]
    assert len(editor.choose(line, "S", within_s=0.45)) == 0
    editor.move_to(line, np.array([0, 2, 10]))
    moved = editor.picks.set_index("pick_id")["phase_time"]
    assert moved[10] == START + pd.Timedelta("2.4s")
    assert moved[0] == START + pd.Timedelta("2s")  # channel 0 lies beyond the line
    new = editor.add_along(line, np.arange(10), "P", within_s=0.35)
    added = editor.picks[editor.picks["pick_id"].isin(new)]
    assert list(added["channel_index"]) == [6, 7, 8, 9]
    assert list(added["phase_time"] - START) == list(pd.to_timedelta([2.5, 2.6, 2.7, 2.8], unit="s"))
    with pytest.raises(ConfigError, match="two or more"):
        Moveout(np.array([3.0, 3.0]), np.array([at(1.0), at(2.0)]))


def test_an_area_holds_what_is_inside_and_the_order_of_choice_does_not_matter(editor):
    box = Area.box((1.5, 4.5), (at(1.0), at(6.0)))
    assert sorted(editor.choose(box)) == [4, 5, 6, 7, 8, 9]
    triangle = Area(np.array([-1.0, 20.0, -1.0]), np.array([at(1.0), at(1.0), at(4.0)]))
    assert list(
        editor.picks.loc[editor.picks["pick_id"].isin(editor.choose(triangle)), "phase_type"].unique()
    ) == ["P"]
    editor.move(np.array([9, 4]), np.array([at(9.0), at(4.0)]))
    moved = editor.picks.set_index("pick_id")["phase_time"]
    assert (moved[9] - START, moved[4] - START) == (pd.Timedelta("9s"), pd.Timedelta("4s"))


def test_swapping_twice_gives_the_phases_back(editor):
    editor.picks["associated_phase"] = editor.picks["phase_type"]
    before = editor.picks["phase_type"].copy()
    editor.swap(np.array([4, 5]))
    swapped = editor.picks.set_index("pick_id")
    assert list(swapped.loc[[4, 5], "phase_type"]) == ["S", "P"]
    assert list(swapped.loc[[4, 5], "associated_phase"]) == ["S", "P"]
    editor.swap(np.array([4, 5]))
    assert list(editor.picks["phase_type"]) == list(before)


def test_a_rejected_event_keeps_its_picks_and_can_be_taken_back_and_made_again(editor):
    editor.min_score = 0.55  # hidden picks are of the event too
    editor.reject_event(0)
    assert (editor.picks["event_index"] == -1).all()
    assert editor.undo()
    assert (editor.picks["event_index"] == 0).all()
    assert editor.redo()
    assert (editor.picks["edited"] == "rejected").all()
    editor.undo()
    editor.delete(3)
    assert not editor.redo()


def test_the_saved_table_tells_who_corrected_what_and_when(tmp_path):
    editor = PickEditor(make_picks(), edited_by="ana")
    editor.move(6, at(2.5))
    editor.delete(7)
    for name in ("labels.csv", "labels.parquet"):
        path = editor.save(tmp_path / name)
        found = PickEditor(read_picks(path), edited_by="ben")
        found.swap(8)
        told = found.picks.set_index("pick_id")
        assert (told.loc[6, "edited"], told.loc[6, "edited_by"]) == ("moved", "ana")
        assert (told.loc[8, "edited"], told.loc[8, "edited_by"]) == ("swapped", "ben")
        assert told.loc[6, "edited_at"] <= told.loc[8, "edited_at"]
        assert told.loc[9, "edited"] == ""
        assert pd.isna(told.loc[9, "edited_at"])
        assert read_metadata(path)["deleted"] == 1


def test_a_rejected_pick_is_no_label_and_a_kept_one_is(editor):
    editor.judge(6, keep=False)
    labels = editor.labels().set_index("pick_id")
    assert labels.loc[6, "event_index"] == -1
    editor.judge(6, keep=True)
    assert editor.labels().set_index("pick_id").loc[6, "event_index"] == 0


def test_picks_that_nothing_associated_become_labels_of_one_event():
    editor = PickEditor(make_picks(event=-1))
    assert (editor.labels()["event_index"] == 0).all()
    editor.judge([6, 7], keep=False)
    labels = editor.labels()
    assert set(labels.loc[labels["event_index"] == -1, "pick_id"]) == {6, 7}


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet"])
def test_picks_that_the_associator_rejected_stay_no_labels_when_the_only_event_is_rejected(tmp_path, name):
    picks = make_picks()
    picks.loc[10:, "event_index"] = -1
    editor = PickEditor(picks)
    editor.reject_event(0)
    path = editor.save(tmp_path / name)
    assert (read_picks(path)["event_index"] == -1).all()
    assert read_metadata(path)["associated"]
    again = PickEditor(read_picks(path))
    assert (again.labels()["event_index"] == -1).all()
    (new,) = again.add(4, at(3.0), "P")
    labels = again.labels()
    assert list(labels.loc[labels["event_index"] >= 0, "pick_id"]) == [new]


def test_a_kept_pick_leaves_the_others_of_a_table_without_events_labels():
    editor = PickEditor(make_picks(event=-1))
    editor.judge(6, keep=True)
    assert (editor.labels()["event_index"] == 0).all()


def test_labels_are_saved_as_a_pick_table(editor, tmp_path):
    editor.min_score = 0.35
    editor.delete(19)
    path = editor.save(tmp_path / "labels.parquet", {"weights_id": "w"})
    found = read_picks(path)
    assert len(found) == 13
    assert found["channel_index"].is_monotonic_increasing
    assert read_metadata(path)["min_score"] == 0.35


def test_picks_of_two_cables_need_a_name():
    two = make_picks()
    two.loc[:5, "station_id"] = "B"
    with pytest.raises(TableError, match="station_id="):
        PickEditor(two)
    assert len(PickEditor(two, "B").visible) == 6


def test_a_pick_that_is_not_there_is_an_error(editor):
    with pytest.raises(TableError, match="no pick 99"):
        editor.delete(99)
