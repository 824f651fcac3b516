"""Whole recordings: arrivals, determinism however they are cut, files, faults, truth."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from phasenet_das.errors import ChannelGeometryError, ConfigError
from phasenet_das.simulate import SCENARIOS, Simulation, SimulationConfig, measure_snr_db, scenario, simulate
from phasenet_das.simulate.truth import SNR_WINDOW_S, halo_samples, pick_table, snr_db
from phasenet_das.tables import (
    EVENT_COLUMNS,
    PICK_COLUMNS,
    read_channels,
    read_events,
    read_picks,
    write_channels,
)

QUIET_NOISE = {
    "optical_rms": 0.0,
    "ambient_rms": 0.0,
    "common_mode": 0.0,
    "spikes_per_channel_hour": 0.0,
    "fading_fraction": 0.0,
    "dead_fraction": 0.0,
}


def small(**changes):
    """Half a minute on 96 channels, with everything in it."""
    values = {
        "duration_s": 36.0,
        "file_length_s": 12.0,
        "cable": {"num_channels": 96, "dx_m": 20.0},
        "sources": {"events_per_hour": 500.0, "distant_per_hour": 0.0, "distance_max_km": 12.0},
        "waves": {"max_coda_s": 8.0},
        "traffic": {"vehicles_per_hour": 200.0, "num_machines": 1},
        "noise": {"dead_fraction": 0.03, "spikes_per_channel_hour": 60.0, "fading_fraction": 0.2},
    }
    for key, change in changes.items():
        values[key] = {**values.get(key, {}), **change} if isinstance(change, dict) else change
    return scenario("demo", **values)


@pytest.fixture(scope="module")
def recording():
    return Simulation(small(), seed=4)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return simulate(small(), tmp_path_factory.mktemp("one"), seed=4)


def test_noise_free_motion_starts_at_the_true_p():
    recording = Simulation(small(noise=QUIET_NOISE, traffic={"vehicles_per_hour": 0.0, "num_machines": 0}), 4)
    rate = recording.config.sampling_rate_hz
    for index in range(len(recording.events)):
        section = recording.motion(index)
        felt = recording.cable.coupled
        data = np.abs(section.data[felt])
        expected = section.p_s[felt] * rate - section.start_sample
        sample = np.arange(data.shape[1])
        before = np.where(sample < expected[:, None] - 2, data, 0).max()
        assert before == 0.0
        soon = np.where((sample >= expected[:, None] - 2) & (sample < expected[:, None] + 25), data, 0)
        onset = (soon > 0.1 * soon.max(axis=1, keepdims=True)).argmax(axis=1)
        assert np.median(onset - expected) < 4.0
        assert (onset - expected).min() > -2.0


def test_a_short_cable_between_the_ends_of_the_roads_is_simulated():
    # Warnings are errors here: many of these vehicles pass no channel.
    recording = Simulation(small(cable={"num_channels": 2}), 4)
    assert np.isfinite(recording.samples(0, recording.config.num_samples)).all()


def test_s_follows_p_and_both_follow_the_rays(recording):
    for arrivals in recording.arrivals:
        assert (arrivals.s_s > 1.3 * arrivals.p_s).all()
        assert np.abs(np.diff(arrivals.p_s)).max() < 0.1


def test_a_span_is_the_same_however_it_is_cut(recording):
    whole = recording.samples(0, 3600)
    assert np.isfinite(whole).all()
    for size in (777, 3000):
        again = Simulation(small(), seed=4)
        pieces = [again.samples(first, min(size, 3600 - first)) for first in range(0, 3600, size)]
        np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)
    np.testing.assert_array_equal(Simulation(small(), seed=4).samples(2000, 50), whole[:, 2000:2050])


def test_a_simulation_is_a_recording_that_makes_its_samples(recording):
    made = recording.recording()
    assert (made.num_channels, made.num_samples) == (
        recording.cable.num_channels,
        recording.config.num_samples,
    )
    assert made.start_time == recording.start_time.tz_convert(None).to_datetime64()
    expected = recording.samples(100, 400)[5:9]
    np.testing.assert_array_equal(made.load(slice(5, 9), slice(100, 500)), expected)


def test_another_seed_is_another_recording(recording):
    other = Simulation(small(), seed=5).samples(0, 600)
    assert np.abs(np.corrcoef(other[:, :600].ravel(), recording.samples(0, 600).ravel())[0, 1]) < 0.2


def test_files_do_not_depend_on_the_number_of_workers(written, tmp_path):
    other = simulate(small(), tmp_path, seed=4, workers=2)
    assert [path.name for path in other.files] == [path.name for path in written.files]
    for one, two in zip(written.files, other.files, strict=True):
        assert one.read_bytes() == two.read_bytes()
    pd.testing.assert_frame_equal(read_picks(written.picks), read_picks(other.picks))
    assert written.events.read_bytes() == other.events.read_bytes()


def test_a_channel_table_with_holes_is_refused(tmp_path):
    table = Simulation(small(), 4).cable.table(np.zeros(96, bool))
    path = write_channels(table[table["channel_index"] % 96 != 2], tmp_path / "cable.csv")
    config = small(cable={"channels_file": str(path), "num_channels": None})
    np.testing.assert_array_equal(Simulation(config, 4).recording().channel_index[:3], [0, 1, 3])
    with pytest.raises(ChannelGeometryError, match=r"cable.csv: channel 3 follows channel 1.*consecutive"):
        simulate(config, tmp_path / "out", seed=4)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"start_time": "foo"}, "start_time: found 'foo'"),
        ({"start_time": "2024-13-01"}, "start_time"),
        ({"duration_s": 0.001}, "duration_s: found 0.001.*0.01 s or more"),
    ],
)
def test_a_recording_without_a_start_or_a_sample_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        scenario("easy", **wrong)


def test_truth_tables_keep_the_contracts(written):
    picks, events = read_picks(written.picks), read_events(written.events)
    channels = read_channels(written.channels)
    assert list(picks.columns[: len(PICK_COLUMNS)]) == list(PICK_COLUMNS)
    assert {"snr_db", "source_type"} <= set(picks.columns)
    assert list(events.columns[: len(EVENT_COLUMNS)]) == list(EVENT_COLUMNS)
    assert {"magnitude", "source_type"} <= set(events.columns)
    assert picks["pick_id"].is_unique
    assert events["time"].is_monotonic_increasing
    assert set(picks["event_index"]) == set(events["event_index"])
    felt = channels.loc[channels["status"] == "ok", "channel_index"]
    assert set(picks["channel_index"]) <= set(felt)
    assert not picks.duplicated(["event_index", "channel_index", "phase_type"]).any()
    wide = picks.pivot_table(
        index=["event_index", "channel_index"], columns="phase_type", values="phase_score"
    )
    assert len(wide) > 100
    counts = picks["event_index"].value_counts().sort_index()
    np.testing.assert_array_equal(counts, events["num_picks"])


def test_files_read_back_the_same_everywhere(written):
    import dascore
    import xdas

    from phasenet_das import io

    first = Simulation(small(), seed=4).samples(0, 1200)
    path = written.files[0]
    ours = io.read(path)
    np.testing.assert_array_equal(io.get_data(ours), first)
    assert io.get_dt_s(ours) == pytest.approx(0.01, abs=1e-9)
    assert io.get_times(ours)[0] == np.datetime64("2024-03-01T00:00:00")
    np.testing.assert_allclose(io.get_distance_m(ours), 20.0 * np.arange(96))
    theirs = dascore.read(path)[0].transpose("distance", "time")
    np.testing.assert_array_equal(theirs.data, first)
    array = xdas.open_dataarray(str(path), engine="prodml")
    np.testing.assert_array_equal(array.values.T, first)
    assert array["time"][0].values == np.datetime64("2024-03-01T00:00:00")


def test_dead_channels_are_zero_and_named(written):
    from phasenet_das import io

    status = read_channels(written.channels)["status"].to_numpy()
    assert {"ok", "dead", "uncoupled"} == set(status)
    np.testing.assert_array_equal(
        io.get_channel_status(io.read(written.files[1])) == "dead", status == "dead"
    )


def test_another_recording_in_the_folder_is_refused(written):
    with pytest.raises(ConfigError, match="another recording"):
        simulate(small(start_time="2024-03-02T00:00:00"), written.folder, seed=4)


def test_faults_appear_when_asked_for(written, tmp_path):
    faults = {"num_gaps": 1, "gap_s": 4.0, "clock_jump_s": 0.25, "wrong_metadata": True}
    broken = simulate(small(faults=faults), tmp_path, seed=4)
    about = json.loads((tmp_path / "simulation.json").read_text())["faults"]
    (begin, end), jump = about["gaps_s"][0], about["clock_jump"]
    assert end - begin == pytest.approx(4.0)
    true, seen = read_picks(written.picks).set_index("pick_id"), read_picks(broken.picks).set_index("pick_id")
    start = pd.Timestamp("2024-03-01", tz="UTC")
    second = (true["phase_time"] - start).dt.total_seconds()
    inside = (second >= begin) & (second < end)
    assert inside.sum() + len(seen) == len(true)
    late = (seen["phase_time"] - true.loc[seen.index, "phase_time"]).dt.total_seconds()
    expected = np.where(second[seen.index] >= jump["from_s"], 0.25, 0.0)
    np.testing.assert_allclose(late, expected, atol=1e-9)
    total = 0
    import h5py

    wrong = 0
    for path in broken.files:
        with h5py.File(path) as file:
            total += file["Acquisition/Raw[0]/RawData"].shape[0]
            wrong += file["Acquisition/Raw[0]"].attrs["OutputDataRate"] == 200.0
    assert total == 3600 - 400
    assert wrong >= 1


def test_memory_does_not_grow_with_length():
    def peak(duration):
        config = small(duration_s=duration, sources={"events_per_hour": 60.0})
        recording = Simulation(config, seed=2)
        recording.samples(0, 10)
        tracemalloc.start()
        for first in range(0, config.num_samples, 1200):
            recording.samples(first, min(1200, config.num_samples - first))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(360.0) < 1.6 * peak(120.0)


def test_snr_is_a_ratio_of_variances_in_decibels():
    np.testing.assert_allclose(snr_db(np.array([1.0, 100.0, 0.1]), np.ones(3)), [0, 20, -10], atol=1e-5)
    assert snr_db(np.array([-1.0]), np.ones(1))[0] == -60.0
    assert snr_db(np.ones(1), np.zeros(1))[0] == 120.0


def test_measured_snr_finds_what_was_put_in():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((400, 400))
    data[:, 200:] += 10 ** (6 / 20) * rng.standard_normal((400, 200))
    measured = measure_snr_db(data, np.arange(400), np.full(400, 200.0), np.full(400, 100))
    assert np.median(measured) == pytest.approx(6.0, abs=0.3)
    assert np.isnan(measure_snr_db(data, np.zeros(1, int), np.array([20.0]), np.array([100]))[0])


def test_truth_snr_agrees_with_the_measured_one_where_it_is_high(recording):
    halo = halo_samples(recording)
    data = recording.samples(-halo, 3600 + halo)
    picks = pick_table(recording, 0, 3600, data)
    clear = picks[(picks["snr_db"] > 8)]
    assert len(clear) > 20
    sample = (clear["phase_time"] - pd.Timestamp("2024-03-01", tz="UTC")).dt.total_seconds().to_numpy() * 100
    window = np.full(len(clear), round(SNR_WINDOW_S * 100))
    measured = measure_snr_db(data, clear["channel_index"].to_numpy(), sample + halo, window)
    known = np.isfinite(measured)
    assert np.median(np.abs(measured - clear["snr_db"].to_numpy())[known]) < 3.0


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_scenario_makes_a_recording(name):
    size = {"num_channels": 48}
    recording = Simulation(scenario(name, duration_s=30.0, cable=size), seed=1)
    data = recording.samples(500, 300)
    live = ~recording.dead
    assert np.isfinite(data).all()
    assert (data[live].std(axis=1) > 0).all()
    assert len(recording.events) > 0


def test_settings_are_strict_and_described():
    with pytest.raises(ConfigError, match="Did you mean"):
        scenario("urbn")
    with pytest.raises(ConfigError, match="optical_rms"):
        SimulationConfig(noise={"optical_rsm": 1.0})
    with pytest.raises(ConfigError, match="seed"):
        Simulation(small(), seed=-1)
    for section in [
        SimulationConfig,
        *(
            SimulationConfig.model_fields[name].annotation
            for name in ("cable", "earth", "sources", "waves", "noise", "traffic", "faults")
        ),
    ]:
        for name, field in section.model_fields.items():
            if not hasattr(field.annotation, "model_fields"):
                assert field.description, name
                assert "unit" in field.json_schema_extra, name
