"""Every setting of the workflow, with its default, unit and meaning: the only place they are written.

The JSON schema (``configs/schema.json``) and the commented default (``configs/default.yaml``) are
generated from these models by ``python -m phasenet_das.config``.
"""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, Field, model_validator
from pydantic.fields import FieldInfo

from gamma.config import AssociationConfig
from gamma.settings import Settings
from phasenet_das.errors import ConfigError

__all__ = [
    "Config",
    "DataSettings",
    "GeometrySettings",
    "PickSettings",
    "ReportSettings",
    "config_hash",
    "default_yaml",
    "json_schema",
    "load_config",
    "read_yaml",
    "write_config",
]


class _Section(Settings):
    error_type: ClassVar[type[ValueError]] = ConfigError


def _unit(name: str) -> dict[str, Any]:
    return {"unit": name}


class DataSettings(_Section):
    """The recordings, and what their files do not say."""

    inputs: tuple[str, ...] = Field(
        (), description="Files, folders or glob patterns of recordings, relative to where the command is run."
    )
    alternatives: tuple[str, ...] = Field(
        (),
        description="Read instead when none of the inputs exists; 'daspy:example' is the Brady record that "
        "the package daspy-toolbox carries.",
    )
    station_id: str = Field(
        "DAS", min_length=1, description="Name of the cable in all tables.", pattern=r"^[A-Za-z0-9._-]+$"
    )
    start_time: str | None = Field(
        None,
        description="Time of the first sample, ISO 8601, UTC unless it names a zone; only for files that "
        "do not say.",
    )
    dt_s: float | None = Field(
        None, gt=0, description="Sampling interval, for files that do not say.", json_schema_extra=_unit("s")
    )
    dx_m: float | None = Field(
        None, gt=0, description="Channel spacing, for files that do not say.", json_schema_extra=_unit("m")
    )
    unit: str | None = Field(None, description="Unit of the samples, for files that do not say.")
    first_channel: int | None = Field(
        None, ge=0, description="Interrogator's number of the first channel, for files that do not say."
    )
    channels: tuple[int, int] | None = Field(
        None, description="Range of channel numbers to use, half open: [first, last + 1]."
    )


