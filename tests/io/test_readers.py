"""One contract for every reader: the same recording comes out of every kind of source."""

from __future__ import annotations

import numpy as np
import pytest

from phasenet_das.io import (
    describe,
    get_channel_index,
    get_channel_status,
    get_data,
    get_distance_m,
    get_dt_s,
    get_station_id,
    get_times,
    get_unit,
    read,
    write_quakeflow,
)
from tests.io.das_sources import Source, Truth


def test_array_comes_out_channel_first(source: Source):
    patch = read(source.source, **source.stated)
    expected_dim = "channel" if source.truth.dx_m is None else "distance"
    assert patch.dims == (expected_dim, "time")
    np.testing.assert_array_equal(patch.data, source.truth.data)


def test_data_for_computing_are_float32_and_contiguous(source: Source):
    data = get_data(read(source.source, **source.stated))
    assert data.dtype == np.float32
    assert data.flags.c_contiguous
    np.testing.assert_array_equal(data, source.truth.data.astype(np.float32))


def test_times_are_exact(source: Source):
    patch = read(source.source, **source.stated)
    np.testing.assert_array_equal(get_times(patch), source.truth.times)
    assert get_times(patch).dtype == np.dtype("datetime64[ns]")
    assert get_dt_s(patch) == pytest.approx(source.truth.dt_s, rel=1e-12)


def test_channels_and_distances(source: Source):
    patch = read(source.source, **source.stated)
    assert get_channel_index(patch).dtype == np.int32
    np.testing.assert_array_equal(get_channel_index(patch), source.truth.channels)
    np.testing.assert_allclose(get_distance_m(patch), source.truth.distance_m, rtol=1e-12)
    assert set(get_channel_status(patch)) == {"ok"}


def test_unit_and_station(source: Source):
    patch = read(source.source, **source.stated)
    assert get_unit(patch) == source.truth.unit
    assert get_station_id(patch) == source.truth.station_id


@pytest.mark.parametrize("as_slice", [True, False])
def test_a_cut_keeps_numbers_and_times(source: Source, as_slice: bool):
    truth: Truth = source.truth
    limits = (truth.first_channel + 2, truth.first_channel + 5)
    patch = read(
        source.source,
        **source.stated,
        channels=slice(*limits) if as_slice else limits,
        time=(truth.times[10], truth.times[31]),
    )
    np.testing.assert_array_equal(patch.data, truth.data[2:5, 10:31])
    np.testing.assert_array_equal(get_channel_index(patch), truth.channels[2:5])
    np.testing.assert_array_equal(get_times(patch), truth.times[10:31])
    np.testing.assert_allclose(get_distance_m(patch), truth.distance_m[2:5], rtol=1e-12)


def test_ranges_are_half_open_and_may_be_open_ended(source: Source):
    truth = source.truth
    patch = read(
        source.source, **source.stated, channels=(None, truth.first_channel + 1), time=(truth.times[59], None)
    )
    assert patch.shape == (1, 1)
    assert patch.data[0, 0] == truth.data[0, 59]
    assert get_dt_s(patch) == pytest.approx(truth.dt_s)


def test_reading_what_was_read_changes_nothing(source: Source):
    patch = read(source.source, **source.stated)
    assert read(patch) is patch


def test_round_trip_through_a_file(source: Source, tmp_path):
    patch = read(source.source, **source.stated)
    again = read(write_quakeflow(patch, tmp_path / "round" / "trip.h5"))
    assert again.dims == patch.dims
    assert again.data.dtype == patch.data.dtype
    np.testing.assert_array_equal(again.data, patch.data)
    np.testing.assert_array_equal(get_times(again), get_times(patch))
    np.testing.assert_array_equal(get_channel_index(again), get_channel_index(patch))
    np.testing.assert_allclose(get_distance_m(again), get_distance_m(patch))
    assert (get_unit(again), get_station_id(again)) == (get_unit(patch), get_station_id(patch))


def test_description_agrees_with_what_is_read(source: Source):
    truth, found = source.truth, describe(source.source, **source.stated)
    assert (found.num_channels, found.num_samples) == truth.data.shape
    assert (found.first_channel, found.last_channel) == (truth.channels[0], truth.channels[-1])
    assert found.start_time == truth.times[0]
    assert found.end_time == truth.times[-1] + np.timedelta64(round(truth.dt_s * 1e9), "ns")
    assert found.dt_s == pytest.approx(truth.dt_s)
    assert (found.unit, found.station_id) == (truth.unit, truth.station_id)
    assert (found.dead_channels, found.nonfinite_channels, found.gaps) == ((), (), ())
    assert found.dx_m == (None if truth.dx_m is None else pytest.approx(truth.dx_m))
