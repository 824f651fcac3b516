"""Choose the rates at which a network sees a recording, and join the picks made at several rates.

A network of neighbouring channels knows an S by the P before it, which it must see, and both by their shape.
Whether it can depends on how long S-P and the waves are in its samples: a regional earthquake on a cable at
100 Hz is too long for it, a microearthquake beside a well at 100 Hz far too short. So it sees a recording at
several rates, each half of the one before, and with neighbours averaged that measure almost the same.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phasenet_das.config import PickSettings

if TYPE_CHECKING:
    from phasenet_das.io.recording import Recording
    from phasenet_das.models.weights import Weights


log = logging.getLogger(__name__)

PAIR_S = (0.4, 18.0)
"""S-P times that a network of 100 Hz knows for those of one event, s of its time axis."""

SAME_ARRIVAL_S = 0.3
"""Picks of two rate passes closer than this are of one arrival, s of the slower one's time axis."""

FEWEST_ROWS = 16
"""Rows that averaging leaves at least."""

_FASTEST, _SLOWEST = 10.0, 0.5  # rates, to that of the network's training
_SLOWEST_ALONE = 0.25  # for a network of single channels, which must see an S with its P in a window of 30 s
_UNKNOWN_GAUGE_M = 10.0
_SPACING_M_HZ = 1250.0  # a quarter of the wavelength at 1/10 of the rate of what crosses the cable at 500 m/s
_MOST_AVERAGED = 32
_FEWEST_SAMPLES = 256


@dataclass(frozen=True)
class RatePass:
    """One of the rates at which a network sees a recording."""

    number: int  # 0 for the fastest
    settings: PickSettings  # with ``rate`` and ``average_channels`` as numbers
    work_fraction: float  # fraction of the work on the recording
    joined: bool  # whether its picks go through :func:`join_arrivals`


def choose_rate_passes(recording: Recording, settings: PickSettings, weights: Weights) -> list[RatePass]:
    """Choose the rates at which a recording is picked, and how many neighbours are averaged at each.

    Settings that are stated are kept. The rest follow from the recording and the network:

    - ``rate``: ``octaves`` are the recording's own rate, halved as often as needed to be at most ten times
      the network's; that, and each half of it, down to half the network's rate (a quarter for a network of
      single channels), if the recording has 256 samples then. A recording slower than the network is first
      brought to the network's rate. If ``rate`` is empty, networks of neighbouring channels see octaves,
      unless their training says otherwise, and networks of single channels the rate of their training.
    - ``average_channels``: as many as lie within half a gauge length (of 10 m where the recording does not
      state it), or within a quarter of the wavelength that slow waves (500 m/s) have at a tenth of the rate:
      12.5 m at 100 Hz. At most 32, and so few that 16 rows stay.
    """
    own, model = 1.0 / recording.dt_s, weights.sampling_rate_hz
    if settings.rate == "native":
        rates = [own]
    elif _in_octaves(settings, weights):
        rates = _octaves(own, model, _slowest(weights), recording.num_samples * recording.dt_s)
    elif settings.rate is None or isinstance(settings.rate, str):
        rates = [model]
    else:
        rates = list(settings.rate) if isinstance(settings.rate, tuple) else [settings.rate]
    rates = sorted((float(rate) for rate in rates), reverse=True)
    if settings.average_channels is not None or not weights.sees_scales:
        averages = [settings.average_channels or 1] * len(rates)
    else:
        averages = _averages(recording, rates)
    if settings.rate is None or settings.average_channels is None:
        seen = ", ".join(f"{rate:g} Hz / {average}" for rate, average in zip(rates, averages, strict=True))
        log.info("%s: seen at (rate / channels averaged) %s", recording.name, seen)
    work = np.array(rates) / np.array(averages)
    joined = _joins(weights, len(rates))
    return [
        RatePass(
            k, settings.model_copy(update={"rate": rate, "average_channels": average}), float(part), joined
        )
        for k, (rate, average, part) in enumerate(zip(rates, averages, work / work.sum(), strict=True))
    ]


def channel_spacing_m(recording: Recording) -> float:
    """Measure the distance between neighbouring channels."""
    step = np.diff(recording.channel_index.astype(np.int64))
    with np.errstate(divide="ignore", invalid="ignore"):
        spacing = np.abs(np.diff(recording.distance_m) / step)
    spacing = spacing[np.isfinite(spacing) & (step != 0)]
    return float(np.median(spacing)) if len(spacing) else math.nan


