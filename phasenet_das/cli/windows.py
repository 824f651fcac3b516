"""The command ``phasenet-das windows``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasenet_das.cli.options import Cable, ConfigFile, End, Headers, OptionalInputs, Start, StationId
from phasenet_das.cli.settings import chosen_inputs, listed_tables, override, read_settings, training_data


def windows(
    inputs: OptionalInputs = None,
    *,
    picks: Annotated[Path, typer.Option(help="Pick table after association.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the training windows.")],
    events: Annotated[
        Path | None, typer.Option(help="Event table. Default: all events of the picks.")
    ] = None,
    config: ConfigFile = None,
    cable: Cable = None,
    station_id: StationId = None,
    index: Headers = None,
    start: Start = None,
    end: End = None,
    before_s: Annotated[float | None, typer.Option(help="Time before the first pick, s.", min=0)] = None,
    after_s: Annotated[float | None, typer.Option(help="Time after the last pick, s.", min=0)] = None,
    min_channel_share: Annotated[
        float | None,
        typer.Option(help="Smallest share of the channels that have a pick of the event.", min=0, max=1),
    ] = None,
    faint: Annotated[
        list[Path] | None,
        typer.Option(
            help="Pick tables of the same network with picks of low scores, or a .txt file with one table a "
            "line. Windows of noise hold no coherent picks of these tables. May be repeated."
        ),
    ] = None,
    coverage: Annotated[
        Path | None,
        typer.Option(
            help="Coverage table. Windows of noise lie inside its examined spans. Default: coverage.csv "
            "beside the picks."
        ),
    ] = None,
    agree: Annotated[
        Path | None,
        typer.Option(
            help="Picks of another network after association. Labels that are not in this table count half."
        ),
    ] = None,
) -> None:
    """Cut training windows with labels, and windows of noise.

    A window is cut around each event. Its labels are completed along the cable. Recordings are filtered as in
    picking, by the section `pick` of --config.

    Example: phasenet-das windows recordings/ --picks catalog/picks.parquet -o windows/ --station-id BRADY
    """
    from phasenet_das.io.archive import open_archive
    from phasenet_das.tables import read_coverage, read_events, read_pick_tables, read_picks
    from phasenet_das.training import cut_windows
    from phasenet_das.training.windows import QUIET

    base = read_settings(config)
    data = override(training_data(base, cable), station_id=station_id)
    settings = override(base.student, before_s=before_s, after_s=after_s, min_channel_share=min_channel_share)
    archive = open_archive(chosen_inputs(inputs, data), data, index=index)
    table = read_picks(picks)
    if base.cables:  # the picks are those of all cables, and there may be none of this one
        table = table[table["station_id"].isin({one.station_id for one in archive.recordings})]
    examined = coverage or picks.with_name("coverage.csv")
    output.mkdir(parents=True, exist_ok=True)
    found = cut_windows(
        archive,
        table,
        None if events is None else read_events(events),
        output,
        settings=base.pick,
        data=data,
        start=start,
        end=end,
        before_s=settings.before_s,
        after_s=settings.after_s,
        min_channel_share=settings.min_channel_share,
        complete_channels=settings.complete_channels,
        label_sigma_s=settings.data.label_sigma_s,
        align_window_s=settings.align_window_s,
        faint=read_pick_tables([table for path in faint for table in listed_tables(path)]) if faint else None,
        agreeing=None if agree is None else read_picks(agree),
        coverage=read_coverage(examined) if examined.exists() or coverage else None,
    )
    quiet = sum(QUIET in path.name for path in found)
    typer.echo(f"{len(found) - quiet} training windows and {quiet} of noise -> {output}")
