"""Settings: one source, strict, and written out as schema and default without drift."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from phasenet_das.config import Config, config_hash, default_yaml, json_schema, load_config, write_config
from phasenet_das.errors import ConfigError

CONFIGS = Path(__file__).parents[1] / "configs"


def test_generated_files_are_up_to_date() -> None:
    hint = "run: make generated"
    assert (CONFIGS / "schema.json").read_text() == json_schema(), hint
    assert (CONFIGS / "default.yaml").read_text() == default_yaml(), hint


def test_the_default_file_holds_the_defaults() -> None:
    assert load_config(CONFIGS / "default.yaml") == Config()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_is_valid_and_names_the_schema(path: Path) -> None:
    load_config(path)
    assert path.read_text().startswith("# yaml-language-server: $schema=schema.json")


def _fields(schema: dict) -> list[tuple[str, dict]]:
    models = [schema, *schema["$defs"].values()]
    return [(name, field) for model in models for name, field in model.get("properties", {}).items()]


def test_every_setting_has_a_description_and_dimensions_their_unit() -> None:
    for name, field in _fields(json.loads(json_schema())):
        if "$ref" not in field:
            assert field.get("description"), name
        for ending, unit in (("_s", "s"), ("_m", "m"), ("_hz", "Hz"), ("_km", "km"), ("_km_s", "km/s")):
            if name.endswith(ending) and "picks" not in name and field.get("unit"):
                longest = max((e for e in ("_s", "_m", "_hz", "_km", "_km_s") if name.endswith(e)), key=len)
                if longest == ending:
                    assert field["unit"] == unit, name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pick": {"min_scor": 0.5}}, "pick: unknown setting 'min_scor'. Did you mean 'min_score'"),
        ({"pik": {}}, "unknown setting 'pik'. Did you mean 'pick'"),
        ({"association": {"vp_kms": 6}}, "Did you mean 'vp_km_s'"),
        ({"pick": {"min_score": 2}}, "pick: min_score: .*less than 1.*found 2"),
        ({"name": "a/b"}, "name"),
        ({"data": {"channels": [1]}}, "channels"),
    ],
)
def test_wrong_settings_are_refused_with_the_mend(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(values)


def test_the_file_is_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("pick: {rat: 1}\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        load_config(path)
    path.write_text("- a\n")
    with pytest.raises(ConfigError, match="expected a mapping"):
        load_config(path)
    path.write_text("a: [\n")
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_config(tmp_path / "none.yaml")


def test_settings_survive_a_round_trip_and_hash_by_content(tmp_path: Path) -> None:
    config = load_config(CONFIGS / "brady.yaml")
    back = load_config(write_config(config, tmp_path / "out.yaml"))
    assert back == config
    assert config_hash(back) == config_hash(config)
    assert config_hash(load_config({"name": "other"})) != config_hash(Config())
    values = yaml.safe_load((tmp_path / "out.yaml").read_text())
    assert config_hash(load_config(dict(reversed(values.items())))) == config_hash(config)
