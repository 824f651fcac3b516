"""One contract for every recording, whether of an array, of files or of a function."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phasenet_das import io
from phasenet_das.errors import ConfigError
from phasenet_das.io.recording import Recording, recording_of_array, recording_of_function, recording_of_patch
from tests.io.archive_files import DT_S, NUM_CHANNELS, NUM_SAMPLES, RECORD, sample_time, write_part

DISTANCE_M = 10.0 * np.arange(NUM_CHANNELS)


@dataclass(frozen=True)
class Made:
    """Makes blocks of the record; may be sent to another process."""

    def __call__(self, channels: slice, samples: slice) -> np.ndarray:
        return RECORD.astype(np.float64)[channels, samples]


def of_files(folder: Path) -> Recording:
    for k, (first, end) in enumerate(itertools.pairwise([0, 130, 131, 300, NUM_SAMPLES])):
        write_part(folder / f"{k}.h5", first, end)
    return io.open_archive(folder).recordings[0]


def of_overlapping_files(folder: Path) -> Recording:
    for k, (first, end) in enumerate([(0, 150), (100, 250), (90, 120), (240, NUM_SAMPLES)]):
        write_part(folder / f"{k}.h5", first, end)
    return io.open_archive(folder).recordings[0]


def of_one_file(folder: Path) -> Recording:
    return io.open_archive(write_part(folder / "a.h5", 0, NUM_SAMPLES)).recordings[0]


def of_patches(_: Path) -> Recording:
    patch = _patch()
    half = sample_time(200)
    return io.open_archive([io.read(patch, time=(None, half)), io.read(patch, time=(half, None))]).recordings[
        0
    ]


def of_a_patch(_: Path) -> Recording:
    return recording_of_patch(_patch())


def of_an_array(_: Path) -> Recording:
    return recording_of_array(RECORD, distance_m=DISTANCE_M, **_facts())


def of_a_function(_: Path) -> Recording:
    numbers = np.arange(NUM_CHANNELS)
    return recording_of_function(
        Made(), num_samples=NUM_SAMPLES, channel_index=numbers, distance_m=DISTANCE_M, **_facts()
    )


def of_a_wider_recording(_: Path) -> Recording:
    wide = np.pad(RECORD, ((2, 1), (30, 20)))
    whole = recording_of_array(
        wide,
        distance_m=10.0 * np.arange(-2, NUM_CHANNELS + 1),
        channel_index=np.arange(-2, NUM_CHANNELS + 1),
        **{**_facts(), "start_time": sample_time(-30)},
    )
    return whole.narrow(np.arange(2, 2 + NUM_CHANNELS), slice(30, 30 + NUM_SAMPLES))


def _facts() -> dict[str, object]:
    return {"start_time": sample_time(0), "dt_s": DT_S, "station_id": "A", "unit": "m/s"}


def _patch() -> object:
    return io.make_patch(RECORD, distance_m=DISTANCE_M, **_facts())


BUILDERS = (
    *(of_files, of_overlapping_files, of_one_file, of_patches, of_a_patch, of_an_array, of_a_function),
    of_a_wider_recording,
)
IN_FILES = {of_files, of_overlapping_files, of_one_file}


@pytest.fixture(params=BUILDERS, ids=lambda build: build.__name__)
def build(request: pytest.FixtureRequest) -> Callable[[Path], Recording]:
    made: Callable[[Path], Recording] = request.param
    return made


@pytest.fixture
def recording(build: Callable[[Path], Recording], tmp_path: Path) -> Recording:
    return build(tmp_path)


def test_what_it_says(recording: Recording) -> None:
    assert (recording.station_id, recording.unit, recording.dt_s) == ("A", "m/s", DT_S)
    assert (recording.num_channels, recording.num_samples) == RECORD.shape
    assert recording.start_time == sample_time(0)
    assert recording.start_ns == int(sample_time(0).astype(np.int64))
    assert recording.end_time == sample_time(NUM_SAMPLES)
    assert recording.name.startswith("A ")
    np.testing.assert_array_equal(recording.channel_index, np.arange(NUM_CHANNELS))
    np.testing.assert_array_equal(recording.distance_m, DISTANCE_M)
    assert recording.channel_index.dtype.kind == "i"
    assert recording.distance_m.dtype == np.float64
    assert not recording.failures
    assert not recording.notes


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    channels=st.tuples(st.integers(0, NUM_CHANNELS), st.integers(0, NUM_CHANNELS), st.integers(1, 3)),
    samples=st.tuples(st.integers(0, NUM_SAMPLES), st.integers(0, NUM_SAMPLES)),
)
def test_any_block_is_the_slice_of_the_whole(
    recording: Recording, channels: tuple[int, int, int], samples: tuple[int, int]
) -> None:
    rows = slice(min(channels[:2]), max(channels[:2]), channels[2])
    columns = slice(min(samples), max(samples))
    block = recording.load(rows, columns)
    np.testing.assert_array_equal(block, RECORD[rows, columns])
    assert block.dtype == np.float32
    assert block.flags.c_contiguous


def test_a_block_is_a_copy(recording: Recording) -> None:
    recording.load()[:] = 0
    np.testing.assert_array_equal(recording.load(), RECORD)


def test_what_lies_outside_is_refused(recording: Recording) -> None:
    for samples in (slice(-1, 5), slice(0, NUM_SAMPLES + 1), slice(9, 3), slice(0, 9, 2)):
        with pytest.raises(ConfigError, match=r"asked for, but the recording has \[0, 400\)"):
            recording.load(samples=samples)
        with pytest.raises(ConfigError):
            recording.inputs(samples)


def test_a_copy_in_another_process_is_the_same(recording: Recording) -> None:
    copy = pickle.loads(pickle.dumps(recording))  # noqa: S301 - made here
    np.testing.assert_array_equal(copy.load(), RECORD)
    assert copy.inputs() == recording.inputs()
    assert copy.name == recording.name


def test_inputs_name_the_files_behind_samples(
    build: Callable[[Path], Recording], recording: Recording, tmp_path: Path
) -> None:
    names = [path for path, _ in recording.inputs()]
    assert bool(names) == (build in IN_FILES)
    assert set(names) <= set(map(str, tmp_path.iterdir()))
    assert all(key for _, key in recording.inputs())
    assert recording.inputs(slice(7, 7)) == []
    assert set(recording.inputs(slice(0, 10))) <= set(recording.inputs())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(-50, 450), length=st.integers(0, 300))
def test_times_and_samples_are_two_ways_to_say_one_thing(
    recording: Recording, first: int, length: int
) -> None:
    begin, end = (np.datetime64(recording.sample_ns(k), "ns") for k in (first, first + length))
    found = recording.sample_range(begin, end)
    inside = [k for k in range(NUM_SAMPLES) if first <= k < first + length]
    assert list(range(found.start, found.stop)) == inside
    assert recording.sample_range() == slice(0, NUM_SAMPLES)


def test_a_narrower_recording_reads_its_part(recording: Recording) -> None:
    part = recording.narrow(np.array([1, 2, 4]), slice(120, 310))
    np.testing.assert_array_equal(part.load(), RECORD[[1, 2, 4], 120:310])
    np.testing.assert_array_equal(part.load(slice(1, 3), slice(5, 9)), RECORD[[2, 4], 125:129])
    assert part.start_time == sample_time(120)
    assert part.channel_index.tolist() == [1, 2, 4]
    assert set(part.inputs()) <= set(recording.inputs())


@pytest.mark.parametrize("build", [of_files, of_overlapping_files, of_one_file])
def test_a_file_that_is_lost_is_nan_and_named(build: Callable[[Path], Recording], tmp_path: Path) -> None:
    recording = build(tmp_path)
    path = tmp_path / ("a.h5" if build is of_one_file else "0.h5")
    path.unlink()
    block = recording.load()
    lost = np.isnan(block).all(axis=0)
    assert lost[0]
    np.testing.assert_array_equal(block[:, ~lost], RECORD[:, ~lost])
    assert list(recording.failures) == [str(path)]
