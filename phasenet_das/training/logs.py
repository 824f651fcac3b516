"""Logs of a training: CSV files, TensorBoard, and the figure of the training curve."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phasenet_das.config import TrainSettings
from phasenet_das.errors import MissingPackageError
from phasenet_das.tables import atomic_path
from phasenet_das.tables.files import read_csv
from phasenet_das.training.ddp import World

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter


class CsvLog:
    """A table that grows by a line at a time, and forgets what a continued run will write again."""

    def __init__(self, path: Path, first_step: int) -> None:
        self.path = path
        if path.exists():
            table = read_csv(path)
            with atomic_path(path) as temporary:
                table[table["step"] < first_step].to_csv(temporary, index=False)

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a line."""
        new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)


class TrainingLogs:
    """The logs of a training, written by its first process alone."""

    def __init__(self, folder: Path, first_step: int, settings: TrainSettings, world: World) -> None:
        self.folder = folder
        self._files: dict[str, CsvLog] = {}
        self._board: SummaryWriter | None = None
        if world.is_first:
            names = {"train": "log.csv", "validation": "validation.csv"}
            self._files = {group: CsvLog(folder / name, first_step) for group, name in names.items()}
            if settings.tensorboard:
                self._board = _open_tensorboard(folder / "tensorboard", first_step)

    def write(self, group: str, row: Mapping[str, Any]) -> None:
        """Write a line of the group ``train`` or ``validation``."""
        if group in self._files:
            self._files[group].write(row)
        if self._board is not None:
            for name, value in row.items():
                if name != "step":
                    self._board.add_scalar(f"{group}/{name}", value, row["step"])

    def close(self) -> None:
        """Draw the training curve, and close TensorBoard's file."""
        path = self.folder / "log.csv"
        if path.exists() and len(read_csv(path)):  # a run that is stopped early has logged no step
            save_training_curve(self.folder)
        if self._board is not None:
            self._board.close()


def _open_tensorboard(folder: Path, first_step: int) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingPackageError(
            "tensorboard: true needs the package tensorboard: pip install tensorboard, or say false."
        ) from error
    return SummaryWriter(str(folder), purge_step=first_step)


def training_curve(log: pd.DataFrame, validation: pd.DataFrame) -> Figure:
    """Draw loss, picks of the validation set and learning rate over the steps."""
    from matplotlib.figure import Figure

    from phasenet_das.plot import training_curves

    figure = Figure(figsize=(7, 5), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    training_curves(log, validation, ax=top)
    top.set_xlabel("")
    bottom.plot(log["step"], log["learning_rate"], color="#767676")
    bottom.set(xlabel="Step", ylabel="Learning rate", ylim=(0, None))
    bottom.grid(color="#e0e0e0", linewidth=0.5)
    bottom.spines[["top", "right"]].set_visible(False)
    return figure


def save_training_curve(folder: Path) -> Path:
    """Draw the curve of a training folder."""
    validation = folder / "validation.csv"
    columns = ["step", "loss", "p_f1", "s_f1"]
    scores = read_csv(validation) if validation.exists() else pd.DataFrame(columns=columns)
    figure = training_curve(read_csv(folder / "log.csv"), scores)
    with atomic_path(folder / "training_curve.png") as temporary:
        figure.savefig(temporary, dpi=150)
    return folder / "training_curve.png"
