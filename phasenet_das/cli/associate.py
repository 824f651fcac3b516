"""The command ``phasenet-das associate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasenet_das.cli.options import Cable, ChannelTable, ConfigFile, StationId, Workers
from phasenet_das.cli.settings import load_receivers, read_settings


def associate(
    picks: Annotated[list[Path], typer.Argument(help="Pick tables.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for events, picks and catalog.")],
    *,
    config: ConfigFile = None,
    cable: Cable = None,
    channels: ChannelTable = None,
    stations: Annotated[Path | None, typer.Option(help="Table of seismometers (CSV).")] = None,
    station_id: StationId = None,
    workers: Workers = 1,
) -> None:
    """Group picks into located events: events, picks, catalog.csv and QuakeML.

    With --config the channel tables of all its cables are used, and its seismometers and their picks.

    Example: phasenet-das associate picks.parquet --channels channels.csv -o catalog/
    """
    from phasenet_das import catalog
    from phasenet_das.tables import read_metadata, read_pick_tables
    from phasenet_das.tables.provenance import provenance

    base = read_settings(config)
    named = {path.resolve() for path in picks}
    files = [*picks, *(Path(path) for path in base.stations.picks if Path(path).resolve() not in named)]
    table = read_pick_tables(files, station_id)
    receivers = load_receivers(
        base, channels=channels, cable=cable, station_id=station_id, picks=table, stations=stations
    )
    result = catalog.associate(table, receivers, base.association, workers=workers)
    origin = {key: read_metadata(files[0]).get(key) for key in ("weights_id", "amplitude_unit")}
    facts = provenance(settings=base.association, inputs=files, **origin)
    catalog.write_association(result, output, facts)
    catalog.write_catalog(result.events, result.picks, output, receivers, base.report, facts)
    kept = int((result.picks["event_index"] >= 0).sum())
    typer.echo(f"{len(result.events)} events from {kept} of {len(table)} picks -> {output}")
    for line in catalog.explain_rejected(result, receivers):
        typer.echo(line, err=True)
