"""Named scenarios, used alike by docs, tests and benchmarks."""

from __future__ import annotations

from typing import Any

from gamma.errors import nearest_name
from phasenet_das.errors import ConfigError
from phasenet_das.simulate.config import SimulationConfig

_WELL_EARTH: dict[str, Any] = {
    "layer_top_km": (-10.0, -0.8, 0.1, 1.2),
    "vp_km_s": (3.0, 4.2, 5.3, 5.9),
    "vs_km_s": (1.5, 2.35, 3.05, 3.45),
}

SCENARIOS: dict[str, dict[str, Any]] = {
    "easy": {
        "cable": {"num_slack_loops": 0, "num_bends": 2},
        "sources": {
            "magnitude_min": 1.5,
            "events_per_hour": 120.0,
            "overlap_fraction": 0.0,
            "distance_max_km": 20.0,
            "blasts_per_hour": 0.0,
            "distant_per_hour": 0.0,
        },
        "noise": {
            "ambient_rms": 4e-9,
            "optical_rms": 6e-9,
            "fading_fraction": 0.0,
            "spikes_per_channel_hour": 0.0,
        },
        "traffic": {"vehicles_per_hour": 0.0, "num_machines": 0},
    },
    "demo": {},
    "swarm": {
        "sources": {
            "events_per_hour": 480.0,
            "magnitude_min": 0.6,
            "swarm_fraction": 0.9,
            "num_swarms": 3,
            "overlap_fraction": 0.3,
            "distance_max_km": 12.0,
            "depth_max_km": 9.0,
            "swarm_duration_s": 240.0,
        },
    },
    "urban": {
        "cable": {"num_bends": 24, "max_bend_deg": 90.0, "num_slack_loops": 8, "relief_m": 5.0, "dx_m": 8.0},
        "noise": {
            "ambient_rms": 3e-8,
            "ambient_patch_dex": 0.5,
            "ambient_speed_m_s": 350.0,
            "common_mode": 0.3,
        },
        "traffic": {"vehicles_per_hour": 240.0, "num_machines": 6, "vehicle_strain_rate": 5e-7},
        "sources": {"magnitude_min": 1.6},
        "waves": {"slow_speed_m_s": 400.0},
    },
    "borehole": {
        "sampling_rate_hz": 500.0,
        "duration_s": 240.0,
        "file_length_s": 30.0,
        "cable": {
            "shape": "borehole",
            "num_channels": 960,
            "dx_m": 1.0,
            "gauge_length_m": 10.0,
            "elevation_m": 1700.0,
            "num_slack_loops": 1,
        },
        "earth": {**_WELL_EARTH, "kappa_s": 0.0008, "site_delay_s": 0.0008, "delay_length_km": 0.4},
        "sources": {
            "events_per_hour": 900.0,
            "magnitude_min": -0.6,
            "magnitude_max": 2.0,
            "distance_min_km": 0.1,
            "distance_max_km": 2.0,
            "depth_min_km": 0.4,
            "depth_max_km": 3.5,
            "swarm_radius_km": 0.15,
            "blasts_per_hour": 0.0,
            "distant_per_hour": 0.0,
        },
        "waves": {
            "slow_speed_m_s": 1500.0,
            "slow_speed_spread": 0.35,
            "coda_q": 250.0,
            "multipath": 2.0,
            "scatter_p": 0.15,
            "scatter_s": 0.4,
            "surface_wave": 0.0,
            "resonance_gain": 0.8,
            "coupling_dex": 0.08,
            "max_coda_s": 4.0,
        },
        "noise": {
            "optical_rms": 1e-8,
            "level_smooth_dex": 0.2,
            "level_rough_dex": 0.22,
            "flicker_hz": 3.0,
            "ambient_rms": 1e-9,
            "ambient_speed_m_s": 1450.0,
            "ambient_low_hz": 8.0,
            "ambient_high_hz": 60.0,
            "common_mode": 0.05,
        },
        "traffic": {"vehicles_per_hour": 0.0, "num_machines": 1, "machine_strain_rate": 1e-8},
    },
    "offshore": {
        "cable": {
            "num_channels": 1000,
            "dx_m": 16.8,
            "gauge_length_m": 30.0,
            "elevation_m": -20.0,
            "elevation_end_m": -900.0,
            "relief_m": 30.0,
            "num_bends": 4,
            "max_bend_deg": 30.0,
            "longitude": -0.2,
            "latitude": 39.4,
        },
        "earth": {
            "layer_top_km": (-10.0, 0.9, 1.6, 3.5, 8.0, 15.0, 24.0),
            "vp_km_s": (1.9, 2.3, 3.6, 5.0, 6.0, 6.6, 7.9),
            "vs_km_s": (0.45, 0.8, 1.9, 2.85, 3.45, 3.8, 4.5),
            "kappa_s": 0.03,
            "site_delay_s": 0.05,
        },
        "sources": {
            "magnitude_min": 2.0,
            "magnitude_max": 4.5,
            "distance_max_km": 60.0,
            "depth_min_km": 4.0,
            "blasts_per_hour": 0.0,
        },
        "waves": {"slow_speed_m_s": 350.0},
        "noise": {
            "ambient_rms": 8e-9,
            "ambient_low_hz": 0.6,
            "ambient_high_hz": 4.0,
            "ambient_speed_m_s": 350.0,
            "swell_rms": 3e-8,
            "common_mode": 0.5,
            "optical_rms": 2e-8,
            "optical_slope": 0.6,
        },
        "traffic": {"vehicles_per_hour": 0.0, "num_machines": 2},
    },
    "glacier": {
        "sampling_rate_hz": 400.0,
        "duration_s": 120.0,
        "file_length_s": 60.0,
        "cable": {
            "num_channels": 500,
            "dx_m": 12.0,
            "gauge_length_m": 10.0,
            "elevation_m": 2500.0,
            "relief_m": 60.0,
            "num_bends": 3,
            "num_slack_loops": 1,
        },
        "earth": {
            "layer_top_km": (-10.0, -2.1, -1.0),
            "vp_km_s": (3.7, 5.0, 5.8),
            "vs_km_s": (1.8, 2.9, 3.3),
            "kappa_s": 0.001,
            "site_delay_s": 0.002,
            "delay_length_km": 0.5,
        },
        "sources": {
            "events_per_hour": 1200.0,
            "magnitude_min": -1.0,
            "magnitude_max": 1.0,
            "distance_min_km": 0.05,
            "distance_max_km": 4.0,
            "depth_min_km": -2.4,
            "depth_max_km": -2.1,
            "swarm_radius_km": 0.05,
            "blasts_per_hour": 0.0,
            "distant_per_hour": 0.0,
        },
        "waves": {
            "slow_speed_m_s": 1600.0,
            "slow_speed_spread": 0.1,
            "surface_wave": 3.0,
            "coda_q": 60.0,
            "max_coda_s": 2.0,
        },
        "noise": {
            "optical_rms": 2e-8,
            "ambient_rms": 1e-8,
            "ambient_low_hz": 5.0,
            "ambient_high_hz": 60.0,
            "ambient_speed_m_s": 1600.0,
            "dead_fraction": 0.02,
            "fading_fraction": 0.1,
        },
        "traffic": {"vehicles_per_hour": 0.0, "num_machines": 1},
    },
    "hard": {
        "cable": {"num_bends": 16, "max_bend_deg": 90.0, "num_slack_loops": 8, "slack_loop_channels": 8},
        "earth": {"kappa_s": 0.045, "path_delay": 0.025, "site_delay_s": 0.05},
        "sources": {
            "events_per_hour": 360.0,
            "magnitude_min": 1.6,
            "overlap_fraction": 0.4,
            "depth_min_km": 0.5,
            "blasts_per_hour": 18.0,
            "distant_per_hour": 18.0,
        },
        "waves": {"scatter_p": 0.15, "scatter_s": 0.12, "coupling_dex": 0.1, "site_amplification_dex": 0.35},
        "noise": {
            "ambient_rms": 3e-8,
            "ambient_patch_dex": 0.6,
            "optical_rms": 2.5e-8,
            "level_rough_dex": 0.3,
            "fading_fraction": 0.2,
            "dead_fraction": 0.03,
            "spikes_per_channel_hour": 30.0,
            "common_mode": 0.6,
        },
        "traffic": {"vehicles_per_hour": 120.0, "num_machines": 4},
        "faults": {"num_gaps": 2, "clock_jump_s": 0.35, "wrong_metadata": True},
    },
}


def scenario(name: str, **changes: Any) -> SimulationConfig:  # noqa: ANN401 - settings of any type
    """Give the settings of a named scenario.

    Parameters
    ----------
    name : str
        ``easy``, ``demo``, ``swarm``, ``urban``, ``borehole``, ``offshore``, ``glacier`` or ``hard``.
    **changes
        Settings to change: values, or for a section a dict of its fields
        (``noise={"ambient_rms": 0.0}``).

    Returns
    -------
    SimulationConfig
        Validated settings.

    Raises
    ------
    ConfigError
        The name or a setting is unknown, or a value is out of range.
    """
    if name not in SCENARIOS:
        raise ConfigError(f"unknown scenario '{name}'.{nearest_name(name, SCENARIOS)}")
    values = dict(SCENARIOS[name])
    for key, change in changes.items():
        old = values.get(key)
        values[key] = {**(old or {}), **change} if isinstance(change, dict) else change
    return SimulationConfig(**values)
