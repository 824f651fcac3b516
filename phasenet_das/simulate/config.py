"""Settings of a simulation: every field with its default, unit and meaning."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from gamma.config import Settings, setting
from phasenet_das.errors import ConfigError
from phasenet_das.io.time import parse_time


class SimulationSettings(Settings):
    """Settings of this package's own, whose errors are its own."""

    error_type: ClassVar[type[ValueError]] = ConfigError


class CableConfig(SimulationSettings):
    """Where the fibre lies."""

    station_id: str = setting("SIM", "", "Name of the cable.", min_length=1)
    channels_file: str | None = setting(
        None, "", "Channel table (CSV) with the positions. If empty, the cable is generated."
    )
    num_channels: int | None = setting(
        1000, "", "Channels to simulate. With a channels file, null for all of them.", ge=2
    )
    first_channel: int = setting(0, "", "Number of the first channel on the interrogator.", ge=0)
    dx_m: float = setting(10.0, "m", "Channel spacing along the fibre.", gt=0)
    gauge_length_m: float = setting(10.0, "m", "Gauge length.", gt=0)
    shape: Literal["surface", "borehole"] = setting(
        "surface", "", "Generated cables: along the ground or the sea floor, or down a well."
    )
    longitude: float = setting(-117.6, "deg", "Longitude of the first channel.", ge=-180, le=180)
    latitude: float = setting(35.7, "deg", "Latitude of the first channel.", ge=-85, le=85)
    elevation_m: float = setting(700.0, "m", "Elevation of the first channel (the wellhead), up positive.")
    elevation_end_m: float | None = setting(
        None, "m", "Elevation of the last channel of a surface cable. null for a level cable."
    )
    relief_m: float = setting(20.0, "m", "Standard deviation of the elevation about that line.", ge=0)
    azimuth_deg: float = setting(30.0, "deg", "Heading of the cable, or of the well's deviation, from north.")
    num_bends: int = setting(6, "", "Bends of a surface cable.", ge=0)
    max_bend_deg: float = setting(60.0, "deg", "Largest change of heading at a bend.", ge=0, le=180)
    num_slack_loops: int = setting(2, "", "Coils of spare fibre. No ground motion reaches them.", ge=0)
    slack_loop_channels: int = setting(4, "", "Channels in each coil.", ge=1)
    deviation_deg: float = setting(3.0, "deg", "Deviation of a well from the vertical.", ge=0, le=90)


class EarthConfig(SimulationSettings):
    """Velocities, attenuation, and how far the true earth departs from its layers."""

    layer_top_km: tuple[float, ...] = setting(
        (-10.0, 0.0, 1.0, 4.0, 9.0, 16.0, 32.0),
        "km",
        "Depths of the tops of the layers below sea level. The first layer reaches up to the surface.",
    )
    vp_km_s: tuple[float, ...] = setting(
        (2.4, 3.6, 4.8, 5.6, 6.1, 6.7, 7.9), "km/s", "P velocity of each layer."
    )
    vs_km_s: tuple[float, ...] = setting(
        (1.1, 1.95, 2.7, 3.2, 3.5, 3.85, 4.5), "km/s", "S velocity of each layer."
    )
    q_p: float = setting(400.0, "", "Quality factor of P along the path.", gt=0)
    q_s: float = setting(250.0, "", "Quality factor of S along the path.", gt=0)
    kappa_s: float = setting(0.02, "s", "Mean attenuation time of the ground below the cable.", ge=0)
    path_delay: float = setting(
        0.012, "", "Standard deviation of the path delay as a share of the travel time.", ge=0, le=0.05
    )
    site_delay_s: float = setting(0.02, "s", "Standard deviation of the delay below the cable (P).", ge=0)
    delay_length_km: float = setting(2.0, "km", "Distance along which delays stay alike.", gt=0)

    @model_validator(mode="after")
    def _check_layers(self) -> Self:
        tops, vp, vs = self.layer_top_km, self.vp_km_s, self.vs_km_s
        if not len(tops) == len(vp) == len(vs) > 0:
            raise ValueError(
                f"layer_top_km, vp_km_s and vs_km_s must be equally long, found {len(tops)}, {len(vp)}, "
                f"{len(vs)}. Give one value for each layer."
            )
        if any(lower <= upper for upper, lower in pairwise(tops)):
            raise ValueError(f"layer_top_km must grow downwards, found {tops}.")
        if any(s <= 0 or p < 1.2 * s for p, s in zip(vp, vs, strict=True)):
            raise ValueError("every layer needs vs_km_s > 0 and vp_km_s of at least 1.2 times vs_km_s.")
        return self


