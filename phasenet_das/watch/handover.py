"""Hand events over to other systems: files, waveforms, a command and a webhook.

Nothing here can stop picking. Each receiver has a thread of its own and a time limit, and what goes wrong is
logged and recorded. A revision that a receiver has not got is sent by a later pass or by the next start.
"""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phasenet_das.catalog.quality import CLASSES, describe_event
from phasenet_das.config import HandoverSettings, ReportSettings
from phasenet_das.errors import HandoverError
from phasenet_das.io.archive import Archive
from phasenet_das.watch.event_files import write_event_files
from phasenet_das.watch.events import EventLife
from phasenet_das.watch.revisions import Record
from phasenet_das.watch.waveforms import write_waveforms

if TYPE_CHECKING:
    from gamma import AssociationResult

log = logging.getLogger(__name__)

_FIRST_RETRY_S, _LAST_RETRY_S = 5.0, 300.0
_LONGEST_ERROR = 500


class Handover:
    """Sends the events that are good enough to files, a command and a webhook.

    Parameters
    ----------
    settings : HandoverSettings
        Which events, and where they go.
    folder : pathlib.Path
        For the files of the events.
    channels : pandas.DataFrame, optional
        Channel table.
    report : ReportSettings, optional
        Network code and thinning, as in the exports.
    """

    def __init__(
        self,
        settings: HandoverSettings,
        folder: Path,
        channels: pd.DataFrame | None = None,
        report: ReportSettings | None = None,
    ) -> None:
        self._settings, self._folder, self._channels = settings, folder, channels
        self._report = report or ReportSettings()
        senders: dict[str, Callable[[Mapping[str, Any]], None]] = {}
        if settings.on_event:
            senders["command"] = lambda message: run_command(
                settings.on_event, message, settings.hook_limit_s
            )
        if settings.webhook is not None:
            address = settings.webhook
            senders["webhook"] = lambda message: post(address, message, settings.webhook_limit_s)
        self._senders = senders
        self._threads = {name: ThreadPoolExecutor(1, f"handover-{name}") for name in ("files", *senders)}
        self._asked: dict[tuple[str, str], int] = {}
        self._rests: dict[tuple[str, str], tuple[float, float]] = {}  # until when, and how long

    def offer(
        self, life: EventLife, result: AssociationResult | None = None, archive: Archive | None = None
    ) -> None:
        """Send the revisions that have to go. The files of an event need the result of a pass."""
        for line in list(life.revisions.latest.values()):
            if not self._is_due(life, line):
                continue
            if not _lacks(life, "files", line):
                self._send(life, line)
                continue
            if _was_tried(life, "files", line):  # files that fail keep no other receiver waiting
                self._send(life, line)
            if result is not None and not self._is_resting("files", line):
                index = result.events.loc[result.events["event_id"] == line["event_id"], "event_index"]
                own = result.picks[result.picks["event_index"].isin(index)]
                if len(own) or line["status"] == "cancelled":  # else a pass of more minutes has its picks
                    self._start(life, "files", line, partial(self._write_files, line, own, archive))

    def close(self) -> None:
        """Wait for what was asked for. Every step has its time limit."""
        for thread in self._threads.values():  # the files first: they ask the others
            thread.shutdown()

    def _is_due(self, life: EventLife, line: Record) -> bool:
        """Whether a revision goes out: its event is good, or others hold an earlier revision."""
        if "late" in line["change"].split(";"):
            return False
        if life.revisions.is_known_outside(line["event_id"]):
            return True
        settled = line["status"] == "final" or life.passes(line["event_id"]) >= self._settings.stable_passes
        return line["status"] != "cancelled" and settled and is_good(line["event"], self._settings)

    def _write_files(self, line: Record, picks: pd.DataFrame, archive: Archive | None) -> None:
        path = self._folder / line["event_id"]
        codes = {}
        if archive is not None and self._settings.has_waveforms and line["status"] != "cancelled":
            codes = write_waveforms(
                archive, picks, line["event"]["time"], path, self._channels, self._settings, self._report
            )
        write_event_files(line, picks, path, self._channels, self._settings.formats, self._report, codes)

    def _send(self, life: EventLife, line: Record) -> None:
        for name, send in self._senders.items():
            if _lacks(life, name, line) and not self._is_resting(name, line):
                self._start(life, name, line, partial(send, event_message(line, self._folder)))

    def _is_resting(self, receiver: str, line: Record) -> bool:
        """Whether a receiver that failed is left alone for a while."""
        until, _ = self._rests.get(_rest_key(receiver, line), (0.0, 0.0))
        return time.monotonic() < until

    def _start(self, life: EventLife, receiver: str, line: Record, job: Callable[[], None]) -> None:
        """Let the thread of a receiver do a job, once for a revision."""
        key = receiver, line["event_id"]
        if self._asked.get(key, 0) < line["revision"]:
            self._asked[key] = line["revision"]
            self._threads[receiver].submit(self._run, life, receiver, line, job)

    def _run(self, life: EventLife, receiver: str, line: Record, job: Callable[[], None]) -> None:
        """Do a job and record its end. Whatever it raises is logged."""
        if self._is_resting(receiver, line):
            self._forget_asking(receiver, line)
            return
        error = ""
        try:
            job()
        except Exception as found:  # noqa: BLE001 - picking goes on
            error = f"{type(found).__name__}: {found}"[:_LONGEST_ERROR]
            log.warning("%s of %s, revision %d: %s", receiver, line["event_id"], line["revision"], error)
        self._rest(receiver, line, failed=bool(error))
        if not error or (receiver != "webhook" and not _was_tried(life, receiver, line)):
            _record(life, receiver, line, error)  # a failure that repeats is recorded once
        if error:
            self._forget_asking(receiver, line)
        if receiver == "files":
            self._send(life, line)

    def _rest(self, receiver: str, line: Record, *, failed: bool) -> None:
        key = _rest_key(receiver, line)
        if failed:
            _, last_s = self._rests.get(key, (0.0, _FIRST_RETRY_S))
            wait_s = min(2 * last_s, _LAST_RETRY_S)
            self._rests[key] = time.monotonic() + wait_s, wait_s
        else:
            self._rests.pop(key, None)

    def _forget_asking(self, receiver: str, line: Record) -> None:
        """Let a revision be asked for again, unless a later one has been."""
        key = receiver, line["event_id"]
        if self._asked.get(key) == line["revision"]:
            del self._asked[key]


