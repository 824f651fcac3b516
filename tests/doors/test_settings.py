"""Every door to the settings gives one result: flags, a file of one cable or of several, keywords."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import phasenet_das as pn
from phasenet_das import catalog, io
from phasenet_das.cli import app
from phasenet_das.errors import ConfigError
from phasenet_das.tables import read_events, read_picks
from tests.models_on_disk import save_random_phasenet
from tests.pipeline.cables import channel_table, event_picks

PICK = {"min_score": 0.4, "average_channels": 2, "rate": "native"}
ASSOCIATION = {"vp_km_s": 6.0, "max_distance_km": 30.0}


def run(*arguments: object) -> Any:
    answer = CliRunner().invoke(app, [str(word) for word in arguments])
    assert answer.exit_code == 0, f"{answer.output} {answer.exception!r}"
    return answer


def write(path: Path, **settings: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording without a start time, and weights."""
    folder = tmp_path_factory.mktemp("settings")
    patch = io.make_patch(
        np.random.default_rng(0).standard_normal((12, 1500)).astype(np.float32),
        start_time="2024-01-01T00:00:00",
        dt_s=0.01,
        distance_m=np.arange(12) * 10.0,
        unit="strain / s",
    )
    io.write_quakeflow(patch, folder / "record.h5")
    save_random_phasenet(folder / "weights")
    return folder


@pytest.fixture
def by_keyword(recorded: Path) -> pd.DataFrame:
    picker = pn.load_picker(recorded / "weights")
    picks = picker.pick(io.read(recorded / "record.h5", station_id="NORTH"), pn.PickSettings(**PICK))
    assert len(picks) > 10
    return picks


def same_picks(path: Path, expected: pd.DataFrame) -> None:
    found = read_picks(path)
    assert set(found["pick_id"]) == set(expected["pick_id"])
    assert set(found["station_id"]) == {"NORTH"}


def test_picks_by_flags(recorded: Path, by_keyword: pd.DataFrame, tmp_path: Path) -> None:
    flags = ["--min-score", 0.4, "--average-channels", 2, "--rate", "native", "--station-id", "NORTH"]
    output = tmp_path / "picks.parquet"
    run("pick", recorded / "record.h5", "--weights", recorded / "weights", *flags, "-o", output)
    same_picks(output, by_keyword)


