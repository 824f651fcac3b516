"""Settings of live input."""

from __future__ import annotations

from pydantic import Field

from phasenet_das.config.section import ConfigSection, unit


class FeedSettings(ConfigSection):
    """How `phasenet-das receive` writes the packets of a feed as files."""

    file_s: float = Field(
        10.0,
        gt=0,
        description="Length of a file. Picks are later by up to this time.",
        json_schema_extra=unit("s"),
    )
    keep_hours: float | None = Field(
        None,
        gt=0,
        description="Files are removed this long after they were written. If empty, they stay. It must be 48 "
        "hours longer than `keep_days`, because picks of removed files leave the tables.",
        json_schema_extra=unit("h"),
    )
    streams: tuple[str, ...] = Field(
        (),
        description="Channels to ask a SeedLink server for: NETWORK_STATION:SELECTOR, one for each channel.",
    )
    wait_s: float = Field(
        10.0,
        gt=0,
        description="A channel of SeedLink that is this late is missing in the file.",
        json_schema_extra=unit("s"),
    )