def _rest_key(receiver: str, line: Record) -> tuple[str, str]:
    """Name what rests after a failure: the whole webhook, but files and a command only for this event."""
    return receiver, "" if receiver == "webhook" else line["event_id"]


def _lacks(life: EventLife, receiver: str, line: Record) -> bool:
    """Whether a receiver has not got a revision: a delivery that failed is none."""
    last = life.revisions.delivered(receiver, line["event_id"])
    return last is None or bool(last["error"]) or last["revision"] < line["revision"]


def _was_tried(life: EventLife, receiver: str, line: Record) -> bool:
    """Whether a delivery of a revision is recorded, also one that failed."""
    last = life.revisions.delivered(receiver, line["event_id"])
    return last is not None and bool(last["revision"] >= line["revision"])


def _record(life: EventLife, receiver: str, line: Record, error: str) -> None:
    sent = {"event_id": line["event_id"], "revision": line["revision"], "receiver": receiver}
    try:
        life.revisions.append([{"record": "delivery", **sent, "at": life.clock(), "error": error}])
    except OSError as found:
        log.warning("%s: %s. The delivery is repeated by the next start.", life.revisions.path, found)


def is_good(event: Mapping[str, Any], wanted: HandoverSettings) -> bool:
    """Whether an event has the quality that is wanted."""
    residual, limit = event["residual_rms_s"], wanted.max_residual_s
    return (
        event["quality"] in CLASSES[: CLASSES.index(wanted.min_quality) + 1]
        and event["num_channels"] >= wanted.min_channels
        and (limit is None or (residual is not None and residual <= limit))
        and (not wanted.needs_p_and_s or min(event["num_p_picks"], event["num_s_picks"]) > 0)
    )


def event_message(line: Record, folder: Path) -> dict[str, Any]:
    """Return what a command and a webhook get: the event, its revision, a text and its files."""
    names = ("revision", "change", "status", "file_closed_at", "revised_at")
    files = sorted(str(path.resolve()) for path in folder.glob(f"{line['event_id']}.*"))
    return {**line["event"], **{name: line[name] for name in names}, "text": _text(line), "files": files}


def _text(line: Record) -> str:
    row = {name: math.nan if value is None else value for name, value in line["event"].items()}
    return describe_event(row | {"time": pd.Timestamp(row["time"])})


def run_command(command: Sequence[str], message: Mapping[str, Any], limit_s: float) -> None:
    """Run a command with an event on standard input and in its environment; no shell reads it.

    Raises HandoverError when the command fails, or has not ended in time: it and its children are killed.
    """
    own = {f"PHASENET_DAS_{name.upper()}": _word(value) for name, value in message.items()}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(json.dumps(message).encode())
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603 - the words of the settings, without a shell
            [*command],
            stdin=given,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **own},
            start_new_session=True,
        )
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise HandoverError(
                f"{command[0]}: found no end after {limit_s:g} s, and stopped it. Make it faster, or raise "
                "hook_limit_s."
            ) from None
        if status:
            said.seek(0)
            text = said.read(_LONGEST_ERROR).decode(errors="replace").strip()
            raise HandoverError(f"{command[0]}: found exit code {status}, expected 0. It said: {text}")


def _word(value: Any) -> str:  # noqa: ANN401 - a value of JSON
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("\0", " ")


def post(address: str, message: Mapping[str, Any], limit_s: float) -> None:
    """Send an event as JSON by POST.

    Raises OSError or HandoverError when it was not taken.
    """
    data, kind = json.dumps(message).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(address, data, kind, method="POST")  # noqa: S310 - http(s), as checked
    with urllib.request.urlopen(request, timeout=limit_s) as answer:  # noqa: S310
        if answer.status >= 300:
            raise HandoverError(f"{address}: found answer {answer.status}, expected 200 to 299.")
