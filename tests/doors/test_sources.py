"""`read` and `open_archive` are two doors to the same recordings: whatever one gives, the other gives."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import dascore
import numpy as np
import obspy
import pytest

import phasenet_das as pn
from phasenet_das import io
from phasenet_das.config import DataSettings
from phasenet_das.errors import DataFormatError, MissingMetadataError, PhaseNetDASError, SamplingError
from phasenet_das.io.recording import Recording
from tests.io.das_sources import BUILDERS, Builder, Truth, make_stream
from tests.io.das_sources import DT_S as STREAM_DT_S
from tests.picking.small_pickers import assert_same_picks, small_picker

START = np.datetime64("2024-05-01T12:00:00", "ns")
DT_S = 0.01
FOLDERS = ("vendor_formats", "das_events", "das_noise")


def waves(samples: int = 60) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((5, samples)).astype(np.float32)


def assert_same(patch: dascore.Patch, recording: Recording) -> None:
    """A patch that was read and a recording of an archive agree in all that picking uses."""
    assert recording.start_time == io.get_times(patch)[0]
    assert recording.dt_s == io.get_dt_s(patch)
    assert recording.unit == io.get_unit(patch)
    assert recording.station_id == io.get_station_id(patch)
    np.testing.assert_array_equal(recording.channel_index, io.get_channel_index(patch))
    np.testing.assert_allclose(recording.distance_m, io.get_distance_m(patch), rtol=1e-12)
    np.testing.assert_array_equal(recording.load(), io.get_data(patch))


def of_archive(source: object, **stated: object) -> Recording:
    """The one recording that an archive holds; what read refuses is refused."""
    found = io.open_archive(source, DataSettings(**stated), strict=True).recordings
    if len(found) > 1:
        raise SamplingError("gaps")
    if not (np.ptp(found[0].load(), axis=1) > 0).any():
        raise DataFormatError("dead")
    return found[0]


def both(source: object, **stated: object) -> bool:
    """Both doors give one recording, or both refuse for the same reason; return whether there is one."""
    answers = []
    for door in (pn.read, of_archive):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                answers.append(door(source, **stated))
            except PhaseNetDASError as error:
                answers.append(type(error))
    patch, recording = answers
    if isinstance(patch, type):
        assert recording is patch
        return False
    assert_same(patch, recording)
    return True


def _files(shared: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (path for path in sorted((shared / "data" / folder).iterdir()) if path.suffix != ".csv")


@pytest.mark.shared
@pytest.mark.parametrize("start", [None, "2020-02-02T00:00:00"])
def test_both_doors_agree_on_every_real_file(shared: Path, start: str | None) -> None:
    pytest.importorskip("xdas")
    stated = {} if start is None else {"start_time": start}
    read = [path.name for path in _files(shared) if both(path, **stated)]
    assert len(read) >= (20 if start is None else 1)  # a stated start suits files that lack one


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_both_doors_agree_on_every_kind_of_source(build: Builder, tmp_path: Path) -> None:
    source = build(tmp_path)
    assert both(source.source, **source.stated)


def patch_of(first: int, last: int, off_samples: float = 0.0) -> dascore.Patch:
    """Samples of the record as a patch of dascore, its stamps moved."""
    numbers = np.arange(first, last) + off_samples
    times = START + np.rint(numbers * DT_S * 1e9).astype("timedelta64[ns]")
    coords = {"time": times, "distance": 2.0 * np.arange(5)}
    return dascore.Patch(waves()[:, first:last], coords, ("distance", "time"))


def dasdae(path: Path, *patches: dascore.Patch) -> Path:
    named = [patch.update_attrs(tag=str(k)) for k, patch in enumerate(patches)]
    dascore.write(dascore.spool(named), path, "dasdae")
    return path


@pytest.mark.parametrize("off_samples", [-0.45, -0.3, 0.0, 0.3, 0.45])
def test_what_misses_by_less_than_half_a_sample_is_joined_by_both(tmp_path: Path, off_samples: float) -> None:
    path = dasdae(tmp_path / "a.h5", patch_of(0, 25), patch_of(25, 60, off_samples))
    np.testing.assert_array_equal(pn.read(path).data, waves())
    both(path)
    apart = [
        dasdae(tmp_path / "1.h5", patch_of(0, 25)),
        dasdae(tmp_path / "2.h5", patch_of(25, 60, off_samples)),
    ]
    (recording,) = io.open_archive(apart).recordings
    assert_same(pn.read(apart), recording)
    assert_same(pn.read(path, station_id=recording.station_id), recording)


@pytest.mark.parametrize("missing", [0.7, 1.0, 300.0])
def test_a_gap_is_said_by_both(tmp_path: Path, missing: float) -> None:
    path = dasdae(tmp_path / "a.h5", patch_of(0, 25), patch_of(25, 60, missing))
    with pytest.raises(SamplingError, match=r"1 gap\(s\)"):
        pn.read(path)
    archive = io.open_archive(path)
    assert [item.num_samples for item in archive.recordings] == [25, 35]
    assert archive.coverage["status"].tolist() == ["gap"]
    assert len(pn.describe(path).gaps) == 1
    second = pn.read(path, time=(archive.recordings[1].start_time, None))
    assert_same(second, archive.recordings[1])


def test_an_overlap_gives_each_sample_once_in_both(tmp_path: Path) -> None:
    path = dasdae(tmp_path / "a.h5", patch_of(0, 30), patch_of(25, 60))
    with pytest.warns(UserWarning, match="overlap"):
        patch = pn.read(path)
    archive = io.open_archive(path)
    assert_same(patch, archive.recordings[0])
    assert archive.coverage["status"].tolist() == ["overlapped"]


def objects(tmp_path: Path, *patches: dascore.Patch) -> dict[str, object]:
    """The patches as a list, a spool in memory and a spool of files."""
    folder = tmp_path / "spool"
    folder.mkdir()
    for number, patch in enumerate(patches):
        dasdae(folder / f"{number}.h5", patch)
    return {
        "list": list(patches),
        "memory": dascore.spool(list(patches)),
        "files": dascore.spool(folder).update(),
    }


@pytest.mark.parametrize("kind", ["list", "memory", "files"])
def test_spools_and_lists_of_patches_are_merged(tmp_path: Path, kind: str) -> None:
    source = objects(tmp_path, patch_of(0, 25), patch_of(25, 60))[kind]
    patch = pn.read(source)
    np.testing.assert_array_equal(patch.data, waves())
    assert io.get_station_id(patch) == "DAS"
    both(source)
    both(source, station_id="CABLE")


@pytest.mark.parametrize("kind", ["list", "memory", "files"])
def test_a_gap_between_patches_is_named(tmp_path: Path, kind: str) -> None:
    source = objects(tmp_path, patch_of(0, 25), patch_of(30, 60))[kind]
    with pytest.raises(SamplingError, match=r"1 gap\(s\)"):
        pn.read(source)
    assert [item.num_samples for item in io.open_archive(source).recordings] == [25, 30]


def test_an_empty_list_and_an_empty_spool_hold_nothing() -> None:
    for source in ([], dascore.spool([])):
        with pytest.raises(DataFormatError):
            pn.read(source)
        with pytest.raises(DataFormatError):
            io.open_archive(source)


@pytest.mark.parametrize("source", [waves(), 5, None, [5], {"a": 1}, object()])
def test_what_is_no_source_is_named_by_its_type(source: object) -> None:
    kind = type(source[0] if isinstance(source, list) else source).__name__
    for door in (pn.read, io.open_archive):
        with pytest.raises(DataFormatError, match=f"{kind} is not a source of DAS data"):
            door(source)


def nameless(path: Path, first: int, last: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    patch = io.make_patch(
        waves()[:, first:last], start_time=START + np.timedelta64(10 * first, "ms"), dt_s=DT_S
    )
    return io.write_quakeflow(patch, path)


def test_a_cable_without_a_name_is_called_after_its_file_or_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = (nameless(tmp_path / "my cable" / f"{k}.h5", 30 * k, 30 * (k + 1)) for k in range(2))
    caplog.set_level("INFO", logger="phasenet_das")
    assert io.get_station_id(pn.read(one)) == "0"
    assert "do not name their cable: it is called 0" in caplog.text
    assert [item.station_id for item in io.open_archive(one).recordings] == ["0"]
    for inputs in (tmp_path / "my cable", tmp_path / "my cable" / "*.h5", [one, two]):
        (recording,) = io.open_archive(inputs).recordings
        assert (recording.station_id, recording.num_samples) == ("my-cable", 60)
    assert io.get_station_id(pn.read([one, two])) == "my-cable"
    for stated in ("CABLE",):
        assert io.get_station_id(pn.read(one, station_id=stated)) == stated
        (recording,) = io.open_archive(one, DataSettings(station_id=stated)).recordings
        assert recording.station_id == stated


def test_a_picker_takes_what_the_readers_take() -> None:
    picker = small_picker("window")
    data = np.random.default_rng(2).standard_normal((5, 4000)).astype(np.float32)
    whole = io.make_patch(data, start_time=START, dt_s=DT_S, station_id="A")
    middle = START + np.timedelta64(17, "s")
    halves = [io.read(whole, time=span) for span in ((None, middle), (middle, None))]
    expected = picker.pick(whole)
    assert len(expected) > 5
    for source in (halves, halves[::-1], dascore.spool(halves), io.open_archive(halves)):
        assert_same_picks(expected, picker.pick(source))


@pytest.mark.parametrize("off_samples", [-0.4, 0.3])
def test_a_trace_that_continues_within_half_a_sample_is_joined_by_both(
    tmp_path: Path, off_samples: float
) -> None:
    stream = make_stream()
    begin = stream[0].stats.starttime
    first = stream.slice(endtime=begin + 24 * STREAM_DT_S)
    later = stream.slice(starttime=begin + 25 * STREAM_DT_S)
    for trace in later:
        trace.stats.starttime += off_samples * STREAM_DT_S
    parts = obspy.Stream(list(first) + list(later))
    parts.write(str(tmp_path / "a.mseed"), format="MSEED")
    np.testing.assert_array_equal(pn.read(tmp_path / "a.mseed").data, Truth().data)
    both(tmp_path / "a.mseed")
    both(parts)


def test_one_sample_has_the_interval_that_is_stated() -> None:
    xarray = pytest.importorskip("xarray")
    coords = {"time": [START], "distance": 2.0 * np.arange(5)}
    array = xarray.DataArray(waves()[:, :1], coords, ("distance", "time"))
    with pytest.raises(MissingMetadataError, match="dt_s="):
        pn.read(array)
    assert io.get_dt_s(pn.read(array, dt_s=0.5)) == pytest.approx(0.5)
