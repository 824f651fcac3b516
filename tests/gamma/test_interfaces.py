"""The GMMA drop-in and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from gamma import AssociationConfig, associate
from gamma.cli import app
from gamma.errors import ConfigError, PickError, StationError
from gamma.picks import read_table
from gamma.utils import _layers, association
from tests.gamma import made_picks as made


@pytest.fixture(scope="module")
def case():
    stations, truth = made.network(), made.events(3)
    return made.make_picks(stations, truth, false=20), stations, truth


def gmma_tables(picks, stations):
    names = {"station_id": "id", "phase_time": "timestamp", "phase_type": "type", "phase_score": "prob"}
    theirs = picks.rename(columns=names).drop(columns="channel_index")
    theirs["timestamp"] = theirs["timestamp"].dt.tz_localize(None).dt.strftime("%Y-%m-%dT%H:%M:%S.%f")
    theirs["type"] = theirs["type"].str.lower()
    places = stations.rename(columns={"station_id": "id", "x_km": "x(km)", "y_km": "y(km)", "z_km": "z(km)"})
    return theirs, places


def gmma_config(**more):
    return {
        "dims": ["x(km)", "y(km)", "z(km)"], "x(km)": (-50, 50), "y(km)": (-50, 50), "z(km)": (0, 25),
        "vel": {"p": made.VP, "s": made.VS}, "use_amplitude": False, "method": "BGMM", "use_dbscan": True,
        "oversample_factor": 4, "dbscan_eps": 10, "dbscan_min_samples": 3, "min_picks_per_eq": 6,
        "bfgs_bounds": ((-51, 51), (-51, 51), (0, 26), (None, None)), "max_sigma11": 2.0,
        "max_sigma22": 1.0, "max_sigma12": 1.0, "ncpu": 1, **more,
    }  # fmt: skip


def test_drop_in_has_no_s_before_p_of_an_event_at_a_station():
    """Events beneath the stations, S hardly later than the errors of the picks, and false picks."""
    stations = made.network(60, half_width=4.0)
    truth = made.events(4, spacing_s=3.0, half_width=3.0).assign(z_km=1.0)
    picks = made.make_picks(stations, truth, noise_s=0.2, false=200)
    theirs, places = gmma_tables(picks, stations)
    found = association(theirs.assign(station_id="other"), places, gmma_config())[1]
    kept = theirs.loc[[row for row, _, _ in found], ["id", "timestamp", "type"]]
    kept["event"] = [event for _, event, _ in found]
    time = kept.pivot_table(index=["event", "id"], columns="type", values="timestamp", aggfunc="first")
    assert len(time.dropna()) > 100
    assert (time.dropna()["s"] > time.dropna()["p"]).all()


def test_drop_in_gives_gmma_lists(case):
    picks, stations, truth = case
    theirs, places = gmma_tables(picks, stations)
    theirs.index = theirs.index + 1000
    events, assignments = association(theirs, places, gmma_config(), 7, method="BGMM")
    assert [event["event_index"] for event in events] == [7, 8, 9]
    assert set(events[0]) == {
        "time", "magnitude", "sigma_time", "sigma_amp", "cov_time_amp", "gamma_score", "num_picks",
        "num_p_picks", "num_s_picks", "event_index", "x(km)", "y(km)", "z(km)",
    }  # fmt: skip
    assert np.isnan(events[0]["magnitude"])
    found = (pd.to_datetime([event["time"] for event in events], utc=True) - made.EPOCH).total_seconds()
    np.testing.assert_allclose(found, truth["t_s"], atol=0.3)
    table = pd.DataFrame(assignments, columns=["pick_index", "event_index", "score"]).set_index("pick_index")
    joined = theirs.join(table, how="inner")
    assert (joined["event_index"] - 7 == joined["true_event"]).mean() > 0.97
    assert joined["score"].between(0.5, 1.0).all()
    ours = associate(picks, stations, AssociationConfig(**made.settings(min_picks=6)))
    np.testing.assert_allclose(
        joined["score"], ours.picks["association_score"].set_axis(theirs.index)[joined.index]
    )


def test_drop_in_refuses_what_it_does_not_know(case):
    theirs, places = gmma_tables(*case[:2])
    with pytest.raises(ConfigError, match="min_picks_per_eq"):
        association(theirs, places, gmma_config(min_picks_per_eqq=4))
    with pytest.raises(ConfigError, match="method"):
        association(theirs, places, gmma_config(), method="KMEANS")
    with pytest.raises(PickError, match="timestamp"):
        association(theirs.drop(columns="timestamp"), places, gmma_config())


def test_drop_in_takes_layers_and_fixed_depth(case):
    theirs, places = gmma_tables(*case[:2])
    layers = {"vel": {"z": [-2.0, 30.0], "p": [made.VP, made.VP], "s": [made.VS, made.VS]}, "h": 0.5}
    events, _ = association(theirs, places, gmma_config(eikonal=layers))
    assert len(events) == 3
    flat, _ = association(theirs, places, gmma_config(dims=["x(km)", "y(km)"]))
    assert all(event["z(km)"] == 0.0 for event in flat)


def test_command_line_writes_tables(case, tmp_path):
    picks, stations, _ = case
    picks.to_parquet(tmp_path / "picks.parquet")
    stations.to_csv(tmp_path / "stations.csv", index=False)
    (tmp_path / "gamma.yaml").write_text(f"vp_km_s: {made.VP}\nvs_km_s: {made.VS}\nmax_distance_km: 20\n")
    arguments = ["associate", str(tmp_path / "picks.parquet"), "--stations", str(tmp_path / "stations.csv")]
    arguments += ["--config", str(tmp_path / "gamma.yaml"), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv(tmp_path / "out" / "events.csv")) == 3
    assert len(pd.read_parquet(tmp_path / "out" / "picks.parquet")) == len(picks)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["events"] == 3


def test_command_line_refuses_a_folder_that_cannot_be_made(case, tmp_path):
    picks, stations, _ = case
    picks.to_parquet(tmp_path / "picks.parquet")
    stations.to_csv(tmp_path / "stations.csv", index=False)
    arguments = ["associate", str(tmp_path / "picks.parquet"), "--stations", str(tmp_path / "stations.csv")]
    done = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "stations.csv" / "out")])
    assert done.exit_code == 1
    assert "cannot be written" in done.output


def test_command_line_fails_with_one_line(case, tmp_path):
    case[0].to_csv(tmp_path / "picks.csv", index=False)
    case[1].to_csv(tmp_path / "stations.csv", index=False)
    (tmp_path / "gamma.yaml").write_text("vp_kms: 6\n")
    arguments = ["associate", str(tmp_path / "picks.csv"), "--stations", str(tmp_path / "stations.csv")]
    done = CliRunner().invoke(
        app, [*arguments, "--config", str(tmp_path / "gamma.yaml"), "-o", str(tmp_path)]
    )
    assert done.exit_code == 1
    assert "Did you mean 'vp_km_s'" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("name", "content"), [("picks.csv", b""), ("picks.csv", b"\xff\xfe\x00"), ("picks.parquet", b"no table")]
)
def test_the_command_line_names_a_table_that_cannot_be_read(case, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    case[1].to_csv(tmp_path / "stations.csv", index=False)
    arguments = ["associate", str(tmp_path / name), "--stations", str(tmp_path / "stations.csv")]
    done = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path)])
    assert done.exit_code == 1
    assert f"{name}: cannot be read" in done.output
    assert isinstance(done.exception, SystemExit)


def test_stations_with_numbers_for_names_are_found_in_csv_files(case, tmp_path):
    picks, stations = (
        table.assign(station_id=table["station_id"].str.replace("S", "00")) for table in case[:2]
    )
    picks.to_csv(tmp_path / "picks.csv", index=False)
    stations.to_csv(tmp_path / "stations.csv", index=False)
    found = associate(
        read_table(tmp_path / "picks.csv"),
        read_table(tmp_path / "stations.csv"),
        AssociationConfig(**made.settings()),
    )
    assert found.summary["unknown_receivers"] == {}
    assert found.picks["station_id"].tolist() == picks["station_id"].tolist()
    assert len(found.events) == 3


def test_drop_in_wants_depths_unless_dims_leave_them_out(case):
    theirs, places = gmma_tables(*case[:2])
    flat = places.drop(columns="z(km)")
    with pytest.raises(StationError, match=r"missing column\(s\) z\(km\)"):
        association(theirs, flat, gmma_config())
    events, _ = association(theirs, flat, gmma_config(dims=["x(km)", "y(km)"]))
    assert len(events) == 3


def test_drop_in_says_which_picks_it_cannot_place(case, caplog):
    theirs, places = gmma_tables(*case[:2])
    theirs.loc[theirs.index[:4], "id"] = "NOWHERE"
    theirs.loc[theirs.index[4:6], "type"] = "pn"
    with caplog.at_level("WARNING", logger="gamma"):
        association(theirs, places, gmma_config())
    assert "4 picks of stations that are not in the station table: NOWHERE (4)" in caplog.text
    assert "2 picks left out: phase is neither P nor S" in caplog.text


def test_drop_in_counts_the_events_that_max_sigma11_cuts(case, caplog):
    theirs, places = gmma_tables(*case[:2])
    with caplog.at_level("WARNING", logger="gamma"):
        events, assignments = association(theirs, places, gmma_config(max_sigma11=1e-9))
    assert events == assignments == []
    assert "max_sigma11=1e-09 s cuts 3 of 3 events" in caplog.text


def test_drop_in_takes_no_argument_it_does_not_know(case):
    theirs, places = gmma_tables(*case[:2])
    with pytest.raises(ConfigError, match=r"unknown argument 'metod'.*Did you mean 'method'"):
        association(theirs, places, gmma_config(), metod="GMM")
    with pytest.raises(ConfigError, match="max_sigma"):
        association(theirs, places, gmma_config(), max_sigma=3)
    assert len(association(theirs, places, gmma_config(), pbar=None)[0]) == 3


def test_drop_in_names_the_limits_that_have_no_effect(case, caplog):
    theirs, places = gmma_tables(*case[:2])
    with caplog.at_level("WARNING", logger="gamma"):
        association(theirs, places, gmma_config())
    assert caplog.text == ""  # without amplitudes they have none in GaMMA either
    with caplog.at_level("WARNING", logger="gamma"):
        association(theirs.assign(amp=1e-5), places, gmma_config(use_amplitude=True))
    assert "max_sigma12, max_sigma22" in caplog.text
    assert "no effect" in caplog.text


def eikonal(**velocity):
    return {"vel": {"z": [0.0, 5.0, 10.0], "p": [5.0, 6.0, 6.5], "s": [2.9, 3.5, 3.7], **velocity}, "h": 0.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vel": {"p": 6.0}}, "vel: missing 's', found 'p'"),
        ({"vel": {"P": 6.0, "S": 3.5}}, "vel: missing 'p', 's', found 'P', 'S'"),
        ({"vel": 6.0}, "vel: expected .* found 6.0"),
        ({"vel": {"p": "fast", "s": 3.5}}, "vel: 'p' .* found 'fast'"),
        ({"eikonal": {"h": 1.0}}, "eikonal: missing 'vel', found 'h'"),
        ({"eikonal": {"vel": {"p": [6.0], "s": [3.5]}}}, "eikonal.*vel.*: missing 'z', found 'p', 's'"),
        ({"eikonal": eikonal(p=[5.0, 6.0])}, "3 z, 2 p and 3 s"),
        ({"eikonal": eikonal(z=[0.0, 10.0, 5.0])}, r"increase downwards.*found \[0.0, 10.0, 5.0\]"),
        ({"eikonal": eikonal(z=[], p=[], s=[])}, "0 z, 0 p and 0 s"),
        ({"eikonal": eikonal(z=5.0)}, "lists"),
        ({"eikonal": eikonal(p=[5.0, np.nan, 6.0])}, "'p'"),
    ],
)
def test_drop_in_says_what_is_wrong_with_velocities(case, change, message):
    theirs, places = gmma_tables(*case[:2])
    with pytest.raises(ConfigError, match=message):
        association(theirs, places, gmma_config(**change))


def test_drop_in_takes_a_step_written_as_two_nodes_of_one_depth():
    velocity = {"z": [-2.0, 5.0, 5.0, 9.0], "p": [5.0, 5.0, 6.0, 6.0], "s": [2.9, 2.9, 3.5, 3.5]}
    assert [(layer.depth_km, layer.vp_km_s) for layer in _layers(velocity)] == [(-2, 5), (5, 6), (9, 6)]


def test_a_plain_script_with_workers_runs_once(tmp_path):
    """Scripts for GaMMA seldom guard their main part; new processes must not run it again."""
    stations = made.network()
    picks = made.make_picks(stations, made.events(3, spacing_s=3600.0))
    theirs, places = gmma_tables(picks, stations)
    theirs.to_csv(tmp_path / "picks.csv", index=False)
    places.to_csv(tmp_path / "stations.csv", index=False)
    (tmp_path / "script.py").write_text(
        "import pandas as pd\n"
        "from gamma.utils import association\n"
        "print('started')\n"
        f"config = {gmma_config(ncpu=2)}\n"
        "events, _ = association(pd.read_csv('picks.csv'), pd.read_csv('stations.csv'), config)\n"
        "print(len(events), 'events of', __file__)\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "script.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["started", f"3 events of {tmp_path / 'script.py'}"]


def test_workers_start_from_text_typed_at_a_prompt():
    code = (
        "from gamma import AssociationConfig as C, associate; from tests.gamma import made_picks as m;"
        "s = m.network(); p = m.make_picks(s, m.events(2, spacing_s=3600.0));"
        "print(len(associate(p, s, C(**m.settings()), workers=2).events))"
    )
    done = subprocess.run(
        [sys.executable, "-"],
        input=code,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        timeout=300,
    )
    assert done.stdout.split() == ["2"], done.stderr
