"""Settings of the report and the catalog files."""

from __future__ import annotations

from pydantic import Field

from phasenet_das.config.section import PATH, ConfigSection, unit


class ReportSettings(ConfigSection):
    """Contents of the report and of the catalog files."""

    title: str = Field("", description="Title of the report. If empty, the name of the run.")
    network_code: str = Field(
        "XX", pattern=r"^[A-Z0-9]{1,8}$", description="FDSN network code in QuakeML and the other exports."
    )
    max_picks_per_phase: int = Field(
        40,
        ge=1,
        description="Largest number of picks per event, cable and phase in the exports, spread along the "
        "cable.",
    )
    bandpass_hz: tuple[float, float] | None = Field(
        None,
        description="Band-pass filter of the waveforms in the figures. It does not change the picks.",
        json_schema_extra=unit("Hz"),
    )
    max_sections: int = Field(
        100,
        ge=0,
        description="Largest number of events with a section in the report: those with most picks.",
    )
    magnitude_scale: str | None = Field(
        None,
        description="Magnitude scale: a file of `phasenet-das magnitude calibrate` (JSON), or `yin2023` for "
        "magnitudes that are uncertain by 1.2.",
        json_schema_extra=PATH,
    )
