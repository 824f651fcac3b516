"""The command line: parse, call one function, print."""

from __future__ import annotations

import errno
import logging
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

from gamma.errors import GammaError, nearest_name
from phasenet_das.cli_magnitude import magnitude_app
from phasenet_das.cli_options import (
    Band,
    ChannelTable,
    ConfigFile,
    Device,
    DistanceTolerance,
    Inputs,
    Interval,
    MinScore,
    Spacing,
    StartTime,
    StationId,
    TimeTolerance,
    Unit,
    Weights,
    base_config,
    override,
    parse_channels,
    parse_rate,
)
from phasenet_das.cli_weights import weights_app
from phasenet_das.errors import ConfigError, PhaseNetDASError

app = typer.Typer(
    help="Seismic arrivals and earthquake catalogs from fibre (DAS).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(weights_app, name="weights")
app.add_typer(magnitude_app, name="magnitude")

log = logging.getLogger(__name__)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _show_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"phasenet-das {version('phasenet-das')}")
        except PackageNotFoundError:
            typer.echo("phasenet-das (not installed)")
        raise typer.Exit


@app.callback()
def _common(
    *,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say what is done.")] = False,
    version_: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version_
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("pint").setLevel(logging.ERROR)  # dascore's own units, redefined on purpose
    for name in ("phasenet_das", "gamma"):
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)
    if not verbose:  # dask sets its level itself, when it is imported, here and in the workers
        os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")


@app.command()
def info(
    inputs: Inputs,
    *,
    start_time: StartTime = None,
    dt_s: Interval = None,
    dx_m: Spacing = None,
    unit: Unit = None,
) -> None:
    """Say what recordings hold: format, span, gaps, sampling, channels, unit; of a folder also as one record.

    Example: phasenet-das info recording.h5
    """
    from phasenet_das import io
    from phasenet_das.config import DataSettings
    from phasenet_das.io.archive import open_archive
    from phasenet_das.io.inputs import find_recordings

    failed = 0
    for source in find_recordings(inputs):
        try:
            typer.echo(str(io.describe(source, start_time=start_time, dt_s=dt_s, dx_m=dx_m, unit=unit)))
        except PhaseNetDASError as error:
            failed += 1
            typer.echo(f"error: {error}", err=True)
    if any(Path(item).is_dir() for item in inputs):
        data = DataSettings(start_time=start_time, dt_s=dt_s, dx_m=dx_m, unit=unit)
        typer.echo(open_archive(inputs, data).summary())
    if failed:
        raise typer.Exit(1)


