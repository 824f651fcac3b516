"""Figures: what is drawn where, that nothing is lost on the way to pixels, and that Axes go in and out."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tracemalloc

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Wedge

from phasenet_das import plot
from phasenet_das.errors import ChannelGeometryError, ConfigError, DataFormatError, TableError
from phasenet_das.io import make_patch, read
from phasenet_das.plot.maps import _away
from phasenet_das.plot.raster import _percentile, channel_bins, envelope_trace, rasterise, signed_extreme
from phasenet_das.tables import CHANNEL_COLUMNS, COVERAGE_COLUMNS, EVENT_COLUMNS, conform
from tests.tables_at_hand import catalog_channels, graded_events, graded_groups, graded_picks, pick_table

mpl.use("Agg")
START = pd.Timestamp("2020-01-01T00:00:00Z")


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return Figure(figsize=(6, 4), dpi=100).add_subplot()


def make_record(num_channels=40, num_samples=600, first=100, **options):
    data = np.random.default_rng(0).normal(size=(num_channels, num_samples)).astype(np.float32)
    options = {"channel_index": np.arange(first, first + num_channels), "station_id": "CABLE"} | options
    return make_patch(data, start_time="2020-01-01T00:00:00", dt_s=0.01, **options)


def make_picks(event_index, *, phase="P", station_id="CABLE", seconds=3.0, channel=None):
    event_index = np.asarray(event_index)
    count = len(event_index)
    return pick_table(
        np.arange(100, 100 + count) if channel is None else channel,
        seconds,
        phase,
        event=event_index,
        score=np.linspace(0.3, 0.9, count),
        station=station_id,
        start=START,
        phase_amplitude=1.0,
        association_score=1.0,
        travel_time_residual_s=np.where(event_index >= 0, 0.25, np.nan),
    )


def make_events(**columns):
    table = {
        "event_index": [0],
        "event_id": "ev0",
        "time": START,
        "time_uncertainty_s": 0.1,
        "longitude": np.nan,
        "latitude": np.nan,
        "depth_km": np.nan,
        "horizontal_uncertainty_km": np.nan,
        "depth_uncertainty_km": np.nan,
        "source_distance_km": 50.0,
        "source_distance_uncertainty_km": 5.0,
        "num_picks": 10,
        "num_p_picks": 5,
        "num_s_picks": 5,
        "num_channels": 8,
        "num_renamed": 0,
        "residual_rms_s": 0.02,
        "azimuthal_gap_deg": np.nan,
        "quality": "",
        "location_quality": "azimuth-unconstrained",
    }
    return conform(pd.DataFrame(table | columns), EVENT_COLUMNS)


def make_channels():
    table = {
        "station_id": "CABLE",
        "channel_index": np.arange(100),
        "longitude": 179.9 + 0.002 * np.arange(100),
    }
    frame = pd.DataFrame(table).assign(latitude=-20.0, elevation_m=-500.0, distance_m=np.nan, status="ok")
    frame["longitude"] = (frame["longitude"] + 180) % 360 - 180
    return conform(frame, CHANNEL_COLUMNS)


def make_coverage(names="CABLE"):
    spans = {"start": START, "end": START + pd.Timedelta("60s"), "first_channel": 0, "last_channel": 9}
    spans |= {"num_channels": 10, "status": "examined", "reason": "", "source": "a"}
    return conform(pd.DataFrame({"station_id": np.atleast_1d(names)}).assign(**spans), COVERAGE_COLUMNS)


def labels(ax):
    return ax.get_legend_handles_labels()[1]


def offsets(ax, label):
    handles, names = ax.get_legend_handles_labels()
    return np.asarray(handles[names.index(label)].get_offsets())


# Pixels


@given(
    spike=st.integers(0, 49_999),
    sign=st.sampled_from([-1, 1]),
    width=st.integers(3, 900),
    channel=st.integers(0, 19),
)
def test_an_onset_of_one_sample_survives_any_reduction(spike, sign, width, channel):
    data = np.zeros((20, 50_000), dtype=np.float32)
    data[:, ::2], data[:, 1::2] = 1, -1
    data[channel, spike] = 100 * sign
    raster = rasterise(data, np.arange(20), np.zeros(20, bool), 7, width)
    column, row = (
        channel * 7 // 20,
        np.unravel_index(np.nanargmax(np.abs(raster.image)), raster.image.shape)[1],
    )
    assert np.sign(raster.image[column, row]) == sign
    assert row == pytest.approx(spike * width / 50_000, abs=1.01)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32) | st.just(np.nan), min_size=1, max_size=60), st.integers(1, 60)
)
def test_the_signed_extreme_is_a_value_of_its_group_farthest_from_zero(values, bins):
    array = np.array(values, dtype=np.float32)
    starts = np.unique(np.linspace(0, len(array), min(bins, len(array)), endpoint=False).astype(int))
    for got, group in zip(signed_extreme(array, starts, axis=0), np.split(array, starts[1:]), strict=True):
        finite = group[np.isfinite(group)]
        assert np.isnan(got) if not len(finite) else (got in finite and abs(got) == np.abs(finite).max())


def test_channels_are_scaled_by_the_percentile_of_what_is_not_missing():
    values = np.abs(np.random.default_rng(4).normal(size=(40, 83))).astype(np.float32)
    values[np.random.default_rng(5).random(values.shape) < 0.3] = np.nan
    values[7] = np.nan
    values[8, 1:] = np.nan
    got = _percentile(values, 95.0)[:, 0]
    known = np.arange(len(values)) != 7
    np.testing.assert_allclose(got[known], np.nanpercentile(values[known], 95, axis=1), rtol=1e-6)
    assert np.isnan(got[7])


def test_a_missing_sample_changes_its_channel_only_and_integers_are_taken():
    data = np.random.default_rng(6).normal(size=(3, 700)).astype(np.float32)
    whole = rasterise(data, np.arange(3), np.zeros(3, bool), 10, 70).image
    data[1, 5] = np.inf
    holed = rasterise(data, np.arange(3), np.zeros(3, bool), 10, 70).image
    np.testing.assert_array_equal(holed[[0, 2]], whole[[0, 2]])
    np.testing.assert_allclose(np.abs(holed[1, 1:]), np.abs(whole[1, 1:]), atol=0.02)
    counts = np.arange(20, dtype=np.int32).reshape(1, 20)
    assert rasterise(counts, np.arange(1), np.zeros(1, bool), 10, 20).image[0, 0] < 0


def test_loud_and_weak_channels_look_alike():
    data = np.random.default_rng(1).normal(size=(2, 5000)).astype(np.float32)
    data[1] = data[0] * 1e6 + 3e6
    image = rasterise(data, np.arange(2), np.zeros(2, bool), 10, 200).image
    np.testing.assert_allclose(image[0], image[1], atol=1e-3)


def test_dead_absent_and_missing_are_blank_and_nothing_else():
    data = np.random.default_rng(2).normal(size=(4, 100)).astype(np.float32)
    data[2, 50:] = np.nan
    image = rasterise(data, np.array([0, 1, 2, 5]), np.array([True, False, False, False]), 99, 10).image
    expected = np.zeros((6, 10), dtype=bool)
    expected[[0, 3, 4]] = True
    expected[2, 5:] = True
    np.testing.assert_array_equal(np.isnan(image), expected)


@given(st.lists(st.integers(-1000, 100_000), min_size=1, unique=True), st.integers(1, 500))
def test_channels_fall_into_bins_in_order(numbers, max_bins):
    numbers = np.sort(np.array(numbers))
    bins, step = channel_bins(numbers, max_bins)
    assert bins[0] == 0
    assert bins.max() < max_bins
    assert (np.diff(bins) >= 0).all()
    assert step == (np.diff(numbers).min() if len(numbers) > 1 else 1)


def test_a_thinned_trace_keeps_its_extremes_in_their_place():
    trace = np.zeros((1, 10_000))
    trace[0, 1234], trace[0, 8000] = 5, -7
    sample, thin = envelope_trace(trace, 100)
    assert thin.shape == (1, 100) == (1, len(sample))
    assert sample[thin[0].argmax()] == pytest.approx(1234, abs=200)
    assert sample[thin[0].argmin()] == pytest.approx(8000, abs=200)
    assert (thin.min(), thin.max()) == (-7, 5)


def test_a_large_record_is_drawn_with_no_more_pixels_than_the_axes_prints(ax):
    patch = make_record(3000, 4000, channel_index=np.arange(3000))
    height, width = plot.section(patch, ax=ax).images[0].get_array().shape
    assert (width, height) < (6 * 200, 4 * 200)
    assert min(width, height) > 400


# Sections


@pytest.mark.parametrize("orientation", ["time-down", "time-right"])
def test_kept_rejected_and_foreign_picks(ax, orientation):
    table = pd.concat(
        [make_picks([0, 0, -1]), make_picks([0], station_id="OTHER"), make_picks([0], seconds=99)]
    )
    plot.section(make_record(), table, ax=ax, orientation=orientation)
    assert labels(ax) == ["P kept (2)", "P rejected (1)"]
    kept = offsets(ax, "P kept (2)")
    np.testing.assert_allclose(kept if orientation == "time-down" else kept[:, ::-1], [[100, 3], [101, 3]])


def test_picks_that_nothing_judged_are_not_called_rejected(ax):
    plot.section(make_record(), make_picks([-1, -1]), ax=ax)
    assert labels(ax) == ["P picks (2)"]


def test_p_and_s_differ_in_hue_and_lightness(ax):
    plot.section(make_record(), pd.concat([make_picks([0]), make_picks([0], phase="S")]), ax=ax)
    assert labels(ax) == ["P kept (1)", "S kept (1)"]
    luminance = {p: np.dot(to_rgb(c), [0.2126, 0.7152, 0.0722]) for p, c in plot.PHASE_COLORS.items()}
    assert luminance["S"] - luminance["P"] > 0.25


def test_moveout_is_the_pick_less_its_residual(ax):
    plot.section(make_record(), make_picks([0, 0, -1]), ax=ax, moveout=True)
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xydata(), [[100, 2.75], [101, 2.75]])


def test_the_image_lies_where_the_samples_are(ax):
    plot.section(make_record(40, 600), ax=ax)
    np.testing.assert_allclose(ax.images[0].get_extent(), [99.5, 139.5, 5.995, -0.005])
    assert ax.yaxis_inverted()
    assert ax.get_xlabel() == "Channel"
    assert ax.get_ylabel() == "Time since 2020-01-01 00:00:00 UTC (s)"


def test_utc_axis_places_picks_at_their_time(ax):
    plot.section(make_record(), make_picks([0]), ax=ax, time_axis="utc")
    day = (START.tz_localize(None).to_datetime64() - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    assert offsets(ax, "P kept (1)")[0, 1] == pytest.approx(day + 3 / 86400, abs=1e-8)
    assert ax.get_ylabel() == "Time (UTC)"


def test_dead_channels_are_blank(ax):
    patch = make_record()
    data = patch.data.copy()
    data[7] = 0
    dead = make_patch(data, start_time="2020-01-01", dt_s=0.01, channel_index=np.arange(40))
    image = plot.section(dead, ax=ax).images[0].get_array()
    assert image.mask[:, 7].all()
    assert image.mask.sum() == image.shape[0]


def test_known_distance_gets_an_axis_of_its_own(ax):
    patch = make_record(distance_m=1000 + 4.0 * np.arange(40))
    (second,) = plot.section(patch, ax=ax).child_axes
    assert second.get_xlabel() == "Distance along the fibre (m)"
    forward, backward = second._functions
    np.testing.assert_allclose(forward(np.array([99.5, 100, 139.5])), [998, 1000, 1158])
    np.testing.assert_allclose(backward(forward(np.array([110.0]))), [110])


def test_unknown_distance_gets_none(ax):
    assert plot.section(make_record(), ax=ax).child_axes == []


@pytest.mark.parametrize(
    "options",
    [{"clip": 0}, {"power": 0}, {"power": 1.5}, {"time_axis": "minutes"}, {"orientation": "up"}],
)
def test_an_impossible_option_is_refused(ax, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        plot.section(make_record(), ax=ax, **options)


@pytest.mark.shared
def test_brady_shows_p_and_s(shared, ax):
    """The image is darker after the P and again after the S arrival read by eye."""
    patch = read(shared / "data/das_events/brady_porotomo_20160321_M4.3.h5")
    image = np.abs(plot.section(patch, ax=ax).images[0].get_array())
    seconds = np.linspace(0, 50, len(image))
    noise, p, s = (image[(seconds > a) & (seconds < b)].mean() for a, b in [(1, 7), (9, 12), (28.5, 31.5)])
    assert noise < 0.9 * p < 0.6 * s


# Other figures


@pytest.mark.parametrize("draw", [plot.section, plot.record_section])
def test_a_path_is_refused(ax, draw):
    with pytest.raises(DataFormatError, match=r"str, expected a patch.*read\(path\)"):
        draw("data/cable.h5", ax=ax)


@pytest.mark.parametrize("draw", [plot.section, plot.record_section])
def test_picks_of_another_cable_are_refused_by_name(ax, draw, caplog):
    record, own, other = (
        make_record(distance_m=10.0 * np.arange(40)),
        make_picks([0, 0]),
        make_picks([0] * 3, station_id="OTHER"),
    )
    with pytest.raises(TableError, match=r"OTHER.*CABLE"):
        draw(record, picks=other, ax=ax)
    assert not caplog.records
    draw(record, picks=pd.concat([own, other], ignore_index=True), ax=ax)
    assert "P kept (2)" in labels(ax)
    assert "3 picks of OTHER" in caplog.text


def test_record_section_draws_traces_at_their_distance(ax):
    distance_km = np.linspace(10, 20, 40)
    plot.record_section(make_record(), distance_km, make_picks([0] * 40), ax=ax, max_traces=5)
    assert len(ax.lines) == 5
    assert [np.median(line.get_ydata()) for line in ax.lines] == pytest.approx(
        [10, 12.5, 15, 17.5, 20], abs=0.4
    )
    placed = offsets(ax, "P kept (5)")
    np.testing.assert_allclose(placed[:, 0], 3.0)
    np.testing.assert_allclose(placed[[0, -1], 1], [10, 20])


def test_record_section_reduces_time(ax):
    plot.record_section(
        make_record(), np.full(40, 12.0), make_picks([0]), ax=ax, max_traces=1, reduction_velocity_km_s=6.0
    )
    assert ax.lines[0].get_xdata()[0] == pytest.approx(-2)
    assert "distance / 6 km/s" in ax.get_xlabel()


def test_record_section_draws_channels_that_miss_samples(ax):
    data = np.random.default_rng(0).normal(size=(4, 600)).astype(np.float32)
    data[:, 300:303] = np.nan
    data[1, 400] = np.inf
    data[2] = np.nan
    data[3] = 1.0
    record = make_patch(data, start_time="2020-01-01", dt_s=0.01, distance_m=1000.0 * np.arange(4))
    plot.record_section(record, ax=ax)
    lines = [line.get_ydata() for line in ax.lines]
    assert [round(float(np.nanmedian(line))) for line in lines] == [0, 1]
    assert [np.flatnonzero(np.isnan(line)).tolist() for line in lines] == [
        [300, 301, 302],
        [300, 301, 302, 400],
    ]


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_record_section_of_nothing_alive_is_refused(ax, value):
    record = make_patch(np.full((3, 50), value), start_time="2020-01-01", dt_s=0.01)
    with pytest.raises(DataFormatError, match="all 3 channels are dead"):
        plot.record_section(record, np.arange(3.0), ax=ax)


def test_record_section_of_no_traces_is_refused(ax):
    with pytest.raises(ConfigError, match="max_traces = 0"):
        plot.record_section(make_record(), np.arange(40.0), ax=ax, max_traces=0)


def test_record_section_without_distance_is_refused(ax):
    with pytest.raises(ChannelGeometryError, match="dx_m"):
        plot.record_section(make_record(), ax=ax)
    with pytest.raises(ChannelGeometryError, match="3 values"):
        plot.record_section(make_record(), np.zeros(3), ax=ax)


def test_scores_take_the_colour_of_their_phase(ax):
    values = np.zeros((3, 10, 100), dtype=np.float32)
    values[1, 2, 40], values[2, 7, 80] = 1, 1
    times = START.tz_localize(None).to_datetime64() + np.arange(100) * np.timedelta64(10, "ms")
    coords = {"phase": ["N", "P", "S"], "channel": np.arange(10), "time": times}
    plot.scores(xr.DataArray(values, dims=("phase", "channel", "time"), coords=coords), ax=ax)
    image = ax.images[0].get_array()
    np.testing.assert_allclose(image[40, 2], to_rgb(plot.PHASE_COLORS["P"]), atol=1e-6)
    np.testing.assert_allclose(image[80, 7], to_rgb(plot.PHASE_COLORS["S"]), atol=1e-6)
    assert image[0, 0].tolist() == [1, 1, 1]


def test_residuals_leave_out_rejected_picks(ax):
    plot.residuals(make_picks([0, 1, -1]), ax=ax)
    assert labels(ax) == ["P: median +0.250 s, rms 0.250 s"]
    assert len(ax.collections[0].get_offsets()) == 2
    fresh = plot.residuals(make_picks([0, 1, -1]), event_index=1)
    assert fresh.collections[0].get_offsets().tolist() == [[101, 0.25]]


def test_residuals_of_two_cables_stand_side_by_side(ax):
    plot.residuals(pd.concat([make_picks([0] * 10), make_picks([0] * 10, station_id="B")]), ax=ax)
    x = ax.collections[0].get_offsets()[:, 0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["B", "CABLE"]
    assert len(np.unique(x)) == 20


def test_scores_of_kept_and_rejected_picks_are_counted(ax):
    plot.score_histogram(make_picks([0, 0, -1]), ax=ax)
    heights = [bar.get_height() for bar in ax.patches]
    assert (sum(h for h in heights if h > 0), sum(h for h in heights if h < 0)) == (2, -1)


def test_an_event_of_unknown_direction_is_a_circle_with_a_band(ax):
    plot.map_view(make_events(), make_channels(), ax=ax)
    circle = next(patch for patch in ax.patches if isinstance(patch, Circle))
    band = next(patch for patch in ax.patches if isinstance(patch, Wedge))
    assert (circle.radius, band.r, band.width) == (50, 55, 10)
    assert ax.get_xlim()[0] < -55
    assert "50.0 ± 5.0 km" in [text.get_text() for text in ax.texts]


def test_a_located_event_lies_where_it_is_across_the_date_line(ax):
    events = make_events(
        longitude=179.5, latitude=-20.0, horizontal_uncertainty_km=3.0, location_quality="mirror-ambiguous"
    )
    plot.map_view(events, make_channels(), ax=ax)
    east, north = offsets(ax, "events, mirror-ambiguous (1)")[0]
    assert east == pytest.approx(-0.499 * 111.32 * np.cos(np.deg2rad(20)), rel=2e-3)
    assert north == pytest.approx(0, abs=0.1)
    ellipse = next(c for c in ax.collections if isinstance(c, EllipseCollection))
    assert ellipse._widths.tolist() == pytest.approx([3.0])


def test_the_ellipse_points_along_its_azimuth(ax):
    axes = {"ellipse_major_km": 4.0, "ellipse_minor_km": 1.0, "ellipse_azimuth_deg": 30.0}
    plot.map_view(make_events(longitude=-179.9, latitude=-20.1, **axes), make_channels(), ax=ax)
    ellipse = next(c for c in ax.collections if isinstance(c, EllipseCollection))
    assert np.rad2deg(ellipse._angles) == pytest.approx([60])


def test_numbers_lead_away_from_neighbours(ax):
    east, north = np.array([0.0, 0.1, 8.0]), np.array([0.0, 0.0, 8.0])
    ax.set_xlim(-10, 10)
    left, right, alone = _away(ax, east, north)
    np.testing.assert_allclose(left, [-13, 0], atol=0.01)
    np.testing.assert_allclose(right, [13, 0], atol=0.01)
    np.testing.assert_allclose(alone, 8 / np.sqrt(2))


def test_the_numbers_of_many_events_take_little_memory(ax):
    east, north = np.random.default_rng(0).normal(size=(2, 1500))
    ax.set_xlim(-3, 3)
    tracemalloc.start()
    try:
        _away(ax, east, north)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000  # all pairs take 36 MB for each of two axes
    finally:
        tracemalloc.stop()


def test_the_mirror_image_is_joined_to_its_event(ax):
    mirror = {"mirror_longitude": [-179.9], "mirror_latitude": [-20.3]}
    plot.map_view(make_events(longitude=-179.9, latitude=-20.1, **mirror), make_channels(), ax=ax)
    start, end = ax.lines[0].get_xydata()
    assert np.hypot(*(end - start)) == pytest.approx(0.2 * 110.7, rel=2e-3)
    assert ax.get_ylim()[0] < end[1]


def test_class_d_is_drawn_only_when_asked_for(ax):
    events = graded_events().assign(quality=list("ABDDD"))
    plot.map_view(events, catalog_channels(), ax=ax)
    assert {"class A (1)", "class B (1)"} < set(labels(ax))
    assert not any("class D" in label for label in labels(ax))
    assert "1 event(s) of class D not shown" in ax.get_title(loc="left")
    shown = plot.map_view(events, catalog_channels(), show_class_d=True)
    assert "class D (1)" in labels(shown)
    depths = plot.depth_section(events, catalog_channels())
    assert "class D (1)" not in labels(depths)
    assert "class D (1)" in labels(plot.depth_section(events, catalog_channels(), show_class_d=True))
    assert (
        "2 event(s) without position or depth not shown\n1 event(s) of class D" in depths.texts[0].get_text()
    )


def test_each_class_has_a_marker_of_its_own(ax):
    plot.map_view(graded_events().iloc[:3], catalog_channels(), ax=ax)
    found, names = ax.get_legend_handles_labels()
    paths = [
        handle.get_paths()[0].vertices for handle, name in zip(found, names, strict=True) if "class" in name
    ]
    assert len(paths) == 3
    assert len({path.tobytes() for path in paths}) == 3


def test_a_distant_event_is_an_arrow_at_the_edge_and_no_place(ax):
    plot.map_view(graded_events().iloc[:4], catalog_channels(), ax=ax)
    arrow = next(text for text in ax.texts if getattr(text, "arrow_patch", None) is not None)
    tip, tail = np.array(arrow.xy), np.array(arrow.get_position())
    for point in (tip, tail, tip - tail):
        assert np.rad2deg(np.arctan2(point[0], point[1])) == pytest.approx(40)
    assert np.abs(tip).max() == pytest.approx(0.98 * max(ax.get_xlim()[1], ax.get_ylim()[1]), rel=0.3)
    assert np.hypot(*tip) < 60  # it lies on the map, the event 161 km away
    assert "161.2 ± 9.1 km" in [text.get_text() for text in ax.texts]
    assert not any(isinstance(patch, Circle) for patch in ax.patches)
    assert "distant (1)" in labels(ax)


def test_beside_places_an_event_of_unknown_direction_widens_the_map_no_more(ax):
    plot.map_view(graded_events().drop(index=3), catalog_channels(), ax=ax)
    assert max(ax.get_xlim()) < 100
    assert not any(isinstance(patch, Circle) for patch in ax.patches)
    assert "1 event(s) beyond the map, direction unknown: 161.2 ± 9.1 km" in ax.get_title(loc="left")


def test_an_unknown_uncertainty_is_not_drawn(ax):
    vague = graded_events().iloc[:2].assign(horizontal_uncertainty_km=[np.nan, 2.0])
    plot.map_view(vague, catalog_channels(), ax=ax)
    ellipses = next(c for c in ax.collections if isinstance(c, EllipseCollection))
    assert ellipses._widths.tolist() == pytest.approx([2.0])


def test_a_map_without_coordinates_says_so(ax):
    plot.map_view(make_events(), ax=ax)
    assert "receivers (no coordinates)" in labels(ax)
    assert ax.get_title(loc="left") == ""


def test_depth_section_counts_what_it_cannot_show(ax):
    events = make_events(
        event_index=[0, 1], longitude=[np.nan, 179.9], latitude=-20.0, depth_km=[np.nan, 7.0]
    )
    plot.depth_section(events, make_channels(), ax=ax)
    assert ax.yaxis_inverted()
    assert labels(ax) == ["CABLE", "events (1)"]
    assert "1 event(s)" in ax.texts[0].get_text()
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 0.5)


def test_an_unconstrained_depth_is_not_drawn(ax):
    vague = make_events(longitude=179.9, latitude=-20.0, depth_km=7.0, location_quality="depth-unconstrained")
    plot.depth_section(vague, make_channels(), ax=ax)
    assert labels(ax) == ["CABLE"]
    assert labels(plot.depth_section(vague.iloc[:0], make_channels())) == ["CABLE"]


def test_picks_have_the_colour_of_the_phase_as_which_they_were_taken(ax):
    picks = graded_picks()
    shown = picks[picks["event_index"].isin([1, -1])]
    record = make_record(200, 8000, first=2000)
    plot.section(record, shown, ax=ax)
    assert set(labels(ax)) == {
        "P kept (200)",
        "S kept (200)",
        "taken for the other phase (20)",
        "in a group without a location (40)",
    }
    handles = dict(zip(labels(ax), ax.get_legend_handles_labels()[0], strict=True))
    for phase in "PS":
        colour = handles[f"{phase} kept (200)"].get_facecolor()[0, :3]
        assert tuple(colour) == pytest.approx(to_rgb(plot.PHASE_COLORS[phase]))
    group = tuple(handles["in a group without a location (40)"].get_facecolor()[0, :3])
    assert group not in {to_rgb(colour) for colour in plot.PHASE_COLORS.values()}
    ringed = handles["taken for the other phase (20)"].get_offsets()[:, 0]
    assert sorted(ringed) == list(range(2000, 2020))


def test_residuals_are_those_of_the_phase_as_which_picks_were_taken(ax):
    plot.residuals(graded_picks(), event_index=1, ax=ax)
    assert [len(points.get_offsets()) for points in ax.collections] == [200, 200]


def test_the_timeline_counts_every_pick_once(ax):
    table = pd.concat([make_picks([0] * 30, seconds=np.linspace(0, 50, 30)), make_picks([0] * 7, phase="S")])
    spans = pd.DataFrame(
        {
            "station_id": "CABLE",
            "start": [START, pd.NaT],
            "end": [START + pd.Timedelta("60s"), pd.NaT],
            "first_channel": 0,
            "last_channel": 9,
            "num_channels": 10,
            "status": ["examined", "skipped"],
            "reason": "",
            "source": "a",
        }
    )
    plot.timeline(make_events(), table, conform(spans, COVERAGE_COLUMNS), ax=ax)
    assert labels(ax) == ["P picks (30)", "S picks (7)", "events (1, origin times)"]
    p, s = (patch.get_data() for patch in ax.patches)
    assert (p.values.sum(), (s.values - s.baseline).sum()) == (30, 7)
    assert ax.get_ylim()[0] < 0


def test_groups_are_marked_on_the_timeline(ax):
    plot.timeline(graded_events(), graded_picks(), None, graded_groups(), ax=ax)
    assert "groups without a location (1)" in labels(ax)


def test_picks_are_drawn_without_a_record(ax):
    plot.pick_section(graded_picks().iloc[-60:], ax=ax, title="Group 0")
    assert labels(ax) == ["S kept (20)", "in a group without a location (40)"]
    assert ax.get_title(loc="left") == "Group 0"
    assert [(text.get_text(), text.xy[0]) for text in ax.texts] == [("0", 2050)]
    seconds = offsets(ax, "in a group without a location (40)")[:, 1]
    np.testing.assert_allclose(np.diff(seconds), 0.01, atol=1e-6)
    with pytest.raises(TableError, match="no pick"):
        plot.pick_section(make_picks([]))


def test_an_empty_timeline_says_so(ax):
    plot.timeline(make_events().iloc[:0], make_picks([]), ax=ax)
    assert ax.texts[0].get_text() == "no picks, no events"


# Magnitudes, training, reliability

# 10 ** (-b * (M - 1)) of 1,000 events at and above each bin, b = 1: what a Gutenberg-Richter law says.
MAGNITUDES = np.repeat(
    np.arange(10, 40) / 10, np.diff(-np.round(1000 * 10 ** -(np.arange(31) / 10))).astype(int)
)
MAGNITUDE_PAIRS = pd.DataFrame({"reference_magnitude": [1.0, 2.0, 3.0], "magnitude": [1.1, 2.1, 3.1]})


def make_logs():
    step = np.arange(0, 100)
    log = pd.DataFrame({"step": step, "loss": 1.0 / (step + 1)})
    return log, pd.DataFrame({"step": [50, 99], "loss": [0.1, 0.05], "p_f1": [0.2, 0.8], "s_f1": [0.1, 0.7]})


def make_reliability():
    stated = np.tile([0.25, 0.5, 0.75], 2)
    table = pd.DataFrame({"stated": stated, "observed": stated, "phase": list("PPPSSS"), "num_picks": 10})
    return table.assign(quantity="probability")


def test_the_b_value_of_a_perfect_catalog_is_found(ax):
    plot.magnitude_frequency(MAGNITUDES, ax=ax)
    text = " ".join(line.get_label() for line in ax.get_lines())
    assert float(text.split("b = ")[1].split(" ")[0]) == pytest.approx(1.0, abs=0.02)
    assert "completeness 1.0" in text


def test_events_below_the_stated_completeness_do_not_count(ax):
    few_small = np.concatenate([MAGNITUDES, np.full(2000, 0.2)])
    plot.magnitude_frequency(few_small, completeness=1.0, ax=ax)
    assert f"({len(MAGNITUDES):,} events)" in " ".join(line.get_label() for line in ax.get_lines())


def test_a_catalog_without_magnitudes_says_so(ax):
    plot.magnitude_frequency(np.array([np.nan]), ax=ax)
    assert ax.get_title(loc="left") == "no event has a magnitude"


def test_magnitude_residuals_state_their_bias(ax):
    plot.magnitude_residuals(MAGNITUDE_PAIRS, ax=ax)
    assert "median +0.10" in ax.get_legend().get_texts()[0].get_text()


def test_training_curves_need_a_line_and_show_both_phases(ax):
    plot.training_curves(*make_logs(), ax=ax)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["training loss", "validation loss", "P: F1 (right)", "S: F1 (right)"]
    with pytest.raises(TableError, match="no line yet"):
        plot.training_curves(pd.DataFrame(columns=["step", "loss"]), ax=ax)


# All of them

DRAW = {
    "magnitude_frequency": lambda ax: plot.magnitude_frequency(MAGNITUDES, ax=ax),
    "magnitude_residuals": lambda ax: plot.magnitude_residuals(MAGNITUDE_PAIRS, ax=ax),
    "reliability": lambda ax: plot.reliability(make_reliability(), "probability", ax=ax),
    "training_curves": lambda ax: plot.training_curves(*make_logs(), ax=ax),
    "section": lambda ax: plot.section(make_record(), make_picks([0, -1]), ax=ax),
    "record_section": lambda ax: plot.record_section(make_record(), np.arange(40), ax=ax),
    "residuals": lambda ax: plot.residuals(make_picks([0, -1]), ax=ax),
    "score_histogram": lambda ax: plot.score_histogram(make_picks([0, -1]), ax=ax),
    "pick_section": lambda ax: plot.pick_section(make_picks([0, -1]), ax=ax),
    "map_view": lambda ax: plot.map_view(make_events(), make_channels(), ax=ax),
    "depth_section": lambda ax: plot.depth_section(make_events(), make_channels(), ax=ax),
    "timeline": lambda ax: plot.timeline(make_events(), make_picks([0]), ax=ax),
}


@pytest.mark.parametrize("name", sorted(DRAW))
def test_axes_go_in_and_come_out_without_touching_pyplot(name, ax):
    before = dict(mpl.rcParams)
    assert DRAW[name](ax) is ax
    ax.figure.canvas.draw()
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", sorted(DRAW))
def test_without_axes_there_is_a_new_figure(name):
    made = DRAW[name](None)
    made.figure.canvas.draw()
    assert plt.get_fignums() == [made.figure.number]


NAMED = {
    "section": lambda name, ax: plot.section(make_record(station_id=name), ax=ax),
    "residuals": lambda name, ax: plot.residuals(make_picks([0], station_id=name), ax=ax),
    "residuals_of_two": lambda name, ax: plot.residuals(
        pd.concat([make_picks([0], station_id=name), make_picks([0])]), ax=ax
    ),
    "pick_section": lambda name, ax: plot.pick_section(make_picks([0]), title=name, ax=ax),
    "map_view": lambda name, ax: plot.map_view(make_events(), make_channels().assign(station_id=name), ax=ax),
    "depth_section": lambda name, ax: plot.depth_section(
        make_events(), make_channels().assign(station_id=name), ax=ax
    ),
    "timeline": lambda name, ax: plot.timeline(
        make_events(), make_picks([0]), make_coverage().assign(station_id=name), ax=ax
    ),
}


@pytest.mark.parametrize("name", ["$x$", "a$b$", "one$", r"$\frac$", r"c\$d"])
@pytest.mark.parametrize("figure", sorted(NAMED))
def test_names_are_drawn_literally(name, figure, ax):
    NAMED[figure](name, ax)
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        ax.figure.savefig(file, format="svg")
    drawn = re.findall("<text[^>]*>([^<]*)</text>", file.getvalue())
    assert any(text in {name, f"Channel ({name})"} for text in drawn)


def test_logarithmic_axes_keep_their_powers(ax):
    plot.magnitude_frequency(MAGNITUDES, ax=ax)
    assert all(tick.get_parse_math() for tick in ax.get_yticklabels())


def test_importing_figures_is_light():
    code = "import sys, phasenet_das.plot; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert {"matplotlib", "torch", "obspy"}.isdisjoint(answer.stdout.split())


def test_picks_keep_their_room_beside_the_coverage_of_many_cables(ax):
    names = [f"S{number:02d}" for number in range(30)]
    plot.timeline(make_events(), make_picks([0] * 10), make_coverage(names), ax=ax)
    low, high = ax.get_ylim()
    assert low < 0 < high
    assert high / (high - low) > 0.5
    assert [text.get_text() for text in ax.texts] == names[::3]


def test_a_map_of_events_without_receivers_invents_no_place_for_them(ax):
    both = make_events(event_index=[0, 1], longitude=[12.0, np.nan], latitude=[45.0, np.nan], depth_km=5.0)
    plot.map_view(both, ax=ax)
    assert "receivers (no coordinates)" not in labels(ax)
    assert ax.get_xlabel() == "East of the middle of the events (km)"
    assert "1 event(s) without a position not shown" in ax.get_title(loc="left")


def test_a_cable_is_drawn_in_the_order_of_its_channels(ax):
    plot.depth_section(make_events(), make_channels().sample(frac=1, random_state=0), ax=ax)
    steps = np.diff(ax.lines[0].get_xdata())
    assert (steps > 0).all() or (steps < 0).all()


def test_completeness_between_two_bins_begins_with_the_next(ax):
    plot.magnitude_frequency(MAGNITUDES, completeness=1.45, ax=ax)
    text = " ".join(line.get_label() for line in ax.get_lines())
    assert f"({(MAGNITUDES > 1.45).sum():,} events)" in text
    assert float(text.split("b = ")[1].split(" ")[0]) == pytest.approx(1.0, abs=0.02)


def test_scores_that_are_unknown_or_repeat_an_index_are_drawn(ax):
    picks = pd.concat([make_picks([0, -1]), make_picks([0, -1]).assign(phase_score=np.nan)])
    plot.score_histogram(picks, ax=ax)
    assert labels(ax) == ["P kept (2)", "P rejected (2)"]
    plot.score_histogram(make_picks([0]).assign(phase_score=np.nan))
