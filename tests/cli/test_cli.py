"""The command line: what it prints, and how it fails."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.main import get_command

from phasenet_das import io
from phasenet_das.cli import app, main
from phasenet_das.pipeline.lock import hold
from phasenet_das.tables import read_coverage, read_events, read_metadata, read_picks
from tests.models_on_disk import save_random_phasenet
from tests.pipeline.cables import channel_table, event_picks


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small recording, a channel table and small weights."""
    folder = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    data = rng.standard_normal((20, 2000)).astype(np.float32)
    patch = io.make_patch(
        data,
        start_time="2024-01-01T00:00:00",
        dt_s=0.01,
        channel_index=np.arange(20),
        distance_m=np.arange(20) * 10.0,
        station_id="C",
        unit="strain / s",
    )
    io.write_quakeflow(patch, folder / "record.h5")
    save_random_phasenet(folder / "weights")
    return folder


@dataclass
class Answer:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Answer]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process, as ``phasenet-das ARGUMENTS`` in a folder would."""

    def call(*arguments: str | Path, cwd: Path) -> Answer:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["phasenet-das", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


def test_runs_as_a_module(workplace: Path) -> None:
    command = [sys.executable, "-m", "phasenet_das.cli", "info", "none.h5"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=workplace, check=False)  # noqa: S603
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: no recording found")


def test_a_full_disk_is_told_with_what_to_do(
    run: Run, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "picks.parquet")

    arguments = ("pick", "record.h5", "-o", tmp_path / "picks.parquet", "--weights", "weights")
    with monkeypatch.context() as broken:
        broken.setattr("phasenet_das.picking.archive.write_merged", full)
        answer = run(*arguments, cwd=workplace)
    assert answer.returncode == 1
    assert "error: no room left to write" in answer.stderr
    assert "run the same command" in answer.stderr
    answer = run(*arguments, cwd=workplace)
    assert answer.returncode == 0
    assert "chunks were there" in answer.stdout


def test_info_says_what_a_file_holds(run: Run, workplace: Path) -> None:
    answer = run("info", "record.h5", cwd=workplace)
    assert answer.returncode == 0, answer.stderr
    for expected in ("2024-01-01T00:00:00", "100 Hz", "20", "strain / s"):
        assert expected in answer.stdout


def test_info_numbers_channels_as_the_settings_do(run: Run, workplace: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["data"] = np.random.default_rng(0).standard_normal((5, 100)).astype(np.float32)
        file["data"].attrs.update({"begin_time": "2024-01-01T00:00:00", "dt_s": 0.01})
    settings = tmp_path / "own.yaml"
    settings.write_text("data: {first_channel: 300, station_id: OWN}")
    answer = run("info", tmp_path / "bare.h5", "--config", settings, cwd=workplace)
    assert "5 (300 to 304)" in answer.stdout
    assert "OWN" in answer.stdout


def test_info_describes_every_cable_of_the_settings(run: Run, workplace: Path, tmp_path: Path) -> None:
    cables = {name: {"data": {"inputs": [str(workplace / "record.h5")], "station_id": name}} for name in "AB"}
    (tmp_path / "two.yaml").write_text(json.dumps({"cables": cables}))
    answer = run("info", "--config", tmp_path / "two.yaml", cwd=workplace)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("100 Hz") == 2


def test_plot_draws_all_channels_of_the_range(
    run: Run, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr("phasenet_das.plot.section", lambda patch, *_, **__: drawn.append(patch))
    answer = run(
        "plot", "section", "record.h5", "--channel-range", "3:9", "-o", tmp_path / "s.png", cwd=workplace
    )
    assert answer.returncode == 0, answer.stderr
    assert io.get_channel_index(drawn[0]).tolist() == [3, 4, 5, 6, 7, 8]


def test_weights_of_a_flag_need_not_have_the_digest_of_those_in_the_settings(
    run: Run, workplace: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "own.yaml"
    settings.write_text(f"pick: {{weights_sha256: '{'0' * 64}'}}")
    words = ("watch", tmp_path / "none", "-o", tmp_path / "live", "--config", settings, "--once")
    answer = run(*words, "--weights", "weights", cwd=workplace)
    assert answer.returncode == 0, answer.stderr


def test_info_of_a_folder_ends_with_the_continuous_view(run: Run, workplace: Path, tmp_path: Path) -> None:
    later = io.make_patch(
        np.ones((20, 100), np.float32) * np.arange(100),
        start_time="2024-01-01T00:00:30",
        dt_s=0.01,
        distance_m=np.arange(20) * 10.0,
        station_id="C",
        unit="strain / s",
    )
    io.write_quakeflow(later, tmp_path / "later.h5")
    (tmp_path / "record.h5").write_bytes((workplace / "record.h5").read_bytes())
    answer = run("info", str(tmp_path), cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    summary = answer.stdout[answer.stdout.index("archive:") :]
    assert "2 recording(s) of 1 cable(s)" in summary
    assert "C: 2 recording(s), 21 s from 2024-01-01T00:00:00" in summary
    assert "1 gap(s) of 10 s in all" in summary


def test_pick_then_export(run: Run, workplace: Path) -> None:
    answer = run(
        "pick", "record.h5", "-o", "picks.parquet", "--weights", "weights", "--station-id", "C", cwd=workplace
    )
    assert answer.returncode == 0, answer.stderr
    picks = read_picks(workplace / "picks.parquet")
    assert f"{len(picks)} picks" in answer.stdout
    assert len(picks) > 10
    facts = read_metadata(workplace / "picks.parquet")
    assert facts["weights_id"].startswith("weights@")
    assert facts["amplitude_unit"] == "strain / s"
    assert set(facts["inputs"]) == {"record.h5"}
    coverage = read_coverage(workplace / "picks.coverage.csv")
    assert coverage["status"].tolist() == ["examined"]
    assert coverage["num_channels"].tolist() == [20]
    assert (coverage["end"] - coverage["start"]).dt.total_seconds().tolist() == [20.0]


def test_a_bad_file_among_good_ones_is_named_and_the_run_goes_on(run: Run, workplace: Path) -> None:
    (workplace / "broken.h5").write_bytes((workplace / "record.h5").read_bytes()[:2000])
    arguments = (
        "pick",
        "record.h5",
        "broken.h5",
        "-o",
        "two.csv",
        "--weights",
        "weights",
        "--station-id",
        "C",
    )
    answer = run(*arguments, cwd=workplace)
    assert answer.returncode == 0, answer.stderr
    assert "1 recordings were left out" in answer.stderr
    coverage = read_coverage(workplace / "two.coverage.csv").set_index("source")
    assert coverage.loc["broken.h5", "status"] == "unreadable"
    assert "broken.h5" in coverage.loc["broken.h5", "reason"]
    strict = run(*arguments, "--strict", cwd=workplace)
    assert strict.returncode == 1
    assert "broken.h5" in strict.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("pick", "record.h5", "-o", "p.parquet", "--weights", "nothing"),
            "expected a bundled model",
        ),
        (("pick", "none.h5", "-o", "p.parquet"), "no recording found"),
        (("pick", "record.h5", "-o", "p.parquet", "--weights", "weights", "--rate", "fast"), "--rate fast"),
        (("pick", "record.h5", "-o", "p.parquet", "--weights", "weights", "--min-score", "3"), "less than 1"),
        (("pick", "record.h5", "-o", "p.txt", "--weights", "weights"), ".parquet or .csv"),
        (("associate", "none.parquet", "-o", "out"), "no such file"),
        (("associate", ".", "-o", "out"), "cannot be read as a table"),
        (("weights", "show", "nothing"), "neither a bundled model"),
    ],
)
def test_errors_are_one_message_without_a_traceback(
    run: Run, workplace: Path, arguments: tuple, message: str
) -> None:
    answer = run(*arguments, cwd=workplace)
    assert answer.returncode != 0
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr


def test_all_obstacles_to_picking_are_told_at_once(run: Run, workplace: Path) -> None:
    words = ("none.h5", "-o", "p.txt", "--weights", "phasnet", "--rate", "fast", "--channel-range", "9:3")
    answer = run("pick", *words, "--start", "yesterday", "--min-score", "3", cwd=workplace)
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: 7 problems")
    expected = (
        ".parquet or .csv",
        "none.h5",
        "mean 'phasenet'",
        "yesterday",
        "--channel-range 9:3",
        "--rate fast",
    )
    for words in (*expected, "min_score"):
        assert words in answer.stderr


def test_weights_are_listed_and_described(run: Run, workplace: Path) -> None:
    assert run("weights", "list", cwd=workplace).returncode == 0
    answer = run("weights", "show", "weights", cwd=workplace)
    assert "random, for tests" in answer.stdout
    assert "100 Hz" in answer.stdout


def commands(group: Any, *before: str) -> list[str]:
    """Every command, those of groups too, as it is typed."""
    found = []
    for name, one in group.commands.items():
        found += commands(one, *before, name) if hasattr(one, "commands") else [" ".join((*before, name))]
    return found


@pytest.mark.parametrize("command", commands(get_command(app)))
def test_each_command_shows_an_example(run: Run, workplace: Path, command: str) -> None:
    answer = run(*command.split(), "--help", cwd=workplace)
    assert answer.returncode == 0
    assert f"Example: phasenet-das {command} " in " ".join(answer.stdout.split())


def test_export_says_what_is_missing(run: Run, workplace: Path) -> None:
    unknown = run("export", ".", "--format", "nonlinlock", "-o", "x", cwd=workplace)
    assert unknown.returncode == 1
    assert "nonlinloc" in unknown.stderr
    silent = run("export", ".", "--format", "hypodd-dtcc", "-o", "x", cwd=workplace)
    assert "--waveforms" in silent.stderr
    nowhere = run("export", "nowhere", "-o", "x", cwd=workplace)
    assert "phasenet-das associate" in nowhere.stderr


def test_help_fits_a_screen(run: Run, workplace: Path) -> None:
    for group in ([], ["weights"], ["magnitude"]):
        lines = run(*group, "--help", cwd=workplace).stdout.splitlines()
        assert len(lines) <= 27
        assert max(map(len, lines)) <= 80


def test_simulates_a_recording_that_can_be_read(run: Run, workplace: Path) -> None:
    changes = "{duration_s: 20, file_length_s: 10, cable: {num_channels: 30}}"
    (workplace / "short.yaml").write_text(f"simulate: {{scenario: easy, seed: 4, settings: {changes}}}\n")
    arguments = ("simulate", "-o", "made", "--config", "short.yaml")
    answer = run(*arguments, cwd=workplace)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("2 files")
    files = sorted((workplace / "made" / "data").glob("*.h5"))
    assert io.get_data(io.read(files[0])).shape == (30, 1000)
    wrong = run("simulate", "-o", "other", "--scenario", "eazy", cwd=workplace)
    assert wrong.returncode == 1
    assert "Did you mean 'easy'" in wrong.stderr


@pytest.fixture
def picked(tmp_path: Path) -> Path:
    """Picks of an event on 60 channels, as another program writes them: without the name of the cable."""
    channels = channel_table(60, "C")
    picks = event_picks(channels, [10.0])
    picks[["channel_index", "phase_time", "phase_type", "phase_score"]].to_csv(
        tmp_path / "picks.csv", index=False
    )
    channels.assign(status=np.where(np.arange(60) < 20, "bad", "ok")).to_csv(tmp_path / "ch.csv", index=False)
    return tmp_path


def test_associate_names_the_cable_and_leaves_out_what_is_marked_bad(run: Run, picked: Path) -> None:
    nameless = run("associate", "picks.csv", "--channels", "ch.csv", "-o", "out", cwd=picked)
    assert nameless.returncode == 1
    assert "--station-id" in nameless.stderr
    answer = run(
        "associate", "picks.csv", "--channels", "ch.csv", "-o", "out", "--station-id", "C", cwd=picked
    )
    assert answer.returncode == 0, answer.stderr
    assert re.match(r"1 event\b.* from 80 of 120 picks", answer.stdout)
    assert "No position for C channels 0-19 (40 picks)" in answer.stderr
    (picked / "c.yaml").write_text("geometry: {path: ch.csv}\ndata: {station_id: C}\n")
    by_settings = run(
        "associate", "picks.csv", "--config", "c.yaml", "-o", "two", "--station-id", "C", cwd=picked
    )
    assert re.match(r"1 event\b.* from 80 of 120 picks", by_settings.stdout)
    sites = run("export", "out", "--channels", "ch.csv", "--stations", "s.csv", "-o", "cat.xml", cwd=picked)
    assert sites.returncode == 0, sites.stderr
    assert len((picked / "s.csv").read_text().splitlines()) == 1 + 40


def test_associate_fails_when_no_pick_has_a_place(run: Run, picked: Path) -> None:
    answer = run(
        "associate", "picks.csv", "--channels", "ch.csv", "-o", "out", "--station-id", "B", cwd=picked
    )
    assert answer.returncode == 1
    assert "error: No position for B (120 picks). The channel table holds C." in answer.stderr
    assert not (picked / "out").exists()


@pytest.mark.parametrize(
    ("command", "output", "named"),
    [
        ("pick", "folder.parquet", "folder.parquet: is a folder"),
        ("pick", "ch.csv/a.parquet", "bears the name"),
        ("plot", "/dev/full", "/dev/full: is a device"),
        ("plot", "folder.parquet", "folder.parquet: is a folder"),
        ("plot", "/proc/none/a.png", "no file can be made there"),
        ("associate", "ch.csv", "bears the name"),
    ],
)
def test_an_output_that_cannot_be_written_is_an_error_and_leaves_nothing(
    run: Run, workplace: Path, picked: Path, command: str, output: str, named: str
) -> None:
    (picked / "folder.parquet").mkdir()
    before = sorted(picked.rglob("*"))
    arguments = {
        "pick": [workplace / "record.h5", "--weights", workplace / "weights"],
        "plot": ["section", workplace / "record.h5"],
        "associate": ["picks.csv", "--channels", "ch.csv", "--station-id", "C"],
    }[command]
    answer = run(command, *arguments, "-o", output, cwd=picked)
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: ")
    assert named in answer.stderr
    assert sorted(picked.rglob("*")) == before


def test_watch_goes_on_while_no_pick_has_a_place(
    run: Run, workplace: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    channel_table(20, "OTHER").to_csv(tmp_path / "ch.csv", index=False)
    arguments = ("-o", tmp_path / "live", "--weights", "weights", "--channels", tmp_path / "ch.csv", "--once")
    answer = run("watch", "record.h5", *arguments, "--settle-s", "0", "--station-id", "C", cwd=workplace)
    assert answer.returncode == 0, answer.stderr
    assert "The channel table holds OTHER" in caplog.text
    assert read_events(tmp_path / "live" / "events.parquet").empty


def test_a_second_watch_is_refused_and_touches_nothing(run: Run, workplace: Path, tmp_path: Path) -> None:
    torn = tmp_path / "revisions.jsonl"
    torn.write_text('{"record": ')  # the other watch is writing this line
    with hold(tmp_path / "watch.lock", "watch"):
        answer = run("watch", "record.h5", "-o", tmp_path, "--weights", "weights", "--once", cwd=workplace)
    assert answer.returncode == 1
    assert "does this already" in answer.stderr
    assert torn.read_text() == '{"record": '


@pytest.mark.parametrize(("flag", "level"), [((), "WARNING"), (("-v",), "INFO")])
def test_the_cluster_is_quiet_unless_asked(flag: tuple[str, ...], level: str) -> None:
    """Dask sets the level of its loggers when it is imported, so it is asked in a process of its own."""
    code = (
        "import logging, sys\nfrom phasenet_das.cli import main\n"
        f"sys.argv = ['phasenet-das', *{flag!r}, 'weights', 'list']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "import distributed\nprint(logging.getLevelName(logging.getLogger('distributed').level))\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DASK_")}
    answer = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert answer.stdout.splitlines()[-1] == level
