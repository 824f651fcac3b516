"""From samples as read to samples for the network: screening, conditioning, averaging of channels.

Samples are screened in blocks of one absolute grid, so that the result is the same for any cut of a
recording.
Every conditioning step is off unless the settings ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from phasenet_das.config import PickSettings
from phasenet_das.errors import DataFormatError, UnitError
from phasenet_das.io.patch import parse_unit
from phasenet_das.picking.filters import bandpass, bandpass_reach
from phasenet_das.picking.normalization import rows_at_a_time
from phasenet_das.tables.coverage import QualityIssue, runs_of_channels

_SAMPLES_AT_A_TIME = 4_000_000

KINDS = ("dead", "nonfinite", "saturated", "coarse")
"""What may be wrong with a channel in a block, in the order of `Screened.flags`."""

CORRECT_UNIT = (
    "If the file names the wrong unit, write it again with the right one, such as strain: patch = "
    "phasenet_das.read(path).update_attrs(data_units='strain'), then "
    "phasenet_das.io.write_quakeflow(patch, new_path)."
)
"""How to correct the unit of a file. A stated unit that contradicts the file is refused."""

_BLOCK_S = 4.0
_CLIPPED_SHARE = 0.02
_CLIPPED_LEVELS = 64
_FINE_STEPS = 100
_MANY_SPANS = 20
_COARSE_NS = 60_000_000_000


@dataclass(frozen=True)
class Conditioned:
    """A recording made ready for picking."""

    data: np.ndarray  # (channel, time) float32: conditioned samples of the channels that can be picked
    # (channel, time) bool: samples that rest on no data; None when there are none
    missing: np.ndarray | None
    unit: str  # unit of `data`
    first: tuple[int, int] = (0, 0)  # channel and sample with which `data` begins, where it was cut


def condition(
    data: np.ndarray, dt_s: float, unit: str, settings: PickSettings, missing: np.ndarray | None = None
) -> Conditioned:
    """Apply the conditioning that the settings ask for.

    The order is: strain to strain rate, common mode, band-pass.

    `data` (channel, time) float32, `missing` (channel, time) bool, optional.
    """
    if missing is None:
        data, missing = fill_gaps(data)
    return condition_whole(data, dt_s, unit, settings, missing)


def condition_whole(
    data: np.ndarray, dt_s: float, unit: str, settings: PickSettings, missing: np.ndarray | None
) -> Conditioned:
    """Condition samples whose gaps are filled."""
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

    `data` (channel, time) float32. Returns `data` (channel, time) float32, `missing` (channel,
    time) bool, or None.
    """
    missing = ~np.isfinite(data)
    if not missing.any():
        return data, None
    return hold_nearest(data, missing), missing


