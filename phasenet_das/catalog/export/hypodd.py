"""Files for hypoDD (Waldhauser & Ellsworth 2000; Waldhauser 2001, USGS Open-File Report 01-113).

- phase file, for ``ph2dt``: ``# year month day hour minute second latitude longitude depth magnitude eh ez
  rms id``, then a line ``station travel-time weight phase`` for each pick;
- ``dt.cc``: ``# id1 id2 otc``, then ``station dt weight phase``, where dt is the travel time of the first
  event less that of the second;
- ``station.dat``: ``station latitude longitude elevation``.

The number of an event is its ``event_index`` plus one, the same in both files. Travel times count from the
origin times of the event table, so the correction ``otc`` is zero.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from phasenet_das.catalog.export.common import RECEIVER, PreparedCatalog, write_lines
from phasenet_das.catalog.export.thinning import thin_picks
from phasenet_das.errors import TableError
from phasenet_das.text import records

HYPOCENTRE: Final = ("longitude", "latitude", "depth_km")
_PAIR_COLUMNS = {
    "phase", "station_id", "channel_1", "channel_2", "event_1", "event_2", "time_1", "waveform_dt_s",
    "correlation", "kept",
}  # fmt: skip


def write_hypodd(catalog: PreparedCatalog, path: Path) -> Path:
    """Write located events and their picks as a hypoDD phase file; the weight of a pick is its score, or 1.

    Unknown magnitudes and errors are 0, as the format has it.
    """
    lines = []
    for event, own in catalog.events_with_picks():
        lines.append(_head(event))
        for pick in records(own):
            travel_s = (pick["phase_time"] - event["time"]).total_seconds()
            if travel_s < 0:
                catalog.misfits.add("travel time", travel_s, "no pick")
                continue
            score, phase = pick["phase_score"], pick["phase_type"]
            lines.append(f"{pick['station_code']:<7} {travel_s:9.4f} {score:6.4f} {phase}")
    return write_lines(lines, path)


def _head(row: dict[str, Any]) -> str:
    time = row["time"].round("us")
    second = time.second + time.microsecond * 1e-6
    names = ("magnitude", "horizontal_uncertainty_km", "depth_uncertainty_km", "residual_rms_s")
    facts = [row.get(name, math.nan) for name in names]
    magnitude, eh, ez, rms = (value if math.isfinite(value) else 0.0 for value in facts)
    return (
        f"# {time:%Y %m %d %H %M} {second:9.6f} {row['latitude']:10.6f} {row['longitude']:11.6f} "
        f"{row['depth_km']:8.4f} {magnitude:5.2f} {eh:.3f} {ez:.3f} {rms:.4f} {row['event_index'] + 1:9d}"
    )


def write_hypodd_stations(placed: pd.DataFrame, path: Path) -> Path:
    """Write placed stations as ``station.dat``: code, latitude, longitude (degrees), elevation (m)."""
    lines = [
        f"{row.station_code:<7} {row.latitude:10.6f} {row.longitude:11.6f} {row.elevation_m:7.1f}"
        for row in placed.itertuples(index=False)
    ]
    return write_lines(lines, path)


def without_hypocentre(events: pd.DataFrame) -> list[str]:
    """List the ``event_id`` of events that have no hypocentre."""
    names: list[str] = events.loc[events[list(HYPOCENTRE)].isna().any(axis=1), "event_id"].tolist()
    return names


def choose_pairs(catalog: PreparedCatalog, pairs: pd.DataFrame) -> pd.DataFrame:
    """Choose the pairs of ``dt.cc``: both events located, well correlated, thinned along each cable."""
    _check_pairs(pairs)
    bare = without_hypocentre(catalog.events)
    located = catalog.events.loc[~catalog.events["event_id"].isin(bare), "event_index"]
    known = pairs[pairs["event_1"].isin(located) & pairs["event_2"].isin(located)]
    good = known[known["kept"].astype(bool) & (known["correlation"] > 0)].reset_index(drop=True)
    if good.empty:
        raise TableError(_explain_no_times(len(located), bare, len(pairs), len(known)))
    return _thin_pairs(good, catalog.max_picks_per_phase)


def _explain_no_times(num_located: int, bare: list[str], num_pairs: int, num_known: int) -> str:
    start = "differential times: found none, and no file was written."
    names = f": {_listed(bare)}" if bare else ""
    if num_located < 2:
        return (
            f"{start} Events with a position: {num_located}, expected at least 2. Events without: {len(bare)}"
            f"{names}. Give 'phasenet-das associate' a channel table (--channels). Events far from the cable "
            "have no position even then."
        )
    if num_pairs == 0:
        return (
            f"{start} No two events have a pick of one phase on one channel, with windows that lie whole in "
            "the recordings. Name the recordings on which the picks were made, and the cable as the picks "
            "name it (--station-id)."
        )
    if num_known == 0:
        return (
            f"{start} None of the {num_pairs} pairs of picks is of two events with a position. Events "
            f"without: {len(bare)}{names}. Give 'phasenet-das associate' a channel table (--channels)."
        )
    return (
        f"{start} None of the {num_known} pairs of picks of located events is alike enough, with equal "
        "polarity. Choose another band (--bandpass-hz), or events that are closer to each other."
    )


def _listed(names: list[str]) -> str:
    """List the first names."""
    return f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"


def write_hypodd_dtcc(catalog: PreparedCatalog, used: pd.DataFrame, path: Path) -> Path:
    """Write the differential travel times of the pairs of :func:`choose_pairs` as ``dt.cc``."""
    origin = catalog.events.set_index("event_index")["time"]
    seconds = (origin.loc[used["event_2"]].array - origin.loc[used["event_1"]].array).total_seconds()
    dt_s = np.asarray(seconds) - used["waveform_dt_s"].to_numpy()
    receivers = used[["station_id", "channel_1"]].rename(columns={"channel_1": "channel_index"})
    codes = catalog.codes(receivers).set_index(RECEIVER)["station_code"]
    used = used.assign(code=codes.loc[pd.MultiIndex.from_frame(receivers)].to_numpy(), dt_s=dt_s)
    lines = []
    for _, group in used.groupby(["event_1", "event_2"]):
        lines.append(f"# {group['event_1'].iloc[0] + 1:9d} {group['event_2'].iloc[0] + 1:9d} 0.0")
        lines += [
            f"{row['code']:<7} {row['dt_s']:10.6f} {row['correlation'] ** 2:6.4f} {row['phase']}"
            for row in records(group.sort_values(["code", "phase"]))
        ]
    return write_lines(lines, path)


def _check_pairs(pairs: pd.DataFrame) -> None:
    missing = sorted(_PAIR_COLUMNS - set(pairs.columns))
    if missing:
        raise TableError(
            f"differential times: missing column(s) {', '.join(missing)}. Make the table with "
            "phasenet_das.evaluate.compare_differential_times(..., between='events')."
        )
    if len(pairs) and (pairs["event_1"] == pairs["event_2"]).any():
        raise TableError(
            "differential times: found pairs of channels of one event, expected pairs of events on one "
            "channel: compare_differential_times(..., between='events')."
        )


def _thin_pairs(pairs: pd.DataFrame, max_picks_per_phase: int) -> pd.DataFrame:
    """Thin the channels of each pair of events as picks of one event are thinned."""
    as_picks = pd.DataFrame(
        {
            "event_index": pairs.groupby(["event_1", "event_2"]).ngroup(),
            "station_id": pairs["station_id"],
            "channel_index": pairs["channel_1"],
            "distance_m": np.nan,
            "phase_type": pairs["phase"],
            "phase_score": pairs["correlation"],
            "phase_time": pairs["time_1"],
        }
    )
    return pairs.loc[thin_picks(as_picks, max_picks_per_phase).index].reset_index(drop=True)
