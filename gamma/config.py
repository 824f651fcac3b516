"""Every setting of the associator: its default, unit and meaning; and the base of all settings models."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

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


_MAX_VELOCITY_KM_S = 20.0


def _in_km_s(velocity: float | None) -> float | None:
    if velocity is not None and velocity > _MAX_VELOCITY_KM_S:
        raise ValueError("looks like m/s. Expected km/s. Divide it by 1000")
    return velocity


class Layer(Settings):
    """One layer of a 1-D velocity model, from its top down to the next layer's top."""

    depth_km: float = setting(..., "km", "Depth of the layer's top below sea level (negative: above).")
    vp_km_s: float = setting(..., "km/s", "P velocity.", gt=0.0)
    vs_km_s: float = setting(..., "km/s", "S velocity.", gt=0.0)

    _unit = field_validator("vp_km_s", "vs_km_s")(_in_km_s)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.vs_km_s >= self.vp_km_s:
            raise ValueError(f"vs_km_s {self.vs_km_s:g} is not below vp_km_s {self.vp_km_s:g}")
        return self


_COLUMNS = {
    "depth_km": ("depth_km", "depth"),
    "vp_km_s": ("vp_km_s", "vp"),
    "vs_km_s": ("vs_km_s", "vs"),
}


def read_layers(path: str | Path) -> tuple[Layer, ...]:
    """Read a 1-D velocity model from a CSV file.

    Parameters
    ----------
    path : str or pathlib.Path
        One row for each layer, top layer first. Columns: ``depth_km`` (top of the layer in km below sea
        level, negative above), ``vp_km_s`` and ``vs_km_s`` (km/s); or ``depth``, ``vp``, ``vs`` in the same
        units. Other columns and lines that begin with ``#`` are skipped.

    Returns
    -------
    tuple of Layer

    Raises
    ------
    ConfigError
        The file is missing or empty, lacks a column, or holds a value that is no number. Depths do not
        increase, vs is not below vp, or values look like m or m/s.
    """
    header, *rows = _read_rows(path)
    place = {
        name: next((header.index(one) for one in names if one in header), -1)
        for name, names in _COLUMNS.items()
    }
    missing = [name for name, column in place.items() if column < 0]
    if missing:
        raise ConfigError(
            f"{path}: missing column(s) {', '.join(missing)}. Found {', '.join(header)}. Expected "
            f"{', '.join(_COLUMNS)} in km and km/s."
        )
    layers = []
    for number, row in enumerate(rows, start=1):
        try:
            layers.append(Layer(**{name: row[column] for name, column in place.items()}))
        except IndexError:
            raise ConfigError(
                f"{path}: layer {number}: found {len(row)} values, expected {len(header)}."
            ) from None
        except ConfigError as error:
            raise ConfigError(f"{path}: layer {number}: {error}") from None
    try:
        return _check_layers(tuple(layers))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}.") from None


