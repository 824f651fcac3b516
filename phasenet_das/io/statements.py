"""Join what many files say about themselves with what the settings state, a group of files at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from phasenet_das.config import DataSettings
from phasenet_das.errors import ChannelGeometryError, ConfigError, MissingMetadataError, PhaseNetDASError
from phasenet_das.io.arrange import HALF_SAMPLE
from phasenet_das.io.index import NO_TIME, Geometry, Index
from phasenet_das.io.opened import Opened, Stated, channel_numbers, resolve
from phasenet_das.io.timing import FIRST_BELIEVABLE
from phasenet_das.io.vendor import no_data

log = logging.getLogger(__name__)

_FILE = "\x00"  # stands for the path in messages that many files share
_ANY_TIME = np.datetime64("2000-01-01", "ns")
_SAME_PLACE_M = 1e-3
_V = TypeVar("_V")


@dataclass(frozen=True)
class Selected:
    """The channels taken from files of one geometry.

    Attributes
    ----------
    rows : numpy.ndarray, shape (channel,), int
        Their positions in the file.
    channel_index : numpy.ndarray, shape (channel,), int32
        The interrogator's numbers.
    distance_m : numpy.ndarray, shape (channel,), float64
        NaN when unknown.
    in_file : int
        How many channels the file has.
    place : int
        Equal for geometries that are the same channels at the same distances.
    """

    rows: np.ndarray
    channel_index: np.ndarray
    distance_m: np.ndarray
    in_file: int
    place: int


def resolve_rows(
    index: Index, data: DataSettings, channel_step: int = 1
) -> tuple[pd.DataFrame, dict[str, Selected], dict[int, PhaseNetDASError]]:
    """Give every readable recording of an index its cable, start, interval, channels and unit.

    A statement fills what files lack and otherwise must agree with them
    (:func:`phasenet_das.io.opened.resolve`), with two exceptions, since there are many files:
    ``station_id`` wins over the one name that files give, but where they give several it only names
    the nameless; ``start_time`` is given to the one file that lacks it.
    """
    if channel_step < 1:
        raise ConfigError(f"channel_step={channel_step}: expected 1 (every channel) or more.")
    rows = index.rows[index.rows["status"] == "ok"].reset_index(drop=True)
    problems: dict[int, PhaseNetDASError] = {}
    rows["station_id"] = _stations(rows["station_id"], data.station_id)
    rows["dt_s"] = _each(rows, "dt_s", lambda found: _interval(found, data), problems, np.nan)
    rows["unit"] = _each(rows, "unit", lambda found: _unit(found, data), problems, "")
    geometries = _SelectedChannels(index.geometries, data, channel_step)
    rows["place"] = _each(rows, "geometry", geometries.select, problems, -1)
    _start_times(rows, data, problems)
    return rows, geometries.selected, problems


def _each(
    rows: pd.DataFrame,
    column: str,
    answer: Callable[[Any], _V],
    problems: dict[int, PhaseNetDASError],
    missing: _V,
) -> np.ndarray:
    """Ask once for each value of a column; an error becomes the problem of every row that has the value."""
    codes, values = pd.factorize(rows[column], use_na_sentinel=False)
    answers: list[_V] = []
    for code, value in enumerate(values.tolist()):
        try:
            answers.append(answer(value))
        except PhaseNetDASError as error:
            answers.append(missing)
            for row in np.flatnonzero(codes == code).tolist():
                problems.setdefault(row, _of_file(error, str(rows["path"].iat[row])))
    return np.array(answers, dtype=type(missing) if not isinstance(missing, str) else object)[codes]


def _of_file(error: PhaseNetDASError, path: str) -> PhaseNetDASError:
    text = str(error)
    return type(error)(text.replace(_FILE, path) if _FILE in text else f"{path}: {text}")


_NOTHING = Opened(_FILE, "", (1, 1), np.dtype(np.float32), no_data, start_time=_ANY_TIME, dt_s=1.0)


def _interval(found: float, data: DataSettings) -> float:
    known = None if np.isnan(found) else found
    return resolve(replace(_NOTHING, dt_s=known), Stated(dt_s=data.dt_s)).dt_s or 0.0


def _unit(found: str, data: DataSettings) -> str:
    return resolve(replace(_NOTHING, unit=found), Stated(unit=data.unit)).unit


def _stations(found: pd.Series, stated: str | None) -> pd.Series:
    names = sorted(set(found.unique()) - {""})
    if not stated:
        return found
    if len(names) > 1:
        log.warning("the files name %d cables (%s): they keep their names", len(names), ", ".join(names[:5]))
        return found.where(found != "", stated)
    return pd.Series(stated, index=found.index, dtype=found.dtype)


class _SelectedChannels:
    """The channels taken from each geometry."""

    def __init__(self, geometries: Mapping[str, Geometry], data: DataSettings, step: int) -> None:
        self._geometries, self._data, self._step = geometries, data, step
        self._places: list[tuple[np.ndarray, np.ndarray]] = []
        self.selected: dict[str, Selected] = {}

    def select(self, name: str) -> int:
        """Choose the channels of a geometry, and give the number of their place."""
        found = self._geometries[name]
        recording = replace(
            _NOTHING,
            shape=(found.num_channels, 1),
            channel_index=found.channel_index,
            distance_m=found.distance_m,
            dx_m=found.dx_m,
        )
        stated = Stated(dx_m=self._data.dx_m, first_channel=self._data.first_channel)
        resolved = resolve(recording, stated)
        numbers = channel_numbers(resolved)
        rows = self._rows(numbers)
        known = resolved.distance_m
        distance_m = np.full(len(rows), np.nan) if known is None else np.asarray(known, np.float64)[rows]
        place = self._place(numbers[rows], distance_m)
        self.selected[name] = Selected(rows, *self._places[place], found.num_channels, place)
        return place

    def _rows(self, numbers: np.ndarray) -> np.ndarray:
        low, high = self._data.channel_range or (int(numbers.min()), int(numbers.max()) + 1)
        rows = np.flatnonzero((numbers >= low) & (numbers < high) & (numbers % self._step == 0))
        if not len(rows):
            every = f" that is a multiple of {self._step}" if self._step > 1 else ""
            raise ChannelGeometryError(
                f"{_FILE}: no channel{every} in [{low}, {high}); the file holds {numbers.min()} to "
                f"{numbers.max()}."
            )
        return rows

    def _place(self, numbers: np.ndarray, distance_m: np.ndarray) -> int:
        for place, (others, elsewhere_m) in enumerate(self._places):
            if np.array_equal(numbers, others) and np.allclose(
                distance_m, elsewhere_m, rtol=0, atol=_SAME_PLACE_M, equal_nan=True
            ):
                return place
        self._places.append((numbers, distance_m))
        return len(self._places) - 1


def _start_times(rows: pd.DataFrame, data: DataSettings, problems: dict[int, PhaseNetDASError]) -> None:
    """Fill the start of the one file that lacks it, and refuse the rest that do."""
    early = rows["start_ns"].to_numpy() < FIRST_BELIEVABLE.astype(np.int64)  # NO_TIME too
    believed = rows["start_believed"] & (rows["start_ns"] != NO_TIME)
    lacking = np.flatnonzero(early & ~believed)
    stated = None
    if data.start_time is not None:
        stated = resolve(replace(_NOTHING, start_time=None), Stated(start_time=data.start_time)).start_time
    if stated is not None and not len(lacking):
        _check_agreement(rows, int(stated.astype(np.int64)))
    if stated is not None and len(lacking) == 1:
        rows.loc[lacking[0], "start_ns"] = int(stated.astype(np.int64))
        return
    for row in lacking.tolist():
        path = str(rows["path"].iat[row])
        found = str(rows["start_found"].iat[row]) or "none"
        rest = "State it with start_time= (--start-time)."
        if stated is not None:
            rest = f"One was stated, but {len(lacking)} recordings lack theirs: read each apart."
        problems.setdefault(
            row, MissingMetadataError(f"{path}: no usable start time (found: {found}). {rest}")
        )
    rows.loc[lacking, "start_ns"] = NO_TIME


def _check_agreement(rows: pd.DataFrame, stated_ns: int) -> None:
    missed_s = (rows["start_ns"] - stated_ns).abs() * 1e-9
    if len(rows) and not (missed_s <= HALF_SAMPLE * rows["dt_s"]).any():
        raise ConfigError(
            f"start_time={np.datetime64(stated_ns, 'ns')} was stated, but every file says when it begins, "
            f"the first {np.datetime64(int(rows['start_ns'].min()), 'ns')}. Leave the statement out; a "
            "range of time is cut with start and end."
        )
