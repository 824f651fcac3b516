"""Settings of the seismometers."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from phasenet_das.config.section import PATH, ConfigSection


class StationSettings(ConfigSection):
    """Seismometers. Their picks are associated together with those of the cables."""

    path: str | None = Field(
        None,
        description="Station table (CSV): station_id, longitude, latitude, elevation_m.",
        json_schema_extra=PATH,
    )
    picks: tuple[str, ...] = Field(
        (),
        description="Pick tables of the seismometers, in the format of PhaseNet: station_id, phase_time, "
        "phase_type, phase_score.",
        json_schema_extra=PATH,
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.path is None) != (not self.picks):
            raise ValueError("path and picks go together: give both, or neither")
        return self
