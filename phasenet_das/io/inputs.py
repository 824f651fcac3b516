"""Find recordings: from files, folders and glob patterns to a sorted list of sources."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from phasenet_das.errors import DataFormatError

log = logging.getLogger(__name__)

PSEUDO_PATH = re.compile(r"^daspy:\w+$")


def find_recordings(inputs: Iterable[str | Path], alternatives: Iterable[str | Path] = ()) -> list[str]:
    """List the recordings that paths, folders and glob patterns name."""
    inputs, alternatives = list(inputs), list(alternatives)
    found = _expand(inputs)
    if not found and alternatives:
        found = _expand(alternatives)
        if found:
            log.warning(
                "none of %s exists: reading %s instead", ", ".join(map(str, inputs)), ", ".join(found)
            )
    if not found:
        names = ", ".join(map(str, [*inputs, *alternatives])) or "nothing"
        raise DataFormatError(
            f"no recording found in {names}; expected files, folders or glob patterns that exist."
        )
    return found


def recording_names(sources: Iterable[str]) -> dict[str, str]:
    """Give each recording a short name that is valid as a file name."""
    names: dict[str, str] = {}
    for source in sources:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", source if PSEUDO_PATH.match(source) else Path(source).stem)
        name, number = stem, 1
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names[name] = source
    return names


def _expand(patterns: list[str | Path]) -> list[str]:
    found: set[str] = set()
    for pattern in map(str, patterns):
        path = Path(pattern)
        if PSEUDO_PATH.match(pattern) or path.is_file():
            found.add(pattern)
        elif path.is_dir():
            found.update(str(file) for file in path.rglob("*") if file.is_file() and not _hidden(file, path))
        else:
            root = Path(path.anchor or ".")
            matches = root.glob(str(path.relative_to(path.anchor)))
            found.update(str(file) for file in matches if file.is_file())
    return sorted(found)


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)
