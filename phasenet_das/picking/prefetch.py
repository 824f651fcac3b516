"""Read ahead: run an iterator in a thread, one item ahead of whoever takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


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
