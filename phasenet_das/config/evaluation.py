"""Settings of the evaluation."""

from __future__ import annotations

from pydantic import Field

from phasenet_das.config.section import PATH, ConfigSection, unit


class EvaluationSettings(ConfigSection):
    """Known picks and events, with which the results are compared."""

    picks: str | None = Field(
        None,
        description="Table of the true picks. By default that of the simulation, if there is one.",
        json_schema_extra=PATH,
    )
    events: str | None = Field(
        None,
        description="True events, or a reference catalog (CSV, also of ComCat, or QuakeML). By default those "
        "of the simulation, if there is one.",
        json_schema_extra=PATH,
    )
    tolerance_p_s: float = Field(
        0.1, gt=0, description="Largest error of a right P pick.", json_schema_extra=unit("s")
    )
    tolerance_s_s: float = Field(
        0.2, gt=0, description="Largest error of a right S pick.", json_schema_extra=unit("s")
    )
    time_tolerance_s: float = Field(
        3.0,
        gt=0,
        description="Largest error of the origin time of a right event.",
        json_schema_extra=unit("s"),
    )
    distance_tolerance_km: float = Field(
        15.0,
        gt=0,
        description="Largest error of the epicentre of a right event.",
        json_schema_extra=unit("km"),
    )
    min_magnitude: float | None = Field(
        None, description="Recall is also computed for events of at least this magnitude."
    )
