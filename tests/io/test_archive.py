"""The continuous view: any cutting of a record into files reads as the record; every fault is named."""

from __future__ import annotations

import itertools
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phasenet_das.config import DataSettings
from phasenet_das.errors import (
    ConfigError,
    DataFormatError,
    MissingMetadataError,
    PhaseNetDASError,
    SamplingError,
)
from phasenet_das.io import make_patch, read
from phasenet_das.io.archive import Archive, archive_of_index, open_archive
from phasenet_das.io.index import UNKNOWN, Geometry, Index, make_rows
from phasenet_das.io.recording import (
    Recording,
    recording_of_array,
    recording_of_function,
    recording_of_patch,
)
from phasenet_das.tables import COVERAGE_COLUMNS
from tests.io.archive_files import (
    DT_S,
    NUM_CHANNELS,
    NUM_SAMPLES,
    RECORD,
    START_NS,
    sample_time,
    write_part,
    write_prodml,
)
from tests.io.das_sources import write_h5


def reasons(source: Archive, status: str) -> list[str]:
    return source.coverage.loc[source.coverage["status"] == status, "reason"].tolist()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The record in four files of 100 samples."""
    for k in range(4):
        write_part(tmp_path / f"part{k}.h5", 100 * k, 100 * (k + 1))
    return tmp_path


CUTS = st.lists(st.integers(1, 59), max_size=5, unique=True)
EXTRA = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20), st.sampled_from("am")), max_size=3)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=CUTS, extra=EXTRA, span=st.tuples(st.integers(0, 60), st.integers(0, 60)), data=st.data())
def test_any_cutting_reads_as_the_record(
    tmp_path_factory: pytest.TempPathFactory,
    cuts: list[int],
    extra: list[tuple[int, int, str]],
    span: tuple[int, int],
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    edges = [0, *sorted(cuts), 60]
    for k, (first, end) in enumerate(itertools.pairwise(edges)):
        write_part(folder / f"{data.draw(st.sampled_from('xyz'))}{k}.h5", first, end)
    for k, (first, length, letter) in enumerate(extra):  # duplicates and overlaps, before and after by name
        write_part(folder / f"{letter}-extra{k}.h5", first, min(first + length, 60))
    source = open_archive([folder])
    (recording,) = source.recordings
    assert (recording.start_ns, recording.num_samples) == (START_NS, 60)
    first, end = sorted(span)
    np.testing.assert_array_equal(recording.load(samples=slice(first, end)), RECORD[:, first:end])
    named = source.coverage["status"].isin(["duplicate", "overlapped"]).sum()
    assert named >= len(extra)
    assert not recording.failures


def test_a_view_of_four_files(folder: Path) -> None:
    source = open_archive([folder])
    (recording,) = source.recordings
    assert isinstance(recording, Recording)
    assert (recording.station_id, recording.unit, recording.dt_s) == ("A", "m/s", DT_S)
    np.testing.assert_array_equal(recording.channel_index, np.arange(NUM_CHANNELS))
    np.testing.assert_array_equal(recording.distance_m, 10.0 * np.arange(NUM_CHANNELS))
    assert recording.channel_index.dtype == np.int32
    assert np.isnan(recording.gauge_length_m)
    block = recording.load(slice(1, None, 2), slice(50, 250))
    np.testing.assert_array_equal(block, RECORD[1::2, 50:250])
    assert block.dtype == np.float32
    assert block.flags.c_contiguous
    assert recording.load(samples=slice(7, 7)).shape == (NUM_CHANNELS, 0)
    assert [Path(path).name for path, _ in recording.inputs(slice(99, 201))] == [
        "part0.h5",
        "part1.h5",
        "part2.h5",
    ]
    assert len({key for _, key in recording.inputs(slice(0, 400))}) == 4
    assert list(source.coverage.columns) == list(COVERAGE_COLUMNS)
    assert source.coverage.empty
    assert "1 recording(s), 4 s from" in source.summary()
    with pytest.raises(ConfigError, match=r"\[0, 400\)"):
        recording.load(samples=slice(0, 401))


def test_a_recording_may_be_sent_to_another_process(folder: Path) -> None:
    write_part(folder / "later.h5", 0, 100, begin_time=str(sample_time(900)))
    recording = open_archive([folder]).recordings[1]
    copy = pickle.loads(pickle.dumps(recording))  # noqa: S301 - made here
    np.testing.assert_array_equal(copy.load(samples=slice(0, 100)), RECORD[:, :100])
    assert len(copy.read_block.table.path) == 1
    assert copy.inputs(slice(0, 1)) == recording.inputs(slice(0, 1))


def test_gaps_end_recordings_and_are_named(folder: Path) -> None:
    (folder / "part1.h5").unlink()
    source = open_archive([folder])
    assert [item.num_samples for item in source.recordings] == [100, 200]
    np.testing.assert_array_equal(source.recordings[1].load(samples=slice(0, 200)), RECORD[:, 200:])
    row = source.coverage.iloc[0]
    assert (row["status"], row["reason"], row["station_id"]) == ("gap", "gap of 1 s", "A")
    assert row["end"] - row["start"] == pd.Timedelta(seconds=1)
    assert "1 gap(s) of 1 s" in source.summary()


def test_jitter_of_stamps_within_half_a_sample_is_no_gap(tmp_path: Path) -> None:
    for k, off_ms in enumerate((0, -4, 3)):
        start = sample_time(100 * k) + np.timedelta64(off_ms, "ms")
        write_part(tmp_path / f"{k}.h5", 100 * k, 100 * (k + 1), begin_time=str(start))
    source = open_archive([tmp_path])
    assert [item.num_samples for item in source.recordings] == [300]
    assert source.coverage.empty


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-12, 12), st.sampled_from("xxy")), min_size=1, max_size=6))
def test_every_recording_but_the_first_has_a_row_that_says_why(files: list[tuple[int, str]]) -> None:
    """Files of 100 samples, each some tenths of a sample off the end of the one before it, of two units."""
    starts = START_NS + 1_000_000 * np.cumsum([1000 + off for off, _ in files])
    rows = make_rows(
        {
            **UNKNOWN,
            "path": f"{k}.h5",
            "size": 1,
            "mtime_ns": 1,
            "key": str(k),
            "status": "ok",
            "station_id": "A",
            "start_ns": int(start),
            "dt_s": 0.01,
            "num_samples": 100,
            "geometry": "g",
            "unit": unit,
        }
        for k, (start, (_, unit)) in enumerate(zip(starts, files, strict=True))
    )
    source = archive_of_index(Index(rows, {"g": Geometry(1, None, None, None)}))
    told = source.coverage[source.coverage["status"].isin(["gap", "split"])]
    begun = pd.to_datetime([item.start_ns for item in source.recordings[1:]], utc=True)
    assert set(begun) <= set(told["start"]) | set(told["end"])


def test_a_gap_in_a_record_that_another_record_covers_is_named(folder: Path) -> None:
    (folder / "part1.h5").unlink()
    write_part(folder / "whole.h5", 0, 400, unit="strain", begin_time=str(sample_time(-1)))
    source = open_archive([folder])
    assert [item.num_samples for item in source.recordings] == [400, 100, 200]
    assert "part2.h5: gap of 1 s in this record" in reasons(source, "split")[-1]


def test_channels_are_chosen_by_number_and_read_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = DataSettings(first_channel=0, channel_range=(1, 6))
    (recording,) = open_archive([folder], data, channel_step=2).recordings
    assert recording.channel_index.tolist() == [2, 4]
    assert recording.distance_m.tolist() == [20.0, 40.0]
    asked: list[Any] = []
    get = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda self, key: (asked.append(key), get(self, key))[1])
    np.testing.assert_array_equal(recording.load(samples=slice(90, 110)), RECORD[[2, 4], 90:110])
    blocks = [key for key in asked if isinstance(key, tuple) and key]
    assert blocks == [(slice(2, 5), slice(90, 100)), (slice(2, 5), slice(0, 10))]


def test_cables_are_chains_of_their_own(folder: Path) -> None:
    write_part(folder / "other.h5", 0, 150, station_id="B", unit="strain")
    source = open_archive([folder])
    assert [(item.station_id, item.num_samples) for item in source.recordings] == [("A", 400), ("B", 150)]
    assert source.coverage.empty
    both = open_archive([folder], DataSettings(station_id="C"))
    assert {item.station_id for item in both.recordings} == {"A", "B"}


def test_one_stated_name_is_that_of_the_one_cable(folder: Path) -> None:
    write_part(folder / "nameless.h5", 0, 100, begin_time=str(sample_time(400)), station_id="")
    source = open_archive([folder], DataSettings(station_id="C"))
    assert [(item.station_id, item.num_samples) for item in source.recordings] == [("C", 500)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dt_s": 0.005}, "interval 0.01 to 0.005"),
        ({"unit": "strain"}, "unit m/s to strain"),
        ({"dx_m": 1.0}, "channels or their distances"),
        ({"first_channel": 3}, "channels or their distances"),
        ({"gauge_length_m": 8.0}, "gauge length nan to 8.0"),
    ],
)
def test_a_change_splits_and_is_named(
    folder: Path, changes: dict[str, Any], expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_part(folder / "then.h5", 0, 100, begin_time=str(sample_time(400)), **changes)
    source = open_archive([folder])
    assert [item.num_samples for item in source.recordings] == [400, 100]
    (reason,) = reasons(source, "split")
    assert expected in reason
    assert "overlaps" not in reason
    assert expected in caplog.text
    assert not reasons(source, "gap")


def test_files_with_another_number_of_channels_are_recordings_apart(folder: Path) -> None:
    more = np.concatenate([RECORD, RECORD[:2]])
    write_part(folder / "then.h5", 0, 100, record=more, begin_time=str(sample_time(400)))
    source = open_archive([folder])
    assert [(item.num_channels, item.num_samples) for item in source.recordings] == [(6, 400), (8, 100)]
    (reason,) = reasons(source, "split")
    assert reason.endswith("changes: 6 channels to 8")
    with pytest.raises(DataFormatError, match=r"then.h5: holds several .*6 and 8.*open_archive"):
        read(sorted(folder.glob("*.h5")))


def test_two_records_of_one_time_and_name_are_both_kept_with_a_warning(folder: Path) -> None:
    write_part(folder / "strain.h5", 0, 100, unit="strain")
    source = open_archive([folder])
    assert len(source.recordings) == 2
    assert "both are used" in reasons(source, "split")[0]


def test_integers_and_transposed_files_load_as_float32(folder: Path) -> None:
    counts = np.rint(1000 * RECORD[:, :100]).astype(np.int16)
    attrs = {
        "begin_time": str(sample_time(400)),
        "dt_s": DT_S,
        "dx_m": 10.0,
        "unit": "m/s",
        "station_id": "A",
    }
    write_h5(folder / "counts.h5", counts.T, dims="time,channel", **attrs)
    (recording,) = open_archive([folder]).recordings
    block = recording.load(samples=slice(390, 450))
    assert block.dtype == np.float32
    np.testing.assert_array_equal(block[:, 10:], counts[:, :50].astype(np.float32))


def test_vendor_files_join_across_their_edges(tmp_path: Path) -> None:
    data = np.random.default_rng(1).standard_normal((200, 5)).astype(np.float32)
    half = np.timedelta64(500, "ms")
    for k in range(2):
        part = data[100 * k : 100 * (k + 1)]
        write_prodml(tmp_path / f"{k}.h5", part, start=np.datetime64("2024-01-01", "ns") + k * half)
    (recording,) = open_archive([tmp_path], DataSettings(channel_range=(21, 24))).recordings
    assert recording.gauge_length_m == 10.0
    assert recording.unit == "radian"
    np.testing.assert_array_equal(recording.load(samples=slice(80, 130)), data.T[1:4, 80:130])


def test_what_is_no_recording_is_skipped_and_named(folder: Path) -> None:
    (folder / "channels.csv").write_text("station_id\n")
    (folder / "notes").write_text("no ending")
    (folder / ".hidden.h5").touch()
    (folder / ".folder").mkdir()
    source = open_archive([folder], strict=True)
    assert len(source.recordings) == 1
    assert sorted(Path(path).name for path in source.coverage["source"]) == [
        ".folder",
        ".hidden.h5",
        "channels.csv",
        "notes",
    ]
    assert set(source.coverage["status"]) == {"skipped"}


def break_zero_bytes(path: Path) -> None:
    path.write_bytes(b"")


def break_cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4000])


def break_other_content(path: Path) -> None:
    path.write_text("not HDF5 at all")


def break_year_1970(path: Path) -> None:
    write_part(path, 100, 200, begin_time="1970-01-01T00:00:05")


def break_no_interval(path: Path) -> None:
    write_h5(path, RECORD[:, 100:200], begin_time=str(sample_time(100)), station_id="A")


def break_backwards(path: Path) -> None:
    import dascore

    times = np.array([sample_time(k) for k in (*range(100, 150), *range(140, 190))])
    coords = {"time": times, "distance": 10.0 * np.arange(NUM_CHANNELS)}
    patch = dascore.Patch(data=RECORD[:, 100:200], coords=coords, dims=("distance", "time"))
    path.unlink()
    patch.io.write(path, "dasdae")


@pytest.mark.parametrize(
    ("damage", "error", "reason"),
    [
        (break_zero_bytes, DataFormatError, "empty"),
        (break_cut_short, DataFormatError, "damaged"),
        (break_other_content, DataFormatError, "not a format"),
        (break_year_1970, MissingMetadataError, "no usable start time .*1970"),
        (break_no_interval, MissingMetadataError, "no sampling interval"),
        (break_backwards, SamplingError, "does not increase"),
    ],
)
def test_a_bad_file_is_named_and_the_run_goes_on(
    folder: Path, damage: Any, error: type[PhaseNetDASError], reason: str
) -> None:
    bad = folder / "part1.h5"
    damage(bad)
    source = open_archive([folder])
    assert [item.num_samples for item in source.recordings] == [100, 200]
    row = source.coverage[source.coverage["status"] == "unreadable"]
    assert row["source"].tolist() == [str(bad)]
    assert row["reason"].str.contains(f"part1.h5.*{reason}").all()
    with pytest.raises(error, match=reason):
        open_archive([folder], strict=True)
    for path in folder.glob("part[023].h5"):
        path.unlink()
    with pytest.raises(DataFormatError, match="none of 1 files"):
        open_archive([folder])


def test_a_file_that_its_writer_has_not_closed_is_named(folder: Path) -> None:
    whole = (folder / "part2.h5").read_bytes()
    with h5py.File(folder / "part2.h5", "w", libver="latest") as file:
        file["data"] = RECORD[:, 200:300]
        file.flush()
        unfinished = (folder / "part2.h5").read_bytes()
    (folder / "part2.h5").write_bytes(unfinished)
    (reason,) = reasons(open_archive([folder]), "unreadable")
    assert "still being written" in reason
    (folder / "part2.h5").write_bytes(whole)
    assert open_archive([folder]).coverage.empty


def test_one_file_without_time_takes_the_stated_start_and_two_do_not(folder: Path) -> None:
    stated = DataSettings(start_time=str(sample_time(400)))
    write_h5(folder / "x.h5", RECORD[:, :50], dt_s=DT_S, dx_m=10.0, unit="m/s", station_id="A")
    (recording,) = open_archive([folder], stated).recordings
    assert recording.num_samples == 450
    write_h5(folder / "y.h5", RECORD[:, :50], dt_s=DT_S, dx_m=10.0, unit="m/s", station_id="A")
    bad = reasons(open_archive([folder], stated), "unreadable")
    assert len(bad) == 2
    assert "2 recordings lack theirs" in bad[0]
    for name in ("x.h5", "y.h5"):
        (folder / name).unlink()
    with pytest.raises(ConfigError, match="each file has a start"):
        open_archive([folder], stated)


def test_statements_that_contradict_a_file_are_its_problem(folder: Path) -> None:
    write_part(folder / "slow.h5", 0, 100, begin_time=str(sample_time(400)), dt_s=0.02)
    source = open_archive([folder], DataSettings(dt_s=DT_S))
    assert len(source.recordings) == 1
    assert "slow.h5: dt_s=0.01 was stated" in reasons(source, "unreadable")[0]
    none = DataSettings(channel_range=(90, 99))
    with pytest.raises(DataFormatError, match=r"no channel in \[90, 99\). The file holds 0 to 5"):
        open_archive([folder], none)
    with pytest.raises(ConfigError, match="channel_step"):
        open_archive([folder], channel_step=0)


def test_a_file_lost_after_the_scan_leaves_nan_and_a_reason(folder: Path) -> None:
    (recording,) = open_archive([folder]).recordings
    strict = open_archive([folder], strict=True).recordings[0]
    gone, changed = folder / "part1.h5", folder / "part2.h5"
    gone.unlink()
    write_part(changed, 200, 260)
    block = recording.load(samples=slice(50, 350))
    np.testing.assert_array_equal(block[:, :50], RECORD[:, 50:100])
    assert np.isnan(block[:, 50:250]).all()
    np.testing.assert_array_equal(block[:, 250:], RECORD[:, 300:350])
    assert set(recording.failures) == {str(gone), str(changed)}
    assert "has changed" in recording.failures[str(changed)]
    with pytest.raises(DataFormatError, match=r"part1\.h5"):
        strict.load(samples=slice(50, 350))


def test_data_cut_short_behind_a_whole_header(folder: Path) -> None:
    path = folder / "part1.h5"
    with h5py.File(path, "r+") as file:
        attrs = dict(file["data"].attrs)
        del file["data"]
        data = file.create_dataset("data", data=RECORD[:, 100:200], chunks=(6, 10), compression="gzip")
        data.attrs.update(attrs)
    raw = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        info = file["data"].id.get_chunk_info(5)
    raw[info.byte_offset : info.byte_offset + info.size] = bytes(info.size)
    path.write_bytes(raw)
    (recording,) = open_archive([folder]).recordings
    assert np.isnan(recording.load(samples=slice(0, 400))[:, 100:200]).all()
    assert list(recording.failures) == [str(path)]


@pytest.mark.parametrize(("value", "said"), [(0.0, "zeros"), (np.nan, "finite")])
def test_files_of_nothing_are_noted(folder: Path, value: float, said: str) -> None:
    dead = np.full_like(RECORD, value)
    write_part(folder / "part3.h5", 0, 100, record=dead, begin_time=str(sample_time(300)))
    (recording,) = open_archive([folder]).recordings
    assert recording.num_samples == NUM_SAMPLES
    np.testing.assert_array_equal(recording.load(samples=slice(290, 400))[:, 10:], dead[:, :100])
    assert said in recording.notes[str(folder / "part3.h5")]
    assert not recording.failures


def offset_record(case: str) -> np.ndarray:
    """Return the record beside an offset on channels 2 and 3, stored as it often is."""
    offset, scale, dtype = {
        "lost counts": (10**9, 100, np.int32),
        "lost floats": (1e7, 1.0, np.float64),
        "lost wholly": (1e9, 1.0, np.float64),
        "kept counts": (10**6, 2, np.int32),
        "kept floats": (1e3, 1.0, np.float64),
        "single": (1e7, 1.0, np.float32),
    }[case]
    signal = RECORD * scale if np.dtype(dtype).kind == "f" else np.rint(RECORD * scale)
    signal = signal.astype(dtype)
    signal[2:4] += np.dtype(dtype).type(offset)
    return signal


@pytest.mark.parametrize(
    "case", ["lost counts", "lost floats", "lost wholly", "kept counts", "kept floats", "single"]
)
def test_a_signal_that_float32_loses_to_its_offset_is_noted(
    tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    record = offset_record(case)
    path = write_part(tmp_path / "a.h5", 0, 400, record=record)
    of_file = open_archive([tmp_path], DataSettings(channel_range=(1, 6))).recordings[0]
    of_array = recording_of_array(record, start_time=sample_time(0), dt_s=DT_S, label="A")
    for recording, name in ((of_file, str(path)), (of_array, "A")):
        caplog.clear()
        recording.load(samples=slice(0, 400))
        assert list(recording.notes) == ([name] if "lost" in case else [])
        assert ("2 channel(s), such as 2, have an offset so large" in caplog.text) == ("lost" in case)


def test_files_that_touch_to_a_millisecond_and_touch_of_time(tmp_path: Path) -> None:
    """A third of a hundred hertz: stamps rounded to ms, written and read through files."""
    dt_s = 0.1 / 3
    for k in range(4):
        stamp = sample_time(100 * k, dt_s).astype("datetime64[ms]")
        write_part(tmp_path / f"{k}.h5", 100 * k, 100 * (k + 1), begin_time=str(stamp), dt_s=dt_s)
    (recording,) = open_archive([tmp_path]).recordings
    np.testing.assert_array_equal(recording.load(samples=slice(0, 400)), RECORD)
    assert recording.sample_ns(300) == START_NS + 10_000_000_000


def test_a_year_of_minutes_opens_from_its_index() -> None:
    count, minute = 525_600, 60_000_000_000
    starts = START_NS + np.arange(count) * minute
    names = np.char.add(np.char.zfill(np.arange(count).astype(str), 6), ".h5").tolist()
    facts = {"size": 1, "mtime_ns": 0, "key": "k", "status": "ok", "station_id": "A", "dt_s": 0.005}
    facts |= {"num_samples": 12_000, "geometry": "g", "unit": "m/s"}
    table = pd.DataFrame({"path": names, "start_ns": starts}).assign(
        **{**UNKNOWN, **facts, "start_ns": starts}
    )
    keep = np.delete(np.arange(count), [1000, 1001, 400_000])
    index = Index(make_rows(table.iloc[keep]), {"g": Geometry(3)})
    source = archive_of_index(index)
    assert [item.num_samples // 12_000 for item in source.recordings] == [1000, 398_998, 125_599]
    assert reasons(source, "gap") == ["gap of 120 s", "gap of 60 s"]
    last = source.recordings[2]
    end = last.num_samples
    assert [path for path, _ in last.inputs(slice(end - 12_001, end))] == names[-2:]
    assert last.sample_ns(end) == START_NS + count * minute


def test_recordings_in_memory_say_the_same(folder: Path) -> None:
    (of_files,) = open_archive([folder]).recordings
    facts = {"start_time": sample_time(0), "dt_s": DT_S, "station_id": "A", "unit": "m/s"}
    distance_m = 10.0 * np.arange(NUM_CHANNELS)
    of_array = recording_of_array(RECORD, distance_m=distance_m, **facts)
    patch = make_patch(
        RECORD, start_time=sample_time(0), dt_s=DT_S, distance_m=distance_m, station_id="A", unit="m/s"
    )
    made = recording_of_function(
        num_samples=NUM_SAMPLES,
        channel_index=np.arange(NUM_CHANNELS),
        distance_m=distance_m,
        generate=lambda channels, samples: RECORD.astype(np.float64)[channels, samples],
        **facts,
    )
    for recording in (of_array, recording_of_patch(patch), made):
        assert isinstance(recording, Recording)
        assert (recording.name, recording.start_ns) == (of_files.name, of_files.start_ns)
        np.testing.assert_array_equal(recording.channel_index, of_files.channel_index)
        np.testing.assert_array_equal(recording.distance_m, of_files.distance_m)
        block = recording.load(slice(1, 4), slice(3, 30))
        assert block.dtype == np.float32
        np.testing.assert_array_equal(block, of_files.load(slice(1, 4), slice(3, 30)))
        assert recording.inputs(slice(0, 5)) == []
        with pytest.raises(ConfigError):
            recording.load(samples=slice(-1, 5))


def test_nothing_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="no file found in"):
        open_archive([tmp_path / "none"])
    with pytest.raises(DataFormatError, match="no file found"):
        open_archive([tmp_path])


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_links_in_a_circle_end(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (folder / "loop").symlink_to(folder)
    source = open_archive([folder])
    assert len(source.recordings) == 1
    assert "link to a folder" in reasons(source, "skipped")[0]
