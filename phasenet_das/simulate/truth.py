"""The truth that belongs to a recording: its events, its first arrivals, and how clear each of them is."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from phasenet_das.picking.amplitudes import window_power
from phasenet_das.simulate.motion import EventMotion
from phasenet_das.simulate.simulation import Simulation
from phasenet_das.tables import EVENT_COLUMNS, PICK_COLUMNS, conform, empty_picks, make_pick_ids

SNR_WINDOW_S = 1.0
"""Longest window of the signal-to-noise ratio; shorter where S follows P sooner."""

_FLOOR_DB = -60.0


def snr_db(signal_power: np.ndarray, noise_power: np.ndarray) -> np.ndarray:
    """Give the signal-to-noise ratio of picks: definition 1, frozen.

    ``10 log10(signal power / noise power)``. The *noise power* is the variance of the record in the window
    ``[t - W, t)`` before the pick, with whatever is in it: noise, other events, and for S the P coda of the
    same event. The *signal power* is what the event adds after the pick: the variance of its noise-free
    motion in ``[t, t + W)`` less that in ``[t - W, t)``, not less than 0. ``W`` is ``SNR_WINDOW_S`` or the
    channel's S-P time, whichever is shorter. No filter is applied. Values are bounded to -60 and 120 dB.

    `signal_power` and `noise_power` (pick,). Returns (pick,) float32.
    """
    tiny = np.finfo(np.float64).tiny
    ratio = np.maximum(signal_power, 0.0) / np.maximum(noise_power, tiny)
    decibels = 10 * np.log10(np.maximum(ratio, 10 ** (_FLOOR_DB / 10)))
    return np.minimum(decibels, 120.0).astype(np.float32)


def measure_snr_db(
    data: np.ndarray, channel: np.ndarray, sample: np.ndarray, window: np.ndarray
) -> np.ndarray:
    """Estimate the same ratio on a real record, where the noise-free motion is not known.

    The signal power is the variance after the pick less that before it.

    Parameters
    ----------
    data : numpy.ndarray, shape (channel, time)
        The record.
    channel : numpy.ndarray, shape (pick,), int
        Row of each pick.
    sample : numpy.ndarray, shape (pick,), float
        Time of each pick, in samples after the start of the record.
    window : numpy.ndarray, shape (pick,), int
        Length of the window in samples.

    Returns
    -------
    numpy.ndarray, shape (pick,), float32
        Decibels; NaN where a window leaves the record.
    """
    onset = np.ceil(sample).astype(np.int64)
    before = window_power(data, channel, onset - window, window)
    after = window_power(data, channel, onset, window)
    unknown = np.isnan(before) | np.isnan(after)
    return np.where(unknown, np.float32(np.nan), snr_db(after - before, before))


def _power_padded(
    motion: EventMotion, channel: np.ndarray, start: np.ndarray, length: np.ndarray
) -> np.ndarray:
    """Variance of the noise-free motion; zero outside the motion."""
    power = window_power(motion.data, channel, start - motion.start_sample, length)
    return np.nan_to_num(power, nan=0.0)


def pick_table(simulation: Simulation, start_sample: int, num_samples: int, data: np.ndarray) -> pd.DataFrame:
    """List the first arrivals within a span.

    `data` (channel, time) float32.
    """
    parts = [
        _event_picks(simulation, index, phase, start_sample, num_samples, data)
        for index in simulation.overlapping(start_sample, start_sample + num_samples)
        for phase in "PS"
    ]
    parts = [part for part in parts if len(part)]
    if not parts:
        return empty_picks().assign(snr_db=np.empty(0, np.float32), source_type=pd.Series([], dtype="str"))
    return conform(pd.concat(parts, ignore_index=True), PICK_COLUMNS, "truth picks")


def halo_samples(simulation: Simulation) -> int:
    """Give the samples that must precede a span so that every pick has its noise window."""
    return int(np.ceil(SNR_WINDOW_S * simulation.config.sampling_rate_hz)) + 1


def _event_picks(
    simulation: Simulation, index: int, phase: str, start_sample: int, num_samples: int, data: np.ndarray
) -> pd.DataFrame:
    rate, cable = simulation.config.sampling_rate_hz, simulation.cable
    event, times = simulation.event(index), simulation.arrivals[index]
    arrival = event.origin_s + (times.p_s if phase == "P" else times.s_s)
    delay = times.p_delay_s if phase == "P" else times.s_delay_s
    sample = arrival * rate
    felt = cable.coupled & ~simulation.dead
    channel = np.flatnonzero(felt & (sample >= start_sample) & (sample < start_sample + num_samples))
    if not len(channel):
        return pd.DataFrame()
    motion = simulation.motion(index)
    lag = times.s_s[channel] - times.p_s[channel]
    window = np.clip(np.minimum(SNR_WINDOW_S, lag) * rate, 4, SNR_WINDOW_S * rate).astype(np.int64)
    onset = np.ceil(sample[channel]).astype(np.int64)
    halo = data.shape[1] - num_samples
    noise = window_power(data, channel, onset - window - start_sample + halo, window)
    signal = _power_padded(motion, channel, onset, window)
    signal = signal - _power_padded(motion, channel, onset - window, window)
    reach_s = np.minimum(2.0, lag) if phase == "P" else np.full(len(channel), 2.0)
    numbers = cable.channel_index[channel]
    return pd.DataFrame(
        {
            "pick_id": make_pick_ids(
                cable.station_id,
                numbers,
                np.full(len(channel), phase),
                np.rint(sample[channel]).astype(np.int64) + _absolute_sample(simulation),
            ),
            "station_id": cable.station_id,
            "channel_index": numbers,
            "distance_m": cable.distance_m[channel],
            "phase_time": simulation.start_time + _timedelta(arrival[channel]),
            "phase_type": phase,
            "phase_score": np.float32(1.0),
            "phase_amplitude": _peak(motion, channel, onset, reach_s * rate),
            "event_index": index,
            "association_score": np.float32(1.0),
            "travel_time_residual_s": delay[channel].astype(np.float32),
            "snr_db": snr_db(signal, noise),
            "source_type": event.source_type,
        }
    )


def _peak(motion: EventMotion, channel: np.ndarray, onset: np.ndarray, length: np.ndarray) -> np.ndarray:
    offset = np.arange(int(np.ceil(length.max(initial=1))))
    column = np.clip(onset[:, None] - motion.start_sample + offset, 0, motion.data.shape[1] - 1)
    values = np.abs(motion.data[channel[:, None], column])
    peak: np.ndarray = np.where(offset < np.maximum(length, 1)[:, None], values, 0).max(axis=1)
    return peak


def _timedelta(seconds: np.ndarray) -> pd.TimedeltaIndex:
    return pd.to_timedelta(np.rint(np.asarray(seconds) * 1e9).astype(np.int64), unit="ns")


def _absolute_sample(simulation: Simulation) -> int:
    return round(simulation.start_time.value * 1e-9 * simulation.config.sampling_rate_hz)


def event_table(simulation: Simulation, picks: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the event table, and number events and picks alike."""
    seen = np.unique(picks["event_index"].to_numpy())
    table = simulation.events.iloc[seen].reset_index(drop=True)
    new_number = pd.Series(np.arange(len(seen)), index=seen)
    picks = picks.assign(event_index=picks["event_index"].map(new_number).astype("int64"))
    picks = picks.sort_values(["phase_time", "channel_index", "phase_type"], kind="stable").reset_index(
        drop=True
    )
    cable = simulation.cable
    lon, lat = cable.to_geographic(table["x_km"].to_numpy(), table["y_km"].to_numpy())
    time = simulation.start_time + _timedelta(table["origin_s"].to_numpy())
    position = table[["x_km", "y_km", "z_km"]].to_numpy()
    nearest = [float(np.linalg.norm(cable.position_km - p, axis=1).min()) for p in position]
    count = picks.groupby(["event_index", "phase_type"]).size().unstack(fill_value=0)
    count = count.reindex(index=np.arange(len(seen)), columns=["P", "S"], fill_value=0)
    events = pd.DataFrame(
        {
            "event_index": np.arange(len(seen)),
            "event_id": [_event_id(stamp, row) for stamp, row in zip(time, position, strict=True)],
            "time": time,
            "longitude": lon,
            "latitude": lat,
            "depth_km": position[:, 2],
            "source_distance_km": nearest,
            "num_picks": count.sum(axis=1).to_numpy(),
            "num_p_picks": count["P"].to_numpy(),
            "num_s_picks": count["S"].to_numpy(),
            "num_channels": picks.groupby("event_index")["channel_index"].nunique().to_numpy(),
            "residual_rms_s": picks.groupby("event_index")["travel_time_residual_s"].std(ddof=0).to_numpy(),
            "azimuthal_gap_deg": [_gap_deg(cable.position_km[cable.coupled], p) for p in position],
            "num_renamed": 0,
            "quality": "",
            "location_quality": "",
        }
    )
    for name in ("time_uncertainty_s", "horizontal_uncertainty_km", "depth_uncertainty_km"):
        events[name] = 0.0
    events["source_distance_uncertainty_km"] = 0.0
    for name in ("magnitude", "source_type", "strike_deg", "dip_deg", "rake_deg", "stress_drop_mpa"):
        events[name] = table[name].to_numpy()
    return conform(events, EVENT_COLUMNS, "truth events"), picks


def _event_id(stamp: pd.Timestamp, position: np.ndarray) -> str:
    text = f"{stamp.isoformat()} {position[0]:.4f} {position[1]:.4f} {position[2]:.4f}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"ev{stamp.strftime('%Y%m%dT%H%M%S')}{stamp.microsecond // 1000:03d}-{digest}"


def _gap_deg(channels_km: np.ndarray, source_km: np.ndarray) -> float:
    azimuth = np.sort(np.arctan2(*(channels_km[:, :2] - source_km[:2]).T))
    steps = np.diff(np.append(azimuth, azimuth[0] + 2 * np.pi))
    return float(np.rad2deg(steps.max()))