class GeometrySettings(_Section):
    """Where the channels are."""

    path: str | None = Field(
        None,
        description="Channel table (CSV): channel_index, longitude, latitude, elevation_m[, station_id]"
        "[, status]. Without it sources get a distance but no position.",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Names in the file by our names, such as {channel_index: Channel, x_m: X, y_m: Y, "
        "elevation_m: Z}.",
    )
    crs: str | None = Field(
        None, description="Projection of x_m and y_m, such as EPSG:32611, when the file has no longitude."
    )
    skip_rows: int = Field(0, ge=0, description="Rows to skip below the header (such as a row of units).")
    optional: bool = Field(
        False, description="Go on without positions when the file does not exist, and say so in the report."
    )


class PickSettings(_Section):
    """How arrivals are picked."""

    weights: str = Field(
        "seisbench:original",
        description="Bundled model, seisbench:NAME, or a folder of weights.",
    )
    weights_sha256: str | None = Field(None, description="Digest that the weight file must have.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    min_score: float = Field(0.3, gt=0, lt=1, description="Smallest probability of a pick.")
    min_score_p: float | None = Field(None, gt=0, lt=1, description="The same for P only.")
    min_score_s: float | None = Field(None, gt=0, lt=1, description="The same for S only.")
    min_separation_s: float = Field(
        0.5,
        gt=0,
        description="Of two picks of one phase on one channel closer than this the better stays; on the "
        "model's time axis.",
        json_schema_extra=_unit("s"),
    )
    rate: float | Literal["native"] | None = Field(
        None,
        description="Sampling rate at which the network sees the data: empty for the model's own, 'native' "
        "for the recording's, or a number; another rate than the model's is relabelled (time runs slower "
        "or faster for the network), and pick times are always true.",
        json_schema_extra=_unit("Hz"),
    )
    component: Literal["all", "E", "N", "Z"] = Field(
        "all", description="Components of a three-component network that each channel is fed to."
    )
    common_mode: Literal["median"] | None = Field(
        None, description="Subtract at each sample the median over all channels."
    )
    stack_channels: int = Field(
        1, ge=1, description="Average this many neighbouring channels; scores return to every channel."
    )
    to_strain_rate: bool = Field(False, description="Differentiate strain in time.")
    bandpass_hz: tuple[float, float] | None = Field(
        None,
        description="Corners of a linear-phase band-pass filter, its delay removed; it smears sharp onsets "
        "to both sides by about 1 / width.",
        json_schema_extra=_unit("Hz"),
    )
    batch_size: int = Field(96, ge=1, description="Windows a forward pass; changes speed and memory only.")

    @model_validator(mode="after")
    def _check(self) -> PickSettings:
        if isinstance(self.rate, float) and self.rate <= 0:
            raise ValueError(f"rate: found {self.rate}, expected a positive number, 'native' or nothing")
        if self.bandpass_hz is not None and not 0 < self.bandpass_hz[0] < self.bandpass_hz[1]:
            raise ValueError(f"bandpass_hz: found {list(self.bandpass_hz)}, expected 0 < low < high")
        return self

    def thresholds(self) -> dict[str, float]:
        """Give the smallest score of each phase.

        Returns
        -------
        dict
            ``{"P": ..., "S": ...}``.
        """
        return {
            "P": self.min_score if self.min_score_p is None else self.min_score_p,
            "S": self.min_score if self.min_score_s is None else self.min_score_s,
        }


class ReportSettings(_Section):
    """What the report and the catalog files hold."""

    title: str = Field("", description="Heading of the report; the run's name when empty.")
    network_code: str = Field(
        "XX", pattern=r"^[A-Z0-9]{1,8}$", description="FDSN network code in QuakeML and the other exports."
    )
    max_picks_per_phase: int = Field(
        40, ge=1, description="Picks per event, cable and phase kept in QuakeML, spread along the cable."
    )
    bandpass_hz: tuple[float, float] | None = Field(
        None,
        description="Band of the waveforms in the figures (not of the picking).",
        json_schema_extra=_unit("Hz"),
    )


class Config(_Section):
    """All settings of one run: files in, catalog out."""

    name: str = Field(
        "demo", pattern=r"^[A-Za-z0-9._-]+$", description="Name of the run; results go to OUTPUT/NAME."
    )
    output: str = Field("results", description="Folder of the results.")
    data: DataSettings = DataSettings()
    channels: GeometrySettings = GeometrySettings()
    pick: PickSettings = PickSettings()
    association: AssociationConfig = AssociationConfig()
    report: ReportSettings = ReportSettings()


def load_config(source: str | Path | Mapping[str, Any]) -> Config:
    """Load and validate the settings of a run.

    Parameters
    ----------
    source : str, pathlib.Path or mapping
        A YAML file, or what was read from one.

    Returns
    -------
    Config
        Frozen; what the source leaves out has its default.

    Raises
    ------
    ConfigError
        The file cannot be read, a key is unknown (the nearest right one is named), or a value is
        out of range.
    """
    if isinstance(source, Mapping):
        return Config(**source)
    values = read_yaml(source)
    try:
        return Config(**values)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of settings, not validated yet.

    Parameters
    ----------
    path : str or pathlib.Path
        The file.

    Returns
    -------
    dict
        Its settings.

    Raises
    ------
    ConfigError
        The file cannot be read, or is not a mapping.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of settings, found {type(values).__name__}.")
    return values


def write_config(config: Config, path: str | Path) -> Path:
    """Write settings as YAML, each one, so that a result carries what made it.

    Parameters
    ----------
    config : Config
        The settings.
    path : str or pathlib.Path
        The file; :func:`load_config` reads it.

    Returns
    -------
    pathlib.Path
        The file written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    return path


def config_hash(settings: BaseModel) -> str:
    """Digest of settings: equal settings give equal hashes, whatever their order or defaults.

    Parameters
    ----------
    settings : pydantic.BaseModel
        A whole configuration or one section.

    Returns
    -------
    str
        12 hexadecimal digits.
    """
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def json_schema() -> str:
    """Write the JSON schema of :class:`Config`, for editors and the workflow.

    Returns
    -------
    str
        JSON, two spaces of indent.
    """
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def default_yaml() -> str:
    """Write every setting at its default, each under its description and unit.

    Returns
    -------
    str
        YAML whose first line names the schema, so that editors complete keys.
    """
    head = "# yaml-language-server: $schema=schema.json\n# Every setting at its default. Generated.\n"
    return head + "\n".join(_section_yaml(Config, 0)) + "\n"


def _section_yaml(model: type[BaseModel], depth: int) -> list[str]:
    indent, lines = "  " * depth, []
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            title = (info.annotation.__doc__ or "").strip().splitlines()[0]
            lines += [
                "",
                f"{indent}# {title}",
                f"{indent}{name}:",
                *_section_yaml(info.annotation, depth + 1),
            ]
        else:
            lines += [
                *_comment(info, indent),
                f"{indent}{name}: {_flow(info.get_default(call_default_factory=True))}",
            ]
    return lines


def _comment(info: FieldInfo, indent: str) -> list[str]:
    extra = info.json_schema_extra
    unit = f" [{extra['unit']}]" if isinstance(extra, dict) and "unit" in extra else ""
    return textwrap.wrap(
        f"{info.description}{unit}", 100, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )


def _flow(value: Any) -> str:  # noqa: ANN401 - any YAML scalar or list
    if isinstance(value, tuple):
        value = [item.model_dump() if isinstance(item, BaseModel) else item for item in value]
    return yaml.safe_dump(value, default_flow_style=True).replace("\n...", "").strip()


def _write_generated(folder: Path) -> None:
    (folder / "schema.json").write_text(json_schema())
    (folder / "default.yaml").write_text(default_yaml())


if __name__ == "__main__":
    _write_generated(Path(__file__).parents[1] / "configs")
