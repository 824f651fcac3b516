"""What the user states about recordings, joined with what their files say: in this one place."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from phasenet_das.config import DataSettings
from phasenet_das.errors import (
    ChannelGeometryError,
    ConfigError,
    MissingMetadataError,
    PhaseNetDASError,
    SamplingError,
    UnitError,
)
from phasenet_das.io.index import NO_TIME, Geometry, Index, geometry_of
from phasenet_das.io.merge import HALF_SAMPLE
from phasenet_das.io.patch import check_channel_index, check_dt, check_unit_text, is_real, parse_unit
from phasenet_das.io.quantity import check_rate, check_unit
from phasenet_das.io.recording import Recording, spacing_m
from phasenet_das.io.time import parse_time

log = logging.getLogger(__name__)

_FILE = "\x00"  # stands for the path in messages that many files share
_DT_TOLERANCE = 1e-6
_DX_TOLERANCE = 1e-3
_SAME_PLACE_M = 1e-3
_LEAVE_OUT = "Leave the statement out. If the file is wrong, correct its header."
_V = TypeVar("_V")


@dataclass(frozen=True)
class UserMetadata:
    """What the user says about recordings, to fill what their files lack; None is not stated."""

    start_time: Any = None
    dt_s: float | None = None
    dx_m: float | None = None
    unit: str | None = None
    station_id: str | None = None
    first_channel: int | None = None
    any_quantity: bool = False  # whether samples may be of what is not seismic

    @classmethod
    def of(cls, data: DataSettings) -> UserMetadata:
        """Take it from settings."""
        return cls(*(getattr(data, item.name) for item in fields(cls)))

    def __bool__(self) -> bool:
        return any(value is not None and value is not False for value in vars(self).values())


@dataclass(frozen=True)
class ChosenChannels:
    """The channels taken from files of one geometry.

    ``rows`` are their positions in the file, which has ``in_file`` channels; ``channels_id`` is equal for
    geometries that are the same channels at the same distances.
    """

    rows: np.ndarray
    channel_index: np.ndarray
    distance_m: np.ndarray
    in_file: int
    channels_id: int


@dataclass(frozen=True)
class JoinedRows:
    """Readable rows of an index with all that is known, the channels of each geometry, problems by row."""

    rows: pd.DataFrame
    channels: dict[str, ChosenChannels]
    problems: dict[int, PhaseNetDASError]


def join_metadata(
    index: Index, user: UserMetadata, channels: tuple[int, int] | None = None, channel_step: int = 1
) -> JoinedRows:
    """Give every readable recording of an index its cable, start, interval, channels and unit.

    A statement fills what files lack and otherwise must agree with them: the interval within 1e-6, the
    channel spacing within 1e-3 (relative), the start time within half a sample, units when both can be
    parsed. A unit text that cannot be parsed counts as lacking. Without numbers, channels are
    0 … n-1; a known spacing places channel k at k times the spacing. A stated ``station_id`` wins over the
    one name that files give, but where they give several it only names the nameless; ``start_time`` is given
    to the one that lacks it. Records below 1 Hz, and units of temperature or power, are refused unless
    ``any_quantity`` is set.
    """
    if channel_step < 1:
        raise ConfigError(f"channel_step={channel_step}: expected 1 (every channel) or more.")
    rows = index.rows[index.rows["status"] == "ok"].reset_index(drop=True)
    problems: dict[int, PhaseNetDASError] = {}
    rows["station_id"] = _stations(rows["station_id"], user.station_id)
    rows["unit"] = _each(rows, "unit", lambda found: _seismic_unit(found, user), problems, "")
    rows["dt_s"] = _each(rows, "dt_s", lambda found: _seismic_interval(found, user), problems, np.nan)
    choice = _Choice(user, channels, channel_step)
    rows["channels_id"] = _each(
        rows, "geometry", lambda name: choice.choose(name, index.geometries[name]), problems, -1
    )
    _join_starts(rows, user.start_time, problems)
    return JoinedRows(rows, choice.chosen, problems)


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


def _stations(found: pd.Series, stated: str | None) -> pd.Series:
    names = sorted(set(found.unique()) - {""})
    if not stated:
        return found
    if len(names) > 1:
        log.warning("the files name %d cables (%s): they keep their names", len(names), ", ".join(names[:5]))
        return found.where(found != "", stated)
    return pd.Series(stated, index=found.index, dtype=found.dtype)


def _seismic_interval(found: float, user: UserMetadata) -> float:
    dt_s = join_interval(found, user.dt_s)
    if not user.any_quantity:
        check_rate(dt_s)
    return dt_s


def _seismic_unit(found: str, user: UserMetadata) -> str:
    if not user.any_quantity:
        check_unit(found)
    return join_unit(found, user.unit)


def join_interval(found: float, stated: float | None) -> float:
    """Join the sampling interval in s of a file, NaN when it has none, with the stated one."""
    if stated is not None:
        check_dt(stated, "dt_s=")
    if np.isnan(found) or (found == 0 and stated is not None):
        if stated is None:
            raise MissingMetadataError(
                "found no sampling interval. State it with dt_s= (--dt-s, or data.dt_s in --config), in s."
            )
        return float(stated)
    check_dt(found, _FILE)
    if stated is not None and abs(stated / found - 1) > _DT_TOLERANCE:
        raise SamplingError(f"dt_s={stated} was stated, but the file says {found}. {_LEAVE_OUT}")
    return found


def join_unit(found: str, stated: str | None) -> str:
    """Join the unit of a file with the stated one."""
    if stated is None or stated == found:
        return found
    check_unit_text(stated)
    known, meant = parse_unit(found), parse_unit(stated)
    if known is not None and known != meant:
        raise UnitError(
            f"unit={stated!r} was stated, but the file says {found!r}. A stated unit is for files that lack "
            "theirs. Pick the files of another unit in a run of their own. If all files state their unit, "
            "leave the statement out. If the file is wrong, correct its header."
        )
    return stated


def join_channels(found: Geometry, user: UserMetadata) -> tuple[np.ndarray, np.ndarray]:
    """Join the channels of a file with what is stated: numbers and distances in m, (channel,)."""
    count = found.num_channels
    first: Any = user.first_channel
    if first is not None and not (isinstance(first, int | np.integer) and first >= 0):
        raise ChannelGeometryError(f"first_channel={first!r} was stated. Expected a whole number from 0 on.")
    if found.channel_index is None:
        numbers = check_channel_index(np.arange(count) + (first or 0), count)
    else:
        numbers = check_channel_index(found.channel_index, count)
        if first is not None and numbers[0] != first:
            raise ChannelGeometryError(
                f"first_channel={first} was stated, but the file's first channel is {numbers[0]}. Leave the "
                "statement out. Use channels= to cut a range."
            )
    return numbers, _join_distances(found, user.dx_m, numbers)


def _join_distances(found: Geometry, stated: Any, numbers: np.ndarray) -> np.ndarray:  # noqa: ANN401
    if stated is not None and not (is_real(stated) and np.isfinite(stated) and stated > 0):
        raise ChannelGeometryError(f"dx_m={stated!r} was stated. Expected a positive channel spacing in m.")
    known = found.dx_m if found.distance_m is None else spacing_m(found.distance_m)
    known = None if known is None or np.isnan(known) else known
    if known is not None and stated is not None and abs(stated / abs(known) - 1) > _DX_TOLERANCE:
        raise ChannelGeometryError(
            f"dx_m={stated} was stated, but the file says {known:.6g} m. Leave the statement out."
        )
    if found.distance_m is not None:
        return np.asarray(found.distance_m, np.float64)
    dx_m = stated if known is None else known
    return np.full(len(numbers), np.nan) if dx_m is None else numbers * float(dx_m)


def fill(recording: Recording, user: UserMetadata) -> Recording:
    """Join one recording with what is stated, and leave unknown what nobody says."""
    geometry = geometry_of(recording)
    numbers, distance_m = join_channels(geometry, user)
    known = not np.isnan(recording.dt_s) or user.dt_s is not None
    start = parse_start(user.start_time)
    return replace(
        recording,
        channel_index=numbers,
        distance_m=distance_m,
        dt_s=join_interval(recording.dt_s, user.dt_s) if known else np.nan,
        start_time=start if start is not None and np.isnat(recording.start_time) else recording.start_time,
        unit=join_unit(recording.unit, user.unit),
        station_id=user.station_id or recording.station_id,
    )


class _Choice:
    """The channels taken from each geometry."""

    def __init__(self, user: UserMetadata, channels: tuple[int, int] | None, step: int) -> None:
        self._user, self._range, self._step = user, channels, step
        self._known: list[tuple[np.ndarray, np.ndarray]] = []
        self.chosen: dict[str, ChosenChannels] = {}

    def choose(self, name: str, geometry: Geometry) -> int:
        """Choose the channels of a geometry, and give their ``channels_id``."""
        numbers, distance_m = join_channels(geometry, self._user)
        rows = self._rows(numbers)
        channels_id = self._id(numbers[rows], distance_m[rows])
        self.chosen[name] = ChosenChannels(
            rows, *self._known[channels_id], geometry.num_channels, channels_id
        )
        return channels_id

    def _rows(self, numbers: np.ndarray) -> np.ndarray:
        low, high = self._range or (int(numbers.min()), int(numbers.max()) + 1)
        rows = np.flatnonzero((numbers >= low) & (numbers < high) & (numbers % self._step == 0))
        if not len(rows):
            every = f" that is a multiple of {self._step}" if self._step > 1 else ""
            raise ChannelGeometryError(
                f"no channel{every} in [{low}, {high}). The file holds {numbers.min()} to {numbers.max()}."
            )
        return rows

    def _id(self, numbers: np.ndarray, distance_m: np.ndarray) -> int:
        for channels_id, (others, elsewhere_m) in enumerate(self._known):
            if np.array_equal(numbers, others) and np.allclose(
                distance_m, elsewhere_m, rtol=0, atol=_SAME_PLACE_M, equal_nan=True
            ):
                return channels_id
        self._known.append((numbers, distance_m))
        return len(self._known) - 1


def parse_start(stated: Any) -> np.datetime64 | None:  # noqa: ANN401 - whatever a caller holds
    """Read a stated start time, None when none is stated."""
    start = parse_time(stated)
    if start is None and stated is not None:
        raise ConfigError(
            f"start_time={stated!r} is not a time. Expected ISO 8601 such as '2024-05-01T12:00:00' (UTC)."
        )
    return start


def _join_starts(rows: pd.DataFrame, stated: Any, problems: dict[int, PhaseNetDASError]) -> None:  # noqa: ANN401
    """Fill the start of the one recording that lacks it, and refuse the rest that do."""
    lacking = np.flatnonzero(rows["start_ns"].to_numpy() == NO_TIME)
    start = parse_start(stated)
    start_ns = None if start is None else int(start.astype(np.int64))
    if start_ns is not None and not len(lacking):
        _check_agreement(rows, start_ns)
    if start_ns is not None and len(lacking) == 1:
        rows.loc[lacking[0], "start_ns"] = start_ns
        return
    rest = (
        "Expected a UTC time such as 2024-05-01T12:00:00. State it with start_time= (--start-time, or "
        "data.start_time in --config)."
    )
    if start_ns is not None:
        rest = f"One was stated, but {len(lacking)} recordings lack theirs: read each apart."
    for row in lacking.tolist():
        path, found = str(rows["path"].iat[row]), str(rows["start_found"].iat[row]) or "none"
        text = f"{path}: no usable start time (found: {found}). {rest}"
        problems.setdefault(row, MissingMetadataError(text))


def _check_agreement(rows: pd.DataFrame, stated_ns: int) -> None:
    missed_s = (rows["start_ns"] - stated_ns).abs() * 1e-9
    if len(rows) and not (missed_s <= HALF_SAMPLE * rows["dt_s"].fillna(0)).any():
        first = np.datetime64(int(rows["start_ns"].min()), "ns")
        says = f"the file says {first}" if len(rows) == 1 else f"each file has a start, the first {first}"
        start = np.datetime64(stated_ns, "ns")
        raise ConfigError(f"start_time={start} was stated, but {says}. {_LEAVE_OUT}")
