"""Processes that run nothing of the caller's script: they import this package alone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

_starting = threading.Lock()


class _Process(SpawnProcess):
    def start(self) -> None:
        with _main_hidden():
            super().start()


class _Context(SpawnContext):
    Process = _Process


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Take name and file from the main module while a process starts.

    A spawned process imports the main module again, for functions that live there. Ours do not, and a
    script without ``if __name__ == "__main__"`` would start over in each process.
    """
    main = vars(sys.modules["__main__"])
    with _starting:
        kept: dict[str, Any] = {name: main[name] for name in ("__spec__", "__file__") if name in main}
        main.pop("__file__", None)
        main["__spec__"] = None
        try:
            yield
        finally:
            main.update(kept)


def context() -> SpawnContext:
    """Give a multiprocessing context whose processes are spawned and do not import the main module.

    Spawned, not forked: a fork after threads were started can hang.
    """
    return _Context()
