"""Picked chunks on disk, and the pick table merged from them in bounded memory.

Each chunk is a small table named by everything on which its picks depend. Its existence under that name is
the manifest: it is written beside its place, synced and renamed, so that it is whole or absent wherever a run
is stopped.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from phasenet_das.errors import PhaseNetDASError
from phasenet_das.models.weights import Weights
from phasenet_das.picking.chunks import Chunk
from phasenet_das.picking.multirate import join_arrivals, joining_reach_s
from phasenet_das.picking.peaks import SORTED_BY, join_picks
from phasenet_das.picking.plan import ChunkPlan
from phasenet_das.picking.request import Range
from phasenet_das.tables import PickWriter, atomic_path, to_arrow, write_sidecar
from phasenet_das.tables.coverage import ChunkInfo

ALGORITHM = 5
"""Version of how chunks are picked: raised when equal inputs and settings give other picks."""

_INFO = b"phasenet_das_chunk"
_SPEED_ONLY = {"batch_size", "device", "weights", "weights_sha256"}
_ABANDONED_S = 3600.0
_ROWS_AT_A_TIME = 400_000
_MARGIN_S = 1.0  # the peak is refined to within a sample of the core
FAINT = "faint"
"""Column of a chunk: whether a pick is listed only because of ``faint_score``."""

_STRETCH = "time_stretch"


class DamagedChunkError(PhaseNetDASError):
    """A stored chunk cannot be read back; it is removed, so that it is picked again."""


class ChunkKeys:
    """Names chunks by everything on which their picks depend."""

    def __init__(self, weights: Weights, station_id: str | None = None) -> None:
        self._common = {
            "algorithm": ALGORITHM,
            "weights": weights.sha256,
            "input": [weights.sampling_rate_hz, weights.phases, weights.component_order],
            "normalization": [weights.normalization, weights.window_samples],
            "calibration": repr(weights.calibration),
            "station_id": station_id,
        }
        self._run = uuid.uuid4().hex
        self._cables: dict[int, tuple[ChunkPlan, str]] = {}

    def key(self, chunk: Chunk) -> str:
        """Name a chunk."""
        plan, recording = chunk.plan, chunk.plan.recording
        first, end = chunk.context.source
        contents = [content for _, content in recording.inputs(slice(first, end), in_memory=True)]
        if not all(contents) or not contents:  # another run may hold other data in memory
            contents += [self._run, str(plan.number)]
        channels = recording.channel_index[plan.core_channels(chunk.rows)]
        values = {
            **self._common,
            "settings": plan.settings.model_dump(mode="json", exclude=_SPEED_ONLY),
            "cable": self._cable(plan),
            "rate_pass": [plan.rate_pass.number, plan.time_stretch, plan.rate_pass.work_fraction],
            "core": [plan.grid.first_index + n for n in chunk.core],
            "core_ns": plan.grid.times_ns(np.array(chunk.core)).tolist(),
            "rows": list(chunk.rows),
            "channels": [len(channels), int(channels.min()), int(channels.max())],
            "loaded": [plan.source_grid.first_index + n for n in (first, end)],
            "ends": [first == 0, end == recording.num_samples],
            "inputs": contents,
        }
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]

    def _cable(self, plan: ChunkPlan) -> str:
        if id(plan) not in self._cables:
            recording = plan.recording
            digest = hashlib.sha256(np.ascontiguousarray(recording.channel_index).tobytes())
            digest.update(np.ascontiguousarray(recording.distance_m).tobytes())
            digest.update(repr((recording.station_id, recording.unit, recording.dt_s)).encode())
            self._cables[id(plan)] = plan, digest.hexdigest()
        return self._cables[id(plan)][1]


class StoredChunk:
    """A picked chunk without its picks."""

    def __init__(self, key: str, info: ChunkInfo, num_picks: int) -> None:
        self.key, self.info, self.num_picks = key, info, num_picks


class MemoryStore:
    """Picked chunks in memory, for a table that is held in memory too."""

    def __init__(self) -> None:
        self._picks: dict[str, pd.DataFrame] = {}

    def find(self, _key: str) -> StoredChunk | None:
        """Find nothing: no earlier run left anything here."""
        return None

    def discard(self, _key: str) -> None:
        """Do nothing."""

    def sweep(self) -> None:
        """Do nothing."""

    def picks(self, key: str) -> pd.DataFrame:
        """Return the picks of a chunk."""
        return self._picks[key]

    def write(self, chunk: Chunk) -> StoredChunk:
        """Keep the picks of a chunk."""
        picks, info = _picked(chunk)
        self._picks[chunk.key] = picks
        return StoredChunk(chunk.key, info, len(picks))


class ChunkStore:
    """A folder of chunks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found: dict[str, StoredChunk] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def sweep(self) -> None:
        """Remove what runs that were stopped an hour ago or more left half written."""
        for path in self.folder.glob("??/.*.tmp"):
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink(missing_ok=True)

    def find(self, key: str) -> StoredChunk | None:
        """Look a chunk up."""
        if key in self._found and self._path(key).exists():
            return self._found[key]
        try:
            metadata = pq.read_metadata(self._path(key))
            info = ChunkInfo.from_json(json.loads(metadata.metadata[_INFO]))
            self._found[key] = StoredChunk(key, info, metadata.num_rows)
            return self._found[key]
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            return None

    def picks(self, key: str) -> pd.DataFrame:
        """Read the picks of a chunk."""
        path = self._path(key)
        try:
            table = pq.read_table(path, page_checksum_verification=True)
            return table.to_pandas(strings_to_categorical=False)
        except (OSError, pa.ArrowException, ValueError) as error:
            if getattr(error, "errno", None) not in (None, errno.ENOENT):
                raise  # the disk, not the chunk
            self.discard(key)
            raise DamagedChunkError(
                f"{path}: damaged ({error}): removed, so that it is picked again."
            ) from error

    def discard(self, key: str) -> None:
        """Remove a chunk, so that nobody takes it for done."""
        self._path(key).unlink(missing_ok=True)
        self._found.pop(key, None)

    def remove_damaged(self, keys: Iterable[str]) -> None:
        """Remove the chunks that cannot be read back."""
        for key in keys:
            with contextlib.suppress(DamagedChunkError):
                self.picks(key)

    def write(self, chunk: Chunk) -> StoredChunk:
        """Write a chunk whole or not at all; one that is there is replaced by its equal."""
        key, (picks, info) = chunk.key, _picked(chunk)
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrow = to_arrow(picks)
        arrow = arrow.replace_schema_metadata(
            {**arrow.schema.metadata, _INFO: json.dumps(info.to_json()).encode()}
        )
        temporary = path.with_name(f".{key}-{uuid.uuid4().hex[:8]}.tmp")
        try:
            with temporary.open("wb") as file:
                pq.write_table(arrow, file, compression="zstd", write_page_checksum=True)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
        return StoredChunk(key, info, len(picks))

    def remove_others(self, keys: set[str]) -> int:
        """Remove the chunks that a table is not made of, and the jobs of workers whose run was stopped."""
        others = [path for path in self.folder.glob("??/*.parquet") if path.stem not in keys]
        for path in others:
            self.discard(path.stem)
        for path in self.folder.glob("job-*.pkl"):
            path.unlink(missing_ok=True)
        return len(others)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.parquet"


