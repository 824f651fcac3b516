"""The same catalog with one core, with two, and after kills: a small run of the workflow, again and again.

    python benchmarks/workflow_runs.py --out results/workflow_runs --kills 6

Every run is the whole way with training (the settings of the test). One is killed with SIGKILL, each time
after a drawn number of seconds, and started again by the same command until it ends by itself. What must be
equal: events, picks, catalog and the weights of the student.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from phasenet_das.models.weights import load_weights
from phasenet_das.tables import read_events, read_picks

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.pipeline.test_snakefile import TRAINED  # noqa: E402 - found by the line above


def main() -> None:
    """Run, kill, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results/workflow_runs"))
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--longest", type=float, default=60.0, help="longest time before a kill, s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one run without training, killed once")
    options = parser.parse_args()
    settings = TRAINED.replace("duration_s: 60", "duration_s: 150")  # three jobs
    rng = random.Random(options.seed)  # noqa: S311 - times of kills
    runs, wanted = {"one": 1, "two": 2, "killed": 2}, []
    if options.quick:
        settings, runs = TRAINED.replace("rounds: 1", "rounds: 0"), {"killed": 1}
        wanted = ["results/trained/catalog.csv"]
        options.kills, options.longest = 1, 2.0
    for name, cores in runs.items():
        folder = options.out.resolve() / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.yaml").write_text(settings)
        kills = 0
        while kills < options.kills and name == "killed":
            after = rng.uniform(0.1 * options.longest, options.longest)
            if run(folder, cores, wanted, kill_after_s=after) is not None:
                break
            kills += 1
            print(f"{name}: killed after {after:.1f} s", flush=True)
        begin = time.monotonic()
        if run(folder, cores, wanted) != 0:
            raise SystemExit(f"{name}: failed; see {folder}/run.log")
        print(
            f"{name}: {cores} core(s), {kills} kills, last run {time.monotonic() - begin:.0f} s", flush=True
        )
    compare(options.out.resolve(), list(runs), trained=not options.quick)


def run(folder: Path, cores: int, wanted: list[str], kill_after_s: float | None = None) -> int | None:
    """Start the workflow, for all results or those wanted; None when it was killed."""
    command = [sys.executable, "-m", "snakemake", *wanted, "--snakefile", str(ROOT / "Snakefile")]
    command += ["--cores", str(cores), "--configfile", "run.yaml"]
    with (folder / "run.log").open("a") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            return process.wait(kill_after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None


def compare(out: Path, names: list[str], *, trained: bool) -> None:
    """Say whether all runs gave the same; exit with 1 when not."""
    same = True
    results = {name: out / name / "results" / "trained" for name in names}
    first = results[names[0]]
    for name in names[1:]:
        for file in ("catalog.csv",):
            same &= report(name, file, (results[name] / file).read_bytes() == (first / file).read_bytes())
        for file, read in (("events.parquet", read_events), ("picks.parquet", read_picks)):
            same &= report(name, file, _equal(read(results[name] / file), read(first / file)))
        if not trained:
            continue
        weights = [
            load_weights(str(one / "round1" / "training" / "model")).sha256 for one in (results[name], first)
        ]
        same &= report(name, "student", weights[0] == weights[1])
    if not same:
        raise SystemExit(1)


def _equal(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return one.equals(other)


def report(name: str, what: str, equal: bool) -> bool:
    """Print one comparison."""
    print(f"{name}: {what} {'equal' if equal else 'DIFFERS'}")
    return equal


if __name__ == "__main__":
    main()
