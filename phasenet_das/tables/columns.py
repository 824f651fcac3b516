"""The columns of the tables: their names and types, and how values come to fit them or are refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

from gamma.errors import nearest_name
from phasenet_das.errors import TableError

_TIME = "datetime64[ns, UTC]"

PICK_COLUMNS: dict[str, str] = {
    "pick_id": "int64",
    "station_id": "str",
    "channel_index": "int32",
    "distance_m": "float64",
    "phase_time": _TIME,
    "phase_type": "str",
    "phase_score": "float32",
    "phase_amplitude": "float32",
    "event_index": "int64",
    "association_score": "float32",
    "travel_time_residual_s": "float32",
}

EVENT_COLUMNS: dict[str, str] = {
    "event_index": "int64",
    "event_id": "str",
    "time": _TIME,
    "time_uncertainty_s": "float64",
    "longitude": "float64",
    "latitude": "float64",
    "depth_km": "float64",
    "horizontal_uncertainty_km": "float64",
    "depth_uncertainty_km": "float64",
    "source_distance_km": "float64",
    "source_distance_uncertainty_km": "float64",
    "num_picks": "int64",
    "num_p_picks": "int64",
    "num_s_picks": "int64",
    "num_channels": "int64",
    "num_renamed": "int64",
    "residual_rms_s": "float64",
    "azimuthal_gap_deg": "float64",
    "quality": "str",
    "location_quality": "str",
}

GROUP_COLUMNS: dict[str, str] = {
    "group_index": "int64",
    "station_id": "str",
    "phase_type": "str",
    "start_time": _TIME,
    "end_time": _TIME,
    "first_channel": "int32",
    "last_channel": "int32",
    "num_channels": "int32",
    "num_picks": "int64",
    "apparent_speed_km_s": "float64",
    "reason": "str",
}

CHANNEL_COLUMNS: dict[str, str] = {
    "station_id": "str",
    "channel_index": "int32",
    "longitude": "float64",
    "latitude": "float64",
    "elevation_m": "float64",
    "distance_m": "float64",
    "status": "str",
}

COVERAGE_COLUMNS: dict[str, str] = {
    "station_id": "str",
    "start": _TIME,
    "end": _TIME,
    "first_channel": "int32",
    "last_channel": "int32",
    "num_channels": "int32",
    "status": "str",
    "reason": "str",
    "source": "str",
}

TEXT_COLUMNS: dict[str, str] = {
    name: kind
    for columns in (PICK_COLUMNS, EVENT_COLUMNS, GROUP_COLUMNS, CHANNEL_COLUMNS, COVERAGE_COLUMNS)
    for name, kind in columns.items()
    if kind == "str"
} | {"associated_phase": "str"}
"""``dtype`` for :func:`pandas.read_csv`: a cable named 007 stays 007."""

_WANTED_TIME = "expected ISO 8601 times, UTC, such as 2024-01-01T00:00:00.25Z."
_PROBABILITIES = frozenset({"phase_score"})
_PROBABILITY_SLACK = 1e-6  # of sums in single precision
# Columns that name the pick tables of other packages, and what reads them.
_DIALECTS = (
    ({"id", "timestamp", "type"}, "GaMMA", "from_gamma"),
    ({"station", "phase", "time"}, "PyOcto", "from_pyocto"),
    ({"trace_id", "peak_time", "phase"}, "SeisBench", "from_seisbench"),
    ({"channel_index", "phase_time", "phase_type"}, "QuakeFlow", "from_quakeflow"),
)


def empty_picks() -> pd.DataFrame:
    """Return a pick table of no rows, with every column of the contract.

    Returns
    -------
    pandas.DataFrame
        Columns and types of ``PICK_COLUMNS``.
    """
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in PICK_COLUMNS.items()})


def conform(table: pd.DataFrame, columns: Mapping[str, str], name: str = "table") -> pd.DataFrame:
    """Check that a table holds the columns of a contract, and give them its types and order.

    Parameters
    ----------
    table : pandas.DataFrame
        Any column order; further columns pass through behind those of the contract.
        Times without a zone are read as UTC, others are converted.
    columns : mapping of str to str
        Column name to pandas type, one of the ``*_COLUMNS`` of this module.
    name : str
        What to call the table in messages.

    Returns
    -------
    pandas.DataFrame
        A new table; the index is dropped.

    Raises
    ------
    TableError
        A column is missing, or a value does not fit its column's type: a time is a number, a whole number
        has a fraction or is not known, a ``phase_score`` is no probability.
    """
    require_columns(table, columns, name)
    extra = [column for column in table.columns if column not in columns]
    try:
        typed = {column: _typed(table[column], kind) for column, kind in columns.items()}
    except (ValueError, TypeError) as error:
        raise TableError(f"{name}: a value does not fit its column: {error}") from error
    out = pd.DataFrame(typed)
    for column in extra:
        out[column] = table[column].to_numpy() if table[column].dtype == object else table[column].array
    return out


def require_columns(table: pd.DataFrame, columns: Iterable[str], name: str) -> None:
    """Refuse a table that lacks columns."""
    found = [str(column) for column in table.columns]
    missing = [column for column in columns if column not in found]
    if not missing:
        return
    if missing == ["station_id"]:
        hint = "Add it, or say station_id= (--station-id) when all rows belong to one cable."
    else:
        hint = _dialect_hint(found) or _nearest_hint(missing, found)
    raise TableError(f"{name}: missing column(s) {', '.join(missing)}. {hint}")


def _nearest_hint(missing: list[str], found: list[str]) -> str:
    """Say which column is probably meant by each missing one, else which columns there are."""
    near = {name: nearest_name(name, found) for name in missing}
    alike = [f"For '{name}':{hint}" for name, hint in near.items() if hint.startswith(" Did you mean")]
    return " ".join(alike) or f"Found the columns {', '.join(found)}. Add the missing ones, or rename."


def _dialect_hint(found: list[str]) -> str:
    for names, package, reader in _DIALECTS:
        if names <= set(found):
            return (
                f"The columns are those of {package}: take the table with phasenet_das.tables.{reader} and "
                "write it with phasenet_das.write_table."
            )
    return ""


def to_times(column: pd.Series) -> pd.Series:
    """Read times; those without a zone are UTC."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pd.to_datetime(column, utc=True).dt.as_unit("ns")
    known = column.notna().to_numpy()
    number = known & _are_numbers(column)
    if number.any():
        raise ValueError(
            f"{_where(column, number)}, {_WANTED_TIME} A number has no unit: make "
            f"seconds since 1970 times with pandas.to_datetime(table['{column.name}'], unit='s', utc=True). "
            "To read picks of PyOcto, use phasenet_das.tables.from_pyocto."
        )
    try:
        return pd.to_datetime(column.astype("object"), utc=True, format="ISO8601").dt.as_unit("ns")
    except ValueError:
        wrong = known & pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce").isna().to_numpy()
        if not wrong.any():
            raise
        raise ValueError(f"{_where(column, wrong)}, {_WANTED_TIME}") from None