def _picked(chunk: Chunk) -> tuple[pd.DataFrame, ChunkInfo]:
    assert chunk.picks is not None  # noqa: S101 - picked before
    assert chunk.info is not None  # noqa: S101
    return chunk.picks, chunk.info


def _sync_folder(folder: Path) -> None:
    """Make a renaming last through a loss of power, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


Store = ChunkStore | MemoryStore


class PickSummary:
    """Counts of a pick table that is not held in memory.

    Attributes
    ----------
    num_picks : int
        Rows.
    by_phase : dict of str to int
        Rows of each phase.
    channels : set of (str, int)
        Cables and channels with picks.
    """

    def __init__(self) -> None:
        self.num_picks = 0
        self.by_phase: dict[str, int] = {}
        self.channels: set[tuple[str, int]] = set()

    def add(self, picks: pd.DataFrame) -> None:
        """Count further rows."""
        self.num_picks += len(picks)
        for phase, count in picks["phase_type"].value_counts().items():
            self.by_phase[str(phase)] = self.by_phase.get(str(phase), 0) + int(count)
        pairs = picks[["station_id", "channel_index"]].drop_duplicates()
        self.channels.update(pairs.itertuples(index=False, name=None))


def merged(
    chunks: Sequence[StoredChunk], read: Callable[[str], pd.DataFrame], wanted: Range | None = None
) -> Iterator[pd.DataFrame]:
    """Merge chunks to one table in the order of time, and keep the picks of a range."""
    reach = pd.Timedelta(seconds=merging_reach_s(chunks))
    num_passes = len(_joined_stretches(chunks))
    select = (wanted or Range()).select
    waiting: list[pd.DataFrame] = []
    rows, begin = 0, pd.Timestamp.min.tz_localize("UTC") + reach
    for one in sorted(chunks, key=lambda chunk: (chunk.info.start_ns, chunk.key)):
        if one.num_picks == 0:
            continue
        if rows >= _ROWS_AT_A_TIME:
            table = join_picks(waiting)
            end = pd.Timestamp(one.info.start_ns, tz="UTC") - reach
            if (table["phase_time"] < end).any():
                yield select(_settled(table, begin, end, num_passes))
                begin = max(begin, end)
            waiting = [table[table["phase_time"] >= begin - reach]]
            rows = len(waiting[0])
        waiting.append(read(one.key).assign(**{_STRETCH: one.info.time_stretch}))
        rows += one.num_picks
    if rows:
        last = pd.Timestamp.max.tz_localize("UTC")
        yield select(_settled(join_picks(waiting), begin, last, num_passes))


def merging_reach_s(chunks: Iterable[StoredChunk]) -> float:
    """Return how far from a time the picks of other chunks matter for the table there, s."""
    stretches = _joined_stretches(chunks)
    return _MARGIN_S + (joining_reach_s(max(stretches), len(stretches)) if stretches else 0.0)


def _joined_stretches(chunks: Iterable[StoredChunk]) -> set[float]:
    """Give the time stretch of each rate pass whose picks are joined; none where they stay as they are."""
    return {chunk.info.time_stretch for chunk in chunks if chunk.info.joined}


def merge_chunks(store: Store, chunks: Sequence[StoredChunk], wanted: Range | None = None) -> pd.DataFrame:
    """Merge chunks to a table in memory."""
    return join_picks(merged(chunks, store.picks, wanted))


def write_merged(
    store: Store,
    chunks: Sequence[StoredChunk],
    path: Path,
    provenance: Mapping[str, Any],
    wanted: Range | None = None,
) -> PickSummary:
    """Merge chunks to a file, in bounded memory."""
    summary = PickSummary()
    with atomic_path(path) as temporary:
        writer = PickWriter(temporary, provenance)
        for table in merged(chunks, store.picks, wanted):
            writer.write(table)
            summary.add(table)
        writer.close()
    if path.suffix == ".csv":
        write_sidecar(path, provenance)
    return summary


def _settled(table: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp, num_passes: int) -> pd.DataFrame:
    """Join picks of one arrival, but for faint ones, and keep a span of time; the rest surrounds it."""
    table = table.drop_duplicates(["pick_id", _STRETCH], ignore_index=True)
    faint = table[FAINT].to_numpy(bool) if FAINT in table else np.zeros(len(table), bool)
    strong = table[~faint].reset_index(drop=True)
    joined = strong
    if num_passes:
        joined = join_arrivals(strong, strong[_STRETCH].to_numpy(), num_passes)
    joined = pd.concat([joined, table[faint]]) if faint.any() else joined
    joined = joined.drop(columns=[_STRETCH, FAINT], errors="ignore")
    joined = joined.sort_values(SORTED_BY, kind="stable", ignore_index=True)
    within = (joined["phase_time"] >= begin) & (joined["phase_time"] < end)
    return joined[within].reset_index(drop=True)
