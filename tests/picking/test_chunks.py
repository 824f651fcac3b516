"""Shards do not show: the picks of any cut in time and in channels are those of the whole record."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phasenet_das.config import PickSettings
from phasenet_das.errors import SamplingError
from phasenet_das.io.recording import Recording, recording_of_array
from phasenet_das.picking.chunks import Chunk
from phasenet_das.picking.multirate import RatePass
from phasenet_das.picking.plan import ChunkPlan, ChunkSize, ReceptiveField
from phasenet_das.picking.run import ChunkPicker, PickRun, pick_chunks
from phasenet_das.picking.store import ChunkKeys, MemoryStore, merge_chunks
from tests.picking.small_pickers import assert_same_picks, small_picker

START_NS = 1_714_979_289_123_456_000
WHOLE = ChunkSize(channels=2**31, seconds=math.inf)


def _segment(channels: int = 24, samples: int = 3000, dt_s: float = 0.01, **kwargs: object) -> Recording:
    data = np.random.default_rng(3).standard_normal((channels, samples)).astype(np.float32)
    data = kwargs.pop("data", data)
    options = {
        "start_time": np.datetime64(START_NS, "ns"),
        "dt_s": dt_s,
        "station_id": "CABLE",
        "unit": "strain / s",
        **kwargs,
    }
    options.setdefault("channel_index", np.arange(103, 103 + len(data)))
    return recording_of_array(data, **options)


def _broken() -> np.ndarray:
    """Noise with all that goes wrong: offsets, gaps, dead channels and spans, spikes of infinity."""
    rng = np.random.default_rng(4)
    data = rng.standard_normal((24, 3000)).astype(np.float32)
    data += rng.normal(0, 50, (24, 1)).astype(np.float32)
    data[2] = 0
    data[3, :1300] = 7.5
    data[5, 900:1650] = np.nan
    data[6, 1490:1510] = np.inf
    data[9:13, 2200:] = np.nan
    data[17] = np.nan
    data[20, rng.integers(0, 3000, 40)] = np.nan
    data[:, 1500:1600] *= 30
    return data


def _pick(kind: str, segment: Recording, size: ChunkSize, **options: object) -> pd.DataFrame:
    picker = small_picker(kind)
    worker = ChunkPicker(picker.weights, picker._scorer, PickSettings(**{"rate": "model", **options}))
    store = MemoryStore()
    found = pick_chunks(PickRun(worker, size, ChunkKeys(picker.weights)), [segment], store)
    return merge_chunks(store, found.chunks)


@settings(max_examples=50, deadline=None)
@given(
    start=st.integers(0, 10**12),
    samples=st.integers(3, 5000),
    dt=st.sampled_from([0.01, 0.004, 0.02, 0.0005, 1 / 3217.797]),
    seconds=st.floats(0.05, 20),
    width=st.integers(1, 60),
    numbers=st.sets(st.integers(0, 200), min_size=1, max_size=60),
    stack=st.integers(1, 5),
    reach=st.integers(0, 500),
)
def test_cores_are_the_record_each_sample_once(
    start: int, samples: int, dt: float, seconds: float, width: int, numbers: set, stack: int, reach: int
) -> None:
    segment = _segment(
        data=np.zeros((len(numbers), samples), np.float32),
        start_time=np.datetime64(start * 1000, "ns"),
        dt_s=dt,
        channel_index=np.array(sorted(numbers)),
    )
    if samples * dt < 0.05:
        return
    plan = ChunkPlan(
        segment,
        RatePass(0, PickSettings(average_channels=stack), 1.0, joined=True),
        sampling_rate_hz=100.0,
        field=ReceptiveField(reach, 7, reach // 20, 4),
        size=ChunkSize(channels=width, seconds=seconds),
    )
    seen = np.zeros((len(plan.cable), plan.grid.num_samples), int)
    source = np.zeros((len(numbers), samples), int)
    for chunk in (Chunk(plan, *core) for core in plan.cores()):
        seen[slice(*chunk.rows), slice(*chunk.core)] += 1
        window = chunk.context
        source[plan.core_channels(chunk.rows), slice(*plan.core_source(chunk.core))] += 1
        assert 0 <= window.source[0] < window.source[1] <= samples
        assert window.span[0] <= chunk.core[0] < chunk.core[1] <= window.span[1]
        assert (plan.quality.edges(*window.source)[:1] == window.source[0]).all()
        assert set(plan.core_channels(chunk.rows)) <= set(window.positions)
        bounds = [n for n in chunk.core if 0 < n < plan.grid.num_samples]
        assert all((plan.grid.first_index + n) % plan.length == 0 for n in bounds)
    assert (seen == 1).all()
    assert (source == 1).all()


@cache
def _whole(kind: str) -> pd.DataFrame:
    return _pick(kind, _segment(data=_broken()), WHOLE)


@settings(max_examples=5, deadline=None)
@given(
    kind=st.sampled_from(["tile", "tile", "tile-array", "window", "window"]),
    seconds=st.floats(4, 12),
    channels=st.integers(8, 20),
)
@example("tile", 1.3, 13)
@example("tile", 6.0, 4)
@example("window", 2.0, 11)
def test_any_cut_gives_the_picks_of_the_whole(kind: str, seconds: float, channels: int) -> None:
    segment, whole = _segment(data=_broken()), _whole(kind)
    assert_same_picks(whole, _pick(kind, segment, ChunkSize(channels=channels, seconds=seconds)))


@pytest.mark.parametrize(
    ("kind", "dt_s", "options"),
    [
        ("tile", 0.004, {}),
        ("window", 0.004, {}),
        ("tile", 0.016, {"average_channels": 3}),
        ("tile", 0.01, {"common_mode": "median", "average_channels": 4}),
        ("window", 0.01, {"common_mode": "median"}),
        ("tile", 0.01, {"bandpass_hz": (2.0, 30.0)}),
        ("window", 0.005, {"bandpass_hz": (2.0, 30.0), "to_strain_rate": True}),
        ("tile", 0.002, {"rate": "native"}),
        ("tile-array", 0.005, {"rate": 50.0, "average_channels": 2}),
        ("picture", 0.01, {}),
        ("tile", 0.01, {"rate": None}),
        ("tile", 0.01, {"precision": "bfloat16"}),
        ("window", 0.01, {"precision": "bfloat16"}),
        ("tile", 0.004, {"rate": (250.0, 125.0), "average_channels": 2}),
    ],
)
def test_conditioned_and_resampled_records_are_cut_without_a_trace(
    kind: str, dt_s: float, options: dict
) -> None:
    segment = _segment(data=_broken(), dt_s=dt_s, unit="strain")
    size = ChunkSize(channels=9, seconds=700 * dt_s if kind != "picture" else 1100 * dt_s)
    assert_same_picks(_pick(kind, segment, WHOLE, **options), _pick(kind, segment, size, **options))


@pytest.mark.parametrize("kind", ["tile", "window"])
def test_channels_in_any_order_with_holes(kind: str) -> None:
    rng = np.random.default_rng(8)
    index = rng.permutation(np.r_[10:20, 24:30, 400:420:2])
    data = rng.standard_normal((len(index), 1600)).astype(np.float32)
    segment = _segment(data=data, channel_index=index, distance_m=index * 2.0)
    whole = _pick(kind, segment, WHOLE)
    assert set(whole["channel_index"]) <= set(index.tolist())
    assert (whole["distance_m"] == whole["channel_index"] * 2.0).all()
    assert_same_picks(whole, _pick(kind, segment, ChunkSize(channels=7, seconds=4.0)))


def test_a_rate_far_above_the_record_s_is_refused_before_anything_is_made() -> None:
    segment = _segment(data=np.zeros((4, 3000), np.float32))
    facts = {"sampling_rate_hz": 100.0, "field": ReceptiveField(1, 1, 1, 1), "size": WHOLE}
    with pytest.raises(SamplingError, match=r"rate 2001 Hz is more than 20 times the recording's 100 Hz"):
        ChunkPlan(segment, RatePass(0, PickSettings(rate=2001), 1.0, joined=True), **facts)
    assert ChunkPlan(segment, RatePass(0, PickSettings(rate=2000), 1.0, joined=True), **facts).rate_hz == 2000
    slow = _segment(data=np.zeros((4, 3000), np.float32), dt_s=1.0)  # the network's own rate is always open
    assert ChunkPlan(slow, RatePass(0, PickSettings(), 1.0, joined=True), **facts).rate_hz == 100


def test_a_month_is_planned_without_listing_it() -> None:
    """The plan of a long record costs nothing until its shards are asked for."""
    from phasenet_das.io.recording import recording_of_function

    month = recording_of_function(
        station_id="C",
        start_time=np.datetime64(START_NS, "ns"),
        dt_s=0.001,
        num_samples=30 * 86_400_000,
        channel_index=np.arange(10_000),
        distance_m=np.arange(10_000.0),
        generate=lambda _channels, samples: np.zeros((1, samples.stop - samples.start)),
    )
    picker = small_picker()
    own = PickSettings(rate="native", average_channels=1)
    plans = [
        (plan, 1.0 if settings is own else 1.4)  # more is loaded where the network sees little of it
        for settings in (own, PickSettings())
        for plan in ChunkPicker(picker.weights, picker._scorer, settings).plans(month, ChunkSize())
    ]
    assert len(plans) == 6
    for plan, room in plans:
        cores = list(plan.cores())
        windows = [Chunk(plan, *core).context for core in cores[:: len(cores) // 50]]
        loaded = [(w.source[1] - w.source[0]) * len(w.positions) for w in windows]
        assert max(loaded) <= 1.1 * room * ChunkSize().samples
        assert all(0 <= w.source[0] < w.source[1] <= month.num_samples for w in windows)
