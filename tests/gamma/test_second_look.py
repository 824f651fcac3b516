"""The second look: events among the picks that the first look leaves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gamma import AssociationConfig, associate
from gamma.domain import make_domain
from gamma.fit import look
from gamma.picks import load_picks
from gamma.receivers import load_receivers
from gamma.utils import association
from gamma.workers import Runner
from phasenet_das.tables import EVENT_COLUMNS, conform
from tests.gamma import made_picks as made

CONFIG = AssociationConfig(**made.settings())


@pytest.fixture(scope="module")
def dense():
    """Twelve events 3 s apart on eight seismometers: the first look misses some of them."""
    stations, truth = made.network(8), made.events(12, seed=11, spacing_s=3.0)
    picks = made.make_picks(stations, truth, seed=11, false=60, noise_s=0.15, keep=0.9)
    picks = picks.sample(frac=1.0, random_state=1, ignore_index=True)
    receivers = load_receivers(stations)
    first = look(Runner(make_domain(receivers, CONFIG)), load_picks(picks, receivers, CONFIG))
    return picks, stations, truth, first, associate(picks, stations, CONFIG)


def test_an_event_that_the_first_look_misses_is_found(dense):
    picks, _, truth, first, result = dense
    assert len(first) < len(truth) == len(result.events)
    assert np.abs(made.seconds(result.events) - truth["t_s"]).max() < 1.5
    conform(result.events, EVENT_COLUMNS)
    assert result.events["event_index"].tolist() == list(range(len(truth)))
    assert result.events["time"].is_monotonic_increasing
    assert result.events["event_id"].is_unique
    pd.testing.assert_frame_equal(result.picks[picks.columns], picks)
    assert (result.summary["events"], result.summary["events_on_second_look"]) == (12, 12 - len(first))
    assert result.summary["picks_associated"] == result.events["num_picks"].sum()
    assert sum(result.summary["reasons"].values()) == (result.picks["event_index"] < 0).sum()


def test_the_second_look_takes_no_pick_from_the_first(dense):
    _, _, _, first, result = dense
    given = first.assignment.event >= 0
    rows = first.observations.row[given]
    together = pd.DataFrame({"one": first.assignment.event[given], "two": result.picks["event_index"][rows]})
    assert len(together.drop_duplicates()) == len(first)
    scores = result.picks["association_score"].to_numpy()[rows]
    np.testing.assert_array_equal(scores, first.assignment.score[given].astype(np.float32))


def test_order_and_workers_do_not_show(dense):
    picks, stations, _, _, result = dense
    shuffled = associate(picks.iloc[::-1], stations.iloc[::-1], CONFIG, workers=2)
    pd.testing.assert_frame_equal(shuffled.events, result.events)
    pd.testing.assert_frame_equal(shuffled.picks.sort_index(), result.picks)


def test_copies_of_picks_form_no_second_copy_of_their_events(dense):
    """A copy of a pick that has an event is left by the first look, and is no evidence in the second."""
    picks, stations, _, _, result = dense
    doubled = associate(pd.concat([picks, picks], ignore_index=True), stations, CONFIG)
    pd.testing.assert_frame_equal(doubled.events, result.events)
    copies = doubled.picks["reason"] == "same station, phase and time as another pick"
    assert copies.sum() == len(picks)


def test_the_drop_in_door_takes_the_second_look(dense):
    picks, stations, _, _, result = dense
    names = {"station_id": "id", "phase_time": "timestamp", "phase_type": "type", "phase_score": "prob"}
    config = {"x(km)": (-50, 50), "y(km)": (-50, 50), "z(km)": (0, 25), "vel": {"p": made.VP, "s": made.VS}}
    places = stations.rename(columns={"station_id": "id", "x_km": "x(km)", "y_km": "y(km)", "z_km": "z(km)"})
    events, pairs = association(picks.rename(columns=names), places, config)
    assert len(events) == len(result.events)
    given = pd.Series({pick: event for pick, event, _ in pairs}).reindex(picks.index, fill_value=-1)
    assert given.tolist() == result.picks["event_index"].tolist()
