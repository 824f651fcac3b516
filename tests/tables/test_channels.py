"""Channel positions come from any table, and nothing about them is guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phasenet_das.config import GeometrySettings
from phasenet_das.errors import ChannelGeometryError, TableError
from phasenet_das.tables import read_channels, write_table
from phasenet_das.tables.channels import (
    load_channels,
    only_station,
    read_stations,
    receivers_of,
    within_recording,
)

UTM = "Channel,X,Y,Z\nnumber,m,m,m\n1,0,0,0\n2,328547.35,4408419.22,1246.3\n3,328548.35,4408419.22,1246.4\n"
COLUMNS = {"channel_index": "Channel", "x_m": "X", "y_m": "Y", "elevation_m": "Z"}


@pytest.fixture
def utm_file(tmp_path: Path) -> str:
    path = tmp_path / "utm.csv"
    path.write_text(UTM)
    return str(path)


def test_projected_coordinates_become_longitude_and_latitude(utm_file: str) -> None:
    settings = GeometrySettings(path=utm_file, columns=COLUMNS, crs="EPSG:32611", skip_rows=1)
    channels = load_channels(settings, "BRADY")
    assert channels is not None
    assert channels["channel_index"].tolist() == [2, 3]  # channel 1 has no coordinates
    assert channels["longitude"][0] == pytest.approx(-119.0029, abs=1e-3)
    assert channels["latitude"][0] == pytest.approx(39.8085, abs=1e-3)
    assert channels["station_id"].eq("BRADY").all()
    metres_apart = np.diff(channels["longitude"])[0] * 111_195 * np.cos(np.radians(39.8))
    assert metres_apart == pytest.approx(1.0, abs=0.02)


def test_a_missing_projection_or_column_is_named(utm_file: str) -> None:
    with pytest.raises(ChannelGeometryError, match=r"geometry\.crs"):
        load_channels(GeometrySettings(path=utm_file, columns=COLUMNS, skip_rows=1), "B")
    wrong = {**COLUMNS, "channel_index": "Chanel"}
    with pytest.raises(ChannelGeometryError, match="Did you mean 'Channel'"):
        load_channels(GeometrySettings(path=utm_file, columns=wrong, crs="EPSG:32611", skip_rows=1), "B")


def test_an_absent_file_is_an_error_unless_it_is_optional(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ChannelGeometryError, match="no such file"):
        load_channels(GeometrySettings(path="nowhere.csv"), "B")
    assert load_channels(GeometrySettings(path="nowhere.csv", optional=True), "B") is None
    assert "going on without" in caplog.text
    assert load_channels(GeometrySettings(), "B") is None


def test_bad_channels_are_left_out_and_all_bad_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    head = "channel_index,status,latitude,longitude,elevation_m\n"
    path.write_text(head + "0,bad,,,\n1,good,35.7,-117.5,700\n2,bad,35.7,-117.5,700\n")
    channels = load_channels(GeometrySettings(path=str(path)), "C")
    assert channels is not None
    assert channels["channel_index"].tolist() == [1]
    path.write_text(head + "0,bad,,,\n")
    with pytest.raises(ChannelGeometryError, match="none of its 1 receivers"):
        load_channels(GeometrySettings(path=str(path)), "C")


def _picks() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "station_id": ["A", "A", "B", "A"],
            "channel_index": [5, 3, -1, 5],
            "distance_m": [50.0, 30.0, np.nan, 50.0],
        }
    )


def test_receivers_without_positions_are_those_of_the_picks() -> None:
    receivers = receivers_of(_picks())
    assert receivers[["station_id", "channel_index"]].to_numpy().tolist() == [["A", 3], ["A", 5], ["B", -1]]
    assert receivers[["longitude", "latitude", "elevation_m"]].isna().all(axis=None)


def test_channels_outside_the_recording_do_not_widen_the_aperture() -> None:
    channels = receivers_of(_picks())
    more = pd.concat([channels, channels.assign(channel_index=99, station_id="A").head(1)], ignore_index=True)
    other = channels.assign(station_id="C")
    kept = within_recording(pd.concat([more, other], ignore_index=True), _picks())
    assert kept["channel_index"].tolist() == [3, 5, -1, 3, 5, -1]


@pytest.mark.shared
def test_the_ridgecrest_cable(shared: Path) -> None:
    path = shared / "data" / "geometry" / "ridgecrest_das_100km_south.csv"
    columns = {"channel_index": "channel", "elevation_m": "elevation"}
    channels = load_channels(GeometrySettings(path=str(path), columns=columns), "RIDGE")
    assert channels is not None
    assert 5000 < len(channels) < 10_000
    assert channels["latitude"].between(34.9, 35.7).all()


def test_a_table_by_its_path_leaves_out_what_the_settings_leave_out(tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    path.write_text(
        "channel_index,longitude,latitude,elevation_m,status\n"
        "1,-119,39,1000,ok\n2,-119,39,1000,bad\n3,,,1000,ok\n4,-119,39,1000,\n"
    )
    channels = load_channels(path, "C")
    assert channels is not None
    assert channels["channel_index"].tolist() == [1, 4]
    pd.testing.assert_frame_equal(channels, load_channels(GeometrySettings(path=str(path)), "C"))
    named = GeometrySettings(path=str(path), columns={"channel_index": "channel_index"})
    pd.testing.assert_frame_equal(channels, load_channels(named, "C"))
    assert load_channels(None, "C") is None


def test_only_one_station_is_named() -> None:
    assert only_station(pd.DataFrame({"station_id": ["A", "A"]})) == "A"
    assert only_station(pd.DataFrame({"station_id": ["A", "B"]})) is None
    assert only_station(pd.DataFrame({"station_id": []})) is None


def test_usual_other_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    path.write_text("channel,lon,lat,elev,cable\n1,-119,39,1000,A\n2,-119,39,1000,A\n")
    table = read_channels(path, "C")
    assert table[["channel_index", "longitude", "latitude", "elevation_m"]].to_numpy().tolist() == [
        [1, -119, 39, 1000],
        [2, -119, 39, 1000],
    ]
    path.write_text(path.read_text() + "2,-119,39,1000,A\n")
    for settings in (GeometrySettings(path=str(path)), path):
        with pytest.raises(ChannelGeometryError, match="named twice"):
            load_channels(settings, "C")


def test_seismometers_need_no_channel_number(tmp_path: Path) -> None:
    path = tmp_path / "stations.csv"
    path.write_text("station_id,longitude,latitude,elevation_m\n007,-119,39,1000\n")
    table = read_stations(path)
    assert (table["station_id"][0], table["channel_index"][0], table["status"][0]) == ("007", -1, "ok")
    path.write_text("station_id,channel_index,longitude,latitude,elevation_m\nA,5,-119,39,1000\n")
    assert read_stations(path)["channel_index"].tolist() == [5]


def test_seismometers_that_cannot_be_used_are_left_out_or_refused(tmp_path: Path) -> None:
    path, head = tmp_path / "stations.csv", "station_id,longitude,latitude,elevation_m,status\n"
    path.write_text(head + "A,-119,39,1000,ok\nB,-119,39,1000,bad\nC,,,,ok\n")
    assert read_stations(path)["station_id"].tolist() == ["A"]
    path.write_text(head + "A,-119,39,1000,ok\nA,-119,39,1000,ok\n")
    with pytest.raises(ChannelGeometryError, match="named twice"):
        read_stations(path)


def test_a_stated_column_replaces_one_of_our_name(tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    path.write_text("channel_index,longitude,latitude,elevation_m,lon_wgs84\n1,328547.35,39.8,0,-119.0\n")
    channels = read_channels(path, "B", columns={"longitude": "lon_wgs84"})
    assert channels["longitude"].tolist() == [-119.0]


def test_columns_may_change_names(tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    path.write_text("channel_index,longitude,latitude,elevation_m\n1,39.8,-119.0,0\n")
    channels = read_channels(path, "B", columns={"longitude": "latitude", "latitude": "longitude"})
    assert (channels["longitude"][0], channels["latitude"][0]) == (-119.0, 39.8)


def test_an_unknown_projection_is_refused(utm_file: str) -> None:
    with pytest.raises(ChannelGeometryError, match=r"EPSG:999999.*no such projection"):
        read_channels(utm_file, "B", columns=COLUMNS, crs="EPSG:999999", skip_rows=1)


def test_a_table_without_elevation_is_told_which_columns_it_has(tmp_path: Path) -> None:
    path = tmp_path / "channels.csv"
    path.write_text("channel_index,longitude,latitude\n1,-119,39\n")
    with pytest.raises(
        TableError, match=r"elevation_m\. Found the columns channel_index, longitude, latitude\."
    ):
        read_channels(path, "B")


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_named_and_the_conversion_works(tmp_path: Path, sign: str, name: str) -> None:
    """A spreadsheet in Europe writes semicolons between columns, and commas in numbers."""
    path = tmp_path / "channels.csv"
    rows = ["channel_index longitude latitude elevation_m", "2500 -119,0 39,8 1240", "2501 -119,1 39,8 1240"]
    path.write_text("\n".join(rows).replace(" ", sign) + "\n")
    with pytest.raises(TableError, match=f"found {name} between the columns, expected commas") as refused:
        read_channels(path, "B")
    assert f"sep={sign!r}, decimal=','" in str(refused.value)
    table = pd.read_csv(path, sep=sign, decimal=",")
    converted = read_channels(write_table(table, tmp_path / "converted.csv"), "B")
    assert converted["longitude"].tolist() == [-119.0, -119.1]
