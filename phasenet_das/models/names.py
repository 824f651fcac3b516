"""The names of weights, listed and checked without loading a network."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gamma.errors import nearest_name
from phasenet_das.errors import WeightsError

BUNDLED = Path(__file__).parent / "bundled"
"""Folder of the models that ship with the package."""

SEISBENCH = "seisbench:"


def check_weights_name(setting: str, name: str) -> None:
    """Raise where no weights can have this name; whether weights can be downloaded is not asked."""
    bundled = [folder.name for folder in BUNDLED.iterdir()]
    path = Path(name)
    of_seisbench = re.fullmatch(rf"{SEISBENCH}[\w.-]+", name)
    if of_seisbench or name in bundled or path.is_file() or (path / "config.json").is_file():
        return
    hint = nearest_name(name, [*bundled, "seisbench:original"])
    raise WeightsError(
        f"{setting}: found '{name}', expected a bundled model, seisbench:NAME, a model folder (with "
        f"config.json) or a checkpoint file that exists.{hint}"
    )


def list_weights() -> list[str]:
    """Name the weights at hand: bundled, and PhaseNet's in SeisBench's cache.

    Returns
    -------
    list of str
        Sorted; any ``seisbench:NAME`` may also be downloaded.
    """
    bundled = [path.parent.name for path in BUNDLED.glob("*/config.json")]
    cached = [SEISBENCH + path.name.split(".pt.v")[0] for path in seisbench_folder().glob("*.pt.v*")]
    return sorted({*bundled, *cached})


def seisbench_folder() -> Path:
    """Folder of SeisBench's cache that holds the weights of PhaseNet."""
    root = os.environ.get("SEISBENCH_CACHE_ROOT") or Path.home() / ".seisbench"
    return Path(root).expanduser() / "models" / "v3" / "phasenet"
