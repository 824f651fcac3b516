"""The jobs of a run: ranges of time of one cable that hold recordings."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from phasenet_das.config import Config, DataSettings, GeometrySettings
from phasenet_das.errors import ChannelGeometryError
from phasenet_das.io.archive import Archive, open_archive
from phasenet_das.io.files import find_recordings
from phasenet_das.io.recording import Recording
from phasenet_das.tables import CHANNEL_COLUMNS, atomic_path, conform, write_table
from phasenet_das.tables.channels import load_channels, read_stations

log = logging.getLogger(__name__)

CATALOG, TRAINING = "catalog", "training"
"""Sets of recordings: those of the catalog, and those on which a student is trained."""

_NEAR_S = 300.0
"""A job is repeated when a file changes that lies this near to its range: context reaches across its ends."""


@dataclass(frozen=True)
class Job:
    """A range of time of one cable.

    Attributes
    ----------
    recordings : str
        The set of recordings.
    cable : str
        Name of the cable in the settings.
    name : str
        Start of the range, such as ``20240301T000000``.
    start, end : str
        Range of time, UTC, half open.
    files : tuple of str
        The files in the range and near it.
    """

    recordings: str
    cable: str
    name: str
    start: str
    end: str
    files: tuple[str, ...]


def recordings_of(config: Config, recordings: str) -> dict[str, DataSettings]:
    """Return the settings of a set of recordings, by cable."""
    cables = config.cable_settings()
    own = config.student.recordings
    if recordings == CATALOG or not own:
        return {name: cable.data for name, cable in cables.items()}
    return {
        name: data.model_copy(update={"station_id": data.station_id or cables[name].data.station_id})
        for name, data in own.items()
    }


def list_jobs(config: Config, folder: str | Path) -> list[Job]:
    """Read the headers of all recordings and list the ranges of time that hold some.

    Writes ``jobs.json``, ``receivers.parquet`` (the channels that were recorded, and the seismometers) and
    ``coverage.csv`` (unusable files, with the reason).
    """
    folder = Path(folder)
    sets = [CATALOG, TRAINING] if config.rounds and config.student.recordings else [CATALOG]
    jobs: list[Job] = []
    archives: dict[str, list[Archive]] = {}
    for recordings in sets:
        for cable, data in recordings_of(config, recordings).items():
            archive = open_cable(data, header_folder(folder, recordings, cable))
            log.info("%s", archive.summary())
            archives.setdefault(cable, []).append(archive)
            jobs += _ranges(recordings, cable, archive.recordings, round(config.jobs.length_s))
    write_table(_coverage(archives), folder / "coverage.csv")
    write_table(_receivers(config, archives), folder / "receivers.parquet")
    with atomic_path(folder / "jobs.json") as temporary:
        temporary.write_text(json.dumps([asdict(job) for job in jobs], indent=1) + "\n")
    return jobs


def read_jobs(path: str | Path) -> list[Job]:
    """Read the jobs that :func:`list_jobs` wrote."""
    return [Job(**{**job, "files": tuple(job["files"])}) for job in json.loads(Path(path).read_text())]


def header_folder(folder: str | Path, recordings: str, cable: str) -> Path:
    """Return the folder that keeps the headers of a cable's files."""
    return Path(folder) / "headers" / f"{recordings}-{cable}"


def open_cable(data: DataSettings, headers: Path | None = None) -> Archive:
    """Open all recordings of a cable."""
    return open_archive(find_recordings(data.inputs, data.fallback_inputs), data, index=headers)


def _ranges(recordings: str, cable: str, found: Iterable[Recording], length_s: int) -> list[Job]:
    """Cut the time of a cable into ranges on multiples of a length, as far as there are recordings."""
    length, near = length_s * 10**9, round(_NEAR_S * 1e9)
    found = list(found)
    numbers: set[int] = set()
    for one in found:
        numbers.update(range(one.start_ns // length, one.sample_ns(one.num_samples - 1) // length + 1))
    jobs = []
    for number in sorted(numbers):
        start, end = number * length, (number + 1) * length
        files = dict.fromkeys(path for one in found for path in _files(one, start - near, end + near))
        first, last = (pd.Timestamp(ns) for ns in (start, end))
        jobs.append(
            Job(
                recordings, cable, f"{first:%Y%m%dT%H%M%S}", first.isoformat(), last.isoformat(), tuple(files)
            )
        )
    return jobs


def _files(recording: Recording, start_ns: int, end_ns: int) -> list[str]:
    dt_ns = recording.dt_s * 1e9
    first = max(0, int(np.floor((start_ns - recording.start_ns) / dt_ns)))
    end = min(recording.num_samples, int(np.ceil((end_ns - recording.start_ns) / dt_ns)))
    return [path for path, _ in recording.inputs(slice(first, end))] if first < end else []


def _coverage(archives: Mapping[str, list[Archive]]) -> pd.DataFrame:
    tables = [archive.coverage for found in archives.values() for archive in found]
    return pd.concat(tables, ignore_index=True).drop_duplicates(ignore_index=True)


def _receivers(config: Config, archives: Mapping[str, list[Archive]]) -> pd.DataFrame:
    """List the receivers of all cables and the seismometers, as far as they were recorded."""
    cables = config.cable_settings()
    tables = [
        _recorded_channels(cables[name].geometry, cables[name].data.station_id, found)
        for name, found in archives.items()
    ]
    if config.stations.path is not None:
        tables.append(read_stations(config.stations.path))
    return conform(pd.concat(tables, ignore_index=True), CHANNEL_COLUMNS, "receivers")


def _recorded_channels(
    geometry: GeometrySettings, station_id: str | None, archives: list[Archive]
) -> pd.DataFrame:
    found = {
        (one.station_id, one.channel_index.tobytes()): one
        for archive in archives
        for one in archive.recordings
    }
    tables = [
        pd.DataFrame(
            {
                "station_id": station_id or one.station_id,
                "channel_index": one.channel_index,
                "distance_m": one.distance_m,
            }
        )
        for one in found.values()
    ]
    recorded = pd.concat(tables, ignore_index=True)
    recorded = recorded.drop_duplicates(["station_id", "channel_index"], ignore_index=True)
    placed = load_channels(geometry, station_id or str(recorded["station_id"].iloc[0]))
    if placed is None:
        bare = recorded.assign(longitude=np.nan, latitude=np.nan, elevation_m=np.nan, status="ok")
        return conform(bare, CHANNEL_COLUMNS, "receivers")
    limits = recorded.groupby("station_id")["channel_index"].agg(["min", "max"])
    low, high = limits.reindex(placed["station_id"]).to_numpy().T
    inside = (placed["channel_index"] >= low) & (placed["channel_index"] <= high)
    log.info("%s: %d of %d channels of the table were recorded", geometry.path, inside.sum(), len(placed))
    if not inside.any():
        raise ChannelGeometryError(
            f"{geometry.path}: none of its channels was recorded: it has {_describe(placed)}, the recordings "
            f"{_describe(recorded)}. Correct data.station_id or the channel numbers."
        )
    return placed[inside.to_numpy()].reset_index(drop=True)


def _describe(channels: pd.DataFrame) -> str:
    names = ", ".join(map(str, channels["station_id"].unique()[:5]))
    return f"{names} {channels['channel_index'].min()} to {channels['channel_index'].max()}"
