"""Read pick and station tables, and check picks: sorted by content alone, nothing lost silently."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from gamma.config import AssociationConfig
from gamma.errors import PickError, nearest_name
from gamma.receivers import Receivers

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_NEEDED = ("station_id", "phase_time", "phase_type")
_PHASES = {"P": 0, "p": 0, "S": 1, "s": 1}
_NAMES = ("station_id", "id")
# What stands for an unknown number. Words are unknown where nothing is written: a station may be named NA.
_UNKNOWN = ("", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "<NA>", "#N/A")


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of picks or stations, Parquet or CSV."""
    if not path.exists():
        raise PickError(f"{path}: no such file.")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return read_csv(path, _NAMES)
    except (OSError, ValueError) as error:  # of pandas and pyarrow: no table, another format, cut short
        kind = "Parquet" if path.suffix == ".parquet" else "CSV"
        raise PickError(f"{path}: cannot be read as {kind} ({error}). Expected CSV, or .parquet.") from error


def read_csv(path: str | Path, words: Collection[str], skip_rows: int = 0) -> pd.DataFrame:
    """Read a CSV table; columns of words stay words: a station named 007 or NA keeps its name.

    `skip_rows` counts rows below the header.
    """
    names = pd.read_csv(path, nrows=0).columns
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(words, "str"),
        skiprows=range(1, 1 + skip_rows),
        keep_default_na=False,
        na_values={name: [""] if name in words else _UNKNOWN for name in names},
    )


@dataclass(frozen=True)
class Observations:
    """Usable picks, sorted by time, then receiver and phase, and the rows that are not used."""

    time_ns: I64  # since 1970 UTC
    receiver_phase: I64  # 2 * receiver + phase (0 P, 1 S)
    score: F64  # NaN when the table has none
    amplitude: F64
    row: I64  # in the table given
    num_rows: int
    excluded: dict[str, I64] = field(default_factory=dict)  # reason: rows
    unknown_receivers: dict[str, int] = field(default_factory=dict)  # name: number of picks

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def reference_ns(self) -> int:
        """Zero of `time_s`: the full second before the first pick."""
        return int(self.time_ns[0]) // 10**9 * 10**9 if len(self) else 0

    @property
    def time_s(self) -> F64:
        """Seconds after `reference_ns`."""
        return (self.time_ns - self.reference_ns) / 1e9

    def take(self, index: I64) -> Observations:
        """Select picks, in the order of time."""
        return replace(
            self,
            time_ns=self.time_ns[index],
            receiver_phase=self.receiver_phase[index],
            score=self.score[index],
            amplitude=self.amplitude[index],
            row=self.row[index],
        )


def load_picks(picks: pd.DataFrame, receivers: Receivers, config: AssociationConfig) -> Observations:
    """Check a pick table and turn it into sorted arrays."""
    missing = [name for name in _NEEDED if name not in picks.columns]
    if missing:
        hints = " ".join(f"'{name}':{nearest_name(name, map(str, picks.columns))}" for name in missing)
        raise PickError(f"picks: missing column(s) {', '.join(missing)}. {hints}")
    n = len(picks)
    time_ns, has_time = _times_ns(picks["phase_time"])
    phase = picks["phase_type"].astype("str").map(_PHASES).fillna(-1).to_numpy(np.int64)
    receiver, unknown = _match_receivers(picks, receivers)
    score = _float_column(picks, "phase_score", n)
    reasons = {
        "no time": ~has_time,
        "unknown station": receiver < 0,
        "phase is neither P nor S": phase < 0,
        "score below min_score": score < config.min_score,
    }
    usable = np.ones(n, dtype=bool)
    excluded: dict[str, I64] = {}
    for reason, where in reasons.items():
        excluded[reason] = np.flatnonzero(where & usable)
        usable &= ~where
    rows = np.flatnonzero(usable)
    amplitude = _float_column(picks, "phase_amplitude", n)
    receiver_phase = 2 * receiver + phase
    tie = picks["pick_id"].to_numpy()[rows] if "pick_id" in picks.columns else np.zeros(len(rows))
    keys = (
        tie,
        -np.nan_to_num(amplitude[rows]),
        -np.nan_to_num(score[rows]),
        receiver_phase[rows],
        time_ns[rows],
    )
    rows = rows[np.lexsort(keys)]
    again = np.zeros(len(rows), dtype=bool)
    again[1:] = (time_ns[rows[1:]] == time_ns[rows[:-1]]) & (
        receiver_phase[rows[1:]] == receiver_phase[rows[:-1]]
    )
    excluded["same station, phase and time as another pick"] = rows[again]
    rows = rows[~again]
    return Observations(
        time_ns=time_ns[rows],
        receiver_phase=receiver_phase[rows],
        score=score[rows],
        amplitude=amplitude[rows],
        row=rows,
        num_rows=n,
        excluded={reason: where for reason, where in excluded.items() if len(where)},
        unknown_receivers=unknown,
    )


def _times_ns(column: pd.Series) -> tuple[I64, npt.NDArray[np.bool_]]:
    written = not pd.api.types.is_datetime64_any_dtype(column.dtype)
    try:
        times = pd.to_datetime(column, utc=True, format="ISO8601" if written else None)
    except (ValueError, TypeError) as error:
        raise PickError(
            f"picks: phase_time cannot be read as times ({error}). Expected UTC times."
        ) from error
    known: npt.NDArray[np.bool_] = np.asarray(times.notna(), dtype=np.bool_)
    stamps: I64 = np.asarray(times.dt.as_unit("ns").astype("int64"), dtype=np.int64)
    return stamps, known


def _float_column(picks: pd.DataFrame, name: str, n: int) -> F64:
    if name not in picks.columns:
        return np.full(n, np.nan)
    try:
        return picks[name].to_numpy(np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise PickError(f"picks: {name} cannot be read as numbers ({error}).") from error


def _match_receivers(picks: pd.DataFrame, receivers: Receivers) -> tuple[I64, dict[str, int]]:
    """Find each pick's receiver, -1 where there is none, and count the picks of unknown receivers."""
    n = len(picks)
    codes, names = pd.factorize(picks["station_id"].astype("str"), sort=True)
    if "channel_index" in picks.columns:
        channel = picks["channel_index"].fillna(-1).to_numpy(np.int64)
    else:
        channel = np.full(n, -1, dtype=np.int64)
    stations = pd.Index(np.asarray(names, dtype=object))
    station_of_receiver = stations.get_indexer(pd.Index(receivers.station_id))
    span = int(max(channel.max(initial=0), receivers.channel_index.max())) + 2
    keys = np.where(station_of_receiver >= 0, station_of_receiver * span + receivers.channel_index + 1, -1)
    order = np.argsort(keys, kind="stable")
    wanted = codes.astype(np.int64) * span + channel + 1
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    receiver = np.where(keys[order][place] == wanted, order[place], -1)
    receiver[(codes < 0) | (channel < -1)] = -1
    return receiver, _name_unknown(receiver, np.asarray(names, dtype=object)[codes], channel, receivers)


def _name_unknown(
    receiver: I64, station: npt.NDArray[np.object_], channel: I64, receivers: Receivers
) -> dict[str, int]:
    """Count picks without a receiver: by station, or by channel when only the channel is unknown."""
    lost = receiver < 0
    if not lost.any():
        return {}
    known = np.isin(station[lost].astype(str), np.unique(receivers.station_id.astype(str)))
    labels = pd.Series(station[lost].astype(str))
    labels = labels.where(~known, labels + " channel " + pd.Series(channel[lost]).astype(str))
    return {str(name): int(count) for name, count in labels.value_counts().sort_index().items()}
