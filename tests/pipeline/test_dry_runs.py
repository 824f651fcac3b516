"""What would be done, for every ready config and profile, with the files of its array only pretended."""

from __future__ import annotations

import importlib.util
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
