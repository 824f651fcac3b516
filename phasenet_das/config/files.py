"""Read and write settings as YAML."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from phasenet_das.config.config import Config
from phasenet_das.config.section import path_from
from phasenet_das.errors import ConfigError


def load_config(source: str | Path | Mapping[str, Any], *, folder: str | Path | None = None) -> Config:
    """Load and validate the settings of a run.

    Parameters
    ----------
    source : str, pathlib.Path or mapping
        A YAML file, or the mapping read from one.
    folder : str or pathlib.Path, optional
        Folder that stated relative paths count from: by default that of the file, or the current
        folder for a mapping.

    Returns
    -------
    Config
        Frozen. Settings that the source does not state have their defaults.

    Raises
    ------
    ConfigError
        The file cannot be read, a key is unknown (the error names the nearest right one), or a
        value is out of range.
    """
    if isinstance(source, Mapping):
        return Config(**source) if folder is None else _load(source, Path(folder))
    values = read_yaml(source)
    try:
        return _load(values, Path(source).parent if folder is None else Path(folder))
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def _load(values: Mapping[str, Any], folder: Path) -> Config:
    """Validate settings whose paths count from `folder`; a file of layers is read at once."""
    association = values.get("association")
    if isinstance(association, Mapping) and isinstance(association.get("layers"), str):
        layers = path_from(association["layers"], folder)
        values = {**values, "association": {**association, "layers": layers}}
    return Config(**values).counted_from(folder)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of settings without validating it."""
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"{path}: no such file.")
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of settings, found {type(values).__name__}.")
    return {str(key): value for key, value in values.items()}


def write_config(config: Config, path: str | Path) -> Path:
    """Write all settings as YAML, so that a result carries its settings.

    Parameters
    ----------
    config : Config
        The settings. Their relative paths are written as seen from the file.
    path : str or pathlib.Path
        The file; :func:`load_config` reads it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = config.relative_to(path.parent).model_dump(mode="json")
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def config_hash(settings: BaseModel) -> str:
    """Return 12 hexadecimal digits: equal settings give equal hashes, whatever their order or defaults."""
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