def warn_outside_training(recording: Recording, settings: PickSettings, weights: Weights) -> None:
    """Warn where a recording is unlike anything the network was trained on."""
    own = 1.0 / recording.dt_s
    if weights.trained_rate_hz is not None and not _within(own, weights.trained_rate_hz):
        low, high = weights.trained_rate_hz
        log.warning(
            "%s: %g Hz, but %s was trained for %g to %g Hz: look at the picks, or train on your own cable",
            *(recording.name, own, weights.name, low, high),
        )
    own_m = channel_spacing_m(recording)
    spacing = own_m * (settings.average_channels or 1)
    if weights.trained_dx_m is not None and not math.isnan(spacing):
        low, high = weights.trained_dx_m
        if not _within(spacing, (low, high)):
            too_wide = own_m > high and not _within(own_m, (low, high))
            log.warning(
                "%s: rows every %.3g m, but %s was trained for %g to %g m: %s",
                *(recording.name, spacing, weights.name, low, high),
                "no setting narrows the rows, so look at the picks"
                if too_wide
                else "choose average_channels to fit",
            )


def joining_reach_s(time_stretch: float, num_passes: int) -> float:
    """Return how far in time picks matter for one another in :func:`join_arrivals`, s."""
    return (SAME_ARRIVAL_S if num_passes == 1 else PAIR_S[1] + 2 * SAME_ARRIVAL_S) * time_stretch


def range_margin_s(settings: PickSettings, weights: Weights) -> float:
    """Return how far beyond a range of time a recording is picked to join the picks of an arrival, s."""
    rate, slowest = settings.rate, _slowest(weights)
    if isinstance(rate, tuple | int | float):
        rates = rate if isinstance(rate, tuple) else (rate,)
        passes, slowest = len(rates), min(rates) / weights.sampling_rate_hz
    else:
        passes = 2 if _in_octaves(settings, weights) else 1
    return joining_reach_s(1 / slowest, passes) if _joins(weights, passes) else 0.0


def _joins(weights: Weights, num_passes: int) -> bool:
    """Say whether picks of one arrival are joined. At one rate, a network of single channels has its own."""
    return num_passes > 1 or weights.architecture != "phasenet"


def _in_octaves(settings: PickSettings, weights: Weights) -> bool:
    return settings.rate == "octaves" or (settings.rate is None and weights.sees_scales)


def _slowest(weights: Weights) -> float:
    """Give the slowest rate, to that of the network's training."""
    return _SLOWEST_ALONE if weights.architecture == "phasenet" else _SLOWEST


def join_arrivals(picks: pd.DataFrame, time_stretch: np.ndarray, num_passes: int) -> pd.DataFrame:
    """Choose among picks of the same arrival: those of several rate passes, and a P and an S at one place.

    A pass in which an event is too long or too short sees one phase only, or takes one for the other. So
    with several passes, a pick is worth its score and that of the best partner of its own rate pass: an S
    behind a P, or a P before an S, within :data:`PAIR_S`. With one pass, it is worth its score. Of picks of
    different passes or phases closer than :data:`SAME_ARRIVAL_S`, only those stay that none is worth more
    than. Of equals, the faster pass's stays. What stays has the time and the amplitude of the fastest pass
    that picked this phase there.

    `time_stretch` (pick,) float64 is that of each pick's pass.
    """
    if picks.empty:
        return picks
    rate_pass = np.unique(time_stretch, return_inverse=True)[1]
    # Exact to 1 us and the same for any chunk of a table.
    when = picks["phase_time"].dt.tz_convert(None).dt.as_unit("us").to_numpy().astype(np.int64)
    channel = _codes(picks)
    is_p = (picks["phase_type"] == "P").to_numpy()
    worth = picks["phase_score"].to_numpy(np.float64)
    if num_passes > 1:
        worth = _worth(worth, is_p, when, channel, rate_pass, time_stretch)
    order = np.lexsort((when, channel))
    longest = np.full(len(order), SAME_ARRIVAL_S * float(time_stretch.max()) * 1e6)
    keep, fastest = np.ones(len(picks), bool), rate_pass.copy()
    near_pairs = []
    for first, second in _pairs(channel[order], when[order], longest):
        a, b = order[first], order[second]
        near = when[b] - when[a] < SAME_ARRIVAL_S * np.maximum(time_stretch[a], time_stretch[b]) * 1e6
        near &= (rate_pass[a] != rate_pass[b]) | (is_p[a] != is_p[b])
        a, b = a[near], b[near]
        a_wins = (worth[a] > worth[b]) | ((worth[a] == worth[b]) & (rate_pass[a] <= rate_pass[b]))
        keep[b[a_wins]] = False
        keep[a[~a_wins]] = False
        same = is_p[a] == is_p[b]
        near_pairs += [(a[same], b[same]), (b[same], a[same])]
    timed = np.arange(len(picks))
    for mine, other in near_pairs:
        faster = rate_pass[other] < fastest[mine]
        fastest[mine[faster]], timed[mine[faster]] = rate_pass[other[faster]], other[faster]
    rows = np.nonzero(keep)[0]
    out = picks.iloc[timed[rows]].copy()
    for name in ("phase_score", "phase_probability"):
        if name in picks:
            out[name] = picks[name].to_numpy()[rows]
    return out[~out.index.duplicated()].sort_index()


