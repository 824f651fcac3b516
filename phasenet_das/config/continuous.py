"""Settings of the chunks of a recording."""

from __future__ import annotations

from pydantic import Field

from phasenet_das.config.section import ConfigSection, unit


class ContinuousSettings(ConfigSection):
    """How much of a continuous recording is picked at a time: changes speed and memory, not picks."""

    shard_samples: int = Field(
        75_000_000,
        ge=100_000,
        description="Samples loaded at a time, 4 bytes each; memory is about 7 times that.",
    )
    shard_channels: int = Field(
        4096, ge=1, description="Largest block of channels, where the network does not need all of them."
    )
    shard_s: float | None = Field(
        None,
        gt=0,
        description="Length of a shard; empty for what shard_samples leaves room for, at most 600 s.",
        json_schema_extra=unit("s"),
    )
