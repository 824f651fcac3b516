"""Corrections of a pick table: each is what was asked, can be taken back, and becomes a label."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phasenet_das.errors import TableError
from phasenet_das.inspect import PickEditor
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
    name = editor.add(4, at(3.0), "P")
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


def test_a_rejected_pick_is_no_label_and_a_kept_one_is(editor):
    editor.judge(6, keep=False)
    labels = editor.labels().set_index("pick_id")
    assert labels.loc[6, "event_index"] == -1
    editor.judge(6, keep=True)
    assert editor.labels().set_index("pick_id").loc[6, "event_index"] == 0


def test_picks_that_nothing_associated_become_labels_of_one_event():
    assert (PickEditor(make_picks(event=-1)).labels()["event_index"] == 0).all()


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
