"""The phase of a pick with an event is that as which the event took it, through every door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from phasenet_das import plot, tables
from phasenet_das.evaluate import evaluate_picks
from phasenet_das.inspect import PickEditor
from phasenet_das.tables.columns import with_event_phase
from tests.tables_at_hand import graded_picks


def _evaluated(picks: Any) -> list[float]:
    truth = graded_picks().pipe(with_event_phase).drop(columns=["associated_phase", "picked_phase"])
    found = evaluate_picks(picks, truth[truth["event_index"] >= 0], num_bootstrap=0)
    return found.table["f1"].tolist()


def _labels(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def _of_phase(picks: Any) -> int | None:
    first = picks[picks["event_index"] == 1].iloc[200]
    when = np.datetime64(first["phase_time"].tz_localize(None), "ns")
    editor = PickEditor(picks, "CABLE")
    return editor.nearest(float(first["channel_index"]), when, max_channels=1.0, max_s=0.5, phase="S")


DOORS: dict[str, Callable[[Any], Any]] = {
    "QuakeFlow": lambda picks: tables.to_quakeflow(picks)["phase_type"].tolist(),
    "GaMMA": lambda picks: tables.to_gamma(picks)["type"].tolist(),
    "PyOcto": lambda picks: tables.to_pyocto(picks)["phase"].tolist(),
    "ObsPy": lambda picks: [pick.phase_hint for pick in tables.to_obspy_picks(picks)],
    "evaluation": _evaluated,
    "histogram": lambda picks: _labels(plot.score_histogram(picks)),
    "inspector": _of_phase,
}


@pytest.mark.parametrize("door", DOORS)
def test_a_renamed_pick_is_shown_as_the_phase_of_its_event(door):
    picks = graded_picks()
    true = with_event_phase(picks)
    assert (true["picked_phase"] == picks["phase_type"]).all()
    assert (true["phase_type"] != true["picked_phase"]).sum() == 20
    shown = DOORS[door]
    assert shown(picks) == shown(true) != shown(picks.drop(columns="associated_phase"))
