"""Training windows of a block: cut from the recordings around each event that association kept."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phasenet_das import io
from phasenet_das.config import DataSettings, PickSettings, StudentSettings
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io.archive import open_archive
from phasenet_das.io.recording import Recording
from phasenet_das.pipeline.jobs import Block
from phasenet_das.tables import read_events, read_picks
from phasenet_das.training import cut_windows

if TYPE_CHECKING:
    from dascore import Patch


log = logging.getLogger(__name__)


def cut_block(
    block: Block,
    picks: str | Path,
    events: str | Path,
    folder: str | Path,
    *,
    data: DataSettings,
    settings: StudentSettings,
    pick: PickSettings,
    overlap_s: float,
) -> int:
    """Cut a training window around each event of a block: the recording, with kept and rejected picks.

    The recording is conditioned as it will be for the student's picking.
    """
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start, end = block.span
    table, found = read_picks(picks), read_events(events)
    inside = found[(found["time"] >= start) & (found["time"] < end)]
    if inside.empty:
        return 0
    margin = pd.Timedelta(seconds=overlap_s)
    reading = data.model_copy(update={"fallback_inputs": ()})
    try:
        source = open_archive(block.files, reading, start=start - margin, end=end + margin)
    except PhaseNetDASError as error:  # the index has named the files that are bad
        log.error("block %s gives no windows: %s", block.name, error)
        return 0
    windows = cut_windows(
        source,
        table,
        inside,
        folder,
        settings=pick,
        before_s=settings.before_s,
        after_s=settings.after_s,
        min_channel_share=settings.min_channel_share,
    )
    log.info("%s: %d events, %d training windows", block.name, len(inside), len(windows))
    return len(windows)


def load_span(segment: Recording, first: int, end: int, station_id: str) -> Patch:
    """Load a span of a record as a patch."""
    return io.make_patch(
        segment.load(samples=slice(first, end)),
        start_time=np.datetime64(segment.start_ns + round(first * segment.dt_s * 1e9), "ns"),
        dt_s=segment.dt_s,
        channel_index=segment.channel_index,
        distance_m=segment.distance_m,
        station_id=station_id,
        unit=segment.unit,
    )
