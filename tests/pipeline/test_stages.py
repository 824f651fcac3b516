"""Stages, and what each works with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from phasenet_das.config import Config, load_config, write_config
from phasenet_das.errors import ChannelGeometryError, ConfigError, TableError, WeightsError
from phasenet_das.pipeline.jobs import recordings_of
from phasenet_das.pipeline.stages import (
    channel_tables,
    check_settings,
    course_of,
    finished_course,
    has_truth,
    input_files,
    stages_of,
)


def test_without_training_the_given_weights_make_the_catalog() -> None:
    config = Config(pick={"weights": "phasenet-das"})
    (stage,) = stages_of(config).values()
    assert (stage.name, stage.recordings, stage.needs, stage.options) == ("final", "catalog", [], "")
    assert stage.settings.weights == "phasenet-das"
    assert not has_truth(config)


def test_each_round_labels_with_the_student_before() -> None:
    config = Config(name="a", rounds=2, pick={"min_score": 0.4, "weights_sha256": "ab"})
    stages = stages_of(config)
    assert list(stages) == ["round1", "round2", "final"]
    assert [stage.settings.weights for stage in stages.values()] == [
        "phasenet",
        "results/a/round1/training/model",
        "results/a/round2/training/model",
    ]
    assert stages["final"].needs == ["results/a/round2/training/model/model.safetensors"]
    assert stages["final"].settings.weights_sha256 is None
    assert [stage.settings.min_score for stage in stages.values()] == [0.3, 0.4, 0.4]
    assert [stage.options for stage in stages.values()] == [
        "--teacher --faint-score 0.1",
        "--weights results/a/round1/training/model --faint-score 0.1",
        "--weights results/a/round2/training/model",
    ]
    assert [stage.picker for stage in stages.values()] == [
        "teacher",
        "student of round 1",
        "student of round 2",
    ]


@pytest.mark.parametrize(
    ("worse", "made", "catalog"),
    [
        (None, ["round1", "round2", "round3", "final"], "final"),
        ("final", ["round1", "round2", "round3", "final"], "round3"),
        ("round3", ["round1", "round2", "round3"], "round2"),
    ],
)
def test_rounds_end_with_a_student_that_is_not_better(
    worse: str | None, made: list[str], catalog: str
) -> None:
    course = course_of(Config(name="a", rounds=3), lambda stage: stage.name != worse)
    assert list(course.stages) == made
    assert course.catalog.name == catalog
    assert [str(model) for model in course.models] == [
        f"results/a/round{k + 1}/training/model" for k in range(len(made) - 1)
    ]


@pytest.mark.parametrize("worse", [None, "round3", "round4"])
def test_recordings_of_their_own_are_judged_and_the_best_student_picks_the_catalog(worse: str | None) -> None:
    data = {"C": {"inputs": ["events"]}}
    config = Config(name="a", rounds=3, data={"station_id": "C"}, student={"recordings": data})
    course = course_of(config, lambda stage: stage.name != worse)
    best = {None: 3, "round3": 1, "round4": 2}[worse]
    assert course.catalog.name == "final"
    assert course.catalog.needs == [f"results/a/round{best}/training/model/model.safetensors"]
    assert course.catalog.options == f"--weights results/a/round{best}/training/model"
    assert course.evaluated == [course.catalog]
    assert course.catalog.settings.faint_score is None
    (*rounds, _) = course.stages.values()
    assert {stage.recordings for stage in rounds} == {"training"}
    assert len(rounds) == (3 if worse == "round3" else 4)


def test_weights_that_training_starts_from_pick_beside_teacher_and_student() -> None:
    config = Config(rounds=1, student={"weights": "phasenet-das"}, pick={"min_score": 0.4})
    stages = stages_of(config)
    assert list(stages) == ["round1", "start", "final"]
    start = stages["start"]
    assert (start.options, start.needs) == ("--weights phasenet-das", [])
    assert (start.settings.weights, start.settings.min_score) == ("phasenet-das", 0.4)
    assert start.picker == "start weights (phasenet-das)"


def test_a_teacher_that_is_the_start_does_not_pick_twice() -> None:
    same = {"weights": "phasenet-das"}
    assert list(stages_of(Config(rounds=1, student=same, teacher=same))) == ["round1", "final"]
    other_rate = {"weights": "phasenet-das", "rate": 50.0}
    assert "start" not in stages_of(Config(rounds=1, student=same, teacher=other_rate, pick=other_rate))
    assert "start" in stages_of(Config(rounds=1, student=same, teacher=other_rate, pick={"rate": "model"}))


def test_a_finished_run_has_the_stages_that_its_verdicts_tell(tmp_path: Path) -> None:
    config = Config(name="a", rounds=3)
    for stage, better in (("round3", False), ("final", True)):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "verdict.json").write_text(json.dumps({"verdicts": [{"better": better}]}))
    course = finished_course(config, tmp_path)
    assert (list(course.stages)[-1], course.catalog.name) == ("round3", "round2")


def test_only_stages_that_train_list_faint_picks_and_association_skips_them() -> None:
    config = Config(rounds=2, student={"quiet_score": 0.15}, pick={"min_score": 0.4, "min_score_s": 0.45})
    stages = stages_of(config)
    assert [stage.settings.faint_score for stage in stages.values()] == [0.15, 0.15, None]
    assert [stage.smallest_scores for stage in stages.values()] == [
        "--min-score-p 0.3 --min-score-s 0.3",
        "--min-score-p 0.4 --min-score-s 0.45",
        "",
    ]


def test_a_simulation_gives_recordings_channels_and_truth() -> None:
    config = Config(name="a", simulate={"scenario": "demo"}, data={"station_id": "SIM"})
    assert input_files(config) == ["results/a/simulated/data"]
    assert channel_tables(config) == ["results/a/simulated/channels.csv"]
    assert config.truth.events == "results/a/simulated/truth_events.csv"
    assert recordings_of(config, "catalog")["SIM"].inputs == ("results/a/simulated/data",)


def test_only_picks_of_the_same_recordings_are_compared() -> None:
    data = {"station_id": "C", "inputs": ["raw"]}
    config = Config(data=data, rounds=1, student={"recordings": {"C": {"inputs": ["events"]}}})
    stages = stages_of(config)
    assert stages["round1"].options == "--training --teacher --faint-score 0.1"
    assert list(stages) == ["round1", "final"]
    assert course_of(config, lambda _: True).evaluated == [stages["final"]]


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
    check_settings(Config(pick={"weights": weights}))
    check_settings(Config(rounds=1, teacher={"weights": weights}, student={"weights": weights}))


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
    config = Config(**sections)
    with pytest.raises(WeightsError, match=message):
        check_settings(config)


def test_tables_that_are_not_there_are_refused(tmp_path: Path) -> None:
    missing = str(tmp_path / "no.csv")
    with pytest.raises(ChannelGeometryError, match=r"no\.csv: no such file, expected .* cable 'A'"):
        check_settings(Config(cables={"A": {"geometry": {"path": missing}}}))
    with pytest.raises(TableError, match=r"stations: .*no\.csv"):
        check_settings(Config(stations={"path": missing, "picks": [missing]}))
    check_settings(Config(geometry={"path": missing, "optional": True}))
    check_settings(Config(name="a", simulate={"scenario": "demo"}))  # the run makes its table
