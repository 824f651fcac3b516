"""The commands ``phasenet-das magnitude``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasenet_das.cli.options import (
    Cable,
    ChannelTable,
    Command,
    ConfigFile,
    DistanceTolerance,
    TimeTolerance,
)
from phasenet_das.cli.settings import (
    chosen_cable,
    chosen_tables,
    load_receivers,
    override,
    read_settings,
)
from phasenet_das.config import Config
from phasenet_das.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from phasenet_das.io.recording import Recording

magnitude_app = typer.Typer(
    help="Calibrate a magnitude scale, and compute magnitudes.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

CatalogFolder = Annotated[Path, typer.Argument(help="Folder written by 'associate' or the workflow.")]
AmplitudeUnit = Annotated[
    str | None, typer.Option(help="Unit of the amplitudes, if the pick table lacks it.")
]
Records = Annotated[
    list[str] | None,
    typer.Option(
        "--records",
        help="Recordings in which peaks are measured. Default: data.inputs of --config. May be repeated.",
    ),
]

_AMPLITUDES = {
    "records": "Amplitudes: peaks of the records, at least 10 dB above the noise.",
    "picks": "Amplitudes: those of the pick table, whose noise is not known. For peaks in the windows of the "
    "scale, at least 10 dB above the noise, state --records.",
}


@magnitude_app.command(cls=Command)
def calibrate(
    folder: CatalogFolder,
    output: Annotated[Path, typer.Option("-o", "--output", help="Scale to write, .json.")],
    *,
    reference: Annotated[
        Path | None, typer.Option(help="Catalog with magnitudes: CSV (also ComCat) or QuakeML.")
    ] = None,
    event: Annotated[
        tuple[str, float] | None,
        typer.Option(
            help="One event instead: its event_id or origin time, and its magnitude.", metavar="EVENT M"
        ),
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="Keep a and b of a paper: yin2023. The default with --event.")
    ] = None,
    records: Records = None,
    config: ConfigFile = None,
    cable: Cable = None,
    channels: ChannelTable = None,
    magnitude_type: Annotated[str | None, typer.Option(help="Type of the magnitudes, such as ML.")] = None,
    slopes_p: Annotated[
        tuple[float, float] | None, typer.Option(help="State a and b of P. Default: fitted.", metavar="A B")
    ] = None,
    slopes_s: Annotated[
        tuple[float, float] | None, typer.Option(help="State a and b of S. Default: fitted.", metavar="A B")
    ] = None,
    min_events: Annotated[
        int | None, typer.Option(help="Smallest number of matched events. Default: 3, with --event 1.", min=1)
    ] = None,
    time_tolerance_s: TimeTolerance = None,
    distance_tolerance_km: DistanceTolerance = None,
    amplitude_unit: AmplitudeUnit = None,
    figure: Annotated[Path | None, typer.Option(help="Also draw the residuals, .png or .pdf.")] = None,
) -> None:
    """Fit log10 E = a M + b log10 D + K to known magnitudes.

    E is the peak strain rate, D the hypocentral distance, and K a site term
    for each channel.

    Example: phasenet-das magnitude calibrate catalog/ --reference comcat.csv --channels channels.csv
    -o scale.json
    """
    from phasenet_das.catalog.magnitude import calibrate_catalog
    from phasenet_das.catalog.magnitude_scale import named_scale
    from phasenet_das.tables import read_catalog

    known = [one for one in (reference, event) if one is not None]
    if len(known) != 1:
        raise ConfigError("state one of --reference FILE and --event EVENT M, not both.")
    base = read_settings(config)
    limits = override(
        base.evaluation, time_tolerance_s=time_tolerance_s, distance_tolerance_km=distance_tolerance_km
    )
    tables = [one.geometry.path for one in chosen_tables(base, channels, cable)]
    stated = {phase: pair for phase, pair in (("P", slopes_p), ("S", slopes_s)) if pair is not None}
    name = scale or ("yin2023" if event is not None and len(stated) < 2 else None)
    slopes = (named_scale(name).slopes() if name else {}) | stated
    picks = read_catalog(folder)[1]
    made = calibrate_catalog(
        folder,
        known[0],
        output,
        load_receivers(base, channels=channels, cable=cable, picks=picks),
        recordings=_recordings(base, cable, records, folder, picks),
        tables=[path for path in tables if path is not None],
        amplitude_unit=amplitude_unit,
        figure=figure,
        coefficients=slopes,
        min_events=min_events or (3 if event is None else 1),
        time_tolerance_s=limits.time_tolerance_s,
        distance_tolerance_km=limits.distance_tolerance_km,
        magnitude_type=magnitude_type,
    )
    for row in made.coefficients.itertuples():
        source = "stated" if row.phase_type in stated else name if row.phase_type in slopes else "fitted"
        typer.echo(
            f"{row.phase_type}: a = {row.magnitude_slope:.3f}, b = {row.distance_slope:.3f} "
            f"({source}), {row.num_picks} picks"
        )
    error = f"standard error {made.uncertainty:.2f}" if math.isfinite(made.uncertainty) else "error unknown"
    events = "1 event" if len(made.residuals) == 1 else f"{len(made.residuals)} events"
    typer.echo(f"{events}, {error} -> {output}")
    typer.echo(_AMPLITUDES[made.amplitudes], err=True)


@magnitude_app.command(cls=Command)
def apply(
    folder: CatalogFolder,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the catalog. It may be the same folder.")
    ],
    *,
    scale: Annotated[
        Path | None, typer.Option(help="Scale written by 'calibrate', or yin2023 (uncertain by 1.2).")
    ] = None,
    records: Records = None,
    config: ConfigFile = None,
    cable: Cable = None,
    channels: ChannelTable = None,
    amplitude_unit: AmplitudeUnit = None,
) -> None:
    """Compute magnitudes with a scale, and write the catalog.

    Example: phasenet-das magnitude apply catalog/ --scale scale.json --channels channels.csv -o sized/
    """
    from phasenet_das.catalog.magnitude import add_magnitudes
    from phasenet_das.catalog.magnitude_scale import read_magnitude_scale
    from phasenet_das.tables import read_catalog

    base = read_settings(config)
    chosen = scale or (None if base.report.magnitude_scale is None else Path(base.report.magnitude_scale))
    if chosen is None:
        raise ConfigError("--scale: name the scale, or report.magnitude_scale in a file of --config.")
    known, picks = read_magnitude_scale(chosen), read_catalog(folder)[1]
    events, amplitudes = add_magnitudes(
        folder,
        chosen,
        output,
        load_receivers(base, channels=channels, cable=cable, picks=picks),
        recordings=() if known.amplitudes == "picks" else _recordings(base, cable, records, folder, picks),
        amplitude_unit=amplitude_unit,
        settings=base.report,
    )
    count = int(events["magnitude"].notna().sum())
    typer.echo(f"{count} of {len(events)} events have a magnitude -> {output}")
    typer.echo(_AMPLITUDES[amplitudes], err=True)
    if known.amplitudes == "any":
        typer.echo(
            f"The site terms of the cable are not known: the magnitudes are uncertain by "
            f"{known.uncertainty:.1f}. Calibrate with 'phasenet-das magnitude calibrate --event EVENT M'.",
            err=True,
        )
    if count < len(events):
        typer.echo(
            "The others have no distance, or no amplitude on a channel of the scale that is clear of noise "
            "and of other events.",
            err=True,
        )


def _recordings(
    base: Config, cable: str | None, records: list[str] | None, folder: Path, picks: pd.DataFrame
) -> list[Recording]:
    """Open the stated recordings, else those of the cables of the settings; none where nothing names any."""
    from phasenet_das.pipeline.jobs import header_folder, open_cable
    from phasenet_das.tables.channels import only_station

    cables = base.cable_settings()
    if records is not None or cable is not None:
        chosen = chosen_cable(base, cable)
        cables = {cable or next(iter(cables)): chosen}
    fibre = only_station(picks[picks["channel_index"] >= 0])
    found: list[Recording] = []
    for name, one in cables.items():
        data = override(one.data, inputs=records)
        if len(cables) == 1:
            data = override(data, station_id=fibre)
        if data.inputs:
            kept = (header_folder(root / "index", "catalog", name) for root in (folder, folder.parent))
            headers = None if records else next((path for path in kept if path.exists()), None)
            found.extend(open_cable(data, headers).recordings)
    return found
