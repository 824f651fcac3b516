"""One run at a time: a lock that knows its process, and jobs that end when their run has died."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from phasenet_das.errors import PhaseNetDASError
from phasenet_das.tables import atomic_path

RUN_VARIABLE = "PHASENET_DAS_RUN"
"""Environment variable in which a run tells its jobs which process it is."""

_POLL_S = 1.0
_PR_SET_PDEATHSIG = 1


class RunningError(RuntimeError, PhaseNetDASError):
    """Another run is writing to the same results."""


@dataclass(frozen=True)
class Process:
    """A process that is not mistaken for a later one of the same number.

    Attributes
    ----------
    host : str
        Machine.
    pid : int
        Number.
    started : str
        When it was started: clock ticks since the machine was, empty where that is not known.
    boot : str
        Which start of the machine.
    """

    host: str
    pid: int
    started: str = ""
    boot: str = ""

    @classmethod
    def current(cls) -> Process:
        """Describe this process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Process:
        """Describe a process of this machine."""
        return cls(socket.gethostname(), pid, _start_of(pid), _boot())

    @property
    def is_here(self) -> bool:
        """Whether it belongs to this machine."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether it still runs; of another machine's processes that is taken for granted."""
        if not self.is_here:
            return True
        if self.boot != _boot():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _start_of(self.pid) == self.started


class RunLock:
    """A lock file that names the process that holds it; one whose process has died counts for nothing."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def acquire(self) -> Process:
        """Take the lock for this process."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        me = Process.current()
        with self.path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two that find a dead owner at once do not both succeed
            file.seek(0)
            owner = _parse(file.read())
            if owner is not None and owner != me and owner.alive:
                raise RunningError(
                    f"{self.path.parent}: process {owner.pid} on {owner.host} is writing these results. Wait "
                    f"for it, or end it. If it is not a run of this workflow, remove {self.path}."
                )
            file.truncate(0)
            file.write(json.dumps(asdict(me)))
            file.flush()
        return me

    def release(self) -> None:
        """Give the lock back, when it is this process's."""
        try:
            owner = _parse(self.path.read_text())
        except FileNotFoundError:
            return
        if owner == Process.current():
            self.path.unlink(missing_ok=True)


@contextmanager
def hold(path: Path, use: str) -> Iterator[None]:
    """Hold a lock of this machine until the block or the process ends, however it ends.

    `use` names the folder and its use. The system frees the lock, also that of a container of another name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            owner = _parse(file.read())
            who = "another process" if owner is None else f"process {owner.pid} on {owner.host}"
            raise RunningError(
                f"{use}: {who} does this already. End it, or choose another folder."
            ) from error
        file.truncate(0)
        file.write(json.dumps(asdict(Process.current())))
        file.flush()
        yield


def end_with_the_run() -> None:
    """Let this job end when the run that started it has died, so that nothing writes behind a new run's back.

    A run that is killed with SIGKILL cannot end its jobs. Does nothing where no run of this machine started
    the job.
    """
    run = _parse(os.environ.get(RUN_VARIABLE, ""))
    if run is None or not run.is_here:
        return

    def watch() -> None:
        """End this process as soon as the run has ended."""
        while run.alive:
            time.sleep(_POLL_S)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="end_with_the_run", daemon=True).start()


def note_process(pid: int, path: Path) -> None:
    """Write down that a process is at work, for :func:`wait_for`."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(asdict(Process.of(pid))))


def wait_for(path: Path) -> None:
    """Wait until a process of this machine that was written down has ended."""
    process = _parse(path.read_text()) if path.exists() else None
    while process is not None and process.is_here and process.alive:
        time.sleep(_POLL_S)


def die_with_parent() -> None:
    """Let the kernel send SIGTERM to this process when its parent dies (Linux; elsewhere nothing happens)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _parse(text: str) -> Process | None:
    try:
        return Process(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _start_of(pid: int) -> str:
    """Read the start time of a process (field 22 of /proc/PID/stat; the name before it may hold spaces)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = text[text.rindex(")") + 2 :].split()
    return "" if fields[0] == "Z" else fields[19]


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
