"""Chapters on a run: the measures that need no truth, in words."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from phasenet_das.evaluate import MeasuredStage, evaluate_picks, measure_catalog
from phasenet_das.report.run_chapters import Training, measures_chapter, scores_chapter, training_chapter
from phasenet_das.text import json_records
from phasenet_das.training.summary import LabelCounts, TrainingSummary
from tests.tables_at_hand import graded_events, graded_picks


def test_measures_stand_beside_those_of_the_paper() -> None:
    stages = [MeasuredStage(name, "teacher", graded_picks(), graded_events()) for name in ("round1", "final")]
    measures = measure_catalog(stages)
    chapter = measures_chapter(measures)
    assert chapter is not None
    (table,) = chapter.tables
    assert list(table.header) == ["Measure", "round1: teacher", "final: teacher", "Paper"]
    (share,) = (row for row in table.rows if row[0] == "All picks that associate")
    assert share[1:3] == ["98 % of 2,040"] * 2
    assert "59-69 %" in share[3]
    assert chapter.listing == measures["judgements"]
    assert "10.1038/s41467-023-43355-3" in " ".join(chapter.text)


def test_a_training_says_what_it_learned_from_and_what_came_of_it() -> None:
    log = pd.DataFrame({"step": [1, 2], "loss": [1.0, 0.5]})
    counts = LabelCounts(windows=9, events=9, channels=50, p_labels=400, s_labels=300)
    summary = TrainingSummary(counts, LabelCounts(), ("Only 9 events.",), {"f1": 0.5}, {"f1": 0.6})
    training = Training("Training", "Labels of the teacher.", log, None, summary)
    text = training_chapter(training).text
    assert text == ["Labels of the teacher.", summary.labels(), summary.outcome(), "Only 9 events."]
    assert training_chapter(replace(training, summary=None)).text == ["Labels of the teacher."]


def test_a_run_without_measures_has_no_chapter() -> None:
    assert measures_chapter(None) is None


def test_an_evaluation_of_one_table_without_a_name_has_its_scores() -> None:
    truth = graded_picks()
    scores = evaluate_picks(truth, truth, tolerance_s={"P": 0.1, "S": 0.2}, num_bootstrap=0).table
    one = {"tolerance_s": {"P": 0.1, "S": 0.2}, "scores": json_records(scores)}
    plain, named = (scores_chapter({"picks": found}) for found in (one, {"this catalog": one}))
    assert plain is not None
    assert plain == named
