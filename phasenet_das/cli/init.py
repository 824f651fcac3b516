"""The command ``phasenet-das init``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from phasenet_das.cli.options import ChannelTable, Inputs, LayersFile, PVelocity, SVelocity
from phasenet_das.errors import ConfigError


def init(
    inputs: Inputs,
    output: Annotated[Path, typer.Option("-o", "--output", help="YAML file of settings to write.")],
    *,
    name: Annotated[str | None, typer.Option(help="Name of the run. Default: that of the folder.")] = None,
    channels: ChannelTable = None,
    vp_km_s: PVelocity = None,
    vs_km_s: SVelocity = None,
    layers: LayersFile = None,
    picks: Annotated[bool, typer.Option("--picks/--no-picks", help="Pick the first minute.")] = True,
    ask: Annotated[bool, typer.Option("--ask", help="Ask for the facts that the files lack.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write a settings file for the recordings of a new cable.

    The command reads the headers and picks the first minute of at most 500 channels. Comments in the file
    explain the findings beside the settings. State the facts that no recording holds, such as velocities, by
    a flag, or with --ask.

    Example: phasenet-das init recordings/ --layers layers.csv -o my_cable.yaml
    """
    from phasenet_das.pipeline.first_config import Site, write_first_config

    if ask and not sys.stdin.isatty():
        raise ConfigError("--ask: found no terminal. Run the command in one, or leave --ask out.")
    write_first_config(
        inputs,
        output,
        name=name,
        site=Site(channels=channels, layers=layers, vp_km_s=vp_km_s, vs_km_s=vs_km_s),
        picks=picks,
        ask=_prompt if ask else None,
        show=typer.echo,
        overwrite=overwrite,
    )
    typer.echo(f"-> {output}. Now: phasenet-das run {shlex.quote(str(output))} --dry-run")


def _prompt(question: str) -> str:
    return str(typer.prompt(question, default="", show_default=False))
