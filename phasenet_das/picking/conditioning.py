"""What may be done to a recording before picking: all off unless asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasenet_das.config import PickSettings
from phasenet_das.errors import DataFormatError, UnitError
from phasenet_das.picking.filters import bandpass, bandpass_reach

_CHUNK_SAMPLES = 4_000_000


@dataclass(frozen=True)
class Conditioned:
    """A recording made ready for picking.

    Attributes
    ----------
    data : numpy.ndarray, shape (channel, time), float32
        Conditioned samples of the channels that can be picked.
    missing : numpy.ndarray, shape (channel, time), bool, or None
        Samples that rest on no data; None when there are none.
    unit : str
        Unit of `data`.
    """

    data: np.ndarray
    missing: np.ndarray | None
    unit: str


def condition(
    data: np.ndarray, dt_s: float, unit: str, settings: PickSettings, missing: np.ndarray | None = None
) -> Conditioned:
    """Apply the conditioning that the settings ask for.

    The order is: strain to strain rate, common mode, band-pass.

    `data` (channel, time) float32; `missing` (channel, time) bool, optional.
    """
    if missing is None:
        data, missing = fill_gaps(data)
    if settings.to_strain_rate:
        data, unit = _strain_rate(data, dt_s, unit)
    if settings.common_mode == "median":
        data = data - _median(data, missing)
    if settings.bandpass_hz is not None:
        data = bandpass(data, dt_s, *settings.bandpass_hz)
    return Conditioned(data, missing, unit)


def filter_reach(dt_s: float, settings: PickSettings) -> int:
    """Give the samples on each side on which a conditioned sample depends."""
    samples = 1 if settings.to_strain_rate else 0
    return samples + (0 if settings.bandpass_hz is None else bandpass_reach(dt_s, *settings.bandpass_hz))


def fill_gaps(data: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Replace NaN and infinite samples by the nearest finite one of their channel.

    `data` (channel, time) float32. Returns `data` (channel, time) float32; `missing` (channel,
    time) bool, or None.
    """
    missing = ~np.isfinite(data)
    if not missing.any():
        return data, None
    return hold_nearest(data, missing), missing


def hold_nearest(data: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Replace missing samples by the nearest one of their channel, so that filters see no step.

    `data` (channel, time) float32; `missing` (channel, time) bool. Returns (channel, time) float32.
    """
    out = np.array(data, dtype=np.float32)
    index, last = np.arange(data.shape[1]), data.shape[1]
    for row in np.nonzero(missing.any(axis=1))[0]:
        gone = missing[row]
        if gone.all():
            out[row] = 0.0
            continue
        before = np.maximum.accumulate(np.where(gone, -last, index))
        after = np.minimum.accumulate(np.where(gone, 2 * last, index)[::-1])[::-1]
        out[row] = out[row, np.where(index - before <= after - index, before, after)]
    return out


def stack_groups(channel_index: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group neighbouring channels by number, so that a range of a cable has the groups of the whole.

    `channel_index` (channel,) int. Returns `number` (n,) int; `group` (channel,) int64; `count`
    (n,) int64.
    """
    number, group, count = np.unique(channel_index // size, return_inverse=True, return_counts=True)
    return number, group, count


def _median(data: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
    """Median over the channels that have data, at each sample, shape (1, time)."""
    out = np.zeros((1, data.shape[1]), np.float32)
    columns = max(1, _CHUNK_SAMPLES // max(1, len(data)))
    for first in range(0, data.shape[1] if len(data) else 0, columns):
        part = slice(first, first + columns)
        gone = None if missing is None else missing[:, part]
        values = data[:, part]
        if gone is not None and gone.any():
            used = ~gone.all(axis=1)
            values, gone = values[used], gone[used]
            if gone.any():
                values = np.where(gone, np.float32(np.nan), values)
                values = values[:, ~gone.all(axis=0)]
                out[0, part][~gone.all(axis=0)] = np.nanmedian(values, axis=0)
                continue
        if len(values):
            out[0, part] = np.median(values, axis=0)
    return out


def _strain_rate(data: np.ndarray, dt_s: float, unit: str) -> tuple[np.ndarray, str]:
    words = unit.lower().replace("_", " ")
    if any(sign in words for sign in ("rate", "/s", "/ s", "s^-1", "s-1", "hz")):
        raise UnitError(
            f"to_strain_rate: the data is in '{unit}', a rate already. Leave the setting off, or state unit= "
            "when the file names the wrong one."
        )
    if data.shape[-1] < 2:
        raise DataFormatError("to_strain_rate: expected at least 2 samples, found 1.")
    return np.gradient(data, np.float32(dt_s), axis=-1).astype(np.float32), f"{unit} / s"