@app.command()
def init(
    inputs: Inputs,
    output: Annotated[Path, typer.Option("-o", "--output", help="YAML file of settings to write.")],
    *,
    name: Annotated[str | None, typer.Option(help="Name of the run; that of the folder by default.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write settings for the workflow, commented, after a look at the recordings of a new cable.

    Example: phasenet-das init recordings/ -o my_cable.yaml
    """
    from phasenet_das.pipeline.first_config import write_first_config

    typer.echo(write_first_config(inputs, output, name=name, overwrite=overwrite))
    typer.echo(f"-> {output}; now: snakemake --cores 2 --configfile {output} --dry-run")


@app.command()
def pick(
    inputs: Inputs,
    output: Annotated[Path, typer.Option("-o", "--output", help="Pick table to write, .parquet or .csv.")],
    *,
    config: ConfigFile = None,
    weights: Weights = None,
    station_id: StationId = None,
    min_score: MinScore = None,
    min_score_p: Annotated[float | None, typer.Option(help="The same for P only.")] = None,
    min_score_s: Annotated[float | None, typer.Option(help="The same for S only.")] = None,
    rate: Annotated[
        str | None,
        typer.Option(help="'native', 'model', or Hz (several: 100,50): how the network sees the data."),
    ] = None,
    average_channels: Annotated[int | None, typer.Option(help="Average this many neighbours.")] = None,
    common_mode: Annotated[str | None, typer.Option(help="'median': subtract it over channels.")] = None,
    to_strain_rate: Annotated[bool, typer.Option("--to-strain-rate", help="Differentiate strain.")] = False,
    start_time: StartTime = None,
    dt_s: Interval = None,
    dx_m: Spacing = None,
    unit: Unit = None,
    from_: Annotated[str | None, typer.Option("--from", help="Begin of the span to pick, UTC.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="End of the span to pick, UTC.")] = None,
    channels: Annotated[str | None, typer.Option(help="Channel numbers to pick: FIRST:LAST.")] = None,
    every_channel: Annotated[int, typer.Option(help="Pick every Nth channel number.", min=1)] = 1,
    device: Device = None,
    workers: Annotated[int, typer.Option(help="Processes of this machine.", min=1)] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on where an earlier run ended.")] = True,
    keep: Annotated[bool, typer.Option(help="Keep finished chunks, for a later run.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad recording.")] = False,
) -> None:
    """Pick P and S arrivals on every channel of files and folders of recordings, whatever their length.

    Writes the pick table, and beside it NAME.coverage.csv: what was examined. Kill it at any time: the same
    command goes on where it was, from the finished chunks in OUTPUT.chunks.

    Example: phasenet-das pick recordings/ -o picks.parquet --station-id BRADY --workers 4
    """
    from phasenet_das.config import DataSettings, PickSettings
    from phasenet_das.io.inputs import find_recordings
    from phasenet_das.picking import RunOptions, load_picker, pick_archive
    from phasenet_das.tables import check_table_name

    check_table_name(output)
    find_recordings(inputs)
    base = base_config(config)
    data = override(
        base.data,
        DataSettings,
        station_id=station_id,
        start_time=start_time,
        dt_s=dt_s,
        dx_m=dx_m,
        unit=unit,
        channels=parse_channels(channels),
    )
    settings = override(
        base.pick,
        PickSettings,
        weights=weights,
        min_score=min_score,
        min_score_p=min_score_p,
        min_score_s=min_score_s,
        rate=parse_rate(rate),
        average_channels=average_channels,
        common_mode=common_mode,
        to_strain_rate=to_strain_rate or None,
        device=device,
    )
    report = pick_archive(
        load_picker(settings.weights, device=settings.device, sha256=settings.weights_sha256),
        inputs,
        output,
        data=data,
        settings=settings,
        continuous=base.continuous,
        start=from_,
        end=to,
        channel_step=every_channel,
        options=RunOptions(workers, scheduler, resume, keep, strict),
        progress=True,
    )
    picks, reused = report.summary, f" ({report.reused} of {report.num_chunks} chunks were there)"
    typer.echo(
        f"{picks.num_picks} picks ({picks.by_phase.get('P', 0)} P, {picks.by_phase.get('S', 0)} S) on "
        f"{len(picks.channels)} channels -> {output}{reused if report.reused else ''}"
    )
    left_out = report.coverage[report.coverage["status"].isin(["unreadable", "skipped"])]["source"]
    if len(left_out):
        typer.echo(
            f"{left_out.nunique()} recordings were left out, or a part of them; see the coverage table "
            f"{output.with_suffix('.coverage.csv')}.",
            err=True,
        )


@app.command()
def watch(
    inputs: Inputs,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for picks and events.")],
    *,
    config: ConfigFile = None,
    weights: Weights = None,
    station_id: StationId = None,
    channels: ChannelTable = None,
    min_score: MinScore = None,
    minutes: Annotated[float, typer.Option(help="Associate this last span of the data.", min=1)] = 10.0,
    settle: Annotated[float, typer.Option(help="Take files unchanged for so many s.", min=0)] = 2.0,
    poll: Annotated[float, typer.Option(help="Look at the folder every so many s.", min=0.1)] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Make one pass and end.")] = False,
    device: Device = None,
) -> None:
    """Pick files as they come, and associate the last minutes.

    Writes picks/DATE.parquet and recent_events.parquet, and the files of one run over the folder: picks,
    events, catalog and coverage. All are whole at any time. If you stop it, the same command resumes.

    Example: phasenet-das watch incoming/ -o live/ --station-id BRADY --channels channels.csv
    """
    from phasenet_das import catalog
    from phasenet_das.config import DataSettings, PickSettings
    from phasenet_das.errors import ChannelGeometryError
    from phasenet_das.picking import Watcher, load_picker
    from phasenet_das.tables.channels import load_channels

    base = base_config(config)
    data = override(base.data, DataSettings, station_id=station_id)
    settings = override(base.pick, PickSettings, weights=weights, min_score=min_score, device=device)
    cable = station_id or base.data.station_id
    receivers = load_channels(channels or base.geometry, cable)

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
        load_picker(settings.weights, device=settings.device, sha256=settings.weights_sha256),
        inputs,
        output,
        data=data,
        settings=settings,
        continuous=base.continuous,
        associate=find_events,
        write_catalog=write_tables,
        recent_s=60 * minutes,
        settle_s=settle,
    )
    if once:
        typer.echo(watcher.step() or "nothing new")
        watcher.close()
        return
    try:
        watcher.follow(poll_s=poll, report=typer.echo)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on", err=True)


@app.command()
def associate(
    picks: Annotated[list[Path], typer.Argument(help="Pick tables.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for events, picks and catalog.")],
    *,
    channels: ChannelTable = None,
    stations: Annotated[Path | None, typer.Option(help="Table of seismometers (CSV).")] = None,
    config: ConfigFile = None,
    station_id: StationId = None,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
) -> None:
    """Group picks into located events: events, picks, catalog.csv and QuakeML.

    Example: phasenet-das associate picks.parquet --channels channels.csv -o catalog/
    """
    import pandas as pd

    from phasenet_das import catalog
    from phasenet_das.tables import read_metadata, read_pick_tables
    from phasenet_das.tables.channels import load_channels, only_station, read_stations
    from phasenet_das.tables.provenance import provenance

    base = base_config(config)
    table = read_pick_tables(picks, station_id)
    cable = station_id or only_station(table) or base.data.station_id
    fibre = load_channels(channels or base.geometry, cable)
    seismometers = None if stations is None else read_stations(stations)
    placed = [found for found in (fibre, seismometers) if found is not None]
    receivers = pd.concat(placed, ignore_index=True) if placed else None
    result = catalog.associate(table, receivers, base.association, workers=workers)
    origin = {key: read_metadata(picks[0]).get(key) for key in ("weights_id", "amplitude_unit")}
    facts = provenance(settings=base.association, inputs=picks, **origin)
    catalog.write_association(result, output, facts)
    catalog.write_catalog(result.events, result.picks, output, receivers, base.report, facts)
    kept = int((result.picks["event_index"] >= 0).sum())
    typer.echo(f"{len(result.events)} events from {kept} of {len(table)} picks -> {output}")
    for line in catalog.explain_rejected(result, receivers):
        typer.echo(line, err=True)


@app.command()
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
    channels: Annotated[Path | None, typer.Option(help="Channel table, for positions and codes.")] = None,
    stations: Annotated[Path | None, typer.Option(help="Also write the stations, to this file.")] = None,
    waveforms: Annotated[
        list[str] | None, typer.Option(help="Recordings to correlate (hypodd-dtcc); may be repeated.")
    ] = None,
    bandpass: Band = (1.0, 15.0),
    network: Annotated[str, typer.Option(help="FDSN network code of the cables.")] = "XX",
    max_picks_per_phase: Annotated[int, typer.Option(help="Picks per event, cable and phase.", min=1)] = 40,
) -> None:
    """Write a catalog for other programs: locators, hypoDD, SEISAN, maps.

    Example: phasenet-das export catalog/ --format hypodd --channels channels.csv -o cat.pha
    """
    from phasenet_das.catalog import (
        EXPORT_FORMATS,
        export_catalog,
        export_differential_times,
        export_stations,
    )
    from phasenet_das.evaluate import CorrelationWindow, compare_differential_times
    from phasenet_das.io.inputs import find_recordings
    from phasenet_das.tables import read_catalog, read_metadata
    from phasenet_das.tables.channels import load_channels, only_station

    if format_ not in {*EXPORT_FORMATS, "hypodd-dtcc"}:
        names = (*EXPORT_FORMATS, "hypodd-dtcc")
        raise ConfigError(f"--format {format_}: expected {', '.join(names)}.{nearest_name(format_, names)}")
    if format_ == "hypodd-dtcc" and not waveforms:
        raise ConfigError("--format hypodd-dtcc: say --waveforms RECORDINGS, which are cross-correlated.")
    events, picks = read_catalog(folder)
    placed = load_channels(channels, only_station(picks))
    if stations is not None:
        if placed is None:
            raise ConfigError("--stations: say --channels CHANNELS.csv, which holds the positions.")
        export_stations(placed, stations, format_.removesuffix("-dtcc"), network)
    chosen: dict[str, Any] = {"max_picks_per_phase": max_picks_per_phase, "network": network}
    if format_ == "hypodd-dtcc":
        pairs = compare_differential_times(
            find_recordings(waveforms or []), picks, CorrelationWindow(band_hz=bandpass), between="events"
        )
        export_differential_times(pairs, events, output, placed, **chosen)
        typer.echo(f"differential times -> {output}")
        return
    facts = read_metadata(folder / "events.parquet")
    done = export_catalog(events, picks, output, format_, placed, metadata=facts, **chosen)
    typer.echo(f"{done.num_events} events -> {output}")
    if done.left_out:
        typer.echo(
            f"{len(done.left_out)} events have no position, which {format_} needs, and were left out: "
            f"{', '.join(done.left_out[:5])}{' ...' if len(done.left_out) > 5 else ''}",
            err=True,
        )


@app.command()
def simulate(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for data, channels and truth.")],
    *,
    scenario: Annotated[
        str, typer.Option(help="easy, demo, swarm, urban, borehole, offshore or hard.")
    ] = "demo",
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML of settings over the scenario's.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.", min=0)] = 0,
    workers: Annotated[int, typer.Option(help="Processes; the files do not depend on it.", min=1)] = 1,
) -> None:
    """Write a continuous recording whose every arrival is known.

    Example: phasenet-das simulate -o simulated/ --scenario swarm --seed 1
    """
    from tqdm import tqdm

    from phasenet_das import simulate as simulator
    from phasenet_das.config.files import read_yaml

    settings = simulator.scenario(scenario, **({} if config is None else read_yaml(config)))
    with tqdm(desc="simulating", unit="file") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = simulator.simulate(settings, output, seed=seed, workers=workers, progress=show)
    typer.echo(f"{len(result.files)} files, {result.num_events} events, {result.num_picks} picks -> {output}")


@app.command()
def evaluate(
    picks: Annotated[Path | None, typer.Argument(help="Pick table.")] = None,
    *,
    truth: Annotated[Path | None, typer.Option(help="True picks, or a folder written by 'simulate'.")] = None,
    events: Annotated[Path | None, typer.Option(help="Event table, .csv or .parquet.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="True events or a catalog: CSV (also ComCat), QuakeML.")
    ] = None,
    waveforms: Annotated[
        list[str] | None, typer.Option(help="Recordings of the picks, to be cross-correlated.")
    ] = None,
    coverage: Annotated[
        Path | None, typer.Option(help="What was examined; else PICKS.coverage.csv where it exists.")
    ] = None,
    tolerance_p: Annotated[float, typer.Option(help="Largest error of a right P, s.", min=0)] = 0.1,
    tolerance_s: Annotated[float, typer.Option(help="The same for S.", min=0)] = 0.2,
    time_tolerance: TimeTolerance = 3.0,
    distance_tolerance: DistanceTolerance = 15.0,
    bandpass: Band = (1.0, 15.0),
    window: Annotated[
        tuple[float, float], typer.Option(help="Span before and after a pick, s.", metavar="BEFORE AFTER")
    ] = (0.5, 1.5),
    max_lag: Annotated[float, typer.Option(help="Largest move of a waveform, s.", min=0)] = 0.5,
    common_mode: Annotated[bool, typer.Option("--common-mode", help="Subtract the median channel.")] = False,
    start_time: StartTime = None,
    json_: Annotated[Path | None, typer.Option("--json", help="File for all numbers.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Folder for figures.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the intervals.", min=0)] = 0,
) -> None:
    """Hold picks against truth or waveforms, events against truth or a catalog.

    Example: phasenet-das evaluate picks.parquet --truth truth_picks.parquet --json scores.json
    """
    from phasenet_das.evaluate import CorrelationWindow, report
    from phasenet_das.io.inputs import find_recordings
    from phasenet_das.tables.provenance import provenance

    if (picks is None) != (truth is None and not waveforms) or (events is None) != (reference is None):
        raise ConfigError("say PICKS with --truth or --waveforms, or --events with --reference, or both.")
    found = []
    if picks is not None and truth is not None:
        limits = {"P": tolerance_p, "S": tolerance_s}
        found.append(
            report.evaluate_pick_file(picks, truth, tolerance_s=limits, coverage=coverage, seed=seed)
        )
    if picks is not None and waveforms:
        cut = CorrelationWindow(*window, max_lag, bandpass, common_mode)
        sources = find_recordings(waveforms)
        found.append(report.evaluate_pick_waveforms(picks, sources, cut, start_time=start_time))
    if events is not None and reference is not None:
        found.append(
            report.evaluate_event_file(
                events,
                reference,
                time_tolerance_s=time_tolerance,
                distance_tolerance_km=distance_tolerance,
                coverage=coverage,
            )
        )
    if not found:
        raise ConfigError("nothing to evaluate: say PICKS --truth TRUTH, or --events E --reference R.")
    typer.echo("\n\n".join(one.text for one in found))
    inputs = [path for path in (picks, truth, events, reference) if path is not None and path.is_file()]
    facts = provenance(inputs=inputs)
    for path in report.write_evaluations(found, json_path=json_, figure_dir=figures, metadata=facts):
        typer.echo(f"-> {path}")


@app.command()
def train(
    config: Annotated[Path, typer.Option("--config", help="YAML of settings with a section train.")],
    *,
    overfit_one_batch: Annotated[
        bool, typer.Option("--overfit-one-batch", help="Only check that one batch can be learned by heart.")
    ] = False,
) -> None:
    """Train a network; the same command goes on where a run was interrupted.

    On many processes: torchrun --nproc-per-node N -m phasenet_das.training --config FILE

    Example: phasenet-das train --config configs/train_example.yaml
    """
    from phasenet_das.training.__main__ import run

    code = run(config, overfit=overfit_one_batch)
    if code:
        raise typer.Exit(code)


def main() -> None:
    """Run the command line; errors made on purpose are one message on stderr and exit code 1."""
    try:
        app()
    except (PhaseNetDASError, GammaError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        typer.echo(
            f"error: no room left to write ({error}). Make room, or choose another place with -o; then run "
            "the same command again: it goes on where it was.",
            err=True,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
