"""Picks against truth: known scores for known picks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phasenet_das.errors import TableError
from phasenet_das.evaluate import evaluate_picks, scores_by_tolerance
from phasenet_das.evaluate.intervals import bootstrap_ratios, interval
from tests.tables_at_hand import START, make_truth, pick_table

TRUTH = make_truth()


def _moved(seconds: float) -> pd.DataFrame:
    return TRUTH.assign(phase_time=TRUTH["phase_time"] + pd.Timedelta(seconds=seconds))


def _whole(picks: pd.DataFrame, truth: pd.DataFrame = TRUTH, **options) -> pd.DataFrame:
    table = evaluate_picks(picks, truth, num_bootstrap=options.pop("num_bootstrap", 0), **options).table
    return table[table["bin_by"] == ""].set_index("phase")


def _coverage(start_s: float, end_s: float, last_channel: int, status: str = "examined") -> dict:
    span = {name: START + pd.Timedelta(seconds=value) for name, value in (("start", start_s), ("end", end_s))}
    return {"station_id": "C", **span, "first_channel": 0, "last_channel": last_channel, "status": status}


def test_the_truth_scores_one() -> None:
    table = _whole(TRUTH, num_bootstrap=50)
    for name in ("precision", "recall", "f1", "precision_low", "recall_low", "f1_low"):
        assert (table[name] == 1).all()
    for name in ("bias_s", "std_s", "mae_s", "p05_s", "p95_s"):
        assert (table[name] == 0).all()


@pytest.mark.parametrize("shift_s", [0.05, -0.05])
def test_a_shift_shows_as_bias_and_in_scores_by_tolerance(shift_s: float) -> None:
    table = _whole(_moved(shift_s))
    assert (table["recall"] == 1).all()
    np.testing.assert_allclose(table[["bias_s", "p50_s"]], shift_s, atol=1e-9)
    np.testing.assert_allclose(table["mae_s"], 0.05, atol=1e-9)
    np.testing.assert_allclose(table["std_s"], 0.0, atol=1e-9)
    curve = scores_by_tolerance(_moved(shift_s), TRUTH, [0.049, 0.05, 0.1]).set_index("tolerance_s")["f1"]
    assert (curve[0.049] == 0).all()
    assert (curve[[0.05, 0.1]] == 1).all()


def test_a_random_picker_scores_near_zero() -> None:
    rng = np.random.default_rng(3)
    n = len(TRUTH)
    picks = pick_table(rng.integers(0, 40, n), rng.uniform(0, 370, n), rng.choice(["P", "S"], n))
    assert (_whole(picks)["f1"] < 0.05).all()


def test_swapped_phases_score_zero() -> None:
    swapped = TRUTH.assign(phase_type=TRUTH["phase_type"].map({"P": "S", "S": "P"}))
    assert (_whole(swapped)[["precision", "recall", "f1"]] == 0).all(axis=None)


def test_picks_of_another_cable_are_an_error_that_names_both_cables() -> None:
    elsewhere = TRUTH.assign(station_id="OTHER")
    with pytest.raises(TableError, match=r"OTHER.*truth.* C"):
        _whole(elsewhere)
    both = pd.concat([elsewhere, TRUTH])
    assert (_whole(both)["recall"] == 1).all()


def test_coverage_of_another_cable_is_an_error_that_names_both_cables() -> None:
    coverage = pd.DataFrame([_coverage(0, 400, 39)])
    assert (_whole(TRUTH, coverage=coverage)["recall"] == 1).all()
    with pytest.raises(TableError, match=r"coverage.*OTHER.*truth.* C"):
        _whole(TRUTH, coverage=coverage.assign(station_id="OTHER"))


def test_no_picks_and_no_truth() -> None:
    none = _whole(TRUTH.iloc[:0], num_bootstrap=20)
    assert (none["recall"] == 0).all()
    assert none["precision"].isna().all()
    empty = _whole(TRUTH, TRUTH.iloc[:0])
    assert (empty["precision"] == 0).all()
    assert empty["recall"].isna().all()


def test_one_pick_takes_one_true_pick() -> None:
    twice = pd.concat([TRUTH, _moved(0.01)], ignore_index=True)
    table = _whole(twice)
    assert (table["recall"] == 1).all()
    assert (table["precision"] == 0.5).all()
    assert (table["bias_s"] == 0).all()


def test_bins_are_of_the_truth() -> None:
    clear = TRUTH[TRUTH["snr_db"] >= 10]
    table = evaluate_picks(clear, TRUTH, bins={"snr_db": (-np.inf, 0, 10, 20, np.inf)}, num_bootstrap=0).table
    bins = table[(table["bin_by"] == "snr_db") & (table["num_truth"] > 0)]
    np.testing.assert_array_equal(bins["recall"], bins["bin_low"] >= 10)
    assert bins["precision"].isna().all()
    assert bins.groupby("phase")["num_truth"].sum().tolist() == [480, 480]
    with pytest.raises(TableError, match="no_such"):
        evaluate_picks(TRUTH, TRUTH, bins={"no_such": (0, 1)})


def test_what_was_not_examined_does_not_count() -> None:
    spans = [_coverage(0, 100, 39), _coverage(90, 130, 39), _coverage(130, 400, 39, "skipped")]
    coverage = pd.DataFrame([*spans, _coverage(250, 400, 9)])
    seconds = (TRUTH["phase_time"] - START).dt.total_seconds()
    inside = (seconds < 130) | ((seconds >= 250) & (TRUTH["channel_index"] <= 9))
    assert 0 < inside.sum() < len(TRUTH)
    result = evaluate_picks(TRUTH[inside], TRUTH, coverage=coverage, num_bootstrap=0)
    assert (result.table["f1"] == 1).all()
    assert result.num_ignored == int((~inside).sum())
    everything = evaluate_picks(TRUTH, TRUTH, coverage=coverage, num_bootstrap=0).table
    assert (everything["precision"] == 1).all()  # picks of ignored truth are ignored with it
    assert (everything["num_truth"] == result.table["num_truth"]).all()


def test_intervals_over_events_are_wider_than_over_channels() -> None:
    hit = TRUTH[TRUTH["event_index"] % 2 == 0]  # whole events are found or missed
    by_event = _whole(hit, num_bootstrap=400)
    by_channel = _whole(hit, TRUTH.assign(event_index=np.arange(len(TRUTH))), num_bootstrap=400)
    width, narrow = ((t["recall_high"] - t["recall_low"]).to_numpy() for t in (by_event, by_channel))
    assert (width > 3 * narrow).all()
    assert (np.abs(by_event["recall"] - 0.5) < 1e-12).all()
    # A share of 12 events of which half are hit: the binomial's own spread.
    np.testing.assert_allclose(width, 2 * 1.96 * np.sqrt(0.25 / 12), rtol=0.2)


def test_false_picks_widen_the_interval_of_precision() -> None:
    first = TRUTH[TRUTH["event_index"] == 0]
    near = pick_table(
        first["channel_index"].to_numpy(), np.full(len(first), 20.5), first["phase_type"].to_numpy()
    )
    table = _whole(pd.concat([TRUTH, near], ignore_index=True), num_bootstrap=200)
    assert (table["precision_low"] < table["precision"]).all()
    assert (table["precision_high"] == 1).all()  # draws without the first event hold none of them
    assert (table["recall_low"] == 1).all()


def test_equal_seeds_give_equal_intervals_whatever_the_order() -> None:
    hit = TRUTH.sample(frac=0.6, random_state=1)
    one = evaluate_picks(hit, TRUTH, num_bootstrap=50, seed=4).table
    other = evaluate_picks(hit[::-1], TRUTH[::-1], num_bootstrap=50, seed=4).table
    pd.testing.assert_frame_equal(one, other)
    assert not evaluate_picks(hit, TRUTH, num_bootstrap=50, seed=5).table.equals(one)


def test_intervals_need_events() -> None:
    with pytest.raises(TableError, match="event_index"):
        evaluate_picks(TRUTH, TRUTH.assign(event_index=-1))


def test_interval_leaves_out_draws_without_a_denominator() -> None:
    draws = bootstrap_ratios(np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]]), num_draws=200, seed=0)
    assert np.isnan(draws).any()
    assert [float(end[0]) for end in interval(draws)] == [1.0, 1.0]
