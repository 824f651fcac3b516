"""What is missing, broken or contradictory is a typed error that names the source and the way out."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dascore
import h5py
import numpy as np
import pytest

from phasenet_das.errors import (
    ChannelGeometryError,
    ConfigError,
    DataFormatError,
    MissingMetadataError,
    MissingPackageError,
    SamplingError,
    UnitError,
)
from phasenet_das.io import (
    describe,
    get_channel_index,
    get_channel_status,
    get_distance_m,
    get_dt_s,
    get_station_id,
    get_times,
    get_unit,
    make_patch,
    read,
    write_quakeflow,
)
from phasenet_das.io.archive import open_archive
from tests.io.das_sources import ATTRS, DT_S, FIRST_CHANNEL, START, make_stream, own_patch, write_h5


def waves() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((7, 60)).astype(np.float32)


def h5(path: Path, data: np.ndarray | None = None, /, **changes: Any) -> Path:
    """Write the usual file with some attributes changed, or removed with None."""
    attrs = {name: value for name, value in {**ATTRS, **changes}.items() if value is not None}
    return write_h5(path / "file.h5", waves() if data is None else data, **attrs)


@pytest.mark.parametrize(
    "found", [None, "unknown (5 s cut around the event)", "1970-01-01T00:00:00", "", 1.7e9, "NaT"]
)
def test_a_start_time_that_is_none_must_be_stated(tmp_path: Path, found: Any):
    path = h5(tmp_path, begin_time=found, end_time=None)
    with pytest.raises(MissingMetadataError, match=r"start_time= \(--start-time") as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert get_times(read(path, start_time=str(START)))[0] == START


def test_a_start_in_1970_that_was_stated_is_kept(tmp_path: Path):
    patch = read(h5(tmp_path, begin_time=None, end_time=None), start_time="1970-01-01")
    assert read(read(patch), channels=(40, 42)).shape == (2, 60)


def test_a_missing_interval_must_be_stated(tmp_path: Path):
    path = h5(tmp_path, dt_s=None)
    with pytest.raises(MissingMetadataError, match="dt_s="):
        read(path)
    assert get_dt_s(read(path, dt_s=DT_S)) == pytest.approx(DT_S)
    assert describe(path).dt_s is None


@pytest.mark.parametrize("dt_s", [0.0, -0.01, np.inf])
def test_an_interval_that_is_not_positive_is_refused(tmp_path: Path, dt_s: float):
    with pytest.raises(SamplingError, match="positive"):
        read(h5(tmp_path, dt_s=dt_s))


def test_a_zero_interval_may_be_stated_but_not_a_negative_one_overruled(tmp_path: Path):
    assert get_dt_s(read(h5(tmp_path, dt_s=0.0), dt_s=0.01)) == pytest.approx(0.01)
    with pytest.raises(SamplingError, match="positive"):
        read(h5(tmp_path, dt_s=-0.01), dt_s=0.01)
    with pytest.raises(SamplingError, match="positive"):
        read(h5(tmp_path), dt_s=0.0)


def test_interval_and_rate_must_agree(tmp_path: Path):
    with pytest.raises(SamplingError, match="contradict"):
        read(h5(tmp_path, sampling_rate_hz=100.0))
    with pytest.raises(SamplingError, match="sampling_rate_hz"):
        read(h5(tmp_path, dt_s=None, sampling_rate_hz=0.0))


@pytest.mark.parametrize(
    ("stated", "error", "message"),
    [
        ({"dt_s": 0.005}, SamplingError, "dt_s=0.005 was stated"),
        ({"start_time": "2024-01-01"}, ConfigError, "was stated, but the file says"),
        ({"start_time": "soon"}, ConfigError, "not a time"),
        ({"dx_m": 5.0}, ChannelGeometryError, "dx_m=5.0 was stated"),
        ({"dx_m": -1.0}, ChannelGeometryError, "positive"),
        ({"first_channel": 0}, ChannelGeometryError, "first channel is 40"),
        ({"unit": "strain/s"}, UnitError, "'strain/s' was stated"),
        ({"unit": "strain/s"}, UnitError, "in a run of their own. If all files state their unit, leave the"),
        ({"dt_s": "0.004"}, SamplingError, "'0.004', expected a positive number"),
        ({"dx_m": "2.5"}, ChannelGeometryError, "dx_m='2.5' was stated"),
        ({"unit": 5}, UnitError, "found 5, expected text"),
    ],
)
def test_a_statement_against_the_file_is_an_error(
    tmp_path: Path, stated: dict, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        read(h5(tmp_path), **stated)


@pytest.mark.parametrize("first", [-3, 1.5, "40"])
def test_a_first_channel_below_zero_is_refused(tmp_path: Path, first: Any):
    with pytest.raises(ChannelGeometryError, match="whole number from 0 on"):
        read(h5(tmp_path, first_channel=None), first_channel=first)


def test_a_statement_that_agrees_is_fine(tmp_path: Path):
    agreed = {"dt_s": DT_S * (1 + 1e-9), "start_time": START + np.timedelta64(1, "ms"), "dx_m": 2.501}
    patch = read(h5(tmp_path), **agreed, first_channel=FIRST_CHANNEL, unit="meter/second")
    assert get_times(patch)[0] == START
    assert get_distance_m(patch)[1] - get_distance_m(patch)[0] == pytest.approx(2.5)


def test_a_unit_in_words_and_a_station_name_may_be_replaced(tmp_path: Path):
    patch = read(h5(tmp_path, unit="raw counts (strain-rate-like)"), unit="counts", station_id="OTHER")
    assert (get_unit(patch), get_station_id(patch)) == ("counts", "OTHER")


def test_missing_unit_and_geometry_are_recorded_as_unknown(tmp_path: Path):
    patch = read(h5(tmp_path, unit=None, dx_m=None, first_channel=None))
    assert get_unit(patch) == "unknown"
    assert patch.dims == ("channel", "time")
    assert get_channel_index(patch).tolist() == list(range(7))
    zero = read(h5(tmp_path, dx_m=0.0))
    assert np.isnan(get_distance_m(zero)).all()
    assert get_distance_m(read(h5(tmp_path, dx_m=np.nan), dx_m=4.0))[0] == 160.0


def test_negative_spacing_is_refused(tmp_path: Path):
    with pytest.raises(ChannelGeometryError, match=r"dx_m -2.5"):
        read(h5(tmp_path, dx_m=-2.5))


def test_dims_that_name_no_time_are_refused(tmp_path: Path):
    with pytest.raises(DataFormatError, match="channel,time"):
        read(h5(tmp_path, dims="x,y"))


@pytest.mark.parametrize(("dims", "nt", "nch"), [("channel,time", 7, 60), ("time,channel", 60, 7)])
def test_dims_against_the_counts_are_refused(tmp_path: Path, dims: str, nt: int, nch: int):
    with pytest.raises(DataFormatError, match="say the reverse"):
        read(h5(tmp_path, dims=dims, nt=nt, nch=nch))


def test_an_attribute_of_the_wrong_kind_is_named(tmp_path: Path):
    with pytest.raises(DataFormatError, match="attribute dt_s is 'fast'"):
        read(h5(tmp_path, dt_s="fast"))


def test_an_end_that_does_not_fit_is_a_warning(tmp_path: Path):
    path = h5(tmp_path, end_time="2023-04-05T06:07:10+00:00")
    with pytest.warns(UserWarning, match="end_time is"):
        patch = read(path)
    assert patch.shape == (7, 60)
    assert any("end_time" in note for note in describe(path).warnings)


def test_the_time_of_the_last_sample_is_also_an_end(tmp_path: Path):
    assert describe(h5(tmp_path, end_time="2023-04-05T06:07:08.486")).warnings == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, 10), np.float32), "no samples"),
        (np.zeros((2, 5), complex), "real numbers"),
        (np.full((2, 5), b"x"), "real numbers"),
    ],
)
def test_datasets_without_usable_numbers_are_refused(tmp_path: Path, data: np.ndarray, message: str):
    with pytest.raises(DataFormatError, match=message):
        read(h5(tmp_path, data))


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_a_recording_without_any_living_channel_is_refused(tmp_path: Path, value: float):
    path = h5(tmp_path, np.full((3, 20), value), end_time=None)
    with pytest.raises(DataFormatError, match="all 3 channels are dead"):
        read(path)
    found = describe(path)
    assert len(found.dead_channels) + len(found.nonfinite_channels) == 3
    patch = make_patch(np.full((3, 20), value), start_time=START, dt_s=DT_S)
    with pytest.raises(DataFormatError, match="all 3 channels are dead"):
        read(patch)


def test_some_bad_channels_are_flagged(tmp_path: Path):
    data = waves()
    data[0], data[3, 5] = 0, np.nan
    path = h5(tmp_path, data)
    assert get_channel_status(read(path)).tolist() == ["dead", "ok", "ok", "nonfinite", "ok", "ok", "ok"]
    found = describe(path)
    assert (found.dead_channels, found.nonfinite_channels) == ((40,), (43,))


def test_ranges_that_hold_nothing_are_refused(tmp_path: Path):
    path = h5(tmp_path)
    with pytest.raises(ChannelGeometryError, match="40 to 46"):
        read(path, channels=(0, 7))
    with pytest.raises(ConfigError, match=r"no data. Expected a part of 2"):
        read(path, time=("2034-01-01", None))
    with pytest.raises(ConfigError, match="no sample"):
        read(path, time=(START + np.timedelta64(100, "ms"), START + np.timedelta64(50, "ms")))
    with pytest.raises(ConfigError, match="not a time"):
        read(path, time=("soon", None))
    with pytest.raises(ConfigError, match="step"):
        read(path, channels=slice(40, 46, 2))


@pytest.mark.parametrize("channels", [5, (0, 5, 1), ("a", "b"), "ab", slice("a", "b")])
def test_a_range_of_channels_that_is_none_is_refused(channels: Any):
    with pytest.raises(ConfigError, match=r"channels=.*Expected \(first, last \+ 1\)"):
        read(own_patch(), channels=channels)


@pytest.mark.parametrize("time", ["2024", 5, ("2024-01-01",), slice(None, None)])
def test_a_range_of_times_that_is_none_is_refused(time: Any):
    for look in (read, describe):
        with pytest.raises(ConfigError, match=r"time=.*Expected \(start, end\)"):
            look(own_patch(), time=time)


def test_a_folder_a_missing_file_and_an_empty_one(tmp_path: Path):
    with pytest.raises(DataFormatError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(DataFormatError, match="no such file"):
        read(tmp_path / "nothing.h5")
    (tmp_path / "empty.h5").touch()
    with pytest.raises(DataFormatError, match="empty"):
        read(tmp_path / "empty.h5")


@pytest.mark.parametrize(
    "content",
    [
        b"time,station,phase\n2020-01-01,A,P\n",
        b"\x00" * 5000,
        bytes(range(256)) * 20,
        b"\x89PNG\r\n\x1a\n" + b"\x01" * 99,
    ],
)
@pytest.mark.parametrize("name", ["file.csv", "file.h5", "file.tdms", "file.sgy", "file.mseed", "file"])
def test_files_that_are_not_das_are_refused(tmp_path: Path, name: str, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=r"Expected|copy it again|Copy") as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_pickle_is_never_opened(tmp_path: Path):
    path = tmp_path / "patch.pkl"
    path.write_bytes(pickle.dumps(own_patch()))
    with pytest.raises(DataFormatError, match="pickle"):
        read(path)


def test_hdf5_of_something_else_is_refused(tmp_path: Path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["weights/layer"] = np.zeros((3, 3))
    with pytest.raises(DataFormatError, match="dataset 'data'"):
        read(path)


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.95])
def test_truncated_hdf5_is_refused(tmp_path: Path, kept: float):
    path = h5(tmp_path, np.tile(waves(), (20, 30)), end_time=None)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataFormatError, match="copy it again"):
        read(path)


@pytest.mark.parametrize("kept", [700, 1000, 1500])
def test_truncated_miniseed_is_refused(tmp_path: Path, kept: int):
    path = tmp_path / "file.mseed"
    make_stream().write(str(path), format="MSEED", reclen=512)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataFormatError, match="Copy"):
        read(path)


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore:Failed to scan:UserWarning")
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.98])
@pytest.mark.parametrize(
    "name",
    [
        *(
            "prodml_2.0.h5",
            "silixa_h5_1.hdf5",
            "terra15_v5_test_file.hdf5",
            "valencia_febus_example.h5",
            "gdr_1.h5",
        ),
        *(
            "decimated_optodas.hdf5",
            "xdas_netcdf.nc",
            "sample_tdms_file_v4713.tdms",
            "small_channel_patch.sgy",
        ),
        "etna_9n_3chan_10s.mseed",
    ],
)
def test_truncated_vendor_files_are_refused(shared: Path, tmp_path: Path, name: str, kept: float):
    content = (shared / "data/vendor_formats" / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataFormatError, match=r"copy|Copy|Expected"):
        read(path, start_time="2020-01-01" if "prodml" in name else None)


@pytest.mark.shared
def test_other_files_of_the_shared_folder_are_refused(shared: Path):
    for name in ("das_events/eye_picks.csv", "waveforms3c/phasenet_ncedc_154.h5", "README.md"):
        with pytest.raises((DataFormatError, MissingMetadataError)):
            read(shared / "data" / name)


@pytest.mark.parametrize("source", [waves(), 5, None, [5]])
def test_other_objects_are_refused(source: Any):
    with pytest.raises(DataFormatError, match="Expected a path"):
        read(source)


def test_packages_that_are_missing_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("phasenet_das.io.formats.arrays.find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match="pip install daspy-toolbox"):
        read("daspy:example")
    path = write_h5(tmp_path / "a.nc", waves(), name="__values__")
    with h5py.File(path, "a") as file:
        file.attrs["Conventions"] = "CF-1.9"
    with pytest.raises(MissingPackageError, match="pip install xdas"):
        read(path)


# --- streams


def test_a_gap_in_one_trace_is_named_and_not_bridged():
    stream = make_stream()
    begin = stream[2].stats.starttime
    gappy = stream.copy()
    gappy.traces = [tr for tr in stream if tr is not stream[2]]
    gappy += stream[2].slice(endtime=begin + 20 * DT_S) + stream[2].slice(starttime=begin + 40 * DT_S)
    with pytest.raises(SamplingError, match=r"1 gap\(s\).*XX.00042"):
        read(gappy)
    late = read(gappy, time=(START + np.timedelta64(int(40 * DT_S * 1e9), "ns"), None))
    np.testing.assert_array_equal(late.data, waves()[:, 40:])
    assert describe(gappy).num_samples == 41


def test_a_masked_gap_is_a_gap():
    stream = make_stream()
    for trace in stream:
        trace.data = np.ma.masked_array(trace.data, mask=np.arange(60) // 10 == 3)
    with pytest.raises(SamplingError, match=r"1 gap\(s\)"):
        read(stream)
    assert [item.astype("M8[ms]") for item in describe(stream).gaps[0]] == [
        (START + np.timedelta64(int(k * DT_S * 1e9), "ns")).astype("M8[ms]") for k in (30, 40)
    ]


def test_traces_that_overlap_are_refused():
    stream = make_stream()
    stream += stream[0].slice(starttime=stream[0].stats.starttime + 10 * DT_S)
    with pytest.raises(SamplingError, match="overlap"):
        read(stream)


def test_traces_of_another_rate_are_named():
    stream = make_stream()
    stream[4].stats.delta = 0.005
    with pytest.raises(SamplingError, match=r"1 of 7 traces.*XX.00044"):
        read(stream)


def test_traces_beside_the_common_axis_are_named():
    stream = make_stream()
    stream[4].stats.starttime -= 0.4 * DT_S
    with (
        pytest.raises(SamplingError, match=r"XX.00044.*intervals beside"),
        pytest.warns(UserWarning, match="traces differ in span"),
    ):
        read(stream)


def test_ragged_ends_are_cut_with_a_warning_and_refused_when_long():
    stream = make_stream()
    stream[1].trim(endtime=stream[1].stats.endtime - 2 * DT_S)
    with pytest.warns(UserWarning, match=r"XX.00041..HSF ends"):
        assert read(stream).shape == (7, 58)
    stream[1].trim(endtime=stream[1].stats.endtime - 20 * DT_S)
    with pytest.raises(SamplingError, match=r"XX.00041..HSF ends"):
        read(stream)


def test_three_components_are_not_a_cable():
    stream = make_stream()
    for trace, channel in zip(stream[:3], "ZNE", strict=True):
        trace.stats.station, trace.stats.channel = "PASC", f"HH{channel}"
    with pytest.raises(DataFormatError, match="several components"):
        read(stream)


def test_station_codes_without_numbers_count_from_zero_and_say_so():
    stream = make_stream()
    for trace, code in zip(stream, "ABCDEFG", strict=True):
        trace.stats.station = code
    with pytest.warns(UserWarning, match=r"numbered|0 to 6"):
        assert get_channel_index(read(stream)).tolist() == list(range(7))


def test_letters_before_the_number_are_allowed():
    stream = make_stream(prefix="D")
    for trace, number in zip(stream, range(40, 47), strict=True):
        trace.stats.station = f"D{number:04d}"
    assert get_channel_index(read(stream)).tolist() == list(range(40, 47))


def test_an_empty_stream_is_refused():
    with pytest.raises(DataFormatError, match="no samples"):
        read(make_stream().__class__())


# --- patches and arrays


def raw_patch(times: np.ndarray) -> dascore.Patch:
    coords = {"time": times, "distance": np.arange(7) * 2.0}
    return dascore.Patch(data=waves()[:, : len(times)], coords=coords, dims=("distance", "time"))


def test_a_gap_in_a_patch_is_named_and_each_side_can_be_read():
    steps = np.concatenate([np.arange(20), np.arange(50, 90)])
    patch = raw_patch(START + (steps * DT_S * 1e9).astype("timedelta64[ns]"))
    with pytest.raises(SamplingError, match=r"1 gap\(s\)"):
        read(patch)
    np.testing.assert_array_equal(
        read(patch, time=(None, START + np.timedelta64(100, "ms"))).data, waves()[:, :20]
    )
    assert len(describe(patch).gaps) == 1


def test_an_irregular_or_reversed_patch_is_refused():
    offsets = np.cumsum(np.random.default_rng(0).uniform(0.5, 1.4, 60))
    with pytest.raises(SamplingError, match="irregular"):
        read(raw_patch(START + (offsets * 4e6).astype("timedelta64[ns]")))
    with pytest.raises(SamplingError, match="does not increase"):
        read(raw_patch(START + (np.arange(60)[::-1] * 4e6).astype("timedelta64[ns]")))


def test_a_foreign_patch_that_starts_in_1970_is_not_believed():
    times = np.datetime64(0, "ns") + (np.arange(60) * 4e6).astype("timedelta64[ns]")
    with pytest.raises(MissingMetadataError, match="1970-01-01"):
        read(raw_patch(times))
    assert get_times(read(raw_patch(times), start_time=START))[0] == START


@pytest.mark.parametrize("time_first", [True, False])
def test_a_gap_in_an_xdas_array_is_named(time_first: bool):
    xdas = pytest.importorskip("xdas")
    values = START + np.array([0, 76, 400, 556], "m8[ms]")
    time = {"tie_indices": [0, 19, 20, 59], "tie_values": values}
    array = xdas.DataArray(waves().T.copy(), {"time": time, "distance": np.arange(7.0)})
    array = array if time_first else array.transpose("distance", "time")
    with pytest.raises(SamplingError, match=r"1 gap\(s\)"):
        read(array)
    np.testing.assert_array_equal(read(array, time=(values[2], None)).data, waves()[:, 20:])


def test_a_dataarray_without_coordinates_needs_both_statements():
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(waves().T, dims=("time", "channel"))
    with pytest.raises(MissingMetadataError, match="dt_s="):
        read(array, start_time=START)
    patch = read(array, start_time=START, dt_s=DT_S)
    np.testing.assert_array_equal(patch.data, waves())


def test_a_dataarray_of_other_dims_is_refused():
    xarray = pytest.importorskip("xarray")
    with pytest.raises(DataFormatError, match="Rename the dims"):
        read(xarray.DataArray(waves(), dims=("x", "time")))


@pytest.fixture(params=["patch", "own patch", "dasdae", "scan of dasdae", "xarray"])
def distances_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], np.ndarray]:
    """Distances as read, of a source whose coordinate 0, 1, … 6 is in a unit."""

    def get(unit: str) -> np.ndarray:
        times = START + (np.arange(60) * 4_000_000).astype("timedelta64[ns]")
        if request.param == "xarray":
            xarray = pytest.importorskip("xarray")
            coords = {"distance": ("distance", np.arange(7.0), {"units": unit}), "time": times}
            return get_distance_m(read(xarray.DataArray(waves(), coords, ("distance", "time"))))
        if request.param == "own patch":
            own = make_patch(waves(), start_time=START, dt_s=DT_S, distance_m=np.arange(7.0))
            return get_distance_m(read(own.set_units(distance=unit)))
        coords = {"distance": np.arange(7.0), "time": times}
        patch = dascore.Patch(waves(), coords, ("distance", "time")).set_units(distance=unit)
        if request.param == "patch":
            return get_distance_m(read(patch))
        path = tmp_path / "a.h5"
        patch.io.write(path, "dasdae")
        if request.param == "dasdae":
            return get_distance_m(read(path))
        return open_archive([path], strict=True).recordings[0].distance_m

    return get


@pytest.mark.parametrize(("unit", "last_m"), [("m", 6.0), ("km", 6000.0), ("feet", 1.8288)])
def test_distances_of_any_length_unit_are_read_in_metres(
    distances_of: Callable[[str], np.ndarray], unit: str, last_m: float
):
    assert distances_of(unit)[-1] == pytest.approx(last_m, rel=1e-12)


def test_a_distance_that_is_no_length_is_refused(distances_of: Callable[[str], np.ndarray]):
    with pytest.raises(UnitError, match=r"distance is in '(second|1 s)', expected a unit of length"):
        distances_of("second")


def counting(numbers: np.ndarray, unit: str | None, kind: str) -> Any:
    """Make an array whose time coordinate counts in a unit."""
    coords = {"distance": np.arange(7.0), "time": numbers}
    if kind == "patch":
        patch = dascore.Patch(waves(), coords, ("distance", "time"))
        return patch if unit is None else patch.set_units(time=unit)
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(waves(), coords, ("distance", "time"))
    if unit is not None:
        array["time"].attrs["units"] = unit
    return array


@pytest.mark.parametrize("kind", ["patch", "xarray"])
@pytest.mark.parametrize(
    ("unit", "each_ns", "dtype"),
    [
        ("s", 1e9, float),
        ("ms", 1e6, int),
        ("us", 1e3, int),
        ("ns", 1, int),
        ("ns", 1, float),
        ("min", 6e10, float),
    ],
)
def test_times_that_are_numbers_count_in_their_unit(kind: str, unit: str, each_ns: float, dtype: type):
    ns = START.astype(np.int64) + 4_000_000 * np.arange(60)
    patch = read(counting(ns // int(each_ns) if dtype is int else ns / each_ns, unit, kind))
    missed_ns = np.abs(get_times(patch).astype(np.int64) - ns)
    assert missed_ns.max() <= (200 if dtype is int else 20_000)  # what dascore's ranges and float64 leave
    assert get_dt_s(patch) == pytest.approx(DT_S, rel=1e-4)


def test_times_may_count_from_a_date():
    patch = read(counting(8.25 + DT_S * np.arange(60), "seconds since 2023-04-05 06:07:00", "xarray"))
    assert get_times(patch)[0] == START
    without = counting(DT_S * np.arange(60), "s", "xarray")
    with pytest.raises(MissingMetadataError, match="no usable start time"):
        read(without)
    assert get_times(read(without, start_time=START))[-1] == START + np.timedelta64(236, "ms")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("numbers", "unit", "error", "message"),
    [
        (DT_S * np.arange(60), None, MissingMetadataError, "without a unit.*to_datetime"),
        (START.astype(np.int64) + 4_000_000 * np.arange(60), "s", UnitError, "in 's' and runs to 1680"),
        (np.where(np.arange(60) == 5, np.nan, DT_S * np.arange(60)), "s", UnitError, "runs to nan"),
        (DT_S * np.arange(60), "m", UnitError, "time is in 'm', expected s, ms"),
        (DT_S * np.arange(60), "seconds since noon", UnitError, "'seconds since noon', expected"),
    ],
)
def test_times_of_no_or_another_unit_are_refused(
    numbers: np.ndarray, unit: str | None, error: type[Exception], message: str
):
    with pytest.raises(error, match=message):
        read(counting(numbers, unit, "xarray"))


def test_a_file_whose_times_are_bare_numbers_is_refused_for_that(tmp_path: Path):
    counting(DT_S * np.arange(60), None, "patch").io.write(tmp_path / "a.h5", "dasdae")
    for look in (read, lambda path: open_archive([path], strict=True)):
        with pytest.raises(MissingMetadataError, match=r"a\.h5: time is bare numbers"):
            look(tmp_path / "a.h5")


# --- files with several patches


def dasdae(path: Path, *patches: dascore.Patch) -> Path:
    named = [patch.update_attrs(tag=str(k)) for k, patch in enumerate(patches)]
    dascore.write(dascore.spool(named), path, "dasdae")
    return path


def piece(first: int, last: int, distance: float = 0.0) -> dascore.Patch:
    times = START + (np.arange(first, last) * 4_000_000).astype("timedelta64[ns]")
    coords = {"time": times, "distance": distance + np.arange(7) * 2.0}
    return dascore.Patch(data=waves()[:, first:last].T, coords=coords, dims=("time", "distance"))


def test_contiguous_patches_of_one_file_are_merged(tmp_path: Path):
    patch = read(dasdae(tmp_path / "a.h5", piece(0, 25), piece(25, 60)))
    np.testing.assert_array_equal(patch.data, waves())
    part = read(
        dasdae(tmp_path / "b.h5", piece(0, 25), piece(25, 60)),
        channels=(2, 4),
        time=(START + np.timedelta64(80, "ms"), START + np.timedelta64(120, "ms")),
    )
    np.testing.assert_array_equal(part.data, waves()[2:4, 20:30])


def test_patches_with_a_gap_are_not_merged(tmp_path: Path):
    with pytest.raises(SamplingError, match=r"1 gap\(s\)"):
        read(dasdae(tmp_path / "a.h5", piece(0, 25), piece(26, 60)))


def test_patches_that_overlap_give_each_sample_once_and_say_so(tmp_path: Path):
    with pytest.warns(UserWarning, match="first 5 of 40 samples overlap"):
        patch = read(dasdae(tmp_path / "a.h5", piece(0, 25), piece(20, 60)))
    np.testing.assert_array_equal(patch.data, waves())


def test_several_cables_in_one_file_are_refused(tmp_path: Path):
    with pytest.raises(DataFormatError, match="one cable"):
        read(dasdae(tmp_path / "a.h5", piece(0, 30), piece(0, 30, distance=500.0)))


# --- prodml


def prodml(path: Path, text: str, first_us: int, first_locus: int) -> Path:
    """Write the least that dascore takes for ProdML 2.0."""
    end = (
        "1970-01-01T00:00:00.236000+00:00" if text.startswith("1970") else "2021-03-04T05:06:07.236000+00:00"
    )
    with h5py.File(path, "w") as file:
        acquisition = file.create_group("Acquisition")
        acquisition.attrs.update(
            {
                "schemaVersion": b"2.0",
                "uuid": b"0",
                "GaugeLength": 10.0,
                "GaugeLengthUnit": b"m",
                "PulseWidth": 50.0,
                "PulseWidthUnit": b"ns",
                "PulseRate": 4000.0,
                "SpatialSamplingInterval": 2.0,
                "SpatialSamplingIntervalUnit": b"m",
                "StartLocusIndex": first_locus,
                "NumberOfLoci": 7,
            }
        )
        raw = acquisition.create_group("Raw[0]")
        raw.attrs.update({"RawDataUnit": b"nm/m/s", "RawDescription": b"Strain rate", "NumberOfLoci": 7})
        raw["RawData"] = waves().T
        raw["RawData"].attrs["Dimensions"] = [b"time", b"locus"]
        raw["RawDataTime"] = first_us + 4000 * np.arange(60)
        raw["RawDataTime"].attrs.update({"PartStartTime": text.encode(), "PartEndTime": end.encode()})
    return path


def test_prodml_takes_the_start_from_the_time_array_when_its_text_says_1970(tmp_path: Path):
    start = np.datetime64("2021-03-04T05:06:07", "us")
    path = prodml(tmp_path / "a.h5", "1970-01-01T00:00:00.000000+00:00", int(start.astype(np.int64)), 12)
    patch = read(path)
    assert get_times(patch)[0] == start
    np.testing.assert_array_equal(patch.data, waves())
    assert get_channel_index(patch).tolist() == list(range(12, 19))


def test_prodml_that_says_1970_everywhere_needs_a_start(tmp_path: Path):
    path = prodml(tmp_path / "a.h5", "1970-01-01T00:00:00.000000+00:00", 0, -3)
    with pytest.raises(MissingMetadataError, match="1970"):
        read(path)
    assert get_channel_index(read(path, start_time=START)).tolist() == list(range(7))


# --- the order of axes


def transposed(path: Path, shape: tuple[int, int] = (500, 20), **attrs: Any) -> Path:
    data = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    return write_h5(path, data, begin_time=str(START), dt_s=DT_S, dx_m=2.0, unit="m/s", **attrs)


def test_far_more_channels_than_samples_are_warned_about(tmp_path: Path):
    path = transposed(tmp_path / "a.h5")
    with pytest.warns(UserWarning, match=r"500 channels of 20 samples, since nothing says.*'time,channel'"):
        assert read(path).shape == (500, 20)
    assert "500 channels of 20" in describe(path).warnings[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "attrs",
    [
        {"dims": "channel,time"},
        {"dims": "time,channel"},
        {"nt": 20},
        {"end_time": str(START + np.timedelta64(80, "ms"))},
        {"shape": (150, 20)},
    ],
    ids=lambda attrs: next(iter(attrs)),
)
def test_an_order_that_is_stated_or_likely_is_not_warned_about(tmp_path: Path, attrs: dict[str, Any]):
    read(transposed(tmp_path / "a.h5", **attrs))


# --- writing


@pytest.mark.parametrize(
    "distance_m",
    [
        100.0 - 5.0 * np.arange(7),  # decreasing
        40_000.0 + 10.0 * np.arange(7) + [0, 0.3, 0, 0, 0, 0, 0],  # off by less than 1e-5 of the distance
        [0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 10.0],  # most of them at one place
    ],
)
def test_written_distances_are_read_back(tmp_path: Path, distance_m: Any):
    patch = make_patch(
        waves(), start_time=START, dt_s=DT_S, distance_m=distance_m, channel_index=4000 + np.arange(7)
    )
    again = read(write_quakeflow(patch, tmp_path / "a.h5"))
    np.testing.assert_allclose(get_distance_m(again), distance_m, rtol=0, atol=1e-6)


def test_numbers_and_distances_without_order_survive_a_file(tmp_path: Path):
    patch = make_patch(
        waves(),
        start_time=START,
        dt_s=DT_S,
        channel_index=[9, 3, 4, 20, 21, 30, 2],
        distance_m=[5, 1, 2, 9, 11, 40, 0],
    )
    again = read(write_quakeflow(patch, tmp_path / "a.h5"))
    assert get_channel_index(again).tolist() == [9, 3, 4, 20, 21, 30, 2]
    np.testing.assert_array_equal(get_distance_m(again), get_distance_m(patch))
    part = read(tmp_path / "a.h5", channels=(3, 10))
    assert get_channel_index(part).tolist() == [9, 3, 4]
    np.testing.assert_array_equal(part.data, waves()[:3])


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path):
    with pytest.raises(ChannelGeometryError):
        write_quakeflow(
            raw_patch(START + (np.arange(60) * 4_000_000).astype("timedelta64[ns]")), tmp_path / "a.h5"
        )
    assert list(tmp_path.iterdir()) == []


def test_event_attributes_survive_a_file(tmp_path: Path):
    patch = make_patch(waves(), start_time=START, dt_s=DT_S, attrs={"event_id": "nc1", "magnitude": 1.5})
    again = read(write_quakeflow(patch, tmp_path / "a.h5"))
    assert (again.attrs.event_id, again.attrs.magnitude) == ("nc1", 1.5)


def test_an_array_is_sent_to_the_function_that_takes_it():
    with pytest.raises(DataFormatError, match=r"For an array,? use pn\.io\.make_patch\(\)"):
        read(np.zeros((3, 20)))
