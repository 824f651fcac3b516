"""From recordings to a model: windows cut from picks, trained on by the command, and fine-tuned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import pandas as pd
import pytest
import torch
import yaml
from typer.testing import CliRunner

from phasenet_das.cli import app
from phasenet_das.config import TrainSettings, load_config
from phasenet_das.errors import ConfigError, WeightsError
from phasenet_das.models import weights as model_files
from phasenet_das.training import __main__ as command
from phasenet_das.training import cut_windows
from phasenet_das.training.checkpoint import initial_model
from phasenet_das.training.logs import training_curve
from phasenet_das.training.loop import TrainingResult
from phasenet_das.training.windows import digest_windows, find_windows
from tests.training.test_cut_windows import recording
from tests.training.tiny import TinyNet, tiny_settings


@pytest.fixture
def windows(tmp_path: Path) -> list[Path]:
    patch, picks, _ = recording()
    return cut_windows(patch, picks, None, tmp_path / "windows", before_s=5.0, after_s=8.0)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model_files._ARCHITECTURES, "tiny", TinyNet)
    monkeypatch.setitem(model_files.NORMALIZATIONS, "tiny", ("std",))


def config_file(folder: Path, windows: list[Path], **changes: object) -> Path:
    settings = tiny_settings(folder / "run", steps=2, batch_size=1, validate_every=2, validation_samples=1)
    values = settings.model_dump(mode="json", exclude_unset=True)
    values["data"] |= {"windows": [str(path) for path in windows], "sampling_rate_hz": 50.0}
    file = folder / "train.yaml"
    file.write_text(yaml.safe_dump({"student": values | changes}))
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
    start, end = (model_files.load_weights(folder).model for folder in (model, tmp_path / "tuned" / "model"))
    assert torch.equal(start.stem.weight, end.stem.weight)
    assert not torch.equal(start.head.weight, end.head.weight)
    assert f"Started from {model} weights" in (tmp_path / "tuned" / "model" / "README.md").read_text()
    other = load_config(tuned).student.model_copy(update={"architecture": "phasenet-das"})
    with pytest.raises(WeightsError, match="of architecture tiny"):
        initial_model(other)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("kind", ["labels", "data"])
def test_a_training_of_other_windows_or_labels_is_refused(
    tmp_path: Path, windows: list[Path], kind: str
) -> None:
    file = config_file(tmp_path, windows)
    assert command.main(["--config", str(file)]) == 0
    assert command.main(["--config", str(file)]) == 0
    if kind == "labels":
        labels = windows[0].with_suffix(".picks.parquet")
        picks = pd.read_parquet(labels)
        picks.assign(phase_time=picks["phase_time"] + pd.Timedelta("0.1s")).to_parquet(labels)
    else:
        with h5py.File(windows[0], "r+") as opened:
            opened["data"][0, 0] += 1
    with pytest.raises(ConfigError, match=r"differs in windows .*another output folder"):
        command.run(file)
    last = tmp_path / "run" / "last.pt"
    saved = torch.load(last, weights_only=True)
    del saved["run"]["windows"]  # as checkpoints were
    torch.save(saved, last)
    assert command.main(["--config", str(file)]) == 0


def test_the_digest_of_windows_tells_names_and_sides_apart(windows: list[Path]) -> None:
    found = find_windows(windows)
    digests = {digest_windows(found[:count], found[count:]) for count in range(len(found) + 1)}
    assert len(digests) == len(found) + 1
    moved = [path.rename(path.with_stem(f"{path.stem}x")) for path in windows]
    for before, after in zip(windows, moved, strict=True):
        before.with_suffix(".picks.parquet").rename(after.with_suffix(".picks.parquet"))
    assert digest_windows(find_windows(moved), []) not in digests


def test_given_weights_keep_their_shape() -> None:
    def start(**model_args: object) -> torch.nn.Module:
        return initial_model(TrainSettings(weights="phasenet-das", model_args=model_args))

    own = start().model_args
    assert start(widths=own["widths"]).model_args == own
    for wrong in ({"widths": [8, 16, 32, 64]}, {"depths": [1, 2, 2, 3]}, {"depth": [1]}):
        with pytest.raises(ConfigError, match=next(name for name in wrong if wrong[name] != own.get(name))):
            start(**wrong)


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


def test_one_batch_and_folders_of_windows_exclude_each_other(tmp_path: Path) -> None:
    folder = config_file(tmp_path, [])
    arguments = ["train", "--config", str(folder), "--windows", str(tmp_path), "--overfit-one-batch"]
    answer = CliRunner().invoke(app, arguments)
    assert isinstance(answer.exception, ConfigError)


def test_the_training_curve_without_validation() -> None:
    log = pd.DataFrame({"step": [1, 2], "loss": [1.0, 0.5], "learning_rate": [0.1, 0.1]})
    figure = training_curve(log, pd.DataFrame(columns=["step", "loss", "p_f1", "s_f1"]))
    assert [axes.get_ylabel() for axes in figure.axes] == ["Loss (nats per pixel)", "Learning rate"]


@pytest.mark.parametrize(
    ("architecture", "name"), [("phasenet", "moving"), ("eqnet", "std"), ("phasenet-das", "none")]
)
def test_a_normalisation_that_the_network_is_not_used_with_is_refused(architecture: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"found {name}, expected one that {architecture}"):
        initial_model(TrainSettings(architecture=architecture, data={"normalization": name}))


def test_weights_with_classes_in_another_order_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(model_files.load_weights("phasenet"), phases="PSN")
    monkeypatch.setattr(model_files, "load_weights", lambda _: other)
    settings = TrainSettings(architecture="phasenet", weights="psn", data={"normalization": "std"})
    with pytest.raises(WeightsError, match="PSN, expected NPS"):
        initial_model(settings)
