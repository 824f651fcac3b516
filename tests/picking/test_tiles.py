"""Tiling does not show: picks of any tiling are those of the whole."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from phasenet_das import io
from phasenet_das.errors import ConfigError
from phasenet_das.models import EQNet, PhaseNetDAS, Weights, save_weights
from phasenet_das.models.strips import StripNetwork
from phasenet_das.picking import Picker, load_picker
from phasenet_das.picking.tiles import cut_tiles, split_channels
from phasenet_das.tables import PICK_COLUMNS

START = "2024-05-06T07:08:09.123456"
SMALL = {
    "widths": (4, 6, 8),
    "strides": ((2, 4), (2, 2), (1, 2)),
    "kernels": ((3, 5), (3, 3), (1, 3)),
    "depths": (1, 0, 2),
}


def _das_model(**model_args: object) -> PhaseNetDAS:
    """A network of random weights, sharpened so that it picks something."""
    torch.manual_seed(5)
    model = PhaseNetDAS(**model_args).eval()
    with torch.no_grad():
        model.head.weight.mul_(8)
    return model


@cache
def _picker(architecture: str = "phasenet-das", normalization: str = "moving") -> Picker:
    model, window = _das_model(**SMALL), 300
    if architecture == "eqnet":
        torch.manual_seed(5)
        model, window = EQNet().eval(), 1280
        with torch.no_grad():
            model.classifier.layers.weight.mul_(30)
    return Picker(Weights("test", architecture, model, 100.0, "NPS", "1", normalization, window, "0" * 64))


def _record(channels: int = 40, samples: int = 1500, first_channel: int = 103, **kwargs: object):
    data = np.random.default_rng(0).standard_normal((channels, samples)).astype(np.float32)
    options = {"start_time": START, "dt_s": 0.01, "station_id": "CABLE", "unit": "strain / s", **kwargs}
    options.setdefault("channel_index", np.arange(first_channel, first_channel + channels))
    return io.make_patch(options.pop("data", data), **options)


def _assert_same(first: pd.DataFrame, second: pd.DataFrame, min_score: float = 0.3) -> None:
    """Equal by pick_id, but for picks within 1e-3 of the threshold."""
    first, second = (table.set_index("pick_id").sort_index() for table in (first, second))
    alone = pd.concat([first[~first.index.isin(second.index)], second[~second.index.isin(first.index)]])
    assert (alone["phase_score"] < min_score + 1e-3).all()
    common = first.index.intersection(second.index)
    assert len(common) > 20
    first, second = first.loc[common], second.loc[common]
    assert_allclose(first["phase_score"], second["phase_score"], atol=1e-3)
    assert (first["phase_time"] - second["phase_time"]).dt.total_seconds().abs().max() <= 0.01
    assert_allclose(first["phase_amplitude"], second["phase_amplitude"], rtol=1e-5)


@settings(max_examples=200, deadline=None)
@given(
    first=st.integers(-1000, 10**12),
    count=st.integers(1, 3000),
    stride=st.sampled_from([1, 4, 16, 128]),
    halo_strides=st.integers(0, 6),
    context=st.integers(0, 60),
    core_strides=st.integers(1, 20),
)
def test_cores_cover_the_axis_once_and_tiles_reach_far_enough(
    first: int, count: int, stride: int, halo_strides: int, context: int, core_strides: int
) -> None:
    halo = halo_strides * stride
    rounded = -(-context // stride) * stride
    tile = 2 * (halo + rounded) + core_strides * stride
    spans = cut_tiles(first, count, tile=tile, halo=halo, stride=stride, context=context)
    begin, end = spans[0].start, spans[-1].end
    assert begin <= first < begin + stride
    assert end - stride < first + count <= end
    cores = [(span.core_start, span.core_end) for span in spans]
    assert cores[0][0] == first
    assert cores[-1][1] == first + count
    assert all(left[1] == right[0] for left, right in itertools.pairwise(cores))
    for span in spans:
        assert all(n % stride == 0 for n in (span.start, span.end, span.scored_start, span.scored_end))
        assert span.end - span.start <= tile
        assert span.core_start < span.core_end
        assert span.start == begin or span.start <= span.scored_start - halo
        assert span.end == end or span.end >= span.scored_end + halo
        assert span.scored_start == begin or span.scored_start <= span.core_start - context
        assert span.scored_end == end or span.scored_end >= span.core_end + context


def test_a_tile_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 42"):
        cut_tiles(0, 100, tile=41, halo=20, stride=2)


def _tiled(model: PhaseNetDAS, data: np.ndarray, origin: tuple, tiles: tuple, strip: int) -> np.ndarray:
    """Scores of all cores put together."""
    spans = [
        cut_tiles(origin[i], data.shape[i], tile=tiles[i], halo=model.halo[i], stride=model.stride[i])
        for i in range(2)
    ]
    begin = [axis[0].start for axis in spans]
    whole = np.zeros([axis[-1].end - axis[0].start for axis in spans], np.float32)
    inside = tuple(slice(origin[i] - begin[i], origin[i] - begin[i] + data.shape[i]) for i in range(2))
    whole[inside] = data
    out = np.full((3, *whole.shape), np.nan, np.float32)

    network = StripNetwork(model, torch.device("cpu"))
    for channel, time in itertools.product(*spans):
        (c0, c1), (t0, t1) = (
            (one.start - begin[i], one.end - begin[i]) for i, one in enumerate((channel, time))
        )
        strips = torch.from_numpy(whole[c0:c1, t0:t1]).split(strip)
        scores = torch.cat(
            list(network(strips, (channel.length, time.length), (channel.local, time.local))), 1
        )
        a, b = channel.scored_start - begin[0], time.scored_start - begin[1]
        out[:, a : a + scores.shape[1], b : b + scores.shape[2]] = scores
    return out[:, *inside]


@settings(max_examples=30, deadline=None)
@given(
    origin=st.tuples(st.integers(0, 10**6), st.integers(0, 10**12)),
    shape=st.tuples(st.integers(1, 90), st.integers(1, 700)),
    core=st.tuples(st.integers(1, 10), st.integers(1, 20)),
    strip=st.integers(1, 40),
)
def test_scores_of_any_tiling_equal_the_whole(origin: tuple, shape: tuple, core: tuple, strip: int) -> None:
    model = _das_model(**SMALL)
    data = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    tiles = tuple(2 * model.halo[i] + core[i] * model.stride[i] for i in range(2))
    found = _tiled(model, data, origin, tiles, strip)
    whole = _tiled(model, data, origin, (10_000, 10_000), 10_000)
    assert np.isfinite(found).all()
    assert np.abs(found - whole).max() < 1e-5


@pytest.mark.parametrize("tile", [(208, 4096), (272, 5120)])
def test_the_default_network_tiles_without_a_trace(tile: tuple[int, int]) -> None:
    model = _das_model()
    data = np.random.default_rng(2).standard_normal((250, 6000)).astype(np.float32)
    origin = (37, 10**11 + 77)
    found, whole = (_tiled(model, data, origin, size, 64) for size in (tile, (10_000, 10_000)))
    assert whole[1:].std() > 0.05
    assert np.abs(found - whole).max() < 1e-5


@settings(max_examples=8, deadline=None)
@given(
    core=st.integers(1, 40),
    strip=st.sampled_from([1, 20_000, 60_000]),
    normalization=st.sampled_from(["moving", "moving-array"]),
)
def test_picks_of_any_tiling_equal_the_whole(core: int, strip: int, normalization: str) -> None:
    picker, patch = _picker(normalization=normalization), _record(samples=1000)
    _assert_same(_whole(normalization), _retiled(picker, core, strip).pick(patch))


@cache
def _whole(normalization: str) -> pd.DataFrame:
    return _picker(normalization=normalization).pick(_record(samples=1000))


def _retiled(picker: Picker, core: int, strip: int) -> Picker:
    """The same picker with tiles of nearly no core."""
    other = Picker(picker.weights)
    scorer = other._scorer
    scorer.strip = strip
    scorer._longest = lambda context: 2 * (scorer._halo[1] + context) + core * scorer._stride[1]
    return other


def test_the_table_keeps_its_contract_and_is_the_peaks_of_the_scores() -> None:
    picker, patch = _picker(), _record()
    picks, scores = picker.pick(patch, rate="model"), picker.annotate(patch, rate="model")[0]
    assert {name: str(kind) for name, kind in picks.dtypes.items()} == PICK_COLUMNS
    assert set(picks["phase_type"]) == {"P", "S"}
    assert picks["pick_id"].is_unique
    assert picks["phase_amplitude"].notna().mean() > 0.99
    assert_allclose(scores.sum("phase"), 1, atol=1e-5)
    for pick in picks.iloc[::50].itertuples():
        trace = scores.sel(phase=pick.phase_type, channel=pick.channel_index)
        nearest = trace.sel(time=pick.phase_time.tz_localize(None), method="nearest")
        assert float(nearest) == pytest.approx(pick.phase_score, abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(cut=st.integers(1, 500))
def test_a_later_start_gives_the_later_part_of_the_whole(cut: int) -> None:
    """Beyond the reach of network and normalisation, a file cut elsewhere gives the same picks."""
    picker, patch = _picker(), _record(channels=16, samples=2600)
    start = np.datetime64(START) + np.timedelta64(cut * 10_000, "us")
    piece = _record(data=io.get_data(patch)[:, cut:], channels=16, start_time=start)
    later = pd.Timestamp(START, tz="UTC") + pd.Timedelta(seconds=5 + 80 * 0.01 + 3.6)
    tables = (picker.pick(source, rate="model") for source in (patch, piece))
    first, second = (table[table["phase_time"] >= later] for table in tables)
    _assert_same(first, second)


def test_a_range_of_channels_gives_the_inner_part_of_the_whole() -> None:
    picker, patch = _picker(), _record(channels=80)
    part = picker.pick(io.read(patch, channels=(121, 170)))
    whole = picker.pick(patch)
    halo = picker.model.halo[0]
    first, second = (t[t["channel_index"].between(121 + halo, 169 - halo)] for t in (whole, part))
    _assert_same(first, second)


@pytest.mark.parametrize(("channels", "samples"), [(1, 1500), (3, 40), (40, 3)])
def test_short_arrays_and_records_are_padded_and_padding_is_never_picked(channels: int, samples: int) -> None:
    for picker in (_picker(), _picker("eqnet", "none")):
        patch = _record(channels=channels, samples=samples)
        scores = picker.annotate(patch)[0]
        assert scores.shape == (3, channels, samples)
        assert_allclose(scores.sum("phase"), 1, atol=1e-5)
        picks = picker.pick(patch)
        start = pd.Timestamp(START, tz="UTC")
        seconds = (picks["phase_time"] - start).dt.total_seconds()
        assert picks["channel_index"].isin(patch.get_array("channel_index")).all()
        assert seconds.between(0, samples * 0.01).all()


@pytest.mark.parametrize("channels", [1, 5, 8])
def test_a_short_cable_is_seen_with_its_mirror_images(channels: int) -> None:
    picker = _picker()
    times = -(-picker.model.halo[0] // channels)
    data = io.get_data(_record(channels=channels))
    images = np.concatenate([data[::-1] if turn % 2 else data for turn in range(times)])
    few = picker.annotate(_record(data=data, channels=channels))[0].to_numpy()
    many = picker.annotate(_record(data=images, first_channel=0, channels=len(images)))[0].to_numpy()
    many = many.reshape(3, times, channels, -1)
    many[:, 1::2] = many[:, 1::2, ::-1]
    assert_allclose(few, many.mean(axis=1), atol=1e-5)


def test_a_dead_channel_keeps_its_place_between_its_neighbours() -> None:
    """Leaving a silent channel out of the file, or having it there dead, comes to the same."""
    picker = _picker()
    data = io.get_data(_record()).copy()
    data[7] = 0
    present = picker.pick(_record(data=data))
    index = np.delete(np.arange(103, 143), 7)
    absent = picker.pick(_record(data=np.delete(data, 7, axis=0), channel_index=index))
    assert 110 not in set(present["channel_index"])
    assert present.attrs["dead_channels"] == [110]
    _assert_same(present, absent)


def test_a_record_without_a_live_channel_gives_an_empty_table() -> None:
    for picker in (_picker(), _picker("eqnet", "none")):
        picks = picker.pick(_record(data=np.zeros((4, 1500), np.float32), channels=4))
        assert picks.empty
        assert list(picks.columns) == list(PICK_COLUMNS)


def test_a_wide_hole_parts_the_cable() -> None:
    index = np.r_[0:10, 12:20, 500:520]
    sections = split_channels(index, 90)
    assert [section.extent for section in sections] == [(0, 20), (500, 20)]
    assert [len(section.rows) for section in sections] == [18, 20]
    picker = _picker()
    together = picker.pick(_record(channels=38, channel_index=index))
    data = io.get_data(_record(channels=38))
    alone = picker.pick(_record(channels=20, data=data[18:], channel_index=index[18:]))
    _assert_same(together[together["channel_index"] >= 500], alone)


def test_every_second_channel_is_a_neighbour() -> None:
    (section,) = split_channels(np.arange(7, 99, 2), 4)
    assert section.extent == (3, 46)


def test_missing_samples_are_not_picked() -> None:
    data = io.get_data(_record()).copy()
    data[5, 400:900] = np.nan
    picks = _picker().pick(_record(data=data))
    on_gap = picks[picks["channel_index"] == 108]
    seconds = (on_gap["phase_time"] - pd.Timestamp(START, tz="UTC")).dt.total_seconds()
    assert len(on_gap) > 0
    assert not seconds.between(4.01, 8.98).any()


def test_stacked_rows_return_to_every_channel() -> None:
    scores = _picker().annotate(_record(first_channel=104), average_channels=4)[0]
    assert scores.sizes["channel"] == 40
    grouped = scores.values.reshape(3, 10, 4, -1)
    assert_allclose(grouped, grouped[:, :, :1].repeat(4, axis=2))


def test_eqnet_windows_lie_on_the_absolute_grid() -> None:
    """Blocks do not show, and neither does where the record was cut, beyond a window from the cut."""
    picker = _picker("eqnet", "none")
    patch = _record(channels=6, samples=5200)
    whole = picker.annotate(patch)[0]
    with pytest.MonkeyPatch.context() as patcher:
        patcher.setattr("phasenet_das.picking.networks._PICTURE_WINDOWS", 1)
        assert_allclose(picker.annotate(patch)[0], whole, atol=1e-5)
        _assert_same(picker.pick(patch), picker.pick(patch))
    start = np.datetime64(START) + np.timedelta64(7_770_000, "us")
    piece = picker.annotate(_record(data=io.get_data(patch)[:, 777:], channels=6, start_time=start))[0]
    assert_allclose(piece[..., 1280:], whole[..., 777 + 1280 :], atol=1e-4)


def test_a_folder_of_weights_picks(tmp_path: Path) -> None:
    for architecture, normalization in (("phasenet-das", "moving"), ("eqnet", "none")):
        weights = _picker(architecture, normalization).weights
        save_weights(
            tmp_path / architecture,
            weights.model,
            architecture=architecture,
            model_args=weights.model.model_args,
            sampling_rate_hz=100.0,
            phases="NPS",
            component_order="1",
            normalization=normalization,
            window_samples=weights.window_samples,
            provenance={"license": "MIT"},
        )
        patch = _record(channels=8)
        expected = _picker(architecture, normalization).pick(patch)
        _assert_same(load_picker(tmp_path / architecture).pick(patch), expected)
