"""From recordings to a model: windows cut from picks, trained on by the command, and fine-tuned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from typer.testing import CliRunner

from phasenet_das import io
from phasenet_das.cli import app
from phasenet_das.config import load_config
from phasenet_das.errors import ConfigError, WeightsError
from phasenet_das.models import weights as zoo
from phasenet_das.training import __main__ as command
from phasenet_das.training import cut_windows, open_window
from phasenet_das.training.labels import make_mask
from phasenet_das.training.logs import training_curve
from phasenet_das.training.loop import TrainingResult, initial_model
from tests.training.test_augment import assert_pulses_at_picks, pulses
from tests.training.test_windows import pick_table
from tests.training.tiny import TinyNet, tiny_settings

BEGIN = "2024-05-01T00:00:00"
CHANNELS, DT_S = 12, 0.02


def recording() -> tuple[object, pd.DataFrame, np.ndarray]:
    """Three events in 200 s, and the picks of all of them; the last was not kept."""
    row = np.arange(CHANNELS)
    starts = np.array([1000.0, 4000.0, 8000.0])[:, None]
    arrivals = np.stack([starts + 2 * row, starts + 300 + 4 * row], axis=1)
    data = pulses(arrivals, 10_000) + 0.05 * np.random.default_rng(0).standard_normal((CHANNELS, 10_000))
    patch = io.make_patch(
        data.astype(np.float32), start_time=BEGIN, dt_s=DT_S, channel_index=row + 100, station_id="X"
    )
    picks = pick_table(arrivals, BEGIN, DT_S)
    picks.loc[picks["event_index"] == 2, "event_index"] = -1
    return patch, picks, arrivals


@pytest.fixture
def windows(tmp_path: Path) -> list[Path]:
    patch, picks, _ = recording()
    return cut_windows(patch, picks, tmp_path / "windows", before_s=5.0, after_s=8.0)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(zoo._ARCHITECTURES, "tiny", TinyNet)
    monkeypatch.setitem(zoo._NORMALIZATIONS, "tiny", ("std",))


def test_a_window_for_each_kept_event(windows: list[Path]) -> None:
    assert [path.name for path in windows] == ["X_20240501T000020000000.h5", "X_20240501T000120000000.h5"]
    _, _, arrivals = recording()
    for path, expected in zip(windows, arrivals[:2], strict=True):
        window = open_window(path)
        sample = window.block(slice(0, window.num_channels), slice(0, window.num_samples))
        assert sample.arrivals.shape == (1, 2, CHANNELS)
        np.testing.assert_allclose(sample.arrivals[0], expected - expected.min() + 250, atol=1.01)
        assert_pulses_at_picks(sample, tolerance=3.0)


def test_rejected_picks_mask_the_window_they_fall_into(tmp_path: Path) -> None:
    patch, picks, _ = recording()
    picks.loc[(picks["event_index"] == 0) & (picks["channel_index"] == 103), "event_index"] = -1
    events = pd.DataFrame({"event_index": [0], "event_id": ["ev7"], "time": [pd.Timestamp(BEGIN, tz="UTC")]})
    path = cut_windows(patch, picks, tmp_path, events=events.assign(depth_km=np.nan))[0]
    window = open_window(path)
    assert window.event_id == "ev7"
    sample = window.block(slice(0, CHANNELS), slice(0, window.num_samples))
    mask = make_mask(sample, 0.1, 0.5)
    assert np.flatnonzero(mask.min(axis=1) == 0).tolist() == [3]
    assert cut_windows(patch, picks.assign(event_index=-1), tmp_path) == []
    with pytest.raises(ConfigError, match="no pick of cable 'X', the table has Y"):
        cut_windows(patch, picks.assign(station_id="Y"), tmp_path)


def config_file(folder: Path, windows: list[Path], **changes: object) -> Path:
    settings = tiny_settings(folder / "run", steps=2, batch_size=1, validate_every=2, validation_samples=1)
    values = settings.model_dump(mode="json", exclude_unset=True)
    values["data"] |= {"windows": [str(path) for path in windows], "sampling_rate_hz": 50.0}
    file = folder / "train.yaml"
    file.write_text(yaml.safe_dump({"train": values | changes}))
    return file


@pytest.mark.usefixtures("tiny")
def test_the_command_trains_goes_on_and_its_model_can_be_fine_tuned(
    tmp_path: Path, windows: list[Path]
) -> None:
    file = config_file(tmp_path, windows)
    done = CliRunner().invoke(app, ["train", "--config", str(file)])
    assert done.exit_code == 0, done.output
    assert "finished at step 2" in done.output
    again = CliRunner().invoke(app, ["train", "--config", str(file)])
    assert again.exit_code == 0
    assert len(pd.read_csv(tmp_path / "run" / "log.csv")) == 2
    model = tmp_path / "run" / "model"
    tuned = config_file(
        tmp_path, windows, weights=str(model), freeze=["stem"], output=str(tmp_path / "tuned")
    )
    assert command.main(["--config", str(tuned)]) == 0
    start, end = (zoo.load_weights(folder).model for folder in (model, tmp_path / "tuned" / "model"))
    assert torch.equal(start.stem.weight, end.stem.weight)
    assert not torch.equal(start.head.weight, end.head.weight)
    assert f"Started from {model} weights" in (tmp_path / "tuned" / "model" / "README.md").read_text()
    other = load_config(tuned).train.model_copy(update={"architecture": "phasenet-das"})
    with pytest.raises(WeightsError, match="of architecture tiny"):
        initial_model(other)


@pytest.mark.usefixtures("tiny")
def test_the_overfitting_check(tmp_path: Path, windows: list[Path]) -> None:
    file = config_file(tmp_path, windows)
    said = CliRunner().invoke(app, ["train", "--config", str(file), "--overfit-one-batch"])
    assert said.exit_code == 0, said.output
    assert "loss of one batch" in said.output
    assert not (tmp_path / "run").exists()


def test_a_signal_ends_with_its_code_and_errors_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    stopped = TrainingResult(1, finished=False, signal_number=15, metrics={}, folder=tmp_path)
    monkeypatch.setattr("phasenet_das.training.loop.train", lambda *_, **__: stopped)
    assert command.main(["--config", str(config_file(tmp_path, []))]) == 143
    assert command.main(["--config", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml" in capsys.readouterr().err


def test_the_training_curve_without_validation() -> None:
    log = pd.DataFrame({"step": [1, 2], "loss": [1.0, 0.5], "learning_rate": [0.1, 0.1]})
    figure = training_curve(log, pd.DataFrame(columns=["step", "loss", "p_f1", "s_f1"]))
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "loss (nats per pixel)",
        "F1 on the validation set",
        "learning rate",
    ]
