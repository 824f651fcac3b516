"""Runs of the workflow, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def snakemake(
    folder: Path, config: Path | None, *arguments: str, cores: int | None = 1
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder; without a config, as the Snakefile does it by itself."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder)]
    command += [] if cores is None else ["--cores", str(cores)]
    command += [] if config is None else ["--configfile", str(config)]
    return subprocess.run(  # noqa: S603 - our own command
        [*command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=570,
    )
