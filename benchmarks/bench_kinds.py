"""The kinds of recordings of bench-v1 and bench-v2: every setting, frozen. Any change makes another version.

Every setting is written here, so that the defaults and scenarios of the simulator may change without changing
the benchmark. Three of the four kinds of bench-v1 stand for real records at hand: they were set so that the
original PhaseNet finds about as many picks as on those, which makes its recall on them fitted. For that the
simulated distant events have to be clearer than the real one. The five kinds that bench-v2 adds were set by
what such sites are like, before any network had picked them: cables of 2 to 32 channels, an event every 7 s,
the sea floor, a glacier, and 50 km of cable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trigger_pickers import TriggerSettings

from phasenet_das.config import PickSettings

_NO_FAULTS = {"num_gaps": 0, "gap_s": 7.0, "clock_jump_s": 0.0, "wrong_metadata": False}

_SURFACE: dict[str, dict[str, Any]] = {
    "cable": {
        "station_id": "SURFACE",
        "channels_file": None,
        "num_channels": 300,
        "first_channel": 0,
        "dx_m": 10.0,
        "gauge_length_m": 10.0,
        "shape": "surface",
        "longitude": -117.6,
        "latitude": 35.7,
        "elevation_m": 700.0,
        "elevation_end_m": None,
        "relief_m": 20.0,
        "azimuth_deg": 30.0,
        "num_bends": 6,
        "max_bend_deg": 60.0,
        "num_slack_loops": 2,
        "slack_loop_channels": 4,
        "deviation_deg": 3.0,
    },
    "earth": {
        "layer_top_km": (-10.0, 0.0, 1.0, 4.0, 9.0, 16.0, 32.0),
        "vp_km_s": (2.4, 3.6, 4.8, 5.6, 6.1, 6.7, 7.9),
        "vs_km_s": (1.1, 1.95, 2.7, 3.2, 3.5, 3.85, 4.5),
        "q_p": 400.0,
        "q_s": 250.0,
        "kappa_s": 0.02,
        "path_delay": 0.012,
        "site_delay_s": 0.02,
        "delay_length_km": 2.0,
    },
    "sources": {
        "events_per_hour": 60.0,
        "magnitude_min": 2.0,
        "magnitude_max": 4.0,
        "b_value": 1.0,
        "distance_min_km": 1.0,
        "distance_max_km": 30.0,
        "depth_min_km": 2.0,
        "depth_max_km": 14.0,
        "stress_drop_mpa": 3.0,
        "swarm_fraction": 0.3,
        "num_swarms": 2,
        "swarm_radius_km": 0.5,
        "swarm_duration_s": 120.0,
        "overlap_fraction": 0.1,
        "blasts_per_hour": 6.0,
        "distant_per_hour": 6.0,
        "distant_min_km": 90.0,
        "distant_max_km": 220.0,
        "distant_magnitude_min": 4.0,
        "distant_magnitude_max": 5.3,
    },
    "waves": {
        "slow_speed_m_s": 450.0,
        "slow_speed_spread": 0.35,
        "scatter_p": 0.08,
        "scatter_s": 0.08,
        "multipath": 2.5,
        "conversion": 0.5,
        "coda_q": 120.0,
        "num_scatterers": 8,
        "surface_wave": 0.6,
        "site_amplification_dex": 0.2,
        "coupling_dex": 0.04,
        "resonance_gain": 1.5,
        "site_length_m": 120.0,
        "max_coda_s": 60.0,
    },
    "noise": {
        "optical_rms": 8e-9,
        "optical_slope": 1.0,
        "flicker_hz": 0.5,
        "level_smooth_dex": 0.15,
        "level_rough_dex": 0.1,
        "optical_length_m": 0.0,
        "common_mode": 0.1,
        "ambient_rms": 8e-9,
        "ambient_low_hz": 2.0,
        "ambient_high_hz": 14.0,
        "ambient_speed_m_s": 500.0,
        "ambient_patch_dex": 0.35,
        "swell_rms": 0.0,
        "fading_fraction": 0.05,
        "fading_dex": 0.6,
        "dead_fraction": 0.005,
        "spikes_per_channel_hour": 3.0,
        "real_noise_dir": None,
        "real_noise_rms": 1e-8,
    },
    "traffic": {
        "vehicles_per_hour": 20.0,
        "vehicle_speed_m_s": 18.0,
        "vehicle_strain_rate": 1.5e-7,
        "num_machines": 1,
        "machine_strain_rate": 3e-8,
    },
    "faults": _NO_FAULTS,
}


def with_changes(base: dict[str, dict[str, Any]], **changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Change some settings of sections."""
    return {name: section | changes.get(name, {}) for name, section in base.items()}


