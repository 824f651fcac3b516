"""Classical pickers as baselines: recursive STA/LTA, and AIC on its triggers, with a picker's interface.

They find onsets and do not know phases. The rule by which these are named: triggers of a channel that follow
each other within ``max_gap_s`` make a sequence; its first is P, its second S, the others are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from phasenet_das import io
from phasenet_das.config import PickSettings
from phasenet_das.errors import ConfigError
from phasenet_das.picking.amplitudes import AMPLITUDE_WINDOW_S, peak_amplitudes
from phasenet_das.picking.peaks import pick_table
from phasenet_das.picking.preprocess import condition
from phasenet_das.picking.resampling import TimeGrid

_BLOCK_SAMPLES = 4_000_000


@dataclass(frozen=True)
class TriggerSettings:
    """How onsets are triggered and named.

    Attributes
    ----------
    sta_s, lta_s : float
        Time constants of the short and the long average, s.
    on, off : float
        Ratio at which a trigger begins, and below which it ends.
    band_hz : tuple of float
        Corners of the band-pass filter (linear phase, no delay), Hz.
    max_gap_s : float
        Longest time between triggers of one sequence (the longest S-P time), s.
    aic_before_s, aic_after_s : float
        Window of the AIC picker before and after the trigger, s.
    """

    sta_s: float = 0.2
    lta_s: float = 3.0
    on: float = 4.5
    off: float = 1.5
    band_hz: tuple[float, float] = (2.0, 20.0)
    max_gap_s: float = 12.0
    aic_before_s: float = 1.5
    aic_after_s: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.sta_s < self.lta_s:
            raise ConfigError(
                f"sta_s, lta_s: found {self.sta_s} and {self.lta_s}, expected 0 < sta_s < lta_s."
            )
        if not 0 < self.off <= self.on:
            raise ConfigError(f"on, off: found {self.on} and {self.off}, expected 0 < off <= on.")

    def faster(self, factor: float) -> TriggerSettings:
        """Give the same settings for a recording whose time runs faster.

        Parameters
        ----------
        factor : float
            Times are divided by it, frequencies multiplied.

        Returns
        -------
        TriggerSettings
            New settings.
        """
        times = {f.name: getattr(self, f.name) / factor for f in fields(self) if f.name.endswith("_s")}
        return replace(self, **times, band_hz=(self.band_hz[0] * factor, self.band_hz[1] * factor))


class TriggerPicker:
    """Picks onsets channel by channel.

    Parameters
    ----------
    method : {"sta_lta", "aic"}
        Take the time of the trigger, or that of the least AIC in a window round it.
    settings : TriggerSettings, optional
        How onsets are triggered.

    Raises
    ------
    ConfigError
        The method is unknown.
    """

    def __init__(
        self, method: Literal["sta_lta", "aic"] = "sta_lta", settings: TriggerSettings | None = None
    ) -> None:
        if method not in ("sta_lta", "aic"):
            raise ConfigError(f"method: found '{method}', expected 'sta_lta' or 'aic'.")
        self.method, self.settings = method, settings or TriggerSettings()

    def pick(
        self,
        source: Any,  # noqa: ANN401 - anything that can be read
        settings: PickSettings | None = None,
        *,
        station_id: str | None = None,
    ) -> pd.DataFrame:
        """Pick onsets on every channel that is not dead.

        Parameters
        ----------
        source : dascore.Patch, str, pathlib.Path, obspy.Stream or xarray.DataArray
            Anything :func:`phasenet_das.io.read` takes.
        settings : PickSettings, optional
            Conditioning before the picker's own filter (strain rate, common mode, band); what concerns
            networks is not used.
        station_id : str, optional
            Name of the cable; else the recording's own.

        Returns
        -------
        pandas.DataFrame
            Pick table; ``phase_score`` is r / (1 + r), r the largest ratio of the trigger.

        Raises
        ------
        ConfigError
            The recording has no station name.
        """
        patch = io.read(source)
        station = station_id or io.get_station_id(patch)
        if not station:
            raise ConfigError("pick: the recording does not name its cable; say station_id=.")
        usable = np.flatnonzero(io.get_channel_status(patch) != "dead")
        dt_s, choice = io.get_dt_s(patch), settings or PickSettings()
        start_ns = int(io.get_times(patch)[0].astype("datetime64[ns]").astype(np.int64))
        ready = condition(io.get_data(patch)[usable], dt_s, io.get_unit(patch), choice).data
        own = choice.model_copy(update={"bandpass_hz": self.settings.band_hz, "common_mode": None})
        own = own.model_copy(update={"to_strain_rate": False})
        filtered = condition(ready, dt_s, "", own).data
        grid = TimeGrid(start_ns, dt_s, ready.shape[1])
        onsets = self._onsets(filtered, dt_s)
        named = name_phases(onsets, self.settings.max_gap_s / dt_s)
        named["peak_sample"] = np.rint(named["sample"]).astype(np.int64) + grid.first_index
        named["phase_time_ns"] = grid.times_ns(named["sample"].to_numpy())
        named["phase_amplitude"] = _amplitudes(ready, named, dt_s)
        table = pick_table(
            named, station, io.get_channel_index(patch)[usable], io.get_distance_m(patch)[usable]
        )
        table.attrs = {"amplitude_unit": io.get_unit(patch), "weights_id": self.method}
        return table

    def _onsets(self, data: np.ndarray, dt_s: float) -> pd.DataFrame:
        """Triggers of all channels: ``row, sample, phase_score``."""
        short, long = (max(1, round(span / dt_s)) for span in (self.settings.sta_s, self.settings.lta_s))
        step = max(1, _BLOCK_SAMPLES // data.shape[1])
        parts = []
        for first in range(0, len(data), step):
            ratio = sta_lta(data[first : first + step], short, long)
            row, sample, peak = find_triggers(ratio, self.settings.on, self.settings.off)
            parts.append((row + first, sample, peak))
        row, sample, peak = (np.concatenate([part[k] for part in parts]) for k in range(3))
        if self.method == "aic":
            before = max(2, round(self.settings.aic_before_s / dt_s))
            sample = _refine(data, row, sample, before, max(2, round(self.settings.aic_after_s / dt_s)))
        return pd.DataFrame({"row": row, "sample": sample, "phase_score": peak / (1 + peak)})


def sta_lta(data: np.ndarray, short: int, long: int) -> np.ndarray:
    """Ratio of two recursive averages of the squared samples (Withers et al. 1998, eq. 5).

    Equal to ObsPy's ``recursive_sta_lta`` on every channel; all channels at once.

    `data` (channel, time). Returns (channel, time) float64.
    """
    power = data.astype(np.float64) ** 2
    power[:, 0] = 0.0
    fast, slow = (lfilter([1 / n], [1, 1 / n - 1], power, axis=1) for n in (short, long))
    ratio = np.divide(fast, slow, out=np.zeros_like(fast), where=slow > np.finfo(float).tiny)
    ratio[:, :long] = 0.0
    return ratio


def find_triggers(ratio: np.ndarray, on: float, off: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find where a ratio rises to `on` after it was below `off`.

    `ratio` (channel, time). Returns `row, sample` (trigger,) int64; `peak` (trigger,) float64.
    """
    places = np.arange(ratio.shape[1])
    last_on = np.maximum.accumulate(np.where(ratio >= on, places, -1), axis=1)
    last_off = np.maximum.accumulate(np.where(ratio < off, places, -1), axis=1)
    active = last_on > last_off
    begins = active.copy()
    begins[:, 1:] &= ~active[:, :-1]
    row, sample = np.nonzero(begins)
    if not len(row):
        return row, sample, np.empty(0)
    flat = np.ravel_multi_index((row, sample), ratio.shape)
    # A run ends where the next begins; rows are apart since every run is cut at its channel's end.
    edges = np.unique(np.concatenate([flat, (np.arange(1, len(ratio))) * ratio.shape[1]]))
    peak = np.maximum.reduceat(ratio.ravel(), edges)
    return row, sample, peak[np.searchsorted(edges, flat)]