def hold_nearest(data: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Replace missing samples by the nearest one of their channel, so that filters see no step.

    `data` (channel, time) float32, `missing` (channel, time) bool. Returns (channel, time) float32.
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


def group_channels(channel_index: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group neighbouring channels by number, so that a range of a cable has the groups of the whole.

    `channel_index` (channel,) int. Returns `number` (n,) int, `group` (channel,) int64, `count`
    (n,) int64.
    """
    number, group, count = np.unique(channel_index // size, return_inverse=True, return_counts=True)
    return number, group, count


def _median(data: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
    """Median over the channels that have data, at each sample, shape (1, time)."""
    out = np.zeros((1, data.shape[1]), np.float32)
    columns = max(1, _SAMPLES_AT_A_TIME // max(1, len(data)))
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
    words, known = unit.lower().replace("_", " "), parse_unit(unit)
    per_second = known is not None and known.dimensionality.get("[time]", 0) < 0
    if per_second or any(sign in words for sign in ("rate", "/s", "/ s", "s^-1", "s-1", "hz")):
        raise UnitError(
            f"to_strain_rate: the data is in '{unit}', a rate already. Leave the setting off. {CORRECT_UNIT}"
        )
    if data.shape[-1] < 2:
        raise DataFormatError("to_strain_rate: expected at least 2 samples, found 1.")
    return np.gradient(data, np.float32(dt_s), axis=-1).astype(np.float32), f"{unit} / s"


@dataclass(frozen=True)
class QualityGrid:
    """The blocks of a recording: they begin at absolute multiples of 4 s.

    A block cut short to less than half by an end of the recording belongs to its neighbour.
    """

    first_index: int  # absolute number of the recording's first sample
    num_samples: int  # length of the recording
    block: int  # length of a block, samples

    @classmethod
    def of(cls, first_index: int, num_samples: int, dt_s: float) -> QualityGrid:
        """Lay the blocks of a recording."""
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
    """Samples fit for filtering, and what was found wrong."""

    data: np.ndarray  # (channel, time) float32: finite: where nothing is known, the nearest sample that is
    # (channel, time) bool: samples not to be trusted: not finite, or in a dead block; None when there are
    # none
    missing: np.ndarray | None
    edges: np.ndarray  # (block,) int64: first sample of each block in the recording
    # (4, channel, block) bool: where channels are dead (one value only), not finite somewhere, saturated,
    # or coarse: ``KINDS``
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
    for part in rows_at_a_time(*data.shape):
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
    same = data[:, 1:] == data[:, :-1]
    rows = np.nonzero((same[:, 1:] & same[:, :-1]).any(axis=1))[0]  # of most recordings none
    for extreme in (high, low) if len(rows) else ():
        at = data[rows] == np.repeat(extreme[rows], lengths, axis=1)
        run = (at[:, 2:] & at[:, 1:-1] & at[:, :-2]).any(axis=1)
        share = np.add.reduceat(at[run], edges, axis=1, dtype=np.int64) / lengths
        out[rows[run]] |= share >= _CLIPPED_SHARE
    rows = np.nonzero(out.any(axis=1))[0]
    coarse = [
        row for row in rows if len(np.unique(data[row, :: max(1, data.shape[1] // 4096)])) < _CLIPPED_LEVELS
    ]
    out[coarse] = False
    return out


def average_groups(
    data: np.ndarray, group: np.ndarray, count: np.ndarray, missing: np.ndarray | None
) -> np.ndarray:
    """Average the channels of each group that have data; there may be one in each."""
    if len(count) == len(data):
        out = np.empty_like(data)
        out[group] = data
        return out
    members = np.argsort(group, kind="stable")
    held = _sum_groups(data, members, count)
    held /= count[:, None].astype(np.float32)
    if missing is None or not missing.any():
        return held
    sums = _sum_groups(np.where(missing, np.float32(0), data), members, count)
    number = _sum_groups((~missing).astype(np.float32), members, count)
    return np.where(number > 0, sums / np.maximum(number, 1), held)


def _sum_groups(values: np.ndarray, members: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Add up rows group by group: the first rows of all groups, then the second, and so on.

    `members` (channel,) int64: rows in the order of their groups. Returns (group, time).
    """
    largest, first = int(count.max(initial=1)), np.cumsum(count) - count
    if len(values) == largest * len(count) and (np.diff(members) == 1).all():  # whole groups in order
        sums: np.ndarray = values.reshape(len(count), largest, -1).sum(axis=1)
        return sums
    sums = values[members[first]]
    for k in range(1, largest):
        larger = np.nonzero(count > k)[0]
        if len(larger) == len(count):
            sums += values[members[first + k]]
        else:
            sums[larger] += values[members[first[larger] + k]]
    return sums


def quality_issues(
    flags: np.ndarray, starts_ns: np.ndarray, ends_ns: np.ndarray, numbers: np.ndarray
) -> Iterator[QualityIssue]:
    """Join blocks in which the same channels are wrong.

    `flags` (4, channel, block) bool, `starts_ns`, `ends_ns` (block,) int64, `numbers` (channel,) int64.
    """
    for kind, flag in zip(KINDS, flags, strict=True):
        if not flag.any():
            continue
        changes = np.nonzero((flag[:, 1:] != flag[:, :-1]).any(axis=0))[0] + 1
        if len(changes) > _MANY_SPANS:
            changes = np.nonzero(np.diff(starts_ns // _COARSE_NS))[0] + 1
        for block in np.split(np.arange(len(starts_ns)), changes):
            wrong = flag[:, block].any(axis=1)
            if wrong.any():
                span = int(starts_ns[block[0]]), int(ends_ns[block[-1]])
                yield QualityIssue(kind, *span, runs_of_channels(numbers, wrong))
