"""The lock of a run, and jobs that do not outlive it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from phasenet_das.pipeline import lock
from phasenet_das.pipeline.lock import RUN_VARIABLE, Process, RunLock, RunningError


@pytest.fixture
def other() -> subprocess.Popen[bytes]:
    """A process that waits to be killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()


def hold(path: Path, owner: Process) -> None:
    path.write_text(json.dumps(asdict(owner)))


def test_the_lock_is_taken_and_given_back(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "results" / ".lock")
    assert lock.acquire() == Process.current()
    lock.acquire()  # again by the same process
    lock.release()
    assert not lock.path.exists()
    lock.release()


def test_a_run_that_is_alive_keeps_others_out(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    lock = RunLock(tmp_path / ".lock")
    hold(lock.path, Process.of(other.pid))
    with pytest.raises(RunningError, match=f"process {other.pid} on .* is writing these results"):
        lock.acquire()
    lock.release()
    assert lock.path.exists()  # another's


def test_a_run_that_was_killed_does_not(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    lock = RunLock(tmp_path / ".lock")
    owner = Process.of(other.pid)
    hold(lock.path, owner)
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert not owner.alive
    assert lock.acquire() == Process.current()


def test_a_later_process_of_the_same_number_is_not_the_owner(
    tmp_path: Path, other: subprocess.Popen[bytes]
) -> None:
    owner = replace(Process.of(other.pid), started="1")
    assert not owner.alive
    hold(tmp_path / ".lock", owner)
    RunLock(tmp_path / ".lock").acquire()


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}', "null"])
def test_a_lock_of_nobody_counts_for_nothing(tmp_path: Path, text: str) -> None:
    lock = RunLock(tmp_path / ".lock")
    lock.path.write_text(text)
    lock.acquire()
    assert Process(**json.loads(lock.path.read_text())) == Process.current()


def test_processes_of_other_machines_are_taken_for_alive() -> None:
    assert Process("another-machine", 1).alive


def test_a_job_ends_when_its_run_is_killed(other: subprocess.Popen[bytes]) -> None:
    code = "from phasenet_das.pipeline.lock import end_with_the_run as f; f(); print(1, flush=True); input()"
    env = {**os.environ, RUN_VARIABLE: json.dumps(asdict(Process.of(other.pid)))}
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == b"1\n"
        assert job.poll() is None
        other.kill()
        other.wait()
        assert job.wait(timeout=60) == 128 + signal.SIGTERM


def test_what_still_writes_is_waited_for(
    tmp_path: Path, other: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock.note_process(other.pid, tmp_path / ".process")
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            other.kill()
            other.wait()

    monkeypatch.setattr(lock.time, "sleep", nap)
    lock.wait_for(tmp_path / ".process")
    assert len(naps) == 3
    lock.wait_for(tmp_path / "nothing")


def test_a_held_lock_is_free_again_when_its_holder_ends(tmp_path: Path) -> None:
    path = tmp_path / "live" / "watch.lock"
    with (
        lock.hold(path, "live"),
        pytest.raises(RunningError, match=f"live: process {os.getpid()} on"),
        lock.hold(path, "live"),
    ):
        pass
    with lock.hold(path, "live"):
        pass
