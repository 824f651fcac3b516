"""The workflow: from recordings to catalog and report, again only what changed, and clean of lint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from obspy import read_events as read_quakeml

from phasenet_das import io
from phasenet_das.tables import read_events, read_metadata, read_picks
from tests.models_on_disk import save_random_phasenet

ROOT = Path(__file__).parents[2]


def snakemake(folder: Path, config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    command += ["--directory", str(folder), "--configfile", str(config), *arguments]
    return subprocess.run(  # noqa: S603 - our own command
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of noise, small weights and a config."""
    folder = tmp_path_factory.mktemp("workflow")
    rng = np.random.default_rng(0)
    for minute in range(2):
        patch = io.make_patch(
            rng.standard_normal((10, 1500)).astype(np.float32),
            start_time=f"2024-01-01T00:0{minute}:00",
            dt_s=0.01,
            distance_m=np.arange(10) * 10.0,
            station_id="C",
            unit="strain / s",
        )
        (folder / "raw").mkdir(exist_ok=True)
        io.write_quakeflow(patch, folder / "raw" / f"{minute}.h5")
    save_random_phasenet(folder / "weights")
    config = {
        "name": "tiny",
        "data": {"inputs": ["raw"], "station_id": "C"},
        "pick": {"weights": "weights", "min_score": 0.5},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_runs_through_then_does_nothing_then_only_what_changed(project: Path) -> None:
    config = project / "config.yaml"
    first = snakemake(project, config)
    assert first.returncode == 0, first.stderr[-3000:]
    results = project / "results" / "tiny"
    for name in (
        "config.yaml",
        "catalog.csv",
        "catalog.xml",
        "report.html",
        "events.parquet",
        "picks.parquet",
    ):
        assert (results / name).stat().st_size > 0, name
    picks = read_picks(results / "picks.parquet")
    assert picks["phase_time"].dt.minute.nunique() == 2
    assert len(read_quakeml(str(results / "catalog.xml"))) == len(read_events(results / "events.parquet"))
    assert read_metadata(results / "picks.parquet")["weights_id"].startswith("weights@")
    assert yaml.safe_load((results / "config.yaml").read_text())["pick"]["min_score"] == 0.5

    again = snakemake(project, config)
    assert "Nothing to be done" in again.stdout + again.stderr

    changed = project / "changed.yaml"
    settings = yaml.safe_load(config.read_text())
    settings["association"] = {"vp_km_s": 5.5}
    changed.write_text(yaml.safe_dump(settings))
    plan = snakemake(project, changed, "--dry-run")
    jobs = plan.stdout + plan.stderr
    assert "rule associate:" in jobs
    assert "rule report:" in jobs
    assert "rule pick:" not in jobs


def test_a_misspelt_key_stops_before_any_rule(project: Path) -> None:
    wrong = project / "wrong.yaml"
    wrong.write_text("name: tiny\npick: {min_scor: 0.5}\n")
    answer = snakemake(project, wrong)
    assert answer.returncode != 0
    assert "Did you mean 'min_score'" in answer.stdout + answer.stderr


def test_missing_weights_say_how_to_get_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEISBENCH_CACHE_ROOT", str(project / "no-cache"))
    config = project / "original.yaml"
    config.write_text(
        "name: other\ndata: {inputs: [raw/0.h5], station_id: C}\npick: {weights: 'seisbench:nosuch'}\n"
    )
    answer = snakemake(project, config, "--show-failed-logs")
    assert answer.returncode != 0
    text = answer.stdout + answer.stderr
    assert "SEISBENCH_CACHE_ROOT" in text
    assert "phasenet-das[seisbench]" in text


def test_lint_is_clean(project: Path) -> None:
    answer = snakemake(project, project / "config.yaml", "--lint")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "good condition" in answer.stdout + answer.stderr


@pytest.mark.shared
@pytest.mark.slow
def test_brady_becomes_one_event(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEISBENCH_CACHE_ROOT", str(shared / "seisbench_cache"))
    text = (ROOT / "configs" / "brady.yaml").read_text().replace("../shared", str(shared))
    (tmp_path / "brady.yaml").write_text(text)
    answer = snakemake(tmp_path, tmp_path / "brady.yaml")
    assert answer.returncode == 0, answer.stderr[-3000:]
    results = tmp_path / "results" / "brady"
    events, picks = read_events(results / "events.parquet"), read_picks(results / "picks.parquet")
    assert len(events) == 1
    event = events.iloc[0]
    error_s = (event["time"] - pd.Timestamp("2016-03-21T07:37:10.535Z")).total_seconds()
    assert abs(error_s) < event["time_uncertainty_s"] < 5
    assert event["source_distance_km"] == pytest.approx(161, abs=event["source_distance_uncertainty_km"])
    assert "azimuth-unconstrained" in event["location_quality"]
    assert np.isnan(event["longitude"])
    kept = picks[picks["event_index"] == 0]
    seconds = (kept["phase_time"] - pd.Timestamp("2016-03-21T07:37:30.532309Z")).dt.total_seconds()
    right = (seconds - kept["phase_type"].map({"P": 8.3, "S": 28.0}).astype(float)).abs() < 1
    assert right.mean() >= 0.98
    quake = read_quakeml(str(results / "catalog.xml"))[0]
    assert not quake.origins
    assert len(quake.picks) > 20
    assert "km" in quake.comments[0].text
    assert (results / "report.html").stat().st_size > 100_000
