"""Which samples can be trusted, judged in blocks of one absolute grid: the same for any piece of a record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasenet_das.picking.conditioning import hold_nearest

KINDS = ("dead", "nonfinite", "saturated", "coarse")
"""What may be wrong with a channel in a block, in the order of `Screened.flags`."""

_BLOCK_S = 4.0
_CLIPPED_SHARE = 0.02
_CLIPPED_RUN = 3
_CLIPPED_LEVELS = 64
_FINE_STEPS = 100
_CHUNK_SAMPLES = 4_000_000


@dataclass(frozen=True)
class QualityGrid:
    """The blocks of a record: they begin at absolute multiples of 4 s.

    A block cut short to less than half by an end of the record belongs to its neighbour.

    Attributes
    ----------
    first_index : int
        Absolute number of the record's first sample.
    num_samples : int
        Length of the record.
    block : int
        Length of a block, samples.
    """

    first_index: int
    num_samples: int
    block: int

    @classmethod
    def of(cls, first_index: int, num_samples: int, dt_s: float) -> QualityGrid:
        """Lay the blocks of a record."""
        return cls(first_index, num_samples, max(8, round(_BLOCK_S / dt_s)))

    def edges(self, first: int, end: int) -> np.ndarray:
        """List where blocks begin.

        Returns (block,) int64.
        """
        lead = -(self.first_index + first) % self.block
        bounds = np.arange(first + lead, end, self.block, dtype=np.int64)
        short = self.block // 2
        kept = (bounds > max(first, short - 1)) & (bounds <= self.num_samples - short)
        return np.concatenate([[first], bounds[kept]]).astype(np.int64)

    def widen(self, first: int, end: int) -> tuple[int, int]:
        """Grow a span to whole blocks."""
        low = first - (self.first_index + first) % self.block
        high = end + -(self.first_index + end) % self.block
        short = self.block // 2
        low = 0 if low < short else low
        high = self.num_samples if high > self.num_samples - short else high
        return low, high


@dataclass(frozen=True)
class Screened:
    """Samples fit for filtering, and what was found wrong.

    Attributes
    ----------
    data : numpy.ndarray, shape (channel, time), float32
        Finite: where nothing is known, the nearest sample that is.
    missing : numpy.ndarray, shape (channel, time), bool, or None
        Samples not to be trusted: not finite, or in a dead block; None when there are none.
    edges : numpy.ndarray, shape (block,), int64
        First sample of each block in the record.
    flags : numpy.ndarray, shape (4, channel, block), bool
        Where channels are dead (one value only), not finite somewhere, saturated, or coarse: ``KINDS``.
    """

    data: np.ndarray
    missing: np.ndarray | None
    edges: np.ndarray
    flags: np.ndarray


def screen(data: np.ndarray, first: int, grid: QualityGrid) -> Screened:
    """Judge samples block by block.

    A block that holds one value only is dead there: its samples are missing, as those that are not finite.
    Saturated (many samples at the very extreme, in runs) is only noted, and so is coarse: float32 has less
    than 100 steps between the extremes, since an offset takes its digits.

    `data` (channel, time) float32.
    """
    edges = grid.edges(first, first + data.shape[1])
    flags = np.zeros((len(KINDS), len(data), len(edges)), bool)
    rows = max(1, _CHUNK_SAMPLES // max(1, data.shape[1]))
    for start in range(0, len(data), rows):
        part = slice(start, start + rows)
        flags[:, part] = _judge(data[part], edges - first)
    if not flags[:2].any():
        return Screened(data, None, edges, flags)
    missing = np.repeat(flags[0], np.diff(np.append(edges, first + data.shape[1])), axis=1)
    broken = np.nonzero(flags[1].any(axis=1))[0]
    missing[broken] |= ~np.isfinite(data[broken])
    return Screened(hold_nearest(data, missing), missing, edges, flags)


def _judge(data: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Flag the blocks of some channels, shape (4, channel, block)."""
    high, low = (operation.reduceat(data, edges, axis=1) for operation in (np.maximum, np.minimum))
    finite = np.isfinite(high) & np.isfinite(low)  # both carry NaN through
    dead = (high == low) & (np.diff(np.append(edges, data.shape[1])) > 1)
    flags = np.stack([dead & finite, ~finite, np.zeros_like(dead), _coarse(data, edges, high, low)])
    if finite.all():
        flags[2] = _saturated(data, edges, high, low) & ~dead
    else:
        whole = finite.all(axis=1)
        flags[2, whole] = _saturated(data[whole], edges, high[whole], low[whole]) & ~dead[whole]
    return flags


def _coarse(data: np.ndarray, edges: np.ndarray, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Tell blocks between whose extremes float32 has few steps, and that take single steps."""
    with np.errstate(invalid="ignore"):  # not finite: not coarse
        spread, step = high - low, np.spacing(np.maximum(np.abs(high), np.abs(low)))
    out: np.ndarray = (spread > 0) & (spread < _FINE_STEPS * step)
    rows = np.nonzero(out.any(axis=1))[0]
    if len(rows):  # whole counts beside an offset are held exactly, and then a count is many steps
        change = np.abs(np.diff(data[rows], axis=1, append=data[rows, -1:]))
        least = np.minimum.reduceat(np.where(change > 0, change, np.float32(np.inf)), edges, axis=1)
        out[rows] &= least < 2 * step[rows]
    return out


def _saturated(data: np.ndarray, edges: np.ndarray, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Tell blocks with runs of samples at the extreme, on channels whose steps are fine beside it."""
    lengths = np.diff(np.append(edges, data.shape[1]))
    out = np.zeros(high.shape, bool)
    # The extreme of a clipped channel is hit again: three samples of one block in a row tell it apart.
    for extreme in (high, low):
        at = data == np.repeat(extreme, lengths, axis=1)
        run = at[:, 2:] & at[:, 1:-1] & at[:, :-2]
        rows = np.nonzero(run.any(axis=1))[0]
        if len(rows):
            share = np.add.reduceat(at[rows], edges, axis=1, dtype=np.int64) / lengths
            out[rows] |= share >= _CLIPPED_SHARE
    rows = np.nonzero(out.any(axis=1))[0]
    coarse = [
        row for row in rows if len(np.unique(data[row, :: max(1, data.shape[1] // 4096)])) < _CLIPPED_LEVELS
    ]
    out[coarse] = False
    return out
