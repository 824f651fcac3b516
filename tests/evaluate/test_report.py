"""`phasenet-das evaluate`: tables on stdout, numbers in JSON, figures in a folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phasenet_das import io
from phasenet_das.cli import main
from phasenet_das.evaluate.report import markdown, recall_by_bin
from phasenet_das.tables import write_table
from phasenet_das.text import json_records
from tests.tables_at_hand import START, make_truth


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Truth, picks 50 ms late, a recording that holds their onsets, and two small catalogs."""
    out = tmp_path_factory.mktemp("evaluate")
    truth = make_truth(4, 12)
    write_table(truth, out / "truth.parquet")
    late = truth.assign(phase_time=truth["phase_time"] + pd.Timedelta(milliseconds=50))
    write_table(late, out / "picks.parquet")
    seconds = (truth["phase_time"] - START).dt.total_seconds().to_numpy()
    data = 0.01 * np.random.default_rng(0).standard_normal((12, 14000)).astype(np.float32)
    wavelet = np.sin(np.arange(200) * 0.4) * np.hanning(200)
    for channel, second in zip(truth["channel_index"], seconds, strict=True):
        first = round(second * 100)
        data[channel, first : first + 200] += wavelet.astype(np.float32)
    patch = io.make_patch(data, start_time=str(START.tz_localize(None)), dt_s=0.01, station_id="C")
    io.write_quakeflow(patch, out / "record.h5")
    events = pd.DataFrame(
        {"time": [START, START + pd.Timedelta(minutes=1)], "latitude": 37.0, "longitude": -118.0}
    )
    events.to_csv(out / "reference.csv", index=False)
    events.iloc[:1].to_csv(out / "events.csv", index=False)
    return out


def _run(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> int:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["phasenet-das", "evaluate", *arguments])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_everything_at_once(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["picks.parquet", "--truth", "truth.parquet", "--waveforms", "record.h5"]
    arguments += [
        "--events",
        "events.csv",
        "--reference",
        "reference.csv",
        "--json",
        "out.json",
        "--figures",
        "fig",
    ]
    assert _run(monkeypatch, folder, *arguments) == 0
    printed = capsys.readouterr().out
    assert "| S     | SNR " in printed
    facts = json.loads((folder / "out.json").read_text())
    whole = [row for row in facts["picks"]["scores"] if row["bin_by"] == ""]
    assert [row["bias_s"] for row in whole] == pytest.approx([0.05, 0.05])
    assert facts["events"]["scores"]["recall"] == 0.5
    assert {row["between"] for row in facts["waveforms"]} == {"channels", "events"}
    assert all(abs(row["bias_s"]) < 0.005 for row in facts["waveforms"])
    assert set(facts["metadata"]["inputs"]) >= {"picks.parquet", "truth.parquet"}
    figures = {path.stem for path in (folder / "fig").glob("*.png")}
    assert figures >= {"recall_by_snr_db", "pick_residuals", "differential_times_channels", "event_time_s"}


def test_the_coverage_beside_the_picks_is_used(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name in ("truth.parquet", "picks.parquet"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    row = {"station_id": "C", "start": START, "end": START + pd.Timedelta(seconds=35), "first_channel": 0}
    row |= {"last_channel": 11, "num_channels": 12, "status": "examined", "reason": "", "source": "x"}
    write_table(pd.DataFrame([row]), tmp_path / "picks.coverage.csv")
    assert _run(monkeypatch, tmp_path, "picks.parquet", "--truth", "truth.parquet") == 0
    assert "72 true picks lie outside the spans examined (picks.coverage.csv)" in capsys.readouterr().out


def test_several_pickers_are_scored_by_name(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    pd.read_csv(folder / "reference.csv").assign(magnitude=[1.0, 2.0]).to_csv(
        folder / "sized.csv", index=False
    )
    (folder / "settings.yaml").write_text("evaluation: {min_magnitude: 1.5, events: sized.csv}\n")
    tables = ["the teacher=picks.parquet", "student=truth.parquet"]
    events = ["--events", "events.csv", "--config", "settings.yaml"]
    arguments = [*tables, "--truth", "truth.parquet", *events, "--json", "both.json"]
    assert _run(monkeypatch, folder, *arguments) == 0
    scores = json.loads((folder / "both.json").read_text())
    assert list(scores["picks"]) == ["the teacher", "student"]
    assert scores["picks"]["student"]["scores"][0]["f1"] == 1.0
    assert scores["events_above"] == {"min_magnitude": 1.5, "reference": 1, "found": 0}
    row = {"station_id": "C", "start": START, "end": START + pd.Timedelta(seconds=35), "first_channel": 0}
    row |= {"last_channel": 11, "num_channels": 12, "status": "examined", "reason": "", "source": "x"}
    write_table(pd.DataFrame([row]), folder / "first.csv")  # the large event lies outside
    assert _run(monkeypatch, folder, *events, "--coverage", "first.csv", "--json", "part.json") == 0
    scores = json.loads((folder / "part.json").read_text())
    assert scores["events_above"] == {"min_magnitude": 1.5, "reference": 0, "found": 0}
    assert _run(monkeypatch, folder, "picks.parquet", "truth.parquet", "--truth", "truth.parquet") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to evaluate"),
        (["picks.parquet"], "--truth or --waveforms"),
        (["--events", "events.csv"], "--reference"),
        (["picks.parquet", "--truth", "none.parquet"], "no such file"),
    ],
)
def test_errors_are_one_message(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    capsys: pytest.CaptureFixture,
    arguments: list[str],
    message: str,
) -> None:
    assert _run(monkeypatch, folder, *arguments) == 1
    captured = capsys.readouterr().err
    assert message in captured
    assert "Traceback" not in captured


def test_tables_line_up_and_unknown_numbers_are_null() -> None:
    lines = markdown(["a", "long"], [["1", "2"], ["333", "4"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert json_records(pd.DataFrame({"x": [np.nan, np.inf, 1.0], "n": [1, 2, 3]})) == [
        {"x": None, "n": 1},
        {"x": None, "n": 2},
        {"x": 1.0, "n": 3},
    ]


def test_help_shows_an_example(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture
) -> None:
    assert _run(monkeypatch, folder, "--help") == 0
    assert "Example: phasenet-das evaluate " in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("edges", [(25.0, 30.0, np.inf), (30.0, np.inf)])
def test_the_outermost_bins_are_drawn(edges: tuple[float, ...]) -> None:
    table = pd.DataFrame({"bin_low": edges[:-1], "bin_high": edges[1:], "recall": 1.0})
    table = table.assign(bin_by="snr_db", num_truth=5, phase="P")
    axes = recall_by_bin({"picks": table}, "snr_db")
    assert np.isfinite(axes.lines[0].get_xdata()).all()
