"""What may be done to a recording before picking: all off unless asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasenet_das.config import PickSettings
from phasenet_das.errors import DataFormatError, UnitError
from phasenet_das.picking.filters import bandpass

__all__ = ["Conditioned", "condition", "fill_gaps", "stack_groups"]


@dataclass(frozen=True)
class Conditioned:
    """A recording made ready for picking.

    Attributes
    ----------
    data : numpy.ndarray, shape (channel, time), float32
        Conditioned samples of the channels that can be picked.
    missing : numpy.ndarray, shape (channel, time), bool, or None
        Samples that were NaN or infinite; None when there were none.
    unit : str
        Unit of `data`.
    """

    data: np.ndarray
    missing: np.ndarray | None
    unit: str


def condition(data: np.ndarray, dt_s: float, unit: str, settings: PickSettings) -> Conditioned:
    """Apply the conditioning that the settings ask for.

    The order is: strain to strain rate, common mode, band-pass.

    Parameters
    ----------
    data : numpy.ndarray, shape (channel, time), float32
        Samples of the channels that can be picked; not changed.
    dt_s : float
        Sampling interval, s.
    unit : str
        Unit of the samples, free text.
    settings : PickSettings
        What to do.

    Returns
    -------
    Conditioned
        Non-finite samples are replaced by their channel's mean, and marked.

    Raises
    ------
    UnitError
        Strain rate was asked for and the data is not strain.
    DataFormatError
        The record has too few samples to differentiate.
    """
    data, missing = fill_gaps(data)
    if settings.to_strain_rate:
        data, unit = _strain_rate(data, dt_s, unit)
    if settings.common_mode == "median":
        data = data - np.median(data, axis=0, keepdims=True)
    if settings.bandpass_hz is not None:
        data = bandpass(data, dt_s, *settings.bandpass_hz)
    return Conditioned(data, missing, unit)


def fill_gaps(data: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Replace NaN and infinite samples by the mean of their channel.

    Parameters
    ----------
    data : numpy.ndarray, shape (channel, time), float32
        Samples; not changed.

    Returns
    -------
    data : numpy.ndarray, shape (channel, time), float32
        Finite everywhere; the input itself when it was.
    missing : numpy.ndarray, shape (channel, time), bool, or None
        Where samples were replaced; None when nowhere.
    """
    missing = ~np.isfinite(data)
    if not missing.any():
        return data, None
    zeroed = np.where(missing, 0.0, data)
    present = np.maximum((~missing).sum(axis=-1, keepdims=True), 1)
    mean = zeroed.sum(axis=-1, keepdims=True, dtype=np.float64) / present
    return np.where(missing, mean, data).astype(np.float32), missing


def stack_groups(channel_index: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group neighbouring channels by number, so that a range of a cable has the groups of the whole.

    Parameters
    ----------
    channel_index : numpy.ndarray, shape (channel,), int
        Channel numbers, in the order of the data.
    size : int
        Channels a group.

    Returns
    -------
    number : numpy.ndarray, shape (n,), int
        Number of each group along the cable, increasing: of the channel itself for groups of one.
    group : numpy.ndarray, shape (channel,), int64
        Group of each channel, 0 ... n - 1.
    count : numpy.ndarray, shape (n,), int64
        Channels in each group.
    """
    number, group, count = np.unique(channel_index // size, return_inverse=True, return_counts=True)
    return number, group, count


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
