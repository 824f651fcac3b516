"""The command ``phasenet-das watch``."""

from __future__ import annotations

import logging
import shlex
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phasenet_das.cli.options import (
    Cable,
    ChannelTable,
    ConfigFile,
    Device,
    Inputs,
    MinScore,
    Precision,
    StationId,
    Weights,
)
from phasenet_das.cli.settings import chosen_cable, load_receivers, override, read_settings
from phasenet_das.errors import ChannelGeometryError, ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from gamma import AssociationConfig, AssociationResult
    from gamma.velocity import VelocityEstimate
    from phasenet_das.config import ReportSettings

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
        float | None,
        typer.Option(
            help="Length of the recent data that are associated if there are many picks, s.", min=60
        ),
    ] = None,
    settle_s: Annotated[
        float | None, typer.Option(help="Read a file after it has not changed for this time, s.", min=0)
    ] = None,
    poll_s: Annotated[
        float | None, typer.Option(help="Time between two checks of the folder, s.", min=0.1)
    ] = None,
    final_after_s: Annotated[
        float | None,
        typer.Option(help="An event is final when the data reach this time after its origin, s.", min=0),
    ] = None,
    keep_days: Annotated[
        int | None, typer.Option(help="Days in the tables. Older days move to OUTPUT/days.", min=1)
    ] = None,
    on_event: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND", help="Run this for each revision of an event, with JSON on standard input."
        ),
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="Send the JSON of each revision here by POST.")
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Show a status page, /health and /metrics here. Default host: 127.0.0.1.",
        ),
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Write log lines as JSON.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Process the present files, then end.")] = False,
    device: Device = None,
    precision: Precision = None,
) -> None:
    """Pick new files as they arrive, and hand their events over.

    Writes the files of one run over the folder: picks, events, catalog and coverage. An event keeps its id.
    revisions.jsonl records each change, and handover/ holds a QuakeML file of each event. All files are
    complete at any time. To resume, repeat the command. With several cables in --config and no --cable, the
    files name their cable.

    Example: phasenet-das watch incoming/ -o live/ --station-id BRADY --channels channels.csv
    """
    from phasenet_das.config import DataSettings
    from phasenet_das.picking.request import check_request
    from phasenet_das.pipeline.lock import hold
    from phasenet_das.watch.log import log_with_times

    base = read_settings(config)
    of_all = bool(base.cables) and cable is None
    data = override(DataSettings() if of_all else chosen_cable(base, cable).data, station_id=station_id)
    settings = override(base.pick, weights=weights, min_score=min_score, device=device, precision=precision)
    settings = settings.model_copy(update={"faint_score": None})  # faint picks are not for association
    check_request(settings=settings)
    following = override(
        base.watch,
        recent_s=recent_s,
        settle_s=settle_s,
        poll_s=poll_s,
        final_after_s=final_after_s,
        keep_days=keep_days,
        handover=override(base.watch.handover, on_event=_words(on_event), webhook=webhook),
        health=override(base.watch.health, listen=listen),
    )
    log_with_times(log_json)
    receivers = load_receivers(base, channels=channels, cable=cable, station_id=station_id)

    from phasenet_das.picking import load_picker  # torch, after all checks
    from phasenet_das.watch import Handover, Health, Watcher

    with hold(output / "watch.lock", f"watch -o {output}"):  # before anything of the folder is touched
        health = Health(output, following.health)
        watcher = Watcher(
            load_picker(
                settings.weights, device=settings.device, sha256=None if weights else settings.weights_sha256
            ),
            inputs,
            output,
            data=data,
            settings=settings,
            continuous=base.continuous,
            associate=partial(_find_events, receivers=receivers, settings=base.association),
            write_catalog=partial(_write_tables, receivers=receivers, report=base.report),
            watch=following,
            handover=Handover(following.handover, output / "handover", receivers, base.report),
            health=health,
        )
        if once:
            typer.echo(watcher.step() or "nothing new")
            watcher.close()
            return
        if following.health.listen is not None:
            from phasenet_das.watch.server import serve

            serve(health, following.health.listen)
        end_on_signals()
        try:
            watcher.follow()
        except KeyboardInterrupt:
            typer.echo("stopped. The same command resumes", err=True)


def end_on_signals() -> None:
    """End in order at SIGTERM, and at SIGINT also where a shell in the background ignores it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _find_events(
    picks: pd.DataFrame,
    ground: VelocityEstimate | None,
    receivers: pd.DataFrame | None,
    settings: AssociationConfig,
) -> AssociationResult:
    """Associate picks; those of cables without a channel table make no event."""
    from phasenet_das import catalog

    try:
        return catalog.associate(picks, receivers, settings, ground=ground)
    except ChannelGeometryError as error:  # other cables may have picks in the next minutes
        log.warning("%s", error)
        return catalog.associate(picks.iloc[:0], receivers, settings, ground=ground)


def _write_tables(
    result: AssociationResult,
    folder: Path,
    provenance: dict[str, Any],
    receivers: pd.DataFrame | None,
    report: ReportSettings,
) -> None:
    """Write what one run over the same files writes."""
    from phasenet_das import catalog

    catalog.write_association(result, folder, provenance)
    catalog.write_catalog(result.events, result.picks, folder, receivers, report, provenance)


def _words(command: str | None) -> tuple[str, ...] | None:
    """Split a command into its words, as a shell would, without running one."""
    try:
        return None if command is None else tuple(shlex.split(command))
    except ValueError as error:
        raise ConfigError(f"--on-event {command}: {error}, expected a command. Close the quotes.") from error
