"""Shards through their steps with reading and preparing ahead of the network, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from phasenet_das.picking.shards import RecordPlan, Shard
from phasenet_das.picking.work import LoadedShard, PickedShard, ScoredShard, ShardPicker

STAGES = ("read", "prepare", "network", "picks")

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class StageTimes:
    """Time spent in each step; as steps overlap, the sum may exceed what has passed.

    Attributes
    ----------
    seconds : dict of str to float
        By step: read, prepare (screen, condition, resample, measure amplitudes), network (normalise, score,
        find peaks), picks (amplitudes, tables, writing), s.
    samples : int
        Samples of the cores at the network's rate.
    """

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    samples: int = 0

    def timed(self, stage: str, work: Callable[[T], R]) -> Callable[[T], R]:
        """Measure a step."""

        def measured(item: T) -> R:
            begin = time.perf_counter()
            try:
                return work(item)
            finally:
                self.seconds[stage] += time.perf_counter() - begin

        return measured

    def add(self, other: StageTimes) -> None:
        """Add the times of another process."""
        self.samples += other.samples
        for stage, seconds in other.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def __str__(self) -> str:
        total = sum(self.seconds.values()) or 1.0
        return ", ".join(f"{name} {value / total:.0%}" for name, value in self.seconds.items())


@dataclass
class _Next(Generic[T]):
    """What a thread hands over: a value; or none, at the end or for an error."""

    values: list[T]
    error: BaseException | None = None


class Ahead(Generic[T]):
    """Run an iterator in a thread, one item ahead of who takes them.

    The next item is begun when the one before is taken, so that no more than one waits.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._slot: list[_Next[T]] = []
        self._changed = threading.Condition()
        self._wanted = 1
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        try:
            while (found := self._take()).values:
                yield found.values.pop()
            if found.error is not None:
                raise found.error
        finally:
            self.close()

    def close(self) -> None:
        """Stop the thread behind the item that it is at."""
        with self._changed:
            self._closed = True
            self._slot.clear()
            self._changed.notify_all()
        self._thread.join()

    def _take(self) -> _Next[T]:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._slot))
            found = self._slot.pop()
            self._wanted += 1
            self._changed.notify_all()
            return found

    def _run(self) -> None:
        last = False
        while not last:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted > 0 or self._closed)
                if self._closed:
                    return
                self._wanted -= 1
            found = self._next()
            last = not found.values
            with self._changed:
                if not self._closed:
                    self._slot.append(found)
                    self._changed.notify_all()
            del found  # else it would stay in memory here when it has been taken

    def _next(self) -> _Next[T]:
        try:
            return _Next([next(self._items)])
        except StopIteration:
            return _Next([])
        except BaseException as error:  # noqa: BLE001 - handed to the thread that takes the item
            return _Next([], error)


def run_pipeline(
    picker: ShardPicker,
    work: Iterable[tuple[RecordPlan, Shard]],
    keep: Callable[[PickedShard], R],
    times: StageTimes,
) -> Iterator[R]:
    """Pick shards: while the network scores one, the next is read and prepared.

    Where the network runs on a GPU, reading and preparing also overlap, for one more shard in memory.
    """

    def read(item: tuple[RecordPlan, Shard]) -> LoadedShard:
        return picker.load(*item)

    load = times.timed("read", read)
    prepare = times.timed("prepare", picker.prepare)
    score = times.timed("network", picker.score)

    def end(scored: ScoredShard) -> R:
        return keep(picker.finish(scored))

    finish = times.timed("picks", end)
    loaded: Iterable[LoadedShard] = map(load, work)
    if picker.fast_network:
        loaded = Ahead(loaded)
    for ready in Ahead(map(prepare, loaded)):
        core, rows = ready.shard.core, ready.shard.rows
        times.samples += (core[1] - core[0]) * (rows[1] - rows[0])
        yield finish(score(ready))
