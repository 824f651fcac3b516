"""Chapters on a run: the measures that need no truth, in words."""

from __future__ import annotations

from phasenet_das.evaluate import MeasuredStage, measure_catalog
from phasenet_das.report.run_chapters import measures_chapter
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


def test_a_run_without_measures_has_no_chapter() -> None:
    assert measures_chapter(None) is None
