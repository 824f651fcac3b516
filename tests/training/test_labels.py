"""Labels: targets that sum to one, masks where nobody knows, and the moveout that refines them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet_das.errors import ConfigError, DataFormatError
from phasenet_das.tables import PICK_COLUMNS
from phasenet_das.training.labels import arrivals_of_picks, coherent, complete_labels
from phasenet_das.training.moveout import align_arrivals, fit_moveout
from phasenet_das.training.sample import Sample
from phasenet_das.training.targets import make_mask, make_targets

DT_S, SIGMA_S, GUARD_S = 0.01, 0.05, 0.2


def sample_of(arrivals: list, samples: int = 400, rejected: np.ndarray | None = None) -> Sample:
    arrivals = np.asarray(arrivals, float)
    data = np.random.default_rng(0).standard_normal((arrivals.shape[2], samples))
    made = Sample.of(data, arrivals, DT_S)
    return made if rejected is None else replace(made, rejected=rejected)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.floats(-50, 450), min_size=6, max_size=6), min_size=1, max_size=4),
    st.floats(0.005, 0.5),
)
def test_targets_are_probabilities_however_close_the_picks(times: list, sigma_s: float) -> None:
    arrivals = np.array(times).reshape(-1, 2, 3)
    targets = make_targets(sample_of(arrivals), sigma_s)
    assert targets.shape == (3, 3, 400)
    assert targets.dtype == np.float32
    assert targets.min() >= 0
    assert targets.max() <= 1
    np.testing.assert_allclose(targets.sum(axis=0), 1, atol=1e-6)


def test_a_label_is_a_gaussian_at_the_pick_between_samples_too() -> None:
    targets = make_targets(sample_of([[[100.25], [250.0]]]), SIGMA_S)
    time = np.arange(400)
    np.testing.assert_allclose(targets[1, 0], np.exp(-0.5 * ((time - 100.25) / 5) ** 2), atol=4e-4)
    assert targets[2, 0].argmax() == 250
    assert targets[2, 0, 250] == 1
    half = np.abs(targets[2, 0] - 0.5).argmin()
    assert abs(abs(half - 250) - 5 * np.sqrt(2 * np.log(2))) < 1


def test_close_picks_of_one_phase_do_not_add_and_two_phases_share() -> None:
    targets = make_targets(sample_of([[[100.0], [np.inf]], [[103.0], [np.inf]]]), SIGMA_S)
    assert targets[1].max() == 1
    targets = make_targets(sample_of([[[100.0], [100.0]]]), SIGMA_S)
    assert targets[1:, 0, 100].tolist() == [0.5, 0.5]
    assert targets[0, 0, 100] == 0


def test_labels_just_outside_reach_in_and_far_ones_do_not() -> None:
    targets = make_targets(sample_of([[[-2.0], [700.0]]]), SIGMA_S)
    assert targets[1, 0, 0] == pytest.approx(np.exp(-0.5 * 0.4**2), rel=1e-5)
    assert targets[2].max() == 0


def test_complete_labels_leave_no_mask() -> None:
    arrivals = [[[100.0, 110, np.inf], [200, 210, 220]]]
    assert make_mask(sample_of(arrivals), SIGMA_S, GUARD_S).min() == 1


def test_a_channel_with_one_phase_is_masked_where_the_event_may_be() -> None:
    arrivals = np.array([[[100.0, 110, 120, 130, 140], [200, np.nan, 220, np.nan, 240]]])
    arrivals[0, 0, 3] = np.nan
    mask = make_mask(sample_of(arrivals), SIGMA_S, GUARD_S)
    assert mask[[0, 2, 4]].min() == 1
    # Channel 1: P picked at 110, S expected at 210; channel 3: nothing picked, 130 and 230 expected.
    for row, first, last in ((1, 110, 210), (3, 130, 230)):
        expected = np.ones(400)
        expected[first - 20 : last + 21] = 0
        np.testing.assert_array_equal(mask[row], expected)


def test_a_phase_that_nobody_picked_leaves_the_span_open() -> None:
    mask = make_mask(sample_of([[[100.0, 110], [np.nan, np.nan]]]), SIGMA_S, GUARD_S)
    assert mask[0, :80].min() == 1
    assert mask[0, 80:].max() == 0
    mask = make_mask(sample_of([[[np.nan, np.nan], [200.0, 210]]]), SIGMA_S, GUARD_S)
    assert mask[0, 221:].min() == 1
    assert mask[0, :221].max() == 0


def test_beyond_the_last_pick_the_span_widens_by_the_moveout() -> None:
    arrivals = np.array([[[100.0, 120, 140, np.nan], [200, 220, 240, np.nan]]])
    mask = make_mask(sample_of(arrivals), SIGMA_S, GUARD_S)
    masked = np.flatnonzero(mask[3] == 0)
    assert masked[0] == 100 - 40 - 20
    assert masked[-1] == 240 + 40 + 20


def test_spans_near_rejected_picks_are_masked_but_not_kept_picks() -> None:
    rejected = np.array([[300.0, 103.0], [350.0, np.nan]])
    mask = make_mask(sample_of([[[100.0, 100.0], [200, 200]]], rejected=rejected), SIGMA_S, GUARD_S)
    expected = np.ones((2, 400))
    expected[0, 280:321] = expected[0, 330:371] = 0
    expected[1, 83:85] = expected[1, 116:124] = (
        0  # within three standard deviations of the kept pick: trusted
    )
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("before", [-30.0, -np.inf])
def test_an_s_whose_p_came_before_the_sample_is_left_out(before: float) -> None:
    """Whoever sees nothing before it must not be taught to tell it from a P; with a P in sight, or S alone
    behind a P that is not in the data at all, the S counts."""
    sample = sample_of([[[before, 5.0, np.inf], [200, 200, 200]]])
    expected = np.ones((3, 400))
    expected[0, 179:222] = 0
    np.testing.assert_array_equal(make_mask(sample, SIGMA_S, GUARD_S), expected)


def test_dead_channels_are_out_of_the_loss() -> None:
    made = sample_of([[[100.0, 100], [200, 200]]])
    made.data[1] = 7
    assert Sample.of(made.data, made.arrivals, DT_S).live.tolist() == [True, False]
    mask = make_mask(replace(made, live=np.array([True, False])), SIGMA_S, GUARD_S)
    assert mask.max(axis=1).tolist() == [1, 0]


def picks_table(rows: list[tuple]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["channel_index", "s", "phase_type", "phase_score", "event_index"])
    table["phase_time"] = pd.Timestamp("2024-01-01T00:00:00Z") + pd.to_timedelta(table["s"], unit="s")
    return table


def test_picks_become_arrivals_by_event_and_the_rest_is_rejected() -> None:
    table = picks_table(
        [
            (11, 1.0, "P", 0.9, 4),
            (11, 1.5, "P", 0.4, 4),  # weaker: not counted
            (12, 2.0, "S", 0.9, 4),
            (10, 3.0, "P", 0.9, 7),
            (12, 5.0, "P", 0.9, -1),
            (12, 6.0, "S", 0.9, -1),
            (99, 1.0, "P", 0.9, 4),  # another channel
            (10, 1.0, "PS", 0.9, 4),  # another phase
        ]
    )
    shuffled = table.sample(frac=1, random_state=1)
    begin = np.datetime64("2023-12-31T23:59:59", "ns")
    arrivals, confidence, rejected = arrivals_of_picks(shuffled, np.array([10, 11, 12]), begin, 0.5)
    expected = np.full((2, 2, 3), np.nan)
    expected[0, 0, 1], expected[0, 1, 2], expected[1, 0, 0] = 4, 6, 8
    np.testing.assert_allclose(arrivals, expected)
    assert (confidence == 1).all()
    assert np.isnan(rejected[:, :2]).all()
    assert sorted(rejected[:, 2]) == [12, 14]


def test_a_renamed_pick_teaches_the_phase_as_which_its_event_took_it() -> None:
    table = picks_table([(11, 1.0, "P", 0.9, 4), (11, 3.0, "P", 0.9, 4), (12, 5.0, "P", 0.9, -1)])
    taken = table.assign(associated_phase=["P", "S", ""])
    begin, channels = np.datetime64("2024-01-01T00:00:00", "ns"), np.array([11, 12])
    arrivals, _, rejected = arrivals_of_picks(taken, channels, begin, 0.5)
    np.testing.assert_allclose(arrivals, [[[2, np.nan], [6, np.nan]]])
    np.testing.assert_allclose(rejected, [[np.nan, 10]])


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataFormatError, match="Expected \\(channel, time\\)"):
        Sample.of(np.ones((3, 10)), np.ones((1, 2, 4)), DT_S)


def moveout(channels: int = 200) -> np.ndarray:
    return 300 + 40 * np.hypot((np.arange(channels) - 60) / 50, 1)


def test_a_moveout_is_nearer_the_truth_than_its_picks_and_outliers_do_not_bend_it() -> None:
    truth, rng = moveout(), np.random.default_rng(4)
    times = truth + rng.normal(0, 2.0, len(truth))
    wrong = rng.choice(len(truth), 30, replace=False)
    times[wrong] += rng.choice([-60, 60], 30)
    times[rng.choice(len(truth), 20, replace=False)] = np.nan
    line = fit_moveout(times, half_width=15, max_residual=15)
    assert np.isfinite(line.time).all()
    assert np.std(line.time - truth) < 0.5 * 2.0
    assert 1.0 < np.median(line.spread) < 3.0
    assert np.median(line.error) < 0.5 * np.median(line.spread)


def test_a_moveout_follows_a_straight_line_and_does_not_reach_far_beyond_it() -> None:
    line = 5.0 + 0.7 * np.arange(50)
    np.testing.assert_allclose(fit_moveout(line, half_width=10, max_residual=1).time, line)
    half = np.where(np.arange(50) < 25, line, np.nan)
    told = fit_moveout(half, half_width=10, max_residual=1).time
    assert np.flatnonzero(np.isfinite(told)).tolist() == list(range(28))  # three tenths of the half width
    np.testing.assert_allclose(told[:28], line[:28])
    lonely = np.full(50, np.nan)
    lonely[[3, 40]] = 7.0, np.inf
    assert np.isnan(fit_moveout(lonely, half_width=6, max_residual=1).time).all()
    with pytest.raises(ConfigError, match="half_width"):
        fit_moveout(line, half_width=0, max_residual=1)


def event_picks(channels: int = 60, event: int = 3) -> pd.DataFrame:
    """P and S of one event on a cable, scores of 0.8."""
    rows = np.arange(channels)
    times = {"P": 10.0 + 0.01 * rows, "S": 14.0 + 0.02 * rows}
    parts = [
        picks_table([(row, time, phase, 0.8, event) for row, time in zip(rows, when, strict=True)])
        for phase, when in times.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    unknown = dict.fromkeys(set(PICK_COLUMNS) - set(table.columns), np.nan)
    return table.assign(**unknown | {"station_id": "X", "pick_id": np.arange(len(table))})


def seconds(table: pd.DataFrame) -> np.ndarray:
    return ((table["phase_time"] - pd.Timestamp("2024-01-01T00:00:00Z")).dt.total_seconds()).to_numpy()


def completed(picks: pd.DataFrame, half_width: int = 10, **options: object) -> pd.DataFrame:
    return complete_labels(picks, np.arange(60), half_width=half_width, sigma_s=0.1, **options)


def test_channels_between_picks_get_labels_and_outliers_lose_theirs() -> None:
    picks = event_picks()
    p = picks["phase_type"] == "P"
    hole = p & picks["channel_index"].between(20, 25)
    picks.loc[p & (picks["channel_index"] == 40), "phase_time"] += pd.Timedelta(seconds=0.9)
    labels = completed(picks[~hole])
    found = labels[labels["phase_type"] == "P"].sort_values("channel_index")
    assert found["channel_index"].tolist() == list(range(60))
    np.testing.assert_allclose(seconds(found), 10.0 + 0.01 * np.arange(60), atol=1e-3)
    made = found["channel_index"][found["label_kind"] == "interpolated"].tolist()
    assert made == [20, 21, 22, 23, 24, 25, 40]
    assert found["label_confidence"].between(0.75, 0.8).all()
    assert labels["pick_id"].is_unique
    assert completed(picks[~hole].sample(frac=1, random_state=2)).equals(labels)
    plain = completed(picks[~hole], half_width=0)
    assert len(plain) == (~hole).sum()
    assert set(plain["label_kind"]) == {"picked"}


def test_no_line_crosses_a_gap_of_the_cable() -> None:
    """Channels 20 to 39 are numbered on from 5020: picks before the gap tell nothing about those behind."""
    picks = event_picks()
    picks = picks[picks["channel_index"] < 25]
    cable = np.where(np.arange(60) < 20, np.arange(60), np.arange(60) + 5000)
    picks = picks[picks["channel_index"] < 20]
    labels = complete_labels(picks, cable, half_width=10, sigma_s=0.1)
    assert labels["channel_index"].max() == 19
    whole = complete_labels(picks, np.arange(60), half_width=10, sigma_s=0.1)
    assert whole["channel_index"].max() == 22
    backwards = complete_labels(picks, np.arange(60)[::-1], half_width=10, sigma_s=0.1)
    assert set(backwards["channel_index"]) == set(whole["channel_index"])


def test_labels_that_another_network_lacks_count_half() -> None:
    picks = event_picks()
    others = picks[picks["channel_index"] < 30].assign(event_index=9)
    labels = completed(picks, agreeing=others)
    shared, alone = labels["channel_index"] < 20, labels["channel_index"] >= 40
    np.testing.assert_allclose(labels["label_confidence"][shared], 0.8, atol=0.01)
    np.testing.assert_allclose(labels["label_confidence"][alone], 0.4, atol=0.01)


def test_an_event_of_one_phase_teaches_nothing_and_masks_its_picks() -> None:
    picks = event_picks()
    labels = completed(picks[picks["phase_type"] == "P"])
    assert len(labels) == 60
    assert (labels["event_index"] == -1).all()
    assert (labels["label_kind"] == "").all()


def test_an_event_of_one_phase_in_the_coda_of_another_is_masked_too() -> None:
    later = picks_table([(row, 16.0 + 0.02 * row, "P", 0.9, 8) for row in range(20)])
    rest = completed(pd.concat([event_picks(), later], ignore_index=True).assign(station_id="X"))
    assert set(rest["event_index"]) == {3, -1}
    assert (rest["event_index"] == -1).sum() == 20


def test_a_pick_without_neighbours_is_noise_and_a_front_without_event_is_masked() -> None:
    lone = picks_table([(30, 40.0, "P", 0.9, -1)])
    front = picks_table([(row, 60.0 + 0.01 * row, "P", 0.9, -1) for row in range(20)])
    coda = picks_table([(row, 16.0 + 0.02 * row, "P", 0.9, -1) for row in range(20)])
    picks = pd.concat([event_picks(), lone, front, coda], ignore_index=True)
    picks["station_id"] = "X"
    rest = completed(picks)
    rest = rest[rest["event_index"] < 0]
    np.testing.assert_allclose(np.sort(seconds(rest)), 60.0 + 0.01 * np.arange(20), atol=1e-3)


def test_coherent_picks_need_channels_not_numbers() -> None:
    row = np.array([5, 5, 5, 5, 20, 22, 24, 26, 40, 60, 80, 100])
    time = np.array([1.0, 1.1, 1.2, 1.3, 9.0, 9.1, 9.2, 9.3, 20.0, 20.0, 20.0, 20.0])
    assert coherent(row, time, 200).tolist() == [False] * 4 + [True] * 4 + [False] * 4
    assert coherent(row[:0], time[:0], 200).tolist() == []
    assert not coherent(row[:1], time[:1], 200).any()
    assert coherent(np.arange(3), np.zeros(3), 3).all()  # a cable of three channels


def test_the_surroundings_of_an_uncertain_label_weigh_as_much_as_it_is_trusted() -> None:
    sample = sample_of([[[100.0, 100.0], [200.0, 200.0]]])
    confidence = sample.confidence.copy()
    confidence[0, 1, 1] = 0.25
    weight = make_mask(replace(sample, confidence=confidence), SIGMA_S, GUARD_S)
    expected = np.ones((2, 400))
    expected[1, 185:216] = 0.25
    np.testing.assert_array_equal(weight, expected)


def waves(times: np.ndarray, noise: float, samples: int = 700) -> np.ndarray:
    """A wavelet behind each arrival, alike on all channels, in noise."""
    since = np.arange(samples) - times[:, None]
    wavelet = np.where(since > 0, np.exp(-since / 25) * np.sin(since / 4) * np.sin(since / 9), 0)
    rough = np.random.default_rng(8).standard_normal(wavelet.shape)
    return (5 * wavelet + noise * rough).astype(np.float32)


def test_picks_align_with_their_neighbours_waveforms() -> None:
    truth, rng = moveout(), np.random.default_rng(6)
    times = truth + rng.normal(0, 3.0, len(truth))
    times[rng.choice(len(truth), 20, replace=False)] = np.nan
    data = waves(truth, noise=0.2)
    aligned = align_arrivals(data, times, half_width=15, window=80)
    np.testing.assert_array_equal(np.isnan(aligned), np.isnan(times))
    assert np.nanstd(aligned - truth) < 0.4 * np.nanstd(times - truth)
    assert abs(np.nanmean(aligned - times)) < 0.5
    noise = rng.standard_normal(data.shape).astype(np.float32)
    np.testing.assert_array_equal(align_arrivals(noise, times, half_width=15, window=80), times)


def test_aligning_leaves_picks_whose_window_leaves_the_data() -> None:
    times = np.array([5.0, 690.0, np.nan, np.inf])
    np.testing.assert_array_equal(
        align_arrivals(np.ones((4, 700), np.float32), times, half_width=3, window=80), times
    )


def test_an_unknown_arrival_whose_partner_lies_beyond_an_end_is_not_taught_as_noise() -> None:
    before = make_mask(sample_of([[[-np.inf, -np.inf], [np.nan, 300.0]]]), SIGMA_S, GUARD_S)
    assert before[0].max() == 0
    behind = make_mask(sample_of([[[np.nan], [np.inf]]]), SIGMA_S, GUARD_S)
    assert behind.max() == 0
    for gone in ([[np.inf], [np.nan]], [[np.nan], [-np.inf]]):  # the unknown one lies beyond the same end
        assert make_mask(sample_of([gone]), SIGMA_S, GUARD_S).min() == 1
