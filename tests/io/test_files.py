"""Recordings are found once each, in one order, under names that are valid as file names."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasenet_das.errors import DataFormatError
from phasenet_das.io.files import find_recordings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.h5", "a.h5", "day 2/a.h5", ".hidden/c.h5", "day 2/.part"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def test_files_folders_and_patterns(folder: Path) -> None:
    names = [str(folder / name) for name in ("a.h5", "b.h5", "day 2/a.h5")]
    assert find_recordings([folder]) == names
    assert find_recordings([folder / "*.h5", folder / "a.h5"]) == names[:2]
    assert find_recordings([str(folder / "**" / "a.h5")]) == [names[0], names[2]]


def test_alternatives_are_used_only_when_nothing_is_there(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert find_recordings([folder / "a.h5"], ["daspy:example"]) == [str(folder / "a.h5")]
    assert find_recordings([folder / "none.h5"], ["daspy:example"]) == ["daspy:example"]
    assert "instead" in caplog.text


def test_nothing_found_is_an_error(folder: Path) -> None:
    with pytest.raises(DataFormatError, match=r"no recording found in .*none\.h5"):
        find_recordings([folder / "none.h5"])
    with pytest.raises(DataFormatError, match="nothing"):
        find_recordings([])
