"""Blocks of a recording that is merged of several members: files, opened when needed, or open recordings."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

import numpy as np

from phasenet_das.errors import DataFormatError, PhaseNetDASError
from phasenet_das.io.files import PSEUDO_PATH, content_key
from phasenet_das.io.formats import open_source
from phasenet_das.io.formats.axes import BROKEN_FILE
from phasenet_das.io.recording import Inputs, Recording, hidden_by_offset, say_hidden

log = logging.getLogger(__name__)

_LOGGED = 5
_OPEN_FILES = 2  # a block crosses from one file to the next
_BLOCK_VALUES = 2**24  # read at once; more is read in steps, so that little is held beside the result


@dataclass(frozen=True)
class MemberTable:
    """The members of merged recordings, in order; arrays of shape (member,).

    ``position`` is the sample of the recording at which a member begins, ``count`` its number of samples,
    ``skipped`` its first sample in the file; ``path``, ``key``, ``size``, ``mtime_ns`` are those of the file,
    and ``part`` is the number of the recording in the file, which has ``in_file`` samples and the channels
    of ``geometry``.
    """

    position: np.ndarray
    count: np.ndarray
    skipped: np.ndarray
    path: np.ndarray
    key: np.ndarray
    size: np.ndarray
    mtime_ns: np.ndarray
    part: np.ndarray
    in_file: np.ndarray
    geometry: np.ndarray

    def slice(self, first: int, end: int) -> MemberTable:
        """Return members ``[first, end)``, as views."""
        return MemberTable(*(getattr(self, item.name)[first:end] for item in fields(self)))


@dataclass(frozen=True, eq=False)
class MemberReader:
    """Reads blocks of a merged recording.

    Its members are ``table[first:end]``: recordings share one table, of which a copy that is sent to another
    process takes only its own rows. ``rows`` names, for each geometry, the positions of the channels in the
    file and the number of channels that the file has. ``opened`` holds recordings that need no opening, by
    path. With ``strict`` a file that cannot be read raises.
    """

    name: str
    table: MemberTable = field(repr=False)
    first: int
    end: int
    channel_index: np.ndarray = field(repr=False)
    rows: Mapping[str, tuple[np.ndarray, int]] = field(repr=False)
    opened: Mapping[str, list[Recording]] = field(default_factory=dict, repr=False)
    dtype: np.dtype[Any] = np.dtype(np.float32)  # noqa: RUF009 - a dtype does not change
    strict: bool = False
    failures: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        own = self.table.slice(self.first, self.end)
        opened = {path: self.opened[path] for path in set(own.path.tolist()) if path in self.opened}
        return {
            **vars(self),
            "table": own,
            "opened": opened,
            "first": 0,
            "end": self.end - self.first,
        }

    def __call__(self, channels: slice, samples: slice) -> np.ndarray:
        """Read a block, (channel, time)."""
        out = np.empty((len(self.channel_index[channels]), samples.stop - samples.start), self.dtype)
        if not out.size:
            return out
        for k in self._members_of(samples):
            begin = int(self.table.position[k])
            low, high = max(samples.start, begin), min(samples.stop, begin + int(self.table.count[k]))
            self._fill(out[:, low - samples.start : high - samples.start], k, low - begin, channels)
        return out

    def inputs(self, samples: slice) -> Inputs:
        """Name the files behind samples, and the objects in memory, whose content has no key."""
        paths = ((k, str(self.table.path[k])) for k in self._members_of(samples))
        found = ((path, "" if path in self.opened else str(self.table.key[k])) for k, path in paths)
        return list(dict.fromkeys(found))

    def _members_of(self, samples: slice) -> range:
        if samples.start >= samples.stop:
            return range(0)
        positions = self.table.position[self.first : self.end]
        low = int(np.searchsorted(positions, samples.start, side="right")) - 1
        high = int(np.searchsorted(positions, samples.stop, side="left"))
        return range(self.first + low, self.first + high)

    def _fill(self, out: np.ndarray, k: int, first: int, channels: slice) -> None:
        """Write samples of member `k`, from its own sample `first` on."""
        path = str(self.table.path[k])
        if path in self.failures:
            out[:] = np.nan
            return
        try:
            recording = self._open(k)
            rows = self.rows[str(self.table.geometry[k])][0][channels]
            hidden = _copy(recording, rows, int(self.table.skipped[k]) + first, out)
        except (PhaseNetDASError, *BROKEN_FILE) as error:
            self._fail(path, error)
            out[:] = np.nan
            return
        if hidden.any() and path not in self.notes:
            self._note(path, say_hidden(self.channel_index[channels][hidden]))
        if path not in self.opened:
            self._judge(path, out)

    def _fail(self, path: str, error: Exception) -> None:
        reason = str(error) if path in str(error) else f"{path}: {type(error).__name__}: {error}"
        if self.strict:
            raise error if isinstance(error, PhaseNetDASError) else DataFormatError(reason) from error
        self.failures[path] = reason
        _say(logging.ERROR, f"{self.name}: samples are lost: {reason}", len(self.failures))

    def _open(self, k: int) -> Recording:
        path, part = str(self.table.path[k]), int(self.table.part[k])
        if path in self.opened:
            return self.opened[path][part]
        recordings = _opened(path, _check_unchanged(self.table, k))
        shape = (self.rows[str(self.table.geometry[k])][1], int(self.table.in_file[k]))
        found = recordings[part].shape if part < len(recordings) else None
        if found != shape:
            raise DataFormatError(
                f"{path}: the header promises {shape} (channels, samples), found {found}. It was probably "
                "cut short: copy it again."
            )
        return recordings[part]

    def _judge(self, path: str, block: np.ndarray) -> None:
        """Note a block of several channels that holds nothing but zeros, or nothing finite."""
        if path in self.notes or block.shape[0] < 2 or block.shape[1] < 2:
            return
        edge = block[:: max(1, block.shape[0] // 8), -1]
        if (edge == 0).all() and not block.any():
            self._note(path, "found only zeros in the samples that were read.")
        elif not np.isfinite(edge).any() and not np.isfinite(block).any():
            self._note(path, "found nothing finite in the samples that were read.")

    def _note(self, path: str, text: str) -> None:
        self.notes[path] = f"{path}: {text}"
        _say(logging.WARNING, f"{self.name}: {self.notes[path]}", len(self.notes))


def _say(level: int, text: str, count: int) -> None:
    """Log the first few of many files alike; all are in ``failures`` or ``notes``."""
    if count <= _LOGGED:
        log.log(level, "%s%s", text, " (further ones are not logged)" if count == _LOGGED else "")


def _check_unchanged(table: MemberTable, k: int) -> int:
    """Return the time of a file's last change; refuse a file whose content is not what was indexed."""
    path, size = str(table.path[k]), int(table.size[k])
    if PSEUDO_PATH.match(path):
        return 0
    stat = os.stat(path)  # noqa: PTH116 - for each block loaded
    same = stat.st_size == size and (
        stat.st_mtime_ns == table.mtime_ns[k] or content_key(path, size) == table.key[k]
    )
    if not same:
        raise DataFormatError(f"{path}: has changed since it was indexed. Run again to read it as it is now.")
    return stat.st_mtime_ns


