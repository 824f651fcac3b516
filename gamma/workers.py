"""Run tasks in this process or in others, which run nothing of the caller's script."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gamma.domain import Domain

_starting = threading.Lock()


class _Process(SpawnProcess):
    def start(self) -> None:
        with _main_hidden():
            super().start()


class _Context(SpawnContext):
    """Spawned, not forked: a fork after threads were started can hang."""

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


class Runner:
    """Maps a function of (domain, task) over tasks, in order, in this process or in others."""

    def __init__(self, whole: Domain, pool: ProcessPoolExecutor | None = None, ahead: int = 1) -> None:
        self._whole = whole
        self._pool = pool
        self._ahead = ahead
        self._look = (whole.residual_s, False, False)
        self.domain = whole

    def for_look(self, residual_s: float, *, beyond: bool, last: bool = False) -> Runner:
        """Give a runner with the same processes, for another expected residual, in the box or beyond."""
        runner = Runner(self._whole, self._pool, self._ahead)
        runner._look = (residual_s, beyond, last)
        runner.domain = _domain_of_look(self._whole, *runner._look)
        return runner

    def map(self, function: Callable[[Domain, Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        """Yield the results in the order of the tasks, which are taken as they are needed."""
        source = iter(tasks)
        first = list(islice(source, 2))
        if self._pool is None or len(first) < 2:  # starting a process costs more than a single task
            yield from (function(self.domain, task) for task in chain(first, source))
            return
        waiting: deque[Future[Any]] = deque()
        for task in chain(first, source):
            waiting.append(self._pool.submit(_call, function, self._look, task))
            if len(waiting) > self._ahead:  # tasks hold copies of picks: never all of them at once
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


_worker_domain: list[Domain] = []


def _domain_of_look(whole: Domain, residual_s: float, beyond: bool, last: bool) -> Domain:
    where = whole.beyond if beyond else whole
    if where is None:
        raise ValueError("no search beyond the box in these settings")
    return replace(where, residual_s=residual_s, last=last)


def _initialise(domain: Domain) -> None:
    threadpool_limits(1)  # threads of linear algebra would fight the other processes over cores
    _worker_domain[:] = [domain]


def _call(function: Callable[[Domain, Any], Any], look: tuple[float, bool, bool], task: Any) -> Any:  # noqa: ANN401
    return function(_domain_of_look(_worker_domain[0], *look), task)


@contextmanager
def open_runner(domain: Domain, workers: int) -> Iterator[Runner]:
    """Give a runner with so many processes."""
    if workers <= 1:
        yield Runner(domain)
        return
    with ProcessPoolExecutor(workers, _Context(), initializer=_initialise, initargs=(domain,)) as pool:
        yield Runner(domain, pool, 2 * workers)
