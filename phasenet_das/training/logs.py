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
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_SMOOTHING = 0.05  # of the log's lines, over which the drawn loss is averaged


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


class TensorBoardLog:
    """The same numbers for TensorBoard."""

    def __init__(self, folder: Path, first_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingPackageError(
                "tensorboard: true needs the package tensorboard: pip install tensorboard, or say false."
            ) from error
        self._writer = SummaryWriter(str(folder), purge_step=first_step)

    def write(self, group: str, row: Mapping[str, Any]) -> None:
        """Write a line."""
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(f"{group}/{name}", value, row["step"])

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class TrainingLogs:
    """The logs of a training, written by its first process alone."""

    def __init__(self, folder: Path, first_step: int, settings: TrainSettings, world: World) -> None:
        self.folder = folder
        self._files: dict[str, CsvLog] = {}
        self._board: TensorBoardLog | None = None
        if world.is_first:
            names = {"train": "log.csv", "validation": "validation.csv"}
            self._files = {group: CsvLog(folder / name, first_step) for group, name in names.items()}
            if settings.tensorboard:
                self._board = TensorBoardLog(folder / "tensorboard", first_step)

    def write(self, group: str, row: Mapping[str, Any]) -> None:
        """Write a line of the group ``train`` or ``validation``."""
        if group in self._files:
            self._files[group].write(row)
        if self._board is not None:
            self._board.write(group, row)

    def close(self) -> None:
        """Draw the training curve, and close TensorBoard's file."""
        if (self.folder / "log.csv").exists():
            save_training_curve(self.folder)
        if self._board is not None:
            self._board.close()


def training_curve(log: pd.DataFrame, validation: pd.DataFrame) -> Figure:
    """Draw loss, picks of the validation set and learning rate over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 7), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1))
    _draw_loss(top, log, validation)
    _draw_scores(middle, validation)
    bottom.plot(log["step"], log["learning_rate"], color="#767676")
    bottom.set(xlabel="step", ylabel="learning rate", ylim=(0, None))
    for axes in (top, middle, bottom):
        axes.grid(color="#e0e0e0", linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_loss(axes: Axes, log: pd.DataFrame, validation: pd.DataFrame) -> None:
    axes.plot(log["step"], log["loss"], color="#c9c9c9", linewidth=0.7, label="training, each logged step")
    lines = max(1, round(_SMOOTHING * len(log)))
    smooth = log["loss"].rolling(lines, min_periods=1, center=True).mean()
    axes.plot(log["step"], smooth, color="#222222", label=f"training, mean of {lines}")
    if len(validation):
        axes.plot(
            validation["step"],
            validation["loss"],
            color="#c2185b",
            marker="o",
            markersize=3,
            label="validation",
        )
    axes.set(ylabel="loss (nats per pixel)", yscale="log")
    axes.legend(frameon=False, fontsize=8)


def _draw_scores(axes: Axes, validation: pd.DataFrame) -> None:
    from phasenet_das.plot.style import PHASE_COLORS

    axes.set(ylabel="F1 on the validation set", ylim=(0, 1.02))
    if not len(validation):
        return
    for phase, color in PHASE_COLORS.items():
        values = validation[f"{phase.lower()}_f1"]
        axes.plot(validation["step"], values, color=color, marker="o", markersize=3, label=phase)
    axes.legend(frameon=False, fontsize=8)


def save_training_curve(folder: Path) -> Path:
    """Draw the curve of a training folder."""
    validation = folder / "validation.csv"
    columns = ["step", "loss", "p_f1", "s_f1"]
    scores = read_csv(validation) if validation.exists() else pd.DataFrame(columns=columns)
    figure = training_curve(read_csv(folder / "log.csv"), scores)
    with atomic_path(folder / "training_curve.png") as temporary:
        figure.savefig(temporary, dpi=150)
    return folder / "training_curve.png"
