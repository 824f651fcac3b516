"""Settings of the chunks of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from phasenet_das.config.section import ConfigSection, unit


class ContinuousSettings(ConfigSection):
    """How much of a continuous recording is picked at a time: changes speed and memory, not picks."""

    renamed: ClassVar[Mapping[str, str]] = {
        "shard_samples": "'chunk_samples'",
        "shard_channels": "'chunk_channels'",
        "shard_s": "'chunk_s'",
    }

    chunk_samples: int = Field(
        75_000_000,
        ge=100_000,
        description="Samples loaded at a time, 4 bytes each; memory is about 7 times that.",
    )
    chunk_channels: int = Field(
        4096, ge=1, description="Largest number of channels of a chunk, where the network does not need all."
    )
    chunk_s: float | None = Field(
        None,
        gt=0,
        description="Length of a chunk. Empty for the longest that chunk_samples allows, at most 600 s.",
        json_schema_extra=unit("s"),
    )