_DISTANT = with_changes(
    _SURFACE,
    cable={
        "station_id": "TRENCH",
        "num_channels": 160,
        "dx_m": 1.0,
        "max_bend_deg": 120.0,
        "num_slack_loops": 0,
    },
    earth={"q_p": 800.0, "q_s": 500.0, "kappa_s": 0.008},
    sources={
        "events_per_hour": 0.0,
        "blasts_per_hour": 0.0,
        "distant_per_hour": 24.0,
        "distant_min_km": 100.0,
        "distant_max_km": 180.0,
        "distant_magnitude_min": 3.7,
        "distant_magnitude_max": 4.2,
    },
    waves={"slow_speed_m_s": 300.0},
    noise={
        "ambient_rms": 1.5e-7,
        "ambient_speed_m_s": 250.0,
        "ambient_low_hz": 7.0,
        "ambient_high_hz": 30.0,
    },
    traffic={"vehicles_per_hour": 0.0, "num_machines": 0},
)

_WELL = with_changes(
    _SURFACE,
    cable={
        "station_id": "WELL",
        "num_channels": 300,
        "dx_m": 2.0,
        "shape": "borehole",
        "elevation_m": 660.0,
        "num_slack_loops": 1,
    },
    earth={
        "layer_top_km": (-10.0, -0.8, 0.1, 1.2),
        "vp_km_s": (3.0, 4.2, 5.3, 5.9),
        "vs_km_s": (1.5, 2.35, 3.05, 3.45),
        "kappa_s": 0.0008,
        "site_delay_s": 0.0008,
        "delay_length_km": 0.4,
    },
    sources={
        "events_per_hour": 120.0,
        "magnitude_min": 1.8,
        "magnitude_max": 2.8,
        "swarm_fraction": 0.0,
        "overlap_fraction": 0.0,
        "distance_min_km": 3.0,
        "distance_max_km": 8.0,
        "depth_min_km": 5.0,
        "depth_max_km": 11.0,
        "blasts_per_hour": 0.0,
        "distant_per_hour": 0.0,
    },
    waves={
        "slow_speed_m_s": 1500.0,
        "coda_q": 250.0,
        "multipath": 1.2,
        "scatter_p": 0.1,
        "scatter_s": 0.1,
        "surface_wave": 0.0,
        "resonance_gain": 0.8,
        "coupling_dex": 0.08,
        "max_coda_s": 4.0,
    },
    noise={
        "optical_rms": 8e-8,
        "level_smooth_dex": 0.2,
        "level_rough_dex": 0.22,
        "flicker_hz": 3.0,
        "ambient_rms": 1e-9,
        "ambient_speed_m_s": 1450.0,
        "ambient_low_hz": 8.0,
        "ambient_high_hz": 60.0,
        "common_mode": 0.05,
    },
    traffic={"vehicles_per_hour": 0.0, "num_machines": 1, "machine_strain_rate": 1e-8},
)

_MICRO = with_changes(
    _WELL,
    cable={"station_id": "MICRO", "num_channels": 240, "dx_m": 4.0, "elevation_m": 1700.0},
    sources={
        "events_per_hour": 1600.0,
        "magnitude_min": -0.4,
        "magnitude_max": 1.0,
        "distance_min_km": 0.3,
        "distance_max_km": 2.0,
        "depth_min_km": 0.4,
        "depth_max_km": 2.5,
    },
    waves={"max_coda_s": 1.0},
    noise={"optical_rms": 3e-8, "ambient_low_hz": 30.0, "ambient_high_hz": 200.0, "common_mode": 0.3},
)


_FEW = with_changes(
    _SURFACE,
    cable={"station_id": "FEW", "num_bends": 0, "num_slack_loops": 0},
    sources={"events_per_hour": 180.0, "blasts_per_hour": 0.0},
)

