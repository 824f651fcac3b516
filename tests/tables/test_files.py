"""Tables keep their contract on the way to disk and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasenet_das import tables
from phasenet_das.config import GeometrySettings
from phasenet_das.errors import ChannelGeometryError, TableError
from phasenet_das.tables.channels import load_channels
from phasenet_das.tables.columns import associated_phase, renamed
from tests.tables_at_hand import graded_events, graded_groups, graded_picks


def _picks(n: int = 20) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    channel = rng.integers(0, 50, n)
    phase = np.where(rng.random(n) < 0.5, "P", "S")
    sample = 1_700_000_000_00 + np.arange(n)
    table = pd.DataFrame(
        {
            "pick_id": tables.make_pick_ids("BRADY", channel, phase, sample),
            "station_id": "BRADY",
            "channel_index": channel,
            "distance_m": channel * 4.0,
            "phase_time": pd.to_datetime(sample * 10_000_000 + 123_456, utc=True),
            "phase_type": phase,
            "phase_score": rng.random(n),
            "phase_amplitude": rng.random(n) * 1e-9,
            "event_index": rng.integers(-1, 3, n),
            "association_score": rng.random(n),
            "travel_time_residual_s": rng.standard_normal(n),
            "note": "kept",
        }
    )
    return tables.conform(table, tables.PICK_COLUMNS)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_picks_survive_a_round_trip(tmp_path: Path, ending: str) -> None:
    picks = _picks()
    path = tables.write_table(picks, tmp_path / f"picks.{ending}", {"weights_id": "x@1"})
    back = tables.read_picks(path)
    exact = [name for name, kind in tables.PICK_COLUMNS.items() if kind != "float32"]
    times = pd.Timedelta("1us" if ending == "csv" else "0ns")
    assert ((back["phase_time"] - picks["phase_time"]).abs() <= times).all()
    for name in exact:
        if name != "phase_time":
            assert back[name].equals(picks[name]), name
    np.testing.assert_allclose(back["phase_score"], picks["phase_score"], rtol=1e-6)
    assert back["note"].eq("kept").all()
    assert {n: str(k) for n, k in back[list(tables.PICK_COLUMNS)].dtypes.items()} == tables.PICK_COLUMNS
    assert tables.read_metadata(path) == {"weights_id": "x@1"}


def test_strings_are_dictionary_encoded_on_disk(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = tables.write_table(_picks(), tmp_path / "picks.parquet")
    assert str(pq.read_schema(path).field("phase_type").type).startswith("dictionary")


@pytest.mark.filterwarnings("error")
def test_what_a_picker_says_beside_its_picks_does_not_hinder_writing(tmp_path: Path) -> None:
    picks = _picks()
    picks.attrs = {"coverage": [{"start": pd.Timestamp("2024-03-01", tz="UTC")}]}
    path = tables.write_table(picks, tmp_path / "picks.parquet")
    assert tables.read_picks(path)["pick_id"].equals(picks["pick_id"])
    assert picks.attrs


def test_equal_tables_give_equal_files(tmp_path: Path) -> None:
    first = tables.write_table(_picks(), tmp_path / "a.parquet", {"a": 1}).read_bytes()
    assert first == tables.write_table(_picks(), tmp_path / "b.parquet", {"a": 1}).read_bytes()


@given(
    channel=st.integers(-1, 10**6),
    sample=st.integers(0, 2**50),
    phase=st.sampled_from("PS"),
    station=st.text(min_size=1, max_size=8),
)
def test_pick_ids_are_stable_and_tell_everything_apart(
    channel: int, sample: int, phase: str, station: str
) -> None:
    other_phase = "S" if phase == "P" else "P"
    ids = tables.make_pick_ids(
        np.array([station, station, station, station, station + "x"]),
        np.array([channel, channel + 1, channel, channel, channel]),
        np.array([phase, phase, other_phase, phase, phase]),
        np.array([sample, sample, sample, sample + 1, sample]),
    )
    assert len(set(ids.tolist())) == 5
    assert (ids >= 0).all()
    assert (
        ids[0] == tables.make_pick_ids(station, np.array([channel]), np.array([phase]), np.array([sample]))[0]
    )


def test_pick_ids_are_the_same_on_every_machine() -> None:
    ids = tables.make_pick_ids("BRADY", np.arange(3), np.array(["P", "S", "P"]), np.arange(3) + 10**12)
    assert ids.tolist() == [2444802779895271916, 5934869731968805443, 5781067855645208524]


def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    table = _picks().rename(columns={"phase_time": "phase_tme"})
    path = tmp_path / "picks.csv"
    table.to_csv(path, index=False)
    with pytest.raises(TableError, match=r"missing column\(s\) phase_time.*Did you mean 'phase_tme'"):
        tables.read_picks(path)


def test_times_without_a_zone_are_utc_and_others_are_converted(tmp_path: Path) -> None:
    path = tmp_path / "picks.csv"
    head = "station_id,channel_index,phase_time,phase_type,phase_score\n"
    path.write_text(head + "A,1,2024-01-01T00:00:00.5,P,0.9\n")
    assert tables.read_picks(path)["phase_time"][0] == pd.Timestamp("2024-01-01T00:00:00.5Z")
    path.write_text(head + "A,1,2024-01-01T01:00:00+01:00,P,0.9\nA,2,2024-01-01T00:00:00.25Z,P,0.9\n")
    picks = tables.read_picks(path)
    assert picks["phase_time"][0] == pd.Timestamp("2024-01-01T00:00:00Z")
    assert picks["event_index"][0] == -1
    assert np.isnan(picks["distance_m"][0])


MINIMAL = "station_id,channel_index,phase_time,phase_type,phase_score\n"
GOOD_ROW = "A,1,2024-01-01T00:00:00Z,P,0.9\n"


@pytest.mark.parametrize("time", ["1458545858.656188", "1458545858656187912", "1458545858"])
def test_a_number_is_no_time(tmp_path: Path, time: str) -> None:
    """It would silently become a moment of 1970, or not, by what it counts."""
    path = tmp_path / "picks.csv"
    path.write_text(MINIMAL + f"A,1,{time},P,0.9\n")
    with pytest.raises(
        TableError, match=r"picks.csv: .*phase_time is 1\S+ in row 1, expected ISO 8601.*from_pyocto"
    ):
        tables.read_picks(path)
    numbers = _picks().assign(phase_time=pd.Series([float(time)] * 20, dtype=object))
    with pytest.raises(TableError, match="phase_time is 1"):
        tables.conform(numbers, tables.PICK_COLUMNS)
    events = pd.DataFrame({name: [0] for name in tables.EVENT_COLUMNS}).assign(time=float(time))
    with pytest.raises(TableError, match=r"events: .*time is 1\S+ in row 1, expected ISO 8601"):
        tables.conform(events, tables.EVENT_COLUMNS, "events")


def test_no_time_at_all_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "coverage.csv"
    path.write_text(
        "station_id,start,end,first_channel,last_channel,num_channels,status,reason,source\n"
        "A,,,0,0,0,unreadable,broken,a.h5\n"
    )
    assert tables.read_coverage(path)["start"].isna().all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("A,3.5,2024-01-01T00:00:00Z,P,0.9", "channel_index is 3.5 in row 2, expected whole numbers"),
        ("A,,2024-01-01T00:00:00Z,P,0.9", "channel_index is nan in row 2, expected whole numbers"),
        ("A,3000000000,2024-01-01T00:00:00Z,P,0.9", "channel_index is 3000000000 in row 2, expected whole"),
        ("A,two,2024-01-01T00:00:00Z,P,0.9", "channel_index is two in row 2, expected numbers"),
        ("A,2,2024-01-01T00:00:00Z,P,76.6", "phase_score is 76.6 in row 2, expected probabilities"),
        ("A,2,2024-01-01T00:00:00Z,P,-0.1", "phase_score is -0.1 in row 2, expected probabilities"),
        ("A,2,2024-01-01T00:00:00Z,P,high", "phase_score is high in row 2, expected numbers"),
        ("A,2,noon,P,0.9", "phase_time is noon in row 2, expected ISO 8601"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_row(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "picks.csv"
    path.write_text(MINIMAL + GOOD_ROW + row + "\n")
    with pytest.raises(TableError, match=f"picks.csv: a value does not fit its column: {message}"):
        tables.read_picks(path)


def test_an_event_that_is_not_known_is_none(tmp_path: Path) -> None:
    path = tmp_path / "picks.csv"
    head = MINIMAL.replace("\n", ",event_index\n")
    path.write_text(
        head + GOOD_ROW.replace("\n", ",\n") + GOOD_ROW.replace("A,1", "A,2").replace("\n", ",4\n")
    )
    assert tables.read_picks(path)["event_index"].tolist() == [-1, 4]


def test_hints_name_what_the_file_has(tmp_path: Path) -> None:
    path = tmp_path / "picks.csv"
    path.write_text("station_id,channel_index,moment,phase_type,phase_score\nA,1,2024-01-01,P,0.9\n")
    with pytest.raises(TableError) as caught:
        tables.read_picks(path)
    assert "missing column(s) phase_time." in str(caught.value)
    assert "phase_amplitude" not in str(caught.value)
    assert "pick_id" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "reader"),
    [
        ("id,timestamp,prob,type,amp", "from_gamma"),
        ("station,phase,time,probability", "from_pyocto"),
        ("trace_id,start_time,peak_time,phase,peak_value", "from_seisbench"),
        ("channel_index,phase_time,phase_type,phase_index", "from_quakeflow"),
    ],
)
def test_tables_of_other_packages_are_recognised(tmp_path: Path, header: str, reader: str) -> None:
    path = tmp_path / "picks.csv"
    path.write_text(header + "\n" + ",".join("1" for _ in header.split(",")) + "\n")
    with pytest.raises(TableError, match=rf"phasenet_das\.tables\.{reader} "):
        tables.read_picks(path)
    assert reader in tables.__all__


def test_the_caller_names_the_cable_of_a_table_that_does_not(tmp_path: Path) -> None:
    path = tmp_path / "picks.csv"
    path.write_text("channel_index,phase_time,phase_type,phase_score\n1,2024-01-01T00:00:00Z,P,0.9\n")
    with pytest.raises(TableError, match=r"missing column\(s\) station_id.*--station-id"):
        tables.read_picks(path)
    picks = tables.read_picks(path, "B")
    assert picks["station_id"].tolist() == ["B"]
    path.write_text(MINIMAL + GOOD_ROW + GOOD_ROW.replace("A", ""))
    assert tables.read_picks(path, "B")["station_id"].tolist() == ["A", "B"]


@pytest.mark.parametrize("content", [b"", b"\x00\x01garbage", b"PAR1 but not really"])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picks.parquet"
    path.write_bytes(content)
    with pytest.raises(TableError, match="cannot be read"):
        tables.read_picks(path)


def test_a_value_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    table = _picks().astype({"phase_score": object})
    table.loc[3, "phase_score"] = "high"
    path = tmp_path / "picks.csv"
    table.to_csv(path, index=False)
    with pytest.raises(TableError, match="does not fit"):
        tables.read_picks(path)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.csv"

    def write_half() -> None:
        with tables.atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list(path.parent.iterdir()) == []


def test_overlapping_files_give_each_pick_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picks = _picks()
    first = tables.write_table(picks.iloc[:12], tmp_path / "a.parquet")
    second = tables.write_table(picks.iloc[8:], tmp_path / "b.parquet")
    with caplog.at_level("WARNING"):
        both = tables.read_pick_tables([first, second])
    assert sorted(both["pick_id"]) == sorted(picks["pick_id"])
    assert "4 rows repeat a pick" in caplog.text
    moved = picks.assign(phase_time=picks["phase_time"] + pd.Timedelta("3ms"))
    third = tables.write_table(moved.iloc[8:], tmp_path / "c.csv")
    assert len(tables.read_pick_tables([first, third])) == len(picks)


@pytest.mark.parametrize("change", ["station_id", "channel_index", "phase_type", "phase_time"])
def test_ids_that_name_different_picks_lose_none(tmp_path: Path, change: str) -> None:
    """Each file counts its picks from 0; silence would keep those of the first file alone."""
    picks = _picks(4).assign(pick_id=range(4), channel_index=1, phase_type="P")
    later = picks["phase_time"] + pd.Timedelta("1min")
    other = {"station_id": "X", "channel_index": 2, "phase_type": "S", "phase_time": later}[change]
    first = tables.write_table(picks, tmp_path / "a.parquet")
    second = tables.write_table(picks.assign(**{change: other}), tmp_path / "b.parquet")
    with pytest.raises(TableError, match=r"b.parquet: pick_id 0 names .*a.parquet.*So do 4 row.*pick_id out"):
        tables.read_pick_tables([first, second])
    bare = [
        tables.write_table(tables.read_picks(path).drop(columns="pick_id"), path) for path in (first, second)
    ]
    assert len(tables.read_pick_tables(bare)) == 8
    alone = tables.write_table(
        picks.assign(pick_id=1, phase_time=later + np.arange(4) * pd.Timedelta("1s")), first
    )
    with pytest.raises(TableError, match="So do 3 row"):
        tables.read_pick_tables([alone])


def test_channels_accept_the_index_column_and_refuse_doubles(tmp_path: Path) -> None:
    path = tmp_path / "das_info.csv"
    path.write_text("index,longitude,latitude,elevation_m\n1,-117.5,35.7,700\n2,-117.4,35.7,710\n")
    channels = tables.read_channels(path, "CABLE")
    assert channels["channel_index"].tolist() == [1, 2]
    assert channels["status"].tolist() == ["ok", "ok"]
    with pytest.raises(ChannelGeometryError, match="station_id"):
        tables.read_channels(path)
    path.write_text("index,longitude,latitude,elevation_m\n1,-117.5,35.7,700\n1,-117.4,35.7,710\n")
    with pytest.raises(ChannelGeometryError, match="twice"):
        tables.read_channels(path, "CABLE")
    back = tables.read_channels(tables.write_channels(channels, tmp_path / "out.csv"))
    pd.testing.assert_frame_equal(back, channels)


def test_names_of_digits_stay_names_in_csv(tmp_path: Path) -> None:
    picks, channels = tmp_path / "picks.csv", tmp_path / "channels.csv"
    picks.write_text(
        "station_id,channel_index,phase_time,phase_type,phase_score\n007,1,2024-01-01T00:00:00Z,P,0.5\n"
    )
    channels.write_text("station_id,channel_index,longitude,latitude,elevation_m\n007,1,-118,39,1200\n")
    assert tables.read_picks(picks)["station_id"].tolist() == ["007"]
    assert tables.read_channels(channels)["station_id"].tolist() == ["007"]
    renamed = GeometrySettings(path=str(channels), columns={"station_id": "cable"})
    channels.write_text("cable,channel_index,longitude,latitude,elevation_m\n007,1,-118,39,1200\n")
    assert load_channels(renamed, None)["station_id"].tolist() == ["007"]


def test_a_catalog_is_one_table_of_picks_or_one_a_day(tmp_path: Path, events, picks, caplog) -> None:
    with pytest.raises(TableError, match="no events"):
        tables.read_catalog(tmp_path)
    tables.write_table(events, tmp_path / "events.parquet")
    with pytest.raises(TableError, match="no picks"):
        tables.read_catalog(tmp_path)
    for number, part in enumerate((picks.iloc[:300], picks.iloc[300:])):
        tables.write_table(part, tmp_path / "picks" / f"2020-01-0{number + 1}.parquet")
    found, by_day = tables.read_catalog(tmp_path)
    pd.testing.assert_frame_equal(found, events)
    assert by_day["pick_id"].tolist() == picks["pick_id"].tolist()
    assert not caplog.records
    tables.write_table(picks[picks["event_index"] != 1], tmp_path / "picks.parquet")
    assert set(tables.read_catalog(tmp_path)[1]["event_index"]) == {-1, 0}
    assert "1 of 2 events" in caplog.text


def test_no_pick_tables_are_an_error() -> None:
    with pytest.raises(TableError, match="empty list"):
        tables.read_pick_tables([])


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_groups_classes_and_renamed_picks_survive_a_round_trip(tmp_path: Path, ending: str) -> None:
    groups = tables.read_groups(tables.write_table(graded_groups(), tmp_path / f"groups.{ending}"))
    pd.testing.assert_frame_equal(groups, graded_groups())
    events = tables.read_events(tables.write_table(graded_events(), tmp_path / f"events.{ending}"))
    assert events["quality"].tolist() == list("ABCDD")
    assert events["num_renamed"].tolist() == [0, 20, 3, 0, 0]
    picks = tables.read_picks(tables.write_table(graded_picks(), tmp_path / f"picks.{ending}"))
    assert picks["associated_phase"].tolist() == graded_picks()["associated_phase"].tolist()
    assert picks["group_index"].value_counts().to_dict() == {-1: 2000, 0: 40}
    assert renamed(picks).sum() == 20
    assert set(picks.loc[renamed(picks), "phase_type"]) == {"P"}
    assert set(associated_phase(picks)[renamed(picks)]) == {"S"}


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_events_of_earlier_versions_have_no_class_and_no_renamed_pick(tmp_path: Path, ending: str) -> None:
    old = graded_events().drop(columns=["quality", "num_renamed"])
    events = tables.read_events(tables.write_table(old, tmp_path / f"events.{ending}"))
    assert list(events.columns[: len(tables.EVENT_COLUMNS)]) == list(tables.EVENT_COLUMNS)
    assert events["quality"].eq("").all()
    assert events["num_renamed"].tolist() == [0] * 5


def test_new_events_must_have_a_class() -> None:
    with pytest.raises(TableError, match=r"missing column\(s\) num_renamed, quality"):
        tables.conform(graded_events().drop(columns=["quality", "num_renamed"]), tables.EVENT_COLUMNS)


def test_picks_of_earlier_versions_keep_the_phase_of_the_picker() -> None:
    picks = graded_picks().drop(columns="associated_phase")
    assert associated_phase(picks).equals(picks["phase_type"])
    assert not renamed(picks).any()


def test_the_picks_of_phasenet_are_those_of_seismometers(tmp_path: Path) -> None:
    path = tmp_path / "picks.csv"
    path.write_text(
        "file_name,begin_time,station_id,phase_index,phase_time,phase_score,phase_amp,phase_type\n"
        "a.mseed,2020-01-01T00:00:00.000,CI.CCC..HH,1005,2020-01-01T00:00:10.050,0.9,1e-6,p\n"
    )
    found = tables.read_picks(path)
    assert found["station_id"].tolist() == ["CI.CCC..HH"]
    assert found["channel_index"].tolist() == [-1]
    assert found["phase_type"].tolist() == ["P"]
    assert found["phase_amplitude"].tolist() == pytest.approx([1e-6])
    assert found["phase_time"].iloc[0] == pd.Timestamp("2020-01-01T00:00:10.050Z")


def test_a_station_table_in_place_of_a_channel_table_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "stations.csv"
    path.write_text("station_id,longitude,latitude,elevation_m\nCI.CCC,-117.4,35.5,670\n")
    with pytest.raises(TableError, match=r"missing column\(s\) channel_index.*--stations"):
        tables.read_channels(path)


@pytest.mark.parametrize("name", ["NA", "NULL", "None", "nan", "007"])
def test_any_word_names_a_station(tmp_path: Path, name: str) -> None:
    picks = graded_picks().assign(station_id=name)
    path = tables.write_table(picks, tmp_path / "picks.csv")
    assert set(tables.read_picks(path, "OTHER")["station_id"]) == {name}


def test_a_pick_without_a_station_is_refused(tmp_path: Path) -> None:
    path = tables.write_table(graded_picks().assign(station_id=""), tmp_path / "picks.csv")
    with pytest.raises(TableError, match="station_id is nan in row 1"):
        tables.read_picks(path)
    assert set(tables.read_picks(path, "CABLE")["station_id"]) == {"CABLE"}


@pytest.mark.parametrize("row", ["A;1;2024-01-01T00:00:00Z;P;0,9", "A;1;2024-01-01T00:00:00Z;P;0.9"])
def test_semicolons_between_columns_are_named_in_every_table(tmp_path: Path, row: str) -> None:
    path = tmp_path / "picks.csv"
    path.write_text(MINIMAL.replace(",", ";") + "A;1;2024-01-01T00:00:00Z;P;1\n" + row + "\n")
    for read in (tables.read_picks, tables.read_events, tables.read_coverage):
        with pytest.raises(TableError, match="found semicolons between the columns"):
            read(path)
