"""Calibration: curves follow what was put in, and a well calibrated picker lies on the diagonal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phasenet_das.errors import TableError, WeightsError
from phasenet_das.evaluate import fit_calibration, reliability_table, scored_residuals
from phasenet_das.models import PickCalibration, build_model, load_weights, save_weights, set_calibration
from phasenet_das.plot import reliability
from tests.tables_at_hand import make_truth

DT_S = 0.01
TOLERANCE_S = {"P": 0.5, "S": 0.5}


def made_picks(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Picks that are right as often as their score says, with errors of 2 / score samples."""
    truth = make_truth(seed=seed)
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.1, 1.0, len(truth))
    right = rng.random(len(truth)) < score
    error_s = rng.standard_normal(len(truth)) * 2 * DT_S / score + ~right * 5.0
    picks = truth.drop(columns="snr_db").assign(phase_score=score.astype(np.float32))
    return picks.assign(phase_time=picks["phase_time"] + pd.to_timedelta(error_s, unit="s")), truth


def calibrated(picks: pd.DataFrame, calibration: PickCalibration) -> pd.DataFrame:
    probability, samples = calibration.apply(picks["phase_type"].to_numpy(), picks["phase_score"].to_numpy())
    return picks.assign(phase_probability=probability, phase_time_uncertainty_s=samples * DT_S)


@pytest.fixture(scope="module")
def calibration() -> PickCalibration:
    picks, truth = made_picks(1)
    residuals = scored_residuals(picks, truth, TOLERANCE_S)
    return fit_calibration(residuals.assign(residual_samples=residuals["residual_s"] / DT_S))


def test_curves_follow_what_was_put_in(calibration: PickCalibration) -> None:
    score = np.array([0.3, 0.5, 0.8, 0.95])
    for phase in "PS":
        probability, samples = calibration.apply(np.full(4, phase), score)
        np.testing.assert_allclose(probability, score, atol=0.15)
        np.testing.assert_allclose(samples, 2 / score, rtol=0.4)
        curve = calibration.curves[phase]
        assert np.all(np.diff(curve.score) > 0)
        assert np.all(np.diff(curve.probability) >= 0)
        assert np.all(np.diff(curve.time_uncertainty_samples) <= 0)


def test_other_picks_lie_on_the_diagonal_and_a_boastful_network_does_not(
    calibration: PickCalibration,
) -> None:
    picks, truth = made_picks(2)
    table = reliability_table(calibrated(picks, calibration), truth, tolerance_s=TOLERANCE_S, num_bins=5)
    assert set(table["phase"]) == {"P", "S"}
    chance = table[table["quantity"] == "probability"]
    assert (chance["stated"] - chance["observed"]).abs().max() < 0.15
    time = table[table["quantity"] == "time_uncertainty_s"]
    assert (time["stated"] / time["observed"] - 1).abs().max() < 0.5
    boastful = calibrated(picks, calibration).assign(phase_probability=0.99)
    wrong = reliability_table(boastful, truth, tolerance_s=TOLERANCE_S, num_bins=5).query(
        "quantity == 'probability'"
    )
    assert (wrong["stated"] - wrong["observed"]).max() > 0.3
    for quantity in ("probability", "time_uncertainty_s"):
        assert reliability(table, quantity).get_xlabel().startswith("Stated")


def test_no_right_pick_gives_no_time_and_no_warning(calibration: PickCalibration) -> None:
    picks, truth = made_picks(2)
    late = calibrated(picks, calibration)
    late["phase_time"] += pd.Timedelta("1D")
    table = reliability_table(late, truth, tolerance_s=TOLERANCE_S)
    assert set(table["quantity"]) == {"probability"}
    assert (table["observed"] == 0).all()
    assert reliability_table(late.iloc[:0], truth).empty


def test_picks_without_calibration_are_refused() -> None:
    picks, truth = made_picks(2)
    with pytest.raises(TableError, match="no column phase_probability"):
        reliability_table(picks, truth)


def test_few_picks_are_not_calibrated_and_unknown_phases_are_nan(calibration: PickCalibration) -> None:
    few = pd.DataFrame({"phase_type": "P", "phase_score": np.linspace(0.1, 1, 20), "residual_samples": 0.0})
    assert not fit_calibration(few).curves
    probability, samples = calibration.apply(np.array(["X", "P"]), np.array([0.5, 0.5]))
    assert np.isnan(probability).tolist() == np.isnan(samples).tolist() == [True, False]


def test_a_calibration_travels_with_the_weights(tmp_path: Path, calibration: PickCalibration) -> None:
    model = build_model("phasenet-das", {"widths": (4, 4, 4, 4)})
    save_weights(
        tmp_path, model, architecture="phasenet-das", model_args=model.model_args, sampling_rate_hz=100.0,
        phases="NPS", component_order="1", normalization="moving", window_samples=2000, provenance={},
        calibration=calibration,
    )  # fmt: skip
    assert load_weights(tmp_path).calibration == calibration
    changed = PickCalibration({"P": calibration.curves["P"]}, "elsewhere")
    before = load_weights(tmp_path).sha256
    set_calibration(tmp_path, changed)
    assert load_weights(tmp_path).calibration == changed
    assert load_weights(tmp_path).sha256 == before
    with pytest.raises(WeightsError, match="cannot be read"):
        set_calibration(tmp_path / "nowhere", changed)
    config = json.loads((tmp_path / "config.json").read_text())
    config["calibration"]["curves"]["P"]["score"][1] = 0.0
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="increasing scores"):
        load_weights(tmp_path)
    config["calibration"] = {"curves": {"P": {"score": [0.1]}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="Measure it anew"):
        load_weights(tmp_path)


def test_scores_near_one_make_a_calibration_that_can_be_read() -> None:
    logits = np.random.default_rng(0).normal(10.0, 2.5, 4000)
    picks = pd.DataFrame(
        {"phase_type": "P", "phase_score": 1 / (1 + np.exp(-logits)), "residual_samples": 1.0}
    )
    made = fit_calibration(picks)
    again = PickCalibration.from_json(json.loads(json.dumps(made.to_json())), "file")
    assert again.curves == made.curves
