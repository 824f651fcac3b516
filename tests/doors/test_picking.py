"""Every way to pick gives one table, and a range of time or of channels does not show."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from phasenet_das import io
from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings
from phasenet_das.errors import ChannelGeometryError, ConfigError, PhaseNetDASError, TableError
from phasenet_das.io.archive import open_archive
from phasenet_das.io.recording import recording_of_patch
from phasenet_das.picking import check_request, load_picker, pick_archive
from phasenet_das.tables import read_coverage, read_metadata, read_picks
from phasenet_das.watch import Watcher
from tests.picking.small_pickers import assert_same_picks, small_picker

START = np.datetime64("2024-05-06T07:08:09.120", "ns")
CHANNELS, SAMPLES, DT_S = 24, 2400, 0.01
CUTS = [0, 777, 1300, SAMPLES]
DATA = DataSettings(station_id="CABLE")
SHORT = ContinuousSettings(chunk_s=8.0, chunk_channels=12)


@cache
def _noise() -> np.ndarray:
    return np.random.default_rng(11).standard_normal((CHANNELS, 3600)).astype(np.float32)[:, :SAMPLES]


def _patch(first: int = 0, end: int = SAMPLES) -> Any:
    return io.make_patch(
        _noise()[:, first:end],
        start_time=START + np.timedelta64(first * 10, "ms"),
        dt_s=DT_S,
        distance_m=np.arange(CHANNELS) * 4.0,
        station_id="CABLE",
        unit="strain / s",
    )


def _stream() -> Any:
    import obspy

    header = {"network": "XX", "channel": "HSF", "delta": DT_S, "starttime": obspy.UTCDateTime(str(START))}
    traces = [
        obspy.Trace(row, {**header, "station": f"C{number:03d}"}) for number, row in enumerate(_noise())
    ]
    return obspy.Stream(traces)


def _spool() -> Any:
    import dascore

    return dascore.spool([_patch(*span) for span in itertools.pairwise(CUTS)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording in one file, and cut into several."""
    root = tmp_path_factory.mktemp("doors")
    (root / "cut").mkdir()
    io.write_quakeflow(_patch(), root / "whole.h5")
    for number, (first, end) in enumerate(itertools.pairwise(CUTS)):
        io.write_quakeflow(_patch(first, end), root / "cut" / f"{number}.h5")
    return root


@cache
def _whole(kind: str, *options: tuple[str, Any]) -> pd.DataFrame:
    return small_picker(kind).pick(_patch(), **dict(options))


def _pick_to_disk(kind: str, source: Any, output: Path) -> pd.DataFrame:
    pick_archive(small_picker(kind), source, output, data=DATA, continuous=SHORT)
    return read_picks(output)


def _watch(kind: str, source: Path, output: Path) -> pd.DataFrame:
    watcher = Watcher(small_picker(kind), [str(source)], output, data=DATA, continuous=SHORT)
    watcher.step(1e12)
    watcher.close()
    return read_picks(output / "picks.parquet")


@pytest.mark.parametrize("kind", ["tile", "window"])
def test_every_door_gives_one_table(folder: Path, tmp_path: Path, kind: str) -> None:
    picker, cut = small_picker(kind), folder / "cut"
    files = sorted(cut.glob("*.h5"))
    tables = {
        "file": picker.pick(folder / "whole.h5", station_id="CABLE"),
        "text": picker.pick(str(folder / "whole.h5"), data=DATA),
        "folder": picker.pick(cut, data=DATA, continuous=SHORT),
        "list of files": picker.pick(files, data=DATA),
        "archive": picker.pick(open_archive([cut], DATA)),
        "recording": picker.pick(recording_of_patch(_patch())),
        "list of patches": picker.pick([_patch(*span) for span in itertools.pairwise(CUTS)]),
        "spool": picker.pick(_spool()),
        "array of xarray": picker.pick(_patch().io.to_xarray(), data=DATA),
        "pick_archive": _pick_to_disk(kind, [str(cut)], tmp_path / "folder.parquet"),
        "pick_archive of a patch": _pick_to_disk(kind, _patch(), tmp_path / "patch.parquet"),
        "pick_archive of an archive": _pick_to_disk(kind, open_archive([cut], DATA), tmp_path / "a.csv"),
        "watch": _watch(kind, cut, tmp_path / "live"),
    }
    for name, table in tables.items():
        try:
            assert_same_picks(_whole(kind), table, least=len(_whole(kind)) - 2)
        except AssertionError as error:
            raise AssertionError(f"by {name}: {error}") from error
    stream = picker.pick(_stream(), station_id="CABLE")  # its traces carry no distances
    assert_same_picks(_whole(kind).assign(distance_m=np.nan), stream)


