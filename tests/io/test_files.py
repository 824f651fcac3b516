"""Recordings are found once each, in one order, under names that are valid as file names."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasenet_das.errors import DataFormatError
from phasenet_das.io.files import as_name, cable_name, find_recordings


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


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Kabel Ä", "Kabel-Ae"),
        ("Kabel A\u0308", "Kabel-Ae"),  # as macOS writes it
        ("Straße", "Strasse"),
        ("Réunion", "Reunion"),
        ("Łódź", "Lodz"),
        ("北", "DAS-01bc"),
        ("Kabel \u2013 Nord", "Kabel-Nord"),
        ("Kabel 1", "Kabel-1"),
        ("...", "DAS"),
    ],
)
def test_names_of_cables_keep_the_letters_that_can_be_written(text: str, name: str) -> None:
    assert as_name(text) == name


@pytest.mark.parametrize("names", [("Kabel Ä", "Kabel Ö"), ("北", "南"), ("Réunion", "Reunion"), ("é", "è")])
def test_folders_that_differ_in_other_letters_are_cables_of_their_own(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    folders = [tmp_path / name for name in names]
    for one in folders:
        one.mkdir()
    found = {cable_name(str(one / "1.h5"), [str(item) for item in folders]) for one in folders}
    assert len(found) == 2
    assert all(name.isascii() for name in found)


def test_folders_of_ascii_names_have_no_hash(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("Kabel 1", "Kabel-1", "Käbel-1")]
    for one in folders:
        one.mkdir()
    inputs = [str(one) for one in folders]
    assert [cable_name(f"{item}/1.h5", inputs) for item in inputs[:2]] == ["Kabel-1", "Kabel-1"]
