"""The workflow gives the picks of `Picker.pick` and the events of `pn.associate`, however jobs are cut."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import phasenet_das as pn
from phasenet_das.config import load_config
from phasenet_das.pipeline.jobs import read_jobs
from phasenet_das.tables import EVENT_COLUMNS, conform, read_events, read_picks

SETTINGS = """
name: tiny
simulate:
  scenario: easy
  seed: 5
  settings:
    duration_s: 130
    start_time: "2024-03-01T00:00:25"
    file_length_s: 30
    cable: {num_channels: 24, dx_m: 40.0}
    sources: {events_per_hour: 240.0, magnitude_min: 2.5, distance_max_km: 8}
data: {station_id: SIM}
pick: {weights: phasenet, min_score: 0.2}
association: {vp_km_s: 5.6, max_distance_km: 40.0, depth_range_km: [0, 20]}
jobs: {length_s: 60}
report: {max_sections: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the workflow in a folder of its own."""
    folder = tmp_path_factory.mktemp("run")
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
def test_picks_and_events_are_those_of_python(results: Path) -> None:
    config = load_config(results / "config.yaml")
    assert len(read_jobs(results / "index" / "jobs.json")) == 3
    picks = read_picks(results / "picks.parquet")
    expected = pn.load_picker(config.pick.weights).pick(
        results / "simulated" / "data", config.pick, data=config.data.model_copy(update={"inputs": ()})
    )
    seconds = picks["phase_time"].dt.second + 1e-9 * picks["phase_time"].dt.nanosecond
    assert len(picks) > 50
    assert seconds.nunique() > 10
    pd.testing.assert_index_equal(_by_id(picks).index, _by_id(expected).index)
    for name in ("phase_time", "phase_type", "phase_amplitude"):
        pd.testing.assert_series_equal(_by_id(picks)[name], _by_id(expected)[name])
    np.testing.assert_allclose(_by_id(picks)["phase_score"], _by_id(expected)["phase_score"], atol=1e-3)

    channels = pn.read_channels(results / "simulated" / "channels.csv")
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
