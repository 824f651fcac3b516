"""The command ``phasenet-das train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Option("--config", help="YAML of settings with a section student.")],
    *,
    overfit_one_batch: Annotated[
        bool, typer.Option("--overfit-one-batch", help="Only check that one batch can be learned by heart.")
    ] = False,
) -> None:
    """Train a network by the section `student`; the same command resumes an interrupted training.

    On many processes: torchrun --nproc-per-node N -m phasenet_das.training --config FILE

    Example: phasenet-das train --config configs/train_example.yaml
    """
    from phasenet_das.training.__main__ import run

    code = run(config, overfit=overfit_one_batch)
    if code:
        raise typer.Exit(code)
