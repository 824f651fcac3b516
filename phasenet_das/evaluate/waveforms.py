"""Picks against waveforms: differential times of picks and of cross-correlation.

The check of Zhu et al. (2023, PhaseNet-DAS), which needs no labels: what two picks of one phase differ by
should be what their waveforms differ by, between neighbouring channels of one event and between events on
one channel. It shows the scatter of picks, not an error that all of them share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.fft import irfft, next_fast_len, rfft

from phasenet_das import io
from phasenet_das.errors import ConfigError, TableError
from phasenet_das.io.recording import Recording
from phasenet_das.matching import candidate_pairs, nearest_first, time_ns
from phasenet_das.picking.filters import bandpass, bandpass_reach
from phasenet_das.tables.columns import with_event_phase
from phasenet_das.text import records

if TYPE_CHECKING:
    from dascore import Patch

_BATCH_SAMPLES = 4_000_000
_SPAN_CHANNELS = 16
_SPAN = ["station_id", "event_index", "block"]


@dataclass(frozen=True)
class CorrelationWindow:
    """What is cut round a pick and how far it is moved.

    Attributes
    ----------
    before_s, after_s : float
        Window of the template before and after its pick, s.
    max_lag_s : float
        Largest move against the other pick, s: the largest error of a differential time that can be seen.
    band_hz : tuple of float
        Corners of the band-pass filter (linear phase, no delay), Hz.
    common_mode : bool
        Whether the median over channels is subtracted at each sample.
    """

    before_s: float = 0.5
    after_s: float = 1.5
    max_lag_s: float = 0.5
    band_hz: tuple[float, float] = (1.0, 15.0)
    common_mode: bool = False

    def __post_init__(self) -> None:
        if not (self.before_s >= 0 and self.after_s > 0 and self.max_lag_s > 0):
            raise ConfigError(
                f"correlation window: found {self.before_s} s before, {self.after_s} s after, moved by up to "
                f"{self.max_lag_s} s. Expected positive spans."
            )


def compare_differential_times(
    sources: Iterable[Any],
    picks: pd.DataFrame,
    window: CorrelationWindow | None = None,
    *,
    between: Literal["channels", "events"] = "channels",
    channel_step: int = 1,
    min_correlation: float = 0.7,
) -> pd.DataFrame:
    """Measure differential times of pairs of picks by cross-correlation.

    Parameters
    ----------
    sources : iterable of dascore.Patch, str, pathlib.Path, ...
        Recordings that the picks were made on, of one sampling rate; see :func:`phasenet_das.io.read`.
    between : {"channels", "events"}
        Pair picks of one phase on channels `channel_step` apart, nearest in time first and no further apart
        in time than ``max_lag_s``; or on one channel all picks of one phase of different events
        (``event_index``).
    channel_step : int
        Distance of the channels of a pair, in channel numbers.
    min_correlation : float
        Smallest absolute coefficient of a pair that is kept.

    Returns
    -------
    pandas.DataFrame
        A row for each pair that could be measured: ``phase, station_id, channel_1, channel_2, event_1,
        event_2, time_1, pick_dt_s`` (second pick less first), ``waveform_dt_s``, ``residual_s`` (picks less
        waveforms), ``correlation`` (signed) and ``kept`` (the coefficient suffices and the peak is not at
        the end of the lags).

    Raises
    ------
    ConfigError
        A setting makes no sense, or the recordings differ in sampling rate.
    """
    window = window or CorrelationWindow()
    picks = with_event_phase(picks)
    picks = picks.sort_values(["phase_time", "station_id", "channel_index", "phase_type"], ignore_index=True)
    rows, samples, begin_ns, dt_s = _cut(sources, picks, window)
    picks = picks.iloc[rows].reset_index(drop=True)
    if between == "channels":
        first, second = _neighbour_pairs(picks, channel_step, window.max_lag_s)
    elif between == "events":
        first, second = _event_pairs(picks)
    else:
        raise ConfigError(f"between: found '{between}', expected 'channels' or 'events'.")
    lag_s, coefficient = _measure(samples, first, second, round(window.max_lag_s / dt_s), dt_s)
    pick_dt_s = (time_ns(picks["phase_time"])[second] - time_ns(picks["phase_time"])[first]) * 1e-9
    waveform_dt_s = (begin_ns[second] - begin_ns[first]) * 1e-9 + lag_s
    one, other = picks.iloc[first].reset_index(drop=True), picks.iloc[second].reset_index(drop=True)
    return pd.DataFrame(
        {
            "phase": one["phase_type"],
            "station_id": one["station_id"],
            "channel_1": one["channel_index"],
            "channel_2": other["channel_index"],
            "event_1": one["event_index"],
            "event_2": other["event_index"],
            "time_1": one["phase_time"],
            "pick_dt_s": pick_dt_s,
            "waveform_dt_s": waveform_dt_s,
            "residual_s": pick_dt_s - waveform_dt_s,
            "correlation": coefficient,
            "kept": (np.abs(coefficient) >= min_correlation) & np.isfinite(lag_s),
        }
    )


def sample_differential_times(
    recordings: Sequence[Recording],
    picks: pd.DataFrame,
    window: CorrelationWindow | None = None,
    *,
    max_spans: int = 200,
    seed: int = 0,
    min_correlation: float = 0.7,
) -> pd.DataFrame:
    """Measure differential times between neighbouring channels on a sample of the picks of events.

    A span is 16 neighbouring channels and the picks of one event on them. Spans are drawn at random, and
    only their samples are loaded, so cost and memory do not grow with the recordings.

    Parameters
    ----------
    recordings : sequence of phasenet_das.io.Recording
        Recordings that the picks were made on, as those of :func:`phasenet_das.io.open_archive`.
    picks : pandas.DataFrame
        Pick table after association. Picks without an event are not compared.
    window : CorrelationWindow, optional
        At a low sampling rate, the upper corner of its band is at most 0.9 of Nyquist.
    max_spans : int
        Largest number of spans.
    seed : int
        Seed of the drawing.
    min_correlation : float
        Smallest absolute coefficient of a pair that is kept.

    Returns
    -------
    pandas.DataFrame
        The table of :func:`compare_differential_times`. Both picks of a pair belong to one event.

    Raises
    ------
    ConfigError
        The window asks for ``common_mode``, for which all channels would have to be loaded.
    TableError
        No two picks could be compared.
    """
    if window is not None and window.common_mode:
        raise ConfigError(
            "common_mode: found true, expected false: a sample of the picks does not load all channels."
        )
    picks = _in_spans(picks, max_spans, seed)
    parts = [
        _compare_pieces(
            [one for one in recordings if (_rate(one), one.station_id) == (rate, station)],
            mine,
            window or CorrelationWindow(),
            min_correlation,
        )
        for rate in sorted(set(map(_rate, recordings)))
        for station, mine in picks.groupby("station_id", observed=True)
    ]
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if found.empty:
        picked, recorded = (
            ", ".join(sorted(map(str, set(names)))) or "no cable"
            for names in (picks["station_id"], (one.station_id for one in recordings))
        )
        raise TableError(
            f"found {len(picks)} picks of events on {picked} and {len(recordings)} recordings of {recorded}. "
            "Expected picks on neighbouring channels whose windows lie whole within the recordings. "
            "Recordings of another name take that of the picks by --station-id."
        )
    return found[found["event_1"] == found["event_2"]].reset_index(drop=True)


def _rate(recording: Recording) -> float:
    return float(f"{1 / recording.dt_s:.8g}")  # more digits than the tolerance of compare_differential_times


def _in_spans(picks: pd.DataFrame, max_spans: int, seed: int) -> pd.DataFrame:
    """Draw spans, and return their picks with the number of the `block` of channels."""
    picks = picks[(picks["event_index"] >= 0) & (picks["channel_index"] >= 0)]
    step = (
        picks.groupby("station_id", observed=True)["channel_index"]
        .transform(_channel_step)
        .to_numpy(np.int64)
    )
    picks = picks.assign(block=picks["channel_index"].to_numpy(np.int64) // (_SPAN_CHANNELS * step))
    number = picks.groupby(_SPAN, observed=True).ngroup().to_numpy()
    count = int(number.max(initial=-1)) + 1
    if count <= max_spans:
        return picks
    drawn = np.random.default_rng(seed).choice(count, max_spans, replace=False)
    return picks[np.isin(number, drawn)]


def _channel_step(channels: pd.Series) -> int:
    """Smallest difference of channel numbers; 1 for a single channel."""
    steps = np.diff(np.unique(channels.to_numpy(np.int64)))
    return int(steps.min()) if len(steps) else 1


def _compare_pieces(
    recordings: Sequence[Recording], picks: pd.DataFrame, window: CorrelationWindow, min_correlation: float
) -> pd.DataFrame:
    """Compare the picks of one cable's spans, in recordings of one sampling rate."""
    if not recordings:
        return pd.DataFrame()
    dt_s = recordings[0].dt_s
    window = replace(window, band_hz=(window.band_hz[0], min(window.band_hz[1], 0.45 / dt_s)))
    pad_s = max(window.before_s, window.after_s) + window.max_lag_s
    pieces = _pieces(recordings, picks, pad_s + bandpass_reach(dt_s, *window.band_hz) * dt_s)
    if not pieces:
        return pd.DataFrame()
    return compare_differential_times(
        (_load_piece(*piece) for piece in pieces),
        picks,
        window,
        channel_step=_channel_step(picks["channel_index"]),
        min_correlation=min_correlation,
    )


