"""All settings of one run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from gamma.config import AssociationConfig
from gamma.errors import nearest_name
from phasenet_das.config.cables import CableSettings
from phasenet_das.config.continuous import ContinuousSettings
from phasenet_das.config.data import DataSettings
from phasenet_das.config.evaluation import EvaluationSettings
from phasenet_das.config.geometry import GeometrySettings
from phasenet_das.config.jobs import JobSettings
from phasenet_das.config.pick import PickSettings, TeacherSettings
from phasenet_das.config.report import ReportSettings
from phasenet_das.config.section import NAME, PATH, ConfigSection
from phasenet_das.config.simulate import SimulateSettings
from phasenet_das.config.stations import StationSettings
from phasenet_das.config.student import StudentSettings
from phasenet_das.config.watch import WatchSettings


class Config(ConfigSection):
    """All settings of one run, from recordings to catalog."""

    renamed: ClassVar[Mapping[str, str]] = {
        "channels": "'geometry'",
        "scatter": "'jobs', where block_s is length_s and overlap_s is no longer needed",
        "self_training": "'rounds' (0 for no training), 'teacher' (how round 1 is picked) and 'student' (how "
        "it is trained, on student.recordings). 'pick' sets how the student picks",
        "train": "'student'",
    }

    name: str = Field("demo", pattern=NAME, description="Name of the run. The results are in OUTPUT/NAME.")
    output: str = Field(
        "results",
        description="Folder of the results. If you state a relative path, it counts from the settings file, "
        "as all paths do. By default, it is the folder `results` of the current folder.",
        json_schema_extra=PATH,
    )
    data: DataSettings = DataSettings()
    geometry: GeometrySettings = GeometrySettings()
    cables: dict[str, CableSettings] = Field(
        default_factory=dict,
        description="Several cables, by name. Each has its own sections `data` and `geometry`, which replace "
        "those at the top.",
    )
    stations: StationSettings = StationSettings()
    simulate: SimulateSettings = SimulateSettings()
    pick: PickSettings = PickSettings()
    continuous: ContinuousSettings = ContinuousSettings()
    association: AssociationConfig = AssociationConfig()
    jobs: JobSettings = JobSettings()
    rounds: int = Field(
        0,
        ge=0,
        description="Largest number of trainings. With 0, the weights of `pick` make the catalog. With 1, a "
        "student is trained on picks of `teacher` that association kept, and replaces the weights of `pick`. "
        "Each further round trains the previous student on its own picks. The rounds end when a student is "
        "not better than the previous one. The best student makes the catalog.",
    )
    teacher: TeacherSettings = TeacherSettings()
    student: StudentSettings = StudentSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    report: ReportSettings = ReportSettings()
    watch: WatchSettings = WatchSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.cables:
            beside = {"data: inputs": self.data.inputs, "geometry: path": self.geometry.path}
            for where in (name for name, value in beside.items() if value):
                raise ValueError(f"{where}: found beside `cables`, expected one of the two")
            if self.simulate.scenario is not None:
                raise ValueError("cables: found beside `simulate`, which makes a single cable")
        for name in self.cables:
            if not re.fullmatch(NAME, name):
                raise ValueError(f"cables: found '{name}', expected letters, digits, dot, dash, underscore")
        unknown = [name for name in self.student.recordings if name not in self.cable_settings()]
        if unknown:
            hint = nearest_name(unknown[0], self.cable_settings())
            raise ValueError(f"student: recordings: no cable '{unknown[0]}'.{hint}")
        return self

    def cable_settings(self) -> dict[str, CableSettings]:
        """Return the cables by name; the one cable of `data` and `geometry` when there are no `cables`."""
        if self.cables:
            return {name: _named(cable, name) for name, cable in self.cables.items()}
        data, geometry, simulated = self.data, self.geometry, self.simulated
        if simulated is not None:
            data = data.model_copy(update={"inputs": (str(simulated / "data"),)})
            if geometry.path is None:
                geometry = geometry.model_copy(update={"path": str(simulated / "channels.csv")})
        return {self.data.station_id or "cable": CableSettings(data=data, geometry=geometry)}

    @property
    def results(self) -> Path:
        """Folder of this run."""
        return Path(self.output, self.name)

    @property
    def simulated(self) -> Path | None:
        """Folder of the simulation; None when nothing is simulated."""
        return None if self.simulate.scenario is None else self.results / "simulated"

    @property
    def truth(self) -> EvaluationSettings:
        """The settings of the evaluation, with the tables of the simulation filled in."""
        stated, simulated = self.evaluation, self.simulated
        if simulated is None:
            return stated
        own = {"picks": "truth_picks.parquet", "events": "truth_events.csv"}
        missing = {name: str(simulated / file) for name, file in own.items() if getattr(stated, name) is None}
        return stated.model_copy(update=missing)


def _named(cable: CableSettings, name: str) -> CableSettings:
    if cable.data.station_id is not None:
        return cable
    return cable.model_copy(update={"data": cable.data.model_copy(update={"station_id": name})})
