"""Which variation a sample gets: everything is drawn from the stream that belongs to the sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from phasenet_das.config import AugmentSettings
from phasenet_das.training import augment
from phasenet_das.training.sample import Sample

_SHORTEST = 0.25  # of a sample's length: how much of it stays at least when ends are missing


def draw_stretch(settings: AugmentSettings, rng: np.random.Generator) -> tuple[float, float, int]:
    """Draw how a piece of a recording is stretched, and how many of its neighbours are averaged."""
    space, time = rng.uniform(-1, 1, 2)
    average = int((settings.average + 1) ** rng.random())
    return settings.stretch_space**space, settings.stretch_time**time, average


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
        for name in ("stack", "flip", "lower_rate", "noise", "missing_ends")
    }
    if wanted["stack"] and other is not None:
        ratio = rng.uniform(-settings.stack_ratio_db, settings.stack_ratio_db)
        sample = augment.stack_events(sample, other(), float(ratio))
    if wanted["flip"]:
        sample = augment.flip_channels(sample)
    if wanted["lower_rate"]:
        sample = augment.lower_rate(sample, float(rng.uniform(0.5, 1.0)))
    if wanted["noise"] and noise is not None:
        ratio = rng.uniform(settings.snr_min_db, settings.snr_max_db)
        sample = augment.add_noise(sample, noise(), float(ratio))
    return _vary_channels(sample, settings, rng, missing_ends=wanted["missing_ends"])


def _vary_channels(
    sample: Sample, settings: AugmentSettings, rng: np.random.Generator, *, missing_ends: bool
) -> Sample:
    channels, total = sample.data.shape
    sample = augment.scale_channels(sample, _draw_gain(channels, settings, rng))
    if settings.hidden:
        sample = augment.hide_channels(sample, _draw_run(channels, rng.uniform(0, settings.hidden), rng))
    share = float(rng.uniform(0, settings.dead))
    sample = augment.kill_channels(sample, np.asarray(rng.random(channels) < share))
    if missing_ends:
        missing = int(rng.integers(round((1 - _SHORTEST) * total) + 1))
        at_start = int(rng.integers(missing + 1))
        sample = augment.cut_ends(sample, at_start, total - (missing - at_start))
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
