"""A window-normalising network over any length of recording, on one fixed absolute grid of windows.

PhaseNet standardises each window, so that its scores depend on where windows begin. They begin at
absolute sample numbers that are multiples of the step, and flush with both ends of the recording: the
same wherever a file or a chunk was cut. Overlapping windows are averaged with weights that vanish at
their ends. A recording shorter than a window is seen as it is, at its own length: padded or mirrored to
full length, its ends are taken for onsets.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class WindowRange:
    """The samples of a recording that are there, and those that are scored."""

    num_samples: int  # length of the recording
    first: int  # number of the first sample there is; all windows that overlap `wanted` must be there
    wanted: tuple[int, int]  # samples to be scored, half open


def window_starts(
    num_samples: int, window: int, step: int, first_index: int = 0, span: tuple[int, int] | None = None
) -> np.ndarray:
    """First samples of the windows that cover a recording.

    Returns (n,) int64.
    """
    last = num_samples - window
    if last <= 0:
        return np.zeros(1, dtype=np.int64)
    low, high = (0, last) if span is None else (max(0, span[0] - window + 1), min(last, span[1] - 1))
    on_grid = np.arange(low + -(first_index + low) % step, high + 1, step, dtype=np.int64)
    flush = [start for start in (0, last) if low <= start <= high]
    return np.unique(np.concatenate([flush, on_grid]).astype(np.int64))


def stitch_weights(window: int) -> Tensor:
    """Weights of overlapping windows: squared sine, so that half-overlapping windows sum to one.

    Returns (window,) float32.
    """
    phase = (torch.arange(window, dtype=torch.float64) + 0.5) / window
    return (torch.sin(torch.pi * phase) ** 2).clamp_min(1e-4).float()


def window_scores(
    data: Tensor,
    network: Callable[[Tensor], Tensor],
    *,
    window: int,
    normalization: str,
    first_index: int,
    batch_size: int,
    within: WindowRange | None = None,
    missing: Tensor | None = None,
) -> Tensor:
    """Score every sample of every channel with a network that sees one standardised window.

    `data` (channel, time) float32, `missing` (channel, time) bool, optional. Returns (classes,
    channel, wanted) float32.
    """
    within = within or WindowRange(data.shape[1], 0, (0, data.shape[1]))
    (low, high), num_samples = within.wanted, within.num_samples
    width = min(window, num_samples)
    weights = stitch_weights(window).to(data.device)[:width]
    total = torch.zeros(high - low, device=data.device)
    scores: Tensor | None = None
    for start in window_starts(num_samples, window, window // 2, first_index, within.wanted).tolist():
        span = slice(start - within.first, start - within.first + width)
        probability = _probabilities(
            data[:, span], network, normalization, batch_size, None if missing is None else missing[:, span]
        )
        if scores is None:
            scores = torch.zeros((probability.shape[0], len(data), high - low), device=data.device)
        seen = slice(max(start, low) - start, min(start + width, high) - start)
        into = slice(start + seen.start - low, start + seen.stop - low)
        scores[..., into].addcmul_(probability[..., seen], weights[seen])
        total[into] += weights[seen]
    assert scores is not None  # noqa: S101 - there is always one window
    return scores.div_(total)


def picture_scores(
    data: Tensor,
    score: Callable[[Tensor], Tensor],
    *,
    window: tuple[int, int],
    first_index: tuple[int, int],
    within: WindowRange,
    missing: Tensor | None = None,
) -> np.ndarray:
    """Score a span of time with a network that sees channels together and normalises inside its window.

    `data` (channel, time) float32, `missing` (channel, time) bool, optional. Returns (classes,
    channel, wanted) float32.
    """
    channels, (low, high) = len(data), within.wanted
    height, width = min(window[0], channels), min(window[1], within.num_samples)
    rows = window_starts(channels, window[0], window[0] // 2, first_index[0])
    columns = window_starts(within.num_samples, window[1], window[1] // 2, first_index[1], within.wanted)
    weights = stitch_weights(height)[:, None] * stitch_weights(width)
    total = torch.zeros(channels, high - low)
    scores: Tensor | None = None
    for row, column in itertools.product(rows.tolist(), columns.tolist()):
        where = (slice(row, row + height), slice(column - within.first, column - within.first + width))
        picture = data[where] if missing is None else _level(data[where], missing[where])
        probability = score(picture)
        if scores is None:
            scores = torch.zeros((probability.shape[0], *total.shape))
        seen = slice(max(column, low) - column, min(column + width, high) - column)
        into = slice(column + seen.start - low, column + seen.stop - low)
        scores[:, row : row + height, into].addcmul_(probability[..., seen], weights[:, seen])
        total[row : row + height, into] += weights[:, seen]
    assert scores is not None  # noqa: S101 - windows cover the recording
    return scores.div_(total).numpy()


def _mean(data: Tensor, missing: Tensor) -> Tensor:
    """Mean of each channel's samples that are not missing, shape (channel, 1); zero without any."""
    return data.masked_fill(missing, 0).sum(-1, keepdim=True) / (~missing).sum(-1, keepdim=True).clamp(1)


def _level(data: Tensor, missing: Tensor) -> Tensor:
    """Replace missing samples by the mean of their channel's others."""
    return torch.where(missing, _mean(data, missing), data)


def _probabilities(
    windows: Tensor,
    network: Callable[[Tensor], Tensor],
    normalization: str,
    batch_size: int,
    missing: Tensor | None,
) -> Tensor:
    """Probabilities of one window of each channel, shape (classes, channel, window)."""
    parts = []
    for first in range(0, len(windows), batch_size):
        batch = slice(first, first + batch_size)
        gone = None if missing is None else missing[batch]
        standard = _standardise(windows[batch], normalization, gone)
        parts.append(torch.softmax(network(standard.unsqueeze(1)), dim=1))
    return torch.cat(parts).transpose(0, 1)


def _standardise(windows: Tensor, normalization: str, missing: Tensor | None) -> Tensor:
    if missing is None or not missing.any():
        centred = windows - windows.mean(dim=-1, keepdim=True)
        square = centred.square().mean(dim=-1, keepdim=True)
    else:
        centred = (windows - _mean(windows, missing)).masked_fill(missing, 0)
        square = centred.square().sum(-1, keepdim=True) / (~missing).sum(-1, keepdim=True).clamp(1)
    scale = centred.abs().amax(dim=-1, keepdim=True) if normalization == "peak" else square.sqrt()
    return centred / torch.where(scale > 0, scale, torch.ones_like(scale))
