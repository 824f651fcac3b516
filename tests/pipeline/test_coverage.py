"""The coverage of all blocks as one table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from phasenet_das.pipeline.picks import join_coverage
from phasenet_das.tables import COVERAGE_COLUMNS, conform, write_table
from tests.pipeline.cables import START


def write_coverage(path: Path, rows: list[tuple[float, float, str, str]]) -> str:
    """Write rows of a cable: begin and end in minutes, status, source."""
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
    write_table(conform(table, COVERAGE_COLUMNS, "coverage"), path)
    return str(path)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["00.h5 ... 02.h5", "01.h5 ... 04.h5", "04.h5 ... 05.h5"], "00.h5 ... 05.h5"),
        (["00.h5", "00.h5", "01.h5"], "00.h5 ... 01.h5"),
        (["00.h5", "00.h5", "00.h5"], "00.h5"),
    ],
)
def test_a_run_over_blocks_names_its_first_and_its_last_file(
    tmp_path: Path, sources: list[str], expected: str
) -> None:
    index = write_coverage(tmp_path / "index.csv", [(6, 8, "gap", "08.h5")])
    blocks = [
        write_coverage(tmp_path / f"{k}.csv", [(2 * k, 2 * k + 2, "examined", source)])
        for k, source in enumerate(sources)
    ]
    table = join_coverage(index, blocks)
    assert table["status"].tolist() == ["examined", "gap"]
    assert table["source"].tolist() == [expected, "08.h5"]
    assert table["end"].iloc[0] == START + pd.Timedelta(minutes=6)
