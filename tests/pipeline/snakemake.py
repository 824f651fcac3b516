"""Runs of the workflow, as a user starts them, but from one process that has imported Snakemake."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["snakemake.cli", "pandas", "pydantic", "scipy.fft"])


def snakemake(
    folder: Path,
    config: Path | None,
    *arguments: str,
    cores: int | None = 1,
    python: Path = Path(sys.executable),
) -> subprocess.CompletedProcess[str]:
    """Run our rules in a folder; without a config, as the Snakefile does it by itself."""
    command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += [] if cores is None else ["--cores", str(cores)]
    command += [] if config is None else ["--configfile", str(config)]
    return run_snakemake([*command, *arguments], ROOT, python)


def run_snakemake(
    command: list[str], folder: Path, python: Path = Path(sys.executable)
) -> subprocess.CompletedProcess[str]:
    """Run a command line of Snakemake in a folder; rules find their commands beside `python`."""
    with tempfile.TemporaryDirectory() as outputs:
        out, err = Path(outputs) / "out", Path(outputs) / "err"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = _SERVER.Process(target=_run, args=(command, folder, environment, out, err, python))
        process.start()
        process.join(570)
        process.kill()  # if it has not ended by then
        process.join()
        return subprocess.CompletedProcess(command, process.exitcode, out.read_text(), err.read_text())


def _run(
    command: list[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path, python: Path
) -> None:
    """Become Snakemake, in a process of the server."""
    from snakemake.cli import main

    for path, stream in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, sys.executable = command, str(python)
    main()
