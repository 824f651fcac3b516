"""Resampling on an absolute grid of times, by symmetric filters whose delay is removed.

An output sample depends on a bounded span of the input, so a recording gives the same numbers whole and in
chunks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache

import numpy as np

from phasenet_das.errors import SamplingError

_ATTENUATION_DB = 70.0
_TRANSITION = 0.2
_RATE_TOLERANCE = 1e-3
_MAX_FACTOR = 4096
_PLACES = 32
# Starts at half an interval are common, and rounded to 1 ns: the tie lies a little off.
_TIE = Fraction(1, 2) + Fraction(1, 512)


@dataclass(frozen=True)
class TimeGrid:
    """Equally spaced sample times."""

    start_ns: int  # time of the first sample, ns since 1970
    dt_s: float  # sampling interval, s
    num_samples: int

    @property
    def first_index(self) -> int:
        """Absolute number of the first sample, counted from 1970 in sampling intervals."""
        interval = Fraction(self.dt_s).limit_denominator(10**9) * 10**9
        return math.floor(Fraction(self.start_ns) / interval + _TIE)

    def times_ns(self, index: np.ndarray) -> np.ndarray:
        """Give the times of (fractional) sample numbers."""
        return self.start_ns + np.rint(np.asarray(index, dtype=np.float64) * (self.dt_s * 1e9)).astype(
            np.int64
        )


@cache
def rational_ratio(rate_in_hz: float, rate_out_hz: float) -> tuple[int, int]:
    """Find the smallest whole factors that bring one sampling rate to another within 0.1 %."""
    ratio = rate_out_hz / rate_in_hz
    for factor in range(1, _MAX_FACTOR + 1):
        fraction = Fraction(ratio).limit_denominator(factor)
        if fraction > 0 and abs(float(fraction) / ratio - 1) <= _RATE_TOLERANCE:
            return fraction.numerator, fraction.denominator
    raise SamplingError(
        f"cannot bring {rate_in_hz:g} Hz to {rate_out_hz:g} Hz: the factor is beyond {_MAX_FACTOR}. "
        "Take the data at its native rate (rate='native') or state the right dt_s."
    )


def resample(data: np.ndarray, grid: TimeGrid, rate_hz: float) -> tuple[np.ndarray, TimeGrid]:
    """Bring data to another rate by polyphase FIR filtering (Crochiere & Rabiner, 1983).

    Output samples lie on those instants of the absolute input grid whose up-sampled number is a
    multiple of the decimation factor, so that pieces of a recording share one grid. Beyond its ends
    the recording is continued by its first and last sample.

    `data` (channel, time) float32. Returns `data` (channel, time') float32.
    """
    new_grid = resampled_grid(grid, rate_hz)
    return resample_span(data, 0, grid, rate_hz, (0, new_grid.num_samples)), new_grid


def resample_span(
    data: np.ndarray, first: int, grid: TimeGrid, rate_hz: float, span: tuple[int, int]
) -> np.ndarray:
    """Compute a part of the output of :func:`resample` from a part of its input.

    `data` (channel, time) float32. Returns (channel, span) float32.
    """
    up, down = rational_ratio(1 / grid.dt_s, rate_hz)
    if up == down:
        return data[:, span[0] - first : span[1] - first]
    half = len(_lowpass(max(up, down))) // 2
    out = np.empty((len(data), span[1] - span[0]), np.float32)
    for phase in range(min(up, out.shape[1])):  # outputs one of which is `up` behind the other share taps
        centre = _first_output(grid, up, down) + (span[0] + phase) * down - first * up
        low = -((half - centre) // up)  # first sample under the filter
        part = out[:, phase::up]
        part[:] = _correlate(data, low, _band(up, down, centre + half - low * up), down, part.shape[1])
    return out


@lru_cache(256)
def _band(up: int, down: int, last: int) -> np.ndarray:
    """Lay the taps last, last - up, ... at several places, `down` samples apart, shape (sample, place)."""
    kernel = (_lowpass(max(up, down)) * up)[last::-up]
    places = min(_PLACES, max(1, 2 * len(kernel) // down))
    band = np.zeros(((places - 1) * down + len(kernel), places), np.float32)
    for k in range(places):
        band[k * down : k * down + len(kernel), k] = kernel
    return band


def _correlate(data: np.ndarray, first: int, band: np.ndarray, step: int, count: int) -> np.ndarray:
    """Correlate rows with a kernel that begins at sample `first` and moves on by `step`, shape (row, count).

    A matrix product of overlapping pieces with the kernel at several places: many times as fast as output by
    output.
    """
    length, places = band.shape
    pieces = -(-count // places)
    end = first + (pieces - 1) * places * step + length
    inside = data[:, max(0, first) : max(0, end)]
    beyond = max(0, -first), max(0, end - data.shape[1])
    if any(beyond):
        inside = np.pad(inside, ((0, 0), beyond), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(inside, length, axis=1)[:, :: places * step]
    found: np.ndarray = windows.reshape(-1, length) @ band  # windows overlap: the pieces are copies
    return found.reshape(len(data), -1)[:, :count]


def source_span(grid: TimeGrid, rate_hz: float, span: tuple[int, int]) -> tuple[int, int]:
    """Tell the input samples on which some outputs of :func:`resample` depend."""
    up, down = rational_ratio(1 / grid.dt_s, rate_hz)
    if up == down:
        return span
    half = len(_lowpass(max(up, down))) // 2
    offset = _first_output(grid, up, down)
    low, high = offset + span[0] * down - half, offset + (span[1] - 1) * down + half
    return low // up, high // up + 2


def resampled_grid(grid: TimeGrid, rate_hz: float) -> TimeGrid:
    """Give the times of the output of :func:`resample`."""
    up, down = rational_ratio(1 / grid.dt_s, rate_hz)
    if up == down:
        return grid
    offset = _first_output(grid, up, down)
    num_samples = max(0, -(-((grid.num_samples - 1) * up + 1 - offset) // down))
    return TimeGrid(grid.start_ns + round(offset * grid.dt_s * 1e9 / up), grid.dt_s * down / up, num_samples)


def _first_output(grid: TimeGrid, up: int, down: int) -> int:
    """Up-sampled number of the first output sample, counted from the first input sample."""
    return (-grid.first_index * up) % down


@cache
def _lowpass(factor: int) -> np.ndarray:
    """Design an anti-alias filter whose stop band begins at the Nyquist frequency of the slower rate.

    A sinc in a window of Kaiser (1974); scipy.signal, which designs it too, takes a second to import.
    """
    width, beta = _TRANSITION / factor, 0.1102 * (_ATTENUATION_DB - 8.7)
    count = math.ceil((_ATTENUATION_DB - 7.95) / (2.285 * math.pi * width) + 1) | 1
    taps = np.sinc((1 - _TRANSITION / 2) / factor * (np.arange(count) - count // 2)) * np.kaiser(count, beta)
    return taps / taps.sum()
