"""The index of a run: which blocks of time hold recordings of which cable, and in which files."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phasenet_das.config import Config, DataSettings, GeometrySettings
from phasenet_das.config.jobs import JobSettings
from phasenet_das.errors import TableError
from phasenet_das.tables import CHANNEL_COLUMNS, atomic_path, conform, write_table
from phasenet_das.tables.channels import read_stations

if TYPE_CHECKING:
    from phasenet_das.io.archive import Archive
    from phasenet_das.io.recording import Recording


log = logging.getLogger(__name__)

CATALOG, TRAINING = "catalog", "training"
"""Sets of recordings: those that the catalog is made of, and those that a student is trained on."""


_OVERLAP_S = 150.0  # a pick of PhaseNet-DAS at 50 Hz depends on 136 s to either side


def overlap_s(jobs: JobSettings) -> float:
    """Return the time that a job sees beyond its block on either side, s."""
    return min(_OVERLAP_S, jobs.length_s)


@dataclass(frozen=True)
class Block:
    """A span of time of one cable.

    Attributes
    ----------
    name : str
        Its begin, such as ``20240301T000000``: the same for all cables.
    start_ns, end_ns : int
        Its core, UTC, ns since 1970, half open.
    files : tuple of str
        The recordings of the core and of the overlap on either side.
    """

    name: str
    start_ns: int
    end_ns: int
    files: tuple[str, ...]

    @property
    def span(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """The core as times."""
        return pd.Timestamp(self.start_ns, tz="UTC"), pd.Timestamp(self.end_ns, tz="UTC")


class BlockIndex:
    """The blocks of all cables."""

    def __init__(self, blocks: Mapping[str, Mapping[str, list[Block]]]) -> None:
        self.blocks = {kind: dict(cables) for kind, cables in blocks.items()}

    def pairs(self, kind: str) -> list[tuple[str, str]]:
        """List cable and name of all blocks of a set."""
        return [(cable, block.name) for cable, blocks in self.blocks[kind].items() for block in blocks]

    def names(self, kind: str) -> list[str]:
        """List the names of the blocks of a set, by time, each once."""
        return sorted({name for _, name in self.pairs(kind)})

    def block(self, kind: str, cable: str, name: str) -> Block:
        """Find a block."""
        for block in self.blocks[kind].get(cable, []):
            if block.name == name:
                return block
        raise TableError(f"index: no block {name} of cable '{cable}' among the {kind} recordings.")

    def span(self, name: str) -> tuple[pd.Timestamp, pd.Timestamp]:
        """Give the core of the blocks of a name."""
        for cables in self.blocks.values():
            for blocks in cables.values():
                for block in blocks:
                    if block.name == name:
                        return block.span
        raise TableError(f"index: no block {name}.")


def recordings_of(config: Config, kind: str) -> dict[str, DataSettings]:
    """Say which recordings a set is made of."""
    cables = config.cable_settings()
    own = config.student.recordings
    if kind == CATALOG or not own:
        return {name: cable.data for name, cable in cables.items()}
    named = {}
    for name, data in own.items():
        station = data.station_id or cables[name].data.station_id
        named[name] = data.model_copy(update={"station_id": station})
    return named


def index_recordings(config: Config, folder: str | Path) -> BlockIndex:
    """Read the headers of all recordings and cut what there is into blocks.

    Writes ``blocks.json``, ``receivers.parquet`` (the channels that were recorded, and the seismometers) and
    ``coverage.csv`` (what cannot be used, and why).
    """
    from phasenet_das.io.archive import open_archive

    folder = Path(folder)
    kinds = [CATALOG, TRAINING] if config.rounds else [CATALOG]
    blocks: dict[str, dict[str, list[Block]]] = {}
    sources: dict[str, list[Archive]] = {}
    opened: dict[str, tuple[DataSettings, Archive]] = {}
    for kind in kinds:
        blocks[kind] = {}
        for name, data in recordings_of(config, kind).items():
            if name not in opened or opened[name][0] != data:
                source = open_archive(_inputs(data), data, index=folder / "headers" / f"{kind}-{name}")
                log.info("%s", source.summary())
                opened[name] = data, source
                sources.setdefault(name, []).append(source)
            blocks[kind][name] = _cut(opened[name][1].recordings, config.jobs)
    write_table(_coverage(sources), folder / "coverage.csv")
    write_table(_receivers(config, sources), folder / "receivers.parquet")
    index = BlockIndex(blocks)
    _write(index, folder / "blocks.json")
    return index


def read_index(path: str | Path) -> BlockIndex:
    """Read what :func:`index_recordings` wrote."""
    document = json.loads(Path(path).read_text())
    return BlockIndex(
        {
            kind: {
                cable: [Block(b["name"], b["start_ns"], b["end_ns"], tuple(b["files"])) for b in blocks]
                for cable, blocks in cables.items()
            }
            for kind, cables in document.items()
        }
    )


def neighbours(names: Iterable[str], name: str, jobs: JobSettings) -> list[str]:
    """Name the blocks whose picks a block's association needs: itself and those that adjoin."""
    step = pd.Timedelta(seconds=jobs.length_s)
    middle = pd.Timestamp(name)
    wanted = {_name(middle + shift * step) for shift in (-1, 0, 1)}
    return sorted(wanted & set(names))


