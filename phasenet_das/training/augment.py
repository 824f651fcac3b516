"""Augmentation: the operations move samples and picks together, and draw nothing by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np
from scipy.signal import firwin

from phasenet_das.config import AugmentSettings
from phasenet_das.errors import ConfigError
from phasenet_das.picking.multirate import FEWEST_ROWS
from phasenet_das.training.sample import Sample

_MAX_DENOMINATOR = 64
_OUTPUTS = 48  # of a resampled row at a time
_RATIO_CHANGES_S = (0.4, 0.2)  # before the S: begin and end of a change of the ratio of P to S
_SHORTEST = 0.25  # of a sample's length: how much of it stays at least when ends are missing


def anchored_start(
    arrivals: np.ndarray, shape: tuple[int, int], size: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int]:
    """Draw where a crop begins, so that a drawn pick lies anywhere in it.

    `arrivals` (..., channel) float.
    """
    visible = np.isfinite(arrivals) & (arrivals >= 0) & (arrivals < shape[1])
    picks = np.argwhere(visible)
    if len(picks):
        chosen = tuple(picks[rng.integers(len(picks))])
        anchor = (int(chosen[-1]), int(arrivals[chosen]))
    else:
        anchor = (int(rng.integers(shape[0])), int(rng.integers(shape[1])))
    start = [place - int(rng.integers(width)) for place, width in zip(anchor, size, strict=True)]
    spare = [have - width for have, width in zip(shape, size, strict=True)]
    low, high = np.minimum(spare, 0), np.maximum(spare, 0)
    first_channel, first_sample = np.clip(start, low, high).tolist()
    return first_channel, first_sample


def crop(sample: Sample, first: tuple[int, int], size: tuple[int, int]) -> Sample:
    """Cut a piece out; beyond the data it is filled with zeros."""
    if first == (0, 0) and size == sample.data.shape:
        return sample
    total = sample.data.shape[1]
    low = np.maximum(first, 0)
    high = np.minimum(np.add(first, size), sample.data.shape)
    inner = (slice(low[0], high[0]), slice(low[1], high[1]))
    place = tuple(slice(a - begin, b - begin) for a, b, begin in zip(low, high, first, strict=True))
    rows = place[0]
    data = np.zeros(size, np.float32)
    data[place] = sample.data[inner]
    live = np.zeros(size[0], bool)
    live[rows] = sample.live[inner[0]]
    arrivals = np.full((*sample.arrivals.shape[:2], size[0]), np.inf)
    kept = sample.arrivals[:, :, inner[0]]
    outside = (kept < 0) | (kept >= total)
    if first[1] < 0 or first[1] + size[1] > total:
        kept = np.where(outside, np.copysign(np.inf, kept), kept)
    arrivals[:, :, rows] = kept - first[1]
    confidence = np.ones(arrivals.shape, np.float32)
    confidence[:, :, rows] = sample.confidence[:, :, inner[0]]
    rejected = np.full((len(sample.rejected), size[0]), np.nan)
    rejected[:, rows] = sample.rejected[:, inner[0]] - first[1]
    return replace(sample, data=data, arrivals=arrivals, confidence=confidence, rejected=rejected, live=live)


def stretch_time(sample: Sample, factor: float, dt_s: float | None = None) -> Sample:
    """Stretch time: everything takes `factor` times as many samples."""
    if factor <= 0:
        raise ConfigError(f"factor: found {factor}, expected a positive number.")
    exact = _exact(factor)
    ratio = float(exact)
    return replace(
        sample,
        data=_resample(sample.data, exact),
        arrivals=sample.arrivals * ratio,
        rejected=sample.rejected * ratio,
        dt_s=dt_s or sample.dt_s,
    )


def lower_rate(sample: Sample, factor: float) -> Sample:
    """Bring a sample to a lower rate and back: what the lower rate cannot hold is lost."""
    low = stretch_time(sample, factor)
    back = _resample(low.data, 1 / _exact(factor))
    return replace(sample, data=back[:, : sample.data.shape[1]])


def _exact(factor: float) -> Fraction:
    """Give the simple fraction nearest to a factor; a small factor, of a high rate, needs a finer one."""
    return Fraction(factor).limit_denominator(max(_MAX_DENOMINATOR, round(_MAX_DENOMINATOR / (2 * factor))))


def _resample(data: np.ndarray, ratio: Fraction) -> np.ndarray:
    """Make `ratio` times as many samples, as ``scipy.signal.resample_poly`` does with ``padtype="line"``.

    Pieces of a row are multiplied with the filter at many places at once, several times as fast as output by
    output. `data` (channel, time) float32. Returns (channel, time') float32.
    """
    if ratio == 1:
        return data
    have = data.shape[1]
    count = -(-have * ratio.numerator // ratio.denominator)
    taps, step, before = _taps(ratio.numerator, ratio.denominator)
    pieces = -(-count // taps.shape[1])
    padded = np.empty((len(data), max((pieces - 1) * step + len(taps), before + have)), np.float32)
    padded[:, before : before + have] = data
    slope = (data[:, -1:] - data[:, :1]) / np.float32(max(have - 1, 1))
    for beyond in (slice(before), slice(before + have, None)):  # a line through the first and last sample
        place = np.arange(padded.shape[1], dtype=np.float32)[beyond] - before
        padded[:, beyond] = data[:, :1] + slope * place
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(taps), axis=1)[:, ::step][:, :pieces]
    found: np.ndarray = (windows.reshape(-1, len(taps)) @ taps).reshape(len(data), -1)
    return np.ascontiguousarray(found[:, :count])


@lru_cache(512)
def _taps(up: int, down: int) -> tuple[np.ndarray, int, int]:
    """Lay the filter at neighbouring outputs (input, output); also inputs a piece, and before the first."""
    half = 10 * max(up, down)
    kernel = firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0)) * up
    turns, before = max(1, _OUTPUTS // up), half // up + 1
    outputs = np.arange(turns * up)
    inputs = np.arange(-before, outputs[-1] * down // up + before + 1)
    place = half + outputs * down - inputs[:, None] * up
    inside = (place >= 0) & (place <= 2 * half)
    return np.where(inside, kernel[place * inside], 0).astype(np.float32), turns * down, before


def stretch_space(sample: Sample, factor: float) -> Sample:
    """Stretch the cable: `factor` times as many channels over the same length."""
    if factor <= 0:
        raise ConfigError(f"factor: found {factor}, expected a positive number.")
    channels = len(sample.data)
    place = np.arange(round((channels - 1) * factor) + 1) / factor
    nearest = np.minimum(np.rint(place).astype(np.int64), channels - 1)
    low = np.minimum(place.astype(np.int64), channels - 1)
    part = place - low
    if factor <= 1:
        low, part = nearest, np.zeros(len(place))
    high = np.where(part > 0, np.minimum(low + 1, channels - 1), low)
    weight = part[:, None].astype(np.float32)
    data = sample.data[low]
    if part.any():
        data *= 1 - weight
        data += sample.data[high] * weight
    before, after = sample.arrivals[..., low], sample.arrivals[..., high]
    both = np.isfinite(before) & np.isfinite(after)
    between = np.where(both, before, 0) * (1 - part) + np.where(both, after, 0) * part
    return replace(
        sample,
        data=data,
        arrivals=np.where(both, between, sample.arrivals[..., nearest]),
        confidence=sample.confidence[..., nearest],
        rejected=sample.rejected[:, nearest],
        live=sample.live[low] & sample.live[high],
        dx_m=sample.dx_m / factor,
    )


def reflect_channels(sample: Sample, first: int, channels: int) -> Sample:
    """Take `channels` channels from `first` on; beyond its ends, the cable runs back along itself."""
    have = len(sample.data)
    if first == 0 and channels == have:
        return sample
    place = np.arange(first, first + channels) % (2 * have)
    return _choose(sample, np.where(place < have, place, 2 * have - 1 - place))


def _choose(sample: Sample, row: np.ndarray) -> Sample:
    """Take the channels `row`, in this order."""
    return replace(
        sample,
        data=np.ascontiguousarray(sample.data[row]),
        arrivals=sample.arrivals[..., row],
        confidence=sample.confidence[..., row],
        rejected=sample.rejected[:, row],
        live=sample.live[row],
    )


def average_channels(sample: Sample, size: int) -> Sample:
    """Average neighbours, as a picker does with those that measure almost the same.

    Data, arrivals and confidence are the mean of the live channels of a group.
    """
    if size == 1:
        return sample
    rows = len(sample.data) // size
    if size < 1 or not rows:
        raise ConfigError(f"size: found {size}, expected 1 to the sample's {len(sample.data)} channels.")
    used = slice(rows * size)
    live = sample.live[used].reshape(rows, size)
    counted = np.where(live.any(axis=1, keepdims=True), live, True)
    count = counted.sum(axis=1)
    weight = counted.astype(np.float32) / count[:, None].astype(np.float32)
    grouped = sample.data[used].reshape(rows, size, -1)
    arrivals = sample.arrivals[..., used].reshape(*sample.arrivals.shape[:2], rows, size)
    with np.errstate(invalid="ignore"):  # infinite of both signs, or finite and infinite: nobody knows
        mean = np.where(counted, arrivals, 0.0).sum(axis=-1) / count
    infinite = np.isinf(arrivals)
    mixed = (infinite & counted).any(axis=-1) & ~(infinite | ~counted).all(axis=-1)
    confidence = sample.confidence[..., used].reshape(*arrivals.shape[:2], rows, size)
    rejected = sample.rejected[:, used].reshape(len(sample.rejected), rows, size)
    layers = rejected.transpose(0, 2, 1).reshape(-1, rows)
    return replace(
        sample,
        data=np.einsum("rct,rc->rt", grouped, weight, optimize=True).astype(np.float32),
        arrivals=np.where(mixed, np.nan, mean),
        confidence=(np.where(counted, confidence, 0.0).sum(axis=-1) / count).astype(np.float32),
        rejected=layers,
        live=np.asarray(live.any(axis=1)),
        dx_m=sample.dx_m * size,
    )


def flip_channels(sample: Sample) -> Sample:
    """Reverse the cable."""
    return _choose(sample, np.arange(len(sample.data))[::-1])


def add_event(sample: Sample, other: Sample, ratio_db: float) -> Sample:
    """Add a second event."""
    if sample.data.shape != other.data.shape or sample.dt_s != other.dt_s:
        raise ConfigError(
            f"samples of shape {sample.data.shape} at {sample.dt_s} s and {other.data.shape} at "
            f"{other.dt_s} s cannot be added. Expected equal ones."
        )
    gain = _rms(sample) / max(_rms(other), 1e-30) * 10 ** (ratio_db / 20)
    return replace(
        sample,
        data=sample.data + other.data * np.float32(gain),
        arrivals=np.concatenate([sample.arrivals, other.arrivals]),
        confidence=np.concatenate([sample.confidence, other.confidence]),
        rejected=np.concatenate([sample.rejected, other.rejected]),
        live=sample.live & other.live,
    )


def change_phase_ratio(sample: Sample, ratio_db: float) -> Sample:
    """Change the ratio of P to S: below zero all before the S becomes weaker, above zero the S and the rest.

    A sample stays as it is if it holds several events, or no S.
    """
    channels, total = sample.data.shape
    inside = ((sample.arrivals >= 0) & (sample.arrivals < total)).any(axis=(1, 2))
    s = sample.arrivals[inside][:, 1].reshape(-1, channels)
    known = np.flatnonzero(np.isfinite(s).any(axis=0))
    if inside.sum() != 1 or not len(known):
        return sample
    begin, end = (value / sample.dt_s for value in _RATIO_CHANGES_S)
    onset = np.interp(np.arange(channels), known, s[0, known])
    place = np.arange(total, dtype=np.float32) - onset[:, None].astype(np.float32)
    after = np.clip((place + np.float32(begin)) / np.float32(begin - end), 0, 1)
    weaker = after if ratio_db > 0 else 1 - after
    return replace(sample, data=sample.data * 10 ** (weaker * np.float32(-abs(ratio_db) / 20)))


def add_noise(sample: Sample, noise: np.ndarray, snr_db: float) -> Sample:
    """Add noise; picks stay.

    `noise` (channel, time) float32.
    """
    spread = noise.std(axis=1)
    if not spread.any():
        return sample
    level = float(np.median(spread[spread > 0]))
    gain = _event_rms(sample) / level * 10 ** (-snr_db / 20)
    added = noise * (np.float32(gain) * sample.live)[:, None]
    return replace(sample, data=np.add(sample.data, added, out=added))


def kill_channels(sample: Sample, dead: np.ndarray) -> Sample:
    """Silence channels; they are out of the loss.

    `dead` (channel,) bool.
    """
    return replace(hide_channels(sample, dead), live=sample.live & ~dead)


def hide_channels(sample: Sample, hidden: np.ndarray) -> Sample:
    """Hide channels from the network but keep their labels, which it must then tell from the neighbours.

    `hidden` (channel,) bool.
    """
    data = sample.data.copy()
    data[hidden] = 0
    return replace(sample, data=data)


def scale_channels(sample: Sample, gain: np.ndarray) -> Sample:
    """Change amplitude and polarity of each channel.

    `gain` (channel,) float.
    """
    return replace(sample, data=sample.data * gain[:, None].astype(np.float32))


def cut_ends(sample: Sample, first: int, last: int) -> Sample:
    """Let the recording begin late or end early: zeros, and no arrivals there."""
    time = np.arange(sample.data.shape[1])
    stays = (time >= first) & (time < last)
    lost = (sample.arrivals < first) | (sample.arrivals >= last)
    gone = (sample.rejected < first) | (sample.rejected >= last)
    return replace(
        sample,
        data=sample.data * stays,
        arrivals=np.where(lost, np.copysign(np.inf, sample.arrivals - first), sample.arrivals),
        rejected=np.where(gone, np.nan, sample.rejected),
    )


def _rms(sample: Sample) -> float:
    live = sample.data[sample.live]
    return float(np.median(live.std(axis=1))) if len(live) else 0.0


def _event_rms(sample: Sample) -> float:
    """Median over channels of the rms in the two seconds after the arrivals."""
    channels, total = sample.data.shape
    times = sample.arrivals.reshape(-1, channels)
    visible = (times >= 0) & (times < total) & sample.live
    if not visible.any():
        return _rms(sample)
    layer, row = np.nonzero(visible)
    begin = times[layer, row].astype(np.int64)
    end = np.minimum(begin + max(1, round(2.0 / sample.dt_s)), total)
    near = begin[:, None] + np.arange((end - begin).max())
    inside = near < end[:, None]
    samples = sample.data[row[:, None], near * inside]
    power = np.einsum("nt,nt,nt->n", samples, samples, inside, dtype=np.float64)
    return float(np.median(np.sqrt(power / (end - begin))))


def draw_stretch(
    settings: AugmentSettings, channels: int, rng: np.random.Generator
) -> tuple[float, float, int]:
    """Draw how a piece of a recording is stretched, and how many of its neighbours are averaged."""
    space, time = rng.uniform(-1, 1, 2)
    most = max(1, min(settings.average_channels, channels // FEWEST_ROWS))
    average = int((most + 1) ** rng.random())
    return settings.stretch_space**space, settings.stretch_time**time, average


def draw_channels(settings: AugmentSettings, most: int, rng: np.random.Generator) -> int:
    """Draw how many channels a sample holds: all, or any smaller number, each power of two as often."""
    if settings.few_channels and rng.random() < settings.few_channels:
        return int(2 ** rng.uniform(0, np.log2(most)))
    return most


def vary(
    sample: Sample,
    settings: AugmentSettings,
    rng: np.random.Generator,
    *,
    other: Callable[[], Sample] | None = None,
    noise: Callable[[], np.ndarray] | None = None,
) -> Sample:
    """Vary a sample that has its final shape."""
    wanted = {
        name: bool(rng.random() < getattr(settings, name))
        for name in ("add_event", "flip", "lower_rate", "noise", "missing_ends", "phase_ratio")
    }
    if wanted["phase_ratio"]:
        limit = settings.phase_ratio_db
        sample = change_phase_ratio(sample, float(rng.uniform(-limit, limit)))
    if wanted["add_event"] and other is not None:
        for _ in range(1 if settings.added_events == 1 else int(rng.integers(settings.added_events)) + 1):
            ratio = rng.uniform(-settings.add_event_ratio_db, settings.add_event_ratio_db)
            sample = add_event(sample, other(), float(ratio))
    if wanted["flip"]:
        sample = flip_channels(sample)
    if wanted["lower_rate"]:
        sample = lower_rate(sample, float(rng.uniform(0.5, 1.0)))
    if wanted["noise"] and noise is not None:
        ratio = rng.uniform(settings.snr_min_db, settings.snr_max_db)
        sample = add_noise(sample, noise(), float(ratio))
    return _vary_channels(sample, settings, rng, missing_ends=wanted["missing_ends"])


def _vary_channels(
    sample: Sample, settings: AugmentSettings, rng: np.random.Generator, *, missing_ends: bool
) -> Sample:
    channels, total = sample.data.shape
    sample = scale_channels(sample, _draw_gain(channels, settings, rng))
    if settings.hidden:
        sample = hide_channels(sample, _draw_run(channels, rng.uniform(0, settings.hidden), rng))
    share = float(rng.uniform(0, settings.dead))
    sample = kill_channels(sample, np.asarray(rng.random(channels) < share))
    if missing_ends:
        missing = int(rng.integers(round((1 - _SHORTEST) * total) + 1))
        at_start = int(rng.integers(missing + 1))
        sample = cut_ends(sample, at_start, total - (missing - at_start))
    return sample


def _draw_gain(channels: int, settings: AugmentSettings, rng: np.random.Generator) -> np.ndarray:
    gain: np.ndarray = 10 ** (rng.uniform(0, settings.amplitude_dex) * rng.standard_normal(channels))
    if rng.random() < settings.reverse_polarity:
        gain = -gain
    if rng.random() < settings.channel_polarity:
        gain = gain * rng.choice([-1.0, 1.0], channels)
    return gain


def _draw_run(channels: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Mark neighbouring channels."""
    length = round(share * channels)
    start = int(rng.integers(channels - length + 1))
    place = np.arange(channels)
    return (place >= start) & (place < start + length)
