"""A window-normalising network over any length of record, on one fixed absolute grid of windows.

PhaseNet standardises each window, so that its scores depend on where windows begin. They begin at
absolute sample numbers that are multiples of the step, and flush with both ends of the record: the
same wherever a file or a chunk was cut. Overlapping windows are averaged with weights that vanish at
their ends. A record shorter than a window is seen as it is, at its own length: padded or mirrored to
full length, its ends are taken for onsets.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = ["picture_scores", "stitch_weights", "window_scores", "window_starts"]


def window_starts(num_samples: int, window: int, step: int, first_index: int = 0) -> np.ndarray:
    """First samples of the windows that cover a record.

    Parameters
    ----------
    num_samples : int
        Length of the record, samples.
    window, step : int
        Length and distance of windows, samples; ``step <= window``.
    first_index : int
        Absolute number of the record's first sample.

    Returns
    -------
    numpy.ndarray, shape (n,), int64
        Increasing and unique, in samples from the start of the record; one window at 0 when the
        record is no longer than a window.
    """
    last = num_samples - window
    if last <= 0:
        return np.zeros(1, dtype=np.int64)
    on_grid = np.arange(-first_index % step, last + 1, step, dtype=np.int64)
    return np.unique(np.concatenate([[0], on_grid, [last]]).astype(np.int64))


def stitch_weights(window: int) -> Tensor:
    """Weights of overlapping windows: squared sine, so that half-overlapping windows sum to one.

    Parameters
    ----------
    window : int
        Length, samples.

    Returns
    -------
    torch.Tensor, shape (window,), float32
        Above zero everywhere, so that the ends of a record keep their only window's scores.
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
) -> Tensor:
    """Score every sample of every channel with a network that sees one standardised window.

    Parameters
    ----------
    data : torch.Tensor, shape (channel, time), float32
        Finite samples, on the device of the network.
    network : callable
        From (batch, 1, time) standardised samples to (batch, classes, time) logits.
    window : int
        Length of the network's windows, samples; they overlap by half.
    normalization : str
        ``std`` or ``peak``.
    first_index : int
        Absolute number of the first sample.
    batch_size : int
        Windows a forward pass.

    Returns
    -------
    torch.Tensor, shape (classes, channel, time), float32
        Probabilities that sum to one over the classes.
    """
    channels, num_samples = data.shape
    if num_samples < window:
        return _probabilities(data, network, normalization, batch_size)
    starts = window_starts(num_samples, window, window // 2, first_index)
    weights = stitch_weights(window).to(data.device)
    total = torch.zeros(num_samples, device=data.device)
    scores: Tensor | None = None
    for start in starts.tolist():
        span = slice(start, start + window)
        probability = _probabilities(data[:, span], network, normalization, batch_size)
        if scores is None:
            scores = torch.zeros((probability.shape[0], channels, num_samples), device=data.device)
        scores[..., span].addcmul_(probability, weights)
        total[span] += weights
    assert scores is not None  # noqa: S101 - there is always one window
    return scores.div_(total)


def picture_scores(
    data: Tensor,
    score: Callable[[Tensor], Tensor],
    *,
    window: tuple[int, int],
    first_index: tuple[int, int],
    span: tuple[int, int],
) -> np.ndarray:
    """Score a span of time with a network that sees channels together and normalises inside its window.

    Parameters
    ----------
    data : torch.Tensor, shape (channel, time), float32
        The whole record, so that its windows lie where they lie for any other span.
    score : callable
        From a window (channel, time) to probabilities (classes, channel, time).
    window : tuple of int
        Channels and samples of a window; they overlap by half. A smaller record is seen at its own size.
    first_index : tuple of int
        Absolute numbers of the first channel and sample.
    span : tuple of int
        Samples wanted, half open.

    Returns
    -------
    numpy.ndarray, shape (classes, channel, end - start), float32
        Probabilities that sum to one over the classes.
    """
    channels, num_samples = data.shape
    height, width = min(window[0], channels), min(window[1], num_samples)
    rows = window_starts(channels, window[0], window[0] // 2, first_index[0])
    columns = window_starts(num_samples, window[1], window[1] // 2, first_index[1])
    columns = columns[(columns + width > span[0]) & (columns < span[1])]
    weights = stitch_weights(height)[:, None] * stitch_weights(width)
    total = torch.zeros(channels, span[1] - span[0])
    scores: Tensor | None = None
    for row, column in itertools.product(rows.tolist(), columns.tolist()):
        probability = score(data[row : row + height, column : column + width])
        if scores is None:
            scores = torch.zeros((probability.shape[0], *total.shape))
        part = slice(max(column, span[0]) - column, min(column + width, span[1]) - column)
        into = slice(column + part.start - span[0], column + part.stop - span[0])
        scores[:, row : row + height, into].addcmul_(probability[..., part], weights[:, part])
        total[row : row + height, into] += weights[:, part]
    assert scores is not None  # noqa: S101 - windows cover the record
    return scores.div_(total).numpy()


def _probabilities(
    windows: Tensor, network: Callable[[Tensor], Tensor], normalization: str, batch_size: int
) -> Tensor:
    """Probabilities of one window of each channel, shape (classes, channel, window)."""
    parts = [
        torch.softmax(network(_standardise(batch, normalization).unsqueeze(1)), dim=1)
        for batch in windows.split(batch_size)
    ]
    return torch.cat(parts).transpose(0, 1)


def _standardise(windows: Tensor, normalization: str) -> Tensor:
    centred = windows - windows.mean(dim=-1, keepdim=True)
    if normalization == "peak":
        scale = centred.abs().amax(dim=-1, keepdim=True)
    else:
        scale = centred.square().mean(dim=-1, keepdim=True).sqrt()
    return centred / torch.where(scale > 0, scale, torch.ones_like(scale))
