"""The base of every section of the settings: frozen, strict, and able to name renamed keys."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, model_validator

from gamma.config import Settings
from gamma.errors import nearest_name
from phasenet_das.errors import ConfigError

NAME = r"^[A-Za-z0-9._-]+$"
"""Pattern of the names of runs and cables."""

PATH: dict[str, Any] = {"format": "path"}
"""Mark of a field whose relative paths count from the settings file."""

WEIGHTS: dict[str, Any] = {"format": "weights"}
"""Mark of a field that names a model, or a path of weights that counts from the settings file."""

_BUNDLED = Path(__file__).parents[1] / "models" / "bundled"
_SCHEME = re.compile(r"^\w{2,}:")  # daspy:example, seisbench:original; not a drive letter


def unit(name: str) -> dict[str, Any]:
    """Mark a field with its unit."""
    return {"unit": name}


class ConfigSection(Settings):
    """A section of the settings. A renamed key is an error that names the new key."""

    error_type: ClassVar[type[ValueError]] = ConfigError
    renamed: ClassVar[Mapping[str, str]] = {}
    """New name of each old key, in quotes."""
    removed: ClassVar[Mapping[str, str]] = {}
    """Reason why each old key is gone."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_old_keys(cls, values: Any) -> Any:  # noqa: ANN401 - anything that YAML can hold
        if isinstance(values, dict):
            unknown = [str(key) for key in values if key not in cls.model_fields]
            if not {*cls.renamed, *cls.removed}.isdisjoint(unknown):
                raise ValueError(" ".join(cls._hint(key) for key in unknown))
        return values

    @classmethod
    def _hint(cls, key: str) -> str:
        if key in cls.renamed:
            return f"unknown setting '{key}': it is now {cls.renamed[key]}."
        if key in cls.removed:
            return f"unknown setting '{key}': it is no longer needed, because {cls.removed[key]}."
        return f"unknown setting '{key}'.{nearest_name(key, cls.model_fields)}"

    def counted_from(self, folder: Path) -> Self:
        """Return these settings with the relative paths that were stated counted from `folder`."""
        return self.with_paths(lambda path: path_from(path, folder), stated_only=True)

    def relative_to(self, folder: Path) -> Self:
        """Return these settings with all relative paths written as seen from `folder`."""
        return self.with_paths(lambda path: os.path.relpath(path, folder), stated_only=False)

    def with_paths(self, move: Callable[[str], str], *, stated_only: bool) -> Self:
        """Return these settings with each relative path moved."""
        changes = {}
        for name, info in type(self).model_fields.items():
            if stated_only and name not in self.model_fields_set:
                continue
            extra = info.json_schema_extra
            kind = extra.get("format") if isinstance(extra, dict) else None
            value = getattr(self, name)
            moved = _moved(value, kind, move, stated_only=stated_only)
            if moved != value:
                changes[name] = moved
        return self.model_copy(update=changes)


def path_from(path: str, folder: Path) -> str:
    """Return a path that counts from `folder` as one that counts from the current folder."""
    found, here = os.path.normpath(folder / path), str(Path.cwd())
    inside = found == here or found.startswith(here + os.sep)  # however the settings file was named
    return os.path.relpath(found, here) if inside else found


def _moved(value: Any, kind: object, move: Callable[[str], str], *, stated_only: bool) -> Any:  # noqa: ANN401
    if isinstance(value, ConfigSection):
        return value.with_paths(move, stated_only=stated_only)
    if isinstance(value, dict) and value and all(isinstance(one, BaseModel) for one in value.values()):
        return {name: _moved(one, None, move, stated_only=stated_only) for name, one in value.items()}
    if kind is not None and isinstance(value, tuple):
        return tuple(_moved(one, kind, move, stated_only=stated_only) for one in value)
    if kind is None or not isinstance(value, str) or _SCHEME.match(value) or Path(value).is_absolute():
        return value
    moved = move(value)
    if kind == "path":
        return moved
    if "/" not in value:  # a bare name is that of a bundled model, unless only a folder has it
        there = Path(moved if stated_only else value).exists()
        if not there or (_BUNDLED / value).is_dir():
            return value
    return moved if "/" in moved else f"./{moved}"
