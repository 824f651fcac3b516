"""The picker: contracts of its tables, and what may not change a pick."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from phasenet_das import io
from phasenet_das.config import DataSettings, PickSettings, TeacherSettings
from phasenet_das.errors import ConfigError, DeviceError, PhaseNetDASError, SamplingError, UnitError
from phasenet_das.io import open_archive
from phasenet_das.models import PhaseNet, Weights
from phasenet_das.models.calibration import PickCalibration, ScoreCurve
from phasenet_das.picking import Picker, load_picker
from phasenet_das.tables import PICK_COLUMNS

START = "2024-05-06T07:08:09.123456"


def _picker(in_channels: int = 1, window: int = 300) -> Picker:
    """A small network of random weights, sharpened so that it picks something."""
    torch.manual_seed(7)
    model = PhaseNet(in_channels=in_channels, filters=4, window_samples=window).eval()
    with torch.no_grad():
        model.out.weight.mul_(12)
    order = {1: "1", 3: "ENZ"}[in_channels]
    return Picker(Weights("test", "phasenet", model, 100.0, "NPS", order, "std", window, "0" * 64))


def _record(channels: int = 12, samples: int = 1500, dt_s: float = 0.01, seed: int = 0, **kwargs: object):
    data = np.random.default_rng(seed).standard_normal((channels, samples)).astype(np.float32)
    options = {"start_time": START, "dt_s": dt_s, "station_id": "CABLE", "unit": "strain / s", **kwargs}
    options.setdefault("channel_index", np.arange(100, 100 + channels))
    options.setdefault("distance_m", np.arange(channels) * 5.0)
    return io.make_patch(data, **options)


@pytest.fixture(scope="module")
def picker() -> Picker:
    return _picker()


def test_the_table_keeps_its_contract(picker: Picker) -> None:
    picks = picker.pick(_record())
    assert len(picks) > 20
    assert {name: str(kind) for name, kind in picks.dtypes.items()} == PICK_COLUMNS
    assert picks["pick_id"].is_unique
    assert picks["phase_time"].is_monotonic_increasing
    assert set(picks["phase_type"]) == {"P", "S"}
    assert picks["phase_score"].between(0.3, 1).all()
    assert (picks["event_index"] == -1).all()
    assert_allclose(picks["distance_m"], (picks["channel_index"] - 100) * 5.0)
    assert picks.attrs["amplitude_unit"] == "strain / s"


def test_a_calibrated_network_states_how_good_its_picks_are(picker: Picker) -> None:
    curve = ScoreCurve((0.3, 0.6), (0.5, 0.9), (8.0, 2.0))
    weights = replace(picker.weights, calibration=PickCalibration({"P": curve, "S": curve}))
    for dt_s, rate in ((0.01, None), (0.002, "native")):
        patch = _record(dt_s=dt_s)
        plain, picks = picker.pick(patch, rate=rate), Picker(weights).pick(patch, rate=rate)
        pd.testing.assert_frame_equal(picks[list(PICK_COLUMNS)], plain, check_like=False)
        share = np.clip((picks["phase_score"] - 0.3) / 0.3, 0, 1)
        assert_allclose(picks["phase_probability"], 0.5 + 0.4 * share, atol=1e-5)
        # Errors are in samples of the network's time axis, which is slower for kilohertz data.
        assert_allclose(picks["phase_time_uncertainty_s"], (8 - 6 * share) * dt_s, atol=1e-6)


def test_picks_are_the_peaks_of_the_scores(picker: Picker) -> None:
    patch = _record()
    scores, picks = picker.annotate(patch)[0], picker.pick(patch)
    assert scores.dims == ("phase", "channel", "time")
    assert_allclose(scores.sum("phase"), 1, atol=1e-5)
    for pick in picks.iloc[::10].itertuples():
        trace = scores.sel(phase=pick.phase_type, channel=pick.channel_index)
        nearest = trace.sel(time=pick.phase_time.tz_localize(None), method="nearest")
        assert float(nearest) == pytest.approx(pick.phase_score, abs=1e-6)


def test_nothing_is_picked_where_data_begins(picker: Picker) -> None:
    patch = _record(channels=40)
    scores = picker.annotate(patch)[0].values[1:]
    peaks = (scores[..., 1:-1] > scores[..., :-2]) & (scores[..., 1:-1] >= scores[..., 2:])
    assert (scores[..., 1:-1][peaks & (np.arange(1, 1499) < 20)] > 0.3).any()  # else nothing is tested
    data = io.get_data(patch).copy()
    data[:20, 700:900] = np.nan
    gappy = _record(channels=40).update(data=data)
    start = pd.Timestamp(START, tz="UTC")
    for one, first in ((patch, 0), (gappy, 900)):
        sample = (picker.pick(one)["phase_time"] - start).dt.total_seconds() / 0.01
        channel = picker.pick(one)["channel_index"] < 120
        assert not (channel & sample.between(first - 1, first + 19)).any()
        assert sample.between(first + 20, first + 60).any()


@pytest.mark.parametrize("batch_size", [1, 5])
def test_batches_change_nothing(picker: Picker, batch_size: int) -> None:
    patch = _record()
    _assert_same(picker.pick(patch), picker.pick(patch, batch_size=batch_size))


def test_channel_blocks_change_nothing(picker: Picker, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = _record()
    whole = picker.pick(patch)
    monkeypatch.setattr("phasenet_das.picking.networks._BLOCK_SAMPLES", 4000)
    _assert_same(whole, picker.pick(patch))


def test_a_range_of_channels_gives_its_part_of_the_whole(picker: Picker) -> None:
    whole = picker.pick(_record())
    part = picker.pick(io.read(_record(), channels=(103, 108)))
    expected = whole[whole["channel_index"].between(103, 107)]
    _assert_same(expected.reset_index(drop=True), part)


def test_gain_per_channel_changes_nothing_but_amplitude(picker: Picker) -> None:
    patch = _record()
    louder = patch.update(data=patch.data * 1e-8)
    first, second = picker.pick(patch), picker.pick(louder)
    assert_allclose(second["phase_amplitude"], first["phase_amplitude"] * 1e-8, rtol=1e-3)
    assert (first["pick_id"] == second["pick_id"]).all()


def _assert_same(first: pd.DataFrame, second: pd.DataFrame) -> None:
    first, second = (table.sort_values("pick_id").reset_index(drop=True) for table in (first, second))
    assert first["pick_id"].tolist() == second["pick_id"].tolist()
    assert_allclose(first["phase_score"], second["phase_score"], atol=1e-3)
    apart = (first["phase_time"] - second["phase_time"]).dt.total_seconds().abs()
    assert apart.max() <= 0.01


def test_native_rate_relabels_time(picker: Picker) -> None:
    """The same samples at ten times the rate give the same scores, ten times faster."""
    slow = picker.pick(_record(samples=290), rate="native")
    fast = picker.pick(_record(samples=290, dt_s=0.001), rate="native")
    key = ["channel_index", "phase_type", "phase_score"]
    slow, fast = (table.sort_values(key, kind="stable").reset_index(drop=True) for table in (slow, fast))
    start = pd.Timestamp(START, tz="UTC")
    assert len(slow) > 5
    seconds, seconds_fast = ((t["phase_time"] - start).dt.total_seconds() for t in (slow, fast))
    assert_allclose(seconds, 10 * seconds_fast, atol=1e-6)
    assert_allclose(slow["phase_score"], fast["phase_score"])


def test_resampling_keeps_the_time_of_a_pick() -> None:
    picker = _picker(window=3000)
    t = np.arange(0, 10, 0.002)
    wave = np.exp(-np.clip(t - 4, 0, None)) * np.sin(2 * np.pi * 8 * (t - 4)) * (t > 4)
    noise = np.random.default_rng(0).standard_normal(len(t)) * 1e-3
    fine = io.make_patch((wave + noise)[None], start_time=START, dt_s=0.002, station_id="C")
    coarse = io.make_patch((wave + noise)[None, ::5], start_time=START, dt_s=0.01, station_id="C")
    first, second = picker.annotate(fine)[0], picker.annotate(coarse)[0]
    assert abs(first.sizes["time"] - second.sizes["time"]) <= 1
    shift = (first["time"].values[0] - second["time"].values[0]) / np.timedelta64(1, "s")
    assert abs(shift) <= 0.01


def test_dead_and_missing_samples_are_left_out_and_named(picker: Picker) -> None:
    patch = _record()
    data = patch.data.copy()
    data[3] = 0
    data[5, 400:900] = np.nan
    broken = io.make_patch(
        data, start_time=START, dt_s=0.01, station_id="CABLE", channel_index=np.arange(100, 112)
    )
    picks = picker.pick(broken)
    assert 103 not in set(picks["channel_index"])
    assert picks.attrs["dead_channels"] == [103]
    start = pd.Timestamp(START, tz="UTC")
    on_gap = picks[picks["channel_index"] == 105]
    seconds = (on_gap["phase_time"] - start).dt.total_seconds()
    assert len(on_gap) > 0
    assert not seconds.between(4.01, 8.98).any()
    scores = picker.annotate(broken)[0]
    assert_allclose(scores.sel(phase="N", channel=103), 1)
    assert_allclose(scores.sel(phase="N", channel=105)[450:850], 1)
    others = picks[~picks["channel_index"].isin([103, 105])]
    whole = picker.pick(patch)
    _assert_same(whole[~whole["channel_index"].isin([103, 105])].reset_index(drop=True), others)


def test_a_channel_that_is_dead_on_one_of_two_cables_is_named(
    picker: Picker, caplog: pytest.LogCaptureFixture
) -> None:
    data = _record().data.copy()
    data[3] = 0
    silent = io.make_patch(
        data, start_time=START, dt_s=0.01, station_id="A", channel_index=np.arange(100, 112)
    )
    picks = picker.pick([silent, _record(station_id="B")])
    assert picks.attrs["dead_channels"] == [103]
    assert "1 of 12 channels are dead" in caplog.text


def test_an_option_beside_the_settings_of_a_teacher_keeps_its_rates(picker: Picker) -> None:
    scores = picker.annotate(_record(), TeacherSettings(), batch_size=4)
    assert [one.attrs["rate_hz"] for one in scores] == [100.0, 50.0, 25.0]


def test_stacked_scores_return_to_every_channel(picker: Picker) -> None:
    scores = picker.annotate(_record(), average_channels=4)[0]
    assert scores.sizes["channel"] == 12
    groups = scores.coords["channel"].values // 4
    for group in np.unique(groups):
        members = scores.values[:, groups == group]
        assert_allclose(members, members[:, :1].repeat(members.shape[1], axis=1))
    picks = picker.pick(_record(), average_channels=4)
    assert (picks.groupby(["phase_time", "phase_type"]).size() % 4 == 0).all()
    assert picks["pick_id"].is_unique


def test_stacking_averages(picker: Picker) -> None:
    patch = _record()
    mean = np.repeat(patch.data.reshape(3, 4, -1).mean(axis=1), 4, axis=0)
    averaged = patch.update(data=mean.astype(np.float32))
    assert_allclose(picker.annotate(patch, average_channels=4)[0], picker.annotate(averaged)[0], atol=1e-3)


def test_common_mode_is_removed(picker: Picker) -> None:
    patch = _record()
    common = 50 * np.random.default_rng(9).standard_normal(1500).astype(np.float32)
    noisy = patch.update(data=patch.data + common)
    clean, cleaned = (
        picker.annotate(patch, common_mode="median")[0],
        picker.annotate(noisy, common_mode="median")[0],
    )
    assert_allclose(clean, cleaned, atol=5e-3)


def test_one_component_differs_from_all_three() -> None:
    picker, patch = _picker(in_channels=3), _record()
    everything, vertical = picker.annotate(patch)[0], picker.annotate(patch, component="Z")[0]
    assert np.abs(everything.values - vertical.values).max() > 0.01


def test_strain_becomes_strain_rate_once(picker: Picker) -> None:
    picks = picker.pick(_record(unit="strain"), to_strain_rate=True)
    assert picks.attrs["amplitude_unit"] == "strain / s"
    for unit in ("strain / s", "rad/(m s)"):
        with pytest.raises(UnitError, match="rate already"):
            picker.pick(_record(unit=unit), to_strain_rate=True)


def test_thresholds_of_p_and_s_are_separate(picker: Picker) -> None:
    best = picker.pick(_record()).groupby("phase_type")["phase_score"].median()
    picks = picker.pick(_record(), min_score_p=float(best["P"]))
    lowest = picks.groupby("phase_type")["phase_score"].min()
    assert lowest["P"] >= best["P"]
    assert 0.3 <= lowest["S"] < best["S"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_scor": 0.5}, "Did you mean 'min_score'"),
        ({"min_score": 1.5}, "min_score"),
        ({"rate": "fast"}, "rate"),
        ({"rate": -5.0}, "rate"),
        ({"common_mode": "mean"}, "common_mode"),
        ({"bandpass_hz": (5.0, 1.0)}, "low < high"),
    ],
)
def test_wrong_options_are_refused(picker: Picker, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        picker.pick(_record(), **options)


def test_wrong_records_are_refused(picker: Picker) -> None:
    with pytest.raises(SamplingError, match="at least 3"):
        picker.pick(_record(samples=2))
    assert set(picker.pick(_record(station_id=""))["station_id"]) == {"DAS"}
    assert set(picker.pick(_record(station_id=""), station_id="X")["station_id"]) == {"X"}


@pytest.mark.parametrize("device", ["gpu!", "mps", "meta", None, "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(DeviceError, match="device"):
        Picker(_picker().weights, device=device)


@pytest.mark.parametrize("asked", [(None, 5), slice(0, 5), 5, 0, (0, 5, 1), ("a", "b"), (0.5, 5), (5, 5)])
def test_a_range_that_is_none_is_refused(picker: Picker, asked: object) -> None:
    with pytest.raises(ConfigError, match=r"channel_range.*Expected \(first, end\), two whole numbers"):
        picker.pick(_record(), channel_range=asked)


def test_silence_gives_an_empty_table(picker: Picker) -> None:
    picks = picker.pick(_record(), min_score=0.9999999)
    assert picks.empty
    assert list(picks.columns) == list(PICK_COLUMNS)


@pytest.mark.shared
def test_finds_the_hawthorne_earthquake(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEISBENCH_CACHE_ROOT", str(shared / "seisbench_cache"))
    patch = io.read(shared / "data" / "das_events" / "brady_porotomo_20160321_M4.3.h5")
    picks = load_picker("seisbench:original").pick(patch, PickSettings(), station_id="BRADY")
    seconds = (picks["phase_time"] - pd.Timestamp("2016-03-21T07:37:30.532309Z")).dt.total_seconds()
    near_p = picks[(picks["phase_type"] == "P") & ((seconds - 8.3).abs() < 0.5)]
    near_s = picks[(picks["phase_type"] == "S") & ((seconds - 28.0).abs() < 1.0)]
    assert near_p["channel_index"].nunique() >= 330
    assert near_s["channel_index"].nunique() >= 340


@pytest.mark.parametrize(
    "asked",
    [{"start": "2030-01-01"}, {"end": "2024-05-06T07:08:09.12"}, {"channel_range": (500, 600)}],
    ids=["later", "just before", "other channels"],
)
def test_scores_of_an_empty_range_are_an_error_that_names_the_range(picker: Picker, asked: dict) -> None:
    with pytest.raises(PhaseNetDASError, match="range"):
        picker.annotate(_record(), **asked)


def test_data_settings_that_open_recordings_do_not_follow_are_named(
    picker: Picker, caplog: pytest.LogCaptureFixture
) -> None:
    archive = open_archive(_record())
    picker.pick(archive)
    assert "open already" not in caplog.text
    picker.pick(archive, data=DataSettings(unit="strain"))
    assert "open already" in caplog.text
