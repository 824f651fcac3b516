"""The command ``phasenet-das plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasenet_das.cli.options import (
    AnyQuantity,
    Cable,
    ChannelRange,
    ConfigFile,
    End,
    Interval,
    Spacing,
    Start,
    StartTime,
    StationId,
    Unit,
    parse_range,
)
from phasenet_das.cli.settings import chosen_cable, override, read_settings, stated_facts


def plot(
    recording: Annotated[str, typer.Argument(help="Recording, one file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Figure to write, .png or .pdf.")],
    *,
    picks: Annotated[Path | None, typer.Option(help="Pick table.")] = None,
    config: ConfigFile = None,
    cable: Cable = None,
    station_id: StationId = None,
    start_time: StartTime = None,
    dt_s: Interval = None,
    dx_m: Spacing = None,
    unit: Unit = None,
    any_quantity: AnyQuantity = None,
    start: Start = None,
    end: End = None,
    channel_range: ChannelRange = None,
) -> None:
    """Draw a recording with its picks.

    Example: phasenet-das plot recording.h5 --picks picks.parquet -o section.png
    """
    data = override(
        chosen_cable(read_settings(config), cable).data,
        station_id=station_id,
        start_time=start_time,
        dt_s=dt_s,
        dx_m=dx_m,
        unit=unit,
        any_quantity=any_quantity,
        channel_range=parse_range(channel_range),
    )
    from matplotlib.figure import Figure

    from phasenet_das import io
    from phasenet_das import plot as draw
    from phasenet_das.tables import atomic_path, read_picks

    patch = io.read(
        recording,
        **stated_facts(data),
        channels=data.channel_range,
        time=None if start is None and end is None else (start, end),
    )
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    draw.section(patch, None if picks is None else read_picks(picks), ax=figure.subplots())
    with atomic_path(output) as temporary:
        figure.savefig(temporary, dpi=150)
    typer.echo(f"-> {output}")
