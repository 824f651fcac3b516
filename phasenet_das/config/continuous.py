"""Settings of the chunks of a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from phasenet_das.config.section import ConfigSection, unit


class ContinuousSettings(ConfigSection):
    """Size of the chunks of a recording. They change speed and memory, not picks."""

    renamed: ClassVar[Mapping[str, str]] = {
        "shard_samples": "'chunk_samples'",
        "shard_channels": "'chunk_channels'",
        "shard_s": "'chunk_s'",
    }

    chunk_samples: int = Field(
        80_000_000,
        ge=100_000,
        description="Samples of a chunk. A sample takes 4 bytes. The memory in use is about 5 times that of "
        "a chunk.",
    )
    chunk_channels: int = Field(
        4096, ge=1, description="Largest number of channels of a chunk, if the network does not need all."
    )
    chunk_s: float | None = Field(
        None,
        gt=0,
        description="Length of a chunk. If empty, the longest that chunk_samples allows, at most 600 s.",
        json_schema_extra=unit("s"),
    )
