"""Association in blocks: the same events as in one go, once each, numbered by time, in whatever order."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from gamma import AssociationConfig
from phasenet_das.errors import TableError
from phasenet_das.pipeline.events import AssociatedBlock, associate_block, merge_blocks, read_station_picks
from phasenet_das.tables import read_events, read_picks, write_table
from tests.pipeline.cables import START, channel_table, event_picks

SETTINGS = AssociationConfig(max_distance_km=20.0, depth_range_km=(0.0, 20.0))
OVERLAP_S = 60.0
ORIGINS = [10.0, 60.0, 119.99, 121.5, 200.0]  # two at the cut, with arrivals of the first beyond it


@pytest.fixture(scope="module")
def channels() -> pd.DataFrame:
    return channel_table()


def associated(folder: Path, number: int) -> AssociatedBlock:
    start = START + pd.Timedelta(seconds=120 * number)
    name = f"{start:%Y%m%dT%H%M%S}"
    files = (folder / f"{name}.events.parquet", folder / f"{name}.picks.parquet", folder / f"{name}.json")
    return AssociatedBlock(name, (start, start + pd.Timedelta(seconds=120)), *files)


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory, channels: pd.DataFrame) -> list[AssociatedBlock]:
    folder = tmp_path_factory.mktemp("events")
    write_table(channels, folder / "receivers.parquet")
    picks = event_picks(channels, ORIGINS)
    cores = []
    for number in range(2):
        start, end = associated(folder, number).span
        core = picks[(picks["phase_time"] >= start) & (picks["phase_time"] < end)]
        cores.append(
            write_table(core.reset_index(drop=True), folder / f"{number}.parquet", {"weights_id": "w@1"})
        )
    made = []
    for number in range(2):
        block = associated(folder, number)
        associate_block(block, cores, folder / "receivers.parquet", settings=SETTINGS, overlap_s=OVERLAP_S)
        made.append(block)
    return made


def test_events_of_blocks_are_those_of_one_go(blocks: list[AssociatedBlock], tmp_path: Path) -> None:
    merge_blocks(blocks, tmp_path)
    events = read_events(tmp_path / "events.parquet")
    assert events["event_index"].tolist() == list(range(len(ORIGINS)))
    seconds = (events["time"] - START).dt.total_seconds()
    assert seconds.tolist() == pytest.approx(ORIGINS, abs=0.3)
    assert events["num_picks"].tolist() == [120] * len(ORIGINS)


def test_order_does_not_show(blocks: list[AssociatedBlock], tmp_path: Path) -> None:
    merge_blocks(blocks, tmp_path / "one")
    merge_blocks(blocks[::-1], tmp_path / "other")
    for name in ("events.parquet", "picks.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_each_pick_is_there_once_and_belongs_to_its_event(
    blocks: list[AssociatedBlock], tmp_path: Path
) -> None:
    merge_blocks(blocks, tmp_path)
    picks = read_picks(tmp_path / "picks.parquet")
    assert len(picks) == 120 * len(ORIGINS)
    assert picks["pick_id"].is_unique
    assert picks["phase_time"].is_monotonic_increasing
    assert picks.groupby("event_index").size().to_dict() == dict.fromkeys(range(len(ORIGINS)), 120)
    summary = json.loads((tmp_path / "association.json").read_text())
    assert summary["picks_associated"] == len(picks)


def test_no_pick_at_all_is_an_empty_catalog(tmp_path: Path, channels: pd.DataFrame) -> None:
    write_table(channels, tmp_path / "receivers.parquet")
    write_table(event_picks(channels, [10.0]).iloc[:0], tmp_path / "none.parquet")
    block = associated(tmp_path, 0)
    associate_block(
        block,
        [tmp_path / "none.parquet"],
        tmp_path / "receivers.parquet",
        settings=SETTINGS,
        overlap_s=OVERLAP_S,
    )
    merge_blocks([block], tmp_path)
    assert read_events(tmp_path / "events.parquet").empty
    assert read_picks(tmp_path / "picks.parquet").empty


def test_picks_of_seismometers_need_no_channel(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "station_id": ["S1", "S1"],
            "phase_time": ["2024-01-01T00:00:01.5", "2024-01-01T00:00:02"],
            "phase_type": ["p", "S"],
            "phase_score": [0.9, 0.8],
        }
    )
    table.to_csv(tmp_path / "picks.csv", index=False)
    found = read_station_picks([str(tmp_path / "picks.csv")])
    assert found["channel_index"].tolist() == [-1, -1]
    assert found["phase_type"].tolist() == ["P", "S"]
    assert found["pick_id"].is_unique
    table.drop(columns="phase_score").to_csv(tmp_path / "wrong.csv", index=False)
    with pytest.raises(TableError, match="missing column\\(s\\) phase_score"):
        read_station_picks([str(tmp_path / "wrong.csv")])
