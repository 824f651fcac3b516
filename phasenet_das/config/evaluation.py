"""Settings of the evaluation."""

from __future__ import annotations

from pydantic import Field

from phasenet_das.config.section import PATH, ConfigSection, unit


class EvaluationSettings(ConfigSection):
    """Known picks and events that the results are compared with."""

    picks: str | None = Field(
        None,
        description="Table of the true picks; that of the simulation when there is one.",
        json_schema_extra=PATH,
    )
    events: str | None = Field(
        None,
        description="True events, or a reference catalog (CSV, also ComCat; QuakeML); those of the "
        "simulation when there is one.",
        json_schema_extra=PATH,
    )
    tolerance_p_s: float = Field(
        0.1, gt=0, description="Largest error of a right P.", json_schema_extra=unit("s")
    )
    tolerance_s_s: float = Field(
        0.2, gt=0, description="Largest error of a right S.", json_schema_extra=unit("s")
    )
    time_tolerance_s: float = Field(
        3.0, gt=0, description="Largest error of a right event's origin time.", json_schema_extra=unit("s")
    )
    distance_tolerance_km: float = Field(
        15.0, gt=0, description="Largest error of a right event's epicentre.", json_schema_extra=unit("km")
    )
    min_magnitude: float | None = Field(
        None, description="Recall is also computed for events of this magnitude and above."
    )
