"""P or S: names of picks are evidence, and the association may take a pick for the other phase."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gamma import AssociationConfig, associate
from gamma.errors import nearest_name
from tests.gamma import made_picks as made

CONFIG = AssociationConfig(vp_km_s=made.VP, vs_km_s=made.VS, max_distance_km=40.0)
STATIONS = made.cable(200, 0.06)


def sources(*rows):
    return pd.DataFrame(rows, columns=["t_s", "x_km", "y_km", "z_km"])


def contents(picks):
    """True events among the P and among the S picks of each event, from the mode of each."""
    kept = picks[picks["event_index"] >= 0]
    mode = kept.groupby(["event_index", "associated_phase"])["true_event"].agg(lambda true: true.mode()[0])
    return mode.unstack()


def share_of_right_picks(picks):
    """Share of the picks of true events whose event is the one that holds most of that true event."""
    true = picks[picks["true_event"] >= 0]
    return float(true.groupby("true_event")["event_index"].agg(lambda e: (e == e.mode()[0]).mean()).mean())


@pytest.fixture(scope="module")
def sequence():
    """An event every 4 s at different places; the S waves of every second one are missing."""
    truth = made.events(8, seed=5, spacing_s=4.0)
    picks = made.make_picks(STATIONS, truth, noise_s=0.03, false=60)
    missing = (picks["phase_type"] == "S") & (picks["true_event"] % 2 == 1)
    picks = picks[~missing].reset_index(drop=True)
    return picks, truth, associate(picks, STATIONS, CONFIG)


@pytest.mark.parametrize("phases", [["P", "S"], ["P"], ["S"]])
def test_a_third_of_an_event_with_crossed_names_is_taken_as_the_true_phases(phases):
    truth = made.events(3, seed=3)
    right = made.make_picks(STATIONS, truth, noise_s=0.03, false=60)
    third = right["channel_index"].between(60, 126) & (right["true_event"] == 1)
    crossed = third & right["phase_type"].isin(phases)
    named = made.cross_names(right, crossed)
    result = associate(named, STATIONS, CONFIG)
    events, picks = result.events, result.picks
    assert np.abs(made.seconds(events) - truth["t_s"]).max() < 0.1
    assert events["num_renamed"].tolist() == [0, pytest.approx(crossed.sum(), abs=2), 0]
    assert picks["phase_type"].equals(named["phase_type"])
    kept = (picks["event_index"] >= 0) & (picks["true_event"] >= 0)
    assert (picks["event_index"] == picks["true_event"])[picks["true_event"] >= 0].mean() > 0.98
    assert (picks["associated_phase"] == right["phase_type"])[kept].mean() > 0.99
    assert (picks["associated_phase"] == "").eq(picks["event_index"] < 0).all()
    assert len(result.groups) == 0


def test_the_number_of_renamed_picks_is_that_of_the_pick_table(sequence):
    picks, events = sequence[2].picks, sequence[2].events
    other = (picks["associated_phase"] != picks["phase_type"]) & (picks["event_index"] >= 0)
    counted = picks.loc[other, "event_index"].value_counts().reindex(events["event_index"], fill_value=0)
    assert events["num_renamed"].tolist() == counted.tolist()
    for phase, column in (("P", "num_p_picks"), ("S", "num_s_picks")):
        taken = picks.loc[picks["associated_phase"] == phase, "event_index"].value_counts().sort_index()
        assert events[column].tolist() == taken.tolist()


def test_p_of_one_event_and_s_of_the_next_are_no_event(sequence):
    _, truth, result = sequence
    found = contents(result.picks)
    assert found["P"].equals(found["S"].rename("P"))
    assert found["P"].tolist() == [0, 2, 4, 6]
    assert np.abs(made.seconds(result.events) - truth["t_s"][::2]).max() < 0.1
    kept = result.picks[result.picks["event_index"] >= 0]
    assert (kept["true_event"] == 2 * kept["event_index"]).mean() > 0.98


def test_p_waves_without_s_are_groups(sequence):
    picks, groups = sequence[2].picks, sequence[2].groups
    inside = picks[picks["group_index"] >= 0]
    assert (inside.groupby("group_index")["true_event"].nunique() == 1).all()
    assert set(inside["true_event"]) == {1, 3, 5, 7}
    assert (groups["phase_type"] == "P").all()
    assert len(inside) > 0.9 * (picks["true_event"] % 2 == 1).sum()


@pytest.mark.parametrize(
    "second",
    [
        pytest.param((30.5, -6.0, -9.0, 5.0), id="elsewhere"),
        pytest.param((30.5, 8.0, 5.5, 7.0), id="at the same place"),
    ],
)
def test_two_events_half_a_second_apart_are_two(second):
    truth = sources((30.0, 8.0, 5.0, 7.0), second)
    picks = made.make_picks(STATIONS, truth, noise_s=0.03)
    result = associate(picks, STATIONS, CONFIG)
    assert len(result.events) == 2
    assert np.abs(made.seconds(result.events) - truth["t_s"]).max() < 0.1
    assert share_of_right_picks(result.picks) > 0.95


@pytest.mark.parametrize(("delay_s", "seed"), [(2.3, 1), (2.9, 2)])
def test_where_p_of_one_event_crosses_s_of_another_the_names_stand(delay_s, seed):
    truth = sources((30.0, 2.0, 16.0, 7.0), (30.0 + delay_s, -3.0, 14.0, 5.0))
    result = associate(made.make_picks(STATIONS, truth, noise_s=0.04, seed=seed), STATIONS, CONFIG)
    assert len(result.events) == 2
    assert result.events["num_renamed"].sum() <= 1


@pytest.mark.parametrize("phases", [["S"], ["P", "S"]])
def test_arrivals_that_bear_both_names_make_no_twin(phases):
    """The picker may give P and S at one arrival, each with its score."""
    picks = made.make_picks(STATIONS, made.events(2, seed=3), noise_s=0.03, false=60)
    double = picks[(picks["true_event"] == 0) & picks["phase_type"].isin(phases)]
    wrong = made.cross_names(double, double["true_event"] == 0)
    jitter = pd.to_timedelta(np.random.default_rng(0).normal(0.0, 0.01, len(wrong)), unit="s")
    wrong = wrong.assign(phase_time=wrong["phase_time"] + jitter, phase_score=0.6 * wrong["phase_score"])
    result = associate(made.together(picks, wrong), STATIONS, CONFIG)
    assert len(result.events) == 2
    assert len(result.groups) == 0
    alone = associate(picks, STATIONS, CONFIG).events
    assert result.events["num_picks"].tolist() == pytest.approx(alone["num_picks"].tolist(), abs=3)


def test_ground_that_delays_parts_of_the_cable_makes_no_twin():
    truth = made.events(2, seed=3)
    picks = made.make_picks(STATIONS, truth, noise_s=0.03)
    delay = 0.15 * np.sin(2.0 * np.pi * picks["channel_index"] / 70.0)
    late = picks.assign(phase_time=picks["phase_time"] + pd.to_timedelta(delay, unit="s"))
    result = associate(made.together(late), STATIONS, CONFIG)
    assert len(result.events) == 2
    assert len(result.groups) == 0
    assert share_of_right_picks(result.picks) > 0.95


@pytest.mark.parametrize(("seed", "wrong"), [(0, 0.1), (1, 0.1), (2, 0.4)])
def test_s_never_precedes_p_of_its_event_on_a_channel(seed, wrong):
    """Events beneath the cable, S hardly later than the errors of the picks, and a share of wrong names."""
    rng = np.random.default_rng(seed)
    number = 6
    truth = sources(*zip(30.0 + np.sort(rng.uniform(0.0, 18.0, number)), *np.zeros((3, number)), strict=True))
    truth["x_km"], truth["y_km"] = rng.uniform(-6.0, 2.0, number), rng.uniform(-4.0, 1.0, number)
    truth["z_km"] = rng.uniform(0.3, 6.0, number)
    picks = made.make_picks(STATIONS, truth, noise_s=0.08, seed=seed, false=200)
    picks = made.cross_names(picks, pd.Series(rng.uniform(size=len(picks)) < wrong))
    found = associate(picks, STATIONS, CONFIG)
    kept = found.picks[found.picks["event_index"] >= 0]
    assert not kept.duplicated(["event_index", "channel_index", "associated_phase"]).any()
    time = kept.pivot_table(
        index=["event_index", "channel_index"], columns="associated_phase", values="phase_time", aggfunc="min"
    ).dropna()
    assert len(time) > 400
    assert (time["S"] > time["P"]).all()


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("channel_index", ["phase_index", "phase_time"], "Known"),
        ("chanel_index", ["channel_index", "phase_index"], "'channel_index'"),
        ("station", ["station_id"], "'station_id'"),
    ],
)
def test_a_name_alike_in_its_last_word_only_is_not_suggested(name, known, hint):
    assert hint in nearest_name(name, known)