def _are_numbers(column: pd.Series) -> np.ndarray:
    if column.dtype == object:
        return np.array([isinstance(value, Number) for value in column], dtype=bool)
    return np.full(len(column), pd.api.types.is_numeric_dtype(column.dtype))


def _typed(column: pd.Series, kind: str) -> pd.Series:
    column = column.reset_index(drop=True)
    if kind == _TIME:
        return to_times(column)
    if kind == "str":
        if column.name == "station_id" and column.isna().any():
            raise ValueError(f"{_where(column, column.isna())}, expected the name of a cable or station.")
        return column.astype("str")
    if kind.startswith("int"):
        return _integers(column, kind)
    numbers = _numbers(column)
    if column.name in _PROBABILITIES:
        strange = (numbers < -_PROBABILITY_SLACK) | (numbers > 1 + _PROBABILITY_SLACK)
        if strange.any():
            raise ValueError(
                f"{_where(column, strange)}, expected probabilities from 0 to 1. Divide percentages by 100."
            )
    return numbers.astype(kind)  # type: ignore[call-overload]


def _numbers(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        return column
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        raise ValueError(f"{_where(column, wrong)}, expected numbers.")
    return numbers


def _integers(column: pd.Series, kind: str) -> pd.Series:
    if column.dtype == kind:
        return column
    numbers, limits = _numbers(column), np.iinfo(kind)
    if numbers.isna().any():
        raise ValueError(f"{_where(column, numbers.isna())}, expected whole numbers in every row.")
    whole = (numbers % 1 == 0) & (numbers >= limits.min) & (numbers <= limits.max)
    if not whole.all():
        raise ValueError(f"{_where(column, ~whole)}, expected whole numbers of type {kind}.")
    return numbers.astype(kind)  # type: ignore[call-overload]


def _where(column: pd.Series, wrong: pd.Series | np.ndarray) -> str:
    """Name the first value that is wrong; rows are counted from 1, below the header."""
    row = int(np.flatnonzero(np.asarray(wrong, dtype=bool))[0])
    return f"{column.name} is {column.iloc[row]} in row {row + 1}"


def plain_times(times: pd.Series) -> np.ndarray:
    """Take the zone off a column of UTC times: (row,) datetime64[ns]."""
    plain: np.ndarray = times.dt.tz_localize(None).to_numpy("datetime64[ns]")
    return plain


def depth_known(event: Mapping[str, Any]) -> bool:
    """Whether an event has a depth that the receivers constrain."""
    return math.isfinite(event["depth_km"]) and "depth-unconstrained" not in event["location_quality"]


def associated_phase(picks: pd.DataFrame) -> pd.Series:
    """Phase of each pick, P or S: the one as which its event took the pick, else the picker's."""
    phase = picks["phase_type"].astype("str")
    if "associated_phase" not in picks.columns:
        return phase
    taken = picks["associated_phase"].astype("str")
    return taken.where(taken.isin(["P", "S"]), phase)


def with_event_phase(picks: pd.DataFrame) -> pd.DataFrame:
    """Give each pick the phase as which its event took it: the phase of everything that shows arrivals.

    Scores, their limits and their calibration are of the picker's phase.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table.

    Returns
    -------
    pandas.DataFrame
        The table with that phase in ``phase_type``, and the picker's in ``picked_phase``. A pick without an
        event keeps the picker's.
    """
    return picks.assign(picked_phase=picks["phase_type"], phase_type=associated_phase(picks))


def renamed(picks: pd.DataFrame) -> pd.Series:
    """Mark the picks that their event took for the other phase."""
    return (picks["event_index"] >= 0) & (associated_phase(picks) != picks["phase_type"])


def below_scores(picks: pd.DataFrame, smallest: Mapping[str, float | None]) -> pd.Series:
    """Tell the picks with less than the smallest score of their phase, in float32 as pickers compare."""
    limits = picks["phase_type"].map(dict(smallest)).astype(np.float32)
    return picks["phase_score"].astype(np.float32) < limits


def grouped(picks: pd.DataFrame) -> pd.Series:
    """Mark the picks of a group without a location."""
    if "group_index" not in picks.columns:
        return pd.Series(data=False, index=picks.index)
    return (picks["group_index"] >= 0) & ~(picks["event_index"] >= 0)


def located(event: Mapping[str, Any]) -> bool:
    """Whether an event has a longitude and a latitude."""
    return math.isfinite(event["longitude"]) and math.isfinite(event["latitude"])
