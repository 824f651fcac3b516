"""The command ``phasenet-das receive``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasenet_das.cli.options import ConfigFile, StationId
from phasenet_das.cli.settings import override, read_settings
from phasenet_das.cli.watch import end_on_signals


def receive(
    address: Annotated[str, typer.Argument(help="zmq://HOST:PORT or seedlink://HOST:PORT.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the files, which `watch` follows.")
    ],
    *,
    config: ConfigFile = None,
    station_id: StationId = None,
    streams: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK_STATION:SELECTOR", help="A channel to ask SeedLink for. Repeat for each channel."
        ),
    ] = None,
    file_s: Annotated[float | None, typer.Option(help="Length of a file, s.", min=0.1)] = None,
    keep_hours: Annotated[
        float | None, typer.Option(help="Remove files this long after they were written, h.", min=0.1)
    ] = None,
) -> None:
    """Receive the packets of a live feed, and write them as files.

    All files are complete at any time. A second process, `phasenet-das watch`, picks them. Either of the two
    can be restarted alone. Every message of ZeroMQ is a recording file, such as the netCDF of xdas.

    Example: phasenet-das receive zmq://127.0.0.1:5556 -o incoming/ --station-id BRADY
    """
    from phasenet_das.watch.feed import Spool, open_feed
    from phasenet_das.watch.feed import receive as write_packets

    watch = read_settings(config).watch
    stated = {"streams": tuple(streams) if streams else None, "file_s": file_s, "keep_hours": keep_hours}
    feed = override(watch.feed, **stated)
    if config is not None:  # the files must stay as long as `watch` needs them
        feed = override(watch, feed=feed).feed
    spool = Spool(
        output,
        station_id=station_id or output.resolve().name,
        file_s=feed.file_s,
        keep_hours=feed.keep_hours,
    )
    end_on_signals()
    try:
        write_packets(open_feed(address, feed.streams, feed.wait_s), spool)
    except KeyboardInterrupt:
        typer.echo("Stopped. Repeat the command, and it resumes with the next packet.", err=True)
