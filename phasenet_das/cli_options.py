"""What several commands take: their options, and how these become settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from phasenet_das.errors import ConfigError

Inputs = Annotated[list[str], typer.Argument(help="Files, folders or glob patterns of recordings.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML file of settings; flags override it.")
]
StationId = Annotated[str | None, typer.Option(help="Name of the cable.")]
StartTime = Annotated[str | None, typer.Option(help="Time of the first sample, for files that lack it.")]
Unit = Annotated[str | None, typer.Option(help="Unit of the samples, for files that lack it.")]
Interval = Annotated[float | None, typer.Option(help="Sampling interval in s, for files that lack it.")]
Spacing = Annotated[float | None, typer.Option(help="Channel spacing in m, for files that lack it.")]
Weights = Annotated[str | None, typer.Option(help="Bundled model, seisbench:NAME, folder or checkpoint.")]
MinScore = Annotated[float | None, typer.Option(help="Smallest probability of a pick.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
ChannelTable = Annotated[Path | None, typer.Option(help="Channel table of the cables (CSV).")]
TimeTolerance = Annotated[float, typer.Option(help="Largest origin time error, s.", min=0)]
DistanceTolerance = Annotated[float, typer.Option(help="Largest epicentre error, km.", min=0)]
Band = Annotated[tuple[float, float], typer.Option(help="Band of the waveforms, Hz.", metavar="LOW HIGH")]


def base_config(path: Path | None) -> Any:  # noqa: ANN401 - imported only when needed
    """Read a file of settings, or take the defaults."""
    from phasenet_das.config import Config, load_config

    return Config() if path is None else load_config(path)


def override(base: Any, model: Any, **flags: Any) -> Any:  # noqa: ANN401
    """Put the flags that were given over the settings of a section."""
    given = {name: value for name, value in flags.items() if value is not None}
    return model(**{**base.model_dump(exclude_unset=True), **given})


def parse_channels(text: str | None) -> tuple[int, int] | None:
    """Read FIRST:LAST, both included, as the half-open range of the settings."""
    if text is None:
        return None
    first, _, last = text.partition(":")
    try:
        return int(first), int(last) + 1
    except ValueError:
        raise ConfigError(f"--channels {text}: expected FIRST:LAST, such as 100:499.") from None


def parse_rate(text: str | None) -> tuple[float, ...] | float | str | None:
    """Read ``native``, ``model``, a rate in Hz, or several with commas."""
    if text is None or text in ("native", "model"):
        return text
    try:
        rates = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--rate {text}: expected 'native', 'model', or Hz, such as 100 or 100,50."
        ) from error
    return rates[0] if len(rates) == 1 else rates
