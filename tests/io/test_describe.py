"""What describe finds without loading everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phasenet_das.errors import ChannelGeometryError, MissingMetadataError
from phasenet_das.io import describe, make_patch
from tests.io.das_sources import ATTRS, DT_S, START, quakeflow, write_h5


def test_text_for_people_names_every_finding(tmp_path: Path):
    data = np.random.default_rng(0).normal(size=(9, 60))
    data[[2, 3, 4, 8]] = 0
    path = write_h5(tmp_path / "a.h5", data, **{**ATTRS, "begin_time": "unknown", "end_time": ""})
    text = str(describe(path))
    for part in (
        str(path),
        "9 (40 to 48, 100.0 to 120.0 m)",
        "0.004 s (250 Hz)",
        "m/s",
        "42-44, 48 (4 channels)",
    ):
        assert part in text
    assert "state it with start_time= (--start-time)" in text


def test_a_list_of_one_is_described_as_its_item(tmp_path: Path):
    attrs = {**ATTRS, "begin_time": "unknown", "end_time": ""}
    paths = [write_h5(tmp_path / f"{name}.h5", np.eye(9, 60), **attrs) for name in "ab"]
    assert describe(paths[:1]) == describe(paths[0])
    with pytest.raises(MissingMetadataError, match="start_time"):
        describe(paths)


def test_a_part_is_described_as_read(tmp_path: Path):
    found = describe(
        quakeflow(tmp_path).source, channels=(42, 44), time=(START + np.timedelta64(40, "ms"), None)
    )
    assert (found.num_channels, found.first_channel, found.num_samples) == (2, 42, 50)
    with pytest.raises(ChannelGeometryError):
        describe(quakeflow(tmp_path).source, channels=(0, 4))


def test_large_recordings_are_judged_from_blocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    data = np.random.default_rng(0).normal(size=(3, 20_000)).astype(np.float32)
    data[1] = 0
    data[2, 5000:5100] = 0  # a pause is not death
    attrs = {**ATTRS, "end_time": ""}
    path = write_h5(tmp_path / "a.h5", data, **attrs)
    assert describe(path).warnings == ()
    monkeypatch.setattr("phasenet_das.io.description._LOAD_ALL", 10_000)
    found = describe(path)
    assert found.dead_channels == (41,)
    assert any("judged from 8 blocks" in note for note in found.warnings)


def test_a_single_channel_has_no_spacing():
    found = describe(make_patch(np.arange(10.0)[None], start_time=START, dt_s=DT_S))
    assert (found.num_channels, found.dx_m) == (1, None)
