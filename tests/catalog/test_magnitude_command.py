"""``phasenet-das magnitude``: a folder of known magnitudes gives them back; what is missing is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from obspy import read_events as read_quakeml
from typer.testing import CliRunner

from phasenet_das import io
from phasenet_das.catalog import read_magnitude_scale
from phasenet_das.cli import app
from phasenet_das.errors import ConfigError, TableError, UnitError
from phasenet_das.tables import (
    EVENT_COLUMNS,
    PICK_COLUMNS,
    read_events,
    read_metadata,
    read_picks,
    write_table,
)
from tests.catalog.test_amplitudes import DT_S, NUM_CHANNELS, START, blank, follow, tables
from tests.catalog.test_magnitude import A_B, complete, world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalog whose amplitudes follow a scale, its channels, and a reference with all but two events."""
    events, picks, known, channels, _ = world()
    facts = {"amplitude_unit": "strain / s", "weights_id": "w"}
    write_table(events, tmp_path / "catalog" / "events.parquet", facts)
    write_table(picks, tmp_path / "catalog" / "picks.parquet", facts)
    known.to_csv(tmp_path / "truth.csv", index=False)
    known.iloc[2:].to_csv(tmp_path / "reference.csv", index=False)
    channels.to_csv(tmp_path / "channels.csv", index=False)
    return tmp_path


def call(folder: Path, command: str, *arguments: str):
    places = ["--channels", str(folder / "channels.csv")]
    return CliRunner().invoke(app, ["magnitude", command, str(folder / "catalog"), *places, *arguments])


def calibrate(folder: Path, *arguments: str):
    reference = ["--reference", str(folder / "reference.csv")]
    return call(folder, "calibrate", *reference, "-o", str(folder / "scale.json"), *arguments)


def apply(folder: Path, output: str = "sized"):
    return call(folder, "apply", "--scale", str(folder / "scale.json"), "-o", str(folder / output))


def test_known_magnitudes_come_back_also_of_events_that_did_not_calibrate(folder):
    answer = calibrate(folder, "--magnitude-type", "ML", "--figure", str(folder / "residuals.png"))
    assert answer.exit_code == 0, answer.exception
    # made on a flat Earth with b = -1.3
    assert "P: a = 0.450, b = -1.299 (fitted), 180 picks" in answer.output
    assert "6 events, standard error 0.00" in answer.output
    assert (folder / "residuals.png").stat().st_size > 5000
    answer = apply(folder)
    assert answer.exit_code == 0, answer.exception
    assert "8 of 8 events have a magnitude" in answer.output
    sized, truth = read_events(folder / "sized" / "events.parquet"), pd.read_csv(folder / "truth.csv")
    np.testing.assert_allclose(sized["magnitude"], truth["magnitude"], atol=2e-3)
    assert set(sized["magnitude_type"]) == {"ML"}
    assert (sized["num_magnitude_channels"] == 30).all()
    written = pd.read_csv(folder / "sized" / "catalog.csv")
    np.testing.assert_allclose(written["magnitude"], truth["magnitude"], atol=0.06)
    assert read_metadata(folder / "sized" / "events.parquet")["amplitude_unit"] == "strain / s"
    sizes = [one.magnitudes[0].mag for one in read_quakeml(folder / "sized" / "catalog.xml")]
    np.testing.assert_allclose(np.sort(sizes), np.sort(truth["magnitude"]), atol=0.06)


def test_before_calibration_the_catalog_has_no_magnitude_and_apply_needs_a_scale(folder):
    assert "magnitude" not in read_events(folder / "catalog" / "events.parquet")
    answer = apply(folder)
    assert isinstance(answer.exception, TableError)
    assert "not a magnitude scale" in str(answer.exception)
    assert not (folder / "sized").exists()


def test_a_catalog_may_be_given_its_magnitudes_in_place(folder):
    assert calibrate(folder).exit_code == 0
    assert apply(folder, "catalog").exit_code == 0
    assert read_events(folder / "catalog" / "events.parquet")["magnitude"].notna().all()


def test_stated_slopes_are_kept_and_one_event_is_enough(folder):
    pd.read_csv(folder / "truth.csv").iloc[:1].to_csv(folder / "reference.csv", index=False)
    alone = calibrate(folder)
    assert isinstance(alone.exception, ConfigError)
    assert "1 events match" in str(alone.exception)
    slopes = ["--slopes-p", *map(str, A_B["P"]), "--slopes-s", *map(str, A_B["S"])]
    answer = calibrate(folder, *slopes, "--min-events", "1")
    assert answer.exit_code == 0, answer.exception
    assert "S: a = 0.700, b = -1.600 (stated)" in answer.output
    assert apply(folder).exit_code == 0
    sized, truth = read_events(folder / "sized" / "events.parquet"), pd.read_csv(folder / "truth.csv")
    np.testing.assert_allclose(sized["magnitude"], truth["magnitude"], atol=5e-3)
    assert sized["magnitude_uncertainty"].isna().all()  # of one event it cannot be told


