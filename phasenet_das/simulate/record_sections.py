"""Fibre sections made of real seismometer records: real wave shapes, exact arrivals, made on the fly.

The part of a record from P on and the part from S on are moved along separately drawn smooth moveouts; what
lies between is stretched or squeezed well before S, so that nothing is cut. The components are mixed with
weights that vary smoothly along the cable, time is stretched as a whole, and noise of many kinds is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy
from pydantic import model_validator
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from gamma.config import setting
from phasenet_das.errors import ConfigError
from phasenet_das.simulate.config import SimulationSettings
from phasenet_das.simulate.fields import smooth_series
from phasenet_das.simulate.noise import SectionNoise, load_noise
from phasenet_das.simulate.records import Record, load_records
from phasenet_das.simulate.seeds import generator

_OVERSAMPLING = 4
_LONG_AGO = 1e5  # samples
_CUT = 0.6  # S-P time, to that of the record, below which the record is cut before S


class RecordSectionConfig(SimulationSettings):
    """How sections are made of records."""

    num_channels: int = setting(128, "", "Channels of a section.", ge=4)
    num_samples: int = setting(1536, "", "Samples of a section.", ge=64)
    dt_s: float = setting(0.01, "s", "Sampling interval of a section.", gt=0)
    lag_min_s: float = setting(0.5, "s", "Shortest S-P time.", gt=0)
    lag_max_s: float = setting(30.0, "s", "Longest S-P time.", gt=0)
    max_stretch: float = setting(4.0, "", "Most a record is stretched or squeezed in time.", ge=1)
    tilt: float = setting(
        1.0, "", "Largest power of frequency by which velocity is turned toward acceleration.", ge=0, le=2
    )
    moveout: float = setting(0.8, "", "Largest P moveout along the section, to the S-P time.", ge=0)
    roughness: float = setting(0.03, "", "Departure from a smooth moveout, to the S-P time.", ge=0, le=0.1)
    jitter_samples: float = setting(0.7, "", "Standard deviation of each channel's own delay.", ge=0)
    coupling_dex: float = setting(0.08, "", "Largest scatter of log10 amplitude between channels.", ge=0)
    scatterers: int = setting(3, "", "Most slow scattered waves in a section.", ge=0)
    coda: float = setting(0.6, "", "Share of events with a coda of local waves.", ge=0, le=1)
    near: float = setting(
        0.3, "", "Share of events so near that S-P time grows along the section as distance does.", ge=0, le=1
    )
    lone: float = setting(0.05, "", "Share of events of which a single wave is seen, an S.", ge=0, le=1)
    converted: float = setting(
        0.3, "", "Share of events with converted or reflected copies of P, which are no arrivals.", ge=0, le=1
    )
    loops: float = setting(0.1, "", "Share of sections in which a span of cable lies in a loop.", ge=0, le=1)
    second_event: float = setting(0.15, "", "Share of sections with two events.", ge=0, le=1)
    noise_only: float = setting(0.08, "", "Share of sections without an event.", ge=0, le=1)
    snr_min_db: float = setting(-8.0, "dB", "Smallest ratio of event to noise (rms).")
    snr_max_db: float = setting(35.0, "dB", "Largest ratio of event to noise (rms).")
    dead: float = setting(0.02, "", "Largest share of dead channels.", ge=0, lt=1)
    traffic: float = setting(0.15, "", "Share of sections with vehicles.", ge=0, le=1)
    ringing: float = setting(0.2, "", "Share of sections in which a span of the cable rings.", ge=0, le=1)

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        if self.lag_min_s > self.lag_max_s or self.snr_min_db > self.snr_max_db:
            raise ValueError("lag_min_s must not exceed lag_max_s, nor snr_min_db exceed snr_max_db.")
        return self


@dataclass(frozen=True)
class SyntheticSection:
    """One section with exact arrivals.

    Attributes
    ----------
    data : numpy.ndarray, shape (channel, time), float32
        Median rms of one; dead channels are zero.
    p_sample, s_sample : numpy.ndarray, shape (event, channel), float64
        Arrivals in samples, NaN where the channel is dead; they may lie before or behind the section. The
        P of an event of which a single wave is seen lies far before it.
    records : tuple of int
        Which record each event was made of.
    snr_db : tuple of float
        Ratio of each event to the noise (rms over all channels, from P to one S-P time after S).
    dt_s : float
        Sampling interval.
    """

    data: np.ndarray
    p_sample: np.ndarray
    s_sample: np.ndarray
    records: tuple[int, ...]
    snr_db: tuple[float, ...]
    dt_s: float


def from_records(
    records: Any,  # noqa: ANN401 - see load_records
    config: RecordSectionConfig | None = None,
    *,
    seed: int,
    rows: Sequence[int] | None = None,
    noise_dir: str | Path | None = None,
) -> RecordSections:
    """Make an endless supply of fibre sections of labelled seismometer records.

    Parameters
    ----------
    records : path, sequence or dataset
        See :func:`phasenet_das.simulate.load_records`.
    seed : int
        Seed of everything that is drawn.
    rows : sequence of int, optional
        Which records to use: keep those that are held out for scoring out of it.
    noise_dir : str or pathlib.Path, optional
        Folder of real recordings to mix in.

    Returns
    -------
    RecordSections
        ``sections[i]`` is the same section in any process; iterating counts up from 0.

    Raises
    ------
    ConfigError
        There are no records, or a setting is out of range.
    """
    config = RecordSectionConfig() if config is None else config
    noise = [] if noise_dir is None else load_noise(noise_dir, 1.0 / config.dt_s)
    return RecordSections(load_records(records, rows), config, seed, noise)


class RecordSections:
    """Sections made of records, by number.

    `real_noise` (channel, time) float32.
    """

    def __init__(
        self, records: list[Record], config: RecordSectionConfig, seed: int, real_noise: list[np.ndarray]
    ) -> None:
        if not records:
            raise ConfigError("no records: expected at least one labelled three-component record.")
        self.records, self.config, self.seed = records, config, seed
        self._noise = SectionNoise(config.num_channels, config.num_samples, config.dt_s, seed, real_noise)

    def __iter__(self) -> Iterator[SyntheticSection]:
        """Yield sections 0, 1, 2 and so on without end."""
        index = 0
        while True:
            yield self[index]
            index += 1

    def __getitem__(self, index: int) -> SyntheticSection:
        """Make one section."""
        config = self.config
        rng = generator(self.seed, "section", index)
        count = 0 if rng.random() < config.noise_only else 1 + int(rng.random() < config.second_event)
        data = self._noise.draw(rng, vehicles=rng.random() < config.traffic)
        arrivals, chosen, ratios = [], [], []
        for _ in range(count):
            row = int(rng.integers(len(self.records)))
            ratio = float(rng.uniform(config.snr_min_db, config.snr_max_db))
            alone = bool(rng.random() < config.lone)
            event, p, s = _spread(self.records[row], config, rng, alone=alone)
            if rng.random() < config.coda:
                event += np.float32(rng.uniform(0.2, 1.0)) * self._noise.diffuse(rng) * _past_rms(event, rng)
            data += event * np.float32(10 ** (ratio / 20))
            arrivals.append((p - _LONG_AGO if alone else p, s))
            chosen.append(row)
            ratios.append(ratio)
        if rng.random() < config.ringing:
            _ring(data, rng)
        dead = rng.random(config.num_channels) < rng.uniform(0, config.dead)
        data *= 10 ** (rng.uniform(0, config.coupling_dex) * rng.standard_normal((len(data), 1))).astype(
            np.float32
        )
        data[dead] = 0.0
        data /= max(float(np.median(data.std(axis=1))), 1e-12)
        times = np.array(arrivals, float).reshape(count, 2, config.num_channels)
        if rng.random() < config.loops:
            place = _looped(config.num_channels, rng)
            data, times, dead = data[place], times[:, :, place], dead[place]
        times[:, :, dead] = np.nan
        return SyntheticSection(data, times[:, 0], times[:, 1], tuple(chosen), tuple(ratios), config.dt_s)


def _spread(
    record: Record, config: RecordSectionConfig, rng: np.random.Generator, *, alone: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make the noise-free section of one record, of unit rms while it shakes, and its arrivals.

    Of an event that is `alone`, only the part from S on is left.
    """
    own_lag_s = (record.s_sample - record.p_sample) * record.dt_s
    low = max(config.lag_min_s, own_lag_s / config.max_stretch)
    high = min(config.lag_max_s, own_lag_s * config.max_stretch)
    wanted = float(np.exp(rng.uniform(*np.log(np.sort([low, high])))))
    traces, factor = _stretch(record, wanted / own_lag_s * record.dt_s / config.dt_s, config.tilt, rng)
    lag = (record.s_sample - record.p_sample) * factor
    p, s = _moveouts(lag, config, rng)
    source = _source_samples(p, s, lag, config.num_samples)
    weights_p, weights_s = _mixing(traces, config.num_channels, rng)
    if alone:
        weights_p *= 0.0
    behind = np.arange(config.num_samples, dtype=np.float32) - s[:, None].astype(np.float32)
    to_s = np.clip(behind / np.float32(0.04 * lag + 2) + 1, 0, 1)
    data = np.zeros(source.shape, np.float32)
    source += record.p_sample * factor
    position = np.clip(source * _OVERSAMPLING, 0, traces.shape[1] - 2)
    base = position.astype(np.int32)
    part = (position - base).astype(np.float32)
    for trace, from_p, from_s in zip(traces, weights_p, weights_s, strict=True):
        if not trace.any():
            continue
        value = trace[base]
        value += part * (trace[base + 1] - value)
        data += value * (from_p[:, None] + (from_s - from_p)[:, None] * to_s)
    if rng.random() < config.converted:
        _convert(data, p, s, rng)
    _scatter(data, config, rng)
    shaking = (behind > -lag) & (behind < lag)
    rms = float(np.sqrt(np.mean(np.square(data[shaking])))) if shaking.any() else float(data.std())
    return data / max(float(rms), 1e-20), p, s


