"""Pick an archive into a table on disk, whatever its length, in bounded memory.

An interrupted run resumes from the chunks in its store.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings
from phasenet_das.io.archive import Archive, open_archive
from phasenet_das.io.metadata import UserMetadata
from phasenet_das.io.recording import Recording
from phasenet_das.picking.progress import StageTimes
from phasenet_das.picking.request import Range, check_request
from phasenet_das.picking.run import PickedChunks, PickRun, Submit, pick_chunks
from phasenet_das.picking.store import ChunkStore, DamagedChunkError, PickSummary, write_merged
from phasenet_das.tables import write_table
from phasenet_das.tables.provenance import provenance

if TYPE_CHECKING:
    from phasenet_das.picking.picker import Picker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """Where recordings are picked, and what is kept.

    Attributes
    ----------
    workers : int
        Processes of this machine.
    scheduler : str or None
        Address of a dask scheduler, whose workers pick instead.
    resume : bool
        Use the chunks of an earlier run.
    keep_chunks : bool
        Leave the chunks beside the table, so that a later run picks only what has changed.
    strict : bool
        Stop at the first bad recording or channel.
    """

    workers: int = 1
    scheduler: str | None = None
    resume: bool = True
    keep_chunks: bool = True
    strict: bool = False


@dataclass(frozen=True)
class PickReport:
    """What a run has done.

    Attributes
    ----------
    output : pathlib.Path
        The pick table.
    summary : PickSummary
        Counts of its rows.
    coverage : pandas.DataFrame
        What was examined.
    num_chunks, reused : int
        Chunks, and how many of them an earlier run left.
    times : StageTimes
        Time spent in each step.
    """

    output: Path
    summary: PickSummary
    coverage: pd.DataFrame
    num_chunks: int
    reused: int
    times: StageTimes = field(default_factory=StageTimes)


def pick_archive(
    picker: Picker,
    source: Any,  # noqa: ANN401 - paths or one of several packages' objects
    output: str | Path,
    settings: PickSettings | None = None,
    *,
    data: DataSettings | None = None,
    continuous: ContinuousSettings | None = None,
    start: Any = None,  # noqa: ANN401 - a time in any form
    end: Any = None,  # noqa: ANN401
    channel_range: tuple[int, int] | None = None,
    channel_step: int = 1,
    station_id: str | None = None,
    options: RunOptions | None = None,
    coverage: str | Path | None = None,
    index: str | Path | None = None,
    progress: bool = False,
) -> PickReport:
    """Pick recordings into a table on disk, whatever their length, in bounded memory.

    Parameters
    ----------
    picker : Picker
        The network.
    source : path, sequence of paths, Archive, or anything that Picker.pick takes
        Files, folders, glob patterns, or recordings.
    output : str or pathlib.Path
        Pick table to write, ``.parquet`` or ``.csv``. Picked chunks are kept in ``OUTPUT.chunks``.
    settings, data, continuous : PickSettings, DataSettings, ContinuousSettings, optional
        How to pick; what the files do not state; how much at a time.
    start, end : str, datetime, numpy.datetime64 or obspy.UTCDateTime, optional
        Time range, half open. The picks in it are those of the whole recording.
    channel_range : (int, int), optional
        Range of channel numbers, half open, with the same rule; by default that of `data`.
    channel_step : int
        Take channels whose number is a multiple of this.
    station_id : str, optional
        Name of the cable; else the recordings' own.
    options : RunOptions, optional
        Workers, resuming, strictness.
    coverage : str or pathlib.Path, optional
        Coverage table to write; ``NAME.coverage.csv`` beside the picks by default.
    index : str or pathlib.Path, optional
        Folder in which the headers of the files are kept, for runs to share; in ``OUTPUT.chunks`` by default.
    progress : bool
        Show a progress bar.

    Returns
    -------
    PickReport
        What was written.

    Raises
    ------
    TableError
        `output` is not the name of a table.
    PhaseNetDASError
        Nothing can be picked; with ``strict``, the first problem.
    """
    choice, how = settings or PickSettings(), options or RunOptions()
    output = Path(output)
    check_request(_paths(source), output, start=start, end=end, channel_range=channel_range)
    folder = output.with_name(output.name + ".chunks")
    data, wanted = select_range(data, start, end, channel_range)
    store = ChunkStore(folder)
    recordings, left_out = open_recordings(
        source,
        data,
        index=Path(index or folder / "index"),
        strict=how.strict,
        channel_step=channel_step,
        progress=progress,
    )
    run = PickRun.of(picker.chunk_picker(choice, station_id), continuous, wanted=wanted, strict=how.strict)
    submit = _submit(run, recordings, picker, store, how)
    pick_all = partial(pick_chunks, run, recordings, store, submit=submit, progress=progress)
    found = pick_all(resume=how.resume)
    made_by = _provenance(found, recordings, picker, choice)
    try:
        summary = write_merged(store, found.chunks, output, made_by, wanted)
    except DamagedChunkError as error:
        found = _pick_damaged(found, store, error, pick_all)
        summary = write_merged(store, found.chunks, output, made_by, wanted)
    table = found.coverage(left_out)
    write_table(table, Path(coverage or output.with_suffix(".coverage.csv")), made_by)
    if how.keep_chunks:
        store.remove_others({chunk.key for chunk in found.chunks})
    else:
        shutil.rmtree(folder)
    return PickReport(output, summary, table, len(found.chunks), found.reused, found.times)


def _pick_damaged(
    found: PickedChunks, store: ChunkStore, error: DamagedChunkError, pick_all: Callable[[], PickedChunks]
) -> PickedChunks:
    """Pick the chunks again whose files are damaged."""
    log.warning("%s", error)
    store.remove_damaged(chunk.key for chunk in found.chunks)
    again = pick_all()
    again.reused -= len(found.chunks) - found.reused  # this run's own
    return again


def select_range(
    data: DataSettings | None,
    start: Any,  # noqa: ANN401
    end: Any,  # noqa: ANN401
    channel_range: tuple[int, int] | None,
) -> tuple[DataSettings, Range]:
    """Turn the channel range of the data settings into a selection, for a range never cuts a recording."""
    data = data or DataSettings()
    wanted = Range.of(start, end, data.channel_range if channel_range is None else channel_range)
    return data.model_copy(update={"channel_range": None}), wanted


def open_recordings(
    source: Any,  # noqa: ANN401
    data: DataSettings,
    *,
    index: Path | None = None,
    strict: bool = False,
    channel_step: int = 1,
    progress: bool = False,
) -> tuple[Sequence[Recording], list[pd.DataFrame]]:
    """Return the recordings of a source, and the coverage rows of what is in none."""
    items = list(source) if isinstance(source, list | tuple) else [source]
    of_recordings = bool(items) and all(isinstance(one, Recording) for one in items)
    is_open = of_recordings or isinstance(source, Archive)
    if is_open and (UserMetadata.of(data) or channel_step > 1):
        log.warning("the recordings are open already: data settings and channel_step do not change them")
    if of_recordings:
        return items, []
    if not is_open:
        source = open_archive(
            source, data, index=index, strict=strict, channel_step=channel_step, progress=progress
        )
        log.info("%s", source.summary())
    return source.recordings, [source.coverage]


def _paths(source: Any) -> Sequence[str | Path]:  # noqa: ANN401
    """Return the paths that a source is; none when it is something in memory."""
    if isinstance(source, str | Path):
        return [source]
    is_paths = isinstance(source, list | tuple) and all(isinstance(item, str | Path) for item in source)
    return source if is_paths else []


def _submit(
    run: PickRun, recordings: Sequence[Recording], picker: Picker, store: ChunkStore, options: RunOptions
) -> Submit | None:
    """Choose where chunks are picked; None for this process."""
    if options.workers <= 1 and options.scheduler is None:
        return None
    from phasenet_das.picking.dask import DaskSubmit

    return DaskSubmit(
        run,
        recordings,
        store.folder,
        device=picker.device,
        workers=options.workers,
        scheduler=options.scheduler,
    )


def _provenance(
    found: PickedChunks, recordings: Sequence[Recording], picker: Picker, settings: PickSettings
) -> dict[str, Any]:
    inputs = {
        path: key for one in recordings for path, key in one.inputs(one.sample_range(*found.wanted.times))
    }
    return provenance(
        settings=picker.used_settings(settings),
        inputs=inputs,
        amplitude_unit=found.amplitude_unit,
        weights_id=picker.weights.weights_id,
    )
