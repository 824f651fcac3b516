"""The contract on real files: every vendor format, the earthquakes and the noise records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from phasenet_das.errors import MissingMetadataError, SamplingError
from phasenet_das.io import (
    describe,
    get_channel_index,
    get_channel_status,
    get_data,
    get_distance_m,
    get_dt_s,
    get_times,
    get_unit,
    read,
    write_quakeflow,
)

NOMINAL = {"start_time": "2020-02-02T00:00:00"}


def h5_array(name: str, *, time_first: bool = True) -> Callable[[Path], np.ndarray]:
    """Return the raw array of an HDF5 file as (channel, time), read without the readers under test."""

    def load(path: Path) -> np.ndarray:
        with h5py.File(path) as file:
            array: np.ndarray = file[name][:]
        return array.T if time_first else array

    return load


def febus_array(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        blocks = file["fa1-20050027/Source1/Zone1/SR_Valencia"][:]
    array: np.ndarray = blocks.reshape(-1, blocks.shape[2]).T  # blocks of 1 s, stamped 1 s apart
    return array


def tdms_array(path: Path) -> np.ndarray:
    """Return the samples at the end of the file, behind 122,880 bytes of header."""
    array: np.ndarray = np.fromfile(path, dtype="<i2", offset=122880).reshape(-1, 2432).T
    return array


def segy_array(path: Path) -> np.ndarray:
    segyio = pytest.importorskip("segyio")
    with segyio.open(path, ignore_geometry=True) as file:
        array: np.ndarray = file.trace.raw[:]
    return array


def miniseed_array(path: Path) -> np.ndarray:
    import obspy

    traces = obspy.read(str(path))
    shortest = min(len(trace) for trace in traces)
    return np.stack([trace.data[:shortest] for trace in traces])


@dataclass(frozen=True)
class Real:
    """A file of the shared folder and what is known about it from its header and documentation."""

    path: str
    shape: tuple[int, int]
    start: str
    dt_s: float
    unit: str
    channels: tuple[int, int]
    array: Callable[[Path], np.ndarray]
    dx_m: float | None = None
    stated: dict[str, str] = field(default_factory=dict)


def event(name: str, shape: tuple[int, int], start: str, dt_s: float, unit: str, **known: Any) -> Real:
    known = {"channels": (0, shape[0] - 1), "dx_m": 1.0, "array": h5_array("data", time_first=False)} | known
    return Real(f"das_events/{name}", shape, start, dt_s, unit, **known)


def noise(
    name: str, shape: tuple[int, int], start: str, dt_s: float, unit: str, dx_m: float, **known: Any
) -> Real:
    array = h5_array("data", time_first=False)
    return Real(f"das_noise/{name}", shape, start, dt_s, unit, (0, shape[0] - 1), array, dx_m, **known)


def single(name: str, count: int, start: str, dt_s: float, channel: int) -> Real:
    return Real(f"das_noise/{name}", (1, count), start, dt_s, "unknown", (channel, channel), miniseed_array)


def vendor(name: str, *known: Any, **more: Any) -> Real:
    return Real(f"vendor_formats/{name}", *known, **more)


_FORGE = "raw iDASv3 counts (strain-rate-like)"
_STRAIN_RATE = "strain rate (as stored by DASPy, scale=1)"
FILES = (
    event(
        "brady_porotomo_20160321_M4.3.h5",
        (500, 5000),
        "2016-03-21T07:37:30.532309",
        0.01,
        _STRAIN_RATE,
        channels=(2500, 2999),
    ),
    event(
        "safod_20170630_M2.46.h5",
        (800, 1250),
        "2020-02-02",
        0.004,
        "unscaled (strain-rate-like, unprocessed)",
        stated=NOMINAL,
    ),
    event("forge_7832_eq03.h5", (960, 2000), "2020-02-02", 0.0005, _FORGE, stated=NOMINAL),
    event("forge_7832_eq10.h5", (960, 2000), "2020-02-02", 0.0005, _FORGE, stated=NOMINAL),
    noise("noise_decimated_optodas.h5", (51, 5000), "2023-10-27T14:23:37.02", 0.002, "strain/s", 51.0650095),
    noise("noise_gdr_1.h5", (10, 10000), "2016-03-08T17:40:30.195", 0.001, "raw", 1.021),
    noise(
        "noise_iDAS005_hdf5_example_626.h5",
        (1152, 1000),
        "2019-05-31T08:38:50.626928",
        0.001,
        "counts",
        1.020952,
    ),
    noise(
        "noise_prodml_2_0.h5",
        (512, 2500),
        "2020-02-02",
        0.005,
        "nm/m/s*Hz/m as in ProdML header",
        1.020952,
        stated=NOMINAL,
    ),
    noise(
        "noise_terra15_v5_test_file.h5",
        (43, 2060),
        "2022-08-23T23:09:54.373836288",
        0.000310771,
        "m/s",
        1.6335238,
    ),
    noise(
        "noise_valencia_febus_example.h5",
        (100, 1249),
        "2020-09-02T07:21:46.417666304",
        0.004,
        "nstrain/s",
        16.8,
    ),
    single("geofon_1D_HSF.mseed", 452914, "2021-06-16T16:59:52.248", 0.004, 0),
    single("geofon_5J_HSF.mseed", 1623458, "2020-01-31T00:59:53.3982", 0.01, 133),
    single("geofon_9N_HSF.mseed", 722844, "2018-08-31T07:59:58.842", 0.001, 66),
    single("geofon_ZH_HSF.mseed", 677629, "2021-06-17T22:59:51.5938", 0.004, 76),
    vendor(
        "decimated_optodas.hdf5",
        (51, 5000),
        "2023-10-27T14:23:37.02",
        0.002,
        "strain/s",
        (32500, 35000),
        h5_array("data"),
        51.0650095,
    ),
    vendor(
        "etna_9n_3chan_10s.mseed",
        (3, 13556),
        "2018-08-31T07:01:08.896",
        0.001,
        "unknown",
        (66, 68),
        miniseed_array,
    ),
    vendor(
        "gdr_1.h5",
        (10, 10000),
        "2016-03-08T17:40:30.195",
        0.001,
        "unknown",
        (0, 9),
        h5_array("DasRawData/RawData"),
        1.021,
    ),
    vendor(
        "prodml_2.0.h5",
        (512, 2500),
        "2020-02-02",
        0.005,
        "hertz * nanometer / meter ** 2 / second",
        (0, 511),
        h5_array("Acquisition/Raw[0]/RawData"),
        1.020952,
        NOMINAL,
    ),
    vendor(
        "sample_tdms_file_v4713.tdms",
        (2432, 216),
        "2019-04-15T03:33:35.812034",
        0.002,
        "unknown",
        (0, 2431),
        tdms_array,
        2.041905,
    ),
    vendor(
        "silixa_h5_1.hdf5",
        (3840, 100),
        "2023-09-22T18:29:26.158",
        0.002,
        "unknown",
        (0, 3839),
        h5_array("Acoustic"),
        2.041904,
    ),
    vendor("small_channel_patch.sgy", (10, 20), "2017-09-18", 0.004, "unknown", (0, 9), segy_array),
    vendor(
        "terra15_v5_test_file.hdf5",
        (43, 2060),
        "2022-08-23T23:09:54.373836279",
        0.00031077091744,  # of the first and last stamp
        "meter / second",
        (0, 42),
        h5_array("data_product/data"),
        1.6335238,
    ),
    vendor(
        "valencia_febus_example.h5",
        (100, 2500),
        "2020-09-02T07:21:46.165666342",
        0.004,
        "nanostrain / second",
        (0, 99),
        febus_array,
        16.8,
    ),
    vendor(
        "xdas_netcdf.nc", (401, 300), "2023-01-01", 0.02, "unknown", (0, 400), h5_array("__values__"), 25.0
    ),
)

pytestmark = [
    pytest.mark.shared,
    pytest.mark.filterwarnings("ignore:.*traces differ in span.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*(contradicts itself|samples are used).*:UserWarning"),
]


@pytest.fixture(params=FILES, ids=lambda real: real.path)
def real(request: pytest.FixtureRequest, shared: Path) -> tuple[Real, Path]:
    """Each file in turn; formats of optional packages only where these are installed."""
    found: Real = request.param
    if found.path.endswith(".nc"):
        pytest.importorskip("xdas")
    return found, shared / "data" / found.path


def test_every_file_that_is_listed_is_there(shared: Path):
    names = {real.path for real in FILES} | {"das_noise/geofon_3U_HSF.mseed", "das_events/eye_picks.csv"}
    folders = ("vendor_formats", "das_events", "das_noise")
    assert names <= {
        f"{path.parent.name}/{path.name}" for f in folders for path in (shared / "data" / f).iterdir()
    }


def test_shape_time_unit_and_channels(real: tuple[Real, Path]):
    known, path = real
    patch = read(path, **known.stated)
    times, numbers = get_times(patch), get_channel_index(patch)
    assert patch.shape == known.shape
    assert times[0] == np.datetime64(known.start)
    assert get_dt_s(patch) == pytest.approx(known.dt_s, rel=1e-12)
    ideal = times[0] + np.rint(np.arange(len(times)) * known.dt_s * 1e9).astype("timedelta64[ns]")
    assert np.abs((times - ideal).astype(np.int64)).max() <= 1
    assert (numbers[0], numbers[-1]) == known.channels
    assert get_unit(patch) == known.unit
    spacing = np.diff(get_distance_m(patch))
    assert np.isnan(get_distance_m(patch)).all() if known.dx_m is None else np.allclose(spacing, known.dx_m)


def test_values_are_those_of_the_raw_array(real: tuple[Real, Path]):
    known, path = real
    patch = read(path, **known.stated)
    np.testing.assert_array_equal(patch.data, known.array(path))
    assert get_data(patch).dtype == np.float32
    assert get_data(patch).flags.c_contiguous


def test_a_cut_equals_the_cut_of_the_whole(real: tuple[Real, Path]):
    known, path = real
    whole = read(path, **known.stated)
    numbers, times = get_channel_index(whole), get_times(whole)
    rng = np.random.default_rng(3)
    for _ in range(4):
        first, last = np.sort(rng.integers(0, len(numbers), 2))
        begin, end = np.sort(rng.integers(0, len(times), 2))
        limits = (numbers[first], numbers[last] + 1)
        stop = times[end] + np.timedelta64(round(known.dt_s * 5e8), "ns")
        part = read(path, **known.stated, channels=limits, time=(times[begin], stop))
        np.testing.assert_array_equal(part.data, whole.data[first : last + 1, begin : end + 1])
        np.testing.assert_array_equal(get_channel_index(part), numbers[first : last + 1])
        np.testing.assert_allclose(get_distance_m(part), get_distance_m(whole)[first : last + 1], rtol=1e-12)
        assert np.abs((get_times(part) - times[begin : end + 1]).astype(np.int64)).max() <= 1


def test_description_agrees(real: tuple[Real, Path]):
    known, path = real
    found = describe(path, **known.stated)
    assert (found.num_channels, found.num_samples) == known.shape
    assert (found.first_channel, found.last_channel) == known.channels
    assert found.start_time == np.datetime64(known.start)
    assert found.dt_s == pytest.approx(known.dt_s, rel=1e-12)
    assert found.unit == known.unit
    assert str(path) in str(found)


def test_round_trip(real: tuple[Real, Path], tmp_path: Path):
    known, path = real
    patch = read(path, **known.stated)
    again = read(write_quakeflow(patch, tmp_path / "copy.h5"))
    np.testing.assert_array_equal(again.data, patch.data)
    np.testing.assert_array_equal(get_times(again), get_times(patch))
    np.testing.assert_array_equal(get_channel_index(again), get_channel_index(patch))
    np.testing.assert_allclose(get_distance_m(again), get_distance_m(patch))
    assert get_unit(again) == get_unit(patch)


@pytest.mark.parametrize("real", [item for item in FILES if item.stated], ids=lambda item: item.path)
def test_a_missing_start_is_an_error_that_names_the_file_and_the_fix(real: Real, shared: Path):
    path = shared / "data" / real.path
    with pytest.raises(MissingMetadataError, match="--start-time") as caught:
        read(path)
    assert str(path) in str(caught.value)
    found = describe(path)
    assert found.start_time is None
    assert any("start_time=" in note for note in found.warnings)


def test_gaps_are_named_and_never_bridged(shared: Path):
    path = shared / "data/das_noise/geofon_3U_HSF.mseed"
    with pytest.raises(SamplingError, match=r"2 gap\(s\).*2023-02-01T10:44:46"):
        read(path)
    with pytest.raises(SamplingError, match=r"1 gap\(s\)"):
        read(path, time=("2023-02-01T01:00", "2023-02-01T11:00"))
    part = read(path, time=("2023-02-01T10:50", "2023-02-01T10:51"))
    assert part.shape == (1, 6000)
    found = describe(path)
    assert len(found.gaps) == 2
    assert found.num_samples == 360000 + 519096 + 360000


def test_dead_channel_of_the_febus_record(shared: Path):
    path = shared / "data/das_noise/noise_valencia_febus_example.h5"
    assert np.flatnonzero(get_channel_status(read(path)) == "dead").tolist() == [0]
    assert describe(path).dead_channels == (0,)


def test_the_daspy_example_is_the_brady_record(shared: Path):
    pytest.importorskip("daspy")
    brady = read(shared / "data/das_events/brady_porotomo_20160321_M4.3.h5")
    example = read("daspy:example")
    np.testing.assert_array_equal(get_data(example), get_data(brady))
    np.testing.assert_array_equal(get_times(example), get_times(brady))
    np.testing.assert_array_equal(get_channel_index(example), get_channel_index(brady))
    assert get_unit(example) == "strain rate"


def test_the_p_front_lies_where_the_eye_saw_it(shared: Path):
    """Orientation and time axis together: in the SAFOD borehole the amplitude jumps at the eye picks."""
    patch = read(shared / "data/das_events/safod_20170630_M2.46.h5", **NOMINAL)
    data, dt_s = get_data(patch), get_dt_s(patch)
    amplitude = np.abs(data - data.mean(axis=1, keepdims=True))
    pick_s = np.interp(np.arange(800), [0, 200, 400, 600, 799], [1.76, 1.68, 1.61, 1.55, 1.50])
    offsets = np.arange(-100, 150)
    aligned = np.take_along_axis(amplitude, np.rint(pick_s / dt_s).astype(int)[:, None] + offsets, axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(np.median(aligned, axis=0), 12).mean(axis=1)
    jump = windows[12:] / windows[:-12]
    assert jump.max() > 4
    assert abs(offsets[12 + int(jump.argmax())]) * dt_s <= 0.02


def test_contradicting_febus_stamps_are_said(shared: Path):
    """Its blocks of 1 s are stamped 1 s apart, but an overlap of 100% is the default."""
    with pytest.warns(UserWarning, match="blocks are 1.011 s"):
        read(shared / "data/vendor_formats/valencia_febus_example.h5")


@pytest.mark.parametrize(
    ("name", "stamps", "later"),
    [
        ("gdr_1.h5", "DasRawData/DasTimeArray", 30 * 10**9),
        ("terra15_v5_test_file.hdf5", "data_product/gps_time", 30.0),
        ("terra15_v5_test_file.hdf5", "data_product/gps_time", 0.01),
    ],
)
def test_a_gap_put_into_a_vendor_file_is_found(
    shared: Path, tmp_path: Path, name: str, stamps: str, later: float
):
    path = tmp_path / name
    path.write_bytes((shared / "data/vendor_formats" / name).read_bytes())
    whole = describe(path)
    with h5py.File(path, "a") as file:
        values = file[stamps][:]
        values[len(values) // 2 :] += np.array(later).astype(values.dtype)
        file[stamps][:] = values
    found = describe(path)
    assert found.dt_s == pytest.approx(whole.dt_s, rel=2e-4)
    assert found.num_samples == whole.num_samples
    assert len(found.gaps) == 1
    seconds = later * (1e-9 if values.dtype.kind == "u" else 1)
    gap_s = float((found.gaps[0][1] - found.gaps[0][0]) / np.timedelta64(1, "ns")) * 1e-9
    assert gap_s == pytest.approx(seconds, abs=2 * whole.dt_s)
