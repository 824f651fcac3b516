"""The index: blocks cover what was recorded, each file is where it is needed, nothing unusable vanishes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from phasenet_das.config import Config
from phasenet_das.errors import TableError
from phasenet_das.pipeline.jobs import index_recordings, neighbours, read_index, recordings_of
from phasenet_das.tables import read_channels, read_coverage
from tests.pipeline.cables import channel_table, write_minutes

JOBS = {"length_s": 120}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Minutes 0 to 3 and 8; a file that is none."""
    folder = tmp_path_factory.mktemp("blocks")
    write_minutes(folder / "raw", [0, 1, 2, 3, 8])
    (folder / "raw" / "damaged.h5").write_bytes(b"\x89HDF no")
    return folder


def config(folder: Path, **sections: object) -> Config:
    data = {"inputs": [str(folder / "raw")], "station_id": "C"}
    return Config(**{"data": data, "jobs": JOBS, **sections})


def test_blocks_lie_on_an_absolute_grid_and_name_core_and_overlap(recordings: Path, tmp_path: Path) -> None:
    index = index_recordings(config(recordings), tmp_path)
    blocks = index.blocks["catalog"]["C"]
    assert [block.name for block in blocks] == ["20240101T000000", "20240101T000200", "20240101T000800"]
    files = [[Path(path).stem for path in block.files] for block in blocks]
    assert files == [["00", "01", "02", "03"], ["00", "01", "02", "03"], ["08"]]
    assert all(block.start_ns % 120_000_000_000 == 0 for block in blocks)


def test_what_is_written_is_what_is_read(recordings: Path, tmp_path: Path) -> None:
    index = index_recordings(config(recordings), tmp_path)
    assert read_index(tmp_path / "blocks.json").blocks == index.blocks
    receivers = read_channels(tmp_path / "receivers.parquet")
    assert receivers["channel_index"].tolist() == list(range(6))
    assert receivers["longitude"].isna().all()


def test_a_damaged_file_and_a_gap_are_named(recordings: Path, tmp_path: Path) -> None:
    index_recordings(config(recordings), tmp_path)
    coverage = read_coverage(tmp_path / "coverage.csv")
    assert coverage[coverage["status"] == "unreadable"]["source"].str.contains("damaged").all()
    assert {"unreadable", "gap"} <= set(coverage["status"])
    assert coverage[["station_id", "source", "reason"]].notna().all(axis=None)


def test_receivers_are_the_channels_that_were_recorded(recordings: Path, tmp_path: Path) -> None:
    channel_table(60).to_csv(tmp_path / "channels.csv", index=False)
    settings = config(recordings, geometry={"path": str(tmp_path / "channels.csv")})
    index_recordings(settings, tmp_path / "index")
    assert len(read_channels(tmp_path / "index" / "receivers.parquet")) == 6


def test_a_table_of_another_cable_is_refused(recordings: Path, tmp_path: Path) -> None:
    channel_table(60, "OTHER").to_csv(tmp_path / "channels.csv", index=False)
    with pytest.raises(TableError, match="none of its channels was recorded: it has OTHER 0 to 59"):
        index_recordings(config(recordings, geometry={"path": str(tmp_path / "channels.csv")}), tmp_path)


def test_several_cables_and_seismometers_are_one_table_of_receivers(tmp_path: Path) -> None:
    for name in ("NORTH", "SOUTH"):
        write_minutes(tmp_path / name, [0], name)
        channel_table(6, name).to_csv(tmp_path / f"{name}.csv", index=False)
    stations = pd.DataFrame(
        {"station_id": ["S1"], "longitude": -117.0, "latitude": 35.0, "elevation_m": 10.0}
    )
    stations.to_csv(tmp_path / "stations.csv", index=False)
    settings = Config(
        cables={
            name: {
                "data": {"inputs": [str(tmp_path / name)]},
                "geometry": {"path": str(tmp_path / f"{name}.csv")},
            }
            for name in ("NORTH", "SOUTH")
        },
        stations={"path": str(tmp_path / "stations.csv"), "picks": ["picks.csv"]},
        jobs=JOBS,
    )
    index = index_recordings(settings, tmp_path / "index")
    assert index.pairs("catalog") == [("NORTH", "20240101T000000"), ("SOUTH", "20240101T000000")]
    receivers = read_channels(tmp_path / "index" / "receivers.parquet")
    assert receivers.groupby("station_id").size().to_dict() == {"NORTH": 6, "S1": 1, "SOUTH": 6}
    assert receivers.loc[receivers["station_id"] == "S1", "channel_index"].tolist() == [-1]


def test_event_files_to_train_on_stand_beside_continuous_ones(recordings: Path, tmp_path: Path) -> None:
    write_minutes(tmp_path / "events", [30, 47])
    training = {"recordings": {"C": {"inputs": [str(tmp_path / "events")]}}}
    settings = config(recordings, rounds=1, student=training)
    assert recordings_of(settings, "training")["C"].station_id == "C"
    index = index_recordings(settings, tmp_path / "index")
    assert index.names("training") == ["20240101T003000", "20240101T004600"]
    assert len(index.names("catalog")) == 3


def test_neighbours_are_those_that_adjoin() -> None:
    jobs = Config(jobs=JOBS).jobs
    names = ["20240101T000000", "20240101T000200", "20240101T000800"]
    assert neighbours(names, names[0], jobs) == names[:2]
    assert neighbours(names, names[2], jobs) == names[2:]
