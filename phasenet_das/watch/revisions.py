"""The life of each event: its id, its revisions and what became of them, in one file of JSON lines.

Lines are only appended, and synced to the disk. A line that a kill has torn is cut off by the next start.
There are two kinds of lines. A *revision* holds a whole event, and a *delivery* says who has got a revision.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from phasenet_das.errors import TableError
from phasenet_das.tables import EVENT_COLUMNS, atomic_path, conform

Record = dict[str, Any]
_STAGES = ("file_closed_at", "picked_at", "associated_at", "revised_at")


class Revisions:
    """The lines of a file, and the last revision of each event.

    Parameters
    ----------
    path : pathlib.Path
        Made by the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.latest: dict[str, Record] = {}
        self._delivered: dict[tuple[str, str], Record] = {}
        self._outside: set[str] = set()
        self._lock = threading.Lock()
        if path.exists():
            self._take(_read_whole_lines(path))

    def append(self, records: Iterable[Record]) -> None:
        """Write lines, all of them or none."""
        lines = list(records)
        data = "".join(json.dumps(line) + "\n" for line in lines).encode()
        if not data:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            with self.path.open("ab", buffering=0) as file:
                end = file.tell()
                try:
                    if file.write(data) != len(data):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(end)
                    raise
            self._take(lines)

    def delivered(self, receiver: str, event_id: str) -> Record | None:
        """Return the last delivery of an event to a receiver."""
        return self._delivered.get((receiver, event_id))

    def is_known_outside(self, event_id: str) -> bool:
        """Whether any receiver has got any revision of an event."""
        return event_id in self._outside

    def copy(self, path: Path, start_ns: int | None, end_ns: int | None) -> None:
        """Write the lines of the events of a range of time to another file."""
        names = self._of_times(start_ns or 0, end_ns)
        with self._lock:
            self._write(path, lambda line: line["event_id"] in names)

    def forget(self, end_ns: int) -> None:
        """Remove the events before a time; the file is whole at any moment."""
        names = self._of_times(0, end_ns)
        with self._lock:
            self._write(self.path, lambda line: line["event_id"] not in names)
            self.latest = {name: line for name, line in self.latest.items() if name not in names}
            self._delivered = {key: line for key, line in self._delivered.items() if key[1] not in names}
            self._outside -= names

    def _of_times(self, start_ns: int, end_ns: int | None) -> set[str]:
        times = {name: pd.Timestamp(line["event"]["time"]).value for name, line in self.latest.items()}
        return {
            name for name, time in times.items() if start_ns <= time and (end_ns is None or time < end_ns)
        }

    def _write(self, path: Path, keep: Callable[[Record], bool]) -> None:
        """Write the lines that are kept to a file."""
        lines = _read_whole_lines(self.path) if self.path.exists() else []
        with atomic_path(path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines if keep(line)))

    def _take(self, lines: Iterable[Record]) -> None:
        for line in lines:
            if line["record"] == "revision":
                self.latest[line["event_id"]] = line
            else:
                self._delivered[line["receiver"], line["event_id"]] = line
                if not line["error"]:
                    self._outside.add(line["event_id"])


def _read_whole_lines(path: Path) -> list[Record]:
    """Read the lines of a file, and cut off one without an end."""
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        os.truncate(path, len(whole))
    return _parse(whole, path)


def _parse(text: bytes, path: Path) -> list[Record]:
    try:
        return [json.loads(line) for line in text.splitlines()]
    except ValueError as error:
        raise TableError(
            f"{path}: a line is no JSON ({error}). Expected the revisions of a watch. Move the file away to "
            "begin anew."
        ) from error


def read_revisions(path: str | Path) -> pd.DataFrame:
    """Read the revisions that ``phasenet-das watch`` has written.

    Parameters
    ----------
    path : str or pathlib.Path
        ``revisions.jsonl``, also while it is being written.

    Returns
    -------
    pandas.DataFrame
        A row for each revision, in the order of the file: ``revision`` (from 1), ``change``, ``status``
        (``open``, ``final``, ``cancelled``), the times of its stages ``file_closed_at``, ``picked_at``,
        ``associated_at``, ``revised_at`` and ``handed_over_at`` (UTC, NaT when not handed over),
        ``latency_s`` from the closed file to the last stage, and the columns of the event table.

    Raises
    ------
    TableError
        The file holds something else.
    """
    path = Path(path)
    text = path.read_bytes() if path.exists() else b""
    lines = _parse(text[: text.rfind(b"\n") + 1], path)
    sent = {
        (line["event_id"], line["revision"]): line["at"]
        for line in lines
        if line["record"] == "delivery" and not line["error"]
    }
    rows = [_row(line, sent) for line in lines if line["record"] == "revision"]
    names = ["revision", "change", "status", *_STAGES, "handed_over_at", "latency_s"]
    table = pd.DataFrame(
        rows, columns=list(dict.fromkeys([*names, *EVENT_COLUMNS, *(rows[0] if rows else [])]))
    )
    for name in (*_STAGES, "handed_over_at"):
        times = pd.to_datetime(table[name].astype("float64"), unit="s", utc=True)
        table[name] = times.dt.as_unit("ns")
    last = table["handed_over_at"].fillna(table["revised_at"])
    table["latency_s"] = (last - table["file_closed_at"]).dt.total_seconds()
    return conform(table, EVENT_COLUMNS, str(path))


def _row(line: Record, sent: dict[tuple[str, int], float]) -> Record:
    kept = {name: line[name] for name in ("revision", "change", "status", *_STAGES)}
    return {**kept, "handed_over_at": sent.get((line["event_id"], line["revision"])), **line["event"]}
