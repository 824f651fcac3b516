"""How far residuals hang together along a cable, and how many independent observations that leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gamma.receivers import Receivers

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_MAX_RESIDUAL = 4.0
_MIN_PAIRS = 200.0
_ABSORBED_MODES = 2.0
_LIFTS = 4
_MAX_LIFT = 0.15
_VANISHED = 0.02


@dataclass(frozen=True)
class CableOrder:
    """Place of each receiver in its cable's order."""

    rank: I64  # (receivers,), -1 for receivers that stand alone
    length: I64  # (cables,), number of channels


@dataclass(frozen=True)
class Correlation:
    """Autocorrelation of residuals by channel lag, for each group ``2 * cable + phase``."""

    lags: tuple[F64, ...]  # correlation at lags 0, 1, 2, ... until it has died away
    independent_share: F64  # (groups,), independent observations per pick


def cable_order(receivers: Receivers) -> CableOrder:
    """Rank the channels of every cable by their place along it."""
    rank = np.full(len(receivers), -1, dtype=np.int64)
    length = np.zeros(receivers.num_cables, dtype=np.int64)
    for index in range(receivers.num_cables):
        rows = np.flatnonzero(receivers.cable == index)
        rank[rows[np.argsort(receivers.along_km[rows], kind="stable")]] = np.arange(len(rows))
        length[index] = len(rows)
    return CableOrder(rank, length)


def estimate_correlation(
    receivers: Receivers, order: CableOrder, event: I64, receiver_phase: I64, residual: F64, default: F64
) -> Correlation:
    """Estimate the autocorrelation of residuals (picks,) along each cable, pooled over events."""
    lags: list[F64] = []
    share = default.copy()
    cable = receivers.cable[receiver_phase >> 1]
    for group in range(2 * receivers.num_cables):
        mine = (
            (cable == group // 2) & ((receiver_phase & 1) == group % 2) & (np.abs(residual) < _MAX_RESIDUAL)
        )
        channels = int(order.length[group // 2])
        rho, density = _autocorrelation(
            event[mine], order.rank[receiver_phase[mine] >> 1], residual[mine], channels
        )
        if density > 0.0:
            share[group] = 1.0 / (1.0 + 2.0 * density * float(rho[1:].sum()))
        lags.append(rho)
    return Correlation(tuple(lags), share)


def _autocorrelation(event: I64, rank: I64, residual: F64, channels: int) -> tuple[F64, float]:
    """Pooled autocorrelation up to where it first vanishes, and the share of channels with a pick.

    A share of zero says that there are too few picks to tell.
    """
    names, row = np.unique(event, return_inverse=True)
    size = 1 << int(np.ceil(np.log2(max(2 * channels, 2))))
    power, cover = np.zeros(size // 2 + 1), np.zeros(size // 2 + 1)
    for index in range(len(names)):
        mine = row == index
        values, mask = np.zeros(size), np.zeros(size)
        values[rank[mine]] = residual[mine]
        mask[rank[mine]] = 1.0
        power += np.abs(np.fft.rfft(values)) ** 2
        cover += np.abs(np.fft.rfft(mask)) ** 2
    product, pairs = np.fft.irfft(power, size)[: channels // 2], np.fft.irfft(cover, size)[: channels // 2]
    if len(product) < 2 or pairs[0] < _MIN_PAIRS or product[0] <= 0.0:
        return np.ones(1), 0.0
    enough = pairs >= 0.2 * pairs[0]
    rho = np.where(enough, product / np.maximum(pairs, 1.0), 0.0)
    return _undo_fit(rho / rho[0], channels), float(pairs[0] / (len(names) * channels))


def _undo_fit(rho: F64, channels: int) -> F64:
    """Give back what locating took from the autocorrelation, and cut it where it first vanishes.

    A location absorbs some two smooth modes of each phase's residuals. Each lowers the autocorrelation at
    every lag by the sum over lags divided by the number of channels.
    """
    lift = 0.0
    for _ in range(_LIFTS):
        lifted = (rho + lift) / (1.0 + lift)
        gone = np.flatnonzero(lifted <= _VANISHED)
        end = min(int(gone[0]) if len(gone) else len(rho), max(channels // 6, 2))
        total = 1.0 + 2.0 * float(lifted[1:end].sum())
        lift = min(_ABSORBED_MODES * total / channels, _MAX_LIFT)
    kept: F64 = lifted[:end]
    return kept


def correlated_sum(values: F64, rho: F64) -> F64:
    """Quadratic form of channel-ordered vectors (channels, n) with a Toeplitz correlation: (n, n)."""
    channels = len(values)
    rho = rho[:channels]
    size = 1 << int(np.ceil(np.log2(2 * channels)))
    spectrum = np.fft.rfft(values, size, axis=0)
    kernel = np.zeros(size)
    kernel[: len(rho)] = rho
    kernel[size - len(rho) + 1 :] += rho[:0:-1]
    smooth = np.fft.irfft(spectrum * np.fft.rfft(kernel)[:, None], size, axis=0)[:channels]
    out: F64 = values.T @ smooth
    return out
