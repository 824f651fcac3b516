"""Stages, and what each works with."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasenet_das.config import Config, load_config, write_config
from phasenet_das.errors import ChannelGeometryError, ConfigError, TableError, WeightsError
from phasenet_das.pipeline.stages import Plan


def test_without_training_the_given_weights_make_the_catalog() -> None:
    plan = Plan(Config(pick={"weights": "phasenet-das"}))
    assert plan.stages == ["final"]
    assert plan.model("final") == []
    assert plan.pick_settings("final").weights == "phasenet-das"
    assert not plan.has_truth()


def test_each_round_labels_with_the_student_before() -> None:
    plan = Plan(Config(name="a", rounds=2, pick={"min_score": 0.4}))
    assert plan.stages == ["round1", "round2", "final"]
    weights = [plan.pick_settings(stage).weights for stage in plan.stages]
    assert weights == [
        "phasenet",
        "results/a/round1/training/model",
        "results/a/round2/training/model",
    ]
    assert [plan.pick_settings(stage).min_score for stage in plan.stages] == [0.3, 0.4, 0.4]
    assert [plan.kind(stage) for stage in plan.stages] == ["training", "training", "catalog"]
    assert [plan.picker_name(stage) for stage in plan.stages] == [
        "teacher",
        "student of round 1",
        "student of round 2",
    ]


def test_a_simulation_gives_recordings_channels_and_truth() -> None:
    plan = Plan(Config(name="a", simulate={"scenario": "demo"}, data={"station_id": "SIM"}))
    assert plan.recordings() == ["results/a/simulated/data"]
    assert plan.channel_tables() == ["results/a/simulated/channels.csv"]
    assert plan.config.truth.events == "results/a/simulated/truth_events.csv"
    assert plan.data("final", "SIM").inputs == ("results/a/simulated/data",)


def test_only_picks_of_the_same_recordings_are_compared() -> None:
    data = {"station_id": "C", "inputs": ["raw"]}
    training = {"recordings": {"C": {"inputs": ["events"]}}}
    assert Plan(Config(data=data, rounds=1, student=training)).judged_stages() == ["final"]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"round": 2}, "unknown setting 'round'. Did you mean 'rounds'"),
        ({"studnt": {}}, "Did you mean 'student'"),
        ({"cables": {"A": {}}, "data": {"inputs": ["raw"]}}, "beside `cables`"),
        ({"cables": {"A B": {}}}, "found 'A B'"),
        ({"cables": {"NORTH": {}}, "student": {"recordings": {"NORT": {}}}}, "Did you mean 'NORTH'"),
        ({"stations": {"path": "stations.csv"}}, "go together"),
        ({"jobs": {"length_s": 60.5}}, "whole seconds"),
        ({"cables": {"A": {}}, "geometry": {"path": "c.csv"}}, "geometry: path: found beside `cables`"),
    ],
)
def test_settings_that_contradict_are_refused(sections: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(**sections)


def test_effective_settings_read_back_as_they_were(tmp_path: Path) -> None:
    config = Config(cables={"A": {"data": {"inputs": ["raw"]}}}, rounds=1, student={"recordings": {"A": {}}})
    assert load_config(write_config(config, tmp_path / "config.yaml")) == config


@pytest.mark.parametrize("weights", ["phasenet", "phasenet-das", "seisbench:any.v2", "folder", "file.pt"])
def test_weights_that_may_be_had_are_let_through(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").touch()
    (tmp_path / "file.pt").touch()
    Plan(Config(pick={"weights": weights})).check()
    Plan(Config(rounds=1, teacher={"weights": weights}, student={"weights": weights})).check()


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"pick": {"weights": "phasnet"}}, "pick: weights: found 'phasnet', expected.* mean 'phasenet'"),
        ({"pick": {"weights": "seisbnch:original"}}, "mean 'seisbench:original'"),
        ({"pick": {"weights": "seisbench:"}}, "found 'seisbench:'"),
        ({"pick": {"weights": "../weights"}}, r"found '\.\./weights', expected"),
        ({"pick": {"weights": "."}}, r"expected .*a model folder \(with config.json\)"),
        (
            {"student": {"weights": "phasenet_das"}, "rounds": 1},
            "student: weights: found 'phasenet_das', expected.* mean 'phasenet-das'",
        ),
    ],
)
def test_weights_that_nothing_answers_to_are_refused(sections: dict, message: str) -> None:
    plan = Plan(Config(**sections))
    with pytest.raises(WeightsError, match=message):
        plan.check()


def test_tables_that_are_not_there_are_refused(tmp_path: Path) -> None:
    missing = str(tmp_path / "no.csv")
    with pytest.raises(ChannelGeometryError, match=r"no\.csv: no such file, expected .* cable 'A'"):
        Plan(Config(cables={"A": {"geometry": {"path": missing}}})).check()
    with pytest.raises(TableError, match=r"stations: .*no\.csv"):
        Plan(Config(stations={"path": missing, "picks": [missing]})).check()
    Plan(Config(geometry={"path": missing, "optional": True})).check()
    Plan(Config(name="a", simulate={"scenario": "demo"})).check()  # the run makes its table
