"""The command ``phasenet-das associate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasenet_das.cli.options import (
    Cable,
    ChannelTable,
    ConfigFile,
    LayersFile,
    MinScore,
    MinScoreP,
    MinScoreS,
    PVelocity,
    StationId,
    SVelocity,
    Workers,
)
from phasenet_das.cli.settings import listed_tables, load_receivers, read_settings
from phasenet_das.errors import ConfigError

if TYPE_CHECKING:
    from gamma import AssociationResult


def associate(
    picks: Annotated[list[Path], typer.Argument(help="Pick tables, or a .txt file with one table a line.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for events, picks and catalog.")],
    *,
    config: ConfigFile = None,
    cable: Cable = None,
    channels: ChannelTable = None,
    stations: Annotated[Path | None, typer.Option(help="Station table of seismometers (CSV).")] = None,
    station_id: StationId = None,
    min_score: MinScore = None,
    min_score_p: MinScoreP = None,
    min_score_s: MinScoreS = None,
    vp_km_s: PVelocity = None,
    vs_km_s: SVelocity = None,
    layers: LayersFile = None,
    coverage: Annotated[
        list[Path] | None,
        typer.Option(help="Coverage table in addition to those of the picks. May be repeated."),
    ] = None,
    workers: Workers = 1,
) -> None:
    """Group picks into located events, and write the catalog.

    Writes events.parquet, picks.parquet, groups.parquet, catalog.csv and catalog.xml (QuakeML). The coverage
    tables of the picks are joined as coverage.csv.

    If you state --min-score, picks with a lower score are skipped. Picks of seismometers are always used.

    With --config, the channel tables of all cables are used, and the seismometers with their picks.

    Example: phasenet-das associate picks.parquet --channels channels.csv --layers layers.csv -o catalog/
    """
    import pandas as pd

    from phasenet_das import catalog
    from phasenet_das.tables import check_output, read_coverage, read_metadata, read_pick_tables, write_table
    from phasenet_das.tables.columns import below_scores
    from phasenet_das.tables.coverage import merge_coverage
    from phasenet_das.tables.formats import read_station_picks
    from phasenet_das.tables.provenance import join_provenance, provenance

    base = read_settings(config)
    settings = base.association.with_velocity(vp_km_s=vp_km_s, vs_km_s=vs_km_s, layers=layers)
    picks = [table for path in picks for table in listed_tables(path)]
    table = read_pick_tables(picks, station_id)
    for score in (min_score, min_score_p, min_score_s):
        if score is not None and not 0 <= score <= 1:
            raise ConfigError(f"--min-score: found {score:g}, expected a score from 0 to 1.")
    own = {"P": min_score_p, "S": min_score_s}
    if min_score is None and base.pick.faint_score is not None:  # the faint picks are not for association
        usual = base.pick.thresholds()
        own = {phase: usual[phase] if score is None else score for phase, score in own.items()}
    smallest = {phase: min_score if score is None else score for phase, score in own.items()}
    table = table[~below_scores(table, smallest)].reset_index(drop=True)
    if base.stations.picks:
        table = pd.concat([table, read_station_picks(base.stations.picks)], ignore_index=True)
    receivers = load_receivers(
        base, channels=channels, cable=cable, station_id=station_id, picks=table, stations=stations
    )
    check_output(output / "events.parquet")
    result = catalog.associate(table, receivers, settings, workers=workers)
    files = [*picks, *map(Path, base.stations.picks)]
    origin = join_provenance({str(path): read_metadata(path) for path in files})
    facts = provenance(settings=settings, **origin)
    catalog.write_association(result, output, facts)
    catalog.write_catalog(result.events, result.picks, output, receivers, base.report, facts)
    beside = (path.with_suffix(".coverage.csv") for path in picks)
    seen = [*(coverage or ()), *(path for path in beside if path.exists())]
    if seen:
        write_table(merge_coverage(map(read_coverage, seen)), output / "coverage.csv", facts)
    headline, *grounds = _findings(result)
    typer.echo("\n".join([f"{headline} -> {output}", *grounds]))
    for line in catalog.explain_rejected(result, receivers):
        typer.echo(line, err=True)


def _findings(result: AssociationResult) -> list[str]:
    """Count events, picks and groups in one line, and tell which velocity and which rules made the events."""
    summary, num_events = result.summary, len(result.events)
    kept = int((result.picks["event_index"] >= 0).sum())
    classes = ", ".join(
        f"{count} {name}" for name, count in sorted(summary.get("classes", {}).items()) if count
    )
    groups = summary.get("groups", 0)
    line = (
        f"{num_events} {'event' if num_events == 1 else 'events'}{f' ({classes})' if classes else ''} from "
        f"{kept:,} of {len(result.picks):,} picks"
    )
    if groups:
        line += f", {groups} {'group' if groups == 1 else 'groups'} without location"
    return [line, *filter(None, [summary.get("velocity", {}).get("text")]), *summary.get("rules", [])]
