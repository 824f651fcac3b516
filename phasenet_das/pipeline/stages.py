"""The stages of a run: which recordings and weights each uses, and what must be there before any job runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from phasenet_das.config import Config, PickSettings
from phasenet_das.errors import ChannelGeometryError, TableError
from phasenet_das.evaluate.measures import START
from phasenet_das.models.names import check_weights_name
from phasenet_das.pipeline.jobs import CATALOG, TRAINING, recordings_of

FINAL = "final"
"""The last stage that the settings allow."""


@dataclass(frozen=True)
class Stage:
    """A picking of all recordings of a set, and the association of its picks.

    Attributes
    ----------
    name : str
        ``round1``, ``round2`` and so on, on whose picks a student can be trained; ``start``, with the weights
        that the first student starts from; ``final``, the last one.
    recordings : str
        The set of recordings.
    picker : str
        Name of the network, for people.
    settings : PickSettings
        How it picks.
    model : pathlib.Path or None
        Folder of the weights of the training before.
    before : str
        The round that trained this network; empty where no round did.
    judged : bool
        Whether its measures decide if there is another round: they are compared with those of `before`.
    """

    name: str
    recordings: str
    picker: str
    settings: PickSettings
    model: Path | None = None
    before: str = ""
    judged: bool = False

    @property
    def needs(self) -> list[str]:
        """The weights that a training makes first."""
        return [] if self.model is None else [str(self.model / "model.safetensors")]

    @property
    def options(self) -> str:
        """Options of ``phasenet-das pick`` that tell this stage from the settings file alone."""
        words = ["--training"] if self.recordings == TRAINING else []
        if self.name == "round1":
            words.append("--teacher")
        elif self.before or self.name == START:
            words.append(f"--weights {shlex.quote(self.settings.weights)}")
        if self.settings.faint_score is not None:
            words.append(f"--faint-score {self.settings.faint_score}")
        return " ".join(words)

    @property
    def smallest_scores(self) -> str:
        """Options of ``phasenet-das associate`` that skip the faint picks of this stage."""
        if self.settings.faint_score is None:
            return ""
        scores = self.settings.thresholds().items()
        return " ".join(f"--min-score-{phase.lower()} {score}" for phase, score in scores)


@dataclass(frozen=True)
class Course:
    """The stages of a run by name, and the one whose events are the catalog."""

    stages: dict[str, Stage]
    catalog: Stage

    @property
    def models(self) -> list[Path]:
        """Folders of the students, in the order of their rounds."""
        return list(dict.fromkeys(stage.model for stage in self.stages.values() if stage.model is not None))

    @property
    def evaluated(self) -> list[Stage]:
        """The stages whose picks can be compared with the truth: those on the catalog's recordings."""
        return [stage for stage in self.stages.values() if stage.recordings == CATALOG]


def course_of(config: Config, is_better: Callable[[Stage], bool]) -> Course:
    """List the stages of a run, whose judged stages are better than the ones before, or are not.

    ``round1`` picks with the teacher, ``round2`` with the student that the first round has trained, and so
    on. After a student that is not better there is no further round, and the student before makes the
    catalog. Where the recordings of the catalog are not those of the rounds, ``final`` picks them with the
    best student. Without training there is ``final`` only, with the weights of ``pick``.
    """
    if not config.rounds:
        final = Stage(FINAL, CATALOG, f"network {config.pick.weights}", config.pick)
        return Course({FINAL: final}, final)
    labelled = TRAINING if config.student.recordings else CATALOG
    teacher = Stage("round1", labelled, "teacher", _with_faint(config, config.teacher))
    stages = [teacher, *_start(config)]
    students = [_student(config, number, labelled) for number in range(1, config.rounds + 1)]
    best = students[0]
    for student in students if config.rounds > 1 or labelled == CATALOG else ():
        stages.append(student)
        if student.judged and not is_better(student):
            break
        best = student
    if labelled == TRAINING:
        settings = _with_weights(config.pick, best.settings.weights)
        best = replace(best, name=FINAL, recordings=CATALOG, settings=settings, judged=False)
        stages.append(best)
    return Course({stage.name: stage for stage in stages}, best)