def _stretch(
    record: Record, factor: float, tilt: float, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Stretch a record in time through its spectrum, and tilt it from velocity toward acceleration.

    A fibre feels strain rate, which goes with acceleration over apparent speed. All powers of
    ``i f`` are causal filters, so the onset stays where it is.
    """
    length = record.data.shape[1]
    fade = np.minimum(1.0, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.02 * length))
    size = next_fast_len(length + length // 16, real=True)
    spectrum = rfft(record.data * fade.astype(np.float32), size, axis=1)
    stretched = max(64, round(size * factor))
    exact = stretched / size
    hertz = rfftfreq(size)
    hertz[0] = hertz[1]
    spectrum *= (1j * hertz / hertz[-1]) ** rng.uniform(0.0, tilt)
    highest = 0.5 * min(1.0, exact)
    spectrum *= np.clip((highest - hertz) / (0.1 * highest), 0, 1)
    traces = irfft(spectrum, stretched * _OVERSAMPLING, axis=1).astype(np.float32)
    return traces[:, : int(length * exact * _OVERSAMPLING)], exact


def _moveouts(
    lag: float, config: RecordSectionConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw arrivals along the section: a hyperbola, smooth departures, and each channel's own delay."""
    n, samples = config.num_channels, config.num_samples
    x = np.linspace(-0.5, 0.5, n)
    curve = np.hypot(x - rng.uniform(-1.2, 1.2), np.exp(rng.uniform(-3, 1)))
    near, pace = bool(rng.random() < config.near), rng.uniform(0.5, 0.9)
    if near:  # all times grow as the distance does
        moveout = (np.clip(curve / np.median(curve), 0.2, 5.0) - 1.0) * lag / pace
        moveout *= min(1.0, 0.8 * samples / max(float(np.ptp(moveout)), 1e-9))
    else:
        curve = (curve - curve.mean()) / max(float(np.ptp(curve)), 1e-9)
        moveout = curve * min(config.moveout * lag, 0.8 * samples) * rng.random() ** 1.5
    rough = rng.uniform(0, config.roughness) * lag
    first = moveout + rough * smooth_series(rng, n, n * rng.uniform(0.03, 0.4))
    lags = lag + pace * moveout + rough * smooth_series(rng, n, n * rng.uniform(0.03, 0.4))
    shortest, longest = (config.lag_min_s, config.lag_max_s) if near else (lag * config.dt_s,) * 2
    lags = np.clip(lags, 0.65 * shortest / config.dt_s, 1.5 * longest / config.dt_s)
    own = rng.uniform(0, config.jitter_samples) * rng.standard_normal(n)
    start = rng.uniform(-0.7 * min(lag, 0.8 * samples), 0.92 * samples)
    p = start + first + own
    return p, p + lags


def _source_samples(p: np.ndarray, s: np.ndarray, lag: float, num_samples: int) -> np.ndarray:
    """Give, for each sample of the section, the sample of the record after its P, shape (channel, time).

    Rigid from before P until half-way to S and from shortly before S on; stretched between. Where S comes
    much earlier than in the record, what lies between is cut off instead.
    """
    after_p = np.arange(num_samples) - p[:, None]
    lags = (s - p)[:, None]
    guard = 0.05 * np.minimum(lags, lag)
    rigid = np.where(lags < _CUT * lag, lags - 2 * guard, 0.5 * np.minimum(lags, lag))
    pace = (lag - guard - rigid) / (lags - guard - rigid)
    between = rigid + (after_p - rigid) * pace
    behind_s = after_p - lags + lag
    return np.where(after_p < rigid, after_p, np.where(after_p < lags - guard, between, behind_s))


def _mixing(traces: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw smooth weights of the components (3, channel): mostly vertical for P, horizontal for S."""
    length = n * rng.uniform(0.05, 1.0)
    drawn = smooth_series(rng, n, length, rows=6).reshape(2, 3, n)
    mean_p = np.array([0.0, 0.0, 1.0])[:, None]
    for_p = mean_p + np.array([0.35, 0.35, 0.25])[:, None] * drawn[0]
    mean_s = np.array([*rng.standard_normal(2), 0.0])[:, None]
    for_s = mean_s + np.array([0.6, 0.6, 0.3])[:, None] * drawn[1]
    for_p *= 10 ** rng.uniform(-0.4, 0.7)
    live: np.ndarray = np.abs(traces).max(axis=1) > 0
    if not live[:2].any():
        for_s[2] = 1.0 + 0.4 * drawn[1, 2]
    if not live[2]:
        for_p[:2] += rng.standard_normal((2, 1))
    return for_p.astype(np.float32), for_s.astype(np.float32)


def _past_rms(data: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give the rms of the recent past, which what shakes the ground leaves behind as local waves."""
    memory = rng.uniform(10.0, 80.0)
    power = scipy.signal.lfilter([1 / memory], [1.0, 1 / memory - 1.0], data**2, axis=1)
    rms: np.ndarray = np.sqrt(np.maximum(power, 0.0)).astype(np.float32)
    return rms


def _convert(data: np.ndarray, p: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> None:
    """Add copies of P between P and S: converted at a boundary, or reflected, with a moveout of their own."""
    n, samples = data.shape
    place = np.arange(n)
    for _ in range(int(rng.integers(1, 3))):
        share = rng.uniform(0.15, 0.85)
        delay = share * (s - p) * (1 + 0.2 * smooth_series(rng, n, n * rng.uniform(0.1, 1.0)))
        if rng.random() < 0.5:  # reflected at one end, or beyond it
            way = np.abs(place - rng.choice([0, n - 1])) / n
            delay = rng.uniform(0.1, 2.0) * share * float(np.median(s - p)) * way
        shift = np.maximum(np.rint(delay), 2).astype(np.int64)
        column = np.arange(samples) - shift[:, None]
        after = column - p[:, None]
        fade = np.clip(after / 4 + 1, 0, 1) * np.exp(-np.maximum(after, 0) / (0.3 * (s - p))[:, None])
        fade[(column < 0) | (after > 0.6 * (s - p)[:, None])] = 0.0
        copy = np.take_along_axis(data, np.maximum(column, 0), axis=1)
        data += np.float32(rng.choice([-1, 1]) * rng.uniform(0.1, 0.8)) * copy * fade.astype(np.float32)


def _looped(n: int, rng: np.random.Generator) -> np.ndarray:
    """Give the row that each channel measures, (channel,): those of a loop all measure one place."""
    row = np.arange(n)
    first, length = int(rng.integers(n)), 2 + int(rng.uniform(0.0, 0.15) * n)
    row[first : first + length] = first
    return row


def _scatter(data: np.ndarray, config: RecordSectionConfig, rng: np.random.Generator) -> None:
    """Add waves that start where the section meets a scatterer or reflector, later than what excites them."""
    n, samples = data.shape
    total = np.zeros_like(data)
    for _ in range(int(rng.integers(0, config.scatterers + 1))):
        place, pace = int(rng.integers(n)), float(np.exp(rng.uniform(np.log(0.1), np.log(4.0))))
        away = np.abs(np.arange(n) - place)
        weight = rng.uniform(0.2, 1.0) * np.exp(-away / rng.uniform(0.05, 0.3) / n)
        near = np.flatnonzero((weight > 0.03) & (away > 0))
        delay = np.maximum(1, np.rint(pace * away[near])).astype(np.int64)
        column = np.arange(samples) - delay[:, None]
        wave = np.where(column >= 0, data[place][np.maximum(column, 0)], np.float32(0))
        total[near] += weight[near, None].astype(np.float32) * wave
    data += total


def _ring(data: np.ndarray, rng: np.random.Generator) -> None:
    """Let a span of the cable ring, as casing and loose fibre do: a resonance that follows what shakes it."""
    n = len(data)
    angle = 2 * np.pi * float(np.exp(rng.uniform(np.log(0.01), np.log(0.35))))
    decay = 1 - angle / (2 * rng.uniform(4.0, 30.0))  # half the frequency over the quality factor
    width = rng.uniform(0.1, 1.0) * n
    weight = np.exp(-(((np.arange(n) - rng.uniform(0, n)) / width) ** 4))
    near = np.flatnonzero(weight > 0.03)
    response = scipy.signal.lfilter([1.0], [1.0, -2 * decay * np.cos(angle), decay**2], data[near], axis=1)
    level = rng.uniform(0.3, 1.5) * float(data[near].std()) / max(float(response.std()), 1e-20)
    data[near] += (level * weight[near, None] * response).astype(np.float32)