def _pieces(
    recordings: Sequence[Recording], picks: pd.DataFrame, pad_s: float
) -> list[tuple[Recording, slice, slice]]:
    """List the channels and samples of the recordings that hold the spans of some picks, by time."""
    spans = picks.groupby(_SPAN, observed=True).agg(
        start=("phase_time", "min"),
        end=("phase_time", "max"),
        first=("channel_index", "min"),
        last=("channel_index", "max"),
    )
    pad, pieces = pd.Timedelta(seconds=pad_s), []
    for span in records(spans.sort_values("start", kind="stable")):
        limits = [time.tz_convert(None).to_datetime64() for time in (span["start"] - pad, span["end"] + pad)]
        for one in recordings:
            samples = one.sample_range(*limits)
            rows = np.flatnonzero((one.channel_index >= span["first"]) & (one.channel_index <= span["last"]))
            if samples.start < samples.stop and len(rows):
                pieces.append((one, slice(int(rows[0]), int(rows[-1]) + 1), samples))
    return pieces


def _load_piece(recording: Recording, channels: slice, samples: slice) -> Patch:
    return io.make_patch(
        recording.load(channels, samples),
        start_time=np.datetime64(recording.sample_ns(samples.start), "ns"),
        dt_s=recording.dt_s,
        channel_index=recording.channel_index[channels],
        station_id=recording.station_id,
    )


