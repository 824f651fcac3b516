"""A record reduced to what a screen shows, quickly for any part of it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from phasenet_das.io import get_channel_index, get_channel_status, get_data, get_times, get_unit
from phasenet_das.plot.raster import Raster, envelope_trace, rasterise, signed_extreme

if TYPE_CHECKING:
    from dascore import Patch

_OVERVIEW_SAMPLES: Final = 2048  # a view with fewer pixels than it has of these is made from them
_KEPT_VIEWS: Final = 8  # of a few MB each: home, back and forward are quick
_BLOCK_CHANNELS: Final = 256


class View(NamedTuple):
    """Pixels (channel bin, time bin), and the seconds at the edges of the first and the last."""

    raster: Raster
    first_s: float
    last_s: float


class Screen:
    """The samples of a record, and views of them.

    A view of all samples is made from an overview, which keeps of some samples in a row the one farthest
    from the mean of the channel.
    """

    def __init__(self, patch: Patch) -> None:
        self.data, self.times = get_data(patch), get_times(patch).astype("datetime64[ns]")
        self.channels, self.unit = get_channel_index(patch), get_unit(patch)
        self.dead = get_channel_status(patch) == "dead"
        self.seconds: np.ndarray = (self.times - self.times[0]) / np.timedelta64(1, "s")
        self._step = max(len(self.times) // _OVERVIEW_SAMPLES, 1)
        self._overview = _reduced(self.data, self._step)
        self._views: OrderedDict[tuple[object, ...], View] = OrderedDict()

    def nearest_channel(self, channel: float) -> int:
        """Find the channel of the record that is nearest to a number."""
        return int(self.channels[np.abs(self.channels - channel).argmin()])

    def rows_of(self, channels: np.ndarray) -> np.ndarray:
        """Find the rows of channels (channel,) of the record."""
        order = np.argsort(self.channels, kind="stable")
        found: np.ndarray = order[np.searchsorted(self.channels, channels, sorter=order)]
        return found

    def moments(self, seconds: np.ndarray) -> np.ndarray:
        """Turn seconds after the first sample into times, datetime64[ns]."""
        late: np.ndarray = np.rint(np.asarray(seconds, np.float64) * 1e9).astype("timedelta64[ns]")
        return self.times[0] + late

    def seconds_of(self, times: np.ndarray) -> np.ndarray:
        """Turn times into seconds after the first sample."""
        late: np.ndarray = (times - self.times[0]) / np.timedelta64(1, "s")
        return late

    def samples_in(self, seconds: tuple[float, float]) -> slice:
        """Find the samples between two seconds, and one more on each side."""
        first, last = np.searchsorted(self.seconds, sorted(seconds))
        return slice(max(int(first) - 1, 0), int(last) + 1)

    def view(
        self, channels: tuple[float, float], seconds: tuple[float, float], width: int, height: int
    ) -> View | None:
        """Reduce a part of the record to at most `width` channels by `height` times; None for no sample."""
        low, high = sorted(channels)
        rows, span = (
            np.flatnonzero((self.channels >= low) & (self.channels <= high)),
            self.samples_in(seconds),
        )
        if not len(rows) or len(self.seconds[span]) < 2:
            return None
        key = (int(rows[0]), int(rows[-1]), len(rows), span.start, span.stop, width, height)
        if key not in self._views:
            self._views[key] = self._make(rows, span, width, height)
        self._views.move_to_end(key)
        while len(self._views) > _KEPT_VIEWS:
            self._views.popitem(last=False)
        return self._views[key]

    def trace(
        self, channel: int, seconds: tuple[float, float], max_points: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Thin a channel to a line: seconds and values, shape (point,) each."""
        span = self.samples_in(seconds)
        row = int(np.flatnonzero(self.channels == channel)[0])
        sample, values = envelope_trace(self.data[row : row + 1, span], max_points)
        inside = self.seconds[span]
        return np.interp(sample, np.arange(len(inside)), inside), values[0]

    def _make(self, rows: np.ndarray, span: slice, width: int, height: int) -> View:
        data, seconds = self.data, self.seconds
        if self._step > 1 and len(seconds[span]) >= height * self._step:
            data, seconds = self._overview, seconds[:: self._step]
            span = slice(span.start // self._step, -(-span.stop // self._step))
        is_block = rows[-1] - rows[0] == len(rows) - 1  # then nothing is copied
        part = data[slice(rows[0], rows[-1] + 1) if is_block else rows, span]
        raster = rasterise(part, self.channels[rows], self.dead[rows], width, height)
        inside, half = seconds[span], float(self.seconds[1]) / 2
        return View(raster, float(inside[0]) - half, float(inside[-1] + seconds[1]) - half)


def _reduced(data: np.ndarray, step: int) -> np.ndarray:
    """Keep of `step` samples the one farthest from the mean of the channel; `data` itself for one."""
    if step == 1:
        return data
    starts = np.arange(0, data.shape[1], step)
    reduced = np.empty((len(data), len(starts)), np.float32)
    for first in range(0, len(data), _BLOCK_CHANNELS):
        block = data[first : first + _BLOCK_CHANNELS]
        mean = block.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        if not np.isfinite(mean).all():
            block = np.where(np.isfinite(block), block, np.float32(np.nan))
            mean = np.nan_to_num(np.nanmean(block, axis=1, keepdims=True))
        reduced[first : first + _BLOCK_CHANNELS] = signed_extreme(block - mean, starts, axis=1)
    return reduced
