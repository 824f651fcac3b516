"""Linear-phase filters, the delay removed.

Every filter is a symmetric FIR, so that a sample of the output depends on a bounded span of the
input (the halo) and a recording gives the same numbers whole and in pieces.
"""

from __future__ import annotations

import numpy as np
import scipy

from phasenet_das.errors import SamplingError

_ATTENUATION_DB = 70.0
_SAMPLES_AT_A_TIME = 4_000_000
_LONGEST = 1_000_000  # samples of a filter


def bandpass(data: np.ndarray, dt_s: float, low_hz: float, high_hz: float) -> np.ndarray:
    """Band-pass with a linear-phase FIR filter, its delay removed.

    `data` (channel, time) float32. Returns (channel, time) float32.
    """
    taps = _bandpass_taps(dt_s, low_hz, high_hz)
    half = len(taps) // 2
    out = np.empty(data.shape, np.float32)
    rows = max(1, _SAMPLES_AT_A_TIME // max(1, data.shape[-1]))
    for first in range(0, len(data), rows):
        # In double precision: an offset would else leave its rounding, which differs from piece to piece.
        part = data[first : first + rows].astype(np.float64)
        padded = np.pad(part, ((0, 0), (half, half)), mode="edge")
        out[first : first + rows] = scipy.signal.oaconvolve(padded, taps[None], mode="valid", axes=-1)
    return out


def bandpass_reach(dt_s: float, low_hz: float, high_hz: float) -> int:
    """Give the samples on each side on which an output of :func:`bandpass` depends."""
    return len(_bandpass_taps(dt_s, low_hz, high_hz)) // 2


def _bandpass_taps(dt_s: float, low_hz: float, high_hz: float) -> np.ndarray:
    nyquist = 0.5 / dt_s
    if high_hz >= nyquist:
        raise SamplingError(
            f"band {low_hz:g}-{high_hz:g} Hz: expected an upper corner below Nyquist, {nyquist:g} Hz."
        )
    width = min(low_hz, nyquist - high_hz) / nyquist
    count, beta = scipy.signal.kaiserord(_ATTENUATION_DB, width)
    if count > _LONGEST:
        low = low_hz <= nyquist - high_hz
        edge = "lower corner farther from 0" if low else "upper corner farther from Nyquist"
        raise SamplingError(
            f"band {low_hz:g}-{high_hz:g} Hz: its filter has {count:,} samples, expected {_LONGEST:,} at "
            f"most. Take the {edge}."
        )
    taps: np.ndarray = scipy.signal.firwin(
        count | 1, [low_hz, high_hz], window=("kaiser", beta), pass_zero=False, fs=1 / dt_s
    )
    return taps
