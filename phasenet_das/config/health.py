"""Settings of the health of a watch: where it is shown, and what is an alarm."""

from __future__ import annotations

from pydantic import Field

from phasenet_das.config.section import ConfigSection, unit


class HealthSettings(ConfigSection):
    """Where the state of a watch is shown, and when it is an alarm."""

    listen: str | None = Field(
        None,
        pattern=r"^(\[[0-9a-fA-F:]+\]:|[^:\s\[\]]+:)?\d{1,5}$",
        description="PORT or HOST:PORT of the status page, of /health and of /metrics. Without a host, only "
        "this machine can see it. If empty, there is no page.",
    )
    refresh_s: int = Field(
        30, ge=5, description="Time between two updates of the status page.", json_schema_extra=unit("s")
    )
    max_silence_s: float = Field(
        120.0, gt=0, description="Alarm: no new file for this time.", json_schema_extra=unit("s")
    )
    max_lag_s: float = Field(
        300.0,
        gt=0,
        description="Alarm: a cable is picked to a time this far behind the clock.",
        json_schema_extra=unit("s"),
    )
    max_clock_s: float = Field(
        2.0,
        gt=0,
        description="Alarm: samples are this far in the future, or the time from the last sample of a file "
        "to its arrival changed by more than this since the watch began.",
        json_schema_extra=unit("s"),
    )