def test_one_stated_event_calibrates_with_the_slopes_of_the_paper(folder):
    stated = ["-o", str(folder / "scale.json"), "--event", "e1", "2.0"]
    answer = call(folder, "calibrate", *stated)
    assert answer.exit_code == 0, answer.exception
    assert "S: a = 0.690, b = -1.588 (yin2023), 30 picks" in answer.output
    assert "1 event, error unknown" in answer.output
    assert "--records" in answer.output  # the amplitudes of the pick table are not those of the scale
    assert apply(folder).exit_code == 0
    sized = read_events(folder / "sized" / "events.parquet")
    assert sized["magnitude"][1] == pytest.approx(2.0, abs=1e-3)
    for wrong in ([], [*stated, "--reference", str(folder / "reference.csv")]):
        answer = call(folder, "calibrate", "-o", str(folder / "scale.json"), *wrong)
        assert isinstance(answer.exception, ConfigError)
        assert "--event" in str(answer.exception)


@pytest.mark.parametrize("by_settings", [False, True])
def test_the_scale_of_the_paper_is_applied_only_when_named(folder, by_settings):
    places = ["-o", str(folder / "sized")]
    (folder / "settings.yaml").write_text("report: {magnitude_scale: yin2023}")
    named = ["--config", str(folder / "settings.yaml")] if by_settings else ["--scale", "yin2023"]
    assert isinstance(call(folder, "apply", *places).exception, ConfigError)
    answer = call(folder, "apply", *places, *named)
    assert answer.exit_code == 0, answer.exception
    assert "uncertain by 1.2" in answer.output
    sized = read_events(folder / "sized" / "events.parquet")
    np.testing.assert_allclose(sized["magnitude_uncertainty"], 1.207, atol=1e-3)
    errors = [
        one.magnitudes[0].mag_errors.uncertainty for one in read_quakeml(folder / "sized" / "catalog.xml")
    ]
    np.testing.assert_allclose(errors, 1.207, atol=1e-3)
    assert Path(read_metadata(folder / "sized" / "events.parquet")["magnitude_scale"]).name == "yin2023"


def test_events_on_other_channels_stay_without_and_are_counted(folder):
    assert calibrate(folder).exit_code == 0
    scale = json.loads((folder / "scale.json").read_text())
    scale["sites"]["channel_index"] = [number + 1000 for number in scale["sites"]["channel_index"]]
    (folder / "scale.json").write_text(json.dumps(scale))
    answer = apply(folder)
    assert answer.exit_code == 0
    assert "0 of 8 events have a magnitude" in answer.output
    assert read_events(folder / "sized" / "events.parquet")["magnitude"].isna().all()


def test_amplitudes_must_be_strain_rate(folder):
    path = folder / "catalog" / "picks.parquet"
    write_table(pd.read_parquet(path), path, {"amplitude_unit": "strain"})
    answer = calibrate(folder)
    assert isinstance(answer.exception, UnitError)
    assert "--to-strain-rate" in str(answer.exception)
    write_table(pd.read_parquet(path), path, {})
    silent = calibrate(folder)
    assert isinstance(silent.exception, UnitError)
    assert "--amplitude-unit" in str(silent.exception)
    assert calibrate(folder, "--amplitude-unit", "1/s").exit_code == 0


def test_a_scale_of_records_needs_records_and_measures_them(tmp_path):
    events, picks, reference = tables((2.0, 3.3))
    data = 0.01 * blank()
    follow(data, (2.0, 3.3), {phase: np.linspace(0.0, 0.5, NUM_CHANNELS) for phase in "PS"})
    patch = io.make_patch(
        data.astype(np.float32),
        start_time=START,
        dt_s=DT_S,
        station_id="CABLE",
        unit="strain / s",
        distance_m=10.0 * np.arange(NUM_CHANNELS),
    )
    io.write_quakeflow(patch, tmp_path / "records" / "one.h5")
    whole = [complete(table, columns) for table, columns in ((events, EVENT_COLUMNS), (picks, PICK_COLUMNS))]
    for table, name in zip(whole, ("events", "picks"), strict=True):
        write_table(table, tmp_path / "catalog" / f"{name}.parquet", {"amplitude_unit": "counts"})
    reference[:1].to_csv(tmp_path / "reference.csv", index=False)

    def command(name: str, *arguments: str):
        return CliRunner().invoke(app, ["magnitude", name, str(tmp_path / "catalog"), *arguments])

    records, scale = ["--records", str(tmp_path / "records")], str(tmp_path / "scale.json")
    known = ["--reference", str(tmp_path / "reference.csv"), "--scale", "yin2023", "--min-events", "1"]
    answer = command("calibrate", *known, "-o", scale, *records)
    assert answer.exit_code == 0, answer.exception
    bare = command("apply", "--scale", scale, "-o", str(tmp_path / "sized"))
    assert isinstance(bare.exception, ConfigError)
    assert "--records" in str(bare.exception)
    (tmp_path / "settings.yaml").write_text(
        "{data: {inputs: [records]}, report: {magnitude_scale: scale.json}}"
    )
    for arguments in (["--scale", scale, *records], ["--config", str(tmp_path / "settings.yaml")]):
        answer = command("apply", *arguments, "-o", str(tmp_path / "sized"))
        assert answer.exit_code == 0, answer.exception
        sized = read_events(tmp_path / "sized" / "events.parquet")
        np.testing.assert_allclose(sized["magnitude"], (2.0, 3.3), atol=0.01)
    assert read_picks(tmp_path / "sized" / "picks.parquet")["peak_strain_rate"].notna().all()