def aic(windows: np.ndarray) -> np.ndarray:
    """Akaike's criterion of a change of variance at each sample (Maeda 1985).

    ``AIC(k) = k log var(x[:k]) + (n - k - 1) log var(x[k:])``; its least value is the onset.

    `windows` (window, time). Returns (window, time) float64.
    """
    x = windows.astype(np.float64) - windows.mean(axis=1, keepdims=True, dtype=np.float64)
    n = x.shape[1]
    k = np.arange(2, n - 1)
    total, squares = np.cumsum(x, axis=1), np.cumsum(x**2, axis=1)
    before = squares[:, k - 1] / k - (total[:, k - 1] / k) ** 2
    rest = n - k
    after = (squares[:, -1:] - squares[:, k - 1]) / rest
    after = after - ((total[:, -1:] - total[:, k - 1]) / rest) ** 2
    tiny = 1e-12 * np.maximum(squares[:, -1:] / n, np.finfo(float).tiny)
    out = np.full(x.shape, np.inf)
    out[:, k] = k * np.log(np.maximum(before, tiny)) + (rest - 1) * np.log(np.maximum(after, tiny))
    return out


def _refine(data: np.ndarray, row: np.ndarray, sample: np.ndarray, before: int, after: int) -> np.ndarray:
    """Move each trigger to the least AIC of a window round it, cut at the ends of the record."""
    if not len(row):
        return sample
    length = min(before + after, data.shape[1])
    begin = np.clip(sample - before, 0, data.shape[1] - length)
    found = np.empty(len(row), np.int64)
    step = max(1, _BLOCK_SAMPLES // length)
    for first in range(0, len(row), step):
        part = slice(first, first + step)
        windows = data[row[part, None], begin[part, None] + np.arange(length)]
        found[part] = begin[part] + aic(windows).argmin(axis=1)
    return found


def name_phases(onsets: pd.DataFrame, max_gap: float) -> pd.DataFrame:
    """Name onsets: the first of a sequence is P, the second S, the others are dropped."""
    table = onsets.sort_values(["row", "sample"], ignore_index=True)
    row, sample = table["row"].to_numpy(), table["sample"].to_numpy()
    new = np.ones(len(table), bool)
    new[1:] = (np.diff(row) != 0) | (np.diff(sample) > max_gap)
    begin = np.maximum.accumulate(np.where(new, np.arange(len(table)), 0)) if len(table) else new
    rank = np.arange(len(table)) - begin
    table["phase_type"] = np.where(rank == 0, "P", "S")
    return table[rank < 2].reset_index(drop=True)


def _amplitudes(data: np.ndarray, named: pd.DataFrame, dt_s: float) -> np.ndarray:
    """Peak in the 2 s after each pick; P's window ends at its S, which is the next row."""
    row, start = named["row"].to_numpy(), named["sample"].to_numpy()
    end = start + max(1, round(AMPLITUDE_WINDOW_S / dt_s))
    following = np.append(start[1:], np.iinfo(np.int64).max)
    is_p = (named["phase_type"] == "P").to_numpy()
    has_s = np.append(~is_p[1:] & (row[1:] == row[:-1]), False)
    end = np.where(is_p & has_s, np.minimum(end, following), end)
    return peak_amplitudes(data, row, start, end)
