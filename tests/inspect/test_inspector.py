"""The interactive figure: clicks do what the mode says, the view is drawn from the samples in it."""

from __future__ import annotations

import io
import re

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.backend_bases import KeyEvent, MouseButton, MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from phasenet_das.errors import ConfigError
from phasenet_das.inspect import PickInspector
from phasenet_das.io import get_channel_index, get_times, make_patch
from phasenet_das.plot.raster import rasterise
from tests.inspect.test_editor import START, make_picks

DT_S = 0.01
DRAG = {
    "button_press_event": (-0.4, 1.0),
    "motion_notify_event": (9.4, 3.0),
    "button_release_event": (9.4, 3.0),
}


@pytest.fixture
def inspector() -> PickInspector:
    return make_inspector("A")


def make_inspector(station_id: str, event: int = 0, unit: str = "") -> PickInspector:
    data = np.random.default_rng(0).standard_normal((10, 1000)).astype(np.float32)
    data[:, 200:230] *= 20
    patch = make_patch(data, start_time=START, dt_s=DT_S, station_id=station_id, unit=unit)
    scores = xr.DataArray(
        np.zeros((3, 10, 1000), np.float32),
        dims=("phase", "channel", "time"),
        coords={"phase": ["N", "P", "S"], "channel": get_channel_index(patch), "time": get_times(patch)},
    )
    figure = Figure(figsize=(8, 8), layout="constrained")
    FigureCanvasAgg(figure)
    made = PickInspector(patch, make_picks(event).assign(station_id=station_id), scores, figure=figure)
    figure.canvas.draw()
    return made


def press(inspector: PickInspector, axes, x: float, y: float) -> None:
    canvas = inspector.figure.canvas
    place = axes.transData.transform((x, y))
    canvas.callbacks.process(
        "button_press_event", MouseEvent("button_press_event", canvas, *place, button=MouseButton.LEFT)
    )
    canvas.draw()


def test_a_click_shows_the_channel(inspector):
    press(inspector, inspector.section, 7.2, 3.0)
    assert inspector.channel == 7
    assert "Channel 7" in inspector.trace.get_title(loc="left")
    assert inspector.editor.num_edits == 0


def test_clicks_add_move_delete_reject_and_undo(inspector):
    inspector.mode = "add S"
    press(inspector, inspector.section, 3.1, 6.0)
    assert len(inspector.editor.picks) == 21
    inspector.mode = "move"
    press(inspector, inspector.trace, 6.5, 0.0)
    moved = inspector.editor.picks[inspector.editor.picks["edited"] == "added"].iloc[0]
    assert (moved.phase_time - START).total_seconds() == pytest.approx(6.5, abs=0.02)
    inspector.mode = "delete"
    press(inspector, inspector.section, 3.0, 6.5)
    assert len(inspector.editor.picks) == 20
    inspector.mode = "reject"
    press(inspector, inspector.section, 5.0, 2.0)
    assert (inspector.editor.picks["event_index"] == -1).sum() == 1
    while inspector.editor.num_edits:
        inspector.undo()
    assert len(inspector.editor.picks) == 20


def test_a_click_far_from_every_pick_deletes_nothing(inspector):
    inspector.mode = "delete"
    press(inspector, inspector.section, 5.0, 8.0)
    assert len(inspector.editor.picks) == 20


def test_zooming_draws_the_samples_in_view(inspector):
    inspector.zoom((1.5, 4.5), (2.0, 2.5))
    left, right, bottom, top = inspector.section.images[0].get_extent()
    assert (left, right) == (1.5, 4.5)
    assert top == pytest.approx(2.0, abs=2 * DT_S)
    assert bottom == pytest.approx(2.5, abs=2 * DT_S)
    assert inspector.section.images[0].get_array().shape[1] == 3