def _assert_joined(whole: pd.DataFrame, parts: list[pd.DataFrame]) -> None:
    """Assert that tables are the whole table, each row once; rows at the threshold may come or go."""
    joined = pd.concat([part for part in parts if len(part)], ignore_index=True)
    assert_same_picks(whole, joined)
    assert len(joined) > 20


@settings(max_examples=10, deadline=None)
@given(
    case=st.sampled_from(
        [
            ("tile", {}),
            ("tile", {"rate": (100.0, 50.0, 25.0)}),
            ("tile", {"common_mode": "median", "average_channels": 3}),
            ("tile-array", {}),
            ("window", {}),
            ("window", {"common_mode": "median"}),
            ("window", {"bandpass_hz": (2.0, 30.0), "average_channels": 5}),
            ("picture", {}),
        ]
    ),
    second=st.floats(0.5, 23.5),
    channel=st.integers(1, CHANNELS - 1),
    in_chunks=st.booleans(),
)
@example(case=("tile", {}), second=17.77, channel=13, in_chunks=True)
@example(case=("window", {}), second=8.003, channel=7, in_chunks=False)
@example(case=("picture", {}), second=20.0, channel=11, in_chunks=False)
@example(
    case=("tile", {"common_mode": "median", "average_channels": 3}), second=12.3, channel=10, in_chunks=True
)
def test_a_range_of_time_or_channels_does_not_show(
    case: tuple[str, dict[str, Any]], second: float, channel: int, *, in_chunks: bool
) -> None:
    (kind, options), picker = case, small_picker(case[0])
    if in_chunks and kind != "picture":
        options = {**options, "continuous": SHORT.model_copy(update={"chunk_s": 11.0})}
    whole = _whole(kind, *options.items())
    b = START + np.timedelta64(round(second * 1e9), "ns")
    before, after = picker.pick(_patch(), end=b, **options), picker.pick(_patch(), start=b, **options)
    assert (before["phase_time"] < pd.Timestamp(b, tz="UTC")).all()
    assert (after["phase_time"] >= pd.Timestamp(b, tz="UTC")).all()
    _assert_joined(whole, [before, after])
    low = picker.pick(_patch(), channel_range=(0, channel), **options)
    high = picker.pick(_patch(), channel_range=(channel, CHANNELS), **options)
    assert (low["channel_index"] < channel).all()
    assert (high["channel_index"] >= channel).all()
    _assert_joined(whole, [low, high])


def test_coverage_lists_the_range_only(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "picks.parquet"
    report = pick_archive(
        small_picker(),
        folder / "cut",
        output,
        data=DATA,
        continuous=SHORT,
        start=START + np.timedelta64(10_500, "ms"),
        end=START + np.timedelta64(21_000, "ms"),
        channel_range=(3, 17),
    )
    coverage = read_coverage(tmp_path / "picks.coverage.csv")
    assert coverage["status"].tolist() == ["examined"]
    assert (coverage["end"] - coverage["start"]).dt.total_seconds().tolist() == [10.5]
    assert coverage[["first_channel", "last_channel", "num_channels"]].to_numpy().tolist() == [[3, 16, 14]]
    inputs = [Path(path).name for path in read_metadata(output)["inputs"]]
    assert inputs == ["1.h5", "2.h5"]
    picks = read_picks(output)
    whole = _whole("tile")
    second = (whole["phase_time"] - pd.Timestamp(START, tz="UTC")).dt.total_seconds()
    inside = whole[(second >= 10.5) & (second < 21) & whole["channel_index"].between(3, 16)]
    assert_same_picks(inside, picks)
    assert report.summary.num_picks == len(picks)


def test_a_channel_range_in_the_data_settings_selects_too(folder: Path) -> None:
    picker = small_picker("picture")
    whole = picker.pick(_patch())
    part = picker.pick(folder / "whole.h5", data=DATA.model_copy(update={"channel_range": (5, 12)}))
    assert_same_picks(whole[whole["channel_index"].between(5, 11)], part)


def test_chunks_of_another_range_are_used_again(folder: Path, tmp_path: Path) -> None:
    shorter = SHORT.model_copy(update={"chunk_s": 2.0})
    output, options = tmp_path / "picks.parquet", {"data": DATA, "continuous": shorter}
    first = pick_archive(small_picker("window"), folder / "cut", output, **options)
    later = START + np.timedelta64(11, "s")
    second = pick_archive(small_picker("window"), folder / "cut", output, start=later, **options)
    assert second.reused >= 0.8 * second.num_chunks
    assert second.num_chunks < first.num_chunks


def test_empty_ranges_are_errors(folder: Path) -> None:
    picker = small_picker()
    with pytest.raises(PhaseNetDASError, match="no recording in this range of time"):
        picker.pick(folder / "cut", data=DATA, start="2030-01-01")
    with pytest.raises(ConfigError, match="no channel in the range 90:95"):
        picker.pick(_patch(), channel_range=(90, 95))
    with pytest.raises(ConfigError, match="start before the end"):
        picker.pick(_patch(), start="2024-05-07", end="2024-05-06")


@pytest.mark.parametrize("options", [{"rate": "model"}, {"rate": (100.0, 50.0)}, {"average_channels": 2}])
def test_picks_are_peaks_of_the_scores(options: dict[str, Any]) -> None:
    picker = small_picker()
    end = START + np.timedelta64(20, "s")
    picks = picker.pick(_patch(), end=end, channel_range=(2, 20), **options)
    scores = picker.annotate(_patch(), end=end, channel_range=(2, 20), **options)
    assert len(scores) == (1 if options.get("rate") == "model" else 2)
    peaks = [_peaks(one) for one in scores]
    assert len(picks) > 20
    for pick in picks.itertuples():
        times, heights = zip(*(one[pick.phase_type, pick.channel_index] for one in peaks), strict=True)
        off = [np.abs(seconds - pick.phase_time.value * 1e-9) for seconds in times]
        assert any(
            (one <= 0.51 / array.attrs["rate_hz"]).any() for one, array in zip(off, scores, strict=True)
        )
        near = np.concatenate([height[one < 0.65] for one, height in zip(off, heights, strict=True)])
        assert np.abs(near - pick.phase_score).min() < 1e-6


def _peaks(scores: Any) -> dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]:
    """Times (s) and heights of the local maxima of each phase and channel."""
    seconds = scores["time"].to_numpy().astype(np.int64) * 1e-9
    found = {}
    for phase in ("P", "S"):
        for channel in scores["channel"].to_numpy().tolist():
            row = scores.sel(phase=phase, channel=channel).to_numpy()
            top = np.r_[row[0] > row[1], (row[1:-1] > row[:-2]) & (row[1:-1] >= row[2:]), row[-1] > row[-2]]
            found[phase, channel] = seconds[top], row[top]
    return found


