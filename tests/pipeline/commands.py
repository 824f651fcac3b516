"""`phasenet-das` and `python` for small jobs: forks of one process that has imported most packages.

Most of a small job is imports. What a fresh process does is tested by `tests/doors/test_workflow.py`.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import multiprocessing
import os
import runpy
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
obspy.core.event matplotlib.pyplot pyarrow.parquet snakemake.cli
"""
CLIENT = """#!{python} -ES
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({address!r})
    socket.send_fds(server, [json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()], [0, 1, 2])
    child = int(server.recv(16))
    signal.signal(signal.SIGINT, lambda number, _: os.kill(child, number))
    sys.exit(ord(server.recv(1) or b"\\1"))
"""


@cache
def python_beside_commands() -> Path:
    """Start the server, which ends with this process; return its Python, beside its ``phasenet-das``."""
    scratch = tempfile.TemporaryDirectory()
    atexit.register(scratch.cleanup)
    folder = Path(scratch.name)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    command = [sys.executable, "-m", "tests.pipeline.commands", str(folder / "socket")]
    server = subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    client = CLIENT.format(python=sys.executable, address=str(folder / "socket"))
    for name in ("phasenet-das", "python"):
        (folder / name).write_text(client)
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
    words, streams, *_ = socket.recv_fds(connection, 2**20, 3)
    (program, *sys.argv), folder, environment = json.loads(words)
    sys.executable = str(Path(program).with_name("python"))
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - of this process
    connection.send(str(os.getpid()).encode())
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, os.O_ASYNC)  # end by SIGIO when the client is killed
    code = 1
    try:
        run_program(Path(program).name)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.stdout.flush()
        connection.send(bytes([code]))


def run_program(name: str) -> None:
    """Be `phasenet-das`, or a Python that is given a script or, after ``-m``, a module."""
    from phasenet_das.cli import main

    if name == "phasenet-das":
        sys.argv.insert(0, name)
        main()
        return
    sys.argv = [word for word in sys.argv if word != "-u"]
    if sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(sys.argv[0]).parent))
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
