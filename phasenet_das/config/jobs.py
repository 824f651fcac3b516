"""Settings of the jobs of the workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from phasenet_das.config.section import ConfigSection, unit


class JobSettings(ConfigSection):
    """Picking jobs of the workflow. They change neither picks nor events."""

    renamed: ClassVar[Mapping[str, str]] = {"block_s": "'length_s'"}
    removed: ClassVar[Mapping[str, str]] = {"overlap_s": "each job reads the surroundings of its range"}

    length_s: float = Field(
        3600.0,
        ge=60,
        description="Length of the time range of a job. Ranges begin at multiples of this length since 1970.",
        json_schema_extra=unit("s"),
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.length_s % 1:
            raise ValueError(f"length_s: found {self.length_s:g}, expected whole seconds")
        return self
