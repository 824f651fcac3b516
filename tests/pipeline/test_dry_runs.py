"""What would be done, for every ready config and profile, with the files of its array only pretended."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path

import pytest
import yaml

from tests.pipeline.snakemake import ROOT, snakemake

CONFIGS = sorted(
    path
    for path in (ROOT / "configs").glob("*.yaml")
    if not path.name.startswith("train_") and path.name != "default.yaml"
)
SLURM = importlib.util.find_spec("snakemake_executor_plugin_slurm") is not None


def pretend_files(config: Path, folder: Path) -> Path:
    """Put an empty file where a config looks for recordings; rules that have not run do not open it."""
    settings = yaml.safe_load(config.read_text())
    cables = settings.get("cables", {"": settings})
    for cable in cables.values():
        for item in cable.get("data", {}).get("inputs", []):
            path = Path(os.path.normpath(folder / "configs" / item.replace("../../", "../")))
            (path if path.suffix else path / "1.h5").parent.mkdir(parents=True, exist_ok=True)
            (path if path.suffix else path / "1.h5").touch()
    copy = folder / "configs" / config.name
    copy.parent.mkdir(exist_ok=True)
    copy.write_text(config.read_text().replace("../../shared", "../shared"))
    return copy


def rules(output: str) -> set[str]:
    lines = output.splitlines()
    table = lines[lines.index("Job stats:") + 3 :]
    return {line.split()[0] for line in table[: next(i for i, line in enumerate(table) if not line.strip())]}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_says_what_would_be_done(config: Path, tmp_path: Path) -> None:
    answer = snakemake(tmp_path, pretend_files(config, tmp_path), "--dry-run", "--quiet", "reason")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    found = rules(answer.stdout)
    assert {"jobs", "associate", "catalog", "measures", "report", "all"} <= found
    settings = yaml.safe_load(config.read_text())
    assert ("train" in found) == (settings.get("rounds", 0) > 0)
    assert ("simulate" in found) == ("simulate" in settings)


def pretend_rounds(results: Path, *, better: bool) -> None:
    """Put empty files where two rounds leave their results, and a verdict on the second student."""
    names = [f"index/{name}" for name in ("jobs.json", "receivers.parquet", "coverage.csv")]
    for stage in ("round1", "round2", "round3"):
        names += [f"{stage}/{name}.parquet" for name in ("events", "picks", "groups")]
        names += [f"{stage}/{name}.csv{end}" for name in ("coverage", "catalog") for end in ("", ".json")]
        names += [f"{stage}/{name}" for name in ("picks.txt", "association.json", "catalog.xml")]
    for stage in ("round1", "round2"):
        names += [f"{stage}/training/model/{name}" for name in ("model.safetensors", "README.md")]
        names += [f"{stage}/training/training_curve.png", f"{stage}/windows/C/1.h5"]
    for path in (results / name for name in [*names, "round3/verdict.json"]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[]" if path.name == "jobs.json" else json.dumps({"verdicts": [{"better": better}]}))
    for path in results.rglob("*"):
        os.utime(path, (1e9, 1e9))


@pytest.mark.parametrize("better", [False, True])
def test_no_round_follows_a_student_that_is_not_better(tmp_path: Path, better: bool) -> None:
    (tmp_path / "1.h5").touch()
    os.utime(tmp_path / "1.h5", (1e9, 1e9))
    config = tmp_path / "config.yaml"
    config.write_text("name: a\nrounds: 3\ndata: {station_id: C, inputs: [1.h5]}\n")
    pretend_rounds(tmp_path / "results" / "a", better=better)
    answer = snakemake(tmp_path, config, "--dry-run", "--printshellcmds", "--quiet", "reason")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    ends = {"catalog", "measures", "report", "all"}
    found = rules(answer.stdout)
    if better:
        assert {"windows", "train", "associate", "judge"} <= found
        assert "--weights results/a/round2/training/model -o results/a/round3/training" in answer.stdout
    else:
        assert found == ends | {"total"}
        assert "(cp results/a/round2/events.parquet" in answer.stdout
        assert "results/a/round2/training/model/README.md" in answer.stdout


@pytest.mark.skipif(
    not SLURM, reason="needs snakemake-executor-plugin-slurm: pip install 'phasenet-das[slurm]'"
)
@pytest.mark.parametrize("name", ["demo", "mammoth"])
def test_the_cluster_profile_plans_the_same(name: str, tmp_path: Path) -> None:
    config = pretend_files(ROOT / "configs" / f"{name}.yaml", tmp_path)
    profile = str(ROOT / "profiles" / "slurm")
    answer = snakemake(tmp_path, config, "--dry-run", "--profile", profile, cores=None)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert {"jobs", "train", "catalog", "report"} <= rules(answer.stdout)
    training = answer.stdout[answer.stdout.index("rule train:") :]
    resources = next(line for line in training.splitlines() if "resources:" in line)
    assert "gpu=1" in resources


def test_folders_may_have_spaces(tmp_path: Path) -> None:
    config = pretend_files(ROOT / "configs" / "demo.yaml", tmp_path)
    settings = {**yaml.safe_load(config.read_text()), "name": "demo", "output": "my results"}
    config.write_text(yaml.safe_dump(settings))
    answer = snakemake(tmp_path, config, "--dry-run", "--printshellcmds")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    commands = [line for line in answer.stdout.splitlines() if "phasenet-das -v" in line]
    names = set(re.findall(r"phasenet-das -v (\w+)", answer.stdout))
    assert names >= {"simulate", "jobs", "associate", "train", "evaluate", "report"}
    for line in commands:
        assert all("my results" not in part for part in line.split("'")[::2]), line


def test_recordings_that_are_not_there_are_named(tmp_path: Path) -> None:
    config = tmp_path / "configs" / "ridgecrest.yaml"
    config.parent.mkdir()
    config.write_text((ROOT / "configs" / "ridgecrest.yaml").read_text())
    answer = snakemake(tmp_path, config, "--dry-run")
    assert answer.returncode != 0
    assert "no recording found in data/quakeflow_das/ridgecrest_north/data" in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("pick: {weights: phasnet}", "Did you mean 'phasenet'?"),
        ("geometry: {path: no.csv}", "no.csv: no such file, expected the channel table"),
    ],
)
def test_what_is_not_there_is_named_before_any_job_runs(tmp_path: Path, section: str, message: str) -> None:
    (tmp_path / "1.h5").touch()
    config = tmp_path / "config.yaml"
    config.write_text(f"name: a\ndata: {{inputs: [1.h5]}}\n{section}\n")
    answer = snakemake(tmp_path, config, "--dry-run")
    assert answer.returncode != 0
    assert message in answer.stdout + answer.stderr
