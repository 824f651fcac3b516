"""Every situation of the bad files, through every door that reads: the right recordings, or a refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io import open_archive
from phasenet_das.io.archive import archive_of_source
from phasenet_das.io.formats import open_source, read_headers
from phasenet_das.io.metadata import UserMetadata
from tests.io.bad_files import SITUATIONS, Situation
from tests.io.vendor_files import CHANNELS, START, change, miniseed, prodml, quakeflow, regular, waves

pytestmark = pytest.mark.filterwarnings("ignore:Failed to scan:UserWarning")


@pytest.fixture(params=SITUATIONS, ids=lambda situation: f"{situation.kind}-{situation.name}")
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Situation, Path]:
    """Each bad file in turn, written."""
    situation: Situation = request.param
    return situation, situation.make(tmp_path)


def test_recordings_are_the_right_ones_or_the_file_is_refused(bad: tuple[Situation, Path]):
    situation, path = bad
    right = situation.right
    if right.refused:
        with pytest.raises(PhaseNetDASError, match=right.refused) as caught:
            archive_of_source(path, UserMetadata(**situation.stated))
        assert str(path) in str(caught.value)
        return
    found = open_source(path)
    for quick, full in zip(read_headers(path), found, strict=True):
        for name in ("start_ns", "dt_s", "num_samples", "unit", "channel_index", "distance_m", "warnings"):
            np.testing.assert_array_equal(getattr(quick, name), getattr(full, name), name)
    starts = [START if np.isnat(item.start_time) else item.start_time for item in found]
    spans = [float((start - START) / np.timedelta64(1, "ns")) * 1e-9 for start in starts]
    assert spans == pytest.approx([start for start, _ in right.spans], abs=1e-4)
    assert [item.num_samples for item in found] == [count for _, count in right.spans]
    assert [item.dt_s for item in found] == pytest.approx([right.dt_s] * len(found), rel=2e-6)
    if right.distance_m:
        assert found[0].distance_m[[0, -1]] == pytest.approx(right.distance_m, abs=1e-3)
    assert right.unit is None or {item.unit for item in found} == {right.unit}
    said = " ".join(note for item in found for note in item.warnings)
    assert right.warned in said
    assert right.warned or "used" not in said


def test_each_sample_keeps_its_time_and_gaps_are_in_the_coverage(bad: tuple[Situation, Path]):
    situation, path = bad
    right = situation.right
    if right.refused:
        good = prodml(path.parent / "good.h5", regular())
        rows = open_archive([path, good]).coverage
        assert rows.loc[rows["status"] == "unreadable", "reason"].str.contains(
            str(path), regex=False
        ).tolist() == [True]
        return
    archive = archive_of_source(path, UserMetadata(**situation.stated))
    order = sorted(range(len(right.spans)), key=lambda k: right.spans[k])
    spans = [right.spans[k] for k in order]
    ends = [start + count * right.dt_s for start, count in spans]
    gaps = [start - end for (start, _), end in zip(spans[1:], ends[:-1], strict=True)]
    assert (archive.coverage["status"] == "gap").sum() == sum(gap > right.dt_s for gap in gaps)
    assert (archive.coverage["status"] == "overlapped").sum() == sum(gap < -right.dt_s for gap in gaps)
    skipped = [0, *(max(0, round(-gap / right.dt_s)) for gap in gaps)]
    found = open_source(path)
    blocks = [found[k].load()[:, skip:] for k, skip in zip(order, skipped, strict=True)]
    loaded = [item.load() for item in archive.recordings]
    assert [block.shape for block in loaded] == [block.shape for block in blocks]
    np.testing.assert_array_equal(np.concatenate(loaded, axis=1), np.concatenate(blocks, axis=1))
    for item, block in zip(archive.recordings, loaded, strict=True):
        middle = slice(item.num_samples // 3, 2 * item.num_samples // 3)
        np.testing.assert_array_equal(item.load(slice(1, 4), middle), block[1:4, middle])


def test_networks_that_number_their_channels_alike_are_two_cables(tmp_path: Path):
    found = open_source(miniseed(tmp_path / "a.mseed", networks=("XX", "YY")))
    assert [item.station_id for item in found] == ["XX", "YY"]
    for item in found:
        np.testing.assert_array_equal(item.channel_index, range(CHANNELS))
        np.testing.assert_array_equal(item.load(), waves().T)


def test_packed_numbers_are_unpacked_and_other_scales_are_named(tmp_path: Path):
    path = quakeflow(tmp_path / "a.h5", regular())
    packed = change(path, "data", lambda values: values, scale_factor=0.5, add_offset=3.0, _FillValue=7)
    (found,) = open_source(packed)
    expected = np.where(waves().T == 7, np.nan, waves().T * 0.5 + 3.0)
    np.testing.assert_array_equal(found.load(), expected)
    assert found.dtype == np.float32
    assert not found.warnings
    (found,) = open_source(change(path, "data", lambda values: values, gain=4.0))
    assert "gain = 4.0" in " ".join(found.warnings)


def test_links_in_a_circle_are_skipped_by_name(tmp_path: Path):
    (tmp_path / "loop.h5").symlink_to(tmp_path / "loop.h5")
    prodml(tmp_path / "good.h5", regular())
    for inputs in ([tmp_path], [f"{tmp_path}/*.h5"]):
        archive = open_archive(inputs)
        assert len(archive.recordings) == 1
        assert archive.coverage["reason"].str.contains("loop.h5: cannot be opened", regex=False).sum() == 1


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"<?xml version='1.0'?>", "XML"),
        (b"station,time\n", "found text"),
        (b"\x00\x01\x02", "unknown binary"),
    ],
)
def test_a_file_that_is_no_recording_is_named_by_its_content(content: bytes, named: str, tmp_path: Path):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(PhaseNetDASError, match=named):
        open_source(path)
