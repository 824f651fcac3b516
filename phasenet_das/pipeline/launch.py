"""Start the workflow from any folder: find its rules, and run Snakemake on a file of settings."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import phasenet_das
from phasenet_das.config import load_config
from phasenet_das.errors import ConfigError, MissingPackageError


def find_snakefile() -> Path:
    """Find the Snakefile: that of the checkout, or the one installed beside the package, under ``share``."""
    package = Path(phasenet_das.__file__).resolve().parent
    places = [package.parent, *(folder / "share" / "phasenet-das" for folder in package.parents)]
    for place in places:
        if (place / "Snakefile").is_file() and (place / "workflow" / "rules").is_dir():
            return place / "Snakefile"
    raise MissingPackageError(
        f"{package}: found no rules of the workflow beside this package, expected Snakefile and "
        "workflow/rules in a checkout, or share/phasenet-das of a wheel. Install the package again: "
        "pip install 'phasenet-das[workflow]'."
    )


def snakemake_command(
    config: str | Path, *, cores: int = 1, dry_run: bool = False, arguments: Sequence[str] = ()
) -> list[str]:
    """Return the command that runs the workflow, after a check of the settings."""
    path = Path(config)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file. Write settings for a cable with: phasenet-das init")
    load_config(path)
    if importlib.util.find_spec("snakemake") is None:
        raise MissingPackageError(
            "the workflow needs Snakemake, which is not installed: pip install 'phasenet-das[workflow]'."
        )
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(find_snakefile())]
    command += ["--configfile", str(path), "--cores", str(cores)]
    return [*command, *(["--dry-run"] if dry_run else []), *arguments]


def replace_process(command: Sequence[str]) -> None:
    """Become another program, so that signals and the exit code are its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], list(command))  # noqa: S606 - our own command
