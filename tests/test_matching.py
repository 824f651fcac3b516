"""One-to-one matching: nearest first, whatever the order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet_das.errors import ConfigError, TableError
from phasenet_das.evaluate import match_picks
from phasenet_das.matching import candidate_pairs, nearest_item
from tests.tables_at_hand import pick_table

TOLERANCE = {"P": 0.5, "S": 0.5}
tenths = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), max_size=12)


def _table(items: list[tuple[int, int]]) -> pd.DataFrame:
    channel, tenth = np.array(items, dtype=int).reshape(-1, 2).T
    return pick_table(channel, tenth * 0.1)


def _one_at_a_time(truth: list[tuple[int, int]], picks: list[tuple[int, int]]) -> list[int]:
    """Gaps in tenths of a second of the pairs that the stated rule takes, one after the other."""
    free_truth, free_picks, gaps = sorted(truth), sorted(picks), []
    while True:
        near = [
            (abs(t[1] - p[1]), t, p)
            for t in free_truth
            for p in free_picks
            if t[0] == p[0] and abs(t[1] - p[1]) <= 5
        ]
        if not near:
            return sorted(gaps)
        gap, t, p = min(near)
        free_truth.remove(t)
        free_picks.remove(p)
        gaps.append(gap)


@settings(max_examples=60, deadline=None)
@given(tenths, tenths)
def test_rounds_give_what_one_pair_at_a_time_gives(
    truth: list[tuple[int, int]], picks: list[tuple[int, int]]
) -> None:
    pairs = match_picks(_table(picks), _table(truth), TOLERANCE)
    assert pairs["truth_row"].is_unique
    assert pairs["pick_row"].is_unique
    gaps = sorted(np.rint(pairs["residual_s"].abs() * 10).astype(int))
    assert gaps == _one_at_a_time(truth, picks)


@settings(max_examples=30, deadline=None)
@given(tenths, tenths, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(truth: list, picks: list, random) -> None:
    def key(found: list, true: list) -> list:
        a, b = _table(found), _table(true)
        pairs = match_picks(a, b, TOLERANCE)
        rows = zip(
            a["pick_id"].to_numpy()[pairs["pick_row"]],
            b["pick_id"].to_numpy()[pairs["truth_row"]],
            strict=True,
        )
        return sorted((int(x), int(y)) for x, y in rows)

    shuffled = [random.sample(rows, len(rows)) for rows in (picks, truth)]
    assert key(picks, truth) == key(*shuffled)


def test_nearest_goes_first_and_ties_go_to_the_earlier() -> None:
    truth = pick_table(np.zeros(2, int), np.array([1.0, 2.0]))
    pairs = match_picks(pick_table(np.zeros(2, int), np.array([1.6, 2.45])), truth, TOLERANCE)
    assert pairs["truth_row"].tolist() == [1]  # 1.6 takes 2.0, and nothing is left within reach of 1.0
    tie = match_picks(pick_table(np.zeros(1, int), np.array([1.5])), truth, TOLERANCE)
    assert tie["truth_row"].tolist() == [0]


def test_the_tolerance_is_inclusive_and_belongs_to_the_phase() -> None:
    truth = pd.concat([pick_table(np.arange(2), np.zeros(2), phase) for phase in "PS"], ignore_index=True)
    picks = truth.assign(phase_time=truth["phase_time"] + pd.Timedelta(milliseconds=150))
    pairs = match_picks(picks, truth, {"P": 0.149, "S": 0.15})
    assert truth["phase_type"].to_numpy()[pairs["truth_row"]].tolist() == ["S", "S"]


def test_long_spans_and_many_channels_do_not_overflow() -> None:
    channel = np.array([0, 2**31 - 2])
    truth = pick_table(channel, np.array([0.0, 3e9]))
    assert len(match_picks(truth, truth, TOLERANCE)) == 2


def test_what_is_missing_is_named() -> None:
    truth = pick_table(np.zeros(1, int), np.zeros(1), "S")
    with pytest.raises(ConfigError, match=r"no tolerance for phase\(s\) S"):
        match_picks(truth, truth, {"P": 0.1})
    with pytest.raises(ConfigError, match="0 or more"):
        match_picks(truth, truth, {"S": -0.1})
    with pytest.raises(TableError, match="phase_time"):
        match_picks(truth.drop(columns="phase_time"), truth, TOLERANCE)


@given(tenths, tenths)
@settings(max_examples=30, deadline=None)
def test_nearest_item_agrees_with_a_plain_search(items: list, queries: list) -> None:
    group, value = np.array(items, dtype=np.int64).reshape(-1, 2).T
    query_group, query = np.array(queries, dtype=np.int64).reshape(-1, 2).T
    found = nearest_item(group, value, query_group, query)
    for place, g, q in zip(found, query_group, query, strict=True):
        gaps = [abs(v - q) for k, v in items if k == g]
        assert (place < 0) == (not gaps)
        assert place < 0 or (group[place] == g and abs(value[place] - q) == min(gaps))


def test_candidates_are_all_pairs_within_tolerance() -> None:
    rng = np.random.default_rng(1)
    group, other = rng.integers(0, 3, 30), rng.integers(0, 3, 40)
    time, other_time = rng.integers(0, 50, 30), rng.integers(0, 50, 40)
    a, b = candidate_pairs(group, time, other, other_time, 4)
    near = (group[:, None] == other) & (np.abs(time[:, None] - other_time) <= 4)
    assert set(zip(a.tolist(), b.tolist(), strict=True)) == set(
        zip(*map(np.ndarray.tolist, np.nonzero(near)), strict=True)
    )


def test_rows_without_a_time_are_refused():
    picks = _table([(0, 1), (1, 2)])
    untimed = picks.assign(phase_time=picks["phase_time"].where(picks["channel_index"] > 0))
    with pytest.raises(TableError, match="truth: 1 of 2 rows have no phase_time"):
        match_picks(picks, untimed, TOLERANCE)
