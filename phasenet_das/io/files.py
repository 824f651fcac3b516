"""Find files: from files, folders and glob patterns to a sorted list; and tell their content apart."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from phasenet_das.errors import DataFormatError

log = logging.getLogger(__name__)

PSEUDO_PATH = re.compile(r"^daspy:\w+$")
_HEAD_BYTES = 65536
_SAMPLE_BYTES = 4096
_TEXT = "txt csv tsv md rst log json yaml yml toml xml html ini cfg conf"
_PICTURE = "pdf png jpg jpeg gif svg tif tiff doc docx xls xlsx kml kmz"
_PROGRAM = "py ipynb m sh mat npy npz pkl parquet md5 sha256 lock"
_ARCHIVE = "zip gz tar tgz bz2 xz 7z"
_UNFINISHED = "bak tmp part partial crdownload filepart swp"
_NOT_DAS = {
    f".{ending}" for kinds in (_TEXT, _PICTURE, _PROGRAM, _ARCHIVE, _UNFINISHED) for ending in kinds.split()
}
_LETTERS = {"ä": "ae", "ö": "oe", "ü": "ue", "æ": "ae", "ø": "oe", "œ": "oe", "ł": "l", "đ": "d"}
_WRITTEN = str.maketrans(
    {"ß": "ss", **_LETTERS, **{one.upper(): two.capitalize() for one, two in _LETTERS.items()}}
)
_HASH_DIGITS = 4
_DAS = {".h5", ".hdf5", ".hdf", ".tdms", ".sgy", ".segy", ".mseed", ".miniseed", ".nc", ".das"}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file found: `reason` says why it cannot be a recording, empty when it may be one."""

    path: str
    size: int
    mtime_ns: int
    reason: str = ""


def list_files(inputs: Iterable[str | Path]) -> list[FileEntry]:
    """List every file that paths, folders and glob patterns name."""
    found: dict[str, FileEntry] = {}
    for pattern in map(str, inputs):
        matched = {item.path: item for item in _expand(pattern)}
        found |= matched
        if not matched:
            raise DataFormatError(
                f"no file found in {pattern}. Expected a file, folder or glob pattern that exists."
            )
    if not found:
        raise DataFormatError("no file found in nothing. Expected files, folders or glob patterns.")
    return [found[path] for path in sorted(found)]


def find_recordings(inputs: Iterable[str | Path], fallback: Iterable[str | Path] = ()) -> list[str]:
    """List the files that may be recordings; of `fallback` where none of `inputs` exists."""
    inputs, fallback = list(inputs), list(fallback)
    found = _usable(inputs)
    if not found and fallback:
        found = _usable(fallback)
        if found:
            log.warning(
                "none of %s exists: reading %s instead", ", ".join(map(str, inputs)), ", ".join(found)
            )
    if not found:
        names = ", ".join(map(str, [*inputs, *fallback])) or "nothing"
        raise DataFormatError(
            f"no recording found in {names}. Expected files, folders or glob patterns that exist."
        )
    return found


def _usable(inputs: Iterable[str | Path]) -> list[str]:
    return sorted({item.path for pattern in inputs for item in _expand(str(pattern)) if not item.reason})


def cable_name(path: str, inputs: Sequence[str | Path]) -> str:
    """Name a cable that its files do not name: after the one file, or the folder, that was given.

    See :func:`as_name`. A name with other letters than ASCII that another input has too ends with a hash.
    """
    if len(inputs) == 1 and str(inputs[0]) == path:
        return as_name(Path(path).stem)
    return _folder_name(Path(path).parent, tuple(map(str, inputs)))


@lru_cache(maxsize=1024)
def _folder_name(folder: Path, inputs: tuple[str, ...]) -> str:
    given = [Path(item) for item in inputs]
    above = (item for item in given if item == folder or item in folder.parents)
    text = next(above, folder).resolve().name
    name = as_name(text)
    if text.isascii():
        return name
    others = {(item.parent if item.is_file() else item).resolve().name for item in given} - {text}
    return _with_hash(name, text) if name in map(as_name, others) else name


def as_name(text: str, default: str = "DAS") -> str:
    """Write a text as the name of a cable or a run: ASCII letters, digits, dot, dash and underscore.

    Latin letters lose their marks, and umlauts become two letters. Other letters cannot be written, so a hash
    of the text is the ending. `default` is the name of a text without any letter or digit.
    """
    known = unicodedata.normalize("NFC", text).translate(_WRITTEN)
    parts = unicodedata.normalize("NFKD", known)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "".join(one for one in parts if not unicodedata.combining(one)))
    name = name.strip("-._") or default
    unwritten = any(not one.isascii() and unicodedata.category(one)[0] in "LNSC" for one in parts)
    return _with_hash(name, text) if unwritten else name


def _with_hash(name: str, text: str) -> str:
    digest = hashlib.sha256(unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape"))
    return f"{name}-{digest.hexdigest()[:_HASH_DIGITS]}"


def _expand(pattern: str) -> Iterator[FileEntry]:
    path = Path(pattern)
    if PSEUDO_PATH.match(pattern):
        yield FileEntry(pattern, 0, 0)
    elif path.is_dir():
        yield from _walk(pattern)
    elif path.exists():
        stat = path.stat()
        yield FileEntry(
            pattern, stat.st_size, stat.st_mtime_ns
        )  # named by itself: it is tried, whatever it is
    else:
        for match in Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))):
            if match.is_dir():
                yield from _walk(str(match))
            else:
                yield _entry(str(match))


def _walk(folder: str) -> Iterator[FileEntry]:
    """Walk a folder tree; links to folders are not followed, since they may lead in a circle."""
    if folder.rstrip("/").endswith(".zarr"):
        reason = f"{folder}: a Zarr store is not read. Open it with xarray, and pick the DataArray."
        yield FileEntry(folder, 0, 0, reason)
        return
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        yield FileEntry(
            folder, 0, 0, f"{folder}: cannot be opened ({error.strerror}). Check its permissions."
        )
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _walk(entry.path)
        elif os.path.isdir(entry.path):  # noqa: PTH112 - false for a link to itself, where entry.is_dir() raises
            kind = "hidden folder" if entry.name.startswith(".") else "link to a folder"
            yield FileEntry(entry.path, 0, 0, f"{kind}, not entered")
        else:
            yield _entry(entry.path)


def _entry(path: str) -> FileEntry:
    try:
        return _listed(path, os.stat(path))  # noqa: PTH116 - of many thousand files
    except OSError as error:  # a dangling link, or gone since
        return FileEntry(path, 0, 0, f"{path}: cannot be opened ({error.strerror}).")


def _listed(path: str, stat: os.stat_result) -> FileEntry:
    name = os.path.basename(path)  # noqa: PTH119 - of many thousand files
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122
    reason = ""
    if name.startswith("."):
        reason = "hidden file"
    elif ending in _NOT_DAS:
        reason = f"not a recording: a {ending} file"
    return FileEntry(path, stat.st_size, stat.st_mtime_ns, reason)


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
