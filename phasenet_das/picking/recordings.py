"""Pick the recordings that settings name, and say what was examined."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phasenet_das import io
from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io.archive import Archive, open_archive
from phasenet_das.io.recording import Recording
from phasenet_das.picking.continuous import ContinuousRun, PickedParts, Submit, pick_parts
from phasenet_das.picking.merge import PickSummary, write_merged
from phasenet_das.picking.parts import DamagedPartError, PartStore
from phasenet_das.picking.picker import Picker
from phasenet_das.picking.pipeline import StageTimes
from phasenet_das.tables import check_table_name, write_table
from phasenet_das.tables.provenance import provenance

if TYPE_CHECKING:
    import dascore


log = logging.getLogger(__name__)


def read_recording(source: str, data: DataSettings) -> dascore.Patch:
    """Read a recording with what the settings state about it.

    Parameters
    ----------
    source : str
        Path, or ``daspy:example``.
    data : DataSettings
        Cable name, channel range, and whatever the file does not say.

    Returns
    -------
    dascore.Patch
        See :func:`phasenet_das.io.read`.
    """
    return io.read(
        source,
        start_time=data.start_time,
        dt_s=data.dt_s,
        dx_m=data.dx_m,
        unit=data.unit,
        station_id=data.station_id,
        first_channel=data.first_channel,
        channels=data.channel_range,
    )


@dataclass(frozen=True)
class Selection:
    """Which part of recordings is picked, and where.

    Attributes
    ----------
    start, end : str or None
        Range of time, half open, ISO 8601.
    channel_step : int
        Take channels whose number is a multiple of this.
    workers : int
        Processes of this machine.
    scheduler : str or None
        Address of a dask scheduler, whose workers pick instead.
    resume : bool
        Use the parts of an earlier run.
    keep_parts : bool
        Leave the parts beside the table, so that a later run redoes only what has changed.
    strict : bool
        Stop at the first bad recording or channel.
    """

    start: str | None = None
    end: str | None = None
    channel_step: int = 1
    workers: int = 1
    scheduler: str | None = None
    resume: bool = True
    keep_parts: bool = True
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
    num_parts, reused : int
        Shards, and how many of them were there before.
    times : StageTimes
        What the time went into.
    """

    output: Path
    summary: PickSummary
    coverage: pd.DataFrame
    num_parts: int
    reused: int
    times: StageTimes = field(default_factory=StageTimes)


def pick_files(
    picker: Picker,
    inputs: Sequence[str],
    output: Path,
    *,
    data: DataSettings | None = None,
    settings: PickSettings | None = None,
    continuous: ContinuousSettings | None = None,
    selection: Selection | None = None,
    coverage: Path | None = None,
    progress: bool = False,
) -> PickReport:
    """Pick files and folders of recordings into one table, whatever their length, in bounded memory.

    Parameters
    ----------
    picker : Picker
        The network.
    inputs : sequence of str
        Files, folders, glob patterns.
    output : pathlib.Path
        Pick table to write, ``.parquet`` or ``.csv``. Finished shards are kept in ``OUTPUT.parts``.
    data, settings, continuous : DataSettings, PickSettings, ContinuousSettings, optional
        What the files do not say; how to pick; how much at a time.
    selection : Selection, optional
        Which part, and where.
    coverage : pathlib.Path, optional
        Coverage table to write; ``NAME.coverage.csv`` beside the picks by default.
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
        Nothing can be picked; with ``strict``, the first thing wrong.
    """
    choice, what = settings or PickSettings(), selection or Selection()
    output = check_table_name(output)
    folder = output.with_name(output.name + ".parts")
    store = PartStore(folder)
    source = open_archive(
        inputs,
        data or DataSettings(),
        index=folder / "index",
        strict=what.strict,
        start=what.start,
        end=what.end,
        channel_step=what.channel_step,
        progress=progress,
    )
    log.info("%s", source.summary())
    if not source.recordings:
        raise PhaseNetDASError("pick: no recording in this range of time; 'phasenet-das info' says what is.")
    run = ContinuousRun.of(picker.shard_picker(choice), continuous, strict=what.strict)
    submit = _submit(run, source.recordings, picker, store, what)
    found = pick_parts(run, source.recordings, store, resume=what.resume, submit=submit, progress=progress)
    facts = _provenance(found, source, picker, choice)
    try:
        summary = write_merged(store, found.parts, output, facts)
    except DamagedPartError as error:
        log.warning("%s", error)
        store.remove_damaged(part.key for part in found.parts)
        anew = len(found.parts) - found.reused
        found = pick_parts(run, source.recordings, store, submit=submit, progress=progress)
        found.reused -= anew  # this run's own
        summary = write_merged(store, found.parts, output, facts)
    table = found.coverage([source.coverage])
    write_table(table, coverage or output.with_suffix(".coverage.csv"), facts)
    if what.keep_parts:
        store.remove_others({part.key for part in found.parts})
    else:
        shutil.rmtree(folder)
    return PickReport(output, summary, table, len(found.parts), found.reused, found.times)


def _submit(
    run: ContinuousRun, records: Sequence[Recording], picker: Picker, store: PartStore, selection: Selection
) -> Submit | None:
    """Choose where shards are picked; None for this process."""
    if selection.workers <= 1 and selection.scheduler is None:
        return None
    from phasenet_das.picking.cluster import ClusterSubmit

    return ClusterSubmit(
        run,
        records,
        store.folder,
        device=picker.device,
        workers=selection.workers,
        scheduler=selection.scheduler,
    )


def _provenance(
    found: PickedParts, source: Archive, picker: Picker, settings: PickSettings
) -> dict[str, Any]:
    files = dict(_files(source.recordings))
    return provenance(
        settings=settings,
        inputs=files,
        amplitude_unit=found.amplitude_unit,
        weights_id=picker.weights.weights_id,
    )


def _files(records: Iterable[Recording]) -> list[tuple[str, str]]:
    return [pair for record in records for pair in record.inputs()]
