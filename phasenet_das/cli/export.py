"""The command ``phasenet-das export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gamma.errors import nearest_name
from phasenet_das.cli.options import Band, Cable, ChannelTable, ConfigFile, StationId
from phasenet_das.cli.settings import chosen_cable, load_receivers, override, read_settings, stated_facts
from phasenet_das.errors import ConfigError

_CORRELATED = "hypodd-dtcc"


def export(
    folder: Annotated[Path, typer.Argument(help="Folder written by 'associate' or the workflow.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    *,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="quakeml, csv, geojson, nonlinloc, hypodd, hypodd-dtcc, hypoinverse or nordic.",
        ),
    ] = "quakeml",
    config: ConfigFile = None,
    cable: Cable = None,
    channels: ChannelTable = None,
    station_id: StationId = None,
    stations: Annotated[Path | None, typer.Option(help="Also write a station file.")] = None,
    waveforms: Annotated[
        list[str] | None, typer.Option(help="Recordings, for hypodd-dtcc. May be repeated.")
    ] = None,
    bandpass_hz: Band = None,
    network_code: Annotated[str | None, typer.Option(help="FDSN network code of the cables.")] = None,
    max_picks_per_phase: Annotated[
        int | None, typer.Option(help="Largest number of picks per event, cable and phase.", min=1)
    ] = None,
) -> None:
    """Write a catalog for NonLinLoc, hypoDD, SEISAN and others.

    Example: phasenet-das export catalog/ --format hypodd --channels channels.csv -o cat.pha
    """
    from phasenet_das.catalog import (
        EXPORT_FORMATS,
        export_catalog,
        export_differential_times,
        export_stations,
    )
    from phasenet_das.evaluate import CorrelationWindow, compare_differential_times
    from phasenet_das.io import read
    from phasenet_das.io.files import find_recordings
    from phasenet_das.tables import read_catalog, read_metadata
    from phasenet_das.tables.channels import only_station

    names = (*EXPORT_FORMATS, _CORRELATED)
    if format_ not in names:
        raise ConfigError(f"--format {format_}: expected {', '.join(names)}.{nearest_name(format_, names)}")
    if format_ == _CORRELATED and not waveforms:
        raise ConfigError(f"--format {_CORRELATED}: name the recordings to correlate with --waveforms.")
    base = read_settings(config)
    report = override(base.report, network_code=network_code, max_picks_per_phase=max_picks_per_phase)
    events, picks = read_catalog(folder)
    placed = load_receivers(base, channels=channels, cable=cable, station_id=station_id, picks=picks)
    if stations is not None:
        if placed is None:
            raise ConfigError("--stations: name the channel table with --channels or --config.")
        export_stations(placed, stations, format_.removesuffix("-dtcc"), report.network_code)
    chosen: dict[str, Any] = {
        "max_picks_per_phase": report.max_picks_per_phase,
        "network": report.network_code,
    }
    if format_ == _CORRELATED:
        cut = CorrelationWindow(band_hz=bandpass_hz or (1.0, 15.0))
        name = station_id or only_station(picks[picks["channel_index"] >= 0])
        data = base.data if base.cables and cable is None else chosen_cable(base, cable).data
        stated = stated_facts(override(data, station_id=name))
        sources = (read(path, **stated) for path in find_recordings(waveforms or []))
        pairs = compare_differential_times(sources, picks, cut, between="events")
        done = export_differential_times(pairs, events, output, placed, **chosen)
        times = f"{done.num_times:,} differential time{'' if done.num_times == 1 else 's'}"
        typer.echo(f"{times} of {done.num_events:,} events -> {output}")
        _name_left_out(done.left_out, format_)
        return
    facts = read_metadata(folder / "events.parquet")
    done = export_catalog(events, picks, output, format_, placed, metadata=facts, **chosen)
    typer.echo(f"{done.num_events:,} event{'' if done.num_events == 1 else 's'} -> {output}")
    _name_left_out(done.left_out, format_)


def _name_left_out(names: list[str], format_: str) -> None:
    if names:
        typer.echo(
            f"{len(names)} events have no position, which {format_} needs, and were left out: "
            f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''}",
            err=True,
        )
