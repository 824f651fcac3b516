"""From the spans of files to recordings: each sample once, gaps never bridged, drift bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasenet_das.io.merge import DRIFT, FIRST, GAP, MergePlan, cluster, merge

T0 = 1_704_067_200_000_000_000


def planned(spans: list[tuple[int, int]], dt_ns: int = 10_000_000) -> MergePlan:
    """Merge spans ``[first, end)`` in samples."""
    first, end = np.array(sorted(spans), dtype=np.int64).reshape(-1, 2).T
    return merge(T0 + first * dt_ns, end - first, np.full(len(first), dt_ns * 1e-9))


SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 25)).map(lambda item: (item[0], item[0] + item[1])),
    min_size=1,
    max_size=12,
)


@given(SPANS)
def test_each_sample_that_some_span_has_comes_once_and_in_order(spans: list[tuple[int, int]]) -> None:
    found, ordered = planned(spans), sorted(spans)
    runs: dict[int, list[int]] = {}
    for k, (first, end) in enumerate(ordered):
        if found.recording[k] >= 0:
            run = runs.setdefault(int(found.recording[k]), [])
            assert found.position[k] == len(run)
            run += range(first + int(found.skipped[k]), end)
    for run in runs.values():
        assert run == list(range(run[0], run[-1] + 1))
    everything = [sample for run in runs.values() for sample in run]
    assert everything == sorted(set().union(*(range(first, end) for first, end in spans)))
    assert all(
        b[0] - a[-1] > 1 for a, b in zip(list(runs.values())[:-1], list(runs.values())[1:], strict=True)
    )


def test_the_first_of_equal_spans_stays_and_what_is_kept_is_named() -> None:
    found = planned([(0, 10), (0, 10), (2, 8), (8, 14)])
    assert found.recording.tolist() == [0, -1, -1, 0]
    assert found.skipped.tolist() == [0, 10, 6, 2]
    assert found.kept_by.tolist() == [-1, 0, 0, 0]
    assert found.position[3] == 10


@pytest.mark.parametrize(
    ("off_samples", "recordings", "skipped"),
    [(0.0, 1, 0), (0.49, 1, 0), (-0.49, 1, 0), (0.51, 2, 0), (-0.51, 1, 1), (-1.4, 1, 1), (3.0, 2, 0)],
)
def test_half_a_sample_is_the_limit(off_samples: float, recordings: int, skipped: int) -> None:
    second = T0 + round((100 + off_samples) * 1e7)
    found = merge(np.array([T0, second]), np.array([100, 100]), np.full(2, 0.01))
    assert (found.recording[1] + 1, found.skipped[1]) == (recordings, skipped)
    assert found.cause.tolist() == [FIRST, GAP if recordings == 2 else -1]


JITTER = st.lists(st.integers(-4_999_999, 4_999_999), min_size=1, max_size=8)
OVERLAP = st.just(0) | st.integers(2, 40)  # of one sample nothing tells it from drift


@given(JITTER, OVERLAP)
def test_stamps_within_half_a_sample_of_the_axis_stay_one_recording(jitter: list[int], overlap: int) -> None:
    """Files of 100 samples at 100 Hz, each of which repeats the end of the one before."""
    off = np.array([0, *jitter])
    starts = T0 + np.arange(len(off)) * (100 - overlap) * 10_000_000 + off
    found = merge(starts, np.full(len(off), 100), np.full(len(off), 0.01))
    assert not found.recording.any()
    assert found.position.tolist() == [0, *(100 + (100 - overlap) * np.arange(len(jitter))).tolist()]
    assert found.skipped[1:].tolist() == [overlap] * len(jitter)


@pytest.mark.parametrize("off_ns", [-5_000_000, -4_000_000, 0, 4_000_000, 5_000_000])
def test_a_copy_of_a_file_beside_the_axis_contributes_nothing(off_ns: int) -> None:
    second = T0 + 1_000_000_000 + off_ns
    found = merge(np.array([T0, second, second]), np.full(3, 100), np.full(3, 0.01))
    assert found.recording.tolist() == [0, 0, -1]
    assert found.kept_by.tolist() == [-1, -1, 1]


def test_a_stamp_off_the_axis_is_drift_only_when_it_continues_the_stamp_before() -> None:
    starts = T0 + 1_000_000_000 * np.arange(3)
    drifting = merge(starts + np.array([0, -4_000_000, -8_000_000]), np.full(3, 100), np.full(3, 0.01))
    assert drifting.cause.tolist() == [FIRST, -1, DRIFT]
    assert not drifting.skipped.any()
    late = merge(starts + np.array([0, -4_000_000, 6_000_000]), np.full(3, 100), np.full(3, 0.01))
    assert late.cause.tolist() == [FIRST, -1, GAP]


def test_stamps_rounded_to_ms_stay_one_recording() -> None:
    count, samples, dt_ns = 5000, 1000, 1e9 / 300  # files of 3.3333 s
    exact = T0 + 123_456 + np.rint(np.arange(count) * samples * dt_ns).astype(np.int64)
    rounded = (exact + 500_000) // 1_000_000 * 1_000_000
    found = merge(rounded, np.full(count, samples), np.full(count, dt_ns * 1e-9))
    assert found.recording.max() == 0
    assert found.position[-1] == (count - 1) * samples


def test_a_drifting_clock_splits_before_the_axis_is_half_a_sample_off() -> None:
    count, samples, dt_ns = 3000, 1000, 10_000_000
    true_ns = dt_ns * (1 + 2e-6)  # 0.002 samples a file
    starts = T0 + np.rint(np.arange(count) * samples * true_ns).astype(np.int64)
    found = merge(starts, np.full(count, samples), np.full(count, dt_ns * 1e-9))
    assert 10 < found.recording.max() < 14
    assert set(found.cause[found.cause > FIRST]) == {DRIFT}
    assert not found.skipped.any()
    for number in range(int(found.recording.max()) + 1):
        inside = np.flatnonzero(found.recording == number)
        axis = starts[inside[0]] + found.position[inside] * dt_ns
        assert np.abs(starts[inside] - axis).max() <= dt_ns / 2


def test_intervals_within_a_millionth_are_one() -> None:
    values = np.array([0.01, 0.010000005, 0.02, 0.0100000001, 0.00999])
    assert cluster(values, 1e-6).tolist() == [1, 1, 2, 1, 0]
    assert cluster(np.array([]), 1e-6).tolist() == []