def _read_rows(path: str | Path) -> list[list[str]]:
    """Read the header and the rows of a CSV file of layers."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}). Expected a CSV file of layers.") from error
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) < 2:
        raise ConfigError(
            f"{path}: found no layer, expected a header {','.join(_COLUMNS)} and rows below it."
        )
    return [[value.strip() for value in row] for row in csv.reader(lines)]


def _check_layers(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    tops = [layer.depth_km for layer in layers]
    if not tops or any(b <= a for a, b in pairwise(tops)):
        raise ValueError(f"depth_km must increase downwards, found {tops}")
    thinnest = min((b - a for a, b in pairwise(tops)), default=0.0)
    slow = [layer.depth_km for layer in layers if layer.depth_km > 40.0 and layer.vp_km_s < 5.0]
    if thinnest >= 100.0 or tops[0] < -100.0 or slow:  # no rock of 40 km depth is as slow as 5 km/s
        raise ValueError(f"depth_km {tops} looks like m. Expected km. Divide by 1000")
    return layers


_RATIO = 1.73
_STATED_ERROR = 0.05
_HOMOGENEOUS = ("vp_km_s", "vp_vs_ratio", "vs_km_s")


def _two_models(names: str) -> str:
    """Word the error of a homogeneous model beside layers."""
    return (
        f"found {names} beside layers, expected one velocity model. Keep layers when they are known. They "
        f"hold both velocities. Else remove layers and keep {names}"
    )


def _layers_of_file(value: Any) -> Any:  # noqa: ANN401 - whatever the settings state
    return read_layers(value) if isinstance(value, str | Path) else value


Layers = Annotated[
    tuple[Layer, ...],
    BeforeValidator(_layers_of_file, json_schema_input_type=tuple[Layer, ...] | str),
    AfterValidator(_check_layers),
]


class AssociationConfig(Settings):
    """Settings of :func:`gamma.associate`.

    ``None`` means "derived from the geometry": the values used are printed in the log and returned in
    ``result.summary["settings"]``.

    Raises
    ------
    ConfigError
        A key is unknown, a value out of range, or two settings contradict each other.
    """

    vp_km_s: float | None = setting(
        None,
        "km/s",
        "P velocity of a homogeneous model. Without any velocity, layers are estimated from the picks.",
        gt=0.0,
    )
    vp_vs_ratio: float | None = setting(
        None,
        "1",
        "Ratio of P to S velocity of the homogeneous model, if vs_km_s is empty. 1.73 if both are empty.",
        gt=1.0,
    )
    vs_km_s: float | None = setting(None, "km/s", "S velocity of the homogeneous model.", gt=0.0)
    layers: Layers | None = setting(
        None,
        "",
        "Layers of a 1-D model, top layer first, or a CSV file of depth_km, vp_km_s, vs_km_s.",
    )
    receivers_below_sea_level: bool = setting(
        False,
        "",
        "Set if all receivers lie below sea level (sea floor). By default, this is an error of the sign.",
    )
    velocity_uncertainty: float | None = setting(
        None,
        "1",
        "Relative uncertainty of stated vp and of vp/vs. 0.05 if empty. Part of all stated uncertainties.",
        ge=0.0,
        le=0.5,
    )
    pick_uncertainty_s: float = setting(
        0.1,
        "s",
        "Expected standard error of a pick. The scale of each event adapts around this value.",
        gt=0.0,
    )
    x_range_km: tuple[float, float] | None = setting(
        None, "km", "Search box, east of the local origin. Set y_range_km too."
    )
    y_range_km: tuple[float, float] | None = setting(
        None, "km", "Search box, north of the local origin. Set x_range_km too."
    )
    depth_range_km: tuple[float, float] = setting(
        (0.0, 30.0), "km", "Search range of the depth, positive down. Equal limits fix the depth."
    )
    max_distance_km: float | None = setting(
        None,
        "km",
        "Largest distance of an event from the receivers, which is the margin of the search box.",
        gt=0.0,
    )
    min_picks: int | None = setting(
        None,
        "picks",
        "Smallest number of picks of an event, of all phases. It replaces the rule of 5 independent picks, "
        "so the channels of a cable then count in full.",
        ge=1,
    )
    min_p_picks: int | None = setting(None, "picks", "Smallest number of P picks of an event.", ge=0)
    min_s_picks: int | None = setting(None, "picks", "Smallest number of S picks of an event.", ge=0)
    min_stations: int | None = setting(
        None, "stations", "Smallest number of receivers with a pick of the event.", ge=1
    )
    min_score: float = setting(
        0.0, "1", "Smallest phase_score of a pick. Picks with a lower score are skipped.", ge=0.0, le=1.0
    )
    min_association_score: float = setting(
        0.5, "1", "Smallest posterior probability of a pick in an event.", ge=0.0, le=1.0
    )
    min_log_odds: float = setting(
        10.0, "nat", "Smallest evidence of an event: its log odds against a chance coincidence of picks."
    )
    use_score_weights: bool = setting(
        False,
        "",
        "Weight each pick in the location by its phase_score. Use this only if scores measure time errors.",
    )
    effective_observations: float | None = setting(
        None, "observations", "Effective number of independent picks per cable and phase.", gt=0.0
    )
    block_s: float = setting(3600.0, "s", "Length of the time blocks in which events are searched.", gt=0.0)
    max_iterations: int = setting(
        200, "iterations", "Largest number of EM iterations of a batch of events.", ge=1
    )
    use_amplitude: bool = setting(False, "", "Use amplitudes in the association and compute magnitudes.")
    amplitude_unit: str | None = setting(None, "", "Unit of phase_amplitude. use_amplitude needs 'm/s'.")

    _unit = field_validator("vp_km_s", "vs_km_s")(_in_km_s)

    def with_velocity(
        self,
        *,
        vp_km_s: float | None = None,
        vs_km_s: float | None = None,
        layers: str | Path | tuple[Layer, ...] | None = None,
    ) -> Self:
        """Return these settings with the stated velocities, which replace a model of the other kind."""
        given = {"vp_km_s": vp_km_s, "vs_km_s": vs_km_s, "layers": layers}
        given = {name: value for name, value in given.items() if value is not None}
        if layers is not None and len(given) > 1:
            raise self.error_type(_two_models(", ".join(name for name in given if name != "layers")) + ".")
        replaced = _HOMOGENEOUS if layers is not None else ("layers",) if given else ()
        stated = {name: getattr(self, name) for name in self.model_fields_set if name not in replaced}
        return type(self)(**{**stated, **given})

    @property
    def velocity_stated(self) -> bool:
        """Whether the settings hold a velocity model."""
        return self.layers is not None or self.vp_km_s is not None or self.vs_km_s is not None

    @property
    def velocity_error(self) -> float:
        """Relative uncertainty of stated velocities."""
        return _STATED_ERROR if self.velocity_uncertainty is None else self.velocity_uncertainty

    @property
    def homogeneous_km_s(self) -> tuple[float, float]:
        """P and S velocity of the homogeneous model."""
        ratio = self.vp_vs_ratio or _RATIO
        if self.vp_km_s is None:
            vs = self.vs_km_s or 0.0
            return ratio * vs, vs
        return self.vp_km_s, self.vs_km_s or self.vp_km_s / ratio

    @property
    def slowest_s_velocity_km_s(self) -> float:
        """Lowest S velocity of the model in use, in km/s."""
        if self.layers is None:
            return self.homogeneous_km_s[1]
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
        vp, vs = self.homogeneous_km_s
        if vs >= vp > 0.0:
            raise ValueError(f"vs_km_s {vs:g} is not below vp_km_s {vp:g}")
        if self.vp_vs_ratio is not None and not self.velocity_stated:
            raise ValueError(
                f"vp_vs_ratio {self.vp_vs_ratio:g} stands alone, expected vp_km_s beside it. State vp_km_s, "
                "or leave both out, and velocities are estimated from the picks"
            )
        stated = [
            name for name in _HOMOGENEOUS if getattr(self, name) != type(self).model_fields[name].default
        ]
        if self.layers is not None and stated:
            raise ValueError(_two_models(", ".join(stated)))
        if self.use_amplitude and self.amplitude_unit != "m/s":
            raise ValueError(
                f"use_amplitude needs amplitude_unit 'm/s' (peak ground velocity), "
                f"found {self.amplitude_unit!r}. The amplitude relation is defined for that "
                "unit only. Convert, or set use_amplitude to false"
            )
        return self
