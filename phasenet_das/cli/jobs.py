"""The command ``phasenet-das jobs``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def jobs(
    config: Annotated[Path, typer.Option("--config", help="YAML file of settings.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the three tables.")],
) -> None:
    """List the picking jobs of the workflow: ranges of time with data.

    Writes jobs.json, receivers.parquet (the channels that were recorded) and coverage.csv (unusable files).

    Example: phasenet-das jobs --config my_cable.yaml -o index/
    """
    from phasenet_das.config import load_config
    from phasenet_das.pipeline.jobs import list_jobs

    found = list_jobs(load_config(config), output)
    typer.echo(f"{len(found)} jobs of {len({job.cable for job in found})} cable(s) -> {output}")
