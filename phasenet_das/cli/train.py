"""The command ``phasenet-das train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasenet_das.cli.settings import override
from phasenet_das.errors import ConfigError


def train(
    config: Annotated[Path, typer.Option("--config", help="YAML file of settings with a section `student`.")],
    *,
    windows: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of training windows, in addition to those of the settings. May be repeated."
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights to start from. Default: student.weights. Only with --windows.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder of the training. Default: student.output. Only with --windows."
        ),
    ] = None,
    overfit_one_batch: Annotated[
        bool,
        typer.Option("--overfit-one-batch", help="Only check that the network can learn one batch by heart."),
    ] = False,
) -> None:
    """Train a network with the settings of the section `student`.

    Repeat the command to resume an interrupted training. With --windows, it trains in student.processes
    processes. A training with other windows or settings in the same folder is replaced.

    Without --windows, to train in N processes: torchrun --nproc-per-node N -m phasenet_das.training --config
    FILE

    Example: phasenet-das train --config configs/train_example.yaml
    """
    if windows and overfit_one_batch:
        raise ConfigError("--overfit-one-batch: not with --windows. State them as student.data.windows.")
    if windows:
        from phasenet_das.config import load_config
        from phasenet_das.pipeline.student import train_student

        settings = override(load_config(config).student, weights=weights)
        typer.echo(f"-> {train_student(settings, windows, output or settings.output)}")
        return
    for option, setting, value in (("-o", "output", output), ("--weights", "weights", weights)):
        if value is not None:
            raise ConfigError(f"{option}: only with --windows. State student.{setting} in the settings.")
    from phasenet_das.training.__main__ import run

    code = run(config, overfit=overfit_one_batch)
    if code:
        raise typer.Exit(code)
