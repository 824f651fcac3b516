"""The command ``phasenet-das report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasenet_das.cli.options import Cable, ChannelTable, ConfigFile, StationId
from phasenet_das.cli.settings import load_receivers, read_settings


def report(
    folder: Annotated[Path, typer.Argument(help="Folder written by 'associate' or the workflow.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML file to write.")],
    *,
    config: ConfigFile = None,
    cable: Cable = None,
    channels: ChannelTable = None,
    station_id: StationId = None,
) -> None:
    """Write an HTML report of a catalog.

    The report has a map, events, picks, coverage and settings. For a folder of the workflow, it also has a
    section of every event, trainings and scores. Order the events worst first on the page.

    Example: phasenet-das report catalog/ --channels channels.csv -o report.html
    """
    from phasenet_das.report import write_report
    from phasenet_das.report.run import (
        address_of,
        read_association,
        read_json,
        unused_in_association,
        write_run_report,
    )
    from phasenet_das.tables import read_catalog, read_coverage, read_metadata

    own = folder / "config.yaml"
    base = read_settings(own if config is None and own.exists() else config)
    if (folder / "index" / "jobs.json").exists():
        typer.echo(f"-> {write_run_report(base, folder, output)}")
        return
    events, picks = read_catalog(folder)
    seen = folder / "coverage.csv"
    placed = load_receivers(base, channels=channels, cable=cable, station_id=station_id, picks=picks)
    association, groups = read_association(folder)
    path = write_report(
        output,
        events=events,
        picks=picks,
        channels=placed,
        coverage=read_coverage(seen) if seen.exists() else None,
        groups=groups,
        association=association,
        measures=read_json(folder / "measures.json"),
        provenance=read_metadata(folder / "events.parquet"),
        left_out=unused_in_association(folder),
        quakeml=address_of(folder / "catalog.xml", output),
        title=base.report.title or "Earthquake catalog",
    )
    typer.echo(f"-> {path}")
