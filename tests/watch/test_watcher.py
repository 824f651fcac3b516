"""Watching a folder gives what one run over the finished folder gives, whatever comes when."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gamma import AssociationResult
from phasenet_das import io
from phasenet_das.config import ContinuousSettings, DataSettings, WatchSettings
from phasenet_das.tables import EVENT_COLUMNS, read_catalog, read_coverage, read_events, read_picks
from phasenet_das.watch import Health, Watcher, read_revisions
from phasenet_das.watch.pace import Pace
from tests.picking.small_pickers import assert_same_picks, small_picker

START = np.datetime64("2024-05-06T23:59:45", "ns")
SECONDS = 12
NOISE = np.random.default_rng(9).standard_normal((16, 4 * SECONDS * 100)).astype(np.float32)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each pass write all tables, however slow this machine is."""
    monkeypatch.setattr(Pace, "is_due", lambda *_: True)


def _patch(first: int, end: int, days: int = 0):
    return io.make_patch(
        NOISE[:, first * 100 : end * 100],
        start_time=START + np.timedelta64(first, "s") + np.timedelta64(days, "D"),
        dt_s=0.01,
        station_id="CABLE",
        unit="strain / s",
    )


def _drop(folder: Path, number: int, days: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / (f"{days}-" * (days > 0) + f"{number:03d}.h5")
    io.write_quakeflow(_patch(number * SECONDS, (number + 1) * SECONDS, days), path)
    return path


def _events(picks: pd.DataFrame, _: object = None) -> AssociationResult:
    """An event wherever a second begins and there are picks."""
    times = picks["phase_time"].dt.floor("5s").drop_duplicates().sort_values()
    table = pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in EVENT_COLUMNS.items()})
    table = table.reindex(range(len(times)))
    table["time"] = times.to_numpy()
    table["event_id"] = [f"e{time.value}" for time in times]
    integers = [name for name, kind in EVENT_COLUMNS.items() if kind == "int64"]
    events = table.assign(**dict.fromkeys(integers, 0), location_quality="")
    events["event_index"] = range(len(events))
    return AssociationResult(events, picks, pd.DataFrame(), {})


def _watcher(folder: Path, output: Path, **settings: int) -> Watcher:
    return Watcher(
        small_picker(),
        [str(folder)],
        output,
        data=DataSettings(station_id="CABLE"),
        continuous=ContinuousSettings(chunk_s=8.0),
        associate=_events,
        watch=WatchSettings.model_construct(recent_s=20.0, settle_s=5.0, **settings),
    )


def test_files_that_come_one_by_one_with_a_restart(tmp_path: Path) -> None:
    folder, output = tmp_path / "raw", tmp_path / "live"
    folder.mkdir()
    watcher = _watcher(folder, output)
    late = 1e12
    assert watcher.step(late) is None
    _drop(folder, 0)
    assert watcher.step() is None, "a file just written may not be complete"
    first = watcher.step(late)
    assert first is not None
    assert first.num_files == 1
    written = [read_picks(day) for day in (output / "picks").glob("*.parquet")]
    assert first.num_picks == sum(map(len, written)) > 0  # after the picks of two rates were joined
    assert first.picked_to == pd.Timestamp(START, tz="UTC") + pd.Timedelta(seconds=SECONDS)
    assert first.lag_s == pytest.approx(late - first.picked_to.timestamp())
    assert watcher.step(late) is None, "nothing new"
    _drop(folder, 1)
    assert watcher.step(late).num_files == 1
    watcher = _watcher(folder, output)
    for number in (2, 3):
        _drop(folder, number)
        watcher.step(late)
    days = sorted((output / "picks").glob("*.parquet"))
    assert [path.stem for path in days] == ["2024-05-06", "2024-05-07"]
    picks = pd.concat([read_picks(path) for path in days], ignore_index=True)
    assert_same_picks(small_picker().pick(_patch(0, 4 * SECONDS)), picks)
    pd.testing.assert_frame_equal(picks, read_picks(output / "picks.parquet"))
    coverage = read_coverage(output / "coverage.csv")
    assert (coverage["end"] - coverage["start"]).dt.total_seconds().tolist() == [4 * SECONDS]
    events = read_events(output / "events.parquet")
    assert events["event_id"].is_unique
    assert events["time"].is_monotonic_increasing
    assert set(picks["phase_time"].dt.floor("5s")) == set(events["time"])
    assert events["event_index"].tolist() == list(range(len(events)))


