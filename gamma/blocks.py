"""The record in parts: time blocks for seeds, batches of events for fits, run here or in processes.

Blocks lie on an absolute grid and see every pick an origin in them can have; batches are cut from the list of
all events and carry their neighbours along. Neither depends on the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gamma.mixture import Components
from gamma.setup import Setup
from gamma.workers import context

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

_MAX_BATCH = 64
_MAX_PAIRS = 150_000


@dataclass(frozen=True)
class Span:
    """A batch of events: places in the list of all events, and which of them are its own."""

    member: I64
    core: npt.NDArray[np.bool_]


class Runner:
    """Maps a function of (setup, task) over tasks, in order, in this process or in others."""

    def __init__(self, setup: Setup, pool: ProcessPoolExecutor | None = None) -> None:
        self.setup = setup
        self._pool = pool

    def map(self, function: Callable[[Setup, Any], Any], tasks: list[Any]) -> Iterator[Any]:
        """Yield the results in the order of the tasks."""
        if self._pool is None or len(tasks) < 2:  # starting a process costs more than a single task
            return (function(self.setup, task) for task in tasks)
        return self._pool.map(_call, [(function, task) for task in tasks])


_worker_setup: list[Setup] = []


def _initialise(setup: Setup) -> None:
    threadpool_limits(1)  # threads of linear algebra would fight the other processes over cores
    _worker_setup[:] = [setup]


def _call(job: tuple[Callable[[Setup, Any], Any], Any]) -> Any:  # noqa: ANN401 - whatever the function gives
    function, task = job
    return function(_worker_setup[0], task)


@contextmanager
def open_runner(setup: Setup, workers: int) -> Iterator[Runner]:
    """Give a runner with so many processes."""
    if workers <= 1:
        yield Runner(setup)
        return
    with ProcessPoolExecutor(workers, context(), initializer=_initialise, initargs=(setup,)) as pool:
        yield Runner(setup, pool)


def cut_blocks(first_s: float, last_s: float, block_s: float) -> list[tuple[float, float]]:
    """Cut an interval into blocks on the grid of multiples of `block_s`."""
    lo, hi = int(np.floor(first_s / block_s)), int(np.floor(last_s / block_s))
    return [(index * block_s, (index + 1) * block_s) for index in range(lo, hi + 1)]


def cut_batches(components: Components, reach_s: float, slots: int) -> list[Span]:
    """Cut events, sorted by origin time, into batches, with all neighbours that may share picks."""
    size = int(np.clip(_MAX_PAIRS // max(slots, 1), 4, _MAX_BATCH))
    time = components.theta[:, 0]
    out = []
    for first in range(0, len(time), size):
        last = min(first + size, len(time))
        lo = int(np.searchsorted(time, time[first] - reach_s))
        hi = int(np.searchsorted(time, time[last - 1] + reach_s, side="right"))
        member = np.arange(lo, hi)
        out.append(Span(member, (member >= first) & (member < last)))
    return out
