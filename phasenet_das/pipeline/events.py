"""Events from blocks of picks: each associated with what surrounds it, then merged and numbered by time."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import gamma
from gamma import AssociationConfig
from phasenet_das.errors import TableError
from phasenet_das.pipeline.jobs import BlockIndex
from phasenet_das.tables import (
    EVENT_COLUMNS,
    PICK_COLUMNS,
    atomic_path,
    conform,
    empty_picks,
    make_pick_ids,
    read_channels,
    read_events,
    read_metadata,
    read_pick_tables,
    read_picks,
    write_table,
)
from phasenet_das.tables.files import read_csv
from phasenet_das.tables.provenance import provenance

log = logging.getLogger(__name__)

_TIE_S = 5.0
"""Events whose origin lies this close to a cut may be found on either side of it, or on both."""

_SHARED = 0.5
"""Two events of adjoining blocks are one when they share this part of the picks of the smaller."""


@dataclass(frozen=True)
class AssociatedBlock:
    """What the association of a block wrote.

    Attributes
    ----------
    name : str
        The block.
    span : tuple of pandas.Timestamp
        Its core, half open.
    events, picks, summary : pathlib.Path
        Its events; the picks of its core and those of its events; what became of how many picks.
    """

    name: str
    span: tuple[pd.Timestamp, pd.Timestamp]
    events: Path
    picks: Path
    summary: Path

    @classmethod
    def of_files(cls, index: BlockIndex, events: str, picks: str, summary: str) -> AssociatedBlock:
        """Describe a block by its files, which are named after it."""
        name = Path(summary).stem
        return cls(name, index.span(name), Path(events), Path(picks), Path(summary))


def read_station_picks(paths: Iterable[str]) -> pd.DataFrame:
    """Read pick tables of seismometers, as PhaseNet writes them."""
    tables = [_of_seismometers(Path(path)) for path in paths]
    return pd.concat(tables, ignore_index=True).drop_duplicates("pick_id", ignore_index=True)


def associate_block(
    block: AssociatedBlock,
    picks: Sequence[str | Path],
    receivers: str | Path,
    *,
    settings: AssociationConfig,
    overlap_s: float,
    stations: Sequence[str] = (),
) -> None:
    """Associate and locate the events of a block, with the picks of the blocks beside it."""
    start, end = block.span
    margin = pd.Timedelta(seconds=overlap_s)
    table = read_pick_tables(picks)
    if stations:
        table = pd.concat([table, read_station_picks(stations)], ignore_index=True)
    near = (table["phase_time"] >= start - margin) & (table["phase_time"] < end + margin)
    table = table[near].sort_values(["phase_time", "pick_id"], kind="stable", ignore_index=True)
    result = gamma.associate(table, read_channels(receivers), settings)
    tie = pd.Timedelta(seconds=_TIE_S)
    times = result.events["time"]
    events = result.events[(times >= start - tie) & (times < end + tie)]
    found = result.picks.copy()
    found.loc[~found["event_index"].isin(events["event_index"]), "event_index"] = -1
    inside = (found["phase_time"] >= start) & (found["phase_time"] < end)
    found = found[inside | (found["event_index"] >= 0)]
    facts = _facts(picks, settings)
    write_table(conform(events, EVENT_COLUMNS, "events"), block.events, facts)
    write_table(conform(found, PICK_COLUMNS, "picks"), block.picks, facts)
    with atomic_path(block.summary) as temporary:
        temporary.write_text(json.dumps(result.summary, sort_keys=True, default=str) + "\n")


def merge_blocks(blocks: Sequence[AssociatedBlock], folder: str | Path) -> None:
    """Merge the events of all blocks, and number them by time.

    Of two events that adjoining blocks have found of the same picks, the one whose origin lies in its own
    block stays; so what is written does not depend on the order in which blocks were done.
    """
    folder = Path(folder)
    blocks = sorted(blocks, key=lambda block: block.name)
    events, claims, picks = _read_all(blocks)
    events, claims = _drop_twins(events, claims)
    events = events.sort_values(["time", "event_id"], kind="stable", ignore_index=True)
    number = pd.Series(np.arange(len(events)), index=events["key"].to_numpy())
    claims = claims.assign(event_index=number.reindex(claims["key"]).to_numpy(np.int64))
    claims = claims.sort_values(["association_score", "event_index"], ascending=[False, True], kind="stable")
    claims = claims.drop_duplicates("pick_id").set_index("pick_id")
    picks = _give(picks, claims)
    events = events.assign(event_index=np.arange(len(events))).drop(columns="key")
    events = _count_again(events, picks)
    facts = read_metadata(blocks[0].picks) if blocks else {}
    facts = _join_facts([read_metadata(block.picks) for block in blocks]) or facts
    write_table(conform(events, EVENT_COLUMNS, "events"), folder / "events.parquet", facts)
    write_table(conform(picks, PICK_COLUMNS, "picks"), folder / "picks.parquet", facts)
    summary = _join_summaries([json.loads(block.summary.read_text()) for block in blocks])
    summary |= {
        "events": len(events),
        "picks": len(picks),
        "picks_associated": int((picks["event_index"] >= 0).sum()),
    }
    with atomic_path(folder / "association.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n")
    log.info("%d events of %d blocks, %d picks", len(events), len(blocks), len(picks))


def _of_seismometers(path: Path) -> pd.DataFrame:
    """Read picks; where the table has no channel, it is of seismometers: -1."""
    if path.suffix == ".parquet" or "channel_index" in read_csv(path).columns:
        return read_picks(path)
    table = read_csv(path).assign(channel_index=-1)
    missing = {"station_id", "phase_time", "phase_type", "phase_score"} - set(table.columns)
    if missing:
        raise TableError(f"{path}: missing column(s) {', '.join(sorted(missing))}.")
    times = pd.to_datetime(table["phase_time"], utc=True, format="ISO8601").dt.as_unit("ns")
    phases = table["phase_type"].astype("str").str.upper()
    table = table.assign(phase_time=times, phase_type=phases)
    if "pick_id" not in table.columns:
        table["pick_id"] = make_pick_ids(
            table["station_id"].astype("str").to_numpy(),
            table["channel_index"].to_numpy(),
            phases.to_numpy(),
            times.astype("int64").to_numpy(),
        )
    blank = empty_picks()
    table["event_index"] = -1
    for name in blank.columns.difference(table.columns):
        table[name] = np.nan
    return conform(table[list(blank.columns)], PICK_COLUMNS, str(path))


def _facts(picks: Sequence[str | Path], settings: AssociationConfig) -> dict[str, Any]:
    origins = [read_metadata(path) for path in picks]
    origin = _join_facts(origins)
    return provenance(
        settings=settings,
        inputs=origin.get("inputs", {}),
        weights_id=origin.get("weights_id"),
        amplitude_unit=origin.get("amplitude_unit"),
    )


def _join_facts(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Join the provenance of blocks: the inputs of all, and of the rest what is known."""
    if not records:
        return {}
    joined = dict(records[0])
    inputs: dict[str, str] = {}
    for record in records:
        inputs |= record.get("inputs", {})
        for name in ("weights_id", "amplitude_unit"):
            if joined.get(name) in (None, "unknown"):
                joined[name] = record.get(name)
    known = {name: joined.get(name) for name in ("weights_id", "amplitude_unit")}
    joined |= provenance(inputs=inputs, **known)
    return joined


