"""At which rates a recording is seen, and how the picks of several rates become one table."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet_das.config import PickSettings, TeacherSettings
from phasenet_das.errors import ConfigError
from phasenet_das.io.recording import Recording, recording_of_array
from phasenet_das.picking import store
from phasenet_das.picking.multirate import (
    channel_spacing_m,
    choose_rate_passes,
    join_arrivals,
    joining_reach_s,
    range_margin_s,
    warn_outside_training,
)
from phasenet_das.picking.store import StoredChunk, merged
from phasenet_das.tables import PICK_COLUMNS, conform
from tests.picking.small_pickers import small_picker

START = pd.Timestamp("2024-05-01T00:00:00Z")


def _segment(
    rate_hz: float,
    dx_m: float = 8.0,
    gauge_m: float = np.nan,
    channels: int = 400,
    length_s: float = 60.0,
    step: int = 1,
) -> Recording:
    data = np.zeros((channels, max(3, round(length_s * rate_hz))), np.float32)
    return recording_of_array(
        data,
        start_time=np.datetime64(START.value, "ns"),
        dt_s=1 / rate_hz,
        channel_index=step * np.arange(channels),
        distance_m=step * np.arange(channels) * dx_m,
        gauge_length_m=gauge_m,
        station_id="CABLE",
        unit="strain / s",
    )


def _scales(segment: Recording, kind: str = "tile", **options: object) -> list[tuple[float, int]]:
    scales = choose_rate_passes(segment, PickSettings(**options), small_picker(kind).weights)
    assert sum(one.work_fraction for one in scales) == pytest.approx(1.0)
    return [(one.settings.rate, one.settings.average_channels) for one in scales]


@pytest.mark.parametrize(
    ("rate_hz", "expected"),
    [
        (100.0, [100.0, 50.0]),
        (250.0, [250.0, 125.0, 62.5]),
        (2000.0, [1000.0, 500.0, 250.0, 125.0, 62.5]),
        (20.0, [100.0, 50.0]),
        (150.0, [150.0, 75.0]),
    ],
)
def test_rates_are_octaves_from_ten_times_to_half_of_the_networks(rate_hz: float, expected: list) -> None:
    assert [rate for rate, _ in _scales(_segment(rate_hz, length_s=20.0))] == expected


def test_a_network_that_was_trained_at_its_own_rate_alone_is_shown_that_rate() -> None:
    weights = replace(small_picker("tile").weights, provenance={"rates": "model"})
    passes = choose_rate_passes(_segment(250.0, dx_m=1.0), PickSettings(), weights)
    assert [(one.settings.rate, one.settings.average_channels) for one in passes] == [(100.0, 1)]


def test_a_short_record_is_not_seen_at_rates_that_leave_too_few_samples() -> None:
    assert [rate for rate, _ in _scales(_segment(2000.0, length_s=1.0))] == [1000.0, 500.0]
    assert [rate for rate, _ in _scales(_segment(100.0, length_s=0.5))] == [100.0]


def test_neighbours_within_half_a_gauge_or_a_slow_wave_are_averaged() -> None:
    assert _scales(_segment(100.0, dx_m=1.0, gauge_m=10.0)) == [(100.0, 12), (50.0, 25)]
    assert _scales(_segment(1000.0, dx_m=1.0, gauge_m=10.0, length_s=1))[0] == (1000.0, 5)
    assert _scales(_segment(1000.0, dx_m=1.0, gauge_m=30.0, length_s=1))[0] == (1000.0, 15)
    assert _scales(_segment(100.0, dx_m=8.0, gauge_m=16.0)) == [(100.0, 1), (50.0, 3)]
    assert _scales(_segment(100.0, dx_m=50.0)) == [(100.0, 1), (50.0, 1)]
    assert _scales(_segment(100.0, dx_m=1.0, channels=20)) == [(100.0, 1), (50.0, 1)]


def test_without_distances_nothing_is_averaged_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert _scales(_segment(100.0, dx_m=np.nan)) == [(100.0, 1), (50.0, 1)]
    assert caplog.text.count("distances are not known") == 1


def test_of_one_channel_no_distances_are_missed(caplog: pytest.LogCaptureFixture) -> None:
    whole = _segment(100.0)
    one = whole.narrow(np.array([0]), slice(0, whole.num_samples))
    with caplog.at_level(logging.WARNING):
        assert {average for _, average in _scales(one)} == {1}
    assert caplog.text == ""


def test_what_was_chosen_and_assumed_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        _scales(_segment(100.0, dx_m=1.0, gauge_m=10.0))
        assert "100 Hz / 12, 50 Hz / 25" in caplog.text
        assert "gauge length" not in caplog.text
        _scales(_segment(100.0, dx_m=1.0))
        assert caplog.text.count("gauge length not known: 10 m taken") == 1
        caplog.clear()
        _scales(_segment(100.0, dx_m=1.0), rate="native", average_channels=2)
    assert caplog.text == ""


def test_too_few_channels_to_average_are_said(caplog: pytest.LogCaptureFixture) -> None:
    _scales(_segment(100.0, dx_m=1.0, gauge_m=10.0, channels=200))
    assert caplog.text == ""
    assert _scales(_segment(100.0, dx_m=1.0, gauge_m=10.0, channels=100)) == [(100.0, 6), (50.0, 6)]
    assert "100 channels are too few to average the 12 neighbours" in caplog.text
    caplog.clear()
    assert _scales(_segment(100.0, dx_m=20.0, gauge_m=20.0, channels=8))[0] == (100.0, 1)
    assert caplog.text == ""  # no neighbour measures the same


def test_networks_of_single_channels_see_their_own_rate() -> None:
    assert _scales(_segment(500.0, dx_m=1.0), "window") == [(100.0, 1)]
    assert _scales(_segment(500.0, dx_m=1.0), "picture") == [(100.0, 1)]


def test_octaves_of_a_network_of_single_channels_reach_a_quarter_of_its_rate_without_averages() -> None:
    segment = _segment(200.0, dx_m=1.0, length_s=20.0)
    rates = [(200.0, 1), (100.0, 1), (50.0, 1), (25.0, 1)]
    assert _scales(segment, "window", rate=TeacherSettings().rate) == rates
    assert _scales(segment, "window", rate="octaves", average_channels=2)[-1] == (25.0, 2)
    assert _scales(segment, "tile", rate="octaves") == _scales(segment, "tile")
    passes = choose_rate_passes(segment, PickSettings(rate="octaves"), small_picker("window").weights)
    assert [one.work_fraction for one in passes] == pytest.approx([8 / 15, 4 / 15, 2 / 15, 1 / 15])


def test_what_is_asked_for_is_done() -> None:
    segment = _segment(500.0, dx_m=1.0)
    assert _scales(segment, rate="native", average_channels=3) == [(500.0, 3)]
    assert _scales(segment, rate="model", average_channels=1) == [(100.0, 1)]
    assert _scales(segment, rate=(50.0, 200.0), average_channels=2) == [(200.0, 2), (50.0, 2)]
    with pytest.raises(ConfigError, match="expected positive numbers"):
        PickSettings(rate=(100.0, -1.0))


def test_spacing_is_that_of_channel_numbers() -> None:
    assert channel_spacing_m(_segment(100.0, dx_m=4.0)) == pytest.approx(4.0)
    assert channel_spacing_m(_segment(100.0, dx_m=4.0, step=10)) == pytest.approx(4.0)


def test_unlike_anything_trained_on_is_said(caplog: pytest.LogCaptureFixture) -> None:
    weights = small_picker().weights
    weights = replace(weights, provenance={"trained_rate_hz": [50, 2000], "trained_dx_m": [1, 50]})
    with caplog.at_level(logging.WARNING):
        for segment in (_segment(100.0), _segment(100.0, dx_m=2.0)):
            warn_outside_training(
                segment, choose_rate_passes(segment, PickSettings(), weights)[0].settings, weights
            )
        assert caplog.text == ""
        slow, wide = _segment(20.0), _segment(100.0, dx_m=200.0)
        for segment in (slow, wide):
            warn_outside_training(
                segment, choose_rate_passes(segment, PickSettings(), weights)[0].settings, weights
            )
    assert "20 Hz, but" in caplog.text
    assert "rows every 200 m" in caplog.text
    assert "no setting narrows the rows, so look at the picks" in caplog.text
    caplog.clear()
    for spacing_m, average in ((0.1, 1), (20.0, 4)):
        warn_outside_training(
            _segment(100.0, dx_m=spacing_m), PickSettings(average_channels=average), weights
        )
    assert caplog.text.count("choose average_channels to fit") == 2
    assert "no setting" not in caplog.text


def _picks(rows: list[tuple[float, str, float, float]]) -> tuple[pd.DataFrame, np.ndarray]:
    """Make picks of channel 5 from (time s, phase, score, stretch)."""
    time, phase, score, stretch = zip(*rows, strict=True)
    values = dict.fromkeys(PICK_COLUMNS, np.nan) | {
        "pick_id": np.arange(len(rows)),
        "station_id": "CABLE",
        "channel_index": 5,
        "phase_time": START + pd.to_timedelta(time, unit="s"),
        "phase_type": phase,
        "phase_score": score,
        "event_index": -1,
    }
    return conform(pd.DataFrame(values), PICK_COLUMNS, "picks"), np.array(stretch)


def _told(rows: list[tuple[float, str, float, float]]) -> list[tuple[float, str, float]]:
    picks, stretch = _picks(rows)
    chosen = join_arrivals(picks, stretch, len(set(stretch)))
    seconds = (chosen["phase_time"] - START).dt.total_seconds()
    return [
        (round(float(second), 3), phase, round(float(score), 3))
        for second, phase, score in zip(seconds, chosen["phase_type"], chosen["phase_score"], strict=True)
    ]


def test_a_pair_names_what_one_phase_alone_cannot() -> None:
    """At 100 Hz S is out of sight and P is taken for it; at 50 Hz both are seen."""
    rows = [(10.0, "S", 0.9, 1.0), (10.05, "P", 0.6, 2.0), (30.0, "S", 0.8, 1.0), (30.2, "S", 0.7, 2.0)]
    assert _told(rows) == [(10.05, "P", 0.6), (30.0, "S", 0.7)]


def test_a_slow_scale_that_sees_one_arrival_gives_way() -> None:
    """A microearthquake: at 62.5 Hz its S is the only arrival, and a P."""
    rows = [(1.0, "P", 0.8, 0.1), (1.4, "S", 0.6, 0.1), (1.42, "P", 0.95, 1.6)]
    assert _told(rows) == [(1.0, "P", 0.8), (1.4, "S", 0.6)]


def test_what_only_one_scale_sees_stays() -> None:
    rows = [(10.0, "P", 0.5, 1.0), (50.0, "S", 0.4, 2.0)]
    assert _told(rows) == [(10.0, "P", 0.5), (50.0, "S", 0.4)]


def test_an_arrival_of_one_scale_has_one_name() -> None:
    rows = [(6.0, "P", 0.5, 1.0), (10.0, "P", 0.5, 1.0), (10.2, "S", 0.4, 1.0), (10.5, "S", 0.3, 1.0)]
    assert _told(rows) == [(6.0, "P", 0.5), (10.0, "P", 0.5), (10.5, "S", 0.3)]


@pytest.mark.parametrize(("architecture", "joined"), [("phasenet-das", True), ("phasenet", False)])
def test_picks_of_a_network_of_single_channels_at_one_rate_are_its_own(
    architecture: str, joined: bool
) -> None:
    weights = replace(small_picker("tile").weights, architecture=architecture)
    passes = choose_rate_passes(_segment(100.0), PickSettings(rate=100.0), weights)
    assert [one.joined for one in passes] == [joined]
    assert (range_margin_s(PickSettings(rate=100.0), weights) > 0.0) == joined
    octaves = choose_rate_passes(_segment(100.0), PickSettings(rate="octaves"), weights)
    assert all(one.joined for one in octaves)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.floats(50, 250))
def test_only_what_is_near_matters(seed: int, cut: float) -> None:
    """Cut anywhere with the reach on both sides: the same picks; and no order of rows matters."""
    rng = np.random.default_rng(seed)
    rows = [
        (float(rng.uniform(0, 300)), str(rng.choice(["P", "S"])), float(rng.uniform(0.3, 1)), float(slow))
        for slow in rng.choice([0.5, 1.0, 2.0], 150)
    ]
    picks, stretch = _picks(sorted(rows))
    whole = join_arrivals(picks, stretch, 3)
    when = (picks["phase_time"] - START).dt.total_seconds().to_numpy()
    reach = joining_reach_s(2.0, 3)
    parts = []
    for low, high in ((0.0, cut), (cut, 301.0)):
        near = (when >= low - reach) & (when < high + reach)
        part = join_arrivals(picks[near].reset_index(drop=True), stretch[near], 3)
        seconds = (part["phase_time"] - START).dt.total_seconds()
        parts.append(part[(seconds >= low) & (seconds < high)])
    joined = pd.concat(parts)
    assert sorted(joined["pick_id"]) == sorted(whole["pick_id"])
    order = rng.permutation(len(picks))
    shuffled = join_arrivals(picks.iloc[order].reset_index(drop=True), stretch[order], 3)
    assert sorted(shuffled["pick_id"]) == sorted(whole["pick_id"])


@pytest.mark.parametrize("rows_at_a_time", [1, 40, 200])
def test_a_table_merged_in_pieces_is_that_merged_at_once(
    monkeypatch: pytest.MonkeyPatch, rows_at_a_time: int
) -> None:
    """Parts of several scales, spans and cables, each pick near a seam in two of them."""
    rng = np.random.default_rng(11)
    rows = [
        (float(rng.uniform(0, 2000)), str(rng.choice(["P", "S"])), float(rng.uniform(0.3, 1)), float(slow))
        for slow in rng.choice([0.5, 1.0, 2.0], 900)
    ]
    picks, stretch = _picks(sorted(rows))
    when = (picks["phase_time"] - START).dt.total_seconds().to_numpy()
    tables, parts = {}, []
    for slow in (0.5, 1.0, 2.0):
        length = 100.0 * slow
        for number in range(int(2000 / length)):
            inside = (when >= number * length - 0.5) & (when < (number + 1) * length + 0.5)
            key = f"{slow}-{number}"
            tables[key] = picks[inside & (stretch == slow)].reset_index(drop=True)
            start_ns = START.value + round(number * length * 1e9)
            facts = SimpleNamespace(start_ns=start_ns, time_stretch=slow, joined=True)
            parts.append(StoredChunk(key, facts, len(tables[key])))
    at_once = list(merged(parts, tables.__getitem__))
    assert len(at_once) == 1
    assert 0 < len(at_once[0]) < len(picks)
    monkeypatch.setattr(store, "_ROWS_AT_A_TIME", rows_at_a_time)
    pieces = list(merged(rng.permutation(parts), tables.__getitem__))
    assert len(pieces) > 3
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), at_once[0])
