"""Windows are split by event, a sequence by time, and noise with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phasenet_das.training.split import group_by_event, held_out_count, split_groups, split_windows
from phasenet_das.training.windows import TrainingWindow


def window_at(seconds: float, event_id: str = "", cable: str = "A", *, quiet: bool = False) -> TrainingWindow:
    """Make a window of 30 s."""
    begin = np.datetime64("2024-01-01T00:00:00", "ns") + np.timedelta64(round(seconds * 1e9), "ns")
    path = Path(f"{cable}{seconds}")
    return TrainingWindow(path, Path(), 10, 3000, begin, 0.01, 1.0, cable, event_id, quiet)


def test_the_same_event_on_two_cables_is_one_group() -> None:
    windows = [
        window_at(5000, cable="B"),
        window_at(0),
        window_at(20, cable="B"),
        window_at(80, cable="C"),  # 30 s after the end of the one before: linked through it
        window_at(9000, "quake", "B"),
        window_at(200_000, "quake"),
    ]
    group = group_by_event(windows, 60.0)
    assert group[1] == group[2] == group[3]
    assert group[4] == group[5]
    assert len(set(group)) == 3
    assert len(set(group_by_event(windows, 1.0))) == 4


@pytest.mark.parametrize("seed", range(6))
def test_no_event_straddles_the_split(seed: int) -> None:
    rng = np.random.default_rng(seed)
    windows = [window_at(1000 * event + rng.uniform(0, 30), cable=c) for event in range(20) for c in "AB"]
    shuffled = [windows[i] for i in rng.permutation(len(windows))]
    training, validation = split_windows(shuffled, 0.2, same_event_s=60.0, seed=seed)
    events = [{float(str(window.path)[1:]) // 1000 for window in part} for part in (training, validation)]
    assert not events[0] & events[1]
    assert len(validation) == 8
    assert len(training) + len(validation) == 40
    again = split_windows(windows, 0.2, same_event_s=60.0, seed=seed)[1]
    assert {w.path for w in again} == {w.path for w in validation}


def test_a_share_of_groups_is_held_out_when_there_are_two() -> None:
    assert split_groups(["a"], 0.5, 0).sum() == 0
    assert split_groups(["a", "b"], 0.01, 0).sum() == 1
    assert split_groups(["a", "b"], 0.0, 0).sum() == 0
    assert split_groups(["a", "b"], 0.9, 0).sum() == 1


@pytest.mark.parametrize(
    ("events", "held_out"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (19, 2), (20, 2), (21, 3), (200, 20)]
)
def test_a_tenth_of_the_events_validates_and_at_least_two_of_few(events: int, held_out: int) -> None:
    assert held_out_count(events, None) == held_out


def seconds_of(windows: list[TrainingWindow]) -> list[float]:
    return [float(str(window.path)[1:]) for window in windows]


def test_a_sequence_is_split_by_time(caplog: pytest.LogCaptureFixture) -> None:
    swarm = [window_at(20.0 * number) for number in range(30)]  # each overlaps the next by 10 s
    with caplog.at_level("INFO", "phasenet_das"):
        training, validation = split_windows(swarm[::-1], None, same_event_s=60.0, seed=0)
    assert sorted(seconds_of(validation)) == [540.0, 560.0, 580.0]
    assert sorted(seconds_of(training)) == [20.0 * number for number in range(26)]
    assert "all 30 windows chain to one event: the last 3 by time validate, 1 that overlap" in caplog.text


def test_windows_that_all_overlap_are_all_trained_on() -> None:
    cables = [window_at(0.1 * number, cable=cable) for number, cable in enumerate("ABCDE")]
    for windows in (cables, cables[:1]):
        assert split_windows(windows, None, same_event_s=60.0, seed=0) == (windows, [])
    assert split_windows(cables, 0.0, same_event_s=60.0, seed=0) == (cables, [])


def test_the_event_with_most_windows_is_trained_on() -> None:
    windows = [window_at(40.0 * number) for number in range(10)] + [window_at(9000), window_at(18_000)]
    for seed in range(8):
        validation = split_windows(windows, None, same_event_s=60.0, seed=seed)[1]
        assert seconds_of(validation)[0] >= 9000


@pytest.mark.parametrize("seed", range(8))
def test_events_that_chain_do_not_take_most_of_the_training(seed: int) -> None:
    """Twelve events one after another are one group. With it, 12 of 32 windows would validate."""
    chain = [window_at(40.0 * number) for number in range(12)]
    alone = [window_at(9000.0 + 1000.0 * number) for number in range(20)]
    validation = split_windows(chain + alone, None, same_event_s=60.0, seed=seed)[1]
    assert 2 <= len(validation) <= 3
    assert min(seconds_of(validation)) >= 9000


def test_of_groups_that_are_all_long_the_shortest_validates() -> None:
    lengths = (12, 9, 10)
    windows = [window_at(9000.0 * group + 40.0 * n) for group in range(3) for n in range(lengths[group])]
    training, validation = split_windows(windows, None, same_event_s=60.0, seed=0)
    assert seconds_of(validation) == [9000.0 + 40.0 * n for n in range(9)]
    assert len(training) == 22


@pytest.mark.parametrize("spacing_s", [1000.0, 80.0])
def test_noise_is_split_too_chains_no_events_and_overlaps_no_event_of_the_other_side(
    spacing_s: float,
) -> None:
    events = [window_at(spacing_s * number) for number in range(20)]
    noise = [window_at(spacing_s * number + 40.0, quiet=True) for number in range(20)]
    astray = [window_at(spacing_s * number + 10.0, cable="N", quiet=True) for number in range(20)]
    windows = [*events, *noise, *astray]
    training, validation = split_windows(windows, None, same_event_s=30.0 + spacing_s / 100, seed=3)
    assert sum(not window.quiet for window in validation) == 2
    assert sum(window.quiet for window in validation) >= 2
    assert {*seconds_of(training)} & {*seconds_of(noise)}
    for one in training:
        for other in validation:
            if one.quiet != other.quiet:
                assert one.end_time <= other.begin_time or other.end_time <= one.begin_time
