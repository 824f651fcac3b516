"""`phasenet-das associate` on the tables of several jobs, with seismometers."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from phasenet_das import catalog
from phasenet_das.cli import app
from phasenet_das.errors import ConfigError, TableError
from phasenet_das.tables import (
    COVERAGE_COLUMNS,
    conform,
    read_coverage,
    read_events,
    read_metadata,
    read_picks,
    write_table,
)
from tests.pipeline.cables import START, channel_table, event_picks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Picks of two jobs with their coverage, cut through an event, and of a seismometer."""
    channels = channel_table()
    channels.to_csv(tmp_path / "channels.csv", index=False)
    picks = event_picks(channels, [10.0, 59.0])
    cut = START + pd.Timedelta(seconds=60)
    for number, late in enumerate((False, True)):
        job = picks[(picks["phase_time"] >= cut) == late].reset_index(drop=True)
        made_by = {"inputs": {f"{number}.h5": "ab"}, "weights_id": "w@1", "amplitude_unit": "1/s"}
        write_table(job, tmp_path / f"{number}.parquet", made_by)
        start = START + pd.Timedelta(seconds=60 * number)
        row = {
            "station_id": "C",
            "start": [start],
            "end": [start + pd.Timedelta(seconds=60)],
            "first_channel": 0,
            "last_channel": 59,
            "num_channels": 60,
            "status": "examined",
            "reason": "",
            "source": f"{number}.h5",
        }
        table = conform(pd.DataFrame(row), COVERAGE_COLUMNS)
        write_table(table, tmp_path / f"{number}.coverage.csv")
    pd.DataFrame({"station_id": ["S1"], "longitude": -117.45, "latitude": 35.68, "elevation_m": 0.0}).to_csv(
        tmp_path / "stations.csv", index=False
    )
    pd.DataFrame(
        {
            "station_id": "S1",
            "phase_time": [
                (START + pd.Timedelta(seconds=10 + 8 / speed)).isoformat() for speed in (6.0, 6.0 / 1.73)
            ],
            "phase_type": ["P", "S"],
            "phase_score": 0.9,
        }
    ).to_csv(tmp_path / "station_picks.csv", index=False)
    settings = {
        "data": {"station_id": "C"},
        "geometry": {"path": "channels.csv"},
        "stations": {"path": "stations.csv", "picks": ["station_picks.csv"]},
        "association": {"max_distance_km": 20.0, "depth_range_km": [0.0, 20.0]},
    }
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


@pytest.mark.parametrize("listed", [False, True])
def test_tables_of_jobs_and_seismometers_are_one_catalog(folder: Path, listed: bool) -> None:
    tables = [str(folder / "0.parquet"), str(folder / "1.parquet")]
    if listed:
        (folder / "picks.txt").write_text("\n".join(tables) + "\n")
        tables = [str(folder / "picks.txt")]
    places = [*tables, "--config", str(folder / "settings.yaml"), "-o", str(folder / "catalog")]
    answer = CliRunner().invoke(app, ["associate", *places])
    assert answer.exit_code == 0, f"{answer.output} {answer.exception!r}"
    events, picks = (
        read(folder / "catalog" / f"{name}.parquet")
        for name, read in (("events", read_events), ("picks", read_picks))
    )
    seconds = (events["time"] - START).dt.total_seconds()
    np.testing.assert_allclose(seconds, [10.0, 59.0], atol=0.3)
    assert picks.loc[picks["station_id"] == "S1", "event_index"].tolist() == [0, 0]
    coverage = read_coverage(folder / "catalog" / "coverage.csv")
    assert coverage["source"].tolist() == ["0.h5 ... 1.h5"]
    assert (coverage["end"] - coverage["start"]).dt.total_seconds().tolist() == [120.0]
    made_by = read_metadata(folder / "catalog" / "events.parquet")
    assert {"0.h5", "1.h5"} < set(made_by["inputs"])
    assert made_by["weights_id"] == "w@1"


def test_the_command_prints_classes_groups_velocity_and_rules(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true, said = (
        catalog.associate,
        {"velocity": {"text": "Velocity: stated."}, "rules": ["Both phases.", "30 picks."]},
    )
    counted = {**said, "classes": {"A": 1, "B": 0, "C": 1, "D": 0}, "groups": 3}

    def judged(*tables: Any, **options: Any) -> Any:
        found = true(*tables, **options)
        return dataclasses.replace(found, summary={**found.summary, **counted})

    monkeypatch.setattr(catalog, "associate", judged)
    words = [
        str(folder / "0.parquet"),
        "--config",
        str(folder / "settings.yaml"),
        "-o",
        str(folder / "catalog"),
    ]
    answer = CliRunner().invoke(app, ["associate", *words])
    headline, *grounds = answer.stdout.splitlines()
    counts, _, place = headline.partition(" -> ")
    assert re.fullmatch(r"1 event \(1 A, 1 C\) from \d+ of \d+ picks, 3 groups without location", counts)
    assert place == str(folder / "catalog")
    assert grounds == ["Velocity: stated.", "Both phases.", "30 picks."]


def test_picks_below_the_smallest_score_of_their_phase_are_skipped(folder: Path) -> None:
    picks = read_picks(folder / "0.parquet")
    faint = picks.assign(pick_id=picks["pick_id"] + 1, phase_score=np.float32(0.35))
    write_table(pd.concat([picks, faint], ignore_index=True), folder / "0.parquet")
    words = [str(folder / "0.parquet"), "--config", str(folder / "settings.yaml")]

    def associated(*options: str) -> pd.DataFrame:
        answer = CliRunner().invoke(app, ["associate", *words, *options, "-o", str(folder / "catalog")])
        assert answer.exit_code == 0, f"{answer.output} {answer.exception!r}"
        found = read_picks(folder / "catalog" / "picks.parquet")
        return found[found["station_id"] == "C"].reset_index(drop=True)

    assert len(associated()) == 2 * len(picks)
    without = associated("--min-score", "0.4")
    assert set(without["pick_id"]) == set(picks["pick_id"])
    some = associated("--min-score", "0.35", "--min-score-s", "0.4")
    counts = some["phase_type"].value_counts()
    assert counts["P"] == 2 * counts["S"]


def test_a_stated_coverage_table_must_exist(folder: Path) -> None:
    places = [str(folder / "0.parquet"), "--config", str(folder / "settings.yaml"), "-o", str(folder / "out")]
    answer = CliRunner().invoke(app, ["associate", *places, "--coverage", str(folder / "no.csv")])
    assert isinstance(answer.exception, TableError)


def test_a_score_above_one_and_a_list_that_is_no_text_are_refused(folder: Path) -> None:
    places = ["--config", str(folder / "settings.yaml"), "-o", str(folder / "out")]
    answer = CliRunner().invoke(app, ["associate", str(folder / "0.parquet"), *places, "--min-score", "30"])
    assert isinstance(answer.exception, ConfigError)
    (folder / "picks.txt").write_bytes(bytes(range(128, 256)))
    answer = CliRunner().invoke(app, ["associate", str(folder / "picks.txt"), *places])
    assert isinstance(answer.exception, TableError)


def test_files_of_a_feed_stay_as_long_as_watch_needs_them(folder: Path) -> None:
    (folder / "watch.yaml").write_text("watch: {keep_days: 7}")
    words = ["zmq://127.0.0.1:1", "-o", str(folder / "spool"), "--config", str(folder / "watch.yaml")]
    answer = CliRunner().invoke(app, ["receive", *words, "--keep-hours", "1"])
    assert isinstance(answer.exception, ConfigError)
    assert "expected 216 or more" in str(answer.exception)
