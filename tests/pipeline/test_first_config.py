"""Settings for a new cable: valid, commented, and of what the files, the first picks and the user say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from gamma import AssociationConfig, read_layers
from phasenet_das import io, picking
from phasenet_das.cli import app
from phasenet_das.config import load_config
from phasenet_das.errors import ConfigError, DataFormatError, WeightsError
from phasenet_das.pipeline import first_config
from phasenet_das.pipeline.first_config import Site, write_first_config
from phasenet_das.pipeline.first_look import FirstLook, extent_km, shared_s_minus_p, span
from tests.pipeline.cables import channel_table, event_picks, write_minutes
from tests.tables_at_hand import pick_table


class OneEvent:
    """A picker that finds one event with an S-P time of about 2.3 s on every channel, wherever it looks."""

    def pick(self, *_recordings: Any, **chosen: Any) -> pd.DataFrame:
        first, end = chosen["channel_range"]
        assert (chosen["end"] - chosen["start"]) <= np.timedelta64(60, "s")
        channels = channel_table(60).query(f"{first} <= channel_index < {end}")
        picks = event_picks(channels, [10.0])
        picks.attrs = {"dead_channels": [first]}
        return picks


@pytest.fixture
def one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picking, "load_picker", lambda *_names, **_options: OneEvent())


@pytest.fixture
def raw(tmp_path: Path) -> str:
    """A minute of 60 channels, with their table beside it."""
    write_minutes(tmp_path / "raw", [0], num_channels=60)
    channel_table(60).assign(elevation_m=640.0).to_csv(tmp_path / "channels.csv", index=False)
    return str(tmp_path / "raw")


def test_what_the_files_say_is_in_the_settings(tmp_path: Path) -> None:
    write_minutes(tmp_path / "north" / "raw", [0, 1], "NORTH")
    channel_table(6, "NORTH").to_csv(tmp_path / "north" / "channels.csv", index=False)
    found = write_first_config([str(tmp_path / "north" / "raw")], tmp_path / "north.yaml", picks=False)
    assert "6 channels, 0 to 5, 10 m apart, 20 Hz" in found
    config = load_config(tmp_path / "north.yaml")
    assert config.data.station_id == "NORTH"
    assert config.data.inputs == (str(tmp_path / "north" / "raw"),)
    assert config.geometry.path == str(tmp_path / "north" / "channels.csv")
    text = (tmp_path / "north.yaml").read_text()
    assert "#   " + found.splitlines()[0] in text


def test_what_they_do_not_say_is_asked_for(tmp_path: Path) -> None:
    import h5py

    (tmp_path / "raw").mkdir()
    with h5py.File(tmp_path / "raw" / "1.h5", "w") as file:
        data = file.create_dataset("data", data=np.zeros((4, 100), np.float32))
        data.attrs["dt_s"] = 0.01
    found = write_first_config([str(tmp_path / "raw")], tmp_path / "new.yaml", name="new cable")
    assert "cannot be used as they are" in found
    assert load_config(tmp_path / "new.yaml").name == "new-cable"
    text = (tmp_path / "new.yaml").read_text()
    assert "STATE them" in text
    assert "# start_time:" in text


def test_strain_is_differentiated_and_kilohertz_recordings_are_noted(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    patch = io.make_patch(
        np.random.default_rng(0).standard_normal((4, 100)).astype(np.float32),
        start_time="2024-01-01",
        dt_s=0.001,
        distance_m=np.arange(4) * 1.0,
        station_id="C",
        unit="strain",
    )
    io.write_quakeflow(patch, tmp_path / "raw" / "1.h5")
    write_first_config([str(tmp_path / "raw")], tmp_path / "c.yaml", picks=False)
    assert load_config(tmp_path / "c.yaml").pick.to_strain_rate
    text = (tmp_path / "c.yaml").read_text()
    assert text.count("for kilohertz recordings") == 2
    load_config(yaml.safe_load(text.replace("# rate:", "rate:").replace("# pick_unc", "pick_unc")))


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    write_minutes(tmp_path / "raw", [0])
    (tmp_path / "c.yaml").write_text("name: mine\n")
    with pytest.raises(ConfigError, match="exists already"):
        write_first_config([str(tmp_path / "raw")], tmp_path / "c.yaml")
    write_first_config([str(tmp_path / "raw")], tmp_path / "c.yaml", picks=False, overwrite=True)
    assert load_config(tmp_path / "c.yaml").name == "raw"
    with pytest.raises(DataFormatError, match="no recording found"):
        write_first_config([str(tmp_path / "nowhere")], tmp_path / "d.yaml")


@pytest.mark.usefixtures("one_event")
def test_the_first_minute_stands_beside_the_settings_on_which_it_bears(raw: str, tmp_path: Path) -> None:
    found = write_first_config([raw], tmp_path / "c.yaml")
    assert "60 P and 60 S picks in the first 60 s on channels 0 to 59 (60 channels, 1 of them dead)" in found
    assert "100 % of the channels have both phases. S-P times: 1" in found
    text = " ".join((tmp_path / "c.yaml").read_text().replace("#", "").split())
    assert "60 of 60 recorded channels have a position and a good status, within 4.3 by 2.1 km." in text
    assert "In ground of vp 3 to 6.5 km/s, these are events" in text
    config = load_config(tmp_path / "c.yaml")
    assert config.association.depth_range_km == (-0.7, 20.0)
    assert config.association.layers is None


@pytest.mark.usefixtures("one_event")
def test_stated_velocities_narrow_the_distance(raw: str, tmp_path: Path) -> None:
    site = Site(vp_km_s=6.0, vs_km_s=6.0 / 1.73)
    write_first_config([raw], tmp_path / "c.yaml", site=site)
    text = " ".join((tmp_path / "c.yaml").read_text().replace("#", "").split())
    low, high = map(float, re.search(r"In this ground, these are events (\S+) to (\S+) km", text).groups())
    assert 8.0 < low < high < 13.0  # the source is 8 km deep and some kilometres aside
    config = load_config(tmp_path / "c.yaml")
    assert config.association.vp_km_s == 6.0
    assert config.association.vs_km_s == pytest.approx(6.0 / 1.73, rel=1e-4)


def test_a_recording_that_cannot_be_picked_has_settings(
    raw: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_names: Any, **_options: Any) -> OneEvent:
        raise WeightsError("the weights are damaged")

    monkeypatch.setattr(picking, "load_picker", fail)
    assert "cannot be picked: the weights are damaged" in write_first_config([raw], tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml").data.station_id == "C"


def test_a_table_of_another_layout_or_cable_is_left_to_the_user(raw: str, tmp_path: Path) -> None:
    (tmp_path / "channels.csv").write_text("Channel,X,Y,Z\nnumber,m,m,m\n0,1,1,1\n")
    write_first_config([raw], tmp_path / "c.yaml", picks=False)
    assert load_config(tmp_path / "c.yaml").geometry.path is None
    assert "cannot be used as it is" in (tmp_path / "c.yaml").read_text()
    channel_table(60).assign(channel_index=lambda t: t["channel_index"] + 900).to_csv(
        tmp_path / "channels.csv", index=False
    )
    write_first_config([raw], tmp_path / "c.yaml", picks=False, overwrite=True)
    assert load_config(tmp_path / "c.yaml").geometry.path is None
    assert "none of the recorded channels" in (tmp_path / "c.yaml").read_text()


def test_the_table_names_a_cable_that_its_files_do_not_name(raw: str, tmp_path: Path) -> None:
    channel_table(60, "RN").to_csv(tmp_path / "channels.csv", index=False)
    write_first_config([raw], tmp_path / "c.yaml", picks=False)
    assert load_config(tmp_path / "c.yaml").data.station_id == "RN"


def test_each_of_several_cables_has_a_section_of_its_own(tmp_path: Path) -> None:
    for name in ("A", "B"):
        write_minutes(tmp_path / name / "raw", [0], "")
    channel_table(6, "A").drop(columns="station_id").to_csv(tmp_path / "A" / "channels.csv", index=False)
    (tmp_path / "A" / "raw").rename(tmp_path / "A" / "north")
    (tmp_path / "B" / "raw").rename(tmp_path / "B" / "south")
    inputs = [str(tmp_path / "A" / "north"), str(tmp_path / "B" / "south" / "00.h5")]
    found = write_first_config(inputs, tmp_path / "c.yaml", picks=False)
    assert "2 cables: each has its inputs and its channel table in `cables`" in found
    cables = load_config(tmp_path / "c.yaml").cable_settings()
    assert {name: one.data.station_id for name, one in cables.items()} == {"north": "north", "south": "south"}
    assert [one.data.inputs for one in cables.values()] == [(item,) for item in inputs]
    assert [one.geometry.path for one in cables.values()] == [str(tmp_path / "A" / "channels.csv"), None]


@pytest.mark.parametrize(("named", "tables"), [(["north"], ["north"]), (["north", "south"], None), ([], [])])
def test_a_table_beside_several_cables_is_of_those_that_it_names(
    tmp_path: Path, named: list[str], tables: list[str] | None
) -> None:
    for name in ("north", "south"):
        write_minutes(tmp_path / name, [0], name)
    whole = pd.concat([channel_table(6, name) for name in named or ["north"]])
    whole.drop(columns=[] if named else "station_id").to_csv(tmp_path / "channels.csv", index=False)
    inputs = [str(tmp_path / name) for name in ("north", "south")]
    write_first_config(inputs, tmp_path / "c.yaml", picks=False)
    cables = load_config(tmp_path / "c.yaml").cables
    placed = [name for name, one in cables.items() if one.geometry.path is not None]
    assert placed == (["north", "south"] if tables is None else tables)


def test_a_table_names_its_own_cable_of_several(tmp_path: Path) -> None:
    for name in ("A", "B"):
        write_minutes(tmp_path / name / "raw", [0], name)
    channel_table(6, "RN").to_csv(tmp_path / "A" / "channels.csv", index=False)
    inputs = [str(tmp_path / name / "raw") for name in ("A", "B")]
    write_first_config(inputs, tmp_path / "c.yaml", picks=False)
    assert list(load_config(tmp_path / "c.yaml").cables) == ["RN", "B"]


def test_cables_that_share_an_input_have_no_common_name(tmp_path: Path) -> None:
    for name in ("north", "south"):
        write_minutes(tmp_path / "raw" / name, [0], name)
    found = write_first_config([str(tmp_path / "raw")], tmp_path / "c.yaml", picks=False)
    assert "The inputs do not part the cables north, south: give each its own inputs in `cables`" in found
    config = load_config(tmp_path / "c.yaml")
    assert config.data.station_id is None
    assert not config.cables
    assert "  # The files are of several cables (north, south)" in (tmp_path / "c.yaml").read_text()


def test_questions_are_asked_until_they_can_be_read(raw: str, tmp_path: Path) -> None:
    (tmp_path / "channels.csv").rename(tmp_path / "elsewhere.txt")
    (tmp_path / "site").mkdir()
    layers = tmp_path / "site" / "layers.csv"
    layers.write_text("depth,vp,vs\n0,5.0,2.8\n4,6.0,3.4\n")
    answers = iter(
        [
            str(tmp_path / "none.csv"),
            str(tmp_path / "elsewhere.txt"),
            "5000 2900",
            "fast",
            str(layers),
            "-1",
            "45",
            "",
        ]
    )
    asked, shown = [], []

    def ask(question: str) -> str:
        asked.append(question)
        return next(answers)

    write_first_config([raw], tmp_path / "c.yaml", picks=False, ask=ask, show=shown.append)
    config = load_config(tmp_path / "c.yaml")
    assert config.geometry.path == str(tmp_path / "elsewhere.txt")
    assert config.association == AssociationConfig(
        layers=read_layers(layers), max_distance_km=45.0, depth_range_km=(-0.7, 20.0)
    )
    words = [
        "Channel table",
        "no such file",
        "Velocities",
        "looks like m/s",
        "neither a file",
        "Largest",
        "above 0",
        "Fewest",
    ]
    assert all(word in question for word, question in zip(words, asked, strict=True))
    assert "60 channels, 0 to 59" in shown[0]


def test_answers_to_all_questions_are_written(raw: str, tmp_path: Path) -> None:
    answers = iter(["5.5 3.1", "30", "12 9"])
    write_first_config([raw], tmp_path / "c.yaml", picks=False, ask=lambda _question: next(answers))
    assert load_config(tmp_path / "c.yaml").association == AssociationConfig(
        vp_km_s=5.5,
        vs_km_s=3.1,
        max_distance_km=30.0,
        min_p_picks=12,
        min_s_picks=9,
        depth_range_km=(-0.7, 20.0),
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--ask", "found no terminal"),
        ("--vp 5.5 --layers layers.csv", "found vp_km_s beside layers"),
        ("--vs 3.1", "without vp"),
        ("--layers none.csv", "cannot be read"),
        ("--channels none.csv", "no such file"),
    ],
)
def test_the_command_refuses_what_it_cannot_use(
    raw: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layers.csv").write_text("depth,vp,vs\n0,5.0,2.8\n")
    answer = CliRunner().invoke(app, ["init", raw, *flags.split(), "--no-picks", "-o", "c.yaml"])
    assert message in str(answer.exception)
    assert not (tmp_path / "c.yaml").exists()


def test_the_command_writes_the_path_of_layers_as_the_settings_see_it(
    raw: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings").mkdir()
    (tmp_path / "layers.csv").write_text("depth,vp,vs\n0,5.0,2.8\n")
    words = ["init", Path(raw).name, "--layers", "layers.csv", "--no-picks", "-o", "settings/c.yaml"]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    assert "layers: ../layers.csv" in (tmp_path / "settings" / "c.yaml").read_text()
    layers = load_config(tmp_path / "settings" / "c.yaml").association.layers
    assert layers == read_layers(tmp_path / "layers.csv")


@pytest.mark.parametrize(
    ("folder", "given", "name"),
    [
        ("20240301", "20240301/", "20240301"),
        ("20240301", "20240301/*.h5", "20240301"),
        ("2024-03-01", "2024-03-01", "2024-03-01"),
        ("2024-13-45", "2024-13-45", "2024-13-45"),
        ("data/north", "data/nor*/*.h5", "data"),
        ("no", "no", "no"),
        ("-_north._", "./-_north._/", "north"),
        ("---", "./---/*.h5", "cable"),
    ],
)
def test_every_folder_gives_a_name_that_yaml_reads_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, given: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_minutes(tmp_path / folder, [0])
    answer = CliRunner().invoke(app, ["init", given, "--no-picks", "-o", "c.yaml"])
    assert answer.exit_code == 0, answer.exception
    config = load_config("c.yaml")
    assert (config.name, config.report.title) == (name, name)
    assert f"results go to results/{name}\n" in Path("c.yaml").read_text()


def test_plain_names_and_paths_are_not_quoted(raw: str, tmp_path: Path) -> None:
    (tmp_path / "channels.csv").rename(tmp_path / "20240301")
    site = Site(channels=tmp_path / "20240301")
    write_first_config([raw], tmp_path / "c.yaml", site=site, picks=False)
    text = (tmp_path / "c.yaml").read_text()
    assert "\nname: raw # results go to results/raw\n" in text
    assert text.endswith("  title: raw\n")
    assert f"  path: {tmp_path}/20240301 #" in text


def test_a_pseudo_path_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(first_config, "look_at", lambda *_: FirstLook(None, "none", None, None, ""))
    write_first_config(["daspy:example", "raw/*.h5"], "conf/c.yaml", picks=False)
    text = Path("conf/c.yaml").read_text()
    assert 'inputs: ["daspy:example", "../raw/*.h5"]' in text
    assert yaml.safe_load(text)["name"] == "daspy-example"
    assert load_config("conf/c.yaml").data.inputs[0] == "daspy:example"


def test_paths_with_blanks_and_marks_are_quoted(raw: str, tmp_path: Path) -> None:
    folder = tmp_path / "my cable #1"
    Path(raw).rename(tmp_path / "raw data")
    folder.mkdir()
    (tmp_path / "channels.csv").rename(folder / "channels #1.csv")
    words = ["init", str(tmp_path / "raw data"), "--channels", str(folder / "channels #1.csv"), "--no-picks"]
    answer = CliRunner().invoke(app, [*words, "-o", str(folder / "c.yaml")])
    assert answer.exit_code == 0, answer.output
    assert f"phasenet-das run '{folder / 'c.yaml'}' --dry-run" in answer.output
    config = load_config(folder / "c.yaml")
    assert config.data.inputs == (str(tmp_path / "raw data"),)
    assert config.geometry.path == str(folder / "channels #1.csv")


def test_s_minus_p_times_are_those_that_channels_share() -> None:
    channel = np.arange(40)
    event = pick_table(channel, 10.3), pick_table(channel, 12.7 + 0.002 * channel, "S")
    rng = np.random.default_rng(0)
    false = (
        pick_table(channel[::2], rng.uniform(20, 50, 20)),
        pick_table(channel[::2], rng.uniform(20, 50, 20), "S"),
    )
    found = shared_s_minus_p(pd.concat([*event, *false], ignore_index=True), 40)
    np.testing.assert_allclose(np.sort(found), 2.4 + 0.002 * channel, atol=1e-6)
    assert len(shared_s_minus_p(pd.concat(false, ignore_index=True), 40)) == 0
    few = pd.concat([table[table["channel_index"] < 4] for table in event], ignore_index=True)
    assert len(shared_s_minus_p(few, 4)) == 0
    assert len(shared_s_minus_p(few.iloc[:0], 4)) == 0


def test_the_extent_of_a_cable_does_not_depend_on_its_direction() -> None:
    along = np.linspace(-2, 2, 30)
    for angle in np.deg2rad([0, 35, 90]):
        north, east = along * np.cos(angle), along * np.sin(angle)
        table = pd.DataFrame(
            {"latitude": 45 + north / 111.19, "longitude": 7 + east / 111.19 / np.cos(np.deg2rad(45))}
        )
        np.testing.assert_allclose(extent_km(table), (4.0, 0.0), atol=2e-3)


@pytest.mark.parametrize(
    ("low", "high", "text"), [(1.84, 2.41, "1.8 to 2.4"), (19.8, 20.2, "20"), (81.3, 178.0, "81 to 180")]
)
def test_a_range_is_written_with_two_digits(low: float, high: float, text: str) -> None:
    assert span(low, high) == text