def _inputs(data: DataSettings) -> list[str]:
    from phasenet_das.io.files import find_recordings

    return find_recordings(data.inputs, data.fallback_inputs)


def _name(start: pd.Timestamp) -> str:
    return f"{start:%Y%m%dT%H%M%S}"


def _cut(segments: Iterable[Recording], jobs: JobSettings) -> list[Block]:
    """Cut the records of a cable into blocks; a block names the files of its core and of the overlap."""
    length, overlap = round(jobs.length_s * 1e9), round(overlap_s(jobs) * 1e9)
    segments = list(segments)
    cores: set[int] = set()
    for segment in segments:
        last = segment.start_ns + round((segment.num_samples - 1) * segment.dt_s * 1e9)
        cores.update(range(segment.start_ns // length, last // length + 1))
    blocks = []
    for number in sorted(cores):
        start, end = number * length, (number + 1) * length
        files = dict.fromkeys(
            path for segment in segments for path in _files(segment, start - overlap, end + overlap)
        )
        blocks.append(Block(_name(pd.Timestamp(start, tz="UTC")), start, end, tuple(files)))
    return blocks


def _files(segment: Recording, start_ns: int, end_ns: int) -> list[str]:
    dt_ns = segment.dt_s * 1e9
    first = max(0, int(np.floor((start_ns - segment.start_ns) / dt_ns)))
    end = min(segment.num_samples, int(np.ceil((end_ns - segment.start_ns) / dt_ns)))
    return [path for path, _ in segment.inputs(slice(first, end))] if first < end else []


def _coverage(sources: Mapping[str, list[Archive]]) -> pd.DataFrame:
    tables = [source.coverage for found in sources.values() for source in found]
    return pd.concat(tables, ignore_index=True).drop_duplicates(ignore_index=True)


def _receivers(config: Config, sources: Mapping[str, list[Archive]]) -> pd.DataFrame:
    """List the receivers of all cables and the seismometers, as far as they were recorded."""
    cables = config.cable_settings()
    tables = [
        _recorded_channels(cables[name].geometry, cables[name].data.station_id, found)
        for name, found in sources.items()
    ]
    if config.stations.path is not None:
        tables.append(read_stations(config.stations.path))
    return conform(pd.concat(tables, ignore_index=True), CHANNEL_COLUMNS, "receivers")


def _recorded_channels(
    settings: GeometrySettings, station_id: str | None, sources: list[Archive]
) -> pd.DataFrame:
    segments = [segment for source in sources for segment in source.recordings]
    recorded = pd.concat(
        [
            pd.DataFrame(
                {
                    "station_id": station_id or segment.station_id,
                    "channel_index": segment.channel_index,
                    "distance_m": segment.distance_m,
                }
            )
            for segment in {segment.channel_index.tobytes(): segment for segment in segments}.values()
        ],
        ignore_index=True,
    ).drop_duplicates(["station_id", "channel_index"], ignore_index=True)
    from phasenet_das.tables.channels import load_channels

    name = station_id or str(recorded["station_id"].iloc[0])
    placed = load_channels(settings, name)
    if placed is None:
        bare = recorded.assign(longitude=np.nan, latitude=np.nan, elevation_m=np.nan, status="ok")
        return conform(bare, CHANNEL_COLUMNS, "receivers")
    limits = recorded.groupby("station_id")["channel_index"].agg(["min", "max"])
    low, high = limits.reindex(placed["station_id"]).to_numpy().T
    inside = (placed["channel_index"] >= low) & (placed["channel_index"] <= high)
    log.info("%s: %d of %d channels of the table were recorded", settings.path, inside.sum(), len(placed))
    if not inside.any():
        raise TableError(
            f"{settings.path}: none of its channels was recorded: it has {_describe(placed)}, the recordings "
            f"{_describe(recorded)}. Correct data.station_id or the channel numbers."
        )
    return placed[inside.to_numpy()].reset_index(drop=True)


def _describe(channels: pd.DataFrame) -> str:
    names = ", ".join(map(str, channels["station_id"].unique()[:5]))
    return f"{names} {channels['channel_index'].min()} to {channels['channel_index'].max()}"


def _write(index: BlockIndex, path: Path) -> None:
    document = {
        kind: {
            cable: [
                {"name": b.name, "start_ns": b.start_ns, "end_ns": b.end_ns, "files": list(b.files)}
                for b in blocks
            ]
            for cable, blocks in cables.items()
        }
        for kind, cables in index.blocks.items()
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1) + "\n")
