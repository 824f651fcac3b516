"""The package as installed: names, a light import, and one list of dependencies in two files."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml

import phasenet_das as pn
from tests.models_on_disk import save_random_phasenet

ROOT = Path(__file__).parents[1]
DOORS = {"phasenet_das.errors", "gamma.errors", "gamma.utils"}  # users import from these modules
CONDA_NAMES = {"matplotlib": "matplotlib-base", "torch": "pytorch", "snakemake": "snakemake-minimal"}


@pytest.mark.parametrize("name", pn.__all__)
def test_every_public_name_is_there(name):
    assert getattr(pn, name) is not None


def test_public_names_are_sorted_and_few():
    assert pn.__all__ == sorted(pn.__all__)
    assert len(pn.__all__) <= 25


SLOW = {"torch", "dascore", "obspy", "matplotlib"}
QUICK = """
--help
pick --help
weights list
run no.yaml
info no.h5
pick no.h5 -o picks.parquet
pick no.h5 -o picks.txt --rate slow --min-score 2
pick no.h5 -o picks.parquet --weights phasnet
pick no.h5 -o picks.parquet --config no.yaml
simulate -o data --config no.yaml
train --config no.yaml
associate no.parquet -o out
export no -o out
"""
OF_TABLES = ("associate", "export")  # they load pandas before they miss a table
LOADED = """
import sys
from phasenet_das.cli import main
for line in sys.argv.pop().splitlines():
    sys.argv[1:] = line.split()
    try:
        main()
    except SystemExit as stop:
        print("loaded", line, stop.code, *sys.modules, sep="\t")
"""


def loaded(commands, folder):
    """Run commands one after the other in one process: the exit code of each, and the modules by then."""
    command = [sys.executable, "-c", LOADED, commands.strip()]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)  # noqa: S603
    rows = [line.split("\t")[1:] for line in answer.stdout.splitlines() if line.startswith("loaded\t")]
    assert [line for line, *_ in rows] == commands.strip().splitlines()
    return {line: (int(code), set(names)) for line, code, *names in rows}


def test_help_and_early_errors_load_nothing_heavy(tmp_path):
    for line, (code, names) in loaded(QUICK, tmp_path).items():
        assert code == (0 if line.endswith(("--help", "list")) else 1), line
        tables = set() if line.startswith(OF_TABLES) else {"pandas", "pyarrow", "scipy", "h5py"}
        assert not names & (SLOW | tables), line


def test_picking_loads_only_packages_that_it_uses(tmp_path):
    noise = np.random.default_rng(0).standard_normal((4, 3000))
    patch = pn.io.make_patch(noise, start_time="2024-01-01", dt_s=0.01, unit="1/s")
    pn.io.write_quakeflow(patch, tmp_path / "noise.h5")
    save_random_phasenet(tmp_path / "weights")
    line = f"pick {tmp_path}/noise.h5 -o {tmp_path}/picks.parquet --station-id A --weights {tmp_path}/weights"
    line += " --rate 50"
    ((code, names),) = loaded(line, tmp_path).values()
    assert code == 0
    assert {"torch", "h5py"} <= names
    slow = {"scipy.signal", "scipy.ndimage", "scipy.stats"}
    assert not names & (slow | {"dascore", "pint", "obspy", "matplotlib", "xarray", "dask", "sklearn"})


def test_conda_and_pip_ask_for_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["workflow"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    found = {line.split(" ")[0]: line.partition(" ")[2] for line in conda}
    for line in wanted:
        name, limits = re.fullmatch(r"([A-Za-z0-9-]+)(.*)", line).groups()
        assert found[CONDA_NAMES.get(name, name)] == limits


def modules() -> list[str]:
    """Every module of both packages."""
    import gamma

    names = [
        one.name
        for package in (pn, gamma)
        for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not one.name.endswith("__main__")
    ]
    return ["phasenet_das", "gamma", *names]


@pytest.mark.parametrize("name", modules())
def test_what_a_package_says_is_public_is_there_once(name):
    module = importlib.import_module(name)
    if not (module.__file__ or "").endswith("__init__.py") and name not in DOORS:
        assert not hasattr(module, "__all__"), "only a package names what is public"
        return
    public = getattr(module, "__all__", [])
    assert sorted(public) == sorted(set(public))
    for one in public:
        assert getattr(module, one) is not None


@pytest.mark.parametrize("name", [name for name in modules() if name.count(".") <= 1])
def test_a_package_names_all_that_it_takes_from_its_modules(name):
    path = Path(importlib.import_module(name).__file__ or "")
    if path.name != "__init__.py":
        return
    taken = {
        one.asname or one.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{name}.")
        for one in node.names
    }
    public = {one for one in taken if not one.startswith("_")}
    assert public <= set(getattr(importlib.import_module(name), "__all__", ()))
