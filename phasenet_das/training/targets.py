"""Targets of a sample, and the weight of each pixel in the loss."""

from __future__ import annotations

import numpy as np

from phasenet_das.training.sample import PHASES, Sample

_REACH = 4.0  # standard deviations: beyond, a label is below 4e-4 and taken for zero
_TRUSTED = 3.0  # standard deviations around a kept pick within which a rejected one does not matter


def make_targets(sample: Sample, sigma_s: float) -> np.ndarray:
    """Make the probabilities to be learned.

    A label is a Gaussian in time with a peak of one. Of close labels of one phase the larger counts, and
    where P and S overlap both shrink to a sum of one.

    Returns (3, channel, time) float32: noise, P, S.
    """
    sigma = sigma_s / sample.dt_s
    targets = np.zeros((1 + len(PHASES), *sample.data.shape), np.float32)
    targets[0] = 1
    event, phase, row = np.nonzero(np.isfinite(sample.arrivals))
    times = sample.arrivals[event, phase, row]
    reach = int(np.ceil(_REACH * sigma))
    near = np.rint(times[:, None]).astype(np.int64) + np.arange(-reach, reach + 1)
    value = np.exp(-0.5 * np.square((near - times[:, None]) / sigma)).astype(np.float32)
    inside = (near >= 0) & (near < sample.data.shape[1])
    for one in np.unique(event):  # no pixel twice
        label, place = np.nonzero(inside & (event == one)[:, None])
        pixel = 1 + phase[label], row[label], near[label, place]
        targets[pixel] = np.maximum(targets[pixel], value[label, place])
    labelled = np.broadcast_to(row[:, None], near.shape)[inside], near[inside]
    found = targets[1:, *labelled]
    found /= np.maximum(found.sum(axis=0), 1)
    targets[1:, *labelled] = found
    targets[0, *labelled] = np.maximum(1 - found.sum(axis=0), 0)
    return targets


def make_mask(sample: Sample, sigma_s: float, guard_s: float) -> np.ndarray:
    """Weigh each pixel by how far its label can be trusted; a missing label is not taught as noise.

    Out of the loss are: dead channels; spans around rejected picks, unless a kept pick is there; on channels
    where an event lacks P or S or both, the span in which the rest of the cable tells that its arrivals may
    lie, and the whole channel if the other phase lies beyond an end; and the surroundings of an S whose P
    came before the sample, because a first arrival without a past looks like P. Around a label of low
    confidence the weight is that confidence.

    Returns (channel, time) float32.
    """
    shape, guard = sample.data.shape, guard_s / sample.dt_s
    mask = np.ones(shape, bool)
    mask[_near(sample.rejected, shape, guard)] = False
    kept = sample.arrivals.reshape(-1, shape[0])
    mask[_near(kept, shape, _TRUSTED * sigma_s / sample.dt_s)] = True
    time = np.arange(shape[1])
    for event in sample.arrivals:
        unknown = np.isnan(event).any(axis=0)
        if not unknown.any():
            continue
        # One arrival lies beyond an end of the sample, so the unknown one may lie within.
        mask[(np.isneginf(event[0]) & np.isnan(event[1])) | (np.isnan(event[0]) & np.isposinf(event[1]))] = (
            False
        )
        if np.isfinite(event).any():
            first, last = _event_span(event)
            untrusted = (time >= first[unknown, None] - guard) & (time <= last[unknown, None] + guard)
            mask[unknown] &= ~untrusted
    p, s = sample.arrivals[:, 0], sample.arrivals[:, 1]
    late = np.where(p < 0, s, np.nan)
    mask[_near(late, shape, max(guard, _REACH * sigma_s / sample.dt_s + 1))] = False
    mask[~sample.live] = False
    weight = mask.astype(np.float32)
    _lower(weight, sample, _TRUSTED * sigma_s / sample.dt_s)
    return weight


def _lower(weight: np.ndarray, sample: Sample, reach: float) -> None:
    """Lower weights (channel, time) within reach of uncertain labels to their confidence."""
    event, phase, row = np.nonzero(np.isfinite(sample.arrivals) & (sample.confidence < 1))
    centre = np.rint(sample.arrivals[event, phase, row])[:, None].astype(np.int64)
    near = centre + np.arange(-int(reach), int(reach) + 1)
    inside = (near >= 0) & (near < weight.shape[1])
    rows = np.broadcast_to(row[:, None], near.shape)[inside]
    sure = np.broadcast_to(sample.confidence[event, phase, row][:, None], near.shape)[inside]
    np.minimum.at(weight, (rows, near[inside]), sure)


def _near(times: np.ndarray, shape: tuple[int, int], reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and samples within reach of times (layer, channel)."""
    layer, row = np.nonzero(np.isfinite(times))
    centre = times[layer, row]
    begin = np.clip(np.ceil(centre - reach), 0, shape[1]).astype(np.int64)
    count = np.clip(np.floor(centre + reach) + 1, begin, shape[1]).astype(np.int64) - begin
    first = np.cumsum(count) - count
    return np.repeat(row, count), np.arange(count.sum()) + np.repeat(begin - first, count)


def _event_span(event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate when an event (2, channel) reaches each channel first and last.

    Between channels with picks the arrival is interpolated; beyond them it may move by as much as it does
    over all of them. A phase that nobody picked leaves the span open.
    """
    channel = np.arange(event.shape[1])
    early, late = np.full(len(channel), -np.inf), np.full(len(channel), np.inf)
    for times, bound, sign in ((event[0], early, -1.0), (event[1], late, 1.0)):
        known = np.flatnonzero(np.isfinite(times))
        if len(known):
            bound[:] = np.interp(channel, known, times[known])
            beyond = (channel < known[0]) | (channel > known[-1])
            extreme = sign * np.max(sign * times[known])
            bound[beyond] = extreme + sign * np.ptp(times[known])
    return early, late
