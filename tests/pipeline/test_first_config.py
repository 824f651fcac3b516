"""Settings for a new cable: valid, commented, and of what the files say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phasenet_das import io
from phasenet_das.config import load_config
from phasenet_das.errors import ConfigError, DataFormatError
from phasenet_das.pipeline.first_config import write_first_config
from tests.pipeline.cables import channel_table, write_minutes


def test_what_the_files_say_is_in_the_settings(tmp_path: Path) -> None:
    write_minutes(tmp_path / "north" / "raw", [0, 1], "NORTH")
    channel_table(6, "NORTH").to_csv(tmp_path / "north" / "channels.csv", index=False)
    found = write_first_config([str(tmp_path / "north" / "raw")], tmp_path / "north.yaml")
    assert "6 channels, 0 to 5, 10 m apart; 20 Hz" in found
    config = load_config(tmp_path / "north.yaml")
    assert config.data.station_id == "NORTH"
    assert config.data.inputs == (str(tmp_path / "north" / "raw"),)
    assert config.geometry.path == str(tmp_path / "north" / "channels.csv")
    text = (tmp_path / "north.yaml").read_text()
    assert "#   " + found.splitlines()[0] in text


def test_what_they_do_not_say_is_asked_for(tmp_path: Path) -> None:
    import h5py

    (tmp_path / "raw").mkdir()
    with h5py.File(tmp_path / "raw" / "1.h5", "w") as file:
        data = file.create_dataset("data", data=np.zeros((4, 100), np.float32))
        data.attrs["dt_s"] = 0.01
    found = write_first_config([str(tmp_path / "raw")], tmp_path / "new.yaml", name="new cable")
    assert "cannot be used as they are" in found
    assert load_config(tmp_path / "new.yaml").name == "new-cable"
    text = (tmp_path / "new.yaml").read_text()
    assert "STATE what is missing" in text
    assert "# start_time:" in text


def test_strain_is_differentiated(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    patch = io.make_patch(
        np.random.default_rng(0).standard_normal((4, 100)).astype(np.float32),
        start_time="2024-01-01",
        dt_s=0.01,
        distance_m=np.arange(4) * 1.0,
        station_id="C",
        unit="strain",
    )
    io.write_quakeflow(patch, tmp_path / "raw" / "1.h5")
    write_first_config([str(tmp_path / "raw")], tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml").pick.to_strain_rate


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    write_minutes(tmp_path / "raw", [0])
    (tmp_path / "c.yaml").write_text("name: mine\n")
    with pytest.raises(ConfigError, match="exists already"):
        write_first_config([str(tmp_path / "raw")], tmp_path / "c.yaml")
    write_first_config([str(tmp_path / "raw")], tmp_path / "c.yaml", overwrite=True)
    assert load_config(tmp_path / "c.yaml").name == "raw"
    with pytest.raises(DataFormatError, match="no recording found"):
        write_first_config([str(tmp_path / "nowhere")], tmp_path / "d.yaml")
