"""The catalog of a run, from the events of its last stage."""

from __future__ import annotations

import shutil
from pathlib import Path

from phasenet_das.catalog import write_catalog
from phasenet_das.catalog.magnitude import add_magnitudes
from phasenet_das.config import ReportSettings
from phasenet_das.tables import atomic_path, read_channels, read_events, read_metadata, read_picks

_AS_THEY_ARE = ("events.parquet", "picks.parquet", "association.json", "coverage.csv")


def publish_catalog(
    stage: str | Path, folder: str | Path, receivers: str | Path, settings: ReportSettings
) -> None:
    """Write catalog and tables of the last stage into the folder of the run."""
    stage, folder = Path(stage), Path(folder)
    for name in _AS_THEY_ARE:
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(stage / name, temporary)
    if settings.magnitude_scale is not None:
        add_magnitudes(folder, settings.magnitude_scale, folder, read_channels(receivers), settings=settings)
        return
    write_catalog(
        read_events(folder / "events.parquet"),
        read_picks(folder / "picks.parquet"),
        folder,
        read_channels(receivers),
        settings,
        read_metadata(folder / "events.parquet"),
    )