def _read_all(blocks: Sequence[AssociatedBlock]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Read events, the picks each claims, and the picks of all cores (each once)."""
    events, claims, picks = [], [], []
    for number, block in enumerate(blocks):
        start, end = block.span
        of_block, found = read_events(block.events), read_picks(block.picks)
        time, tie = of_block["time"], pd.Timedelta(seconds=_TIE_S)
        of_block["own"] = (time >= start) & (time < end)
        of_block["near_cut"] = (time < start + tie) | (time >= end - tie)
        of_block["key"] = [f"{number}:{index}" for index in of_block["event_index"]]
        events.append(of_block.assign(block=number))
        kept = found[found["event_index"] >= 0]
        claims.append(kept.assign(key=[f"{number}:{index}" for index in kept["event_index"]]))
        inside = (found["phase_time"] >= start) & (found["phase_time"] < end)
        picks.append(found[inside])
    return tuple(pd.concat(tables, ignore_index=True) for tables in (events, claims, picks))  # type: ignore[return-value]


def _drop_twins(events: pd.DataFrame, claims: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of events that two adjoining blocks have found of the same picks, keep one."""
    picks_of = {str(key): set(group) for key, group in claims.groupby("key")["pick_id"]}
    near = events[events["near_cut"]].sort_values(
        ["own", "num_picks", "time"], ascending=[False, False, True], kind="stable"
    )
    kept: list[Any] = []
    twins = []
    for event in near.itertuples():
        if any(_same(event, other, picks_of) for other in kept):
            twins.append(event.key)
        else:
            kept.append(event)
    stay = ~events["key"].isin(twins)
    events = events[stay].drop(columns=["own", "near_cut", "block"])
    return events, claims[claims["key"].isin(events["key"])]


def _same(one: Any, other: Any, picks_of: Mapping[str, set[int]]) -> bool:  # noqa: ANN401 - rows of a table
    """Say whether two events near a cut are one."""
    if one.block == other.block or abs((one.time - other.time).total_seconds()) > 2 * _TIE_S:
        return False
    mine, theirs = picks_of.get(one.key, set()), picks_of.get(other.key, set())
    return len(mine & theirs) >= _SHARED * min(len(mine), len(theirs))


def _give(picks: pd.DataFrame, claims: pd.DataFrame) -> pd.DataFrame:
    """Write into the pick table which event has claimed each pick."""
    picks = picks.drop_duplicates("pick_id", ignore_index=True)
    claimed = picks["pick_id"].isin(claims.index).to_numpy()
    rows = claims.loc[picks["pick_id"][claimed]]
    for name, nothing in (
        ("event_index", -1),
        ("association_score", np.nan),
        ("travel_time_residual_s", np.nan),
    ):
        column = np.full(len(picks), nothing, np.dtype(PICK_COLUMNS[name]))
        column[claimed] = rows[name].to_numpy()
        picks[name] = column
    if "reason" in picks.columns:
        reason = picks["reason"].fillna("").astype("str")
        picks["reason"] = reason.where(~claimed, "").astype("str")
    order = ["phase_time", "station_id", "channel_index", "phase_type", "pick_id"]
    return picks.sort_values(order, kind="stable", ignore_index=True)


def _count_again(events: pd.DataFrame, picks: pd.DataFrame) -> pd.DataFrame:
    """Count the picks of each event in the merged table."""
    kept = picks[picks["event_index"] >= 0]
    counts = kept.groupby(["event_index", "phase_type"]).size().unstack(fill_value=0)
    counts = counts.reindex(index=events["event_index"], columns=["P", "S"], fill_value=0)
    return events.assign(
        num_picks=counts.sum(axis=1).to_numpy(),
        num_p_picks=counts["P"].to_numpy(),
        num_s_picks=counts["S"].to_numpy(),
    )


def _join_summaries(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up what became of the picks, block by block; they overlap, so sums may exceed what there is."""
    joined: dict[str, Any] = {"blocks": len(summaries)}
    if summaries:
        joined["settings"] = summaries[0].get("settings", {})
        joined["converged"] = all(summary.get("converged", True) for summary in summaries)
    for name in ("reasons", "left_out", "events_dropped"):
        total: dict[str, int] = {}
        for summary in summaries:
            for key, count in summary.get(name, {}).items():
                total[key] = total.get(key, 0) + int(count)
        joined[name] = dict(sorted(total.items()))
    unknown = {item for summary in summaries for item in map(str, summary.get("unknown_receivers", []))}
    joined["unknown_receivers"] = sorted(unknown)
    return joined
