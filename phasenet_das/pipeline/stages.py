"""The order of a run: its stages, which recordings and weights each uses, and where its files lie."""

from __future__ import annotations

import json
from pathlib import Path

from phasenet_das.config import Config, DataSettings, PickSettings
from phasenet_das.errors import ChannelGeometryError, TableError
from phasenet_das.models.names import check_weights_name
from phasenet_das.pipeline.jobs import CATALOG, TRAINING, BlockIndex, neighbours, recordings_of
from phasenet_das.pipeline.student import student_settings

FINAL = "final"
"""The stage whose events are the catalog."""


class Plan:
    """What a run is made of.

    Each stage picks and associates: ``round1`` with the teacher, ``round2`` with the student that the first
    round has trained, and so on; ``final`` with the last one. Without training there is ``final`` only, with
    the weights of ``pick``.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.rounds = [f"round{number + 1}" for number in range(config.rounds)]
        self.stages = [*self.rounds, FINAL]

    def results(self, *parts: str) -> str:
        """Give the path of a result, relative to where the run was started."""
        return str(self.config.results.joinpath(*parts))

    def kind(self, stage: str) -> str:
        """Say on which recordings a stage works: those of the catalog, or those to train on."""
        return CATALOG if stage == FINAL else TRAINING

    def data(self, stage: str, cable: str) -> DataSettings:
        """Give the settings of a cable's recordings."""
        return recordings_of(self.config, self.kind(stage))[cable]

    def model(self, stage: str) -> list[str]:
        """Name the trained weights that a stage needs; none for those of the settings."""
        before = self.stages.index(stage) - 1
        return (
            []
            if before < 0
            else [self.results(self.stages[before], "training", "model", "model.safetensors")]
        )

    def pick_settings(self, stage: str) -> PickSettings:
        """Say how a stage picks."""
        weights = self.model(stage)
        if not weights:
            return self.config.teacher if self.rounds else self.config.pick
        return student_settings(self.config.pick, Path(weights[0]).parent)

    def picker_name(self, stage: str) -> str:
        """Name the network of a stage, for people."""
        number = self.stages.index(stage)
        if not self.rounds:
            return f"network {self.config.pick.weights}"
        if number == 0:
            return "teacher"
        return "student" if len(self.rounds) == 1 else f"student of round {number}"

    def judged_stages(self) -> list[str]:
        """List the stages whose picks can be held against the truth: those on the catalog's recordings."""
        return [FINAL] if self.config.student.recordings else self.stages

    def recordings(self) -> list[str]:
        """Find all files that go in, to be watched for changes; what is not a file is left out."""
        from phasenet_das.io.files import find_recordings

        if self.config.simulated is not None:
            return [str(self.config.simulated / "data")]
        found: set[str] = set()
        for kind in (CATALOG, TRAINING) if self.rounds else (CATALOG,):
            for data in recordings_of(self.config, kind).values():
                found.update(find_recordings(data.inputs, data.fallback_inputs))
        return sorted(path for path in found if Path(path).is_file())

    def check(self) -> None:
        """Refuse settings that name weights or tables which are not there, before any job runs.

        A table of channels that is ``optional``, or made by the run, may be missing; whether weights can
        be downloaded is not asked.
        """
        if not self.rounds:
            check_weights_name("pick: weights", self.config.pick.weights)
        else:
            check_weights_name("teacher: weights", self.config.teacher.weights)
            if self.config.student.weights is not None:
                check_weights_name("student: weights", self.config.student.weights)
        there = self.channel_tables()
        for name, cable in self.config.cable_settings().items():
            path = cable.geometry.path
            if path is not None and path not in there and not cable.geometry.optional:
                raise ChannelGeometryError(
                    f"geometry: path: {path}: no such file, expected the channel table of cable '{name}'. "
                    "Correct the path, leave it out, or say optional: true to go on without positions."
                )
        stations = self.config.stations
        for path in (stations.path, *stations.picks):
            if path is not None and not Path(path).is_file():
                raise TableError(f"stations: {path}: no such file. Correct stations.path or stations.picks.")

    def channel_tables(self) -> list[str]:
        """List the channel and station tables that exist or are made by the run."""
        cables = self.config.cable_settings().values()
        paths = [cable.geometry.path for cable in cables] + [self.config.stations.path]
        simulated = self.config.simulated
        made = {None if simulated is None else str(simulated / "channels.csv")}
        return sorted({path for path in paths if path is not None and (path in made or Path(path).is_file())})

    def has_truth(self) -> bool:
        """Say whether there is something to hold the results against."""
        truth = self.config.truth
        return truth.picks is not None or truth.events is not None

    def block_pairs(self, index: BlockIndex, stage: str) -> list[tuple[str, str]]:
        """List cable and block of all picks of a stage."""
        return index.pairs(self.kind(stage))

    def near_pairs(self, index: BlockIndex, stage: str, block: str) -> list[tuple[str, str]]:
        """List cable and block of the picks that a block's association needs."""
        near = set(neighbours(index.names(self.kind(stage)), block, self.config.jobs))
        return [(cable, name) for cable, name in self.block_pairs(index, stage) if name in near]

    def summary(self) -> str:
        """Say where the report is and what was reached, for the end of a run."""
        from phasenet_das.pipeline.summary import three_lines

        lines = []
        scores = Path(self.results("evaluation.json"))
        if self.has_truth() and scores.exists():
            lines += three_lines(json.loads(scores.read_text()))
        if Path(self.results("report.html")).exists():
            lines.append(f"The report: {self.results('report.html')}")
        return "\n".join(lines)
