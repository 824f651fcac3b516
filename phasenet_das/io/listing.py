"""List the files of folder trees with size and time of change, and say which cannot be recordings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from phasenet_das.errors import DataFormatError
from phasenet_das.io.inputs import PSEUDO_PATH

_HEAD_BYTES = 65536
_SAMPLE_BYTES = 4096
_TEXT = (
    "txt",
    "csv",
    "tsv",
    "md",
    "rst",
    "log",
    "json",
    "yaml",
    "yml",
    "toml",
    "xml",
    "html",
    "ini",
    "cfg",
    "conf",
)
_PICTURE = (
    "pdf",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "tif",
    "tiff",
    "doc",
    "docx",
    "xls",
    "xlsx",
    "kml",
    "kmz",
)
_PROGRAM = ("py", "ipynb", "m", "sh", "mat", "npy", "npz", "pkl", "parquet", "md5", "sha256", "lock")
_ARCHIVE = ("zip", "gz", "tar", "tgz", "bz2", "xz", "7z")
_UNFINISHED = ("bak", "tmp", "part", "partial", "crdownload", "filepart", "swp")
_NOT_DAS = {"." + ending for ending in (*_TEXT, *_PICTURE, *_PROGRAM, *_ARCHIVE, *_UNFINISHED)}
_DAS = {".h5", ".hdf5", ".hdf", ".tdms", ".sgy", ".segy", ".mseed", ".miniseed", ".nc", ".das"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A file found: `reason` says why it cannot be a recording, empty when it may be one."""

    path: str
    size: int
    mtime_ns: int
    reason: str = ""


def list_files(inputs: Iterable[str | Path]) -> list[Listed]:
    """List every file that paths, folders and glob patterns name."""
    found: dict[str, Listed] = {}
    for pattern in map(str, inputs):
        before = len(found)
        matched = {item.path: item for item in _expand(pattern)}
        found |= matched
        if len(found) == before and not matched:
            raise DataFormatError(
                f"no file found in {pattern}; expected a file, folder or glob pattern that exists."
            )
    if not found:
        raise DataFormatError("no file found in nothing; expected files, folders or glob patterns.")
    return [found[path] for path in sorted(found)]


def _expand(pattern: str) -> Iterator[Listed]:
    path = Path(pattern)
    if PSEUDO_PATH.match(pattern):
        yield Listed(pattern, 0, 0)
    elif path.is_dir():
        yield from _walk(pattern)
    elif path.exists():
        stat = path.stat()
        yield Listed(pattern, stat.st_size, stat.st_mtime_ns)  # named by itself: it is tried, whatever it is
    else:
        for match in Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))):
            if match.is_dir():
                yield from _walk(str(match))
            else:
                yield _listed(str(match), match.stat())


def _walk(folder: str) -> Iterator[Listed]:
    """Walk a folder tree; links to folders are not followed, since they may lead in a circle."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        yield Listed(folder, 0, 0, f"{folder}: cannot be opened ({error.strerror}). Check its permissions.")
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _walk(entry.path)
        elif entry.is_dir():
            kind = "hidden folder" if entry.name.startswith(".") else "link to a folder"
            yield Listed(entry.path, 0, 0, f"{kind}, not entered")
        else:
            yield _entry(entry)


def _entry(entry: os.DirEntry[str]) -> Listed:
    try:
        return _listed(entry.path, entry.stat())
    except OSError as error:  # a dangling link, or gone since
        return Listed(entry.path, 0, 0, f"{entry.path}: cannot be opened ({error.strerror}).")


def _listed(path: str, stat: os.stat_result) -> Listed:
    name = os.path.basename(path)  # noqa: PTH119 - of many thousand files
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122
    reason = ""
    if name.startswith("."):
        reason = "hidden file"
    elif ending in _NOT_DAS:
        reason = f"not a recording: a {ending} file"
    return Listed(path, stat.st_size, stat.st_mtime_ns, reason)


def looks_like_das(path: str) -> bool:
    """Say whether a file's ending promises DAS data, so that it is unreadable rather than something else."""
    return Path(path).suffix.lower() in _DAS


def content_key(path: str, size: int) -> str:
    """Digest of a file's header and of samples of the rest: quick, and the same wherever the file lies."""
    if PSEUDO_PATH.match(path):
        return path
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - of many thousand files
        digest.update(file.read(_HEAD_BYTES))
        for quarter in range(1, 5):
            place = min(size * quarter // 4, size - _SAMPLE_BYTES)
            if place >= _HEAD_BYTES:
                file.seek(place)
                digest.update(file.read(_SAMPLE_BYTES))
    return f"{size:x}-{digest.hexdigest()[:16]}"
