"""Settings: one source, strict, and written out as schema and default without drift."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from phasenet_das.config import Config, load_config, write_config
from phasenet_das.config.files import config_hash
from phasenet_das.config.generate import default_yaml, json_schema
from phasenet_das.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"


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
        ({"data": {"channel_range": [1]}}, "channel_range"),
        ({"channels": {"path": "c.csv"}}, "'channels': it is now 'geometry'"),
        ({"scatter": {"block_s": 60}}, "'scatter': it is now 'jobs'.*length_s.*overlap_s"),
        ({"self_training": {"train": True}}, "'self_training': it is now 'rounds'.*'teacher'.*'student'"),
        ({"train": {}, "pik": {}}, "'train': it is now 'student'.*'pik'. Did you mean 'pick'"),
        ({"data": {"alternatives": ["a"]}}, "'alternatives': it is now 'fallback_inputs'"),
        ({"data": {"channels": [0, 1]}}, "'channels': it is now 'channel_range'"),
        ({"cables": {"A": {"channels": {}}}}, "'channels': it is now 'geometry'"),
        ({"pick": {"stack_channels": 4}}, "'stack_channels': it is now 'average_channels'"),
        ({"student": {"augment": {"stack": 0.1, "average": 2}}}, "now 'add_event'.*now 'average_channels'"),
        ({"student": {"rounds": 2}}, "'rounds' at the top"),
        ({"continuous": {"shard_s": 6}}, "'shard_s': it is now 'chunk_s'"),
        ({"jobs": {"block_s": 60}}, "'block_s': it is now 'length_s'"),
        ({"jobs": {"overlap_s": 60}}, "'overlap_s': it is no longer needed"),
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


def test_relative_paths_count_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site" / "model").mkdir(parents=True)
    (tmp_path / "site" / "phasenet").mkdir()
    (tmp_path / "site" / "a.yaml").write_text(
        """
data: {inputs: [raw, /data/other, "../more/*.h5"], fallback_inputs: ["daspy:example"]}
geometry: {path: channels.csv}
stations: {path: stations.csv, picks: [picks.csv]}
simulate: {settings: {cable: {channels_file: made.csv}}}
pick: {weights: model}
teacher: {weights: phasenet}
student: {weights: ../old/model, data: {windows: [windows], noise: noise}}
evaluation: {events: catalog.csv}
report: {magnitude_scale: scale.json}
"""
    )
    monkeypatch.chdir(tmp_path)
    config = load_config("site/a.yaml")
    assert config.data.inputs == ("site/raw", "/data/other", "more/*.h5")
    assert config.data.fallback_inputs == ("daspy:example",)
    assert (config.geometry.path, config.stations.path) == ("site/channels.csv", "site/stations.csv")
    assert config.stations.picks == ("site/picks.csv",)
    assert config.simulate.settings["cable"]["channels_file"] == "site/made.csv"
    assert config.pick.weights == "site/model"  # a folder beside the file
    assert config.teacher.weights == "phasenet"  # a bundled model, although a folder has its name
    assert config.student.weights == "old/model"
    assert config.student.data.windows == ("site/windows",)
    assert (config.evaluation.events, config.report.magnitude_scale) == (
        "site/catalog.csv",
        "site/scale.json",
    )
    assert load_config(write_config(config, "results/x/config.yaml")) == config
    monkeypatch.chdir(tmp_path / "site")
    assert load_config("a.yaml").pick.weights == "./model"


def test_results_go_to_the_current_folder_unless_the_file_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.yaml").write_text("name: a\n")
    (tmp_path / "site" / "b.yaml").write_text("name: b\noutput: results\n")
    assert load_config("site/a.yaml").results == Path("results/a")
    assert load_config("site/b.yaml").results == Path("site/results/b")
    monkeypatch.chdir(CONFIGS.parent)
    assert load_config("configs/demo.yaml").results == Path("results/demo")


def test_settings_survive_a_round_trip_and_hash_by_content(tmp_path: Path) -> None:
    config = load_config(CONFIGS / "brady.yaml")
    back = load_config(write_config(config, tmp_path / "out.yaml"))
    assert back == config
    assert config_hash(back) == config_hash(config)
    assert config_hash(load_config({"name": "other"})) != config_hash(Config())
    values = yaml.safe_load((tmp_path / "out.yaml").read_text())
    shuffled = load_config(dict(reversed(values.items())), folder=tmp_path)
    assert config_hash(shuffled) == config_hash(config)


def test_files_that_are_no_settings_are_errors_that_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("1: one")
    with pytest.raises(ConfigError, match=r"settings\.yaml.*unknown setting '1'"):
        load_config(path)
    path.write_bytes(b"\x89HDF\xff\xfe")
    with pytest.raises(ConfigError, match=r"settings\.yaml.*YAML"):
        load_config(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("start_time: 2024-05-01T12:00:00", "in quotes, as '2024-05-01T12:00:00'"),
        ("channel_range: [5, 2]", "expected .first, last . 1."),
        ("channel_range: [5, 5]", "expected .first, last . 1."),
    ],
)
def test_data_that_cannot_be_meant_are_errors_with_the_remedy(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"data:\n  {line}\n")
    with pytest.raises(ConfigError, match=message):
        load_config(path)
