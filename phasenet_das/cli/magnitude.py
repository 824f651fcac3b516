"""The commands ``phasenet-das magnitude``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasenet_das.cli.options import (
    Cable,
    ChannelTable,
    Command,
    ConfigFile,
    DistanceTolerance,
    TimeTolerance,
)
from phasenet_das.cli.settings import chosen_tables, load_receivers, override, read_settings
from phasenet_das.errors import ConfigError

magnitude_app = typer.Typer(
    help="Calibrate a magnitude scale, and give events their magnitudes.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

CatalogFolder = Annotated[Path, typer.Argument(help="Folder written by 'associate' or the workflow.")]
AmplitudeUnit = Annotated[str | None, typer.Option(help="Unit, where the pick table does not say it.")]


@magnitude_app.command(cls=Command)
def calibrate(
    folder: CatalogFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="Scale to write, .json.")],
    reference: Annotated[Path, typer.Option(help="Catalog with magnitudes: CSV (also ComCat), QuakeML.")],
    *,
    config: ConfigFile = None,
    cable: Cable = None,
    channels: ChannelTable = None,
    magnitude_type: Annotated[str | None, typer.Option(help="Type of its magnitudes, such as ML.")] = None,
    slopes_p: Annotated[
        tuple[float, float] | None, typer.Option(help="State a and b of P; else fitted.", metavar="A B")
    ] = None,
    slopes_s: Annotated[
        tuple[float, float] | None, typer.Option(help="The same for S.", metavar="A B")
    ] = None,
    min_events: Annotated[int, typer.Option(help="Fewest events that must match.", min=1)] = 3,
    time_tolerance_s: TimeTolerance = None,
    distance_tolerance_km: DistanceTolerance = None,
    amplitude_unit: AmplitudeUnit = None,
    figure: Annotated[Path | None, typer.Option(help="Also draw the residuals, .png or .pdf.")] = None,
) -> None:
    """Fit log10 E = a M + b log10 D + K to events whose magnitude a reference catalog knows.

    Example: phasenet-das magnitude calibrate catalog/ --reference comcat.csv --channels channels.csv
    -o scale.json
    """
    from phasenet_das.catalog.magnitude import calibrate_catalog
    from phasenet_das.tables import read_catalog

    base = read_settings(config)
    limits = override(
        base.evaluation, time_tolerance_s=time_tolerance_s, distance_tolerance_km=distance_tolerance_km
    )
    tables = [one.geometry.path for one in chosen_tables(base, channels, cable)]
    stated = {phase: pair for phase, pair in (("P", slopes_p), ("S", slopes_s)) if pair is not None}
    scale = calibrate_catalog(
        folder,
        reference,
        output,
        load_receivers(base, channels=channels, cable=cable, picks=read_catalog(folder)[1]),
        tables=[path for path in tables if path is not None],
        amplitude_unit=amplitude_unit,
        figure=figure,
        coefficients=stated,
        min_events=min_events,
        time_tolerance_s=limits.time_tolerance_s,
        distance_tolerance_km=limits.distance_tolerance_km,
        magnitude_type=magnitude_type,
    )
    for row in scale.coefficients.itertuples():
        typer.echo(
            f"{row.phase_type}: a = {row.magnitude_slope:.3f}, b = {row.distance_slope:.3f} "
            f"({'stated' if row.phase_type in stated else 'fitted'}), {row.num_picks} picks"
        )
    typer.echo(f"{len(scale.residuals)} events, standard error {scale.uncertainty:.2f} -> {output}")


@magnitude_app.command(cls=Command)
def apply(
    folder: CatalogFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the catalog; may be the same.")],
    *,
    scale: Annotated[Path | None, typer.Option(help="Scale written by 'calibrate'.")] = None,
    config: ConfigFile = None,
    cable: Cable = None,
    channels: ChannelTable = None,
    amplitude_unit: AmplitudeUnit = None,
) -> None:
    """Write a catalog with the magnitudes that a calibrated scale gives.

    Example: phasenet-das magnitude apply catalog/ --scale scale.json --channels channels.csv -o sized/
    """
    from phasenet_das.catalog.magnitude import add_magnitudes
    from phasenet_das.tables import read_catalog

    base = read_settings(config)
    chosen = scale or (None if base.report.magnitude_scale is None else Path(base.report.magnitude_scale))
    if chosen is None:
        raise ConfigError("--scale: name the scale, or report.magnitude_scale in a file of --config.")
    placed = load_receivers(base, channels=channels, cable=cable, picks=read_catalog(folder)[1])
    events = add_magnitudes(
        folder, chosen, output, placed, amplitude_unit=amplitude_unit, settings=base.report
    )
    known = int(events["magnitude"].notna().sum())
    typer.echo(f"{known} of {len(events)} events have a magnitude -> {output}")
    if known < len(events):
        typer.echo("The others have no amplitude on a channel of the scale, or no distance.", err=True)
