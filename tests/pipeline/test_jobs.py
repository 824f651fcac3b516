"""The jobs: ranges of time with recordings, each file where it is needed, nothing unusable vanishes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from phasenet_das.config import Config
from phasenet_das.errors import ChannelGeometryError
from phasenet_das.pipeline import jobs
from phasenet_das.pipeline.jobs import Job, list_jobs, read_jobs, recordings_of
from phasenet_das.tables import read_channels, read_coverage
from tests.pipeline.cables import channel_table, write_minutes

JOBS = {"length_s": 120}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Minutes 0 to 3 and 8; a file that is none."""
    folder = tmp_path_factory.mktemp("jobs")
    write_minutes(folder / "raw", [0, 1, 2, 3, 8])
    (folder / "raw" / "damaged.h5").write_bytes(b"\x89HDF no")
    return folder


def config(folder: Path, **sections: object) -> Config:
    data = {"inputs": [str(folder / "raw")], "station_id": "C"}
    return Config(**{"data": data, "jobs": JOBS, **sections})


def names(found: list[Job], recordings: str = "catalog") -> list[str]:
    return [job.name for job in found if job.recordings == recordings]


def test_jobs_lie_on_an_absolute_grid_and_name_the_files_in_and_near_them(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_NEAR_S", 60.0)
    found = list_jobs(config(recordings), tmp_path)
    assert names(found) == ["20240101T000000", "20240101T000200", "20240101T000800"]
    files = [[Path(path).stem for path in job.files] for job in found]
    assert files == [["00", "01", "02"], ["01", "02", "03"], ["08"]]
    assert (found[1].start, found[1].end) == ("2024-01-01T00:02:00", "2024-01-01T00:04:00")


def test_jobs_are_read_as_they_were_written(recordings: Path, tmp_path: Path) -> None:
    found = list_jobs(config(recordings), tmp_path)
    assert read_jobs(tmp_path / "jobs.json") == found
    receivers = read_channels(tmp_path / "receivers.parquet")
    assert receivers["channel_index"].tolist() == list(range(6))
    assert receivers["longitude"].isna().all()


def test_a_damaged_file_and_a_gap_are_named(recordings: Path, tmp_path: Path) -> None:
    list_jobs(config(recordings), tmp_path)
    coverage = read_coverage(tmp_path / "coverage.csv")
    assert coverage[coverage["status"] == "unreadable"]["source"].str.contains("damaged").all()
    assert {"unreadable", "gap"} <= set(coverage["status"])
    assert coverage[["station_id", "source", "reason"]].notna().all(axis=None)


def test_receivers_are_the_channels_that_were_recorded(recordings: Path, tmp_path: Path) -> None:
    channel_table(60).to_csv(tmp_path / "channels.csv", index=False)
    settings = config(recordings, geometry={"path": str(tmp_path / "channels.csv")})
    list_jobs(settings, tmp_path / "index")
    assert len(read_channels(tmp_path / "index" / "receivers.parquet")) == 6


def test_a_table_of_another_cable_is_refused(recordings: Path, tmp_path: Path) -> None:
    channel_table(60, "OTHER").to_csv(tmp_path / "channels.csv", index=False)
    with pytest.raises(ChannelGeometryError, match="none of its channels was recorded: it has OTHER 0 to 59"):
        list_jobs(config(recordings, geometry={"path": str(tmp_path / "channels.csv")}), tmp_path)


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
    found = list_jobs(settings, tmp_path / "index")
    assert [(job.cable, job.name) for job in found] == [
        ("NORTH", "20240101T000000"),
        ("SOUTH", "20240101T000000"),
    ]
    receivers = read_channels(tmp_path / "index" / "receivers.parquet")
    assert receivers.groupby("station_id").size().to_dict() == {"NORTH": 6, "S1": 1, "SOUTH": 6}
    assert receivers.loc[receivers["station_id"] == "S1", "channel_index"].tolist() == [-1]


def test_files_of_several_cables_with_equal_channels_give_the_receivers_of_each(tmp_path: Path) -> None:
    for name in ("NORTH", "SOUTH"):
        write_minutes(tmp_path / "raw" / name, [0], name)
    list_jobs(Config(data={"inputs": [str(tmp_path / "raw")]}, jobs=JOBS), tmp_path / "index")
    receivers = read_channels(tmp_path / "index" / "receivers.parquet")
    assert receivers.groupby("station_id").size().to_dict() == {"NORTH": 6, "SOUTH": 6}


def test_event_files_to_train_on_stand_beside_continuous_ones(recordings: Path, tmp_path: Path) -> None:
    write_minutes(tmp_path / "events", [30, 47])
    student = {"recordings": {"C": {"inputs": [str(tmp_path / "events")]}}}
    settings = config(recordings, rounds=1, student=student)
    assert recordings_of(settings, "training")["C"].station_id == "C"
    found = list_jobs(settings, tmp_path / "index")
    assert names(found, "training") == ["20240101T003000", "20240101T004600"]
    assert len(names(found)) == 3
    assert not names(list_jobs(config(recordings, student=student), tmp_path / "none"), "training")
