"""The training of a round: on the windows there are, anew when they change, and never on none."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from phasenet_das.cli import app
from phasenet_das.config import StudentSettings, load_config
from phasenet_das.errors import ConfigError, PhaseNetDASError
from phasenet_das.pipeline import student
from tests.training.test_windows import written


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
@pytest.mark.parametrize("name", ["2.csv", "2.hdf5"])
def test_windows_and_labels_of_every_ending_are_told_apart(
    windows: list[Path], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "training"
    (windows[1] / name).write_bytes(b"before")
    student.train_student(StudentSettings(), windows, folder)
    (folder / "last.pt").write_text("checkpoint")
    student.train_student(StudentSettings(), windows, folder)
    assert (folder / "last.pt").exists()
    (windows[1] / name).write_bytes(b"behind")
    student.train_student(StudentSettings(), windows, folder)
    assert not (folder / "last.pt").exists()


@pytest.mark.usefixtures("commands")
def test_a_folder_of_hdf5_windows_is_trained_on(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.hdf5").write_bytes(b"1")
    student.train_student(StudentSettings(), [tmp_path / "a"], tmp_path / "training")
    chosen = load_config(tmp_path / "training" / "train.yaml").student
    assert chosen.data.windows == (str(tmp_path / "a"),)


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize("changed", ["windows/a.picks.parquet", "held_out/b.h5", "labels/a.csv"])
def test_a_training_is_replaced_if_windows_or_labels_of_the_settings_change(
    tmp_path: Path, changed: str
) -> None:
    for folder, name in (("windows", "a"), ("held_out", "b"), ("others", "c")):
        written(tmp_path / folder, name)
    data = {"windows": (str(tmp_path / "windows"),), "validation_windows": (str(tmp_path / "held_out"),)}
    if changed.startswith("labels"):
        (tmp_path / "labels").mkdir()
        data["labels"] = str(tmp_path / "labels")
        for name in ("a", "c"):
            (tmp_path / "labels" / f"{name}.csv").write_text("channel_index,phase_time,phase_type\n")
    settings, folder = StudentSettings(data=data), tmp_path / "training"
    student.train_student(settings, [tmp_path / "others"], folder)
    (folder / "last.pt").write_text("checkpoint")
    student.train_student(settings, [tmp_path / "others"], folder)
    assert (folder / "last.pt").exists()
    with (tmp_path / changed).open("ab") as file:
        file.write(b"#")
    student.train_student(settings, [tmp_path / "others"], folder)
    assert not (folder / "last.pt").exists()


def test_a_folder_of_other_files_is_refused_and_stays(
    windows: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = [Path("results/training/precious/notes.txt"), Path("results/training/last.pt")]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    Path("t.yaml").write_text("student: {steps: 1}\n")
    words = ["train", "--config", "t.yaml", "--windows", str(windows[0])]
    for more in ([], ["-o", "."]):
        answer = CliRunner().invoke(app, [*words, *more])
        assert isinstance(answer.exception, ConfigError)
        assert "holds other files" in str(answer.exception)
    assert [path.read_text() for path in kept] == ["mine", "mine"]
    assert not commands
    # Without files, as Snakemake makes the folders of outputs.
    shutil.rmtree("results/training")
    Path("results/training/model").mkdir(parents=True)
    assert CliRunner().invoke(app, words).exit_code == 0
    assert len(commands) == 1


@pytest.mark.usefixtures("commands")
def test_a_training_of_others_loses_its_own_files_alone(windows: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "training"
    student.train_student(StudentSettings(), windows, folder)
    own = ["last.pt", "best.pt", "summary.json", "log.csv", "validation.csv", "training_curve.png"]
    own += [f"model/{name}" for name in ("model.safetensors", "config.json", "README.md")]
    own += ["tensorboard/events.out.tfevents.1.host"]
    foreign = ["notes.txt", "model/notes.txt", "precious/last.pt"]
    for name in (*own, *foreign):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("text")
    student.train_student(StudentSettings(seed=1), windows, folder)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {*foreign, "made_of.txt", "train.yaml"}
    assert load_config(folder / "train.yaml").student.seed == 1


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
