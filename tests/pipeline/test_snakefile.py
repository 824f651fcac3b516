"""The workflow: with training, with errors, on a real earthquake, and clean of lint."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from obspy import read_events as read_quakeml

from phasenet_das import io
from phasenet_das.pipeline.lock import Process
from phasenet_das.tables import read_events, read_metadata, read_picks
from tests.models_on_disk import save_random_phasenet
from tests.pipeline.snakemake import ROOT, snakemake

TRAINED = """
name: trained
simulate:
  scenario: easy
  seed: 5
  settings:
    duration_s: 60
    file_length_s: 30
    cable: {num_channels: 24, dx_m: 80.0}
    sources: {events_per_hour: 120.0, magnitude_min: 2.5, distance_max_km: 8}
data: {station_id: SIM}
teacher: {weights: phasenet-das, rate: 100.0}
pick: {rate: 100.0}
association: {vp_km_s: 5.6, max_distance_km: 40.0, depth_range_km: [0, 20]}
jobs: {length_s: 60}
rounds: 1
report: {max_sections: 1}
student:
  weights: phasenet-das
  processes: 2
  before_s: 2
  after_s: 4
  data: {num_channels: 16, num_samples: 256, normalization_window_s: 4.0}
  augment: {noise: 0}
  steps: 2
  batch_size: 1
  warmup_steps: 0
  learning_rate: 1.0e-6
  validate_every: 2
  validation_samples: 1
  num_workers: 0
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of noise, small weights and a config."""
    folder = tmp_path_factory.mktemp("workflow")
    patch = io.make_patch(
        np.random.default_rng(0).standard_normal((10, 1500)).astype(np.float32),
        start_time="2024-01-01",
        dt_s=0.01,
        distance_m=np.arange(10) * 10.0,
        station_id="C",
        unit="strain / s",
    )
    io.write_quakeflow(patch, folder / "raw" / "0.h5")
    save_random_phasenet(folder / "weights")
    config = {
        "name": "tiny",
        "data": {"inputs": ["raw"], "station_id": "C"},
        "pick": {"weights": "weights", "min_score": 0.5},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.mark.slow
def test_the_whole_way_with_training(tmp_path: Path) -> None:
    """Simulated recordings, a teacher, labels, two students in two processes, verdicts, a catalog."""
    two_rounds = TRAINED.replace("rounds: 1", "rounds: 2").replace("das, rate: 100.0", "das, rate: 50.0")
    (tmp_path / "trained.yaml").write_text(two_rounds)
    answer = snakemake(tmp_path, tmp_path / "trained.yaml")
    assert answer.returncode == 0, answer.stdout[-2000:] + answer.stderr[-6000:]
    results = tmp_path / "results" / "trained"
    events = read_events(results / "events.parquet")
    assert len(events)
    assert events["event_index"].tolist() == list(range(len(events)))
    assert events["time"].is_monotonic_increasing
    for stage in ("round1", "round2"):
        assert list((results / stage / "windows").rglob("*.h5"))
    settings = yaml.safe_load((results / "round2" / "training" / "train.yaml").read_text())
    assert settings["student"]["weights"].endswith("round1/training/model")
    assert read_metadata(results / "picks.parquet")["weights_id"].startswith("model@")
    scores = json.loads((results / "evaluation.json").read_text())
    students = {f"student of round {k}" for k in (1, 2)}
    assert set(scores["picks"]) == {"teacher", "start weights (phasenet-das)"} | students
    assert scores["events"]["scores"]["num_matched"] > 0
    assert "picks of the student of round 2: F1" in answer.stdout + answer.stderr
    measures = json.loads((results / "measures.json").read_text())
    assert [one["stage"] for one in measures["stages"]] == ["round1", "start", "round2", "final"]
    verdict = json.loads((results / "final" / "verdict.json").read_text())["verdicts"][-1]
    assert verdict == measures["verdicts"][-1]
    assert measures["catalog"] == ("final" if verdict["better"] else "round2")
    best = results / measures["catalog"] / "events.parquet"
    pd.testing.assert_frame_equal(events, read_events(best))
    for one in measures["stages"]:
        found = read_picks(results / one["stage"] / "picks.parquet")
        assert one["picks"][-1]["num_associated"] == (found["event_index"] >= 0).sum()
        assert one["num_events"] == len(read_events(results / one["stage"] / "events.parquet"))
        assert sum(row["num_pairs"] for row in one["differential_times"]) > 20
    assert measures["judgements"][0] in answer.stdout + answer.stderr
    assert all(name.endswith("picks.parquet") for name in measures["metadata"]["inputs"])
    page = (results / "report.html").read_text()
    for words in (
        "Against what is known",
        "How far to trust the catalog",
        "Training, round 2 of 2",
        "By these measures, training",
        "Where",
        "inputs hash",
    ):
        assert words in page
    assert not (results / ".lock").exists()


def test_two_runs_at_once_are_refused(project: Path) -> None:
    config = project / "busy.yaml"
    config.write_text("name: busy\ndata: {inputs: [raw], station_id: C}\n")
    lock = project / "results" / "busy" / ".lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps(asdict(Process.current())))
    answer = snakemake(project, config)
    assert answer.returncode != 0
    assert f"process {os.getpid()} on" in answer.stdout + answer.stderr
    assert lock.exists()


def test_a_misspelt_key_stops_before_any_rule(project: Path) -> None:
    wrong = project / "wrong.yaml"
    wrong.write_text("name: tiny\npick: {min_scor: 0.5}\n")
    answer = snakemake(project, wrong)
    assert answer.returncode != 0
    assert "Did you mean 'min_score'" in answer.stdout + answer.stderr


def test_missing_weights_say_how_to_get_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEISBENCH_CACHE_ROOT", str(project / "no-cache"))
    (project / "absent").mkdir()
    (project / "absent" / "seisbench.py").write_text("raise ImportError('not installed')")
    monkeypatch.setenv("PYTHONPATH", str(project / "absent"), prepend=os.pathsep)
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
def test_brady_becomes_one_event(shared: Path, tmp_path: Path) -> None:
    text = (ROOT / "configs" / "brady.yaml").read_text().replace("../../shared", str(shared))
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
