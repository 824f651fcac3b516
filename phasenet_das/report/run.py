"""The report of a workflow run: from the files of its results folder to one HTML page."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from phasenet_das import io
from phasenet_das.config import Config
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io.archive import open_archive
from phasenet_das.picking.conditioning import fill_gaps
from phasenet_das.picking.filters import bandpass
from phasenet_das.pipeline.blocks import CATALOG, Block, BlockIndex, read_index, recordings_of
from phasenet_das.pipeline.labels import load_span
from phasenet_das.pipeline.plan import Plan
from phasenet_das.report import Training, write_report
from phasenet_das.tables import read_channels, read_coverage, read_events, read_metadata, read_picks
from phasenet_das.tables.files import read_csv

if TYPE_CHECKING:
    from dascore import Patch


log = logging.getLogger(__name__)

_BEFORE_S, _AFTER_S = 5.0, 10.0
_WITHOUT_EVENT_S = 60.0


def write_run_report(config: Config, folder: str | Path, path: str | Path) -> Path:
    """Write the report of a run from the files in its results folder.

    Parameters
    ----------
    config : Config
        Settings of the run.
    folder : str or pathlib.Path
        Results folder, with ``events.parquet``, ``picks.parquet``, ``coverage.csv``, the index, and what
        training and evaluation have written where there were any.
    path : str or pathlib.Path
        The HTML file to write.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    TableError
        A table is missing or damaged.
    """
    folder = Path(folder)
    events, picks = read_events(folder / "events.parquet"), read_picks(folder / "picks.parquet")
    receivers = read_channels(folder / "index" / "receivers.parquet")
    placed = receivers["longitude"].notna()
    scores = folder / "evaluation.json"
    return write_report(
        path,
        events=events,
        picks=picks,
        channels=receivers[placed].reset_index(drop=True) if placed.any() else None,
        coverage=read_coverage(folder / "coverage.csv"),
        sections=list(_sections(config, read_index(folder / "index" / "blocks.json"), events, picks)),
        trainings=list(_trainings(Plan(config), folder)),
        evaluation=json.loads(scores.read_text()) if scores.exists() else None,
        settings=config.model_dump(mode="json"),
        provenance=read_metadata(folder / "events.parquet"),
        left_out=_left_out(config, folder),
        title=config.report.title or config.name,
    )


def _trainings(plan: Plan, folder: Path) -> Iterator[Training]:
    for number, stage in enumerate(plan.rounds, start=1):
        training = folder / stage / "training"
        kept = read_picks(folder / stage / "picks.parquet")
        windows = sum(1 for _ in (folder / stage / "windows").rglob("*.h5"))
        yield Training(
            title=f"Training, round {number} of {len(plan.rounds)}",
            text=(
                f"Labels: {int((kept['event_index'] >= 0).sum()):,} of {len(kept):,} picks of the "
                f"{plan.picker_name(stage)}, which association kept, in {windows:,} windows."
            ),
            log=read_csv(training / "log.csv"),
            validation=read_csv(scores) if (scores := training / "validation.csv").exists() else None,
        )


def _left_out(config: Config, folder: Path) -> list[tuple[str, str]]:
    """Name what association could not use."""
    summary = json.loads((folder / "association.json").read_text())
    found = [(f"{count:,} picks", reason) for reason, count in summary.get("left_out", {}).items() if count]
    found += [
        (name, "a receiver without a position or an unknown station") for name in summary["unknown_receivers"]
    ]
    missing = [
        (cable.geometry.path, "channel table does not exist: no positions")
        for cable in config.cable_settings().values()
        if cable.geometry.path is not None and not Path(cable.geometry.path).exists()
    ]
    return found + missing


def _sections(
    config: Config, index: BlockIndex, events: pd.DataFrame, picks: pd.DataFrame
) -> Iterator[tuple[str, Patch]]:
    """Read and filter the records of the events with the most picks; without any, the first minute."""
    if events.empty:
        for cable, name in index.pairs(CATALOG)[:1]:
            block = index.block(CATALOG, cable, name)
            yield from _record(config, cable, block, None, f"{cable}, the first minute")
        return
    chosen = events.nlargest(config.report.max_sections, "num_picks").sort_values("time", kind="stable")
    kept = picks[picks["event_index"] >= 0]
    drawn: dict[str, pd.Timestamp] = {}
    for event in chosen.to_dict("records"):
        mine = kept[kept["event_index"] == event["event_index"]]
        on = _cable_of(config, mine)
        where = None if on is None else _block_at(index, on, event["time"])
        if on is not None and where is not None:
            times = mine["phase_time"].min(), mine["phase_time"].max()
            if on not in drawn or times[1] > drawn[on]:  # else it is in the record of the event before
                yield from _record(config, on, where, times, f"Event {event['event_index']} on {on}")
                drawn[on] = times[1] + pd.Timedelta(seconds=_AFTER_S)


def _cable_of(config: Config, picks: pd.DataFrame) -> str | None:
    """Name the cable with most picks of an event; None where it was seen by seismometers only."""
    names = {cable.data.station_id or name: name for name, cable in config.cable_settings().items()}
    counts = picks.loc[picks["channel_index"] >= 0, "station_id"].value_counts()
    if counts.empty:
        return None
    return names.get(str(counts.index[0]), next(iter(names.values())))


def _block_at(index: BlockIndex, cable: str, time: pd.Timestamp) -> Block | None:
    for block in index.blocks[CATALOG].get(cable, []):
        start, end = block.span
        if start <= time < end:
            return block
    return None


def _record(
    config: Config, cable: str, block: Block, times: tuple[Any, Any] | None, heading: str
) -> Iterator[tuple[str, Patch]]:
    """Read a span of a block, as far as one record goes."""
    data = recordings_of(config, CATALOG)[cable].model_copy(update={"fallback_inputs": ()})
    limits: dict[str, Any] = {}
    if times is not None:
        before, after = pd.Timedelta(seconds=_BEFORE_S), pd.Timedelta(seconds=_AFTER_S)
        limits = {"start": str(times[0] - before), "end": str(times[1] + after)}
    try:
        segments = open_archive(block.files, data, **limits).recordings
    except PhaseNetDASError as error:
        log.warning("%s is not drawn: %s", heading, error)
        return
    if not segments:
        return
    longest = max(segments, key=lambda segment: segment.num_samples * len(segment.channel_index))
    count = longest.num_samples if times is not None else round(_WITHOUT_EVENT_S / longest.dt_s)
    patch = load_span(longest, 0, min(count, longest.num_samples), data.station_id or longest.station_id)
    yield _with_band(heading, config), _filtered(patch, config)


def _with_band(heading: str, config: Config) -> str:
    band = config.report.bandpass_hz
    return heading + ("" if band is None else f", {band[0]:g} to {band[1]:g} Hz")


def _filtered(patch: Patch, config: Config) -> Patch:
    band = config.report.bandpass_hz
    if band is None:
        return patch
    data, _ = fill_gaps(io.get_data(patch))
    filtered = bandpass(data - data.mean(axis=-1, keepdims=True), io.get_dt_s(patch), *band)
    return patch.update(data=filtered)
