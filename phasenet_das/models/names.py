"""The names of weights, checked without loading a network."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from gamma.errors import nearest_name
from phasenet_das.errors import WeightsError

_SEISBENCH = re.compile(r"seisbench:[\w.-]+")


def check_weights_name(setting: str, name: str) -> None:
    """Raise where no weights can have this name; whether weights can be downloaded is not asked."""
    bundled = [folder.name for folder in (files("phasenet_das.models") / "bundled").iterdir()]
    path = Path(name)
    if _SEISBENCH.fullmatch(name) or name in bundled or path.is_file() or (path / "config.json").is_file():
        return
    hint = nearest_name(name, [*bundled, "seisbench:original"])
    raise WeightsError(
        f"{setting}: found '{name}', expected a bundled model, seisbench:NAME, a model folder (with "
        f"config.json) or a checkpoint file that exists.{hint}"
    )
