"""The command line: ``gamma associate PICKS --stations STATIONS.csv --config FILE -o DIR``."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
import yaml

from gamma.errors import ConfigError, GammaError

app = typer.Typer(
    name="gamma",
    help="Gaussian-mixture phase association for networks and fibre.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _top() -> None:
    """Gaussian-mixture phase association for networks and fibre."""


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    if not path.exists():
        raise ConfigError(f"{path}: no such file.")
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected settings as 'name: value' lines, found {type(values).__name__}.")
    if isinstance(values.get("layers"), str):
        values["layers"] = str(path.parent / values["layers"])
    return values


def _write(table: pd.DataFrame, path: Path) -> None:
    temporary = path.with_name(f".{path.name}")
    try:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=False, compression="zstd")
        else:
            table.to_csv(temporary, index=False, date_format="%Y-%m-%dT%H:%M:%S.%fZ")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@app.command()
def associate(
    picks: Annotated[Path, typer.Argument(help="Pick table, Parquet or CSV.")],
    stations: Annotated[Path, typer.Option(help="Station table, CSV or Parquet.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")],
    config: Annotated[Path | None, typer.Option(help="Settings, YAML.")] = None,
    vp_km_s: Annotated[float | None, typer.Option("--vp-km-s", "--vp", help="P velocity, km/s.")] = None,
    vs_km_s: Annotated[float | None, typer.Option("--vs-km-s", "--vs", help="S velocity, km/s.")] = None,
    layers: Annotated[
        Path | None, typer.Option(help="Velocity model, CSV: depth_km, vp_km_s, vs_km_s.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Number of processes. The result does not depend on it.")] = 1,
    explain: Annotated[bool, typer.Option("--explain", help="Write the history of every fit.")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print the settings that are derived from the receivers.")
    ] = False,
) -> None:
    """Group picks into located events.

    Flags override the settings of --config. Writes events.csv, events.parquet, picks.parquet, groups.parquet
    and summary.json.

    Example: gamma associate picks.parquet --stations stations.csv --config gamma.yaml -o results
    """
    from gamma import AssociationConfig
    from gamma import associate as run
    from gamma.picks import read_table

    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(name)s: %(message)s")
    try:
        settings = AssociationConfig(**_read_config(config))
        settings = settings.with_velocity(vp_km_s=vp_km_s, vs_km_s=vs_km_s, layers=layers)
        tables = read_table(picks), read_table(stations)
        output.mkdir(parents=True, exist_ok=True)
        result = run(*tables, settings, explain=explain, workers=workers)
        _write(result.events, output / "events.csv")
        _write(result.events, output / "events.parquet")
        _write(result.picks, output / "picks.parquet")
        _write(result.groups, output / "groups.parquet")
        (output / "summary.json").write_text(json.dumps(result.summary, indent=1, default=str) + "\n")
    except GammaError as error:
        typer.echo(f"gamma: {error}", err=True)
        raise typer.Exit(code=1) from error
    except OSError as error:
        typer.echo(f"gamma: {output}: cannot be written ({error.strerror}). Choose another folder.", err=True)
        raise typer.Exit(code=1) from error
    used = result.summary["picks_associated"]
    typer.echo(f"{len(result.events)} events, {used} of {result.summary['picks']} picks -> {output}")
    for name, count in result.summary["unknown_receivers"].items():
        typer.echo(f"gamma: {count} picks of {name}, which is not in {stations}", err=True)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
