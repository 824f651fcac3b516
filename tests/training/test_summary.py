"""A training counts its labels, warns of what makes it doubtful, and compares the student with its start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from phasenet_das.config import TrainSettings
from phasenet_das.tables import read_picks, write_table
from phasenet_das.training import cut_windows, find_windows
from phasenet_das.training.labels import INTERPOLATED, PICKED
from phasenet_das.training.summary import LabelCounts, TrainingSummary, advise, count_labels
from tests.training.test_cut_windows import recording

COUNTS = LabelCounts(
    windows=52, quiet_windows=14, events=50, channels=480, p_labels=12_345, s_labels=9_876,
    completed_share=0.384, mean_confidence=0.857,
)  # fmt: skip


def test_labels_are_counted_with_their_kind_and_confidence(tmp_path: Path) -> None:
    patch, picks, _ = recording()
    cut_windows(patch, picks, None, tmp_path, before_s=5.0, after_s=8.0)
    windows = [window for window in find_windows([tmp_path]) if not window.quiet]
    labels = [table[table["event_index"] >= 0] for table in (read_picks(window.labels) for window in windows)]
    whole = count_labels(windows)
    assert whole.windows == whole.events == len(windows) > 1
    assert whole.p_labels + whole.s_labels == sum(map(len, labels)) > 0
    assert whole.channels == len({channel for table in labels for channel in table["channel_index"]})
    for number, (window, table) in enumerate(zip(windows, labels, strict=True)):
        confidence, kind = (1.0, PICKED) if number else (0.5, INTERPOLATED)
        write_table(table.assign(label_confidence=confidence, label_kind=kind), window.labels)
    share = len(labels[0]) / sum(map(len, labels))
    half = count_labels(windows)
    assert half.completed_share == pytest.approx(share)
    assert half.mean_confidence == pytest.approx(1 - share / 2)
    noise = count_labels([replace(window, quiet=True) for window in windows])
    assert (noise.quiet_windows, noise.windows, noise.events) == (len(windows), 0, 0)


def test_labels_in_words(tmp_path: Path) -> None:
    summary = TrainingSummary(COUNTS, LabelCounts(windows=6, events=5), ("Look.",), {"f1": 0.6}, {})
    assert summary.labels() == (
        "The labels are 12,345 P and 9,876 S on 480 channels. They are of 50 events in 52 windows. "
        "Completion along the cable made 38% of them. Their mean confidence is 0.86. Noise fills "
        "14 more windows. Validation has 6 other windows of 5 events."
    )
    summary.write(tmp_path / "summary.json")
    assert TrainingSummary.read(tmp_path / "summary.json") == summary
    assert "1 event in 1 window." in TrainingSummary(LabelCounts(windows=1, events=1), COUNTS).labels()
    assert TrainingSummary(LabelCounts(), LabelCounts()).labels() == ""


def test_the_student_is_compared_with_its_start() -> None:
    summary = TrainingSummary(COUNTS, COUNTS)
    start, student = (
        {"f1": value, "p_f1": value, "s_f1": value + 0.05, "loss": 0.1} for value in (0.71, 0.78)
    )
    assert "F1 of P 0.71 → 0.78, of S 0.76 → 0.83" in summary.finished(start, student).outcome()
    assert "is not better than its start" in summary.finished(student, start).outcome()
    assert "is not better than its start" in summary.finished(start, start).outcome()
    no_labels = {"f1": float("nan")}
    for one, other in (({}, student), (start, {}), (no_labels, no_labels)):
        assert summary.finished(one, other).outcome() == ""


def test_doubtful_trainings_get_advice() -> None:
    random, given = TrainSettings(), TrainSettings(weights="phasenet-das")
    assert advise(random, COUNTS, 4_000, validates=True) == ()
    assert advise(given, COUNTS, 500, validates=True) == ()
    for advice, words in (
        (advise(random, replace(COUNTS, events=7), 4_000, validates=True), "Only 7 events"),
        (advise(random, COUNTS, 2_000, validates=True), "Only 2,000 steps from random weights"),
        (advise(given, COUNTS, 500, validates=False), "Nothing validates"),
    ):
        (line,) = advice
        assert words in line
