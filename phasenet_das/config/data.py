"""Settings of the recordings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from phasenet_das.config.section import NAME, PATH, ConfigSection, unit


class DataSettings(ConfigSection):
    """The recordings, and facts that their files lack."""

    renamed: ClassVar[Mapping[str, str]] = {
        "channels": "'channel_range'",
        "alternatives": "'fallback_inputs'",
    }

    inputs: tuple[str, ...] = Field(
        (), description="Files, folders or glob patterns of recordings.", json_schema_extra=PATH
    )
    fallback_inputs: tuple[str, ...] = Field(
        (),
        description="Recordings to read if none of the inputs exists. 'daspy:example' is the Brady record of "
        "the package daspy-toolbox.",
        json_schema_extra=PATH,
    )
    station_id: str | None = Field(
        None,
        min_length=1,
        description="Name of the cable in all tables. If empty, the name in the files.",
        pattern=NAME,
    )
    start_time: str | None = Field(
        None,
        description="Time of the first sample, for files that lack it. ISO 8601, in UTC if it has no time "
        "zone.",
    )
    dt_s: float | None = Field(
        None, gt=0, description="Sampling interval, for files that lack it.", json_schema_extra=unit("s")
    )
    dx_m: float | None = Field(
        None, gt=0, description="Channel spacing, for files that lack it.", json_schema_extra=unit("m")
    )
    unit: str | None = Field(None, description="Unit of the samples, for files that lack it.")
    first_channel: int | None = Field(
        None, ge=0, description="Number of the first channel on the interrogator, for files that lack it."
    )
    any_quantity: bool = Field(
        False,
        description="Read recordings below 1 Hz, or with a unit of temperature or power.",
    )
    channel_range: tuple[int, int] | None = Field(
        None, description="Range of channel numbers to use: [first, last + 1]."
    )

    @field_validator("start_time", mode="before")
    @classmethod
    def _refuse_unquoted_times(cls, value: Any) -> Any:  # noqa: ANN401 - anything that YAML can hold
        if isinstance(value, date):  # YAML cuts it to microseconds
            raise ValueError(f"expected a text: put the time in quotes, as '{value.isoformat()}'")
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.channel_range is not None and self.channel_range[0] >= self.channel_range[1]:
            raise ValueError(f"channel_range: found {list(self.channel_range)}, expected [first, last + 1]")
        return self
