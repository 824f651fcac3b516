"""Training windows of a block: cut from the recordings around each event that association kept."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from phasenet_das import io
from phasenet_das.config import DataSettings, PickSettings, ScatterSettings, SelfTrainingSettings
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io.archive import open_archive
from phasenet_das.io.recording import Recording
from phasenet_das.picking.conditioning import condition
from phasenet_das.pipeline.blocks import Block
from phasenet_das.tables import read_events, read_picks
from phasenet_das.training.cutting import event_fields
from phasenet_das.training.windows import write_window

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
    settings: SelfTrainingSettings,
    scatter: ScatterSettings,
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
    margin = pd.Timedelta(seconds=scatter.overlap_s)
    reading = data.model_copy(update={"alternatives": ()})
    try:
        source = open_archive(block.files, reading, start=start - margin, end=end + margin)
    except PhaseNetDASError as error:  # the index has named the files that are bad
        log.error("block %s gives no windows: %s", block.name, error)
        return 0
    count = 0
    for event in inside.to_dict("records"):
        for segment in source.recordings:
            count += _cut_event(segment, event, table, folder, data, settings)
    log.info("%s: %d events, %d training windows", block.name, len(inside), count)
    return count


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


def _cut_event(
    segment: Recording,
    event: dict[Any, Any],
    table: pd.DataFrame,
    folder: Path,
    data: DataSettings,
    settings: SelfTrainingSettings,
) -> int:
    station = data.station_id or segment.station_id
    mine = table[(table["station_id"] == station) & table["channel_index"].isin(segment.channel_index)]
    kept = mine[mine["event_index"] == event["event_index"]]
    share = kept["channel_index"].nunique() / len(segment.channel_index)
    if kept.empty or share < settings.min_channel_share:
        return 0
    span = _span(segment, kept["phase_time"], settings)
    if span is None:
        return 0
    patch = _conditioned(load_span(segment, *span, station), settings)
    begin = pd.Timestamp(segment.start_ns + round(span[0] * segment.dt_s * 1e9))
    name = f"{station or 'DAS'}_{begin:%Y%m%dT%H%M%S%f}.h5"
    write_window(patch, mine, folder / name, event_fields(event))
    return 1


def _span(segment: Recording, times: pd.Series, settings: SelfTrainingSettings) -> tuple[int, int] | None:
    """Give the samples around the picks of an event; nothing where the record holds none of them."""
    first_ns, last_ns = (int(time.value) for time in (times.min(), times.max()))
    dt_ns = segment.dt_s * 1e9
    first = round((first_ns - segment.start_ns - settings.before_s * 1e9) / dt_ns)
    end = round((last_ns - segment.start_ns + settings.after_s * 1e9) / dt_ns)
    low, high = max(0, first), min(segment.num_samples, end)
    inside = (times >= pd.Timestamp(segment.start_ns + round(low * dt_ns), tz="UTC")) & (
        times < pd.Timestamp(segment.start_ns + round(high * dt_ns), tz="UTC")
    )
    return (low, high) if low < high and inside.any() else None


def _conditioned(patch: Patch, settings: SelfTrainingSettings) -> Patch:
    """Condition a window as the student's picking does; channels of which a part is missing become dead."""
    student = PickSettings(**settings.student.model_dump())
    data = io.get_data(patch)
    broken = ~np.isfinite(data).all(axis=1)
    ready = condition(data, io.get_dt_s(patch), io.get_unit(patch), student)
    out = ready.data.copy()
    out[broken] = 0.0
    return io.make_patch(
        out,
        start_time=io.get_times(patch)[0],
        dt_s=io.get_dt_s(patch),
        channel_index=io.get_channel_index(patch),
        distance_m=io.get_distance_m(patch),
        station_id=io.get_station_id(patch),
        unit=ready.unit,
    )
