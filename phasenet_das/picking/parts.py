"""Finished shards on disk: each a small table named by all that its picks depend on.

That a part exists under its name is the manifest: parts are written beside their place, synced and renamed,
so that they are there whole or not at all, whoever writes them and wherever he is stopped.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from phasenet_das.errors import PhaseNetDASError
from phasenet_das.models.weights import Weights
from phasenet_das.picking.findings import ShardFacts
from phasenet_das.picking.shards import RecordPlan, Shard
from phasenet_das.picking.work import PickedShard
from phasenet_das.tables import to_arrow

ALGORITHM = 3
"""Version of how shards are picked: raised when equal inputs and settings give other picks."""

_FACTS = b"phasenet_das_shard"
_SPEED_ONLY = {"batch_size", "device", "weights", "weights_sha256"}
_ABANDONED_S = 3600.0


class DamagedPartError(PhaseNetDASError):
    """A finished shard cannot be read back; it is removed, so that it is picked again."""


class ShardKeys:
    """Names shards by all that their picks depend on."""

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
        self._cables: dict[int, tuple[RecordPlan, str]] = {}

    def key(self, plan: RecordPlan, shard: Shard) -> str:
        """Name a shard."""
        record, window = plan.record, plan.window(shard)
        first, end = window.source
        contents = [content for _, content in record.inputs(slice(first, end))]
        facts = {
            **self._common,
            "settings": plan.settings.model_dump(mode="json", exclude=_SPEED_ONLY),
            "cable": self._cable(plan),
            "scale": [plan.scale, plan.slowness, plan.share],
            "core": [plan.grid.first_index + n for n in shard.core],
            "core_ns": plan.grid.times_ns(np.array(shard.core)).tolist(),
            "rows": list(shard.rows),
            "loaded": [plan.source_grid.first_index + n for n in window.source],
            "ends": [first == 0, end == record.num_samples],
            "inputs": contents or self._run,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]

    def _cable(self, plan: RecordPlan) -> str:
        if id(plan) not in self._cables:
            record = plan.record
            digest = hashlib.sha256(np.ascontiguousarray(record.channel_index).tobytes())
            digest.update(np.ascontiguousarray(record.distance_m).tobytes())
            digest.update(repr((record.station_id, record.unit, record.dt_s)).encode())
            self._cables[id(plan)] = plan, digest.hexdigest()
        return self._cables[id(plan)][1]


class StoredPart:
    """What a part says about itself, without its picks."""

    def __init__(self, key: str, facts: ShardFacts, num_picks: int) -> None:
        self.key, self.facts, self.num_picks = key, facts, num_picks


class PartStore:
    """A folder of parts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found: dict[str, StoredPart] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def sweep(self) -> None:
        """Remove what runs that were stopped an hour ago or more left half written."""
        for path in self.folder.glob("??/.*.tmp"):
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink(missing_ok=True)

    def find(self, key: str) -> StoredPart | None:
        """Look a part up."""
        if key in self._found and self._path(key).exists():
            return self._found[key]
        try:
            metadata = pq.read_metadata(self._path(key))
            facts = json.loads(metadata.metadata[_FACTS])
            self._found[key] = StoredPart(key, ShardFacts.from_json(facts), metadata.num_rows)
            return self._found[key]
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            return None

    def picks(self, key: str) -> pd.DataFrame:
        """Read the picks of a part."""
        path = self._path(key)
        try:
            table = pq.read_table(path, page_checksum_verification=True)
            return table.to_pandas(strings_to_categorical=False)
        except (OSError, pa.ArrowException, ValueError) as error:
            if getattr(error, "errno", None) not in (None, errno.ENOENT):
                raise  # the disk, not the part
            self.discard(key)
            raise DamagedPartError(
                f"{path}: damaged ({error}): removed, so that it is picked again."
            ) from error

    def discard(self, key: str) -> None:
        """Remove a part, so that nobody takes it for done."""
        self._path(key).unlink(missing_ok=True)
        self._found.pop(key, None)

    def remove_damaged(self, keys: Iterable[str]) -> int:
        """Remove the parts that cannot be read back."""
        count = 0
        for key in keys:
            try:
                self.picks(key)
            except DamagedPartError:
                count += 1
        return count

    def write(self, key: str, picked: PickedShard) -> StoredPart:
        """Write a part whole or not at all; one that is there is replaced by its equal."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrow = to_arrow(picked.picks)
        facts = json.dumps(picked.facts.to_json()).encode()
        arrow = arrow.replace_schema_metadata({**arrow.schema.metadata, _FACTS: facts})
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
        return StoredPart(key, picked.facts, len(picked.picks))

    def remove_others(self, keys: set[str]) -> int:
        """Remove the parts that a table is not made of, and the jobs of workers whose run was stopped."""
        others = [path for path in self.folder.glob("??/*.parquet") if path.stem not in keys]
        for path in others:
            self.discard(path.stem)
        for path in self.folder.glob("job-*.pkl"):
            path.unlink(missing_ok=True)
        return len(others)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.parquet"


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
