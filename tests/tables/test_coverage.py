"""The coverage of many pickings as one table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from phasenet_das.tables import COVERAGE_COLUMNS, conform
from phasenet_das.tables.coverage import (
    ChunkInfo,
    QualityIssue,
    coverage_table,
    dead_throughout,
    merge_coverage,
)

START = pd.Timestamp("2024-01-01T00:00:00Z")


def coverage(rows: list[tuple[float | None, float | None, str, str]]) -> pd.DataFrame:
    """Rows of a cable: start and end in minutes, status, source."""
    table = pd.DataFrame(
        {
            "station_id": "C",
            "start": START + pd.to_timedelta([row[0] for row in rows], unit="min"),
            "end": START + pd.to_timedelta([row[1] for row in rows], unit="min"),
            "first_channel": 0,
            "last_channel": 5,
            "num_channels": 6,
            "status": [row[2] for row in rows],
            "reason": "",
            "source": [row[3] for row in rows],
        }
    )
    return conform(table, COVERAGE_COLUMNS, "coverage")


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["00.h5 ... 02.h5", "01.h5 ... 04.h5", "04.h5 ... 05.h5"], "00.h5 ... 05.h5"),
        (["00.h5", "00.h5", "01.h5"], "00.h5 ... 01.h5"),
        (["00.h5", "00.h5", "00.h5"], "00.h5"),
    ],
)
def test_rows_that_adjoin_name_their_first_and_their_last_file(sources: list[str], expected: str) -> None:
    jobs = [coverage([(2 * k, 2 * k + 2, "examined", source)]) for k, source in enumerate(sources)]
    table = merge_coverage([coverage([(6, 8, "gap", "08.h5")]), *jobs])
    assert table["status"].tolist() == ["examined", "gap"]
    assert table["source"].tolist() == [expected, "08.h5"]
    assert table["end"].iloc[0] == START + pd.Timedelta(minutes=6)


def test_a_gap_and_its_ends_in_jobs_are_one_row() -> None:
    whole = coverage([(1, 9, "gap", "a.h5"), (None, None, "unreadable", "bad.h5")])
    ends = [
        coverage([(1, 2, "gap", "a.h5"), (None, None, "unreadable", "bad.h5")]),
        coverage([(8, 9, "gap", "a.h5")]),
    ]
    pd.testing.assert_frame_equal(merge_coverage([whole, *ends]), merge_coverage([whole]))


def test_the_order_of_tables_does_not_show() -> None:
    tables = [coverage([(k, k + 1, "examined", f"{k}.h5")]) for k in (0, 1, 4)]
    joined = merge_coverage(tables)
    pd.testing.assert_frame_equal(joined, merge_coverage(tables[::-1]))
    assert len(joined) == 2


def test_nothing_joined_is_an_empty_table() -> None:
    assert merge_coverage([coverage([])]).empty


def chunk(minute: int, lost: tuple[tuple[int, int, int], ...] = ()) -> ChunkInfo:
    """A minute of a cable of six channels, of which some hold no number."""
    start_ns = START.value + minute * 60 * 10**9
    end_ns = start_ns + 60 * 10**9
    issues = (QualityIssue("nonfinite", start_ns, end_ns, lost),) if lost else ()
    failures = {f"{minute}.h5": "damaged"} if lost else {}
    told = ("C", start_ns, end_ns, 0, 5, 6, 6, (), "m", (f"{minute}.h5",), issues, failures)
    return ChunkInfo(*told, rate_pass=0, time_stretch=1.0, work_fraction=1.0, joined=False)


def test_a_channel_that_is_dead_on_one_cable_is_named_whatever_others_do() -> None:
    silent, alive = chunk(0), chunk(0)
    infos = [
        replace(silent, station_id="A", dead=((0, 2, 2),)),  # the numbers 0 and 2
        replace(silent, station_id="A", start_ns=silent.end_ns, dead=((0, 0, 1),)),
        replace(alive, station_id="B"),
    ]
    channels_of = {"A": np.array([0, 2, 4]), "B": np.arange(6)}
    assert dead_throughout(infos, channels_of) == [0]


def test_a_chunk_of_which_nothing_could_be_read_was_not_examined() -> None:
    table = coverage_table([chunk(0), chunk(1, ((0, 5, 6),)), chunk(2, ((0, 1, 2),))])
    examined = table[table["status"] == "examined"]
    assert examined["start"].tolist() == [START, START + pd.Timedelta(minutes=2)]
    assert set(table["status"]) == {"examined", "skipped", "unreadable"}


def test_a_chunk_of_dead_channels_and_of_no_numbers_was_not_examined() -> None:
    table = coverage_table([replace(chunk(0, ((3, 5, 3),)), dead=((0, 2, 3),)), chunk(1)])
    examined = table[table["status"] == "examined"]
    assert examined["start"].tolist() == [START + pd.Timedelta(minutes=1)]
    skipped = table[table["status"] == "skipped"].sort_values("first_channel")
    assert skipped[["first_channel", "last_channel", "num_channels"]].values.tolist() == [
        [0, 2, 3],
        [3, 5, 3],
    ]


def test_dead_blocks_of_channels_beside_others_are_counted_where_those_are_examined() -> None:
    whole = chunk(0)
    blocks = [
        replace(whole, last_channel=2, num_channels=3, dead=((0, 2, 3),)),
        replace(whole, first_channel=3, num_channels=3),
    ]
    table = merge_coverage([coverage_table(blocks)])
    assert table[["status", "num_channels"]].values.tolist() == [["examined", 3]]
    assert table["reason"].tolist() == ["3 dead channels, such as 0"]
