"""Pick chunks on the workers of a dask cluster: of this machine, or of any that sees the same files.

A worker loads the network once and writes its chunks to the store itself, whole or not at all. A chunk of a
lost worker is picked again elsewhere. So nothing is lost or doubled.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from phasenet_das.config import PickSettings
from phasenet_das.errors import ConfigError
from phasenet_das.io.recording import Recording
from phasenet_das.models.weights import Weights
from phasenet_das.picking.chunks import Chunk
from phasenet_das.picking.networks import make_scorer
from phasenet_das.picking.plan import ChunkPlan, ChunkSize
from phasenet_das.picking.progress import StageTimes
from phasenet_das.picking.request import Range
from phasenet_das.picking.run import ChunkPicker, PickRun
from phasenet_das.picking.store import ChunkKeys, ChunkStore, Store, StoredChunk
from phasenet_das.tables import atomic_path

if TYPE_CHECKING:
    from distributed import Client


_RETRIES = 3
_LARGEST_BATCH = 4
_TIMEOUT = "60s"

Place = tuple[tuple[int, int], tuple[int, int], tuple[int, int], str]
Batch = list[Place]
"""Chunks as workers are told of them: place of the plan, core, rows, key."""


@dataclass(frozen=True)
class _Job:
    """All that a worker needs; written to the folder of the chunks, which workers must see anyway."""

    weights: Weights
    device: str
    settings: PickSettings
    station_id: str | None
    recordings: Sequence[Recording]
    size: ChunkSize
    wanted: Range
    folder: Path
    spread: bool


@dataclass
class _Worker:
    """A job as a worker holds it."""

    job: _Job
    run: PickRun
    store: ChunkStore
    plans: dict[int, list[ChunkPlan]] = field(default_factory=dict)

    def chunk(self, place: Place) -> Chunk:
        (number, rate_pass), core, rows, key = place
        if number not in self.plans:
            recording, job = self.job.recordings[number], self.job
            self.plans[number] = self.run.picker.plans(recording, job.size, job.wanted, number)
        return Chunk(self.plans[number][rate_pass], core, rows, key)


class DaskSubmit:
    """Picks chunks on the workers of a cluster."""

    def __init__(
        self,
        run: PickRun,
        recordings: Sequence[Recording],
        folder: Path,
        *,
        device: torch.device,
        workers: int = 1,
        scheduler: str | None = None,
    ) -> None:
        self._run, self._folder = run, folder
        self._workers, self._scheduler = workers, scheduler
        picker = run.picker
        self._job = _Job(
            weights=picker.weights,
            device=str(device),
            settings=picker.settings,
            station_id=picker.own_station_id,
            recordings=recordings,
            size=run.size,
            wanted=run.wanted,
            folder=folder.absolute(),
            spread=device.type == "cuda" and device.index is None,
        )

    def __call__(self, todo: Iterator[Chunk], _store: Store, times: StageTimes) -> Iterator[StoredChunk]:
        """Pick chunks; see :meth:`phasenet_das.picking.run.PickRun.pick_here`."""
        first = next(todo, None)
        if first is None:
            return
        path = _write_job(self._job, self._folder)
        try:
            with self._client() as client:
                for chunks, own in _in_window(client, str(path), itertools.chain([first], todo)):
                    times.add(own)
                    yield from chunks
        finally:
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _client(self) -> Iterator[Client]:
        from distributed import Client, LocalCluster

        if self._scheduler is not None:
            try:
                client = Client(self._scheduler, timeout=_TIMEOUT)
            except (OSError, TimeoutError, ValueError) as error:
                raise ConfigError(
                    f"--scheduler {self._scheduler}: cannot be reached ({error}). Expected the address that "
                    "'dask scheduler' prints, such as tcp://10.0.0.1:8786."
                ) from error
            with client:
                yield client
            return
        with (
            LocalCluster(
                n_workers=self._workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,
                dashboard_address=None,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


def pick_batch(path: str, batch: Batch) -> tuple[list[StoredChunk], StageTimes]:
    """Pick some chunks on a worker."""
    worker, times = _worker(path), StageTimes()
    there = {place[-1]: worker.store.find(place[-1]) for place in batch}
    chunks = [chunk for chunk in there.values() if chunk is not None]
    todo = (worker.chunk(place) for place in batch if there[place[-1]] is None)
    chunks += worker.run.pick_here(todo, worker.store, times)
    return chunks, times


def _in_window(
    client: Client, path: str, todo: Iterator[Chunk]
) -> Iterator[tuple[list[StoredChunk], StageTimes]]:
    """Keep every worker busy, and no more than two batches waiting for each."""
    from distributed import as_completed

    batches = _batches(todo, client)
    running: Any = as_completed()
    waiting = 0
    while True:
        for batch in itertools.islice(batches, max(0, 2 * max(1, _count(client)) + 1 - waiting)):
            running.add(client.submit(pick_batch, path, batch, pure=False, retries=_RETRIES))
            waiting += 1
        if waiting == 0:
            return
        future = next(running)
        waiting -= 1
        yield future.result()
        future.release()


def _batches(todo: Iterator[Chunk], client: Client) -> Iterator[Batch]:
    """Cut the work into runs of chunks, single ones while there are few for each worker."""
    head = list(itertools.islice(todo, 8 * _LARGEST_BATCH * max(1, _count(client))))
    size = max(1, min(_LARGEST_BATCH, len(head) // (8 * max(1, _count(client)))))
    rest = itertools.chain(head, todo)
    while batch := [(one.plan.place, one.core, one.rows, one.key) for one in itertools.islice(rest, size)]:
        yield batch


def _count(client: Client) -> int:
    return len(client.scheduler_info(n_workers=-1)["workers"])


def _write_job(job: _Job, folder: Path) -> Path:
    import cloudpickle

    content = cloudpickle.dumps(job)
    path = folder.absolute() / f"job-{hashlib.sha256(content).hexdigest()[:16]}.pkl"
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path


@lru_cache(maxsize=1)
def _worker(path: str) -> _Worker:
    """Load a job, and its network, once for each worker."""
    import cloudpickle

    job: _Job = cloudpickle.loads(Path(path).read_bytes())
    device = torch.device(_device(job))
    picker = ChunkPicker(job.weights, make_scorer(job.weights, device), job.settings, job.station_id)
    run = PickRun(picker, job.size, ChunkKeys(job.weights, job.station_id), job.wanted)
    return _Worker(job, run, ChunkStore(job.folder))


def _device(job: _Job) -> str:
    """Share the GPUs that this worker sees out among the workers, by their number."""
    if not job.spread:
        return job.device
    from distributed import get_worker

    number = re.findall(r"\d+", str(get_worker().name))
    return f"cuda:{int(number[-1]) % torch.cuda.device_count() if number else 0}"
