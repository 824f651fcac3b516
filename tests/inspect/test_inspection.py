"""A person at work: places, choices, actions, and the table that is saved after each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from phasenet_das.errors import ConfigError, TableError
from phasenet_das.inspect import Area, Inspection, Moveout
from phasenet_das.inspect.screen import Screen
from phasenet_das.io import get_channel_index, get_times, make_patch
from phasenet_das.tables import read_metadata, read_picks
from tests.inspect.test_editor import START, at, make_picks

DT_S = 0.01


def make_record(seconds: float = 10.0, channels: int = 10):
    data = np.random.default_rng(0).standard_normal((channels, round(seconds / DT_S))).astype(np.float32)
    data[:, 200:230] += 20 * np.sin(np.arange(30) / 3)
    return make_patch(data, start_time=START, dt_s=DT_S, station_id="A")


def everything() -> Area:
    return Area.box((-1.0, 10.0), (at(0.0), at(10.0)))


class Network:
    """A picker whose scores are one on every channel at 2 s."""

    def annotate(self, patch):
        scores = np.zeros((3, 10, 1000), np.float32)
        scores[1, :, 200] = 1.0
        names = {"phase": ["N", "P", "S"], "channel": get_channel_index(patch), "time": get_times(patch)}
        return [xr.DataArray(scores, dims=("phase", "channel", "time"), coords=names)]


@pytest.fixture
def inspection(tmp_path) -> Inspection:
    return Inspection(make_record(), make_picks(), picker=Network(), save_to=tmp_path / "labels.parquet")


def test_each_event_is_a_place_and_new_picks_join_it():
    picks = make_picks()
    second = picks.assign(
        pick_id=picks["pick_id"] + 100, event_index=7, phase_time=picks["phase_time"] + pd.Timedelta("40s")
    )
    both = pd.concat([second, picks.head(4)])
    one = Inspection(make_record(60.0), both, around_s=2.0)
    assert [stop.event_index for stop in one.stops] == [0, 7]
    assert len(one.shown()) == 4
    one.open(5)
    assert one.number == 1
    assert one.screen.times[0] == at(40.0)
    assert set(one.shown()["event_index"]) == {7}
    (new,) = one.editor.add(3, at(43.0), "P")
    assert one.editor.picks.set_index("pick_id").loc[new, "event_index"] == 7


def test_picks_without_events_are_seen_piece_by_piece():
    one = Inspection(make_record(300.0, 2), make_picks(event=-1))
    assert [stop.recording.num_samples for stop in one.stops] == [10_000] * 3
    late = make_picks().assign(phase_time=lambda table: table["phase_time"] + pd.Timedelta("1h"))
    with pytest.raises(TableError, match="outside of the recordings"):
        Inspection(make_record(), late)


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet"])
def test_the_next_sessions_have_the_places_of_the_first(tmp_path, name):
    path, picks = tmp_path / name, make_picks(event=-1)
    for _ in range(3):
        one = Inspection(make_record(300.0, 2), picks, save_to=path)
        assert [stop.recording.num_samples for stop in one.stops] == [10_000] * 3
        one.editor.judge(6, keep=False)
        one.save()
        assert read_metadata(path)["associated"] is False
        picks = read_picks(path)
        assert set(picks.loc[picks["event_index"] == -1, "pick_id"]) == {6}


def test_picks_of_a_rejected_event_are_seen_piece_by_piece_and_stay_associated(tmp_path):
    path, picks = tmp_path / "labels.parquet", make_picks()
    for _ in range(3):
        one = Inspection(make_record(), picks, save_to=path)
        assert len(one.stops) == 1
        one.editor.reject_event(0)
        one.save()
        assert read_metadata(path)["associated"]
        picks = read_picks(path)


def test_each_action_is_saved_and_undo_too(inspection):
    inspection.choose(everything(), "P")
    assert "10 picks rejected" in inspection.act("reject")
    assert (read_picks(inspection.save_to)["event_index"] == -1).sum() == 10
    inspection.act("undo")
    assert (read_picks(inspection.save_to)["event_index"] == -1).sum() == 0
    inspection.act("delete")
    assert len(inspection.chosen) == 0
    assert len(read_picks(inspection.save_to)) == 10


def test_a_line_moves_and_adds(inspection):
    inspection.within_s = 0.5
    line = Moveout(np.array([0.0, 9.0]), np.array([at(2.1), at(2.1)]))
    assert inspection.choose(line, "P") == 10
    inspection.act("to line")
    moved = inspection.editor.picks.query("phase_type == 'P'")["phase_time"]
    assert set(moved) == {START + pd.Timedelta("2.1s")}
    inspection.phase = "S"
    assert inspection.act("add along line") == "10 S picks added along the line"


def test_picks_snap_to_the_onset(inspection):
    inspection.editor.move(np.arange(0, 20, 2), at(2.06))
    inspection.choose(everything(), "P")
    inspection.act("snap to onset")
    late = inspection.editor.picks.query("phase_type == 'P'")["phase_time"] - START - pd.Timedelta("2s")
    assert late.abs().max() <= pd.Timedelta("20ms")
    before = inspection.editor.picks["phase_time"].copy()
    inspection.act("snap to neighbours")
    moved = (inspection.editor.picks["phase_time"] - before).abs()
    assert moved.max() <= pd.Timedelta("20ms")


@pytest.mark.parametrize(
    ("action", "words"), [("delete", "no pick is chosen"), ("to line", "no line"), ("erase", "to line")]
)
def test_an_action_that_cannot_be_done_says_why(inspection, action, words):
    with pytest.raises(ConfigError, match=words):
        inspection.act(action)
    assert inspection.editor.num_edits == 0


def test_a_view_of_everything_keeps_the_sample_that_stands_out():
    data = np.zeros((3, 20_000), np.float32)
    data[1, 12_345] = -5.0
    screen = Screen(make_patch(data + 7.0, start_time=START, dt_s=DT_S, station_id="A"))
    view = screen.view((-0.5, 2.5), (0.0, 200.0), 10, 400)
    assert view.raster.image.shape == (3, 400)
    place = int(np.nanargmin(view.raster.image[1]))
    assert place == 12_345 * 400 // 20_000
    assert (view.first_s, view.last_s) == pytest.approx((-0.005, 199.995), abs=10 * DT_S)