_SEQUENCE = with_changes(
    _SURFACE,
    cable={"station_id": "SWARM", "num_channels": 200},
    sources={
        "events_per_hour": 514.0,
        "magnitude_min": 1.4,
        "magnitude_max": 3.0,
        "distance_min_km": 2.0,
        "distance_max_km": 15.0,
        "swarm_fraction": 1.0,
        "num_swarms": 1,
        "swarm_duration_s": 600.0,
        "overlap_fraction": 0.0,
        "blasts_per_hour": 0.0,
        "distant_per_hour": 0.0,
    },
)

_SUBMARINE = with_changes(
    _SURFACE,
    cable={
        "station_id": "SEA",
        "dx_m": 16.8,
        "gauge_length_m": 30.0,
        "elevation_m": -20.0,
        "elevation_end_m": -900.0,
        "relief_m": 30.0,
        "num_bends": 2,
        "max_bend_deg": 30.0,
        "num_slack_loops": 0,
        "longitude": -0.2,
        "latitude": 39.4,
    },
    earth={
        "layer_top_km": (-10.0, 0.9, 1.6, 3.5, 8.0, 15.0, 24.0),
        "vp_km_s": (1.9, 2.3, 3.6, 5.0, 6.0, 6.6, 7.9),
        "vs_km_s": (0.45, 0.8, 1.9, 2.85, 3.45, 3.8, 4.5),
        "kappa_s": 0.03,
        "site_delay_s": 0.05,
    },
    sources={
        "magnitude_max": 4.5,
        "distance_max_km": 60.0,
        "depth_min_km": 4.0,
        "blasts_per_hour": 0.0,
    },
    waves={"slow_speed_m_s": 350.0},
    noise={
        "ambient_low_hz": 0.6,
        "ambient_high_hz": 4.0,
        "ambient_speed_m_s": 350.0,
        "swell_rms": 3e-8,
        "common_mode": 0.5,
        "optical_rms": 2e-8,
        "optical_slope": 0.6,
    },
    traffic={"vehicles_per_hour": 0.0, "num_machines": 2},
)

_GLACIER = with_changes(
    _SURFACE,
    cable={
        "station_id": "ICE",
        "dx_m": 12.0,
        "elevation_m": 2500.0,
        "relief_m": 60.0,
        "num_bends": 3,
        "num_slack_loops": 1,
    },
    earth={
        "layer_top_km": (-10.0, -2.1, -1.0),
        "vp_km_s": (3.7, 5.0, 5.8),
        "vs_km_s": (1.8, 2.9, 3.3),
        "kappa_s": 0.001,
        "site_delay_s": 0.002,
        "delay_length_km": 0.5,
    },
    sources={
        "events_per_hour": 1200.0,
        "magnitude_min": -1.0,
        "magnitude_max": 1.0,
        "distance_min_km": 0.05,
        "distance_max_km": 3.0,
        "depth_min_km": -2.4,
        "depth_max_km": -2.1,
        "swarm_radius_km": 0.05,
        "overlap_fraction": 0.0,
        "blasts_per_hour": 0.0,
        "distant_per_hour": 0.0,
    },
    waves={
        "slow_speed_m_s": 1600.0,
        "slow_speed_spread": 0.1,
        "surface_wave": 3.0,
        "coda_q": 60.0,
        "max_coda_s": 2.0,
    },
    noise={
        "optical_rms": 2e-8,
        "ambient_rms": 1e-8,
        "ambient_low_hz": 5.0,
        "ambient_high_hz": 60.0,
        "ambient_speed_m_s": 1600.0,
        "dead_fraction": 0.02,
        "fading_fraction": 0.1,
    },
    traffic={"vehicles_per_hour": 0.0, "num_machines": 1},
)

_LONG = with_changes(
    _SURFACE,
    cable={"station_id": "LONG", "num_channels": 5000, "num_bends": 40, "num_slack_loops": 10},
    sources={"events_per_hour": 240.0, "distance_max_km": 60.0},
)