def _copy(recording: Recording, rows: np.ndarray, first: int, out: np.ndarray) -> np.ndarray:
    """Copy rows of a recording, from its sample `first` on, in steps of bounded size.

    Returns in which rows `out` loses the signal, shape (channel,), bool.
    """
    hidden = np.zeros(len(rows), bool)
    lowest, highest = int(rows.min()), int(rows.max()) + 1
    wanted: slice | np.ndarray = rows - lowest
    if len(rows) == highest - lowest and (np.diff(rows) == 1).all():
        wanted = slice(None)
    step = max(1, _BLOCK_VALUES // (highest - lowest))
    for begin in range(0, out.shape[1], step):
        end = min(begin + step, out.shape[1])
        block = recording.read_block(slice(lowest, highest), slice(first + begin, first + end))
        if block.shape != (highest - lowest, end - begin):
            raise DataFormatError(
                f"{recording.label}: holds fewer samples than its header says (asked for "
                f"{(highest - lowest, end - begin)}, found {block.shape}). It was probably cut short."
            )
        values = block[wanted]
        out[:, begin:end] = values
        if out.dtype == np.float32:
            hidden |= hidden_by_offset(values)
    return hidden


@lru_cache(maxsize=_OPEN_FILES)
def _opened(path: str, _mtime_ns: int) -> list[Recording]:
    """Open a file, or find it open; a file that changed is opened anew."""
    return open_source(path)
