"""Lines and areas that a person draws over channels and times, to choose picks or to place them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasenet_das.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Moveout:
    """A line of arrival times along the cable, straight between its points.

    Parameters
    ----------
    channels : numpy.ndarray, shape (point,)
        Channel numbers, at least two different ones, in any order.
    times : numpy.ndarray, shape (point,), datetime64
        UTC.

    Raises
    ------
    ConfigError
        There are fewer than two channels.
    """

    channels: np.ndarray
    times: np.ndarray

    def __post_init__(self) -> None:
        channels = np.asarray(self.channels, np.float64)
        order = np.argsort(channels, kind="stable")
        object.__setattr__(self, "channels", channels[order])
        object.__setattr__(self, "times", np.asarray(self.times, "datetime64[ns]")[order])
        crossed = len(np.unique(channels))
        if crossed < 2:
            raise ConfigError(
                f"line: found {len(channels)} point(s) on {crossed} channel(s), expected two or more. "
                "Draw the line along the cable."
            )

    def at(self, channel: np.ndarray) -> np.ndarray:
        """Compute when the line crosses channels (channel,): datetime64[ns], NaT beyond its ends."""
        late = np.interp(channel, self.channels, _seconds(self.times, self.times[0]), np.nan, np.nan)
        crossed = np.full(len(late), np.datetime64("NaT", "ns"))
        known = np.isfinite(late)
        crossed[known] = self.times[0] + np.rint(late[known] * 1e9).astype("timedelta64[ns]")
        return crossed

    def holds(self, channel: np.ndarray, time: np.ndarray, within_s: float) -> np.ndarray:
        """Tell which picks (pick,) are at most `within_s` from the line."""
        crossed = self.at(channel)
        near: np.ndarray = np.abs(time - crossed) <= np.timedelta64(round(within_s * 1e9), "ns")
        return near


@dataclass(frozen=True, eq=False)
class Area:
    """A polygon over channels and times; a box is one of four corners.

    Parameters
    ----------
    channels : numpy.ndarray, shape (corner,)
        Channel numbers of the corners in their order.
    times : numpy.ndarray, shape (corner,), datetime64
        UTC.

    Raises
    ------
    ConfigError
        There are fewer than three corners.
    """

    channels: np.ndarray
    times: np.ndarray

    def __post_init__(self) -> None:
        if len(self.channels) < 3:
            raise ConfigError(
                f"area: found {len(self.channels)} corner(s), expected at least 3. Draw around the picks."
            )

    @classmethod
    def box(cls, channels: tuple[float, float], times: tuple[np.datetime64, np.datetime64]) -> Area:
        """Make the rectangle between two opposite corners."""
        (left, right), (early, late) = channels, times
        return cls(np.array([left, right, right, left]), np.array([early, early, late, late]))

    def holds(self, channel: np.ndarray, time: np.ndarray, within_s: float = 0.0) -> np.ndarray:
        """Tell which picks (pick,) lie inside; `within_s` is of lines only."""
        from matplotlib.path import Path

        del within_s
        first = np.asarray(self.times, "datetime64[ns]")[0]
        edge = np.column_stack([self.channels, _seconds(self.times, first)])
        return Path(edge, closed=False).contains_points(np.column_stack([channel, _seconds(time, first)]))


def _seconds(times: np.ndarray, first: np.datetime64) -> np.ndarray:
    late: np.ndarray = (np.asarray(times, "datetime64[ns]") - first) / np.timedelta64(1, "s")
    return late
