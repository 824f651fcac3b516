"""The stages of a run: which recordings and weights each uses, and what must be there before any job runs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from phasenet_das.config import Config, PickSettings
from phasenet_das.errors import ChannelGeometryError, TableError
from phasenet_das.models.names import check_weights_name
from phasenet_das.pipeline.jobs import CATALOG, TRAINING, recordings_of

FINAL = "final"
"""The stage whose events are the catalog."""


@dataclass(frozen=True)
class Stage:
    """A picking of all recordings of a set, and the association of its picks.

    Attributes
    ----------
    name : str
        ``round1``, ``round2`` and so on, which end with a training; ``final``, which makes the catalog.
    recordings : str
        The set of recordings.
    picker : str
        Name of the network, for people.
    settings : PickSettings
        How it picks.
    model : pathlib.Path or None
        Folder of the weights of the training before.
    """

    name: str
    recordings: str
    picker: str
    settings: PickSettings
    model: Path | None = None

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
        if self.model is not None:
            words.append(f"--weights {shlex.quote(str(self.model))}")
        return " ".join(words)


def stages_of(config: Config) -> dict[str, Stage]:
    """List the stages by name.

    Each stage picks and associates: ``round1`` with the teacher, ``round2`` with the student that the first
    round has trained, and so on; ``final`` with the last one. Without training there is ``final`` only, with
    the weights of ``pick``.
    """
    if not config.rounds:
        return {FINAL: Stage(FINAL, CATALOG, f"network {config.pick.weights}", config.pick)}
    labelled = TRAINING if config.student.recordings else CATALOG
    stages = {"round1": Stage("round1", labelled, "teacher", config.teacher)}
    for number in range(1, config.rounds + 1):
        name = FINAL if number == config.rounds else f"round{number + 1}"
        model = config.results / f"round{number}" / "training" / "model"
        stages[name] = Stage(
            name,
            CATALOG if name == FINAL else labelled,
            "student" if config.rounds == 1 else f"student of round {number}",
            config.pick.model_copy(update={"weights": str(model), "weights_sha256": None}),
            model,
        )
    return stages


def evaluated_stages(config: Config) -> list[Stage]:
    """List the stages whose picks can be compared with the truth: those on the catalog's recordings."""
    return [stage for stage in stages_of(config).values() if stage.recordings == CATALOG]


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