def test_a_broken_file_is_waited_for(tmp_path: Path) -> None:
    folder, output = tmp_path / "raw", tmp_path / "live"
    _drop(folder, 0)
    whole = _drop(folder, 1).read_bytes()
    (folder / "001.h5").write_bytes(whole[:3000])
    watcher = _watcher(folder, output)
    assert watcher.step(1e12).picked_to == pd.Timestamp(START, tz="UTC") + pd.Timedelta(seconds=SECONDS)
    (folder / "001.h5").write_bytes(whole)
    assert watcher.step(1e12).num_files == 1
    picks = pd.concat([read_picks(path) for path in (output / "picks").glob("*.parquet")])
    assert_same_picks(small_picker().pick(_patch(0, 2 * SECONDS)), picks.reset_index(drop=True))


def test_tables_that_could_not_be_written_are_written_by_the_next_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder, output = tmp_path / "raw", tmp_path / "live"
    _drop(folder, 0)
    watcher = _watcher(folder, output)
    watcher.step(1e12)
    _drop(folder, 1)
    with monkeypatch.context() as broken:
        broken.setattr("phasenet_das.watch.watcher.write_table", full)
        with pytest.raises(OSError, match="No space"):
            watcher.step(1e12)
    assert watcher.step(1e12) is not None
    picks = pd.concat([read_picks(path) for path in (output / "picks").glob("*.parquet")])
    assert_same_picks(small_picker().pick(_patch(0, 2 * SECONDS)), picks.reset_index(drop=True))


def test_long_watches_write_the_whole_tables_at_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pace, "is_due", lambda *_: False)
    folder, output = tmp_path / "raw", tmp_path / "live"
    for number in range(3):
        _drop(folder, number)
        _watcher(folder, output).step(1e12)
    watcher = _watcher(folder, output)
    watcher.step(1e12)
    assert not (output / "picks.parquet").exists()
    recent = read_events(output / "recent_events.parquet")
    watcher.close()
    picks = read_picks(output / "picks.parquet")
    assert_same_picks(small_picker().pick(_patch(0, 3 * SECONDS)), picks)
    events = read_events(output / "events.parquet")
    assert events["time"].tolist() == recent["time"].tolist()
    assert set(picks["phase_time"].dt.floor("5s")) == set(events["time"])
    days = pd.concat([read_picks(path) for path in sorted((output / "picks").iterdir())], ignore_index=True)
    columns = list(days.columns)
    pd.testing.assert_frame_equal(days, picks[columns])


def test_a_cable_without_a_name_is_called_after_the_folder_from_the_first_file_on(tmp_path: Path) -> None:
    folder = tmp_path / "well-3"
    folder.mkdir()
    watcher = Watcher(small_picker(), [str(folder)], tmp_path / "live", watch=WatchSettings(settle_s=0))
    for number in range(2):
        patch = _patch(number * SECONDS, (number + 1) * SECONDS).update_attrs(station_id="")
        io.write_quakeflow(patch, folder / f"{number:03d}.h5")
        watcher.step(1e12)
        assert set(read_picks(tmp_path / "live" / "picks.parquet")["station_id"]) == {"well-3"}


def test_days_that_are_over_move_to_their_own_folders(tmp_path: Path) -> None:
    folder, output = tmp_path / "raw", tmp_path / "live"
    for number in (0, 3):
        _drop(folder, number)
    watcher = _watcher(folder, output, keep_days=1)
    watcher.step(1e12)
    before = read_revisions(output / "revisions.jsonl")
    assert not (output / "days").exists(), "both days are kept"
    _drop(folder, 0, days=2)
    assert _watcher(folder, output, keep_days=1).step(1e12) is not None
    assert [path.name for path in (output / "days").iterdir()] == ["2024-05-06"]
    events, picks = read_catalog(output / "days" / "2024-05-06")
    midnight = pd.Timestamp("2024-05-07", tz="UTC")
    pd.testing.assert_frame_equal(picks, read_picks(output / "picks" / "2024-05-06.parquet"))
    assert set(events["event_id"]) == set(before.loc[before["time"] < midnight, "event_id"])
    assert len(read_coverage(output / "days" / "2024-05-06" / "coverage.csv"))
    own = read_revisions(output / "days" / "2024-05-06" / "revisions.jsonl")
    assert set(own["event_id"]) == set(events["event_id"])
    _drop(folder, 1, days=2)
    _watcher(folder, output, keep_days=1).step(1e12)
    assert "skipped" not in set(read_coverage(output / "coverage.csv")["status"]), "the folder holds the day"
    events, picks = read_catalog(output)
    assert (picks["phase_time"] >= midnight).all()
    assert events["time"].min() < midnight + pd.Timedelta(days=1), "the day between is kept"


