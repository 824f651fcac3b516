"""What a user asks to be picked: its range, and the checks that need neither a network nor data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.config import PickSettings
from phasenet_das.errors import ConfigError, DeviceError, PhaseNetDASError
from phasenet_das.io.files import find_recordings
from phasenet_das.io.time import time_limits
from phasenet_das.models.names import check_weights_name
from phasenet_das.tables import check_output, check_table_name

if TYPE_CHECKING:
    import pandas as pd

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class Range:
    """Times and channel numbers to be picked, half open; None for all."""

    start_ns: int | None = None
    end_ns: int | None = None
    channels: tuple[int, int] | None = None

    @classmethod
    def of(cls, start: Any, end: Any, channels: tuple[int, int] | None) -> Range:  # noqa: ANN401
        """Read UTC times of any kind, and check that the range is not empty."""
        low, high = (None if one is None else int(one.astype(np.int64)) for one in time_limits((start, end)))
        if low is not None and high is not None and low >= high:
            raise ConfigError(f"the time range [{start}, {end}) is empty. Expected a start before the end.")
        return cls(low, high, None if channels is None else _channel_range(channels))

    @property
    def times(self) -> tuple[np.datetime64 | None, np.datetime64 | None]:
        """Its start and end."""
        start, end = (None if ns is None else np.datetime64(ns, "ns") for ns in (self.start_ns, self.end_ns))
        return start, end

    def meets(self, start_ns: float, end_ns: float) -> bool:
        """Tell whether a span of time has a part in the range."""
        return (self.end_ns is None or start_ns < self.end_ns) and (
            self.start_ns is None or end_ns > self.start_ns
        )

    def holds_channels(self, channel_index: np.ndarray) -> np.ndarray:
        """Tell which channels are in the range, shape (channel,), bool."""
        if self.channels is None:
            return np.ones(len(channel_index), bool)
        inside: np.ndarray = (channel_index >= self.channels[0]) & (channel_index < self.channels[1])
        return inside

    def holds_times(self, times_ns: np.ndarray) -> np.ndarray:
        """Tell which times are in the range, bool of the same shape."""
        inside = np.ones(times_ns.shape, bool)
        if self.start_ns is not None:
            inside &= times_ns >= self.start_ns
        if self.end_ns is not None:
            inside &= times_ns < self.end_ns
        return inside

    def select(self, picks: pd.DataFrame) -> pd.DataFrame:
        """Return the picks in the range of time."""
        if self.start_ns is None and self.end_ns is None:
            return picks
        times = picks["phase_time"].dt.tz_convert(None).dt.as_unit("ns").to_numpy().astype(np.int64)
        inside = self.holds_times(times)
        return picks[inside].reset_index(drop=True)


def _channel_range(channels: Any) -> tuple[int, int]:  # noqa: ANN401 - whatever a caller holds
    expected = "Expected (first, end), two whole numbers, the end not included."
    found = list(channels) if isinstance(channels, Iterable) else []
    if len(found) != 2 or not all(isinstance(one, int | np.integer) for one in found):
        raise ConfigError(f"channel_range {channels!r} is no range of numbers. {expected}")
    first, end = (int(one) for one in found)
    if first >= end:
        raise ConfigError(f"channel_range {channels} is empty. {expected}")
    return first, end


def check_request(
    inputs: Sequence[str | Path] = (),
    output: str | Path | None = None,
    settings: PickSettings | None = None,
    *,
    start: Any = None,  # noqa: ANN401 - a time in any form
    end: Any = None,  # noqa: ANN401
    channel_range: tuple[int, int] | None = None,
    further: Iterable[Callable[[], object]] = (),
) -> None:
    """Check what can be checked before a network or data are loaded, and name all problems in one error.

    Parameters
    ----------
    inputs : sequence of str or pathlib.Path
        Files, folders, glob patterns: something must be there.
    output : str or pathlib.Path, optional
        The pick table to be written.
    settings : PickSettings, optional
        Their weights and device are checked.
    start, end, channel_range : optional
        The range; see :meth:`phasenet_das.picking.Picker.pick`.
    further : iterable of callables
        More checks, each of which raises its problem.

    Raises
    ------
    PhaseNetDASError
        The only problem, or a ConfigError that lists all.
    """
    checks: list[Callable[[], object]] = [lambda: Range.of(start, end, channel_range)]
    if inputs:
        checks.append(lambda: find_recordings(inputs))
    if output is not None:
        checks.append(lambda: check_output(check_table_name(output)))
    if settings is not None:
        checks += [
            lambda: check_weights_name("weights", settings.weights),
            lambda: check_device(settings.device),
        ]
    problems: list[PhaseNetDASError] = []
    for check in (*checks, *further):
        try:
            check()
        except PhaseNetDASError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        lines = "\n".join(f"  {number}. {error}" for number, error in enumerate(problems, 1))
        raise ConfigError(f"{len(problems)} problems:\n{lines}")


def check_device(name: str) -> None:
    """Refuse the name of a device that no picker can use."""
    if not _DEVICE.fullmatch(str(name)):
        raise DeviceError(f"device '{name}': expected auto, cpu, cuda or cuda:N.")
