"""Training windows: written, read in pieces, refused without a time, and drawn from."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from phasenet_das import io
from phasenet_das.config import AugmentSettings, TrainDataSettings
from phasenet_das.errors import ConfigError, DataFormatError, MissingMetadataError, TableError
from phasenet_das.picking.normalization import moving_normalization
from phasenet_das.tables import PICK_COLUMNS, conform, make_pick_ids, write_table
from phasenet_das.training.dataset import (
    Key,
    TrainingSamples,
    WindowSource,
    context_samples,
    make_sources,
    mirrored,
)
from phasenet_das.training.windows import TrainingWindow, find_windows, open_window, write_window
from tests.training.test_augment import assert_pulses_at_picks, pulses
from tests.training.tiny import tiny_settings

BEGIN = "2024-03-01T12:00:00.5"
CHANNELS, SAMPLES, DT_S, FIRST = 40, 900, 0.01, 100


def arrivals() -> np.ndarray:
    row = np.arange(CHANNELS)
    return np.stack([200 + 3.0 * row, 500 + 5.0 * row])[None]


def pick_table(times: np.ndarray, begin: str = BEGIN, dt_s: float = DT_S) -> pd.DataFrame:
    event, phase, row = np.nonzero(np.isfinite(times))
    when = pd.Timestamp(begin, tz="UTC") + pd.to_timedelta(times[event, phase, row] * dt_s, unit="s")
    letters = np.array(["P", "S"])[phase]
    table = pd.DataFrame(
        {
            "pick_id": make_pick_ids("X", row + FIRST, letters, np.rint(times[event, phase, row])),
            "station_id": "X",
            "channel_index": row + FIRST,
            "phase_time": when,
            "phase_type": letters,
            "phase_score": 0.9,
            "event_index": event,
        }
    )
    for name in set(PICK_COLUMNS) - set(table.columns):
        table[name] = np.nan
    return conform(table, PICK_COLUMNS)


def written(folder: Path, name: str = "a", begin: str = BEGIN, **event: object) -> Path:
    patch = io.make_patch(
        pulses(arrivals(), SAMPLES).astype(np.float32),
        start_time=begin,
        dt_s=DT_S,
        channel_index=np.arange(CHANNELS) + FIRST,
        distance_m=(np.arange(CHANNELS) + FIRST) * 4.0,
        station_id="X",
        unit="1/s",
    )
    return write_window(patch, pick_table(arrivals(), begin), folder / f"{name}.h5", event)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, event_id="ev1", magnitude=2.5)
    with h5py.File(path) as file:
        attrs = dict(file["data"].attrs)
    assert {"begin_time", "dt_s", "dx_m", "unit", "event_id", "magnitude"} <= set(attrs)
    window = open_window(path)
    assert (window.num_channels, window.num_samples) == (CHANNELS, SAMPLES)
    assert (window.dt_s, window.dx_m, window.station_id, window.event_id) == (DT_S, 4.0, "X", "ev1")
    assert window.begin_time == np.datetime64(BEGIN)
    assert window.end_time == np.datetime64("2024-03-01T12:00:09.5")
    found, confidence, rejected = window.arrivals()
    np.testing.assert_allclose(found, arrivals(), atol=1e-6)
    assert rejected.shape == (0, CHANNELS)
    assert (confidence == 1).all()


def test_a_piece_is_that_of_the_whole(tmp_path: Path) -> None:
    window = open_window(written(tmp_path))
    piece = window.load(slice(5, 20), slice(150, 700))
    np.testing.assert_array_equal(piece.data, pulses(arrivals(), SAMPLES)[5:20, 150:700].astype(np.float32))
    np.testing.assert_allclose(piece.arrivals, arrivals()[:, :, 5:20] - 150, atol=1e-6)
    assert_pulses_at_picks(piece)


def test_dead_and_nonfinite_channels_are_out(tmp_path: Path) -> None:
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        file["data"][3] = 8.0
        file["data"][4, 10] = np.nan
    piece = open_window(path).load(slice(0, CHANNELS), slice(0, SAMPLES))
    assert np.flatnonzero(~piece.live).tolist() == [3, 4]
    assert np.isfinite(piece.data).all()


@pytest.mark.parametrize("value", [None, "", "1970-01-01T00:00:00", "never"])
def test_a_missing_begin_time_is_an_error(tmp_path: Path, value: str | None) -> None:
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        del file["data"].attrs["begin_time"]
        if value is not None:
            file["data"].attrs["begin_time"] = value
    with pytest.raises(MissingMetadataError, match=r"a\.h5: begin_time is .*expected the time"):
        open_window(path)


def test_other_flaws_are_named(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "a.picks.parquet").unlink()
    with pytest.raises(TableError, match=r"no labels. Expected a pick table a\.picks\.parquet"):
        open_window(path)
    with h5py.File(path, "r+") as file:
        del file["data"].attrs["dt_s"]
    with pytest.raises(MissingMetadataError, match="dt_s"):
        open_window(path)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["other"] = 1
    with pytest.raises(DataFormatError, match="Expected a dataset 'data'"):
        open_window(tmp_path / "b.h5")
    (tmp_path / "c.h5").write_bytes(b"nothing")
    with pytest.raises(DataFormatError, match="cannot be read as HDF5"):
        open_window(tmp_path / "c.h5")
    with pytest.raises(ConfigError, match="nothing to train on"):
        make_sources(tiny_settings(tmp_path))


def test_quakeflow_das_files_with_their_picks_are_read(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    with h5py.File(tmp_path / "ci38443183.h5", "w") as file:
        file["data"] = pulses(arrivals(), SAMPLES).astype(np.float32)
        file["data"].attrs.update(
            begin_time="2019-07-04T17:33:19.000000+00:00", dt_s=DT_S, dx_m=8.0, unit="microstrain/s",
            event_id="ci38443183", event_time="2019-07-04T17:33:21+00:00", magnitude=6.4,
            nt=SAMPLES, nx=CHANNELS,
        )  # fmt: skip
    table = pick_table(arrivals(), "2019-07-04T17:33:19")
    table["channel_index"] -= FIRST
    table["phase_time"] = table["phase_time"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f")
    columns = ["channel_index", "phase_time", "phase_score", "phase_type"]
    table[columns].to_csv(tmp_path / "labels" / "ci38443183.csv", index=False)
    (window,) = find_windows([tmp_path / "ci38443183.h5"], tmp_path / "labels")
    assert window.event_id == "ci38443183"
    np.testing.assert_allclose(window.arrivals()[0], arrivals(), atol=1e-3)
    table.drop(columns="phase_type").to_csv(tmp_path / "labels" / "ci38443183.csv")
    with pytest.raises(TableError, match=r"missing column.*phase_type"):
        window.arrivals()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"num_channels": 60, "num_samples": 1200},
        {"sampling_rate_hz": 50.0},
    ],
)
def test_samples_of_windows_have_the_shape_asked_for_and_their_picks(tmp_path: Path, data: dict) -> None:
    settings = TrainDataSettings(
        **{"num_channels": 16, "num_samples": 300, "normalization_window_s": 2.0, "anchored": 1.0, **data}
    )
    context = context_samples(settings)
    assert context == settings.sampling_rate_hz
    stretch = AugmentSettings(stretch_time=1.3, stretch_space=1.5)
    source = WindowSource([open_window(written(tmp_path))], settings, stretch)
    for seed in range(6):
        sample = source.draw(0, 0, np.random.default_rng(seed))
        assert sample.data.shape == (settings.num_channels, settings.num_samples + 2 * context)
        assert sample.dt_s == 1 / settings.sampling_rate_hz
        inside = (sample.arrivals >= context) & (sample.arrivals < context + settings.num_samples)
        assert inside.any()
        if inside[..., 20:-20].any():
            assert_pulses_at_picks(sample, tolerance=3.1)


def test_averaged_samples_keep_their_picks_and_run_back_along_half_the_rows(tmp_path: Path) -> None:
    """40 channels averaged by two at most, since 16 rows stay; pulses of one front stay at its picks."""
    settings = TrainDataSettings(num_channels=32, num_samples=300, normalization="none")
    stretch = AugmentSettings(average_channels=24, stretch_space=1.0)
    source = WindowSource([open_window(written(tmp_path))], settings, stretch)
    rows = set()
    for seed in range(20):
        sample = source.draw(0, 0, np.random.default_rng(seed))
        assert sample.data.shape == (32, 300)
        inside = (sample.arrivals >= 30) & (sample.arrivals < 270)
        event, phase, row = np.nonzero(inside)
        strongest = np.abs(sample.data[row]).argmax(axis=1)
        spread = np.sort(np.abs(strongest - sample.arrivals[event, phase, row]))
        assert not len(spread) or np.median(spread) <= 4
        rows.add(len(np.unique(sample.data, axis=0)))
    assert {20, 32} <= rows


def test_a_sample_is_normalised_as_in_a_long_recording(tmp_path: Path) -> None:
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        loud = file["data"][:]
        loud[:, 450:] += 40 * np.sin(np.arange(SAMPLES - 450))
        loud[:, :450] += np.sin(np.arange(450))
        file["data"][:] = loud
    data = {"num_channels": CHANNELS, "num_samples": 200, "normalization_window_s": 3.0}
    settings = tiny_settings(tmp_path, data=data)
    whole = moving_normalization(loud, DT_S, first_index=0, window_s=3.0)
    still = AugmentSettings(stretch_time=1.0, stretch_space=1.0)
    source = WindowSource([open_window(path)], settings.data, still)
    samples = TrainingSamples([source], settings, varied=False)
    checked = 0
    for number in range(8):
        sample = samples.sample(Key(number, 0))
        assert sample.data.shape == (CHANNELS, 200)
        # Where the sample lies is told by any pick in it.
        shift = (arrivals() - sample.arrivals)[np.isfinite(sample.arrivals)]
        start = round(float(shift[0])) if len(shift) else -1
        if 0 <= start <= SAMPLES - 200:
            checked += 1
            expected = whole[:, start : start + 200]
            assert np.abs(sample.data - expected).mean() < 0.35 * np.abs(expected).mean()
    assert checked >= 3


def test_every_window_of_noise_has_its_turn_and_fills_all_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 channels in samples of 64: the cable runs back along itself."""
    windows = [
        replace(open_window(written(tmp_path, name, f"2024-03-0{day}T00:00:00")), quiet=True)
        for day, name in enumerate("abcde", start=1)
    ]
    data = {"num_channels": 64, "num_samples": 200, "normalization": "none"}
    settings = tiny_settings(tmp_path, data=data)
    source = WindowSource(windows, settings.data, AugmentSettings(), count=2)
    assert len(source) == 2
    read, load = [], TrainingWindow.load
    monkeypatch.setattr(
        TrainingWindow, "load", lambda one, *args: (read.append(one.path), load(one, *args))[1]
    )
    drawn = [source.draw(epoch, n, np.random.default_rng(0)) for epoch in range(5) for n in range(2)]
    assert {read.count(window.path) for window in windows} == {2}
    assert all(sample.live.all() for sample in drawn)
    drawn[0].live[:60] = False
    assert (mirrored(drawn[0]).std(axis=1) > 0).all()