class SourceConfig(SimulationSettings):
    """Sources and their rates: earthquakes near and far, and blasts."""

    events_per_hour: float = setting(
        180.0, "1/h", "Local earthquakes. Their number is this rate times the duration.", ge=0
    )
    magnitude_min: float = setting(1.2, "", "Smallest magnitude.")
    magnitude_max: float = setting(4.0, "", "Largest magnitude.")
    b_value: float = setting(1.0, "", "Slope of the Gutenberg-Richter distribution.", gt=0)
    distance_min_km: float = setting(
        1.0, "km", "Smallest epicentral distance from the middle of the cable.", ge=0
    )
    distance_max_km: float = setting(
        30.0, "km", "Largest epicentral distance from the middle of the cable.", gt=0
    )
    depth_min_km: float = setting(2.0, "km", "Shallowest hypocentre below sea level.")
    depth_max_km: float = setting(14.0, "km", "Deepest hypocentre below sea level.")
    stress_drop_mpa: float = setting(3.0, "MPa", "Median stress drop.", gt=0)
    swarm_fraction: float = setting(
        0.3,
        "",
        "Share of the earthquakes that come in swarms: alike in place, mechanism and time.",
        ge=0,
        le=1,
    )
    num_swarms: int = setting(2, "", "Number of swarms.", ge=1)
    swarm_radius_km: float = setting(0.5, "km", "Size of a swarm's cloud.", gt=0)
    swarm_duration_s: float = setting(120.0, "s", "Spread in time of a swarm.", gt=0)
    overlap_fraction: float = setting(
        0.1, "", "Share of the earthquakes moved into the seconds after another one.", ge=0, le=1
    )
    blasts_per_hour: float = setting(6.0, "1/h", "Quarry blasts.", ge=0)
    distant_per_hour: float = setting(6.0, "1/h", "Distant earthquakes.", ge=0)
    distant_min_km: float = setting(90.0, "km", "Nearest distant earthquake.", gt=0)
    distant_max_km: float = setting(220.0, "km", "Farthest distant earthquake.", gt=0)
    distant_magnitude_min: float = setting(3.3, "", "Smallest magnitude of a distant earthquake.")
    distant_magnitude_max: float = setting(5.3, "", "Largest magnitude of a distant earthquake.")

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        for low, high in (
            ("magnitude_min", "magnitude_max"),
            ("distance_min_km", "distance_max_km"),
            ("depth_min_km", "depth_max_km"),
            ("distant_min_km", "distant_max_km"),
            ("distant_magnitude_min", "distant_magnitude_max"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(
                    f"{low} ({getattr(self, low)}) must not exceed {high} ({getattr(self, high)})."
                )
        return self


class WaveConfig(SimulationSettings):
    """How waves are scattered, converted, amplified and felt by the fibre."""

    slow_speed_m_s: float = setting(
        450.0, "m/s", "Median speed of the waves scattered near the cable (surface or tube waves).", gt=0
    )
    slow_speed_spread: float = setting(
        0.35, "", "Spread of that speed, as a standard deviation of its log.", ge=0
    )
    scatter_p: float = setting(
        0.08, "", "Energy that P leaves in slow scattered waves (of acceleration, to its own).", ge=0
    )
    scatter_s: float = setting(0.08, "", "The same for S.", ge=0)
    multipath: float = setting(2.5, "", "Energy in later body-wave arrivals, to that of the first.", ge=0)
    conversion: float = setting(0.5, "", "Amplitude of converted phases, to the wave they come from.", ge=0)
    coda_q: float = setting(120.0, "", "Quality factor of the coda.", gt=0)
    num_scatterers: int = setting(8, "", "Strong scatterers beside the cable.", ge=0)
    surface_wave: float = setting(
        0.6, "", "Amplitude of surface waves of a source at the surface, to S.", ge=0
    )
    site_amplification_dex: float = setting(
        0.2, "", "Standard deviation of log10 of the ground's amplification along the cable.", ge=0
    )
    coupling_dex: float = setting(
        0.04, "", "Standard deviation of log10 of the coupling from channel to channel.", ge=0
    )
    resonance_gain: float = setting(1.5, "", "Mean gain of resonances of the ground or the casing.", ge=0)
    site_length_m: float = setting(120.0, "m", "Distance along which the ground stays alike.", gt=0)
    max_coda_s: float = setting(60.0, "s", "Longest coda that is kept.", gt=0)


class NoiseConfig(SimulationSettings):
    """Noise of the fibre and of the ground."""

    optical_rms: float = setting(8.0e-9, "1/s", "Median optical noise (strain rate, whole band).", ge=0)
    optical_slope: float = setting(
        1.0, "", "Growth of its amplitude with frequency: 1 for white phase noise seen as strain rate."
    )
    flicker_hz: float = setting(0.5, "Hz", "Below this it stays level rather than fall.", ge=0)
    level_smooth_dex: float = setting(
        0.15, "", "Standard deviation of log10 of the noise level, varying smoothly along the cable.", ge=0
    )
    level_rough_dex: float = setting(0.1, "", "The same, from channel to channel.", ge=0)
    optical_length_m: float = setting(
        0.0, "m", "Length along which optical noise is shared (pulse, overlapping gauges).", ge=0
    )
    common_mode: float = setting(0.1, "", "Common-mode noise: its rms, to the median optical noise.", ge=0)
    ambient_rms: float = setting(8.0e-9, "1/s", "Median rms of ambient ground motion.", ge=0)
    ambient_low_hz: float = setting(2.0, "Hz", "Lower corner of the ambient noise.", gt=0)
    ambient_high_hz: float = setting(14.0, "Hz", "Upper corner of the ambient noise.", gt=0)
    ambient_speed_m_s: float = setting(500.0, "m/s", "Median speed of ambient waves.", gt=0)
    ambient_patch_dex: float = setting(
        0.35, "", "Standard deviation of log10 of the ambient level along the cable.", ge=0
    )
    swell_rms: float = setting(0.0, "1/s", "Rms of ocean swell (sea floor cables).", ge=0)
    fading_fraction: float = setting(0.05, "", "Share of channels that fade in and out.", ge=0, le=1)
    fading_dex: float = setting(0.6, "", "Standard deviation of log10 of a fading channel's noise.", ge=0)
    dead_fraction: float = setting(0.005, "", "Share of dead channels (constant zero).", ge=0, le=0.9)
    spikes_per_channel_hour: float = setting(3.0, "1/h", "Spikes (phase unwrapping, laser hops).", ge=0)
    real_noise_dir: str | None = setting(None, "", "Folder of real recordings to mix in.")
    real_noise_rms: float = setting(1.0e-8, "1/s", "Median rms the real recordings are scaled to.", ge=0)


class TrafficConfig(SimulationSettings):
    """Vehicles and machines beside the cable."""

    vehicles_per_hour: float = setting(20.0, "1/h", "Vehicles along the cable.", ge=0)
    vehicle_speed_m_s: float = setting(18.0, "m/s", "Their median speed.", gt=0)
    vehicle_strain_rate: float = setting(1.5e-7, "1/s", "Median peak strain rate below a vehicle.", ge=0)
    num_machines: int = setting(1, "", "Fixed machines.", ge=0)
    machine_strain_rate: float = setting(3.0e-8, "1/s", "Median amplitude beside a machine.", ge=0)


class FaultConfig(SimulationSettings):
    """Faults of the recording, made on request."""

    num_gaps: int = setting(0, "", "Gaps in the recording.", ge=0)
    gap_s: float = setting(7.0, "s", "Length of a gap.", gt=0)
    clock_jump_s: float = setting(0.0, "s", "Error of the clock in the second half of the recording.")
    wrong_metadata: bool = setting(False, "", "Write one file whose header states twice the sampling rate.")

    @property
    def any(self) -> bool:
        """Whether any fault was asked for."""
        return self.num_gaps > 0 or self.clock_jump_s != 0 or self.wrong_metadata


class SimulationConfig(SimulationSettings):
    """One simulated recording."""

    start_time: str = setting("2024-03-01T00:00:00", "UTC", "Time of the first sample.")
    duration_s: float = setting(600.0, "s", "Length of the recording.", gt=0)
    sampling_rate_hz: float = setting(100.0, "Hz", "Sampling rate.", gt=0)
    file_length_s: float = setting(60.0, "s", "Length of a file.", gt=0)
    cable: CableConfig = CableConfig()
    earth: EarthConfig = EarthConfig()
    sources: SourceConfig = SourceConfig()
    waves: WaveConfig = WaveConfig()
    noise: NoiseConfig = NoiseConfig()
    traffic: TrafficConfig = TrafficConfig()
    faults: FaultConfig = FaultConfig()

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if parse_time(self.start_time) is None:
            raise ValueError(
                f"start_time: found '{self.start_time}', expected ISO 8601 such as '2024-05-01T12:00:00'."
            )
        if self.num_samples < 1:
            raise ValueError(
                f"duration_s: found {self.duration_s:g}, which is no sample at {self.sampling_rate_hz:g} Hz. "
                f"Expected {self.dt_s:g} s or more."
            )
        return self

    @property
    def dt_s(self) -> float:
        """Sampling interval in seconds."""
        return 1.0 / self.sampling_rate_hz

    @property
    def num_samples(self) -> int:
        """Samples of the whole recording."""
        return round(self.duration_s * self.sampling_rate_hz)

    @property
    def samples_per_file(self) -> int:
        """Samples of a full file."""
        return max(1, round(self.file_length_s * self.sampling_rate_hz))