def _cut(
    sources: Iterable[Any], picks: pd.DataFrame, window: CorrelationWindow
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Cut the filtered search window of every pick that lies whole within a recording; each is read once.

    Returns `rows` (pick,), `samples` (pick, time), `begin_ns` (pick,) and the sampling interval in s.
    """
    parts, dt_s = [], np.nan
    for source in sources:
        patch = io.read(source)
        if np.isfinite(dt_s) and abs(io.get_dt_s(patch) / dt_s - 1) > 1e-6:
            raise ConfigError(
                f"recordings of {1 / dt_s:g} Hz and {1 / io.get_dt_s(patch):g} Hz cannot be compared. Take "
                "those of one sampling rate."
            )
        dt_s = io.get_dt_s(patch)
        parts.append(_cut_one(patch, picks, window))
    if not parts:
        raise ConfigError("no recording was given to correlate.")
    rows, samples, begin = (np.concatenate([part[k] for part in parts]) for k in range(3))
    rows, keep = np.unique(rows, return_index=True)  # recordings may overlap
    return rows, samples[keep], begin[keep], dt_s


def _cut_one(
    patch: Any,  # noqa: ANN401 - a dascore.Patch
    picks: pd.DataFrame,
    window: CorrelationWindow,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row of each pick within this recording, its samples, and the time of the first of them."""
    dt_s, data = io.get_dt_s(patch), io.get_data(patch)
    if window.common_mode:
        data = data - np.median(data, axis=0, keepdims=True)
    start_ns = int(io.get_times(patch)[0].astype("datetime64[ns]").astype(np.int64))
    lead, reach = (round(span / dt_s) for span in (window.before_s, window.after_s))
    lag = round(window.max_lag_s / dt_s)
    index = io.get_channel_index(patch)
    row = pd.Series(np.arange(len(index)), index=index).reindex(picks["channel_index"]).to_numpy(np.float64)
    begin = np.rint((time_ns(picks["phase_time"]) - start_ns) / (dt_s * 1e9)).astype(np.int64) - lead - lag
    length = lead + reach + 2 * lag
    known = np.isfinite(row) & (begin >= 0) & (begin + length <= data.shape[1])
    if io.get_station_id(patch):
        known &= (picks["station_id"] == io.get_station_id(patch)).to_numpy()
    rows, place = np.flatnonzero(known), row[known].astype(np.int64)
    filtered = bandpass(data, dt_s, *window.band_hz)
    samples = filtered[place[:, None], begin[known][:, None] + np.arange(length)]
    good = np.isfinite(samples).all(axis=1) & (np.ptp(samples, axis=1) > 0)
    times = start_ns + np.rint(begin[known] * (dt_s * 1e9)).astype(np.int64)
    return rows[good], samples[good], times[good]


def _neighbour_pairs(
    picks: pd.DataFrame, channel_step: int, max_difference_s: float
) -> tuple[np.ndarray, np.ndarray]:
    if channel_step < 1:
        raise ConfigError(f"channel_step: found {channel_step}, expected 1 or more.")
    name = pd.factorize(picks["station_id"].astype(str) + "|" + picks["phase_type"].astype(str))[0]
    channel = picks["channel_index"].to_numpy(np.int64)
    width = int(channel.max(initial=0)) + channel_step + 2
    times = time_ns(picks["phase_time"])
    group = name.astype(np.int64) * width + channel
    first, second = candidate_pairs(group + channel_step, times, group, times, round(max_difference_s * 1e9))
    chosen = nearest_first(first, second, np.abs(times[second] - times[first]))
    return first[chosen], second[chosen]


def _event_pairs(picks: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of events on each channel and phase; of several picks of an event the best score counts."""
    keys = ["station_id", "channel_index", "phase_type"]
    known = picks[picks["event_index"] >= 0].sort_values("phase_score", ascending=False, kind="stable")
    known = known.drop_duplicates([*keys, "event_index"]).sort_values([*keys, "event_index"])
    group, place = known.groupby(keys).ngroup().to_numpy(), known.index.to_numpy()
    firsts, seconds = [], []
    for step in range(1, int(np.bincount(group).max(initial=0)) if len(group) else 0):
        alike = group[step:] == group[:-step]
        firsts.append(place[:-step][alike])
        seconds.append(place[step:][alike])
    empty = np.empty(0, np.int64)
    return np.concatenate([empty, *firsts]), np.concatenate([empty, *seconds])


def _measure(
    samples: np.ndarray, first: np.ndarray, second: np.ndarray, max_lag: int, dt_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lag (s) of the second window's motion behind the first's, and the coefficient, batch by batch."""
    length = samples.shape[1] - 2 * max_lag
    lag_s, coefficient = np.full(len(first), np.nan), np.zeros(len(first))
    for part in batches(len(first), samples.shape[1]):
        template = samples[first[part], max_lag : max_lag + length]
        lag, coefficient[part] = peak_lag(cross_correlate(template, samples[second[part]]))
        lag_s[part] = (lag - max_lag) * dt_s
    return lag_s, coefficient


def summarize_differential_times(pairs: pd.DataFrame) -> pd.DataFrame:
    """Sum up what :func:`compare_differential_times` measured.

    Parameters
    ----------
    pairs : pandas.DataFrame
        Its table.

    Returns
    -------
    pandas.DataFrame
        A row for each phase: ``phase, num_pairs, num_kept, share_reversed`` (kept with reversed polarity),
        ``median_correlation`` (absolute, of those kept), ``bias_s`` (median residual), ``spread_s`` (median
        absolute deviation times 1.4826), ``mean_s``, ``std_s`` and ``p05_s, p95_s``.
    """
    return pd.DataFrame([_summary_row(str(phase), group) for phase, group in pairs.groupby("phase")])


def _summary_row(phase: str, group: pd.DataFrame) -> dict[str, Any]:
    kept = group[group["kept"]]
    residual, coefficient = kept["residual_s"], kept["correlation"]
    bias = float(residual.median())
    return {
        "phase": phase,
        "num_pairs": len(group),
        "num_kept": len(kept),
        "share_reversed": float((coefficient < 0).mean()),
        "median_correlation": float(coefficient.abs().median()),
        "bias_s": bias,
        "spread_s": float(1.4826 * (residual - bias).abs().median()),
        "mean_s": float(residual.mean()),
        "std_s": float(residual.std(ddof=0)),
        "p05_s": float(residual.quantile(0.05)),
        "p95_s": float(residual.quantile(0.95)),
    }


def cross_correlate(template: np.ndarray, search: np.ndarray) -> np.ndarray:
    """Correlate each template with every place of its longer search window, by FFT.

    The coefficient at lag k is Pearson's, of the template and the piece of the search window that starts at
    sample k; every piece has its own mean and energy, so that strong motion beside the template does not
    draw the peak.

    `template` (pair, window), `search` (pair, window + lags - 1). Returns (pair, lags) float64.
    """
    length = template.shape[1]
    lags = search.shape[1] - length + 1
    template = template.astype(np.float64) - template.mean(axis=1, keepdims=True, dtype=np.float64)
    search = search.astype(np.float64) - search.mean(axis=1, keepdims=True, dtype=np.float64)
    size = next_fast_len(search.shape[1], real=True)
    product = rfft(search, size, axis=1) * np.conj(rfft(template, size, axis=1))
    above = irfft(product, size, axis=1)[:, :lags]
    energy = _running_sum(search**2, length) - _running_sum(search, length) ** 2 / length
    below = np.sqrt(np.maximum(energy, 0.0) * (template**2).sum(axis=1, keepdims=True))
    tiny = 1e-9 * below.max(axis=1, keepdims=True, initial=0.0)
    return np.divide(above, below, out=np.zeros_like(above), where=below > tiny)


def _running_sum(values: np.ndarray, length: int) -> np.ndarray:
    total = np.cumsum(values, axis=1)
    total = np.concatenate([np.zeros((len(total), 1)), total], axis=1)
    summed: np.ndarray = total[:, length:] - total[:, :-length]
    return summed


def peak_lag(coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the lag of the largest coefficient of either sign, between samples.

    Round the peak a cosine is laid through three coefficients (Cespedes et al. 1995), which suits narrow
    bands better than a parabola.

    `coefficients` (pair, lags). Returns `lag` (pair,) float64, `coefficient` (pair,) float64.
    """
    rows = np.arange(len(coefficients))
    peak = np.abs(coefficients).argmax(axis=1)
    inside = np.clip(peak, 1, coefficients.shape[1] - 2)
    left, middle, right = (coefficients[rows, inside + step] for step in (-1, 0, 1))
    usable = (peak == inside) & (middle != 0)
    safe = np.where(usable, middle, 1.0)
    omega = np.arccos(np.clip((left + right) / (2 * safe), -1.0, 1.0))
    omega = np.maximum(omega, 1e-6)
    shift = np.arctan((right - left) / (2 * safe * np.sin(omega))) / omega
    return np.where(usable, inside + shift, np.nan), coefficients[rows, peak]


def batches(num_pairs: int, samples: int) -> Iterator[slice]:
    """Cut pairs into batches of bounded memory."""
    step = max(1, _BATCH_SAMPLES // max(samples, 1))
    for first in range(0, num_pairs, step):
        yield slice(first, first + step)
