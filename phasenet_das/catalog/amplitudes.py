"""Peak strain rates of the waves of events, measured from the records.

The windows are those of Yin et al. (2023, doi:10.1029/2023GL103045): the 2 s after P, ending 0.5 s before S,
and the 2 s after S. The signal-to-noise ratio is that of the code that the authors published: the power in
the 2 s after the wave over the power between 3 and 1 s before P, in dB. Their code ends the window of P
1.5 s after P; the site terms take up the difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pandas as pd

from phasenet_das.config import PickSettings
from phasenet_das.errors import ConfigError, UnitError
from phasenet_das.io.patch import parse_unit, units_in
from phasenet_das.io.recording import Recording
from phasenet_das.picking.amplitudes import peak_amplitudes, window_power
from phasenet_das.picking.preprocess import CORRECT_UNIT, condition
from phasenet_das.tables.columns import associated_phase

PEAK: Final = "peak_strain_rate"
SNR: Final = "peak_snr_db"
_WAVE: Final = ["event_index", "station_id", "channel_index"]
_WINDOW_S: Final = 2.0
_BEFORE_S_S: Final = 0.5  # the window of P ends this much before S
_SHORTEST_S: Final = 0.5  # a shorter window of P does not hold its peak
_NOISE_FIRST_S, _NOISE_LAST_S = 3.0, 1.0  # before P
_MARGIN_S: Final = 0.1  # read beyond the windows, so that a derivative has neighbours
_UNITS_OF_STRAIN: Final = ("strain", "meter", "second", "hertz")
_SAMPLES_AT_A_TIME: Final = 20_000_000


def strain_rate_factor(unit: str) -> float:
    """Strain per second in one `unit`; refuses units that are not a strain rate."""
    factor = _factor("strain / s", unit)
    if factor is None:
        mend = "Pick strain with --to-strain-rate, or state the unit with --unit when the file lacks it."
        if re.search(r"rad|deg|count|cycle|turn", unit.lower()):
            mend = "Convert it to strain rate, with the wavelength and the gauge length of the instrument."
        raise UnitError(f"unit '{unit}': found no strain rate, expected one such as 'strain / s'. {mend}")
    return factor


def _factor(base: str, unit: str) -> float | None:
    """How many `base` one `unit` is; None for radians and counts too, which have no dimension either."""
    quantity = parse_unit(unit)
    names = [] if quantity is None else [name for name, _ in quantity.unit_items()]
    known = bool(names) and all(name.endswith(_UNITS_OF_STRAIN) for name in names)
    return units_in(base, unit) if known else None


def measure_amplitudes(
    events: pd.DataFrame, picks: pd.DataFrame, recordings: Iterable[Recording]
) -> pd.DataFrame:
    """Measure the peak strain rate after the picks of events, and its signal-to-noise ratio.

    Strain is differentiated in time. Where a channel has a pick of one phase only, the other arrival follows
    from the event's median ratio of S to P travel times.

    Parameters
    ----------
    events, picks : pandas.DataFrame
        Event table, and picks with their ``event_index``.
    recordings : iterable of Recording
        Records in strain or strain rate; their ``station_id`` is that of the picks.

    Returns
    -------
    pandas.DataFrame
        `picks` with ``peak_strain_rate`` (1/s) and ``peak_snr_db`` (dB). Both are NaN for picks without an
        event, for a P less than 1 s before S, and where a window leaves the record or a wave of another
        event arrives in it or in the second before P.

    Raises
    ------
    ConfigError
        No record is of a cable of the picks.
    UnitError
        A record with picks is in another unit.
    """
    waves, recordings = _waves(events, picks), list(recordings)
    recorded, picked = ({one.station_id or "DAS" for one in recordings}, set(waves["station_id"]))
    if picked and not recorded & picked:
        raise ConfigError(
            f"station_id: the records are of {', '.join(sorted(recorded)) or 'no cable'}, the picks of "
            f"events of {', '.join(sorted(picked))}. State the name of the cable with data.station_id."
        )
    parts = [_empty()]
    first, last = (waves["time"] + pd.to_timedelta(waves[name], unit="s") for name in ("p_s", "s_s"))
    for recording in recordings:
        start, end = (
            pd.Timestamp(one, unit="ns", tz="UTC") for one in (recording.start_ns, recording.end_ns)
        )
        own = waves[
            (waves["station_id"] == (recording.station_id or "DAS")) & (last >= start) & (first < end)
        ]
        for _, wave in own.groupby("event_index"):
            parts.extend(_measure(recording, wave))
    found = pd.concat(parts, ignore_index=True)
    # An event at the joint of two records is measured in the one that holds its windows.
    found = found.sort_values(SNR, na_position="last", kind="stable").drop_duplicates([*_WAVE, "wave"])
    bare = picks.drop(columns=[PEAK, SNR], errors="ignore").assign(wave=associated_phase(picks).to_numpy())
    return bare.merge(found, on=[*_WAVE, "wave"], how="left").drop(columns="wave")


def _waves(events: pd.DataFrame, picks: pd.DataFrame) -> pd.DataFrame:
    """List the arrivals of each event on each channel, in s after its origin time, and which were picked."""
    used = picks["event_index"].isin(events["event_index"]) & (picks["channel_index"] >= 0)
    table = picks.loc[used, [*_WAVE, "phase_time"]].assign(wave=associated_phase(picks)[used])
    origin = events.set_index("event_index")["time"]
    table["after_s"] = (table["phase_time"] - table["event_index"].map(origin)).dt.total_seconds()
    after = table.groupby([*_WAVE, "wave"])["after_s"].min().unstack("wave").reindex(columns=["P", "S"])
    p, s = after["P"], after["S"]
    ratio = (s / p).where(p > 0).groupby("event_index").transform("median").fillna(np.sqrt(3))
    waves = pd.DataFrame(
        {"p_s": p.fillna(s / ratio), "s_s": s.fillna(p * ratio), "P": p.notna(), "S": s.notna()}
    )
    waves = waves.reset_index()
    waves["time"] = waves["event_index"].map(origin)
    return _alone(waves)


def _alone(waves: pd.DataFrame) -> pd.DataFrame:
    """Unmark the phases into whose windows a wave of another event falls; its peak may be the other's."""
    if waves.empty:
        return waves
    origin_s = (waves["time"] - waves["time"].min()).dt.total_seconds().to_numpy()
    p_s, s_s = (waves[name].to_numpy() + origin_s for name in ("p_s", "s_s"))
    channel = waves.groupby(["station_id", "channel_index"]).ngroup().to_numpy()
    stride_s = np.nanmax(s_s) + 2 * (_NOISE_LAST_S + _WINDOW_S)
    arrivals = np.sort(np.concatenate([p_s, s_s]) + np.tile(channel, 2) * stride_s)
    first = np.searchsorted(arrivals, p_s - _NOISE_LAST_S + channel * stride_s)
    alone = {}
    for phase, end_s, own in (("P", np.minimum(p_s + _WINDOW_S, s_s), 1), ("S", s_s + _WINDOW_S, 2)):
        last = np.searchsorted(arrivals, end_s + channel * stride_s)
        alone[phase] = waves[phase] & (last - first == own)
    return waves.assign(**alone)


