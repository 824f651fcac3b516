"""Options that several commands share, in one spelling, and their errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from phasenet_das.errors import ConfigError

Inputs = Annotated[list[str], typer.Argument(help="Files, folders or glob patterns of recordings.")]
OptionalInputs = Annotated[
    list[str] | None,
    typer.Argument(help="Files, folders or glob patterns of recordings. Default: data.inputs of --config."),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings. Flags override it.")
]
Headers = Annotated[
    Path | None,
    typer.Option("--index", help="Folder in which the headers of the files are kept for the next command."),
]
Cable = Annotated[str | None, typer.Option("--cable", help="The cable of --config to use.")]
StationId = Annotated[str | None, typer.Option(help="Name of the cable.")]
_OF_RECORDINGS = {
    "station_id": StationId,
    "start_time": Annotated[
        str | None, typer.Option(help="Time of the first sample, for files that lack it.")
    ],
    "dt_s": Annotated[float | None, typer.Option(help="Sampling interval in s, for files that lack it.")],
    "dx_m": Annotated[float | None, typer.Option(help="Channel spacing in m, for files that lack it.")],
    "unit": Annotated[str | None, typer.Option(help="Unit of the samples, for files that lack it.")],
    "any_quantity": Annotated[
        bool | None,
        typer.Option("--any-quantity", help="Also read temperatures, powers and records below 1 Hz."),
    ],
}
Start = Annotated[str | None, typer.Option(help="Start of the time range, UTC.")]
End = Annotated[str | None, typer.Option(help="End of the time range, UTC, not included.")]
ChannelRange = Annotated[
    str | None, typer.Option(help="Range of channel numbers, END not included: 100:500.", metavar="FIRST:END")
]
Weights = Annotated[str | None, typer.Option(help="Bundled model, seisbench:NAME, folder or checkpoint.")]
MinScore = Annotated[float | None, typer.Option(help="Smallest score of a pick, 0 to 1.")]
MinScoreP = Annotated[float | None, typer.Option(help="Smallest score of a P pick.")]
MinScoreS = Annotated[float | None, typer.Option(help="Smallest score of an S pick.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[
    str | None, typer.Option(help="Numbers that the network multiplies: auto, float32 or bfloat16.")
]
Workers = Annotated[int, typer.Option(help="Processes on this machine.", min=1)]
ChannelTable = Annotated[Path | None, typer.Option("--channels", help="Channel table (CSV).")]
PVelocity = Annotated[float | None, typer.Option("--vp-km-s", "--vp", help="P velocity, km/s.")]
SVelocity = Annotated[float | None, typer.Option("--vs-km-s", "--vs", help="S velocity, km/s.")]
LayersFile = Annotated[
    Path | None, typer.Option("--layers", help="Velocity model (CSV): depth_km, vp_km_s, vs_km_s.")
]
TimeTolerance = Annotated[
    float | None,
    typer.Option(
        "--time-tolerance-s", help="Largest difference of the origin times of matched events, s.", min=0
    ),
]
DistanceTolerance = Annotated[
    float | None,
    typer.Option(
        "--distance-tolerance-km", help="Largest distance of the epicentres of matched events, km.", min=0
    ),
]
Band = Annotated[
    tuple[float, float] | None,
    typer.Option("--bandpass-hz", help="Band-pass filter of the waveforms, Hz.", metavar="LOW HIGH"),
]

_RENAMED = {
    "--from": "--start",
    "--to": "--end",
    "--every-channel": "--channel-step",
    "--stack-channels": "--average-channels",
    "--keep": "--keep-chunks",
    "--no-keep": "--no-keep-chunks",
    "--minutes": "--recent-s (in seconds)",
    "--settle": "--settle-s",
    "--poll": "--poll-s",
    "--tolerance-p": "--tolerance-p-s",
    "--tolerance-s": "--tolerance-s-s",
    "--time-tolerance": "--time-tolerance-s",
    "--distance-tolerance": "--distance-tolerance-km",
    "--bandpass": "--bandpass-hz",
    "--window": "--window-s",
    "--max-lag": "--max-lag-s",
    "--network": "--network-code",
}


class Command(TyperCommand):
    """A command that answers an old option with the name of the new one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - of typer's own click
        """Refuse old options, then parse."""
        known = {name for param in self.params for name in (*param.opts, *param.secondary_opts)}
        for word in args[: args.index("--") if "--" in args else None]:
            flag = word.partition("=")[0]
            if flag in _RENAMED and flag not in known and _RENAMED[flag].split()[0] in known:
                raise ConfigError(f"unknown option {flag}: it is now {_RENAMED[flag]}.")
            if flag == "--channels" and flag not in known and "--channel-range" in known:
                raise ConfigError(
                    "unknown option --channels: it is now --channel-range FIRST:END with END not included: "
                    "100:500 for channels 100 to 499."
                )
        return super().parse_args(ctx, args)


def stating_recordings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `stated` of a command by the flags that describe recordings."""

    @wraps(command)
    def run(**values: Any) -> None:  # noqa: ANN401 - of any option
        command(stated={name: values.pop(name) for name in _OF_RECORDINGS}, **values)

    signature = inspect.signature(command, eval_str=True)
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in _OF_RECORDINGS.items()
    ]
    own = list(signature.parameters.values())
    place = list(signature.parameters).index("stated")
    run.__signature__ = signature.replace(parameters=[*own[:place], *flags, *own[place + 1 :]])  # type: ignore[attr-defined]
    return run


def parse_range(text: str | None) -> tuple[int, int] | None:
    """Read FIRST:END, half open."""
    if text is None:
        return None
    first, _, end = text.partition(":")
    try:
        found = int(first), int(end)
    except ValueError:
        found = (0, 0)
    if found[0] >= found[1]:
        raise ConfigError(
            f"--channel-range {text}: expected FIRST:END with FIRST below END, such as 100:500 for channels "
            "100 to 499."
        )
    return found


def parse_rate(text: str | None) -> tuple[float, ...] | float | str | None:
    """Read ``native``, ``model``, ``octaves``, a rate in Hz, or several with commas."""
    if text is None or text in ("native", "model", "octaves"):
        return text
    try:
        rates = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--rate {text}: expected 'native', 'model', 'octaves', or Hz, such as 100 or 100,50."
        ) from error
    return rates[0] if len(rates) == 1 else rates
