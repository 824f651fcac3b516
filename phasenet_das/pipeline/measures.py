"""The stages of a results folder, with their tables and recordings, for the measures that need no truth."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from phasenet_das.config import Config
from phasenet_das.errors import ConfigError, PhaseNetDASError
from phasenet_das.evaluate.measures import MeasuredStage
from phasenet_das.io.recording import Recording
from phasenet_das.pipeline.jobs import header_folder, open_cable, recordings_of
from phasenet_das.pipeline.stages import finished_course, stages_of
from phasenet_das.tables import read_events, read_picks

log = logging.getLogger(__name__)


def measured_stages(config: Config, folder: str | Path, name: str | None = None) -> Iterator[MeasuredStage]:
    """Read the stages of a results folder one by one: the one of a name, or all that the run has made."""
    folder, every = Path(folder), stages_of(config)
    if name is not None and name not in every:
        raise ConfigError(f"{folder / name}: no stage of this run, expected one of {', '.join(every)}.")
    course = finished_course(config, folder)
    for stage in course.stages.values() if name is None else [every[name]]:
        before = every.get(stage.before)
        yield MeasuredStage(
            stage.name,
            stage.picker,
            read_picks(folder / stage.name / "picks.parquet"),
            read_events(folder / stage.name / "events.parquet"),
            _recordings(config, folder, stage.recordings),
            before.name if before is not None and before.recordings == stage.recordings else "",
            makes_catalog=name is None and stage == course.catalog,
        )


def _recordings(config: Config, folder: Path, recordings: str) -> list[Recording]:
    """Open the recordings of all cables; those that are gone are skipped."""
    found: list[Recording] = []
    for cable, data in recordings_of(config, recordings).items():
        try:
            found += open_cable(data, header_folder(folder / "index", recordings, cable)).recordings
        except PhaseNetDASError as error:
            log.warning("%s: no differential times: %s", cable, error)
    return found
