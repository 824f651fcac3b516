"""Windows cut from recordings: whole across files, conditioned like picks, around kept events."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from phasenet_das import io
from phasenet_das.cli import app
from phasenet_das.config import DataSettings, PickSettings
from phasenet_das.errors import ConfigError
from phasenet_das.io.formats.quakeflow import write_quakeflow
from phasenet_das.picking.preprocess import condition
from phasenet_das.tables import read_picks, write_table
from phasenet_das.training import cut_windows as cut_all_windows
from phasenet_das.training import open_window
from phasenet_das.training.cutter import _last_event, _numbered_above
from phasenet_das.training.targets import make_mask
from tests.training.test_augment import assert_pulses_at_picks, pulses
from tests.training.test_windows import pick_table

BEGIN = "2024-05-01T00:00:00"
CHANNELS, DT_S = 12, 0.02
SETTINGS = PickSettings(to_strain_rate=True, common_mode="median", bandpass_hz=(1.0, 8.0))


def cut_windows(*args: object, **options: object) -> list[Path]:
    """Cut windows, and leave those of noise out."""
    return [path for path in cut_all_windows(*args, **options) if "_quiet_" not in path.name]


def recording() -> tuple[object, pd.DataFrame, np.ndarray]:
    """Three events in 200 s, and the picks of all of them; the last was not kept."""
    row = np.arange(CHANNELS)
    starts = np.array([1000.0, 4000.0, 8000.0])[:, None]
    arrivals = np.stack([starts + 2 * row, starts + 300 + 4 * row], axis=1)
    data = pulses(arrivals, 10_000) + 0.05 * np.random.default_rng(0).standard_normal((CHANNELS, 10_000))
    patch = io.make_patch(
        data.astype(np.float32),
        start_time=BEGIN,
        dt_s=DT_S,
        channel_index=row + 100,
        station_id="X",
        unit="strain",
    )
    picks = pick_table(arrivals, BEGIN, DT_S)
    picks.loc[picks["event_index"] == 2, "event_index"] = -1
    return patch, picks, arrivals


def window_data(path: Path) -> tuple[np.ndarray, str]:
    with h5py.File(path) as file:
        return file["data"][:], str(file["data"].attrs["unit"])


def write_files(folder: Path, length_s: float, gap: tuple[float, float] = (0.0, 0.0)) -> Path:
    """Write the recording in files of equal length; those that begin within the gap are missing."""
    data = io.get_data(recording()[0])
    size = round(length_s / DT_S)
    for number, first in enumerate(range(0, data.shape[1], size)):
        if gap[0] <= first * DT_S < gap[1]:
            continue
        patch = io.make_patch(
            data[:, first : first + size],
            start_time=np.datetime64(BEGIN) + np.timedelta64(round(first * DT_S * 1e9), "ns"),
            dt_s=DT_S,
            channel_index=np.arange(CHANNELS) + 100,
            unit="strain",
        )
        folder.mkdir(exist_ok=True)
        write_quakeflow(patch, folder / f"{number:03d}.h5")
    return folder


def test_a_window_for_each_kept_event(tmp_path: Path) -> None:
    patch, picks, arrivals = recording()
    windows = cut_windows(patch, picks, None, tmp_path, before_s=5.0, after_s=8.0)
    assert [path.name for path in windows] == ["X_20240501T000020000000.h5", "X_20240501T000120000000.h5"]
    for path, expected in zip(windows, arrivals[:2], strict=True):
        window = open_window(path)
        sample = window.load(slice(0, window.num_channels), slice(0, window.num_samples))
        assert sample.arrivals.shape == (1, 2, CHANNELS)
        np.testing.assert_allclose(sample.arrivals[0], expected - expected.min() + 250, atol=1.01)
        assert_pulses_at_picks(sample, tolerance=3.0)


def test_a_channel_without_labels_is_masked_where_labels_are_not_completed(tmp_path: Path) -> None:
    patch, picks, _ = recording()
    picks.loc[(picks["event_index"] == 0) & (picks["channel_index"] == 103), "event_index"] = -1
    events = pd.DataFrame({"event_index": [0], "event_id": ["ev7"], "time": [pd.Timestamp(BEGIN, tz="UTC")]})
    path = cut_windows(patch, picks, events.assign(depth_km=np.nan), tmp_path, complete_channels=0)[0]
    window = open_window(path)
    assert window.event_id == "ev7"
    sample = window.load(slice(0, CHANNELS), slice(0, window.num_samples))
    mask = make_mask(sample, 0.1, 0.5)
    assert np.flatnonzero(mask.min(axis=1) == 0).tolist() == [3]
    assert cut_windows(patch, picks.assign(event_index=-1), None, tmp_path) == []
    with pytest.raises(ConfigError, match="no pick of cable 'X', the table has Y"):
        cut_windows(patch, picks.assign(station_id="Y"), None, tmp_path)


def test_windows_are_conditioned_like_the_recording_that_is_picked(tmp_path: Path) -> None:
    patch, picks, _ = recording()
    data = io.get_data(patch)
    whole = condition(data, DT_S, "strain", SETTINGS)
    for path in cut_windows(patch, picks, None, tmp_path, settings=SETTINGS, before_s=5.0, after_s=8.0):
        values, unit = window_data(path)
        first = round(float(open_window(path).begin_time - np.datetime64(BEGIN, "ns")) * 1e-9 / DT_S)
        expected = whole.data[:, first : first + values.shape[1]]
        np.testing.assert_allclose(values, expected, atol=2e-5 * np.abs(expected).max())
        assert unit == whole.unit != "strain"
        assert not np.allclose(values, data[:, first : first + values.shape[1]])


def test_windows_of_an_earlier_cut_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    patch, picks, _ = recording()
    cut_windows(patch, picks, None, tmp_path)
    assert "earlier cut" not in caplog.text
    cut_windows(patch, picks.assign(event_index=-1), None, tmp_path)
    assert "windows of an earlier cut" in caplog.text


def test_windows_across_file_ends_are_whole(tmp_path: Path) -> None:
    """The first event lies at 20 s, across the ends of files of 7 s."""
    patch, picks, _ = recording()
    folder = write_files(tmp_path / "files", 7.0)
    options = {"settings": SETTINGS, "before_s": 5.0, "after_s": 8.0}
    expected = cut_windows(patch, picks, None, tmp_path / "whole", **options)
    found = cut_windows(folder, picks, None, tmp_path / "cut", data=DataSettings(station_id="X"), **options)
    assert [path.name for path in found] == [path.name for path in expected]
    assert len(found) == 2
    for path, whole in zip(found, expected, strict=True):
        np.testing.assert_array_equal(window_data(path)[0], window_data(whole)[0])
        labels, same = (read_picks(open_window(item).labels) for item in (path, whole))
        pd.testing.assert_frame_equal(labels, same)


def test_a_window_ends_at_a_gap_and_keeps_the_picks_inside(tmp_path: Path) -> None:
    """P of the first event arrives at 20 s, S at 26 s; files of 6 s, those from 24 s to 36 s are missing."""
    _, picks, _ = recording()
    folder = write_files(tmp_path / "files", 6.0, (24.0, 36.0))
    cable = DataSettings(station_id="X")
    first = cut_windows(folder, picks, None, tmp_path / "cut", data=cable, before_s=5.0, after_s=8.0)[0]
    window = open_window(first)
    assert window.end_time == np.datetime64(BEGIN) + np.timedelta64(24, "s")
    assert read_picks(window.labels)["phase_type"].tolist() == ["P"] * CHANNELS


def test_a_missing_sample_kills_its_channel_in_the_window(tmp_path: Path) -> None:
    patch, picks, _ = recording()
    data = io.get_data(patch).copy()
    data[4, 1100] = np.nan
    path = cut_windows(patch.new(data=data), picks, None, tmp_path, settings=SETTINGS)[0]
    window = open_window(path)
    assert np.flatnonzero(~window.load(slice(0, CHANNELS), slice(0, window.num_samples)).live).tolist() == [4]


def test_a_range_of_time_selects_events_by_their_origin(tmp_path: Path) -> None:
    """The windows of [a, c) are those of [a, b) and [b, c)."""
    patch, picks, _ = recording()
    times = pd.to_datetime([15.0, 75.0], unit="s", origin=pd.Timestamp(BEGIN)).tz_localize("UTC")
    events = pd.DataFrame({"event_index": [0, 1], "time": times})
    whole = cut_windows(patch, picks, events, tmp_path / "all")
    middle = pd.Timestamp(BEGIN) + pd.Timedelta(seconds=75)
    early = cut_windows(patch, picks, events, tmp_path / "early", end=middle)
    late = cut_windows(patch, picks, events, tmp_path / "late", start=middle)
    assert [path.name for path in early + late] == [path.name for path in whole]
    assert len(early) == 1
    assert cut_windows(patch, picks, events[1:], tmp_path / "one") == [tmp_path / "one" / late[0].name]


def test_events_on_few_channels_are_skipped(tmp_path: Path) -> None:
    patch, picks, _ = recording()
    picks = picks[(picks["event_index"] != 0) | (picks["channel_index"] < 102)]
    assert len(cut_windows(patch, picks, None, tmp_path / "all", min_channel_share=0.1)) == 2
    assert len(cut_windows(patch, picks, None, tmp_path / "most", min_channel_share=0.5)) == 1


def test_events_that_begin_together_have_windows_of_their_own(tmp_path: Path) -> None:
    patch, picks, _ = recording()
    picks = picks[picks["event_index"] == 0]
    moveout = pd.to_timedelta(
        0.5 * (picks["channel_index"] - 100) + 3.0 * (picks["phase_type"] == "S"), unit="s"
    )
    others = picks.assign(event_index=1, phase_time=picks["phase_time"] + moveout)
    picks = pd.concat([picks, others], ignore_index=True)
    first, second = cut_windows(patch, picks, None, tmp_path)
    assert first.exists()
    assert second.exists()
    assert first != second


def test_pairs_of_fronts_have_numbers_above_those_of_all_cables() -> None:
    labels = pd.DataFrame({"event_index": [-1, 2, 3, 4]})
    assert _numbered_above(labels, 2, 9)["event_index"].tolist() == [-1, 2, 10, 11]
    assert _numbered_above(labels[:0], _last_event(labels[:0]), 9).empty


def test_the_command_cuts_what_the_function_cuts(tmp_path: Path) -> None:
    _, picks, _ = recording()
    folder = write_files(tmp_path / "files", 7.0)
    write_table(picks, tmp_path / "picks.parquet")
    (tmp_path / "run.yaml").write_text(
        "pick: {to_strain_rate: true, bandpass_hz: [1, 8], common_mode: median}\n"
    )
    words = ["windows", folder, "--picks", tmp_path / "picks.parquet", "-o", tmp_path / "command"]
    words += ["--config", tmp_path / "run.yaml", "--station-id", "X", "--before-s", "5", "--after-s", "8"]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    options = {"settings": SETTINGS, "before_s": 5.0, "after_s": 8.0, "data": DataSettings(station_id="X")}
    expected = cut_windows(folder, picks, None, tmp_path / "function", **options)
    found = sorted((tmp_path / "command").glob("X_2*.h5"))
    assert [path.name for path in found] == [path.name for path in expected]
    for path, same in zip(found, expected, strict=True):
        np.testing.assert_array_equal(window_data(path)[0], window_data(same)[0])


def test_windows_of_noise_lie_where_nothing_is_seen(tmp_path: Path) -> None:
    """Events at 20 s and 80 s, a front that no event takes at 160 s; the rest of 200 s is quiet."""
    patch, picks, arrivals = recording()
    faint = pick_table(np.full((1, 2, CHANNELS), 6500.0) + np.arange(CHANNELS), BEGIN, DT_S)
    faint["pick_id"] += len(picks)
    paths = cut_all_windows(patch, picks, None, tmp_path, faint=faint)
    quiet = [open_window(path) for path in paths if "_quiet_" in path.name]
    assert quiet
    assert all(window.quiet for window in quiet)
    assert not any(open_window(path).quiet for path in paths if "_quiet_" not in path.name)
    for window in quiet:
        assert (window.arrivals()[0].size, window.num_channels) == (0, CHANNELS)
        begin = float(window.begin_time - np.datetime64(BEGIN, "ns")) * 1e-9
        end = begin + window.num_samples * DT_S
        seen = np.concatenate([arrivals[:, 0, 0], [6500.0]]) * DT_S
        assert not ((seen > begin) & (seen < end)).any()


def test_windows_of_noise_lie_where_the_recording_was_picked(tmp_path: Path) -> None:
    patch, picks, _ = recording()
    begin = pd.Timestamp(BEGIN, tz="UTC")
    picked = {"start": [begin], "end": [begin + pd.Timedelta(seconds=75)], "station_id": ["X"]}
    coverage = pd.DataFrame({**picked, "status": ["examined"]})
    paths = cut_all_windows(patch, picks, None, tmp_path, coverage=coverage)
    quiet = [open_window(path) for path in paths if "_quiet_" in path.name]
    assert quiet
    assert all(window.end_time <= np.datetime64(BEGIN) + np.timedelta64(75, "s") for window in quiet)


def test_a_recording_shorter_than_the_surroundings_of_noise_is_cut_too(tmp_path: Path) -> None:
    patch, picks, _ = recording()
    start = np.datetime64(BEGIN) + np.timedelta64(19, "s")
    short = io.make_patch(
        io.get_data(patch)[:, 950:1400],
        start_time=start,
        dt_s=DT_S,
        channel_index=np.arange(CHANNELS) + 100,
        station_id="X",
        unit="strain",
    )
    assert len(cut_all_windows(short, picks, None, tmp_path)) == 1
