"""The base of every settings model: frozen, typed, and strict about unknown keys."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

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