@pytest.mark.parametrize(
    ("option", "right"),
    [
        ("weights", "load_picker"),
        ("device", "load_picker"),
        ("weights_sha256", "load_picker"),
        ("P_threshold", "min_score_p"),
        ("S_threshold", "min_score_s"),
    ],
)
def test_options_of_other_doors_are_refused_with_the_right_name(option: str, right: str) -> None:
    with pytest.raises(ConfigError, match=right):
        small_picker().pick(_patch(), **{option: "x"})


def test_provenance_names_the_weights_that_were_used(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "picks.parquet"
    pick_archive(small_picker(), folder / "whole.h5", output, PickSettings(min_score=0.4), data=DATA)
    written = read_metadata(output)
    assert written["settings"]["weights"] == "tile"
    assert written["weights_id"].startswith("tile@")


def test_all_problems_are_named_in_one_error(tmp_path: Path) -> None:
    def no_geometry() -> None:
        raise ChannelGeometryError("channels.csv is missing")

    with pytest.raises(ConfigError) as raised:
        check_request(
            [str(tmp_path / "nothing")],
            tmp_path / "picks.txt",
            PickSettings(weights="phasenet-dos", device="gpu"),
            start="2024-05-07",
            end="2024-05-06",
            further=[no_geometry],
        )
    for word in ("6 problems", "picks.txt", "no recording found", "phasenet-das", "'gpu'", "start before"):
        assert word in str(raised.value)
    assert "channels.csv is missing" in str(raised.value)
    with pytest.raises(TableError):
        check_request(output=tmp_path / "picks.txt")
    check_request()


def test_a_run_checks_its_request_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)2 problems.*no recording found.*p\.txt"):
        pick_archive(small_picker(), tmp_path / "nothing", tmp_path / "p.txt")
    assert not list(tmp_path.iterdir())


@pytest.mark.shared
@pytest.mark.parametrize(("name", "channels"), [("phasenet-das", (2500, 3000)), ("phasenet", (2500, 2670))])
def test_brady_cut_in_three_loses_and_invents_nothing(
    shared: Path, name: str, channels: tuple[int, int]
) -> None:
    path = shared / "data" / "das_events" / "brady_porotomo_20160321_M4.3.h5"
    patch, picker = io.read(path, channels=channels), load_picker(name, device="cpu")
    whole = picker.pick(patch, station_id="BRADY")
    cuts = [None, "2016-03-21T07:37:45", "2016-03-21T07:38:00", None]
    parts = [
        picker.pick(patch, start=start, end=end, station_id="BRADY")
        for start, end in itertools.pairwise(cuts)
    ]
    joined = pd.concat(parts, ignore_index=True)
    assert len(whole) > 300
    assert sorted(joined["pick_id"]) == sorted(whole["pick_id"])
    scores = [table.sort_values("pick_id")["phase_score"].to_numpy() for table in (whole, joined)]
    assert_allclose(*scores, atol=1e-3)
