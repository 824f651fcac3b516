"""The command ``phasenet-das info``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from phasenet_das.cli.options import Cable, ConfigFile, OptionalInputs, stating_recordings
from phasenet_das.cli.settings import chosen_cable, chosen_inputs, override, read_settings, stated_facts
from phasenet_das.config import DataSettings
from phasenet_das.errors import PhaseNetDASError


@stating_recordings
def info(
    inputs: OptionalInputs = None,
    *,
    config: ConfigFile = None,
    cable: Cable = None,
    stated: dict[str, Any],
) -> None:
    """Describe recordings: format, time span, gaps, channels, unit.

    For a folder, a summary of all files follows. With several cables in --config, all are described.

    Example: phasenet-das info recording.h5
    """
    settings = read_settings(config)
    every = cable is None and not inputs and settings.cables
    failed = sum(
        _describe(inputs, override(chosen_cable(settings, name).data, **stated))
        for name in (settings.cables if every else [cable])
    )
    if failed:
        raise typer.Exit(1)


def _describe(inputs: list[str] | None, data: DataSettings) -> int:
    """Print what the recordings of a cable hold; returns how many cannot be read."""
    from phasenet_das import io
    from phasenet_das.io.files import find_recordings

    sources, failed = chosen_inputs(inputs, data), 0
    found = find_recordings(sources)
    lacking = stated_facts(data)
    for source in found:
        try:
            typer.echo(str(io.describe(source, **lacking)))
        except PhaseNetDASError as error:
            failed += 1
            typer.echo(f"error: {error}", err=True)
    if any(Path(item).is_dir() for item in inputs or data.inputs):
        typer.echo(io.open_archive(sources, data).summary())
    return failed
