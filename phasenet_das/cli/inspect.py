"""The command ``phasenet-das inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from phasenet_das.cli.options import (
    Band,
    Cable,
    ChannelRange,
    ConfigFile,
    Device,
    Inputs,
    MinScore,
    parse_range,
    stating_recordings,
)
from phasenet_das.cli.settings import chosen_cable, override, read_settings


@stating_recordings
def inspect(
    recordings: Inputs,
    picks: Annotated[Path, typer.Argument(help="Pick table, after association or before.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Corrected pick table. Default: PICKS.corrected.parquet."),
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Network whose scores can be shown.")] = None,
    device: Device = None,
    min_score: MinScore = None,
    bandpass_hz: Band = None,
    around_s: Annotated[
        float, typer.Option(help="Time shown before and after the picks of an event, s.", min=0)
    ] = 10.0,
    edited_by: Annotated[
        str | None, typer.Option(help="Who corrects. Default: the name of your account.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the page. 0 takes a free one.", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    config: ConfigFile = None,
    cable: Cable = None,
    stated: dict[str, Any],
    channel_range: ChannelRange = None,
) -> None:
    """Look at picks on their recordings in a browser, and correct them.

    The page is for this machine only. Each correction is saved at once. Repeat the command to continue.

    Example: phasenet-das inspect recordings/ catalog/picks.parquet --weights phasenet-das
    """
    own = chosen_cable(read_settings(config), cable).data
    data = override(own, **stated, channel_range=parse_range(channel_range))
    from phasenet_das.inspect import Inspection
    from phasenet_das.inspect.server import serve
    from phasenet_das.tables import check_table_name, read_picks

    corrected = check_table_name(output or picks.with_suffix(".corrected.parquet"))
    if corrected.exists():
        typer.echo(f"continues with the corrections in {corrected}")
    picker = None
    if weights is not None:
        from phasenet_das.picking import load_picker

        picker = load_picker(weights, device=device or "auto")
    inspection = Inspection(
        recordings,
        read_picks(corrected if corrected.exists() else picks),
        picker=picker,
        data=data,
        min_score=min_score or 0.0,
        save_to=corrected,
        edited_by=edited_by,
        around_s=around_s,
        bandpass_hz=bandpass_hz,
    )

    def ready(url: str) -> None:
        count = len(inspection.stops)
        typer.echo(f"{count} {'place' if count == 1 else 'places'} to inspect: {url}\nCtrl+C ends.")
        if browser:
            typer.launch(url)

    try:
        serve(inspection, port, ready=ready)
    except KeyboardInterrupt:
        typer.echo(f"{inspection.editor.num_edits} corrections -> {corrected}")
