"""Training windows: around each event of the block, with its kept and the rejected picks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phasenet_das.config import Config, DataSettings
from phasenet_das.pipeline.jobs import Block, index_recordings
from phasenet_das.pipeline.labels import cut_block
from phasenet_das.tables import EVENT_COLUMNS, conform, read_picks, write_table
from phasenet_das.training.windows import open_window
from tests.pipeline.cables import START, channel_table, event_picks, write_minutes

JOBS = {"length_s": 120}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Block], Config]:
    folder = tmp_path_factory.mktemp("labels")
    write_minutes(folder / "raw", [0, 1, 2, 3])
    config = Config(data={"inputs": [str(folder / "raw")], "station_id": "C"}, jobs=JOBS)
    blocks = index_recordings(config, folder / "index").blocks["catalog"]["C"]
    picks = event_picks(channel_table(6), [50.0, 118.0])
    picks["event_index"] = np.repeat([0, 1], 12)
    stray = event_picks(channel_table(6), [47.0], seed=1).iloc[:3]
    write_table(pd.concat([picks, stray], ignore_index=True), folder / "picks.parquet")
    events = {name: [0.0, 0.0] for name in EVENT_COLUMNS} | {
        "event_index": [0, 1],
        "event_id": ["a", "b"],
        "time": START + pd.to_timedelta([50.0, 118.0], unit="s"),
        "location_quality": ["", ""],
    }
    write_table(conform(pd.DataFrame(events), EVENT_COLUMNS, "events"), folder / "events.parquet")
    return folder, blocks, config


def cut(made: tuple[Path, list[Block], Config], block: int, out: Path, **changes: object) -> int:
    folder, blocks, config = made
    settings = config.student.model_copy(update={"before_s": 5.0, "after_s": 10.0, **changes})
    return cut_block(
        blocks[block],
        folder / "picks.parquet",
        folder / "events.parquet",
        out,
        data=DataSettings(station_id="C"),
        settings=settings,
        pick=config.pick,
        overlap_s=60.0,
    )


def test_a_window_holds_the_event_with_kept_and_rejected_picks(
    made: tuple[Path, list[Block], Config], tmp_path: Path
) -> None:
    assert cut(made, 0, tmp_path) == 2
    window = open_window(min(tmp_path.glob("*.h5")))
    labels = read_picks(window.labels)
    assert labels["event_index"].value_counts().to_dict() == {0: 12, -1: 3}
    first, last = (labels.loc[labels["event_index"] == 0, "phase_time"].agg(name) for name in ("min", "max"))
    assert pd.Timestamp(window.begin_time, tz="UTC") == pytest.approx(
        first - pd.Timedelta("5s"), abs=pd.Timedelta("0.1s")
    )
    assert pd.Timestamp(window.end_time, tz="UTC") == pytest.approx(
        last + pd.Timedelta("10s"), abs=pd.Timedelta("0.1s")
    )
    assert (window.event_id, window.station_id, window.num_channels) == ("a", "C", 6)


def test_an_event_belongs_to_the_block_of_its_origin(
    made: tuple[Path, list[Block], Config], tmp_path: Path
) -> None:
    assert cut(made, 1, tmp_path) == 0
    assert cut(made, 0, tmp_path) == 2
    # The second one's arrivals lie behind the cut, in files of the overlap.
    window = open_window(sorted(tmp_path.glob("*.h5"))[1])
    assert pd.Timestamp(window.end_time, tz="UTC") > START + pd.Timedelta(seconds=128)


def test_windows_are_written_anew(made: tuple[Path, list[Block], Config], tmp_path: Path) -> None:
    (tmp_path / "old.h5").write_text("of a run before")
    cut(made, 0, tmp_path)
    assert not (tmp_path / "old.h5").exists()


def test_events_on_few_channels_teach_nothing(made: tuple[Path, list[Block], Config], tmp_path: Path) -> None:
    folder, blocks, config = made
    table = read_picks(folder / "picks.parquet")
    few = table[(table["event_index"] < 0) | (table["channel_index"] < 2)]
    write_table(few, tmp_path / "picks.parquet")
    thin = (tmp_path, blocks, config)
    (tmp_path / "events.parquet").write_bytes((folder / "events.parquet").read_bytes())
    assert cut(thin, 0, tmp_path / "all") == 2
    assert cut(thin, 0, tmp_path / "none", min_channel_share=0.5) == 0
