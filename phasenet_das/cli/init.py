"""The command ``phasenet-das init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasenet_das.cli.options import Inputs


def init(
    inputs: Inputs,
    output: Annotated[Path, typer.Option("-o", "--output", help="YAML file of settings to write.")],
    *,
    name: Annotated[str | None, typer.Option(help="Name of the run; that of the folder by default.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write settings for the workflow, commented, after a look at the recordings of a new cable.

    Example: phasenet-das init recordings/ -o my_cable.yaml
    """
    from phasenet_das.pipeline.first_config import write_first_config

    typer.echo(write_first_config(inputs, output, name=name, overwrite=overwrite))
    typer.echo(f"-> {output}; now: phasenet-das run {output} --dry-run")
