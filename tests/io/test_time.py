"""Times of samples: exact, regular, and honest about gaps."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import obspy
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasenet_das.errors import SamplingError
from phasenet_das.io import get_dt_s, get_times, make_patch, read
from phasenet_das.io.time import parse_time, regular_spans, sample_times

START = np.datetime64("2024-02-29T23:59:59.123456789", "ns")


@pytest.mark.parametrize(
    "value",
    [
        "2024-02-29T23:59:59.123456789",
        "2024-02-29 23:59:59.123456789Z",
        "20240229T235959.123456789Z",
        "2024-03-01T00:59:59.123456789+01:00",
        b"2024-02-29T23:59:59.123456789",
        np.datetime64("2024-02-29T23:59:59.123456789"),
        pd.Timestamp("2024-03-01T08:59:59.123456789", tz="Asia/Tokyo"),
        obspy.UTCDateTime(ns=1709251199123456789),
    ],
)
def test_every_way_to_write_a_time_gives_the_same_nanosecond(value):
    assert parse_time(value) == START


def test_datetimes_with_and_without_zone_are_utc():
    expected = np.datetime64("2024-01-01T12:00:00", "ns")
    assert parse_time(dt.datetime(2024, 1, 1, 12)) == expected  # noqa: DTZ001 - read as UTC
    zone = dt.timezone(dt.timedelta(hours=-7))
    assert parse_time(dt.datetime(2024, 1, 1, 5, tzinfo=zone)) == expected


@pytest.mark.parametrize(
    "value",
    ["unknown", "now", "today", "", "22/09/2023 18:52", "2024-13-01", 1.7e9, 5, None, pd.NaT, "0001-01-01"],
)
def test_what_is_not_a_time_is_none(value):
    assert parse_time(value) is None


@given(
    dt_ns=st.floats(min_value=1e3, max_value=1e9),
    count=st.integers(2, 400),
    first=st.integers(0, 10**7),
)
def test_rounding_of_times_does_not_add_up(dt_ns: float, count: int, first: int):
    times = sample_times(START, dt_ns * 1e-9, count, first)
    ideal = (np.arange(first, first + count) * dt_ns).astype(np.float64)
    error_ns = np.abs((times - START).astype(np.int64) - ideal)
    assert error_ns.max() <= 0.5 + 1e-9 * ideal.max()


@given(dt_ns=st.floats(min_value=1e4, max_value=1e8), count=st.integers(2, 3000))
def test_a_patch_gives_back_the_interval_it_was_made_with(dt_ns: float, count: int):
    patch = make_patch(np.zeros((1, count), np.int8), start_time=START, dt_s=dt_ns * 1e-9)
    assert abs(get_dt_s(patch) * 1e9 - dt_ns) * count <= 1.0
    ideal = START + np.rint(np.arange(count) * dt_ns).astype("timedelta64[ns]")
    assert np.abs((get_times(patch) - ideal).astype(np.int64)).max() <= 1


def test_an_interval_of_broken_nanoseconds_survives_dascore():
    dt_s = 0.00031077091759880405
    patch = make_patch(np.zeros((2, 200_000), np.int8), start_time=START, dt_s=dt_s)
    assert get_dt_s(patch) == dt_s
    last = get_times(patch)[-1]
    assert abs((last - START).astype(np.int64) - 199_999 * dt_s * 1e9) <= 1
    assert get_dt_s(patch.transpose()) == dt_s


def test_an_interval_changed_by_dascore_is_believed():
    patch = make_patch(np.random.default_rng(0).normal(size=(2, 90)), start_time=START, dt_s=1 / 3)
    assert get_dt_s(patch.decimate(time=3, filter_type=None)) == pytest.approx(1.0, rel=1e-8)


@given(
    runs=st.lists(st.tuples(st.integers(2, 50), st.integers(1, 1000)), min_size=1, max_size=6),
    jitter=st.floats(0, 0.04),
)
def test_spans_end_exactly_at_the_gaps(runs: list[tuple[int, int]], jitter: float):
    step = 4_000_000
    offsets, edges, position = [], [0], 0
    for count, missing in runs:
        offsets.append(position + np.arange(count))
        edges.append(edges[-1] + count)
        position += count + missing
    index = np.concatenate(offsets)
    noise = np.random.default_rng(1).uniform(-jitter, jitter, len(index)) * step
    times = START + np.rint(index * step + noise).astype("timedelta64[ns]")
    spans = regular_spans(times, "test")
    assert [(span.first, span.last) for span in spans] == list(itertools.pairwise(edges))
    assert all(span.start_time == times[span.first] for span in spans)
    assert all(abs(span.dt_s / 0.004 - 1) < 0.1 for span in spans)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0, 1, 1, 2], "does not increase"),
        ([3, 2, 1, 0], "does not increase"),
        ([0, 1, 2.3, 3, 4], "irregular"),
        ([0, 1, 2, 3.2, 4.4, 5.6, 6.8], "irregular"),
    ],
)
def test_unusable_time_axes_are_refused(offsets: list[float], message: str):
    times = START + (np.array(offsets) * 1e9).astype("timedelta64[ns]")
    with pytest.raises(SamplingError, match=message):
        regular_spans(times, "test")


def test_a_time_range_on_a_sample_includes_it_and_its_end_is_open():
    patch = make_patch(np.arange(20.0)[None], start_time=START, dt_s=0.1)
    times = get_times(patch)
    assert read(patch, time=(times[3], times[7])).data.tolist() == [[3, 4, 5, 6]]
    between = times[3] + np.timedelta64(50, "ms")
    assert read(patch, time=(between, between + np.timedelta64(100, "ms"))).data.tolist() == [[4]]
