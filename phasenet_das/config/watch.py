"""Settings of a watch: how it follows an archive, and what it hands over."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from phasenet_das.config.feed import FeedSettings
from phasenet_das.config.health import HealthSettings
from phasenet_das.config.section import ConfigSection, unit


class HandoverSettings(ConfigSection):
    """Events that are handed over to other systems, and how."""

    min_quality: Literal["A", "B", "C", "D"] = Field("C", description="Lowest class of an event.")
    min_channels: int = Field(20, ge=1, description="Smallest number of channels of an event.")
    max_residual_s: float | None = Field(
        None, gt=0, description="Largest rms residual of an event.", json_schema_extra=unit("s")
    )
    needs_p_and_s: bool = Field(False, description="Only events with both P and S picks.")
    stable_passes: int = Field(
        1, ge=1, description="Passes in a row that found an event in the same place before its first alert."
    )
    formats: tuple[Literal["quakeml", "scml"], ...] = Field(
        ("quakeml",), description="Formats of the file of each event: QuakeML 1.2, SeisComP XML."
    )
    on_event: tuple[str, ...] = Field(
        (),
        description="Command and its arguments. It runs for each revision, with the event as JSON on "
        "standard input and in variables PHASENET_DAS_*. No shell reads it.",
    )
    hook_limit_s: float = Field(
        30.0, gt=0, description="The command is ended after this time.", json_schema_extra=unit("s")
    )
    webhook: str | None = Field(
        None, pattern=r"^https?://\S+$", description="Address that gets the JSON of each revision by POST."
    )
    webhook_limit_s: float = Field(
        10.0, gt=0, description="Longest wait for the answer of the webhook.", json_schema_extra=unit("s")
    )
    waveform_step: int | None = Field(
        None, ge=1, description="Waveforms of every channel whose number is a multiple of this."
    )
    waveform_channels: tuple[int, ...] = Field(
        (), description="Channel numbers with waveforms, beside those."
    )
    waveform_margin_s: float = Field(
        10.0,
        ge=0,
        description="Waveforms begin this long before the origin time, and end as long after the last pick.",
        json_schema_extra=unit("s"),
    )

    @property
    def has_waveforms(self) -> bool:
        """Whether any channel is chosen for waveforms."""
        return self.waveform_step is not None or bool(self.waveform_channels)


class WatchSettings(ConfigSection):
    """How `phasenet-das watch` follows an archive that grows."""

    recent_s: float = Field(
        600.0,
        ge=60,
        description="Length of the recent data that are associated, if there are many picks.",
        json_schema_extra=unit("s"),
    )
    settle_s: float = Field(
        2.0,
        ge=0,
        description="A file is read after it has not changed for this time.",
        json_schema_extra=unit("s"),
    )
    poll_s: float = Field(
        2.0, ge=0.1, description="Time between two checks of the folder.", json_schema_extra=unit("s")
    )
    final_after_s: float = Field(
        300.0,
        ge=0,
        description="An event is final when the data reach this time after its origin.",
        json_schema_extra=unit("s"),
    )
    keep_days: int | None = Field(
        None,
        ge=1,
        description="Days before the present one that stay in the tables. Older days move to "
        "OUTPUT/days/DATE. If empty, all days stay.",
    )
    handover: HandoverSettings = HandoverSettings()
    feed: FeedSettings = FeedSettings()
    health: HealthSettings = HealthSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        kept, days = self.feed.keep_hours, self.keep_days
        if kept is not None and (days is None or kept < 24 * (days + 2)):
            least = "`keep_days` beside it" if days is None else f"{24 * (days + 2)} or more"
            raise ValueError(
                f"feed: keep_hours: found {kept:g}, expected {least}: picks of removed files leave the tables"
            )
        return self
