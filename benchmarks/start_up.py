"""How long commands take from the shell, with all imports: `python benchmarks/start_up.py`.

Prints the lowest CPU time and wall time of some runs: the help, an error, and a pick of one minute at 100 Hz.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from phasenet_das import io


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--channels", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print("| command | CPU (s) | wall (s) |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_minute(folder / "minute.h5", options.channels)
        for command in (
            "--help",
            "pick absent.h5 -o picks.parquet",
            "pick minute.h5 -o picks.parquet --no-resume",
        ):
            runs = [measure(command.split(), folder) for _ in range(options.runs)]
            cpu_s, wall_s = np.min(runs, axis=0)
            print(f"| phasenet-das {command} | {cpu_s:.2f} | {wall_s:.2f} |", flush=True)


def write_minute(path: Path, num_channels: int) -> None:
    """Write one minute of noise at 100 Hz."""
    data = np.random.default_rng(0).standard_normal((num_channels, 6000)).astype(np.float32)
    distance_m = 10.0 * np.arange(num_channels)
    patch = io.make_patch(
        data, start_time="2024-01-01", dt_s=0.01, distance_m=distance_m, station_id="A", unit="1/s"
    )
    io.write_quakeflow(patch, path)


def measure(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Run a command in one thread; returns its CPU time and wall time in s."""
    before, begun = cpu_of_children_s(), time.perf_counter()
    command = [sys.executable, "-m", "phasenet_das.cli", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)  # noqa: S603
    return cpu_of_children_s() - before, time.perf_counter() - begun


def cpu_of_children_s() -> float:
    """CPU time of all processes that have ended, s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
