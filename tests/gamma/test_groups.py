"""Groups of picks without a location: arrivals in line along a cable that no event takes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gamma import AssociationConfig, associate
from gamma.acceptance import PHASE_SHARE
from tests.gamma import made_picks as made

CONFIG = AssociationConfig(vp_km_s=made.VP, vs_km_s=made.VS, max_distance_km=40.0)
STATIONS = made.cable(200, 0.06, bend=False)


def columns_from_picks(picks):
    """What the group table must hold, from the picks with a group."""
    inside = picks[picks["group_index"] >= 0]
    return inside.groupby("group_index").agg(
        station_id=("station_id", "first"),
        start_time=("phase_time", "min"),
        end_time=("phase_time", "max"),
        first_channel=("channel_index", "min"),
        last_channel=("channel_index", "max"),
        num_channels=("channel_index", "nunique"),
        num_picks=("channel_index", "size"),
    )


@pytest.fixture(scope="module")
def arrivals():
    """An event, an S wave on half of the cable before it, and a P wave on all of it after it."""
    event = made.make_picks(STATIONS, made.events(1, seed=3), noise_s=0.03, false=60)
    shear = made.plane_wave(STATIONS, 12.0, 3.0).query("40 <= channel_index < 140")
    compression = made.plane_wave(STATIONS, 55.0, 6.5, phase="P", seed=1)
    picks = made.together(event, shear.assign(true_event=1), compression.assign(true_event=2))
    return picks, associate(picks, STATIONS, CONFIG)


def test_arrivals_of_one_phase_are_groups_by_time(arrivals):
    _, result = arrivals
    groups = result.groups
    assert len(result.events) == 1
    assert groups["group_index"].tolist() == [0, 1]
    assert groups["phase_type"].tolist() == ["S", "P"]
    assert groups["apparent_speed_km_s"].tolist() == pytest.approx([3.0, 6.5], rel=0.03)
    assert groups["first_channel"].tolist() == pytest.approx([40, 0], abs=4)
    assert groups["last_channel"].tolist() == pytest.approx([139, 199], abs=4)
    assert groups["reason"].str.len().min() > 0
    assert result.summary["groups"] == 2


def test_the_group_table_is_that_of_its_picks(arrivals):
    _, result = arrivals
    expected = columns_from_picks(result.picks)
    found = result.groups.set_index("group_index")[list(expected.columns)]
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert str(result.groups["start_time"].dtype) == "datetime64[ns, UTC]"


def test_picks_know_their_group(arrivals):
    picks, result = arrivals
    group, true = result.picks["group_index"], picks["true_event"]
    for number in (0, 1):
        assert (group == number)[true == number + 1].mean() > 0.95
    assert (group >= 0)[(true != 1) & (true != 2)].sum() <= 2
    assert (result.picks["event_index"] < 0)[group >= 0].all()


def test_a_group_bears_the_name_of_most_of_its_picks():
    picks = made.plane_wave(STATIONS, 12.0, 3.0, phase="S")
    some = picks["channel_index"].between(0, 59)
    assert associate(made.cross_names(picks, some), STATIONS, CONFIG).groups["phase_type"].tolist() == ["S"]
    most = picks["channel_index"].between(0, 139)
    assert associate(made.cross_names(picks, most), STATIONS, CONFIG).groups["phase_type"].tolist() == ["P"]


def test_an_arrival_at_all_channels_at_once_has_a_very_high_speed_or_none():
    picks = made.plane_wave(STATIONS, 12.0, 1e9)
    speed = associate(picks, STATIONS, CONFIG).groups["apparent_speed_km_s"]
    assert len(speed) == 1
    assert not speed.iloc[0] < 100.0


@pytest.mark.parametrize("seed", range(3))
def test_noise_makes_no_group(seed):
    noise = made.make_picks(STATIONS, made.events(0), false=2000, seed=seed)
    result = associate(noise, STATIONS, CONFIG)
    assert len(result.events) == 0
    assert len(result.groups) == 0
    assert (result.picks["group_index"] == -1).all()


def test_an_arrival_on_two_cables_is_a_group_of_each():
    other = STATIONS.assign(station_id="OTHER", y_km=STATIONS["y_km"] + 20.0)
    picks = made.together(made.plane_wave(STATIONS, 12.0, 3.0), made.plane_wave(other, 12.4, 3.0, seed=1))
    groups = associate(picks, pd.concat([STATIONS, other], ignore_index=True), CONFIG).groups
    assert groups["station_id"].tolist() == ["CABLE", "OTHER"]


@pytest.mark.parametrize(("channels", "is_event"), [(50, False), (70, True)])
def test_an_event_with_s_on_few_channels_is_groups(channels, is_event):
    """S on 12 % and on 17 % of 400 channels, either side of the rule."""
    cable = made.cable(400, 0.06, bend=False)
    picks = made.make_picks(cable, made.events(1, seed=3), noise_s=0.03)
    picks = picks[(picks["phase_type"] == "P") | (picks["channel_index"] < channels)].reset_index(drop=True)
    result = associate(picks, cable, CONFIG)
    assert any(f"{PHASE_SHARE:.0%}" in rule for rule in result.summary["rules"])
    assert len(result.events) == is_event
    assert sorted(result.groups["phase_type"]) == ([] if is_event else ["P", "S"])


def test_seismometers_and_receivers_without_positions_make_no_group():
    network = made.network()
    one_phase = made.make_picks(network, made.events(1)).query("phase_type == 'P'").reset_index(drop=True)
    assert len(associate(one_phase, network, CONFIG).groups) == 0
    lost = STATIONS[["station_id", "channel_index"]].assign(longitude=np.nan, latitude=np.nan)
    groups = associate(made.plane_wave(STATIONS, 12.0, 3.0), lost.assign(elevation_m=np.nan), CONFIG).groups
    assert len(groups) == 0
    assert "apparent_speed_km_s" in groups
