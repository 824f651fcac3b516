"""Read ahead, or work on several items side by side, in threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

T = TypeVar("T")
R = TypeVar("R")


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """Yield items that a thread makes; the next is begun when one is taken, so that one at most waits."""
    source = iter(items)

    def make() -> list[T]:
        for item in source:
            return [item]
        return []

    with ThreadPoolExecutor(1) as thread:
        ahead: Future[list[T]] = thread.submit(make)
        while made := ahead.result():
            ahead = thread.submit(make)
            yield made.pop()  # no reference stays here, for an item is large


def side_by_side(work: Callable[[T], R], items: Iterable[T], count: int) -> Iterator[R]:
    """Yield what up to `count` threads make of items, in the order in which they end.

    The threads share the cores: two that compute alone need less time than two that share each product.
    """
    cores, source = torch.get_num_threads(), iter(items)
    todo = list(itertools.islice(source, count))
    share = max(1, cores // max(1, len(todo)))
    running: set[Future[R]] = set()
    with (
        threadpool_limits(share, user_api="blas"),
        ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(share,)) as threads,
    ):
        try:
            while todo or running:
                running |= {threads.submit(work, todo.pop()) for _ in range(len(todo))}
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in ended)
                todo = list(itertools.islice(source, count - len(running)))
        finally:
            torch.set_num_threads(cores)  # for threads to come: each has its own number
