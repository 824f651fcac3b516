"""Settings of the channel table."""

from __future__ import annotations

from pydantic import Field

from phasenet_das.config.section import PATH, ConfigSection


class GeometrySettings(ConfigSection):
    """Positions of the channels."""

    path: str | None = Field(
        None,
        description="Channel table (CSV): channel_index, longitude, latitude, elevation_m[, station_id][, "
        "status]. Without this table, events have a distance but no position.",
        json_schema_extra=PATH,
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Names of the columns in the file, if they differ, such as {channel_index: Channel, x_m: "
        "X, y_m: Y, elevation_m: Z}.",
    )
    crs: str | None = Field(
        None, description="Projection of x_m and y_m, such as EPSG:32611, if the file has no longitude."
    )
    skip_rows: int = Field(0, ge=0, description="Rows to skip below the header, such as a row of units.")
    optional: bool = Field(
        False,
        description="Continue without positions if the file does not exist. The report then names the file.",
    )
