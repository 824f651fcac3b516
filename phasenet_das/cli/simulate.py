"""The command ``phasenet-das simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasenet_das.cli.options import ConfigFile, Workers
from phasenet_das.cli.settings import override, read_settings


def simulate(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for data, channels and truth.")],
    *,
    config: ConfigFile = None,
    scenario: Annotated[
        str | None, typer.Option(help="easy, demo, swarm, urban, borehole, offshore, glacier or hard.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers.", min=0)] = None,
    workers: Workers = 1,
) -> None:
    """Simulate a recording and write its true arrivals.

    The section `simulate` of --config has the same options. Its `settings` replace those of the scenario.

    Example: phasenet-das simulate -o simulated/ --scenario swarm --seed 1
    """
    from tqdm import tqdm

    from phasenet_das import simulate as simulator

    wanted = override(read_settings(config).simulate, scenario=scenario, seed=seed)
    settings = simulator.scenario(wanted.scenario or "demo", **wanted.settings)
    with tqdm(desc="simulating", unit="file", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = simulator.simulate(settings, output, seed=wanted.seed, workers=workers, progress=show)
    typer.echo(f"{len(result.files)} files, {result.num_events} events, {result.num_picks} picks -> {output}")
