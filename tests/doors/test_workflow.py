"""The workflow: its results, those of Python, and only what changed when it runs again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from obspy import read_events as read_quakeml

import phasenet_das as pn
from phasenet_das.config import load_config
from phasenet_das.pipeline.jobs import read_jobs
from phasenet_das.tables import EVENT_COLUMNS, conform, read_events, read_metadata, read_picks
from tests.pipeline.snakemake import snakemake

SIMULATED = {
    "duration_s": 60,
    "start_time": "2024-03-01T00:00:25",
    "file_length_s": 30,
    "cable": {"num_channels": 24, "dx_m": 40.0},
    "sources": {"events_per_hour": 240.0, "magnitude_min": 2.5, "distance_max_km": 8},
}
SETTINGS = """
name: tiny
data: {inputs: [made/data], station_id: SIM}
geometry: {path: made/channels.csv}
pick: {weights: phasenet, min_score: 0.2}
association: {vp_km_s: 5.6, max_distance_km: 40.0, depth_range_km: [0, 20]}
jobs: {length_s: 60}
report: {max_sections: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the workflow in a folder of its own, on recordings of which one file is damaged."""
    folder = tmp_path_factory.mktemp("run")
    pn.simulate.simulate(pn.simulate.scenario("easy", **SIMULATED), folder / "made", seed=5)
    (folder / "made" / "data" / "damaged.h5").write_bytes(b"not a recording")
    (folder / "tiny.yaml").write_text(SETTINGS)
    command = [sys.executable, "-m", "phasenet_das.cli", "run", "tiny.yaml", "--cores", "2"]
    answer = subprocess.run(  # noqa: S603 - our own command
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=570
    )
    assert answer.returncode == 0, answer.stdout[-2000:] + answer.stderr[-6000:]
    return folder


@pytest.fixture
def results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return Path("results/tiny")


@pytest.mark.slow
def test_a_run_leaves_its_results(results: Path) -> None:
    for name in ("config.yaml", "catalog.csv", "catalog.xml", "report.html", "measures.json"):
        assert (results / name).stat().st_size > 0, name
    picks = read_picks(results / "picks.parquet")
    assert picks["phase_time"].dt.minute.nunique() > 1
    events = read_events(results / "events.parquet")
    assert len(read_quakeml(str(results / "catalog.xml"))) == len(events) > 0
    assert read_metadata(results / "picks.parquet")["weights_id"].startswith("phasenet@")
    assert yaml.safe_load((results / "config.yaml").read_text())["pick"]["min_score"] == 0.2
    assert "damaged.h5" in (results / "report.html").read_text()  # it cost itself, and is named


@pytest.mark.slow
def test_a_second_run_does_nothing_and_another_only_what_changed(folder: Path) -> None:
    again = snakemake(folder, folder / "tiny.yaml")
    assert "Nothing to be done" in again.stdout + again.stderr
    changed = folder / "changed.yaml"
    changed.write_text(SETTINGS.replace("vp_km_s: 5.6", "vp_km_s: 5.5"))
    plan = snakemake(folder, changed, "--dry-run")
    jobs = plan.stdout + plan.stderr
    assert "rule associate:" in jobs
    assert "rule report:" in jobs
    assert "rule pick:" not in jobs


@pytest.mark.slow
def test_picks_and_events_are_those_of_python(results: Path) -> None:
    config = load_config(results / "config.yaml")
    assert len(read_jobs(results / "index" / "jobs.json")) == 2
    picks = read_picks(results / "picks.parquet")
    expected = pn.load_picker(config.pick.weights).pick(
        sorted(Path("made/data").glob("*[0-9].h5")),
        config.pick,
        data=config.data.model_copy(update={"inputs": ()}),
    )
    seconds = picks["phase_time"].dt.second + 1e-9 * picks["phase_time"].dt.nanosecond
    assert len(picks) > 50
    assert seconds.nunique() > 10
    pd.testing.assert_index_equal(_by_id(picks).index, _by_id(expected).index)
    for name in ("phase_time", "phase_type", "phase_amplitude"):
        pd.testing.assert_series_equal(_by_id(picks)[name], _by_id(expected)[name])
    np.testing.assert_allclose(_by_id(picks)["phase_score"], _by_id(expected)["phase_score"], atol=1e-3)

    channels = pn.read_channels("made/channels.csv")
    found = pn.associate(expected, channels, config.association)
    assert len(found.events)
    pd.testing.assert_frame_equal(
        read_events(results / "events.parquet")[list(EVENT_COLUMNS)],
        conform(found.events, EVENT_COLUMNS)[list(EVENT_COLUMNS)],
        atol=1e-3,
    )
    assert _by_id(picks)["event_index"].tolist() == _by_id(found.picks)["event_index"].tolist()


def _by_id(picks: pd.DataFrame) -> pd.DataFrame:
    return picks.set_index("pick_id").sort_index()
