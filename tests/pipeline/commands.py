"""`phasenet-das` for the rules of the workflow: forks of one process that has imported most packages.

Most of a small job is imports. What a fresh process does is tested by `tests/doors/test_workflow.py`.
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import select
import socket
import subprocess
import sys
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRELOADED = """
phasenet_das.cli phasenet_das.picking.archive phasenet_das.catalog.association phasenet_das.evaluate.picks
phasenet_das.report.page phasenet_das.simulate.simulation phasenet_das.training.windows gamma.fit scipy.signal
obspy.core.event matplotlib.pyplot pyarrow.parquet
"""
CLIENT = """#!{python} -ES
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({address!r})
    socket.send_fds(server, [json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()], [0, 1, 2])
    sys.exit(ord(server.recv(1) or b"\\1"))
"""


@cache
def python_beside_commands() -> Path:
    """Start the server, which ends with this process; return a Python with its ``phasenet-das`` beside it."""
    scratch = tempfile.TemporaryDirectory()
    atexit.register(scratch.cleanup)
    folder = Path(scratch.name)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    command = [sys.executable, "-m", "tests.pipeline.commands", str(folder / "socket")]
    server = subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    client = CLIENT.format(python=sys.executable, address=str(folder / "socket"))
    for name, text in (("phasenet-das", client), ("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    while not (folder / "socket").exists():
        assert server.poll() is None
        select.select([], [], [], 0.05)
    return folder / "python"


def serve(address: str) -> None:
    """Fork a process for each request, until the other end of the standard input is closed."""
    for name in PRELOADED.split():
        import_module(name)
    context = multiprocessing.get_context("fork")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(address)
        server.listen()
        while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
            connection, _ = server.accept()
            context.Process(target=run, args=(connection,)).start()
            connection.close()


def run(connection: socket.socket) -> None:
    """Run a command as its client was run (words, folder, environment, streams), and tell its exit code."""
    from phasenet_das.cli import main

    words, streams, *_ = socket.recv_fds(connection, 2**20, 3)
    sys.argv, folder, environment = json.loads(words)
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code = 1
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.stdout.flush()
        connection.send(bytes([code]))


if __name__ == "__main__":
    serve(sys.argv[1])
