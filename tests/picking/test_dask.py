"""Workers do not show: the same table from one process or several, and when a worker is lost."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path

import numpy as np

from phasenet_das.config import ContinuousSettings, PickSettings
from phasenet_das.io.recording import Recording, recording_of_function
from phasenet_das.picking.dask import DaskSubmit
from phasenet_das.picking.run import PickRun, pick_chunks
from phasenet_das.picking.store import ChunkStore, merge_chunks
from tests.picking.small_pickers import assert_same_picks, small_picker


def _noise(channels: slice, samples: slice, *, fatal: Path | None = None) -> np.ndarray:
    """Noise; the first process to reach the middle of the record is killed there, once."""
    if fatal is not None and samples.stop > 1500:
        try:
            fatal.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        except FileNotFoundError:
            pass
    return np.random.default_rng(6).standard_normal((20, 3000)).astype(np.float32)[channels, samples]


def _record(fatal: Path | None = None) -> Recording:
    return recording_of_function(
        station_id="CABLE",
        start_time=np.datetime64(1_714_979_289_120_000_000, "ns"),
        dt_s=0.01,
        num_samples=3000,
        channel_index=np.arange(20),
        distance_m=np.arange(20.0),
        generate=functools.partial(_noise, fatal=fatal),
    )


def test_two_processes_one_of_which_is_lost_give_the_table_of_one(tmp_path: Path) -> None:
    picker = small_picker()
    settings = ContinuousSettings(chunk_s=8.0, chunk_channels=12)
    run = PickRun.of(picker.chunk_picker(PickSettings()), settings)
    expected = picker.pick(_record(), continuous=settings)
    fatal = tmp_path / "fatal"
    fatal.touch()
    record, store = _record(fatal), ChunkStore(tmp_path / "chunks")
    submit = DaskSubmit(run, [record], store.folder, device=picker.device, workers=2)
    found = pick_chunks(run, [record], store, submit=submit)
    assert not fatal.exists()
    assert len({chunk.key for chunk in found.chunks}) == len(found.chunks) == 16  # two rates
    assert_same_picks(expected, merge_chunks(store, found.chunks))
    assert len(list(store.folder.glob("??/*.parquet"))) == 16
    assert not list(store.folder.glob("*.pkl"))
