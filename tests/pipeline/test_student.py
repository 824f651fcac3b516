"""The training of a round: on the windows there are, anew when they change, and never on none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from phasenet_das.config import StudentSettings, load_config
from phasenet_das.errors import ConfigError, PhaseNetDASError
from phasenet_das.pipeline import student


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would have been run."""
    run: list[list[str]] = []
    monkeypatch.setattr(student, "_run", lambda command, _: run.append(list(command)))
    return run


@pytest.fixture
def windows(tmp_path: Path) -> list[Path]:
    for name in ("a", "b", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "1.h5").write_bytes(b"1")
    (tmp_path / "b" / "2.h5").write_bytes(b"2")
    return [tmp_path / "a", tmp_path / "b", tmp_path / "empty"]


def test_the_windows_of_all_blocks_are_trained_on(
    windows: list[Path], tmp_path: Path, commands: list[list[str]]
) -> None:
    folder = tmp_path / "training"
    student.train_student(StudentSettings(steps=3), windows, folder)
    settings = load_config(folder / "train.yaml").student
    assert settings.data.windows == (str(windows[0]), str(windows[1]))
    assert (settings.steps, settings.output) == (3, str(folder))
    assert commands == [
        [sys.executable, "-m", "phasenet_das.training", "--config", str(folder / "train.yaml")]
    ]


def test_several_processes_are_started_by_torchrun(
    windows: list[Path], tmp_path: Path, commands: list[list[str]]
) -> None:
    student.train_student(StudentSettings(processes=3), windows, tmp_path / "training")
    assert commands[0][1:6] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3"]


def test_an_interrupted_training_goes_on_and_one_of_other_labels_does_not(
    windows: list[Path], tmp_path: Path, commands: list[list[str]]
) -> None:
    folder = tmp_path / "training"
    student.train_student(StudentSettings(), windows, folder)
    (folder / "last.pt").write_text("checkpoint")
    student.train_student(StudentSettings(), windows, folder)
    assert (folder / "last.pt").exists()
    (windows[1] / "2.picks.parquet").write_bytes(b"other labels")
    student.train_student(StudentSettings(), windows, folder)
    assert not (folder / "last.pt").exists()
    (folder / "last.pt").write_text("checkpoint")
    student.train_student(StudentSettings(seed=1), windows, folder)
    assert not (folder / "last.pt").exists()
    assert len(commands) == 4


@pytest.mark.usefixtures("commands")
def test_a_round_starts_from_the_student_before_and_anew_from_another(
    windows: list[Path], tmp_path: Path
) -> None:
    folder, model = tmp_path / "round2" / "training", tmp_path / "round1" / "training" / "model"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"weights")
    settings = StudentSettings(weights=str(model))
    student.train_student(settings, windows, folder)
    assert load_config(folder / "train.yaml").student.weights == str(model)
    (folder / "last.pt").write_text("checkpoint")
    student.train_student(settings, windows, folder)
    assert (folder / "last.pt").exists()
    (model / "model.safetensors").write_bytes(b"other weights")
    student.train_student(settings, windows, folder)
    assert not (folder / "last.pt").exists()


def test_no_window_is_an_error_that_says_what_to_look_at(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="association kept no event"):
        student.train_student(StudentSettings(), [tmp_path / "empty"], tmp_path / "training")


def test_a_training_that_fails_is_not_taken_for_done(tmp_path: Path) -> None:
    with pytest.raises(PhaseNetDASError, match="exit code 3"):
        student._run([sys.executable, "-c", "raise SystemExit(3)"], tmp_path / ".process")
