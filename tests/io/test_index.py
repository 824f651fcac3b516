"""The index: each file is opened once, and what changed is found."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from phasenet_das.errors import DataFormatError
from phasenet_das.io import index
from phasenet_das.io.archive import open_archive
from phasenet_das.io.files import content_key
from phasenet_das.io.formats import open_source, read_headers
from phasenet_das.io.index import INDEX_NAME, update_index
from tests.io.archive_files import RECORD, write_part, write_prodml


class Opened(list[str]):
    """Names of the files whose headers were read; emptied when looked at."""

    def names(self) -> list[str]:
        names = sorted(Path(path).name for path in self)
        self.clear()
        return names


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    found = Opened()
    monkeypatch.setattr(index, "read_headers", lambda path: (found.append(path), read_headers(path))[1])
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(3):
        write_part(tmp_path / "data" / f"{k}.h5", 100 * k, 100 * (k + 1))
    (tmp_path / "data" / "notes").write_text("words")
    return tmp_path / "data"


def test_unchanged_files_are_not_opened_again(folder: Path, tmp_path: Path, opened: Opened) -> None:
    cache = tmp_path / "cache"
    first = open_archive([folder], index=cache)
    assert opened.names() == ["0.h5", "1.h5", "2.h5", "notes"]
    second = open_archive([folder], index=cache)
    assert opened.names() == []
    assert second.report.unchanged == 4
    assert second.coverage.equals(first.coverage)
    np.testing.assert_array_equal(second.recordings[0].load(samples=slice(0, 300)), RECORD[:, :300])
    assert second.recordings[0].inputs(slice(0, 300)) == first.recordings[0].inputs(slice(0, 300))
    assert [path.name for path in cache.iterdir()] == [INDEX_NAME]


def test_new_changed_touched_and_vanished_files_are_found(
    folder: Path, tmp_path: Path, opened: Opened
) -> None:
    cache = tmp_path / "cache"
    update_index([folder], cache)
    opened.clear()
    write_part(folder / "3.h5", 300, 400)
    write_part(folder / "1.h5", 100, 180)
    os.utime(folder / "2.h5", ns=(1, 1))
    (folder / "0.h5").unlink()
    found = update_index([folder], cache)
    assert opened.names() == ["1.h5", "3.h5"]
    report = found.report
    assert (report.new, report.changed, report.vanished, report.opened) == (1, 2, 1, 2)
    assert found.rows["num_samples"].tolist() == [80, 100, 100, 0]
    again = update_index([folder], cache)
    assert opened.names() == []
    assert again.rows.equals(found.rows)


def test_one_index_serves_several_folders(folder: Path, tmp_path: Path, opened: Opened) -> None:
    cache = tmp_path / "cache"
    update_index([folder], cache)
    write_part(tmp_path / "other" / "x.h5", 0, 50)
    opened.clear()
    assert len(update_index([tmp_path / "other"], cache).rows) == 1
    assert len(update_index([folder], cache).rows) == 4
    assert opened.names() == ["x.h5"]


@pytest.mark.parametrize("damage", ["rubbish", "cut", "empty", "foreign"])
def test_a_damaged_index_is_rebuilt(folder: Path, tmp_path: Path, opened: Opened, damage: str) -> None:
    path = tmp_path / "cache" / INDEX_NAME
    whole = update_index([folder], path.parent)
    opened.clear()
    if damage == "foreign":
        whole.rows.to_parquet(path)
    else:
        path.write_bytes({"rubbish": b"rubbish", "cut": path.read_bytes()[:-100], "empty": b""}[damage])
    found = update_index([folder], path.parent)
    assert found.report.rebuilt
    assert len(opened.names()) == 4
    assert found.rows.equals(whole.rows)
    assert not update_index([folder], path.parent).report.rebuilt


def test_what_could_not_be_read_is_tried_again(folder: Path, tmp_path: Path, opened: Opened) -> None:
    whole = (folder / "1.h5").read_bytes()
    (folder / "1.h5").write_bytes(whole[: len(whole) // 2])
    cache = tmp_path / "cache"
    assert (update_index([folder], cache).rows["status"] == "unreadable").sum() == 1
    opened.clear()
    update_index([folder], cache)
    assert opened.names() == ["1.h5"]
    (folder / "1.h5").write_bytes(whole)
    assert update_index([folder], cache).rows["status"].tolist() == ["ok", "ok", "ok", "skipped"]


def test_an_index_inside_the_folder_is_no_recording(folder: Path) -> None:
    for _ in range(2):
        source = open_archive([folder], index=folder / "cache")
        assert source.coverage["status"].tolist() == ["skipped"]


def test_a_scan_that_is_interrupted_keeps_what_it_found(
    folder: Path, tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_SAVE_EVERY_S", -1.0)
    monkeypatch.setattr(index, "looks_like_das", lambda _path: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        update_index([folder], tmp_path / "cache")
    monkeypatch.undo()
    monkeypatch.setattr(index, "read_headers", lambda path: (opened.append(path), read_headers(path))[1])
    opened.clear()
    update_index([folder], tmp_path / "cache")
    assert opened.names() == ["notes"]


def test_a_file_that_grows_while_it_is_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_slowly(path: str) -> list[object]:
        found = read_headers(path)
        with Path(path).open("ab") as file:
            file.write(b"more")
        return list(found)

    monkeypatch.setattr(index, "read_headers", read_slowly)
    found = update_index([folder / "0.h5"])
    assert "still being written" in found.rows["reason"].iat[0]
    with pytest.raises(DataFormatError, match="still being written"):
        update_index([folder / "0.h5"], strict=True)


def test_the_key_tells_content_not_place(folder: Path, tmp_path: Path) -> None:
    path, copy = folder / "0.h5", tmp_path / "copy.h5"
    shutil.copy(path, copy)
    size = path.stat().st_size
    key = content_key(str(path), size)
    assert key == content_key(str(copy), size) != content_key(str(folder / "1.h5"), size)
    large = tmp_path / "large"
    large.write_bytes(bytes(10**6))
    before = content_key(str(large), 10**6)
    with large.open("r+b") as file:
        file.seek(10**6 - 1)
        file.write(b"x")
    assert content_key(str(large), 10**6) != before


FACTS = ("shape", "start_time", "dt_s", "dx_m", "unit", "station_id", "start_found", "numbered")


def check_headers(path: Path) -> None:
    """Headers read quickly say what the reader says."""
    for quick, full in zip(read_headers(path), open_source(path), strict=True):
        for name in (*FACTS, "channel_index", "distance_m"):
            np.testing.assert_array_equal(getattr(quick, name), getattr(full, name), name)


@pytest.mark.parametrize("variant", ["plain", "end-exclusive", "year-1970"])
def test_quick_headers_agree_with_the_reader(tmp_path: Path, variant: str) -> None:
    data = np.ones((40, 7), dtype=np.int16)
    changes = {
        "plain": {},
        "end-exclusive": {"PartEndTime": b"2024-01-01T00:00:00.200000+00:00"},
        "year-1970": {
            "PartStartTime": b"1970-01-01T00:00:00.000000+00:00",
            "PartEndTime": b"1970-01-01T00:00:00.195000+00:00",
        },
    }[variant]
    check_headers(write_prodml(tmp_path / "a.h5", data, **changes))


def test_quick_headers_of_real_files_agree_with_the_reader(shared: Path) -> None:
    paths = [path for path in sorted((shared / "data" / "vendor_formats").iterdir()) if path.suffix != ".md"]
    assert len(paths) > 5
    for path in paths:
        if path.name != "febus_2.h5":  # spectra, refused
            check_headers(path)
