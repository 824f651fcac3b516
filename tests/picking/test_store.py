"""Killed anywhere, the same command gives the same table and does no finished work again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from phasenet_das import io
from phasenet_das.picking import pick_archive
from phasenet_das.tables import read_picks
from tests.picking.interrupted import DATA, ENDS, SETTINGS
from tests.picking.small_pickers import assert_same_picks, small_picker

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record in two files."""
    raw = tmp_path_factory.mktemp("interrupted") / "raw"
    raw.mkdir()
    data = np.random.default_rng(2).standard_normal((24, 3000)).astype(np.float32)
    for number in range(2):
        patch = io.make_patch(
            data[:, 1500 * number : 1500 * (number + 1)],
            start_time=np.datetime64("2024-05-06T07:08:09") + np.timedelta64(15 * number, "s"),
            dt_s=0.01,
            station_id="CABLE",
            unit="strain / s",
        )
        io.write_quakeflow(patch, raw / f"{number}.h5")
    return raw


@pytest.fixture(scope="module")
def expected(folder: Path) -> bytes:
    """The table of a run that was not interrupted."""
    output = folder.parent / "expected.parquet"
    pick_archive(small_picker(), [str(folder)], output, data=DATA, continuous=SETTINGS)
    return output.read_bytes()


@pytest.fixture(scope="module")
def killed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What runs leave that were killed at each of the ends."""
    outputs = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.picking.interrupted", str(folder), str(outputs)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(ENDS), done.stderr[-2000:]
    return outputs


@pytest.mark.parametrize(("chunks", "where"), ENDS)
def test_killed_and_run_again(folder: Path, expected: bytes, killed: Path, chunks: int, where: str) -> None:
    output = killed / f"{where}.parquet"
    assert not output.exists()
    again = pick_archive(small_picker(), [str(folder)], output, data=DATA, continuous=SETTINGS)
    assert again.reused == (again.num_chunks if where == "merge" else chunks)
    assert output.read_bytes() == expected


def test_data_in_memory_beside_a_file_are_picked_anew(tmp_path: Path) -> None:
    made = np.random.default_rng(3).standard_normal((3, 16, 4000)).astype(np.float32)
    start = np.datetime64("2024-05-06T07:08:09")
    facts = {"dt_s": 0.01, "station_id": "CABLE", "unit": "strain / s"}
    io.write_quakeflow(io.make_patch(made[0], start_time=start, **facts), tmp_path / "a.h5")
    later = start + np.timedelta64(40, "s")
    first, other = (io.make_patch(data, start_time=later, **facts) for data in made[1:])
    output, file = tmp_path / "picks.parquet", str(tmp_path / "a.h5")
    pick_archive(small_picker(), [file, first], output)
    again = pick_archive(small_picker(), [file, other], output)
    assert again.reused == 0
    pick_archive(small_picker(), [file, other], tmp_path / "whole.parquet")
    assert_same_picks(read_picks(output), read_picks(tmp_path / "whole.parquet"))
