"""The commands ``phasenet-das weights``."""

from __future__ import annotations

from typing import Annotated

import typer

from phasenet_das.cli.options import Command, ConfigFile
from phasenet_das.cli.settings import read_settings

weights_app = typer.Typer(
    help="List and describe the weights of networks.", no_args_is_help=True, rich_markup_mode=None
)


@weights_app.command("list", cls=Command)
def list_() -> None:
    """List the bundled weights, and those of SeisBench's cache.

    Example: phasenet-das weights list
    """
    from phasenet_das.models import list_weights

    for name in list_weights() or ["none at hand. You can download seisbench:original"]:
        typer.echo(name)


@weights_app.command(cls=Command)
def show(
    name: Annotated[
        str | None, typer.Argument(help="Bundled model, seisbench:NAME, folder or checkpoint.")
    ] = None,
    *,
    config: ConfigFile = None,
) -> None:
    """Describe weights: architecture, sampling rate, digest.

    Without a name, those of the section `pick` of --config.

    Example: phasenet-das weights show seisbench:original
    """
    from phasenet_das.models import load_weights

    weights = load_weights(name or read_settings(config).pick.weights)
    size = sum(tensor.numel() for tensor in weights.model.parameters())
    typer.echo(
        f"{weights.weights_id}\n  architecture   {weights.architecture}, {size:,} parameters\n"
        f"  sampling rate  {weights.sampling_rate_hz:g} Hz, windows of {weights.window_samples} samples\n"
        f"  input          components {weights.component_order}, normalisation {weights.normalization}\n"
        f"  classes        {weights.phases}\n  sha256         {weights.sha256}"
    )
    for key, value in weights.provenance.items():
        typer.echo(f"  {key}: {value}")
