"""Settings of the channel table."""

from __future__ import annotations

from pydantic import Field

from phasenet_das.config.section import PATH, ConfigSection


class GeometrySettings(ConfigSection):
    """Where the channels are."""

    path: str | None = Field(
        None,
        description="Channel table (CSV): channel_index, longitude, latitude, elevation_m[, station_id]"
        "[, status]. Without it sources get a distance but no position.",
        json_schema_extra=PATH,
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Names of columns in the file by our names, such as {channel_index: Channel, x_m: X, "
        "y_m: Y, elevation_m: Z}.",
    )
    crs: str | None = Field(
        None, description="Projection of x_m and y_m, such as EPSG:32611, when the file has no longitude."
    )
    skip_rows: int = Field(0, ge=0, description="Rows to skip below the header, such as a row of units.")
    optional: bool = Field(
        False, description="Continue without positions when the file does not exist; the report names it."
    )
