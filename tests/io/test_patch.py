"""The in-memory form: what make_patch makes and the getters give back."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dascore
import numpy as np
import pytest

from phasenet_das.errors import (
    ChannelGeometryError,
    DataFormatError,
    MissingMetadataError,
    SamplingError,
    UnitError,
)
from phasenet_das.io import (
    get_channel_index,
    get_channel_status,
    get_data,
    get_distance_m,
    get_dt_s,
    get_station_id,
    get_times,
    get_unit,
    make_patch,
    read,
)
from phasenet_das.io.archive import open_archive
from phasenet_das.io.formats.stated import SPELT_OUT
from phasenet_das.io.patch import parse_unit, unit_text
from phasenet_das.io.quantity import quantity_of_unit

START = "2024-05-01T12:00:00"


def waves(num_channels: int = 4, num_samples: int = 30) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((num_channels, num_samples)).astype(np.float32)


def test_without_distance_the_dims_are_channel_and_time():
    patch = make_patch(waves(), start_time=START, dt_s=0.01, channel_index=[5, 6, 8, 9])
    assert patch.dims == ("channel", "time")
    assert patch.get_array("channel").tolist() == [5, 6, 8, 9]
    assert np.isnan(get_distance_m(patch)).all()
    assert get_channel_index(patch).tolist() == [5, 6, 8, 9]


def test_any_unknown_distance_makes_all_unknown_rather_than_zero():
    patch = make_patch(waves(), start_time=START, dt_s=0.01, distance_m=[0, 1, np.nan, 3])
    assert patch.dims == ("channel", "time")


def test_unit_is_kept_as_text_and_parsed_only_when_it_can_be():
    known = make_patch(waves(), start_time=START, dt_s=0.01, unit="nm/m/s")
    odd = make_patch(waves(), start_time=START, dt_s=0.01, unit="strain rate (as stored, scale=1)")
    none = make_patch(waves(), start_time=START, dt_s=0.01)
    assert (get_unit(known), get_unit(odd), get_unit(none)) == (
        "nm/m/s",
        "strain rate (as stored, scale=1)",
        "unknown",
    )
    assert known.attrs.data_units == dascore.get_quantity("nm/m/s")
    assert odd.attrs.data_units is None
    assert none.attrs.data_units is None


@pytest.mark.parametrize("text", SPELT_OUT)
def test_frequent_units_are_spelt_as_dascore_spells_them(text):
    assert SPELT_OUT[text] == unit_text(parse_unit(text))


@pytest.mark.parametrize(
    "unit", ["1 / second", "nm/m/s", "m s-2", "counts", "unknown", "kg m2 s-3", "kelvin", "mW"]
)
def test_a_quantity_is_that_of_dascore(unit, monkeypatch):
    quick = quantity_of_unit.__wrapped__(unit)
    monkeypatch.setattr("phasenet_das.io.quantity._MASSLESS", re.compile("never"))
    assert quick == quantity_of_unit.__wrapped__(unit)


def test_a_unit_changed_by_dascore_is_believed():
    patch = make_patch(waves(), start_time=START, dt_s=0.01, unit="m", distance_m=np.arange(4.0))
    assert dascore.get_quantity(get_unit(patch.differentiate("time"))) == dascore.get_quantity("m/s")


def test_status_tells_dead_and_nonfinite_channels():
    data = waves(6)
    data[1], data[2] = 0.0, 3.5
    data[3, 7], data[4, 0] = np.nan, np.inf
    patch = make_patch(data, start_time=START, dt_s=0.01)
    assert get_channel_status(patch).tolist() == ["ok", "dead", "dead", "nonfinite", "nonfinite", "ok"]
    assert get_channel_status(patch.transpose()).tolist()[1] == "dead"
    assert get_channel_status(patch.select(channel=(2, 4))).tolist() == ["dead", "nonfinite", "nonfinite"]


def test_status_of_integers_and_of_one_sample():
    counts = np.array([[1, 2], [3, 3]], dtype=np.int16)
    assert get_channel_status(make_patch(counts, start_time=START, dt_s=0.01)).tolist() == ["ok", "dead"]
    assert get_channel_status(make_patch(counts[:, :1], start_time=START, dt_s=0.01)).tolist() == ["ok", "ok"]


def test_status_is_judged_anew_when_dascore_dropped_it():
    data = waves()
    data[2] = 0
    patch = make_patch(data, start_time=START, dt_s=0.01, distance_m=np.arange(4.0)).drop_coords(
        "channel_status"
    )
    assert get_channel_status(patch).tolist() == ["ok", "ok", "dead", "ok"]


def test_get_data_does_not_copy_what_is_right_already():
    patch = make_patch(waves(), start_time=START, dt_s=0.01)
    assert np.shares_memory(get_data(patch), patch.data)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float64", ">f4", "float16"])
def test_get_data_turns_any_real_type_and_order_into_float32(dtype: str):
    data = (waves() * 100).astype(dtype)
    patch = make_patch(data, start_time=START, dt_s=0.01)
    assert patch.data.dtype == data.dtype
    for one in (patch, patch.transpose("time", "channel")):
        out = get_data(one)
        assert out.dtype == np.dtype("float32")
        assert out.dtype.isnative
        assert out.flags.c_contiguous
        np.testing.assert_array_equal(out, data.astype(np.float32))


def test_attributes_reach_the_patch_even_when_dascore_refuses_them():
    attrs = {"event_id": "x1", "instrument_id": 12, "magnitude": 2.5}
    patch = make_patch(waves(), start_time=START, dt_s=0.01, attrs=attrs, station_id="CABLE")
    assert (patch.attrs.event_id, patch.attrs.magnitude) == ("x1", 2.5)
    assert patch.attrs.file_instrument_id == 12
    assert get_station_id(patch) == "CABLE"


def test_lost_channel_numbers_are_an_error_not_a_guess():
    patch = make_patch(waves(), start_time=START, dt_s=0.01, distance_m=np.arange(4.0))
    with pytest.raises(ChannelGeometryError, match="channel_index"):
        get_channel_index(patch.drop_coords("channel_index"))


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: patch.decimate(distance=2, filter_type=None),
        lambda patch: patch.resample(distance=1.5),
        lambda patch: patch.aggregate("distance", "mean"),
    ],
    ids=["decimate", "resample", "aggregate"],
)
def test_a_reader_does_not_make_up_numbers_that_an_operation_dropped(change: Any, tmp_path: Path):
    patch = make_patch(
        waves(), start_time=START, dt_s=0.01, distance_m=np.arange(4.0), channel_index=[7, 8, 9, 11]
    )
    changed = change(patch)
    with pytest.raises(ChannelGeometryError, match=r"no coordinate channel_index.*update_coords"):
        read(changed)
    changed.io.write(tmp_path / "a.h5", "dasdae")
    with pytest.raises(ChannelGeometryError, match=r"a\.h5: found no coordinate channel_index"):
        read(tmp_path / "a.h5")
    numbers = 20 + np.arange(len(changed.get_array("distance")))
    named = read(changed.update_coords(channel_index=("distance", numbers)))
    assert get_channel_index(named).tolist() == numbers.tolist()


def test_a_file_of_dascore_keeps_numbers_unit_and_station(tmp_path: Path):
    patch = make_patch(
        waves(),
        start_time=START,
        dt_s=0.01,
        distance_m=np.arange(4.0),
        channel_index=[7, 8, 9, 11],
        station_id="CABLE",
        unit="strain rate",
    )
    patch.io.write(tmp_path / "a.h5", "dasdae")
    again = read(tmp_path / "a.h5")
    assert get_channel_index(again).tolist() == [7, 8, 9, 11]
    assert (get_station_id(again), get_unit(again)) == ("CABLE", "strain rate")
    (recording,) = open_archive([tmp_path / "a.h5"]).recordings
    assert recording.channel_index.tolist() == [7, 8, 9, 11]


def test_further_coordinates_along_the_cable_are_carried():
    patch = make_patch(waves(), start_time=START, dt_s=0.01, distance_m=np.arange(4.0))
    placed = patch.update_coords(latitude=("distance", np.linspace(40, 41, 4)))
    part = read(placed, channels=(1, 3))
    np.testing.assert_allclose(part.get_array("latitude"), np.linspace(40, 41, 4)[1:3])


def test_one_sample_keeps_the_interval():
    assert get_dt_s(make_patch(waves(2, 1), start_time=START, dt_s=0.25)) == 0.25


def test_times_start_at_the_start():
    times = get_times(make_patch(waves(), start_time=START, dt_s=0.5))
    assert times[0] == np.datetime64(START)
    assert times[-1] == np.datetime64("2024-05-01T12:00:14.5")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"data": np.zeros(5)}, DataFormatError, "two dimensions"),
        ({"data": np.zeros((2, 2, 2))}, DataFormatError, "two dimensions"),
        ({"data": np.zeros((3, 0))}, DataFormatError, "no samples"),
        ({"data": np.zeros((2, 2), complex)}, DataFormatError, "real numbers"),
        ({"data": np.array([["a", "b"]])}, DataFormatError, "real numbers"),
        ({"start_time": "soon"}, MissingMetadataError, "expected a time"),
        ({"start_time": None}, MissingMetadataError, "expected a time"),
        ({"dt_s": 0.0}, SamplingError, "positive"),
        ({"dt_s": -0.01}, SamplingError, "positive"),
        ({"dt_s": float("nan")}, SamplingError, "positive"),
        ({"dt_s": None}, SamplingError, "None, expected a positive number"),
        ({"unit": None}, UnitError, "found None, expected text"),
        ({"channel_index": [1, 2]}, ChannelGeometryError, "one number a channel"),
        ({"channel_index": [1, 2, 2, 3]}, ChannelGeometryError, "channel 2 is named twice"),
        ({"channel_index": [1, 2, 3, 4.5]}, ChannelGeometryError, "whole numbers"),
        ({"channel_index": [1, 2, 3, 2**40]}, ChannelGeometryError, "32 bits"),
        ({"distance_m": [1.0, 2.0]}, ChannelGeometryError, "one value a channel"),
    ],
)
def test_unusable_arguments_are_refused(change: dict, error: type[Exception], message: str):
    arguments = {"data": waves(), "start_time": START, "dt_s": 0.01} | change
    with pytest.raises(error, match=message):
        make_patch(arguments.pop("data"), **arguments)


def test_a_patch_of_other_dims_is_refused():
    other = dascore.Patch(
        data=np.zeros((2, 3)),
        coords={"time": np.array(["2020", "2021"], "M8[ns]"), "depth": np.arange(3.0)},
        dims=("time", "depth"),
    )
    with pytest.raises(DataFormatError, match="depth"):
        read(other)


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, phasenet_das.io;"
        "print(*({'dascore', 'obspy', 'torch', 'pandas', 'xarray'} & set(sys.modules)))"
    )
    done = subprocess.run(  # noqa: S603 - our own line of code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