def test_a_folder_without_a_catalog_says_how_to_make_one(folder):
    (folder / "catalog" / "picks.parquet").unlink()
    answer = calibrate(folder)
    assert isinstance(answer.exception, TableError)
    assert "phasenet-das associate" in str(answer.exception)


def test_the_scale_says_where_it_comes_from(folder):
    assert calibrate(folder).exit_code == 0
    facts = json.loads((folder / "scale.json").read_text())["metadata"]
    assert facts["num_inputs"] == 4
    assert read_magnitude_scale(folder / "scale.json").uncertainty < 1e-2


def test_settings_name_the_scale_as_the_workflow_does(folder):
    assert calibrate(folder).exit_code == 0
    settings = {
        "geometry": {"path": "channels.csv"},
        "report": {"magnitude_scale": "scale.json", "network_code": "NN"},
    }
    (folder / "settings.yaml").write_text(json.dumps(settings))
    places = [str(folder / "catalog"), "--config", str(folder / "settings.yaml"), "-o", str(folder / "run")]
    assert CliRunner().invoke(app, ["magnitude", "apply", *places]).exit_code == 0
    sized, truth = read_events(folder / "run" / "events.parquet"), pd.read_csv(folder / "truth.csv")
    np.testing.assert_allclose(sized["magnitude"], truth["magnitude"], atol=2e-3)
    facts = read_metadata(folder / "run" / "events.parquet")
    assert facts["weights_id"] == "w"
    assert facts["magnitude_scale"].endswith("scale.json")
    assert {"catalog.csv", "catalog.xml"} <= {path.name for path in (folder / "run").iterdir()}


def two_days(folder: Path, *units: str) -> None:
    """Write the picks of the folder as two tables of amplitudes in these units."""
    picks = read_picks(folder / "catalog" / "picks.parquet")
    (folder / "catalog" / "picks.parquet").unlink()
    for day, (unit, rows) in enumerate(zip(units, (picks.iloc[::2], picks.iloc[1::2]), strict=True)):
        path = folder / "catalog" / "picks" / f"2020-01-0{day + 1}.parquet"
        write_table(rows, path, {"amplitude_unit": unit, "weights_id": f"w{day}"})


def test_days_in_different_units_are_refused_and_those_in_one_keep_all_facts(folder):
    two_days(folder, "strain / s", "nanostrain / s")
    answer = calibrate(folder)
    assert isinstance(answer.exception, UnitError)
    assert "nanostrain / s, strain / s" in str(answer.exception)
    two_days_again = [folder / "catalog" / "picks" / f"2020-01-0{day}.parquet" for day in (1, 2)]
    write_table(read_picks(two_days_again[1]), two_days_again[1], {"amplitude_unit": "strain / s"})
    assert calibrate(folder).exit_code == 0
    assert apply(folder).exit_code == 0
    facts = read_metadata(folder / "sized" / "picks.parquet")
    assert facts["amplitude_unit"] == "strain / s"
    assert {Path(name).name for name in facts["inputs"]} == {path.name for path in two_days_again}


def test_a_wrong_unit_is_named_with_the_magnitudes_that_it_makes(folder, caplog):
    assert calibrate(folder).exit_code == 0
    assert apply(folder).exit_code == 0
    assert "magnitudes lie outside" not in caplog.text
    path = folder / "catalog" / "picks.parquet"
    picks = read_picks(path)
    write_table(
        picks.assign(phase_amplitude=picks["phase_amplitude"] * 1e12), path, {"amplitude_unit": "1/s"}
    )
    assert apply(folder).exit_code == 0
    assert "8 of 8 magnitudes lie outside -4 to 9" in caplog.text
    assert "the unit in use is '1/s'" in caplog.text