def _worth(
    score: np.ndarray,
    is_p: np.ndarray,
    when_us: np.ndarray,
    channel: np.ndarray,
    rate_pass: np.ndarray,
    time_stretch: np.ndarray,
) -> np.ndarray:
    """Add to the score of each pick that of its best partner on the same channel and rate pass."""
    partner = np.zeros(len(score))
    order = np.lexsort((when_us, rate_pass, channel))
    group = channel[order] * (int(rate_pass.max(initial=0)) + 1) + rate_pass[order]
    for first, second in _pairs(group, when_us[order], PAIR_S[1] * time_stretch[order] * 1e6):
        a, b = order[first], order[second]
        fits = is_p[a] & ~is_p[b] & (when_us[b] - when_us[a] >= PAIR_S[0] * time_stretch[a] * 1e6)
        a, b = a[fits], b[fits]
        np.maximum.at(partner, a, score[b])
        np.maximum.at(partner, b, score[a])
    worth: np.ndarray = np.round(score + partner, 6)
    return worth


def _octaves(own_hz: float, model_hz: float, slowest: float, length_s: float) -> list[float]:
    """List the rates at which a network sees a recording, down to the slowest, to that of its training."""
    rate = max(own_hz, model_hz)
    while rate > _FASTEST * model_hz:
        rate /= 2
    rates = [rate]
    while rates[-1] / 2 >= slowest * model_hz and rates[-1] / 2 * length_s >= _FEWEST_SAMPLES:
        rates.append(rates[-1] / 2)
    return rates


def _averages(recording: Recording, rates_hz: list[float]) -> list[int]:
    """Say how many neighbours are averaged at each rate."""
    if len(recording.channel_index) == 1:
        return [1] * len(rates_hz)
    dx_m, gauge_m = channel_spacing_m(recording), recording.gauge_length_m
    if math.isnan(dx_m) or dx_m <= 0:
        log.warning("%s: channel distances are not known: no neighbours are averaged", recording.name)
        return [1] * len(rates_hz)
    if math.isnan(gauge_m):
        log.info(
            "%s: gauge length not known: %g m taken to tell which neighbours to average. "
            "Set average_channels to choose it",
            *(recording.name, _UNKNOWN_GAUGE_M),
        )
        gauge_m = _UNKNOWN_GAUGE_M
    most = max(1, min(_MOST_AVERAGED, len(recording.channel_index) // FEWEST_ROWS))
    redundant_m = [max(0.5 * gauge_m, _SPACING_M_HZ / rate) for rate in rates_hz]
    wanted = [min(int(reach / dx_m + 1e-9), _MOST_AVERAGED) for reach in redundant_m]
    if most < wanted[0]:
        log.warning(
            "%s: %d channels are too few to average the %d neighbours that measure almost the same: weak S "
            "waves may be missed",
            *(recording.name, len(recording.channel_index), wanted[0]),
        )
    return [max(1, min(count, most)) for count in wanted]


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] * 0.999 <= value <= limits[1] * 1.001


def _codes(picks: pd.DataFrame) -> np.ndarray:
    """Give each channel of each cable a number."""
    station = pd.factorize(picks["station_id"])[0].astype(np.int64)
    number = picks["channel_index"].to_numpy(np.int64)
    codes: np.ndarray = np.unique(np.stack([station, number]), axis=1, return_inverse=True)[1].ravel()
    return codes.astype(np.int64)


def _pairs(group: np.ndarray, when: np.ndarray, reach: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the pairs of rows (first, second) of one group within reach, by their distance in the table."""
    active = np.arange(len(group))
    step = 1
    while len(active):
        active = active[active + step < len(group)]
        second = active + step
        near = (group[second] == group[active]) & (when[second] - when[active] <= reach[active])
        active = active[near]
        if len(active):
            yield active, active + step
        step += 1
