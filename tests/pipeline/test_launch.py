"""The workflow started by `phasenet-das run`: with the rules of the checkout, or of the wheel."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import phasenet_das
from phasenet_das.errors import ConfigError, MissingPackageError
from phasenet_das.pipeline import launch
from tests.pipeline.snakemake import ROOT


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "cable.yaml").write_text("name: a\ndata: {inputs: [raw], station_id: C}\n")
    return tmp_path / "cable.yaml"


def test_the_checkout_has_its_own_rules() -> None:
    assert launch.find_snakefile() == ROOT / "Snakefile"


@pytest.mark.parametrize("packages", ["", "lib/python3.11/site-packages"])
def test_an_installed_package_finds_the_rules_under_share(
    tmp_path: Path, packages: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = tmp_path / "share" / "phasenet-das"
    (share / "workflow" / "rules").mkdir(parents=True)
    (share / "Snakefile").touch()
    package = tmp_path / packages / "phasenet_das"
    monkeypatch.setattr(phasenet_das, "__file__", str(package / "__init__.py"))
    assert launch.find_snakefile() == share.resolve() / "Snakefile"


def test_a_package_without_rules_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phasenet_das, "__file__", str(tmp_path / "phasenet_das" / "__init__.py"))
    with pytest.raises(MissingPackageError, match=r"share/phasenet-das .*pip install"):
        launch.find_snakefile()


def test_the_command_names_settings_rules_and_cores(config: Path) -> None:
    command = launch.snakemake_command(config, cores=3, dry_run=True, arguments=["--quiet"])
    assert command[:3] == [sys.executable, "-m", "snakemake"]
    assert command[3:] == [
        *("--snakefile", str(ROOT / "Snakefile")),
        *("--configfile", str(config), "--cores", "3", "--dry-run", "--quiet"),
    ]


def test_wrong_settings_are_named_before_snakemake_starts(config: Path) -> None:
    config.write_text("pick: {min_scor: 0.5}\n")
    with pytest.raises(ConfigError, match="Did you mean 'min_score'"):
        launch.snakemake_command(config)
    with pytest.raises(ConfigError, match="phasenet-das init"):
        launch.snakemake_command(config.parent / "none.yaml")


def test_without_snakemake_the_extra_is_named(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match=r"phasenet-das\[workflow\]"):
        launch.snakemake_command(config)


def test_every_file_of_the_workflow_is_in_the_wheel() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = [item for found in settings["tool"]["setuptools"]["data-files"].values() for item in found]
    shipped = {path for pattern in patterns for path in ROOT.glob(pattern)}
    needed = {
        path for folder in ("workflow", "profiles") for path in (ROOT / folder).rglob("*.*") if path.is_file()
    }
    assert {ROOT / "Snakefile", *needed} <= shipped