def test_validation_windows_are_kept_apart(tmp_path: Path) -> None:
    training, held_out = written(tmp_path / "a"), written(tmp_path / "b", "b", "2024-03-02T00:00:00")
    data = {"windows": [str(training)], "validation_windows": [str(held_out)], "samples_per_window": 3}
    (source,), (validation,) = make_sources(tiny_settings(tmp_path, data=data))
    assert len(source) == len(validation) == 3
    assert [window.path for window in validation.windows] == [held_out]
    del data["samples_per_window"]
    data |= {"num_channels": CHANNELS // 2, "num_samples": SAMPLES // 3}
    assert len(make_sources(tiny_settings(tmp_path, data=data))[0][0]) == 6  # as many as have room
    data["validation_windows"] = [str(tmp_path / "a")]
    with pytest.raises(ConfigError, match="validation_windows: 1 are trained on too"):
        make_sources(tiny_settings(tmp_path, data=data))


def test_memory_does_not_grow_with_the_window(tmp_path: Path) -> None:
    path = tmp_path / "long.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (2000, 20_000), "f4", chunks=(50, 1000))
        data.attrs.update(begin_time=BEGIN, dt_s=DT_S)
    pick_table(arrivals()).to_parquet(tmp_path / "long.picks.parquet")
    source = WindowSource(
        [open_window(path)], TrainDataSettings(num_channels=64, num_samples=1000), AugmentSettings()
    )
    tracemalloc.start()
    for seed in range(5):
        source.draw(0, 0, np.random.default_rng(seed))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # the window holds 160 MB


def test_picks_of_another_cable_are_no_labels(tmp_path: Path) -> None:
    own = pick_table(arrivals())
    other = own.assign(
        station_id="Y", phase_score=0.99, phase_time=own["phase_time"] + pd.Timedelta(seconds=1)
    )
    both = pd.concat([own, other], ignore_index=True)
    path = written(tmp_path)
    write_table(both, tmp_path / "both.parquet")
    np.testing.assert_allclose(
        open_window(path, tmp_path / "both.parquet").arrivals()[0], arrivals(), atol=1e-6
    )
    patch = io.read(path)
    again = open_window(write_window(patch, both, tmp_path / "again.h5"))
    np.testing.assert_allclose(again.arrivals()[0], arrivals(), atol=1e-6)