def test_a_file_of_the_future_ends_no_day(tmp_path: Path) -> None:
    folder, output = tmp_path / "raw", tmp_path / "live"
    now = pd.Timestamp("2024-05-07T01:00:00Z").timestamp()
    paths = [_drop(folder, 0), _drop(folder, 3), _drop(folder, 0, days=5)]
    for path in paths:
        os.utime(path, (now - 60, now - 60))
    watcher = _watcher(folder, output, keep_days=1)
    watcher.step(now)
    assert not (output / "days").exists()
    os.utime(_drop(folder, 1), (now - 60, now - 60))
    watcher.step(now)
    coverage = read_coverage(output / "coverage.csv")
    examined = coverage[coverage["status"] == "examined"]
    assert (examined["end"] - examined["start"]).dt.total_seconds().tolist() == [24.0, 12.0, 12.0]
    assert "skipped" not in set(coverage["status"])


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_file_of_the_future_moves_no_recent_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_whole: bool
) -> None:
    monkeypatch.setattr(Pace, "is_due", lambda *_: is_whole)
    folder, output, start = tmp_path / "raw", tmp_path / "live", pd.Timestamp(START, tz="UTC")
    now = (start + pd.Timedelta(minutes=2)).timestamp()
    watcher = _watcher(folder, output)

    def step(number: int, days: int = 0) -> pd.Timestamp:
        os.utime(_drop(folder, number, days), (now - 10, now - 10))
        return watcher.step(now).picked_to

    future = pd.Timedelta(days=5, seconds=SECONDS)
    assert step(0, days=5) == start + future, "there are no other data yet"
    assert step(0) == start + pd.Timedelta(seconds=SECONDS)
    assert step(1) == start + pd.Timedelta(seconds=2 * SECONDS)
    assert step(1, days=5) == start + pd.Timedelta(seconds=2 * SECONDS)
    end = start + pd.Timedelta(seconds=2 * SECONDS)
    picks, events = read_picks(output / "recent_picks.parquet"), read_events(output / "recent_events.parquet")
    assert picks["phase_time"].between(end - pd.Timedelta(seconds=20), end).all()
    assert len(picks) > 0
    assert set(picks["phase_time"].dt.floor("5s")) <= set(events["time"])
    revisions = read_revisions(output / "revisions.jsonl")
    assert set(revisions.loc[revisions["time"] < end, "status"]) == {"open"}
    assert Health(output).ends()["CABLE"] - now > 4 * 86400, "the future was picked too"
    assert "clock" in Health(output).alarms(now)
    assert Health(output).picks_per_minute(now) > 0


def test_data_that_come_after_their_day_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, output = tmp_path / "raw", tmp_path / "live"
    _drop(folder, 0)
    _drop(folder, 0, days=2)
    watcher = _watcher(folder, output, keep_days=1)
    watcher.step(1e12)
    assert [path.name for path in (output / "days").iterdir()] == ["2024-05-06"]
    late = _drop(folder, 1)  # its first 3 s are of the day that is over
    watcher.step(1e12)
    _drop(folder, 1, days=2)
    watcher.step(1e12)
    coverage = read_coverage(output / "coverage.csv")
    (row,) = coverage[coverage["status"] == "skipped"].to_dict("records")
    midnight = pd.Timestamp("2024-05-07", tz="UTC")
    assert (row["station_id"], row["source"]) == ("CABLE", str(late))
    assert (row["start"], row["end"]) == (midnight - pd.Timedelta("3s"), midnight)
    assert row["reason"].startswith("before the tables")
    warnings = [one.getMessage() for one in caplog.records if "the tables begin at" in one.getMessage()]
    assert len(warnings) == 1
    assert "2024-05-07 00:00:00" in warnings[0]
