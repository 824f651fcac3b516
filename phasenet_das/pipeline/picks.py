"""The picks of one block: picked with what surrounds it, and cut to its core."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings
from phasenet_das.errors import ConfigError, DeviceError, PhaseNetDASError, TableError, WeightsError
from phasenet_das.pipeline.jobs import Block
from phasenet_das.tables import (
    COVERAGE_COLUMNS,
    conform,
    empty_picks,
    read_coverage,
    read_metadata,
    read_picks,
    write_table,
)
from phasenet_das.tables.provenance import provenance

log = logging.getLogger(__name__)

_OF_BLOCKS = ("examined", "skipped", "unreadable")
_TO = " ... "
_FATAL = (ConfigError, DeviceError, TableError, WeightsError)


def pick_block(
    block: Block,
    picks: str | Path,
    coverage: str | Path,
    *,
    data: DataSettings,
    settings: PickSettings,
    continuous: ContinuousSettings,
    overlap_s: float,
) -> None:
    """Pick a block of a cable.

    Finished shards are kept beside the table until it is written, so that a job that was killed goes on.
    """
    from phasenet_das.picking import RunOptions, load_picker, pick_archive

    picks, coverage = Path(picks), Path(coverage)
    start, end = block.span
    margin = pd.Timedelta(seconds=overlap_s)
    picker = load_picker(settings.weights, device=settings.device, sha256=settings.weights_sha256)
    whole = picks.with_name(f".{picks.name}.whole.parquet")
    seen = picks.with_name(f".{picks.name}.whole.csv")
    try:
        pick_archive(
            picker,
            block.files,
            whole,
            data=data.model_copy(update={"fallback_inputs": ()}),
            settings=settings,
            continuous=continuous,
            start=start - margin,
            end=end + margin,
            options=RunOptions(keep_chunks=False),
            coverage=seen,
        )
    except _FATAL:
        raise
    except PhaseNetDASError as error:
        log.error("block %s is left out: %s", block.name, error)
        _write_nothing(block, picks, coverage, data, settings, str(error))
        return
    found = read_picks(whole)
    inside = (found["phase_time"] >= start) & (found["phase_time"] < end)
    facts = read_metadata(whole)
    write_table(_within(read_coverage(seen), start, end), coverage, facts)
    write_table(found[inside].reset_index(drop=True), picks, facts)
    for path in (whole, seen, seen.with_suffix(".csv.json")):
        path.unlink(missing_ok=True)


def join_coverage(index: str | Path, blocks: list[str]) -> pd.DataFrame:
    """Join the coverage of all blocks, and what never came to be picked."""
    never = read_coverage(index)
    tables = [read_coverage(path) for path in blocks]
    table = pd.concat([*[t for t in tables if len(t)], never], ignore_index=True) if tables else never
    alike = ["station_id", "first_channel", "last_channel", "num_channels", "status", "reason"]
    table = table.sort_values([*alike, "start"], kind="stable", ignore_index=True)
    joined = table["start"] == table["end"].shift()
    for name in alike:
        joined &= table[name] == table[name].shift()
    runs = table.groupby((~joined).cumsum(), sort=False)
    out = runs.first()
    out["end"] = runs["end"].last()
    out["source"] = _first_to_last(out["source"], runs["source"].last())
    return conform(out.sort_values(["station_id", "start"], kind="stable"), COVERAGE_COLUMNS, "coverage")


def _first_to_last(begin: pd.Series, end: pd.Series) -> pd.Series:
    """Name the first file of the first rows and the last file of the last, as the rows themselves do."""
    first = begin.str.split(_TO, regex=False).str[0]
    last = end.str.split(_TO, regex=False).str[-1]
    return first.where(first == last, first + _TO + last)


def _within(coverage: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Cut a coverage table to a span; what the index says already is left to it."""
    rows = coverage[coverage["status"].isin(_OF_BLOCKS)].copy()
    rows.loc[rows["start"] < start, "start"] = start
    rows.loc[rows["end"] > end, "end"] = end
    return rows[~(rows["start"] >= rows["end"])].reset_index(drop=True)


def _write_nothing(
    block: Block, picks: Path, coverage: Path, data: DataSettings, settings: PickSettings, reason: str
) -> None:
    from phasenet_das.tables.coverage import left_out_row

    facts = provenance(settings=settings, inputs=block.files, amplitude_unit="unknown", weights_id=None)
    row = left_out_row(
        reason,
        station_id=data.station_id or "",
        span_ns=(block.start_ns, block.end_ns),
        source=block.files[0] if block.files else "",
    )
    write_table(conform(pd.DataFrame([row]), COVERAGE_COLUMNS, "coverage"), coverage, facts)
    write_table(empty_picks(), picks, facts)