def test_a_zoom_of_the_toolbar_is_drawn_once_and_the_way_home_not_at_all(inspector, monkeypatch):
    made = []

    def counted(data, *arguments):
        made.append(data.shape)
        return rasterise(data, *arguments)

    monkeypatch.setattr("phasenet_das.inspect.screen.rasterise", counted)
    inspector.section.set_xlim(1.5, 4.5)  # as the toolbar does: one axis, then the other
    inspector.section.set_ylim(2.5, 2.0)
    assert made == []
    inspector.figure.canvas.draw()
    assert [shape[0] for shape in made] == [3]
    low, high = inspector.trace.get_xlim()
    assert (low, high) == pytest.approx((2.0, 2.5), abs=2 * DT_S)
    inspector.zoom((-0.5, 9.5), (0.0, 9.99))
    inspector.figure.canvas.draw()
    home = inspector.section.images[0].get_array().copy()
    inspector.zoom((1.5, 4.5), (2.0, 2.5))
    inspector.zoom((-0.5, 9.5), (0.0, 9.99))
    assert len(made) <= 2
    np.testing.assert_array_equal(home, inspector.section.images[0].get_array())


def test_another_channel_leaves_the_section_alone(inspector):
    before = list(inspector.section.collections)
    inspector.show_channel(3)
    assert list(inspector.section.collections) == before
    line = inspector.section.lines[0]
    assert set(line.get_xdata()) == {3}
    np.testing.assert_array_equal(inspector.trace.lines[0].get_ydata(), inspector.inspection.screen.data[3])
    shown = [line.get_xdata()[0] for line in inspector.trace.lines[1:]]
    inspector.show_channel(4)
    assert len(inspector.trace.lines[1:]) == len(shown) > 0


def test_the_threshold_takes_picks_from_the_figure(inspector):
    def drawn() -> int:
        return sum(len(one.get_offsets()) for one in inspector.section.collections)

    before = drawn()
    inspector.set_min_score(0.55)
    assert drawn() == before / 2


def test_an_unknown_mode_is_refused(inspector):
    with pytest.raises(ConfigError, match="add P"):
        inspector.mode = "ad"


def test_the_controls_steer_the_inspector(inspector, tmp_path):
    pytest.importorskip("ipywidgets")
    box = inspector.widgets(str(tmp_path / "labels.csv"))
    (first, steering, actions, saving, said) = box.children
    *_, threshold, channel = first.children
    modes, phase, within = steering.children
    undo = next(button for button in actions.children if button.description == "undo")
    path, save = saving.children
    threshold.value = 0.55
    channel.value = 9
    modes.value = "add P"
    assert (inspector.editor.min_score, inspector.channel, inspector.mode) == (0.55, 9, "add P")
    inspector.click(9, 4.0)
    undo.click()
    assert inspector.editor.num_edits == 0
    undo.click()
    assert "nothing to take back" in said.value
    phase.value, within.value = "S", 0.5
    assert (inspector.inspection.phase, inspector.inspection.within_s) == ("S", 0.5)
    save.click()
    assert "10 labels saved" in said.value
    path.value = str(tmp_path / "labels.txt")
    save.click()
    assert "not saved" in said.value


def test_a_line_of_clicks_and_a_key_move_picks(inspector):
    inspector.mode = "line"
    inspector.inspection.within_s = 0.5
    for channel in (-0.4, 9.4):
        press(inspector, inspector.section, channel, 2.2)
    assert len(inspector.inspection.chosen) == 10
    canvas = inspector.figure.canvas
    canvas.callbacks.process("key_press_event", KeyEvent("key_press_event", canvas, "m"))
    moved = inspector.editor.picks.query("edited == 'moved'")["phase_time"]
    assert len(moved) == 10
    assert ((moved - START).dt.total_seconds() - 2.2).abs().max() < 0.05


def test_names_units_and_messages_are_drawn_literally(monkeypatch):
    made = make_inspector("$x$", event=-1, unit="$m$")
    monkeypatch.setattr(made, "act", lambda _: "$y$")
    canvas = made.figure.canvas
    canvas.callbacks.process("key_press_event", KeyEvent("key_press_event", canvas, "m"))
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        made.figure.savefig(file, format="svg")
    drawn = re.findall("<text[^>]*>([^<]*)</text>", file.getvalue())
    assert {"($m$)", "$y$"} < set(drawn)
    assert any(text.startswith("$x$ 2024-05-06") for text in drawn)


def test_a_drag_chooses_with_the_box_only_in_its_mode(inspector):
    for mode, chosen in (("look", 0), ("box", 10)):
        inspector.mode = mode
        canvas = inspector.figure.canvas
        for name, at in DRAG.items():
            place = inspector.section.transData.transform(at)
            canvas.callbacks.process(name, MouseEvent(name, canvas, *place, button=MouseButton.LEFT))
        assert len(inspector.inspection.chosen) == chosen
