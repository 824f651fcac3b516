"""Identifiers of picks: how they are made, and what it means that two picks have the same."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from phasenet_das.errors import TableError

log = logging.getLogger(__name__)

# Runs of equal peak sample may refine the time of a pick differently, within a sample.
_SAME_TIME = pd.Timedelta("100ms")
_RECEIVER = ["station_id", "channel_index", "phase_type"]


def make_pick_ids(
    station_id: str | np.ndarray,
    channel_index: np.ndarray,
    phase_type: np.ndarray,
    peak_sample: np.ndarray,
) -> np.ndarray:
    """Hash station, channel, phase and absolute peak sample into stable pick identifiers.

    Parameters
    ----------
    station_id : str or numpy.ndarray, shape (n,)
        Cable or station.
    channel_index : numpy.ndarray, shape (n,), int
        Channel number on the interrogator, -1 for a seismometer.
    phase_type : numpy.ndarray, shape (n,), str
        ``P`` or ``S``.
    peak_sample : numpy.ndarray, shape (n,), int64
        Sample number of the peak, counted from 1970-01-01T00:00:00Z in sampling intervals.

    Returns
    -------
    numpy.ndarray, shape (n,), int64
        Non-negative; equal inputs give equal numbers on every machine.
    """
    n = len(channel_index)
    stations = np.broadcast_to(np.asarray(station_id, dtype=str), (n,))
    names, station_code = np.unique(stations, return_inverse=True)
    name_hash = np.array([_hash_name(str(name)) for name in names], dtype=np.uint64)
    phases, phase_code = np.unique(np.asarray(phase_type, dtype=str), return_inverse=True)
    phase_hash = np.array([_hash_name(f"phase:{phase}") for phase in phases], dtype=np.uint64)
    value = _mix(name_hash[station_code] ^ phase_hash[phase_code]) if n else np.empty(0, np.uint64)
    for part in (channel_index, peak_sample):
        value = _mix(value ^ np.asarray(part, dtype=np.int64).view(np.uint64))
    return (value >> np.uint64(1)).astype(np.int64)


def _hash_name(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _mix(value: np.ndarray) -> np.ndarray:
    """Scramble 64-bit integers (the finaliser of SplitMix64, Steele et al. 2014)."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = value ^ (value >> np.uint64(31))
    return mixed


def drop_repeated(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join pick tables, each pick once."""
    table = pd.concat(tables.values(), ignore_index=True)
    again = table["pick_id"].duplicated().to_numpy()
    if not again.any():
        return table
    source = pd.Series(np.repeat(list(tables), [len(one) for one in tables.values()]))
    first = pd.Series(np.flatnonzero(~again), index=table.loc[~again, "pick_id"])
    here, there = np.flatnonzero(again), first.loc[table.loc[again, "pick_id"]].to_numpy()
    clash = ~_same(table.iloc[here], table.iloc[there])
    if clash.any():
        one, other = here[clash][0], there[clash][0]
        raise TableError(
            f"{source[one]}: pick_id {table['pick_id'][one]} names {_describe(table, one)}, but in "
            f"{source[other]} {_describe(table, other)}. So do {int(clash.sum())} row(s). Leave the column "
            "pick_id out: ids are then made of station, channel, phase and time."
        )
    log.warning("%d rows repeat a pick and are dropped (of %s)", len(here), ", ".join(tables))
    return table[~again].reset_index(drop=True)


def _same(one: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Compare picks row by row."""
    receiver = (one[_RECEIVER].to_numpy() == other[_RECEIVER].to_numpy()).all(axis=1)
    times, others = (table["phase_time"].reset_index(drop=True) for table in (one, other))
    close = ((times - others).abs() <= _SAME_TIME) | (times.isna() & others.isna())
    same: np.ndarray = receiver & close.to_numpy()
    return same


def _describe(table: pd.DataFrame, row: int) -> str:
    pick = table.iloc[row]
    return f"{pick['station_id']} channel {pick['channel_index']} {pick['phase_type']} {pick['phase_time']}"
