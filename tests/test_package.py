"""The package as installed: names, a light import, and one list of dependencies in two files."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import phasenet_das as pn

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"matplotlib": "matplotlib-base", "torch": "pytorch", "snakemake": "snakemake-minimal"}


@pytest.mark.parametrize("name", pn.__all__)
def test_every_public_name_is_there(name):
    assert getattr(pn, name) is not None


def test_public_names_are_sorted_and_few():
    assert pn.__all__ == sorted(pn.__all__)
    assert len(pn.__all__) <= 25


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, phasenet_das; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert {"torch", "pandas", "scipy", "obspy", "matplotlib", "dascore"}.isdisjoint(answer.stdout.split())


def test_conda_and_pip_ask_for_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["workflow"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    found = {line.split(" ")[0]: line.partition(" ")[2] for line in conda}
    for line in wanted:
        name, limits = re.fullmatch(r"([A-Za-z0-9-]+)(.*)", line).groups()
        assert found[CONDA_NAMES.get(name, name)] == limits
