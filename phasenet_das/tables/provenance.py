"""Where a result comes from: what every written file records about itself."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from phasenet_das.config.files import config_hash

_HASH_BYTES = 1 << 20
_MOST_LISTED = 1000


def package_version() -> str:
    """Give the version of the installed package."""
    try:
        return version("phasenet-das")
    except PackageNotFoundError:
        return "unknown"


@cache
def git_commit() -> str | None:
    """Give the commit of the source tree."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def file_hash(path: str | Path) -> str:
    """Digest of a file's size and of its first and last mebibyte: quick on large recordings."""
    path = Path(path)
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_HASH_BYTES))
        if size > _HASH_BYTES:
            file.seek(max(_HASH_BYTES, size - _HASH_BYTES))
            digest.update(file.read(_HASH_BYTES))
    return digest.hexdigest()[:16]


def file_sha256(path: str | Path) -> str:
    """Digest of all of a file, for weights and windows."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def join_provenance(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Join the records of tables, by path: the inputs, the weights and the unit of all."""
    inputs: dict[str, str] = {}
    for path, record in tables.items():
        inputs |= record.get("inputs") or {path: file_hash(path)}
    weights = {str(record["weights_id"]) for record in tables.values() if record.get("weights_id")}
    units = {str(record["amplitude_unit"]) for record in tables.values() if record.get("amplitude_unit")}
    return {
        "inputs": inputs,
        "weights_id": one_or_mixed(weights),
        "amplitude_unit": one_or_mixed(units - {"unknown"} or units),
    }


def one_or_mixed(names: Iterable[str]) -> str | None:
    """Return the one name of units or weights, or "mixed" with all of them; None where there is none."""
    found = sorted(set(names))
    return "mixed: " + ", ".join(found) if len(found) > 1 else next(iter(found), None)


def provenance(
    *,
    settings: BaseModel | None = None,
    inputs: Iterable[str | Path] | Mapping[str, str] = (),
    **facts: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Collect what a file records about itself."""
    hashes: Mapping[str, str] = (
        inputs
        if isinstance(inputs, Mapping)
        else {str(path): file_hash(path) for path in sorted(map(str, inputs)) if Path(path).is_file()}
    )
    listing = "\n".join(f"{name} {value}" for name, value in sorted(hashes.items()))
    names = sorted(hashes)
    listed = names if len(names) <= _MOST_LISTED else [*names[:10], *names[-10:]]
    record: dict[str, Any] = {
        "package": "phasenet-das",
        "version": package_version(),
        "git_commit": git_commit(),
        "inputs": {name: hashes[name] for name in listed},
        "num_inputs": len(names),
        "inputs_hash": hashlib.sha256(listing.encode()).hexdigest()[:16],
        **facts,
    }
    if settings is not None:
        record["settings"] = settings.model_dump(mode="json")
        record["config_hash"] = config_hash(settings)
    return record