def _start(config: Config) -> list[Stage]:
    """Make the stage of the weights that the training starts from, where others are comparable."""
    weights = config.student.weights
    if weights is None or config.student.recordings:
        return []
    settings, teacher = _with_weights(config.pick, weights), config.teacher
    if (
        settings.model_copy(update={"rate": settings.rate or teacher.rate}).model_dump()
        == teacher.model_dump()
    ):
        return []  # the teacher is the start
    return [Stage(START, CATALOG, f"start weights ({Path(weights).name})", settings)]


def _student(config: Config, number: int, labelled: str) -> Stage:
    """Make the stage that picks the labelled recordings with the student of a round."""
    last = number == config.rounds and labelled == CATALOG
    model = config.results / f"round{number}" / "training" / "model"
    settings = _with_weights(config.pick, str(model))
    return Stage(
        FINAL if last else f"round{number + 1}",
        labelled,
        "student" if config.rounds == 1 else f"student of round {number}",
        settings if number == config.rounds else _with_faint(config, settings),
        model,
        before=f"round{number}",
        judged=number > 1,
    )


def _with_weights(settings: PickSettings, weights: str) -> PickSettings:
    return settings.model_copy(update={"weights": weights, "weights_sha256": None})


def _with_faint(config: Config, settings: PickSettings) -> PickSettings:
    """List faint picks as well, so that windows of noise are cut where there are none."""
    return settings.model_copy(update={"faint_score": config.student.quiet_score})


def stages_of(config: Config) -> dict[str, Stage]:
    """List all stages that a run can have."""
    return course_of(config, lambda _: True).stages


def finished_course(config: Config, folder: str | Path) -> Course:
    """List the stages that a finished run has, by the verdicts in its results folder."""
    return course_of(config, lambda stage: read_verdict(Path(folder, stage.name, "verdict.json")))


def read_verdict(path: str | Path) -> bool:
    """Read whether a student is better than the one before; without a verdict, it is taken for better."""
    return not Path(path).exists() or bool(json.loads(Path(path).read_text())["verdicts"][-1]["better"])


def has_truth(config: Config) -> bool:
    """Say whether there is something to compare the results with."""
    return config.truth.picks is not None or config.truth.events is not None


def input_files(config: Config) -> list[str]:
    """List all files of the run, to be watched for changes; a stream or an address is not a file."""
    from phasenet_das.io.files import find_recordings

    if config.simulated is not None:
        return [str(config.simulated / "data")]
    found: set[str] = set()
    for recordings in {stage.recordings for stage in stages_of(config).values()}:
        for data in recordings_of(config, recordings).values():
            found.update(find_recordings(data.inputs, data.fallback_inputs))
    return sorted(path for path in found if Path(path).is_file())


def channel_tables(config: Config) -> list[str]:
    """List the channel and station tables that exist or are made by the run."""
    paths = [cable.geometry.path for cable in config.cable_settings().values()] + [config.stations.path]
    simulated = config.simulated
    made = {None if simulated is None else str(simulated / "channels.csv")}
    return sorted({path for path in paths if path is not None and (path in made or Path(path).is_file())})


def check_settings(config: Config) -> None:
    """Refuse settings that name weights or tables which are not there, before any job runs.

    A channel table that is ``optional``, or made by the run, may be missing. Whether weights can be
    downloaded is not asked.
    """
    if config.rounds:
        check_weights_name("teacher: weights", config.teacher.weights)
        if config.student.weights is not None:
            check_weights_name("student: weights", config.student.weights)
    else:
        check_weights_name("pick: weights", config.pick.weights)
    there = channel_tables(config)
    for name, cable in config.cable_settings().items():
        path = cable.geometry.path
        if path is not None and path not in there and not cable.geometry.optional:
            raise ChannelGeometryError(
                f"geometry: path: {path}: no such file, expected the channel table of cable '{name}'. "
                "Correct the path, leave it out, or say optional: true to go on without positions."
            )
    for path in (config.stations.path, *config.stations.picks):
        if path is not None and not Path(path).is_file():
            raise TableError(f"stations: {path}: no such file. Correct stations.path or stations.picks.")