@dataclass(frozen=True)
class BenchKind:
    """One kind of recording.

    Attributes
    ----------
    sections : dict
        Every section of the simulator's settings.
    duration_s, sampling_rate_hz : float
        Length and rate of a recording.
    tolerance_s : dict
        Largest error of a right pick, s: 0.1 for P and 0.2 for S at 100 Hz, less where time runs faster.
    eye_tolerance_s : dict
        Largest error on the real record: three times the uncertainty of its picks by eye, s.
    pick : PickSettings
        How networks see it; ``rate="native"`` gives wells to a network of 100 Hz on a slower time axis.
    triggers : TriggerSettings
        Settings of the classical pickers.
    num_channels : tuple of int
        Numbers of channels that the seeds take in turn; empty for that of `sections`.
    """

    sections: dict[str, dict[str, Any]]
    duration_s: float
    sampling_rate_hz: float
    tolerance_s: dict[str, float]
    eye_tolerance_s: dict[str, float]
    pick: PickSettings
    triggers: TriggerSettings
    num_channels: tuple[int, ...] = ()

    def pick_in_octaves(self) -> PickSettings:
        """Give the settings by which a network of single channels sees this kind at several rates."""
        own = self.sampling_rate_hz
        native = self.pick.rate == "native"
        return self.pick.model_copy(update={"rate": (own, own / 2, own / 4) if native else "octaves"})


# Chosen on the validation set of the surface cables, by F1.
_TRIGGERS = TriggerSettings(
    sta_s=0.2,
    lta_s=3.0,
    on=4.5,
    off=1.5,
    band_hz=(4.0, 20.0),
    max_gap_s=12.0,
    aic_before_s=1.5,
    aic_after_s=0.5,
)

_TOLERANCE_S = {"P": 0.1, "S": 0.2}
_PICK = PickSettings(min_score=0.3, min_separation_s=0.5)


def _at_100_hz(
    sections: dict[str, dict[str, Any]], duration_s: float, num_channels: tuple[int, ...] = ()
) -> BenchKind:
    """Give a kind that stands for no record at hand."""
    return BenchKind(sections, duration_s, 100.0, _TOLERANCE_S, _TOLERANCE_S, _PICK, _TRIGGERS, num_channels)


KINDS: dict[str, BenchKind] = {
    "distant": BenchKind(  # as clear as brady_porotomo_20160321_M4.3
        _DISTANT,
        600.0,
        100.0,
        {"P": 0.1, "S": 0.2},
        {"P": 0.9, "S": 1.2},
        PickSettings(min_score=0.3, min_separation_s=0.5),
        TriggerSettings(
            sta_s=0.2,
            lta_s=3.0,
            on=6.0,
            off=1.5,
            band_hz=(1.0, 8.0),
            max_gap_s=25.0,
            aic_before_s=2.0,
            aic_after_s=1.0,
        ),
    ),
    "local": BenchKind(
        _SURFACE,
        600.0,
        100.0,
        {"P": 0.1, "S": 0.2},
        {"P": 0.1, "S": 0.2},
        PickSettings(min_score=0.3, min_separation_s=0.5),
        _TRIGGERS,
    ),
    "well": BenchKind(  # as clear as safod_20170630_M2.46
        _WELL,
        120.0,
        250.0,
        {"P": 0.05, "S": 0.1},
        {"P": 0.06, "S": 0.18},
        PickSettings(min_score=0.3, min_separation_s=0.5, rate="native"),
        _TRIGGERS.faster(2.5),
    ),
    "micro": BenchKind(  # as clear as forge_7832_eq03, forge_7832_eq10
        _MICRO,
        18.0,
        2000.0,
        {"P": 0.02, "S": 0.04},
        {"P": 0.03, "S": 0.06},
        PickSettings(min_score=0.3, min_separation_s=0.5, rate="native", common_mode="median"),
        _TRIGGERS.faster(20.0),
    ),
    "few": _at_100_hz(_FEW, 600.0, (2, 3, 4, 8, 16, 32)),
    "sequence": _at_100_hz(_SEQUENCE, 300.0),
    "submarine": _at_100_hz(_SUBMARINE, 600.0),
    "glacier": BenchKind(
        _GLACIER,
        30.0,
        400.0,
        {"P": 0.025, "S": 0.05},
        {"P": 0.025, "S": 0.05},
        PickSettings(min_score=0.3, min_separation_s=0.5, rate="native"),
        _TRIGGERS.faster(4.0),
    ),
    "long": _at_100_hz(_LONG, 120.0),
}