def test_picks_by_a_file_whose_paths_count_from_it(
    recorded: Path, by_keyword: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    site = tmp_path / "site"
    data = {"inputs": ["record.h5"], "station_id": "NORTH"}
    config = write(site / "one.yaml", data=data, pick={**PICK, "weights": "weights"})
    (site / "record.h5").symlink_to(recorded / "record.h5")
    (site / "weights").symlink_to(recorded / "weights")
    run("pick", "--config", config, "-o", "picks.parquet")
    same_picks(tmp_path / "picks.parquet", by_keyword)
    several = {"NORTH": {"data": {"inputs": ["record.h5"]}}, "SOUTH": {"data": {"inputs": ["none.h5"]}}}
    config = write(site / "two.yaml", cables=several, pick={**PICK, "weights": "weights", "min_score": 0.9})
    run("pick", "--config", config, "--cable", "NORTH", "--min-score", 0.4, "-o", "north.parquet")
    same_picks(tmp_path / "north.parquet", by_keyword)
    answer = CliRunner().invoke(app, ["pick", "--config", str(config), "-o", "x.parquet"])
    assert isinstance(answer.exception, ConfigError)
    assert "--cable: NORTH, SOUTH" in str(answer.exception)
    answer = CliRunner().invoke(app, ["pick", "--config", str(config), "--cable", "NORT", "-o", "x.parquet"])
    assert "Did you mean 'NORTH'" in str(answer.exception)


@pytest.fixture
def cables(tmp_path: Path) -> tuple[Path, pd.DataFrame, pd.DataFrame]:
    """Picks of an event on two cables; each table has columns of its own names, and one file holds both."""
    tables = [
        channel_table(60, "NORTH"),
        channel_table(60, "SOUTH").assign(latitude=lambda t: t["latitude"] - 0.1),
    ]
    picks = pd.concat([event_picks(table, [10.0]) for table in tables], ignore_index=True)
    pn.write_table(picks, tmp_path / "picks.parquet")
    both = pd.concat(tables, ignore_index=True)
    both.to_csv(tmp_path / "both.csv", index=False)
    for table in tables:
        theirs = table.drop(columns="station_id").rename(columns={"longitude": "East", "latitude": "Up"})
        theirs.to_csv(tmp_path / f"{table['station_id'][0]}.csv", index=False)
    (tmp_path / "association.yaml").write_text(yaml.safe_dump({"association": ASSOCIATION}))
    own = {"columns": {"longitude": "East", "latitude": "Up"}}
    settings = {name: {"geometry": {"path": f"{name}.csv", **own}} for name in ("NORTH", "SOUTH")}
    write(tmp_path / "cables.yaml", cables=settings, association=ASSOCIATION)
    write(tmp_path / "north.yaml", geometry=own, data={"station_id": "NORTH"}, association=ASSOCIATION)
    return tmp_path, picks, both


def same_events(folder: Path, expected: pd.DataFrame) -> None:
    found = read_events(folder / "events.parquet")
    names = [name for name in found.columns if name in expected.columns]
    pd.testing.assert_frame_equal(found[names], expected[names])
    assert found["latitude"].notna().all()


def test_events_by_flag_by_file_and_by_keyword(cables: tuple[Path, pd.DataFrame, pd.DataFrame]) -> None:
    folder, picks, both = cables
    expected = catalog.associate(picks, both, pn.Config(association=ASSOCIATION).association).events
    assert len(expected) == 1
    flag = ["--channels", folder / "both.csv", "--config", folder / "association.yaml"]
    run("associate", folder / "picks.parquet", *flag, "-o", folder / "by_flag")
    same_events(folder / "by_flag", expected)
    config = ["--config", folder / "cables.yaml"]
    run("associate", folder / "picks.parquet", *config, "-o", folder / "by_file")
    same_events(folder / "by_file", expected)


def test_a_table_named_by_a_flag_keeps_the_columns_of_the_file(
    cables: tuple[Path, pd.DataFrame, pd.DataFrame],
) -> None:
    folder, picks, both = cables
    north, table = (one[one["station_id"] == "NORTH"].reset_index(drop=True) for one in (picks, both))
    pn.write_table(north, folder / "picks_north.parquet")
    expected = catalog.associate(north, table, pn.Config(association=ASSOCIATION).association).events
    words = ["--channels", folder / "NORTH.csv", "--config", folder / "north.yaml"]
    run("associate", folder / "picks_north.parquet", *words, "-o", folder / "north")
    same_events(folder / "north", expected)
    run("export", folder / "north", "--format", "hypodd", *words, "-o", folder / "north.pha")
    assert (folder / "north.pha").stat().st_size > 0


@pytest.mark.parametrize("form", ["quakeml", "nonlinloc", "hypoinverse", "nordic"])
def test_exports_by_flag_and_by_file(cables: tuple[Path, pd.DataFrame, pd.DataFrame], form: str) -> None:
    folder, _, _ = cables
    run("associate", folder / "picks.parquet", "--config", folder / "cables.yaml", "-o", folder / "cat")
    settings = yaml.safe_load((folder / "cables.yaml").read_text())
    write(folder / "report.yaml", **settings, report={"network_code": "NN", "max_picks_per_phase": 7})
    flags = ["--channels", folder / "both.csv", "--network-code", "NN", "--max-picks-per-phase", 7]
    run("export", folder / "cat", "--format", form, *flags, "-o", folder / "by_flag")
    run(
        "export",
        folder / "cat",
        "--format",
        form,
        "--config",
        folder / "report.yaml",
        "-o",
        folder / "by_file",
    )
    drop = ("creationInfo", "creationTime", "publicID")  # QuakeML says when it was written
    by_flag, by_file = (
        [line for line in (folder / name).read_text().splitlines() if not any(word in line for word in drop)]
        for name in ("by_flag", "by_file")
    )
    assert by_flag == by_file


def test_watch_uses_the_tables_of_all_cables(
    cables: tuple[Path, pd.DataFrame, pd.DataFrame], recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, seen = cables[0], []
    true = catalog.associate

    def spy(picks: pd.DataFrame, channels: pd.DataFrame, *rest: Any, **named: Any) -> Any:
        seen.append(channels)
        return true(picks, channels, *rest, **named)

    monkeypatch.setattr(catalog, "associate", spy)
    incoming = ["--station-id", "NORTH", "--weights", recorded / "weights", "--settle-s", 0, "--once"]
    config = ["--config", folder / "cables.yaml", "-o", folder / "live"]
    run("watch", recorded / "record.h5", *incoming, *config)
    assert [sorted(set(table["station_id"])) for table in seen] == [["NORTH", "SOUTH"]]


@pytest.mark.parametrize(
    ("words", "now"),
    [
        ("pick r.h5 -o p.csv --from 2024-01-01", "--start"),
        ("pick r.h5 -o p.csv --to=2024-01-01", "--end"),
        ("pick r.h5 -o p.csv --channels 0:99", "--channel-range FIRST:END"),
        ("pick r.h5 -o p.csv --every-channel 2", "--channel-step"),
        ("pick r.h5 -o p.csv --stack-channels 2", "--average-channels"),
        ("pick r.h5 -o p.csv --no-keep", "--no-keep-chunks"),
        ("watch r.h5 -o live --settle 1", "--settle-s"),
        ("watch r.h5 -o live --poll 1", "--poll-s"),
        ("watch r.h5 -o live --minutes 1", "--recent-s .in seconds"),
        ("evaluate p.csv --time-tolerance 1", "--time-tolerance-s"),
        ("evaluate p.csv --tolerance-p 1", "--tolerance-p-s"),
        ("evaluate p.csv --tolerance-s 1", "--tolerance-s-s"),
        ("evaluate p.csv --max-lag 1", "--max-lag-s"),
        ("evaluate p.csv --window 1 2", "--window-s"),
        ("export cat -o x --bandpass 1 2", "--bandpass-hz"),
        ("export cat -o x --network NN", "--network-code"),
        (
            "magnitude calibrate cat -o s.json --reference r.csv --distance-tolerance 1",
            "--distance-tolerance-km",
        ),
    ],
)
def test_an_old_flag_names_the_new_one(words: str, now: str) -> None:
    answer = CliRunner().invoke(app, words.split())
    assert answer.exit_code != 0
    assert isinstance(answer.exception, ConfigError)
    assert re.search(f"it is now {now}", str(answer.exception))