def _measure(recording: Recording, wave: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Measure one event in one record, some channels at a time."""
    position = pd.Index(recording.channel_index).get_indexer(wave["channel_index"])
    order = np.argsort(position, kind="stable")[(position < 0).sum() :]
    if not len(order):
        return
    wave, position = wave.iloc[order], position[order]
    origin_ns = int(wave["time"].iloc[0].value)
    first_s = wave["p_s"].min() - _NOISE_FIRST_S - _MARGIN_S
    last_s = wave["s_s"].max() + _WINDOW_S + _MARGIN_S
    limits = (np.datetime64(origin_ns + round(after_s * 1e9), "ns") for after_s in (first_s, last_s))
    samples = recording.sample_range(*limits)
    if samples.stop - samples.start < 2:
        return
    lead_s = (origin_ns - recording.sample_ns(samples.start)) * 1e-9
    size = max(1, _SAMPLES_AT_A_TIME // (samples.stop - samples.start))
    block = (position - position[0]) // size
    for number in np.unique(block):
        chosen = block == number
        rows = position[chosen]
        data = recording.load(slice(rows[0], rows[-1] + 1), samples)
        yield _peaks(_strain_rate(data, recording), rows - rows[0], wave[chosen], lead_s, recording.dt_s)


def _strain_rate(data: np.ndarray, recording: Recording) -> np.ndarray:
    """Turn a record into strain per second. `data` (channel, time) float32. Returns the same shape."""
    unit = recording.unit
    strain = _factor("strain", unit)
    if strain is not None:
        made = condition(data, recording.dt_s, unit, PickSettings(to_strain_rate=True))
        hidden = np.float32(np.nan)
        rate = made.data if made.missing is None else np.where(made.missing, hidden, made.data)
        return rate * np.float32(strain)
    try:
        return data * np.float32(strain_rate_factor(unit))
    except UnitError as error:
        raise UnitError(
            f"{recording.label}: the record is in '{unit}', expected strain or strain rate, such as "
            f"'strain / s'. If the file names no unit, state it with data.unit. {CORRECT_UNIT}"
        ) from error


def _peaks(data: np.ndarray, row: np.ndarray, wave: pd.DataFrame, lead_s: float, dt_s: float) -> pd.DataFrame:
    """Measure both phases. `data` (channel, time) float32, `row` (wave,) int64 of its channels."""
    onset = {
        phase: np.ceil((wave[name].to_numpy() + lead_s) / dt_s).astype(np.int64)
        for phase, name in (("P", "p_s"), ("S", "s_s"))
    }
    length = max(2, round(_WINDOW_S / dt_s))
    noise_length = max(2, round((_NOISE_FIRST_S - _NOISE_LAST_S) / dt_s))
    noise_start = onset["P"] - round(_NOISE_FIRST_S / dt_s)
    noise = window_power(data, row, noise_start, np.full(len(row), noise_length))
    free = onset["S"] - round(_BEFORE_S_S / dt_s) - onset["P"]
    parts = []
    for phase in ("P", "S"):
        span = np.minimum(free, length) if phase == "P" else np.full(len(row), length)
        long_enough = span >= max(2, round(_SHORTEST_S / dt_s))
        span = np.maximum(span, 1)
        power = window_power(data, row, onset[phase], span)
        with np.errstate(divide="ignore", invalid="ignore"):
            snr_db = 10 * np.log10(power / noise)
        peak = peak_amplitudes(data, row, onset[phase], onset[phase] + span)
        known = long_enough & ~np.isnan(snr_db)
        table = wave[_WAVE].assign(
            wave=phase, **{PEAK: np.where(known, peak, np.nan), SNR: np.where(known, snr_db, np.nan)}
        )
        parts.append(table[wave[phase].to_numpy()])
    return pd.concat(parts)


def _empty() -> pd.DataFrame:
    kinds = {"event_index": "int64", "station_id": "str", "channel_index": "int32", "wave": "str"}
    kinds |= {PEAK: "float64", SNR: "float64"}
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in kinds.items()})
