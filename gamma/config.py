"""Every setting of the associator: its default, unit and meaning; and the base of all settings models."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gamma.errors import ConfigError, nearest_name


class Settings(BaseModel):
    """A section of settings whose every field carries a default, a unit and a description.

    Unknown keys are refused with the nearest right name. Fields state their unit with
    ``json_schema_extra={"unit": "s"}``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    error_type: ClassVar[type[ValueError]] = ConfigError

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - pydantic validates the values
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise self.error_type(_describe(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:  # noqa: ANN401
        if isinstance(values, dict):
            unknown = [str(key) for key in values if key not in cls.model_fields]
            if unknown:
                hints = [f"unknown setting '{key}'.{nearest_name(key, cls.model_fields)}" for key in unknown]
                raise ValueError(" ".join(hints))
        return values


def _describe(error: ValidationError) -> str:
    """Turn a pydantic report into one line per wrong setting."""
    lines = []
    for item in error.errors():
        where = "".join(f"{part}: " for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        found = f" (found {item['input']!r})" if item["loc"] and not isinstance(item["input"], dict) else ""
        lines.append(f"{where}{message}{found}")
    return "\n".join(lines)


def setting(default: Any, unit: str, description: str, **limits: Any) -> Any:  # noqa: ANN401
    """Describe a setting by its default, its unit, its meaning and its limits."""
    return Field(default, description=description, json_schema_extra={"unit": unit}, **limits)


class Layer(Settings):
    """One layer of a 1-D velocity model, from its top down to the next layer's top."""

    depth_km: float = setting(..., "km", "Depth of the layer's top below sea level (negative: above).")
    vp_km_s: float = setting(..., "km/s", "P velocity.", gt=0.0)
    vs_km_s: float = setting(..., "km/s", "S velocity.", gt=0.0)


class AssociationConfig(Settings):
    """Settings of :func:`gamma.associate`.

    ``None`` means "derived from the geometry": the values used are printed in the log and returned in
    ``result.summary["settings"]``.

    Raises
    ------
    ConfigError
        A key is unknown, a value out of range, or two settings contradict each other.
    """

    vp_km_s: float = setting(6.0, "km/s", "P velocity of the homogeneous model.", gt=0.0)
    vp_vs_ratio: float = setting(1.73, "1", "P to S velocity ratio, used when vs_km_s is not given.", gt=1.0)
    vs_km_s: float | None = setting(None, "km/s", "S velocity of the homogeneous model.", gt=0.0)
    layers: tuple[Layer, ...] | None = setting(
        None, "", "1-D layered model, top layer first; replaces the homogeneous one."
    )
    receivers_below_sea_level: bool = setting(
        False,
        "",
        "Set when all receivers really lie below sea level (sea floor); else that is refused as a sign slip.",
    )
    velocity_uncertainty: float = setting(
        0.03,
        "1",
        "Relative uncertainty of vp and of vp/vs; carried into origin time, position and distance.",
        ge=0.0,
        le=0.5,
    )
    pick_uncertainty_s: float = setting(
        0.1, "s", "Expected standard error of a pick; each event's own scale adapts around it.", gt=0.0
    )
    x_range_km: tuple[float, float] | None = setting(
        None, "km", "Search box, east of the local origin (needs y_range_km too)."
    )
    y_range_km: tuple[float, float] | None = setting(None, "km", "Search box, north of the local origin.")
    depth_range_km: tuple[float, float] = setting(
        (0.0, 30.0), "km", "Search range of depth, positive down; equal limits fix it."
    )
    max_distance_km: float | None = setting(
        None, "km", "How far outside the receivers an event may lie (the search box's margin).", gt=0.0
    )
    min_picks: int | None = setting(None, "picks", "Fewest picks of an event, all phases.", ge=1)
    min_p_picks: int | None = setting(None, "picks", "Fewest P picks of an event.", ge=0)
    min_s_picks: int | None = setting(None, "picks", "Fewest S picks of an event.", ge=0)
    min_stations: int | None = setting(None, "stations", "Fewest receivers with a pick of the event.", ge=1)
    min_score: float = setting(0.0, "1", "Picks with a lower phase_score are left out.", ge=0.0, le=1.0)
    min_association_score: float = setting(
        0.5, "1", "A pick is given to an event when its posterior probability reaches this.", ge=0.0, le=1.0
    )
    min_log_odds: float = setting(
        10.0, "nat", "Least evidence for an event: log odds of 'an event' against 'chance coincidence'."
    )
    use_score_weights: bool = setting(
        False,
        "",
        "Weight each pick in the location by its phase_score (only when scores measure time error).",
    )
    effective_observations: float | None = setting(
        None, "observations", "Effective number of independent picks per cable and phase.", gt=0.0
    )
    block_s: float = setting(3600.0, "s", "Length of the time blocks in which events are sought.", gt=0.0)
    max_iterations: int = setting(200, "iterations", "Most EM iterations of one batch of events.", ge=1)
    use_amplitude: bool = setting(False, "", "Use amplitudes in the association and compute magnitudes.")
    amplitude_unit: str | None = setting(
        None, "", "Unit of phase_amplitude; must be 'm/s' for use_amplitude."
    )

    @property
    def s_velocity_km_s(self) -> float:
        """S velocity of the homogeneous model in km/s."""
        return self.vs_km_s if self.vs_km_s is not None else self.vp_km_s / self.vp_vs_ratio

    @property
    def slowest_s_velocity_km_s(self) -> float:
        """Lowest S velocity of the model in use, in km/s."""
        if self.layers is None:
            return self.s_velocity_km_s
        return min(layer.vs_km_s for layer in self.layers)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.x_range_km is None) != (self.y_range_km is None):
            raise ValueError("x_range_km and y_range_km go together: give both or neither")
        for name in ("x_range_km", "y_range_km"):
            limits = getattr(self, name)
            if limits is not None and not limits[0] < limits[1]:
                raise ValueError(f"{name}: expected (lower, upper) with lower < upper, found {limits}")
        if self.depth_range_km[0] > self.depth_range_km[1]:
            raise ValueError(f"depth_range_km: expected (shallow, deep), found {self.depth_range_km}")
        if self.s_velocity_km_s >= self.vp_km_s:
            raise ValueError(f"vs_km_s {self.s_velocity_km_s:g} is not below vp_km_s {self.vp_km_s:g}")
        if self.layers is not None:
            tops = [layer.depth_km for layer in self.layers]
            if not tops or any(b <= a for a, b in pairwise(tops)):
                raise ValueError(f"layers: depth_km must increase downwards, found {tops}")
        if self.use_amplitude and self.amplitude_unit != "m/s":
            raise ValueError(
                f"use_amplitude needs amplitude_unit 'm/s' (peak ground velocity), "
                f"found {self.amplitude_unit!r}; the amplitude relation is defined for that "
                "unit only. Convert, or set use_amplitude to false"
            )
        return self
