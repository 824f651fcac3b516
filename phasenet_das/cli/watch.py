"""The command ``phasenet-das watch``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from phasenet_das.cli.options import (
    Cable,
    ChannelTable,
    ConfigFile,
    Device,
    Inputs,
    MinScore,
    StationId,
    Weights,
)
from phasenet_das.cli.settings import chosen_cable, load_receivers, override, read_settings

log = logging.getLogger(__name__)


def watch(
    inputs: Inputs,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for picks and events.")],
    *,
    config: ConfigFile = None,
    cable: Cable = None,
    weights: Weights = None,
    station_id: StationId = None,
    channels: ChannelTable = None,
    min_score: MinScore = None,
    recent_s: Annotated[
        float, typer.Option(help="Length of the recent data that are associated, s.", min=60)
    ] = 600.0,
    settle_s: Annotated[
        float, typer.Option(help="Read a file after it has not changed for this time, s.", min=0)
    ] = 2.0,
    poll_s: Annotated[float, typer.Option(help="Time between two checks of the folder, s.", min=0.1)] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Process the present files, then end.")] = False,
    device: Device = None,
) -> None:
    """Pick new files as they arrive, and associate the last minutes.

    Writes picks/DATE.parquet and recent_events.parquet. It also writes the files of one run over the folder:
    picks, events, catalog and coverage. All files are complete at any time. To resume, repeat the command.
    With several cables in --config and no --cable, the files name their cable.

    Example: phasenet-das watch incoming/ -o live/ --station-id BRADY --channels channels.csv
    """
    from phasenet_das import catalog
    from phasenet_das.config import DataSettings
    from phasenet_das.errors import ChannelGeometryError
    from phasenet_das.picking.request import check_request

    base = read_settings(config)
    of_all = bool(base.cables) and cable is None
    data = override(DataSettings() if of_all else chosen_cable(base, cable).data, station_id=station_id)
    settings = override(base.pick, weights=weights, min_score=min_score, device=device)
    settings = settings.model_copy(update={"faint_score": None})  # faint picks are not for association
    check_request(settings=settings)
    receivers = load_receivers(base, channels=channels, cable=cable, station_id=station_id)

    from phasenet_das.picking import load_picker  # torch, after all checks
    from phasenet_das.watch import Watcher

    def find_events(picks: Any) -> Any:  # noqa: ANN401 - two tables
        try:
            found = catalog.associate(picks, receivers, base.association)
        except ChannelGeometryError as error:  # other cables may have picks in the next minutes
            log.warning("%s", error)
            found = catalog.associate(picks.iloc[:0], receivers, base.association)
        return found

    def write_tables(result: Any, folder: Path, provenance: dict[str, Any]) -> None:  # noqa: ANN401
        catalog.write_association(result, folder, provenance)
        catalog.write_catalog(result.events, result.picks, folder, receivers, base.report, provenance)

    watcher = Watcher(
        load_picker(
            settings.weights, device=settings.device, sha256=None if weights else settings.weights_sha256
        ),
        inputs,
        output,
        data=data,
        settings=settings,
        continuous=base.continuous,
        associate=find_events,
        write_catalog=write_tables,
        recent_s=recent_s,
        settle_s=settle_s,
    )
    if once:
        typer.echo(watcher.step() or "nothing new")
        watcher.close()
        return
    try:
        watcher.follow(poll_s=poll_s, report=typer.echo)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command resumes", err=True)
