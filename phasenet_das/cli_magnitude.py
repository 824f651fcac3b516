"""The commands ``phasenet-das magnitude``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasenet_das.cli_options import ChannelTable, DistanceTolerance, TimeTolerance

magnitude_app = typer.Typer(
    help="Calibrate a magnitude scale, and give events their magnitudes.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

CatalogFolder = Annotated[Path, typer.Argument(help="Folder written by 'associate' or the workflow.")]
AmplitudeUnit = Annotated[str | None, typer.Option(help="Unit, where the pick table does not say it.")]


@magnitude_app.command()
def calibrate(
    folder: CatalogFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="Scale to write, .json.")],
    reference: Annotated[Path, typer.Option(help="Catalog with magnitudes: CSV (also ComCat), QuakeML.")],
    *,
    channels: ChannelTable = None,
    magnitude_type: Annotated[str | None, typer.Option(help="Type of its magnitudes, such as ML.")] = None,
    slopes_p: Annotated[
        tuple[float, float] | None, typer.Option(help="State a and b of P; else fitted.", metavar="A B")
    ] = None,
    slopes_s: Annotated[
        tuple[float, float] | None, typer.Option(help="The same for S.", metavar="A B")
    ] = None,
    min_events: Annotated[int, typer.Option(help="Fewest events that must match.", min=1)] = 3,
    time_tolerance: TimeTolerance = 3.0,
    distance_tolerance: DistanceTolerance = 15.0,
    amplitude_unit: AmplitudeUnit = None,
    figure: Annotated[Path | None, typer.Option(help="Also draw the residuals, .png or .pdf.")] = None,
) -> None:
    """Fit log10 E = a M + b log10 D + K to events whose magnitude a reference catalog knows.

    Example: phasenet-das magnitude calibrate catalog/ --reference comcat.csv --channels channels.csv
    -o scale.json
    """
    from phasenet_das.catalog.magnitude import calibrate_catalog

    stated = {phase: pair for phase, pair in (("P", slopes_p), ("S", slopes_s)) if pair is not None}
    scale = calibrate_catalog(
        folder,
        reference,
        output,
        channels,
        amplitude_unit=amplitude_unit,
        figure=figure,
        coefficients=stated,
        min_events=min_events,
        time_tolerance_s=time_tolerance,
        distance_tolerance_km=distance_tolerance,
        magnitude_type=magnitude_type,
    )
    for row in scale.coefficients.itertuples():
        typer.echo(
            f"{row.phase_type}: a = {row.magnitude_slope:.3f}, b = {row.distance_slope:.3f} "
            f"({'stated' if row.phase_type in stated else 'fitted'}), {row.num_picks} picks"
        )
    typer.echo(f"{len(scale.residuals)} events, standard error {scale.uncertainty:.2f} -> {output}")


@magnitude_app.command()
def apply(
    folder: CatalogFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the catalog; may be the same.")],
    scale: Annotated[Path, typer.Option(help="Scale written by 'calibrate'.")],
    *,
    channels: ChannelTable = None,
    amplitude_unit: AmplitudeUnit = None,
) -> None:
    """Write a catalog with the magnitudes that a calibrated scale gives.

    Example: phasenet-das magnitude apply catalog/ --scale scale.json --channels channels.csv -o sized/
    """
    from phasenet_das.catalog.magnitude import add_magnitudes

    events = add_magnitudes(folder, scale, output, channels, amplitude_unit=amplitude_unit)
    known = int(events["magnitude"].notna().sum())
    typer.echo(f"{known} of {len(events)} events have a magnitude -> {output}")
    if known < len(events):
        typer.echo("The others have no amplitude on a channel of the scale, or no distance.", err=True)
