"""Continuous recordings: one table whatever the files, shards, workers and interruptions."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from phasenet_das import io
from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings
from phasenet_das.errors import ConfigError, PhaseNetDASError
from phasenet_das.io.archive import open_archive
from phasenet_das.io.recording import recording_of_function
from phasenet_das.picking import RunOptions, pick_archive
from phasenet_das.picking.prefetch import side_by_side
from phasenet_das.picking.run import PickRun, pick_chunks
from phasenet_das.picking.store import ChunkStore
from phasenet_das.tables import PICK_COLUMNS, read_coverage, read_metadata, read_picks
from phasenet_das.tables.columns import below_scores
from tests.picking.small_pickers import assert_same_picks, small_picker

START = np.datetime64("2024-05-06T07:08:09.120", "ns")
DATA = DataSettings(station_id="CABLE")
SHORT = ContinuousSettings(chunk_s=7.0, chunk_channels=12)


def _noise(channels: int = 24, samples: int = 3600) -> np.ndarray:
    return np.random.default_rng(11).standard_normal((channels, samples)).astype(np.float32)


def _write(folder: Path, data: np.ndarray, cuts: list[int], start: np.datetime64 = START) -> Path:
    """Write a record as one file for each piece between cuts, in folders of two files."""
    bounds = [0, *cuts, data.shape[1]]
    for number, (first, end) in enumerate(itertools.pairwise(bounds)):
        path = folder / f"part{number // 2}" / f"{number:03d}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        io.write_quakeflow(_patch(data[:, first:end], start + np.timedelta64(first * 10, "ms")), path)
    return folder


def _patch(data: np.ndarray, start: np.datetime64 = START):
    return io.make_patch(
        data,
        start_time=start,
        dt_s=0.01,
        distance_m=np.arange(len(data)) * 4.0,
        station_id="CABLE",
        unit="strain / s",
    )


def _pick(folder: Path, output: Path, *, kind: str = "tile", **options: object):
    options = {"data": DATA, "continuous": SHORT, **options}
    return pick_archive(small_picker(kind), [str(folder)], output, **options)


@pytest.mark.parametrize("kind", ["tile", "window"])
@pytest.mark.parametrize("cuts", [[], [1], [777, 1300, 1301, 3333]])
def test_files_and_shards_do_not_show(tmp_path: Path, kind: str, cuts: list[int]) -> None:
    data = _noise()
    whole = small_picker(kind).pick(_patch(data))
    report = _pick(_write(tmp_path / "raw", data, cuts), tmp_path / "picks.parquet", kind=kind)
    picks = read_picks(report.output)
    assert_same_picks(whole, picks)
    assert report.num_chunks > 10
    assert report.summary.num_picks == len(picks)
    assert {name: str(dtype) for name, dtype in picks.dtypes.items()} == PICK_COLUMNS
    order = picks.sort_values(["phase_time", "channel_index", "phase_type"], kind="stable")
    assert (order.index == picks.index).all()
    facts = read_metadata(report.output)
    assert facts["amplitude_unit"] == "strain / s"
    assert len(facts["inputs"]) == len(cuts) + 1
    coverage = read_coverage(tmp_path / "picks.coverage.csv")
    examined = coverage[coverage["status"] == "examined"]
    assert len(examined) == 1
    assert examined["num_channels"].tolist() == [24]
    assert (examined["end"] - examined["start"]).dt.total_seconds().tolist() == [36.0]


def test_chunks_that_are_picked_side_by_side_do_not_show(tmp_path: Path) -> None:
    data, threads = _noise(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        report = _pick(_write(tmp_path / "raw", data, [777]), tmp_path / "picks.parquet")
        shares = list(side_by_side(lambda _: torch.get_num_threads(), range(5), 2))
        alone = list(side_by_side(lambda _: torch.get_num_threads(), range(1), 2))
        assert (shares, alone, torch.get_num_threads()) == ([1] * 5, [2], 2)
    finally:
        torch.set_num_threads(threads)
    assert report.times.seconds["network"] > 0
    assert_same_picks(small_picker().pick(_patch(data)), read_picks(report.output))


def test_a_short_recording_is_read_once() -> None:
    data, blocks = _noise(), []

    def generate(channels: slice, samples: slice) -> np.ndarray:
        blocks.append((channels, samples))
        return data[channels, samples]

    recording = recording_of_function(
        station_id="CABLE",
        start_time=START,
        dt_s=0.01,
        num_samples=data.shape[1],
        channel_index=np.arange(len(data)),
        distance_m=np.arange(len(data)) * 4.0,
        generate=generate,
    )
    assert_same_picks(small_picker().pick([recording], continuous=SHORT), small_picker().pick(_patch(data)))
    assert len(blocks) == 1


def test_a_gap_parts_the_record_and_nothing_is_picked_in_it(tmp_path: Path) -> None:
    data = _noise()
    folder = _write(tmp_path / "raw", data[:, :1500], [700])
    _write(folder / "later", data[:, 2100:], [2500 - 2100], START + np.timedelta64(21_000, "ms"))
    report = _pick(folder, tmp_path / "picks.parquet", settings=PickSettings(rate="model"))
    first = small_picker().pick(_patch(data[:, :1500]), rate="model")
    second = small_picker().pick(_patch(data[:, 2100:], START + np.timedelta64(21_000, "ms")), rate="model")
    assert_same_picks(pd.concat([first, second], ignore_index=True), read_picks(report.output))
    assert (report.coverage["status"] == "gap").sum() == 1
    assert (report.coverage["status"] == "examined").sum() == 2


def test_parts_are_used_again_until_something_changes(tmp_path: Path) -> None:
    data = _noise()
    folder, output = _write(tmp_path / "raw", data[:, :3000], [1000, 2000]), tmp_path / "picks.parquet"
    first = _pick(folder, output)
    content = output.read_bytes()
    assert first.reused == 0
    again = _pick(folder, output)
    assert again.reused == again.num_chunks == first.num_chunks
    assert output.read_bytes() == content
    louder = _pick(folder, output, settings=PickSettings(min_score=0.4))
    assert louder.reused == 0
    assert (read_picks(output)["phase_score"] >= 0.4).all()
    faster = _pick(folder, output, settings=PickSettings(min_score=0.4, batch_size=7))
    assert faster.reused == faster.num_chunks
    assert (
        _pick(folder, output, settings=PickSettings(min_score=0.4), options=RunOptions(resume=False)).reused
        == 0
    )


def test_new_files_redo_only_what_they_touch(tmp_path: Path) -> None:
    data = _noise()
    folder, output = _write(tmp_path / "raw", data[:, :3000], [1000, 2000]), tmp_path / "picks.parquet"
    first = _pick(folder, output)
    _write(folder / "new", data[:, 3000:], [], START + np.timedelta64(30_000, "ms"))
    second = _pick(folder, output)
    assert 0.4 * first.num_chunks < second.reused < first.num_chunks
    assert_same_picks(small_picker().pick(_patch(data)), read_picks(output))
    left = {path.stem for path in (tmp_path / "picks.parquet.chunks").glob("??/*.parquet")}
    assert len(left) == second.num_chunks


def test_a_damaged_part_is_picked_again(tmp_path: Path) -> None:
    folder, output = _write(tmp_path / "raw", _noise(), []), tmp_path / "picks.parquet"
    _pick(folder, output)
    content = output.read_bytes()
    part = next((tmp_path / "picks.parquet.chunks").glob("??/*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    report = _pick(folder, output)
    assert report.reused == report.num_chunks - 1
    assert output.read_bytes() == content


def test_the_index_of_files_outlives_the_run(tmp_path: Path) -> None:
    folder, output = _write(tmp_path / "raw", _noise(), [1200]), tmp_path / "picks.parquet"
    _pick(folder, output)
    _pick(folder, output)
    source = open_archive([str(folder)], DATA, index=tmp_path / "picks.parquet.chunks" / "index")
    assert (source.report.opened, source.report.unchanged) == (0, 2)


def test_parts_damaged_within_are_picked_again(tmp_path: Path) -> None:
    folder, output = _write(tmp_path / "raw", _noise(), []), tmp_path / "picks.parquet"
    _pick(folder, output)
    content = output.read_bytes()
    parts = sorted((tmp_path / "picks.parquet.chunks").glob("??/*.parquet"))
    parts[0].write_bytes(b"")
    for part in parts[1:3]:
        damaged = bytearray(part.read_bytes())
        damaged[200:208] = bytes(8)  # the description at its end stays whole
        part.write_bytes(damaged)
    report = _pick(folder, output)
    assert report.reused == report.num_chunks - 3
    assert output.read_bytes() == content


def test_what_is_picked_anew_is_not_found_by_workers(tmp_path: Path) -> None:
    picker, store = small_picker(), ChunkStore(tmp_path)
    folder = _write(tmp_path / "raw", _noise(), [])
    records = open_archive([str(folder)], DATA).recordings
    run = PickRun.of(picker.chunk_picker(PickSettings()), SHORT)
    first = pick_chunks(run, records, store)
    worker = ChunkStore(tmp_path)
    assert all(worker.find(chunk.key) is not None for chunk in first.chunks)

    def submit(todo, store, times):
        for one in todo:
            assert worker.find(one.key) is None
            yield from run.pick_here(iter([one]), store, times)

    second = pick_chunks(run, records, store, resume=False, submit=submit)
    assert {chunk.key for chunk in second.chunks} == {chunk.key for chunk in first.chunks}


def test_a_file_that_fails_while_it_is_read_is_named_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from phasenet_das.io.members import MemberReader

    data = _noise()
    folder, output = _write(tmp_path / "raw", data, [1200, 2400]), tmp_path / "picks.parquet"
    read_block = MemberReader.__call__

    def failing(self, channels, samples):
        out = read_block(self, channels, samples)
        low, high = max(samples.start, 1200), min(samples.stop, 2400)
        if low < high:
            out[:, low - samples.start : high - samples.start] = np.nan
            self.failures[self.inputs(slice(1200, 1201))[0][0]] = "the disk is gone"
        return out

    with monkeypatch.context() as broken:
        broken.setattr(MemberReader, "__call__", failing)
        report = _pick(folder, output)
    lost = read_picks(output)
    seconds = (lost["phase_time"] - pd.Timestamp(START, tz="UTC")).dt.total_seconds()
    assert len(lost) > 20
    assert not seconds.between(12.02, 23.98).any()
    unreadable = report.coverage[report.coverage["status"] == "unreadable"]
    assert unreadable["reason"].tolist() == ["the disk is gone"]
    assert unreadable["source"].tolist()[0].endswith("001.h5")
    again = _pick(folder, output)
    assert 0 < again.reused < again.num_chunks
    assert_same_picks(small_picker().pick(_patch(data)), read_picks(output))


def test_bad_channels_are_named_with_what_was_done(tmp_path: Path) -> None:
    data = _noise()
    data[3] = 5.0
    data[4:6, :2000] = np.nan
    data[9] = np.clip(10 * data[9], -12, 12)
    folder = _write(tmp_path / "raw", data, [1200])
    report = _pick(folder, tmp_path / "picks.parquet")
    coverage = report.coverage
    spans = coverage[coverage["reason"] != ""].copy()
    examined = coverage[(coverage["num_channels"] == 23) & (coverage["status"] == "examined")]
    assert len(examined) == 1
    assert "1 dead channels, such as 3" in examined["reason"].iloc[0]
    nan = spans[spans["reason"].str.contains("NaN")]
    assert nan[["first_channel", "last_channel", "num_channels", "status"]].values.tolist() == [
        [4, 5, 2, "skipped"]
    ]
    assert (nan["end"] - nan["start"]).dt.total_seconds().iloc[0] == pytest.approx(20, abs=4)
    clipped = spans[spans["reason"].str.contains("saturated")]
    assert (clipped["first_channel"] == 9).all()
    assert (clipped["status"] == "examined").all()
    picks = read_picks(report.output)
    assert 3 not in set(picks["channel_index"])
    assert 9 in set(picks["channel_index"])
    with pytest.raises(PhaseNetDASError, match="dead channels"):
        _pick(folder, tmp_path / "strict.parquet", options=RunOptions(strict=True))


@pytest.mark.parametrize("size", [{}, {"chunk_channels": 8}])
def test_a_recording_of_dead_channels_alone_was_not_examined(tmp_path: Path, size: dict[str, int]) -> None:
    folder = _write(tmp_path / "raw", np.zeros((24, 3600), np.float32), [])
    coverage = _pick(folder, tmp_path / "picks.parquet", continuous=ContinuousSettings(**size)).coverage
    assert set(coverage["status"]) == {"skipped"}
    row = coverage[["first_channel", "last_channel", "num_channels"]]
    assert row.values.tolist() == [[0, 23, 24]]
    assert coverage["reason"].str.startswith("one value only").all()  # as `watch` counts them


@pytest.mark.parametrize(("samples", "status"), [(20, "skipped"), (21, "examined")])
def test_a_recording_that_ends_before_its_first_pick_was_not_examined(
    tmp_path: Path, samples: int, status: str
) -> None:
    folder = _write(tmp_path / "raw", _noise(samples=samples), [])
    coverage = _pick(folder, tmp_path / "picks.parquet").coverage
    assert set(coverage["status"]) == {status}
    assert coverage["num_channels"].sum() == 24


def test_channels_whose_offset_hides_the_signal_are_named(tmp_path: Path) -> None:
    data = _noise().astype(np.float64)
    data[7] += 1e7
    folder = _write(tmp_path / "raw", data, [1200])
    coverage = _pick(folder, tmp_path / "picks.parquet").coverage
    coarse = coverage[coverage["reason"].str.contains("a large offset hides the signal")]
    assert set(coarse["first_channel"]) == set(coarse["last_channel"]) == {7}
    assert set(coarse["status"]) == {"examined"}


def test_ranges_of_time_and_channels(tmp_path: Path) -> None:
    folder = _write(tmp_path / "raw", _noise(), [1200])
    report = _pick(
        folder,
        tmp_path / "picks.csv",
        start="2024-05-06T07:08:20",
        end="2024-05-06T07:08:31",
        channel_step=2,
        data=DATA.model_copy(update={"channel_range": (4, 15)}),
    )
    picks = read_picks(report.output)
    assert picks["phase_time"].between("2024-05-06T07:08:20Z", "2024-05-06T07:08:31Z").all()
    assert set(picks["channel_index"]) <= set(range(4, 15, 2))
    assert len(picks) > 10
    with pytest.raises(PhaseNetDASError, match="range of time"):
        _pick(folder, tmp_path / "none.csv", start="2030-01-01", end="2030-01-02")


def test_what_cannot_be_picked_is_left_out_and_named(tmp_path: Path) -> None:
    folder = _write(tmp_path / "raw", _noise(), [])
    _write(folder / "short", _noise(samples=2), [], START + np.timedelta64(1, "h"))
    report = _pick(folder, tmp_path / "picks.parquet")
    skipped = report.coverage[report.coverage["status"] == "skipped"]
    assert len(skipped) == 1
    assert "at least 3" in skipped["reason"].iloc[0]
    (folder / "part0" / "000.h5").unlink()
    with pytest.raises(PhaseNetDASError, match="at least 3"):
        _pick(folder, tmp_path / "picks.parquet")


def test_parts_go_when_they_are_not_kept(tmp_path: Path) -> None:
    folder = _write(tmp_path / "raw", _noise(), [])
    _pick(folder, tmp_path / "picks.parquet", options=RunOptions(keep_chunks=False))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "picks.coverage.csv",
        "picks.coverage.csv.json",
        "picks.parquet",
        "raw",
    ]


def test_the_picker_takes_folders_segments_and_patches(tmp_path: Path) -> None:
    data, picker = _noise(), small_picker()
    folder = _write(tmp_path / "raw", data, [1700])
    whole = picker.pick(_patch(data))
    for source in (folder, [str(folder)], _patch(data)):
        picks = picker.pick(source, continuous=SHORT)
        assert_same_picks(whole, picks)
        assert picks.attrs["amplitude_unit"] == "strain / s"
        assert [row["num_channels"] for row in picks.attrs["coverage"]] == [24]
    renamed = picker.pick(folder, station_id="OTHER", continuous=SHORT)
    assert set(renamed["station_id"]) == {"OTHER"}


def test_recordings_without_files_are_never_taken_for_one_another(tmp_path: Path) -> None:
    output, tables = tmp_path / "picks.parquet", []
    for data in (_noise(), -(_noise() ** 3)):
        report = pick_archive(small_picker(), _patch(data), output, continuous=SHORT)
        assert report.reused == 0
        tables.append(read_picks(output))
    assert not tables[0]["pick_id"].equals(tables[1]["pick_id"])


def test_what_was_half_written_is_swept(tmp_path: Path) -> None:
    import os

    store = ChunkStore(tmp_path)
    old, new = tmp_path / "ab" / ".ab-1.tmp", tmp_path / "ab" / ".ab-2.tmp"
    old.parent.mkdir()
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, 0))
    job = tmp_path / "job-1.pkl"
    job.write_text("of workers whose run was killed")
    store.sweep()
    assert [path.name for path in old.parent.iterdir()] == [".ab-2.tmp"]
    assert store.remove_others(set()) == 0
    assert not job.exists()


def test_a_scheduler_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phasenet_das.picking.dask._TIMEOUT", "100ms")
    folder = _write(tmp_path / "raw", _noise(), [])
    with pytest.raises(ConfigError, match="cannot be reached"):
        _pick(folder, tmp_path / "p.parquet", options=RunOptions(scheduler="tcp://127.0.0.1:9"))


@pytest.mark.shared
@pytest.mark.parametrize("kind", ["tile", "window"])
@pytest.mark.parametrize("name", ["brady_porotomo_20160321_M4.3.h5"])
def test_real_records_in_shards(shared: Path, tmp_path: Path, kind: str, name: str) -> None:
    path, channels = shared / "data" / "das_events" / name, (2600, 2648)
    whole = small_picker(kind).pick(io.read(path), channel_range=channels, station_id="CABLE")
    report = _pick(
        path, tmp_path / "p.parquet", kind=kind, data=DATA.model_copy(update={"channel_range": channels})
    )
    assert report.num_chunks > 8
    assert_same_picks(whole, read_picks(report.output), least=100)


@pytest.mark.parametrize(
    ("kind", "rate", "scores"),
    [("window", "model", (0.25, 0.4, 0.35)), ("tile", (100.0, 50.0), (0.5, 0.95, 0.9))],
)
def test_faint_picks_change_no_other_pick(
    tmp_path: Path, kind: str, rate: object, scores: tuple[float, float, float]
) -> None:
    folder = _write(tmp_path / "raw", _noise(samples=1600), [800])
    settings = PickSettings(min_score_p=scores[1], min_score_s=scores[2], rate=rate)
    plain = read_picks(_pick(folder, tmp_path / "plain.parquet", kind=kind, settings=settings).output)
    faint = settings.model_copy(update={"faint_score": scores[0]})
    every = read_picks(_pick(folder, tmp_path / "every.parquet", kind=kind, settings=faint).output)
    below = below_scores(every, settings.thresholds())
    assert len(plain) > 20
    assert below.sum() > 20
    assert every["phase_score"].min() >= scores[0]
    pd.testing.assert_frame_equal(every[~below].reset_index(drop=True), plain)
