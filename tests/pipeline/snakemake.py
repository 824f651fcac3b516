"""Runs of the workflow, as a user starts them, but in forks of one process that has imported Snakemake."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.pipeline.commands import python_beside_commands

ROOT = Path(__file__).parents[2]


def snakemake(
    folder: Path, config: Path | None, *arguments: str, cores: int | None = 1
) -> subprocess.CompletedProcess[str]:
    """Run our rules in a folder; without a config, as the Snakefile does it by itself."""
    command = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += [] if cores is None else ["--cores", str(cores)]
    command += [] if config is None else ["--configfile", str(config)]
    return run_snakemake([*command, *arguments], ROOT)


def run_snakemake(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder."""
    command = [str(python_beside_commands()), "-m", "snakemake", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(  # noqa: S603 - our own command
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=570
    )
