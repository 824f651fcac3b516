"""Every script in benchmarks/ runs: each for some seconds, on little data, with the bundled networks."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from phasenet_das.models import load_weights
from phasenet_das.simulate import simulate
from tests.pipeline.commands import python_beside_commands

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ALONE = {
    "calibration": "phasenet --quick --cache {cache} --figure {out}/reliability.png",
    "catalog_trust": "--quick --cache {out} --stated nothing",
    "self_training": "--quick --seed 1 --cache {out} --json {out}/scores.json",
    "continuous_speed": "--quick",
    "fault_campaign": "truncated",
    "gpu": "--device cpu --channels 16",
    "index_speed": "--files 20 --minutes 2000 --picks 10000",
    "inspect_speed": "--channels 60 --samples 3000",
    "network_speed": "--only default --quick --training",
    "prose": "",
    "picking_speed": "--channels 8 --minutes 0.5 --weights phasenet",
    "run": "--quick --out {cache}/benchmarks.md",
    "simulate": "speed --quick",
    "source_size": "",
    "start_up": "--channels 4 --runs 1",
    "vendor_files": "--kind 6",
    "watch_hour": "--out {out}/hour --quick",
    "student_data": "truth --quick --cache {cache} --out {out}",
    "workflow_runs": "--quick --out {out}",
}
# by run, by bundled_training, and by the last test
RUN_BY_OTHERS = {"association", "bench_pickers", "teacher", "training_store"}
REAL = {
    "association_moveouts": "-o {out}",
    "association_real": "-o {out} --hours 0.5",
    "brady_event": "--out {out}",
    "bundled_training": "--shared {shared} --out {out} --store {out}/store --minutes 0.01 --wait 0 "
    "--batch-size 2 --makers 1 --planners 0 --device cpu",
    "forgetting": "--shared {shared} --out {out} --quick",
    "icequakes": "--shared {shared} --weights phasenet --out {out}",
    "held_out_records": "--shared {shared} --weights phasenet --most 4",
    "noise_picks": "--shared {shared} --weights phasenet",
    "precision": "--shared {shared} --weights phasenet --most 1",
    "real_records": "--shared {shared} --out {out} --weights phasenet --only eq03 --rule-only",
    "short_cables": "--shared {shared} --weights phasenet-das --channels 1 --pieces 1",
}
# of what these start
IN_FORKS = {
    *("continuous_speed", "fault_campaign", "network_speed", "run", "start_up", "watch_hour", "workflow_runs")
}
SLOW = {"brady_event", "calibration", "fault_campaign", "run", "watch_hour", "workflow_runs"}


def marked(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in names]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of bench-v1 that several scripts make and share."""
    return tmp_path_factory.mktemp("bench")


@pytest.fixture
def script(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run the main function of a script with arguments, and give what it printed.

    It stays as nice as it was, and simulates in this process: so short a recording is not worth another one.
    """
    monkeypatch.setattr(os, "nice", lambda _: 0)

    def run(name: str, arguments: str, **folders: Path) -> str:
        words = [word.format(out=tmp_path, cache=cache, **folders) for word in arguments.split()]
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
        if name in IN_FORKS:
            monkeypatch.setattr(sys, "executable", str(python_beside_commands()))
        script = importlib.import_module(name)
        if hasattr(script, "simulate"):
            here = {"workers": 1}
            monkeypatch.setattr(script, "simulate", lambda *given, **named: simulate(*given, **named | here))
        script.main()
        return capsys.readouterr().out

    return run


def test_every_script_is_run_here() -> None:
    scripts = {path.stem for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text()}
    assert scripts == ALONE.keys() | REAL.keys() | RUN_BY_OTHERS


@pytest.mark.parametrize("name", marked(ALONE))
def test_a_script_runs(name: str, script: Callable[..., str]) -> None:
    assert script(name, ALONE[name]).strip()


@pytest.mark.shared
@pytest.mark.parametrize("name", marked(REAL))
def test_a_script_of_real_data_runs(name: str, script: Callable[..., str], shared: Path) -> None:
    assert script(name, REAL[name], shared=shared).strip()


@pytest.mark.slow
@pytest.mark.shared
def test_both_bundled_networks_are_made_of_a_store(
    script: Callable[..., str], shared: Path, tmp_path: Path
) -> None:
    for first in (0, 1):  # as two processes share the turns
        turns = f"--first {first} --step 2 --end 2"
        script("training_store", f"--shared {{shared}} --folder {{out}}/store {turns}", shared=shared)
    assert len(list((tmp_path / "store").iterdir())) == 2
    printed = script(
        "teacher",
        "--quick --teacher phasenet --out {out}/run --shared {shared} --store {out}/store --workers 0",
        shared=shared,
    )
    assert "2 steps" in printed
    assert load_weights(tmp_path / "run" / "model").architecture == "phasenet"
    once = "--minutes 0.01 --wait 0 --makers 0 --batch-size 2 --planners 0 --device cpu --store {out}/store"
    script("bundled_training", f"{once} --out {{out}}/first")
    assert load_weights(tmp_path / "first" / "lean").sees_scales
    script("bundled_training", f"{once} --out {{out}}/second --start lean={{out}}/first/lean")
    assert len(list((tmp_path / "store").iterdir())) == 2  # the windows stay for the next stage
