"""Picks of a cable and a seismometer go to other packages and come back as they were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phasenet_das import tables
from phasenet_das.errors import ChannelGeometryError, TableError
from phasenet_das.tables import PICK_COLUMNS
from phasenet_das.tables.formats import read_station_picks

WHO = ["station_id", "channel_index", "phase_type"]


def same_picks(found: pd.DataFrame, picks: pd.DataFrame, *, within_ns: int, score: bool = True) -> None:
    assert list(found.columns[: len(PICK_COLUMNS)]) == list(PICK_COLUMNS)
    pd.testing.assert_frame_equal(found[WHO], picks[WHO].reset_index(drop=True), check_dtype=False)
    late = found["phase_time"].astype("int64").to_numpy() - picks["phase_time"].astype("int64").to_numpy()
    assert np.abs(late).max() <= within_ns
    if score:
        np.testing.assert_allclose(found["phase_score"], picks["phase_score"], atol=1e-6)


def test_quakeflow_there_and_back(picks):
    table = tables.to_quakeflow(picks)
    assert table["phase_time"].iloc[0].count(":") == 2
    found = tables.from_quakeflow(table)
    same_picks(found, picks, within_ns=500)
    np.testing.assert_array_equal(found["event_index"], picks["event_index"])


def test_phasenet_das_picks_of_one_cable_are_named_by_the_caller(picks):
    bare = tables.to_quakeflow(picks)[["channel_index", "phase_time", "phase_score", "phase_type"]]
    with pytest.raises(TableError, match="station_id="):
        tables.from_quakeflow(bare)
    assert set(tables.from_quakeflow(bare, "CABLE")["station_id"]) == {"CABLE"}


def test_gamma_there_and_back(picks, channels):
    table = tables.to_gamma(picks, channels)
    assert list(table.columns) == ["id", "timestamp", "type", "prob", "amp"]
    assert set(table["type"]) == {"p", "s"}
    assert {"XX.D2000", "CI.CCC"} <= set(table["id"])
    same_picks(tables.from_gamma(table, channels), picks, within_ns=500)


def test_gamma_stations_are_where_the_channels_are(picks, channels):
    stations = tables.gamma_stations(channels).set_index("id")
    assert set(tables.to_gamma(picks, channels)["id"]) <= set(stations.index)
    assert (stations["z(km)"] == -0.6).all()
    along = stations.loc["XX.D2199", "x(km)"] - stations.loc["XX.D2000", "x(km)"]
    assert along == pytest.approx(199e-4 * 111.32 * np.cos(np.deg2rad(35.5)), rel=2e-3)


def test_gamma_stations_on_both_sides_of_the_date_line_are_neighbours(channels):
    around = channels.assign(longitude=np.where(channels.index % 2, 179.99, -179.99))
    assert tables.gamma_stations(around)["x(km)"].abs().max() < 3


def test_the_associator_takes_gamma_tables(picks, channels):
    """Every station of the picks is found under the same name in the station table."""
    from gamma.utils import association

    config = {
        "dims": ["x(km)", "y(km)", "z(km)"], "x(km)": (-50, 50), "y(km)": (-50, 50), "z(km)": (0, 20),
        "vel": {"p": 6.0, "s": 3.5}, "min_picks_per_eq": 50,
    }  # fmt: skip
    some = picks[picks["channel_index"] % 10 == 0]
    config["min_picks_per_eq"] = 20
    events, assignments = association(
        tables.to_gamma(some, channels), tables.gamma_stations(channels), config
    )
    assert len(events) == 2
    assert len(assignments) >= 60


def test_pyocto_there_and_back(picks, channels):
    table = tables.to_pyocto(picks, channels)
    assert {"station", "phase", "time"} <= set(table.columns)
    same_picks(tables.from_pyocto(table, channels), picks, within_ns=1000)


def test_obspy_there_and_back(picks, channels):
    made = tables.to_obspy_picks(picks, channels)
    assert {one.waveform_id.get_seed_string() for one in made} >= {"XX.D2000..", "CI.CCC.."}
    assert [one.phase_hint for one in made] == picks["phase_type"].tolist()
    assert [one.time.ns for one in made] == picks["phase_time"].astype("int64").tolist()
    found = tables.from_obspy_picks(made, channels)
    same_picks(found, picks, within_ns=0, score=False)


def test_seisbench_there_and_back(picks, channels):
    pytest.importorskip("seisbench")
    few = picks.iloc[::40]
    made = tables.to_seisbench(few, channels)
    found = tables.from_seisbench(made, channels)
    order = [(row.trace_id, row.peak_time.ns) for row in made]
    assert len(found) == len(few) == len(order)
    key = [*WHO, "phase_time"]
    expected = few.sort_values(key, ignore_index=True)
    same_picks(found.sort_values(key, ignore_index=True), expected, within_ns=1000)


def test_a_code_that_the_channels_do_not_have_is_an_error(picks, channels):
    table = tables.to_gamma(picks, channels)
    with pytest.raises(ChannelGeometryError, match="network code"):
        tables.from_gamma(table, channels, network="YY")


def test_picks_of_seismometers_need_no_channel_table(picks):
    """There the code is the name, so that picks go to the associator and back without a table."""
    stations = picks.iloc[:20].assign(station_id="NN.STA.00", channel_index=-1, distance_m=np.nan)
    pyocto = tables.from_pyocto(tables.to_pyocto(stations))
    same_picks(pyocto, stations, within_ns=1000)
    same_picks(tables.from_obspy_picks(tables.to_obspy_picks(stations)), stations, within_ns=0, score=False)
    same_picks(tables.from_gamma(tables.to_gamma(stations)), stations, within_ns=500)
    with pytest.raises(TableError, match="station"):
        tables.from_pyocto(pd.DataFrame({"time": [0.0], "phase": ["P"]}))


def test_seisbench_picks_of_seismometers_need_no_channel_table(picks):
    pytest.importorskip("seisbench")
    stations = picks.iloc[:1].assign(station_id="NN.STA.00", channel_index=-1, distance_m=np.nan)
    same_picks(tables.from_seisbench(tables.to_seisbench(stations)), stations, within_ns=0)


def test_picks_of_seismometers_need_no_channel(tmp_path):
    table = pd.DataFrame(
        {
            "station_id": ["S1", "S1"],
            "phase_time": ["2024-01-01T00:00:01.5", "2024-01-01T00:00:02"],
            "phase_type": ["p", "S"],
            "phase_score": [0.9, 0.8],
        }
    )
    table.to_csv(tmp_path / "picks.csv", index=False)
    found = read_station_picks([tmp_path / "picks.csv", tmp_path / "picks.csv"])
    assert found["channel_index"].tolist() == [-1, -1]
    assert found["phase_type"].tolist() == ["P", "S"]
    assert found["pick_id"].is_unique
    table.drop(columns="phase_score").to_csv(tmp_path / "wrong.csv", index=False)
    with pytest.raises(TableError, match="phase_score"):
        read_station_picks([tmp_path / "wrong.csv"])


def test_seisbench_trace_ids_of_an_empty_location_end_in_no_dot():
    util = pytest.importorskip("seisbench.util")
    obspy = pytest.importorskip("obspy")
    pick = util.Pick("CI.CCC.", obspy.UTCDateTime(0), peak_value=0.9, phase="P")
    assert tables.from_seisbench([pick])["station_id"].tolist() == ["CI.CCC"]
