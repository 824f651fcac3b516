"""The command ``phasenet-das run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML file of settings. 'phasenet-das init' writes one.")],
    *,
    cores: Annotated[int, typer.Option(help="Number of CPU cores.", min=1)] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the jobs.")] = False,
) -> None:
    """Run the workflow, from recordings to catalog and report.

    The command runs in any folder. It needs Snakemake: pip install 'phasenet-das[workflow]'. To resume an
    interrupted run, repeat the command. Arguments after -- go to Snakemake.

    Example: phasenet-das run my_cable.yaml --cores 4 -- --keep-going
    """
    from phasenet_das.pipeline.launch import replace_process, snakemake_command

    replace_process(snakemake_command(config, cores=cores, dry_run=dry_run, arguments=context.args))
