"""The commands ``phasenet-das plot``: pictures of recordings and catalogs, in a file or a window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phasenet_das.cli.options import (
    Cable,
    ChannelRange,
    ChannelTable,
    Command,
    ConfigFile,
    End,
    Start,
    StationId,
    parse_range,
    stating_recordings,
)
from phasenet_das.cli.settings import chosen_cable, load_receivers, override, read_settings, stated_facts
from phasenet_das.errors import ConfigError, TableError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd
    from dascore import Patch
    from matplotlib.axes import Axes

    from phasenet_das.config import DataSettings

plot_app = typer.Typer(
    help="Draw recordings and catalogs, in a file or a window.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

RecordingFile = Annotated[str, typer.Argument(help="Recording, one file.")]
CatalogFolder = Annotated[Path, typer.Argument(help="Folder written by 'associate' or the workflow.")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="Figure to write: .png, .pdf, .svg or .jpg.")
]
Show = Annotated[bool, typer.Option("--show", help="Show the figure in a window.")]
_ENDINGS = (".png", ".pdf", ".svg", ".jpg", ".jpeg")
_BEFORE_S, _AFTER_S = 5.0, 10.0  # of a record section, around the picks of its event


@plot_app.command(cls=Command)
@stating_recordings
def section(
    recording: RecordingFile,
    output: Output = None,
    *,
    show: Show = False,
    picks: Annotated[Path | None, typer.Option(help="Pick table.")] = None,
    config: ConfigFile = None,
    cable: Cable = None,
    stated: dict[str, Any],
    start: Start = None,
    end: End = None,
    channel_range: ChannelRange = None,
) -> None:
    """Draw a recording over channel and time, with its picks.

    Example: phasenet-das plot section recording.h5 --picks picks.parquet -o section.png
    """
    from phasenet_das import plot
    from phasenet_das.tables import read_picks

    _check_target(output, show=show)
    own = chosen_cable(read_settings(config), cable).data
    data = override(own, **stated, channel_range=parse_range(channel_range))
    patch = _read(recording, data, None if start is None and end is None else (start, end))
    table = None if picks is None else read_picks(picks)
    _finish(lambda ax: plot.section(patch, table, moveout=True, ax=ax), (8.0, 5.0), output, show=show)


@plot_app.command(name="record-section", cls=Command)
def record_section(
    recording: RecordingFile,
    output: Output = None,
    *,
    catalog: Annotated[Path, typer.Option(help="Folder of the catalog with the event.")],
    event: Annotated[int, typer.Option(help="Number of the event, as in the report: 1 is the first.", min=1)],
    show: Show = False,
    channels: ChannelTable = None,
    config: ConfigFile = None,
    cable: Cable = None,
    station_id: StationId = None,
    reduction_velocity_km_s: Annotated[
        float | None, typer.Option(help="Show time less distance over this velocity, km/s.", min=0.01)
    ] = None,
    max_traces: Annotated[int, typer.Option(help="Most channels to draw.", min=2)] = 60,
) -> None:
    """Draw the waveforms of an event by the distance from its hypocentre.

    Example: phasenet-das plot record-section recording.h5 --catalog catalog/ --event 3
    --channels channels.csv -o record_section.png
    """
    import pandas as pd

    from phasenet_das import plot
    from phasenet_das.tables import read_catalog

    _check_target(output, show=show)
    settings = read_settings(config)
    events, picks = read_catalog(catalog)
    found = _located_event(events, event)
    kept = picks[picks["event_index"] == event - 1]
    receivers = load_receivers(settings, channels=channels, cable=cable, station_id=station_id, picks=picks)
    if receivers is None:
        raise ConfigError("no channel has a position. State the channel table with --channels FILE.")
    span = (
        (kept["phase_time"].min() - pd.Timedelta(seconds=_BEFORE_S)).isoformat(),
        (kept["phase_time"].max() + pd.Timedelta(seconds=_AFTER_S)).isoformat(),
    )
    data = override(chosen_cable(settings, cable).data, station_id=station_id)
    patch = _read(recording, data, span)
    distance_km = _distance_km(patch, receivers, found)

    def draw(ax: Axes) -> None:
        plot.record_section(
            patch, distance_km, kept, ax=ax, max_traces=max_traces,
            reduction_velocity_km_s=reduction_velocity_km_s,
        )  # fmt: skip

    _finish(draw, (8.0, 6.0), output, show=show)


@plot_app.command(name="map", cls=Command)
def map_(
    folder: CatalogFolder,
    output: Output = None,
    *,
    show: Show = False,
    channels: ChannelTable = None,
    config: ConfigFile = None,
    cable: Cable = None,
    station_id: StationId = None,
) -> None:
    """Draw a map of a catalog and its receivers.

    Example: phasenet-das plot map catalog/ --channels channels.csv -o map.png
    """
    from phasenet_das import plot
    from phasenet_das.tables import read_catalog

    _check_target(output, show=show)
    events, picks = read_catalog(folder)
    receivers = load_receivers(
        read_settings(config), channels=channels, cable=cable, station_id=station_id, picks=picks
    )
    _finish(lambda ax: plot.map_view(events, receivers, linked=True, ax=ax), (6.4, 6.6), output, show=show)


@plot_app.command(cls=Command)
def timeline(folder: CatalogFolder, output: Output = None, *, show: Show = False) -> None:
    """Draw the picks and events of a catalog over time, and the time that was examined.

    Example: phasenet-das plot timeline catalog/ -o timeline.png
    """
    from phasenet_das import plot
    from phasenet_das.tables import read_catalog, read_coverage, read_groups

    _check_target(output, show=show)
    events, picks = read_catalog(folder)
    coverage, groups = folder / "coverage.csv", folder / "groups.parquet"
    seen = read_coverage(coverage) if coverage.exists() else None
    alone = read_groups(groups) if groups.exists() else None
    _finish(lambda ax: plot.timeline(events, picks, seen, alone, ax=ax), (9.0, 3.2), output, show=show)


def _check_target(output: Path | None, *, show: bool) -> None:
    from phasenet_das.tables.names import check_output

    if output is not None and check_output(output).suffix.lower() not in _ENDINGS:
        raise ConfigError(f"-o {output}: found no ending of a figure, expected one of {', '.join(_ENDINGS)}.")
    if output is None and not show:
        raise ConfigError("the figure has no target. State -o FILE to write it, or --show for a window.")


def _read(recording: str, data: DataSettings, span: tuple[str | None, str | None] | None) -> Patch:
    from phasenet_das import io

    return io.read(recording, **stated_facts(data), channels=data.channel_range, time=span)


def _located_event(events: pd.DataFrame, count: int) -> dict[str, Any]:
    """Find an event by its number from 1; without a position it has no distances."""
    from phasenet_das.tables.columns import located
    from phasenet_das.text import records

    found = records(events[events["event_index"] == count - 1])
    if not found:
        raise TableError(f"--event {count}: no such event. The catalog has events 1 to {len(events)}.")
    if not located(found[0]):
        raise TableError(
            f"--event {count}: the event has no position, so channels have no distance from it. Choose an "
            "event with a position."
        )
    return found[0]


def _distance_km(patch: Patch, receivers: pd.DataFrame, event: dict[str, Any]) -> np.ndarray:
    """Measure each channel's distance from a hypocentre (channel,); NaN where it has no position."""
    import numpy as np
    import pandas as pd

    from phasenet_das.io import get_channel_index, get_station_id
    from phasenet_das.matching import geodesic_km

    own = receivers[receivers["station_id"] == get_station_id(patch)].drop_duplicates("channel_index")
    placed = own.set_index("channel_index").reindex(get_channel_index(patch))
    away = geodesic_km(placed, pd.DataFrame([event] * len(placed)))
    if not np.isfinite(away).any():
        raise TableError(
            f"channel table: found no channel of {get_station_id(patch)} with a position. Give its own table."
        )
    below = np.nan_to_num(event["depth_km"]) + np.nan_to_num(placed["elevation_m"].to_numpy(float)) / 1000
    distance: np.ndarray = np.hypot(away, below)
    return distance


def _finish(
    draw: Callable[[Axes], object], size: tuple[float, float], output: Path | None, *, show: bool
) -> None:
    """Draw on a figure, write it, and show it in a window."""
    from matplotlib.figure import Figure

    from phasenet_das.tables import atomic_path

    if show:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=size, layout="constrained")
    else:
        figure = Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    if output is not None:
        with atomic_path(output) as temporary:
            figure.savefig(temporary, dpi=150)
        typer.echo(f"-> {output}")
    if show:
        plt.show()
