"""Magnitudes: amplitudes made by a known scale give back its slopes, site terms and magnitudes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from phasenet_das.catalog import (
    MagnitudeScale,
    calibrate_magnitude,
    estimate_magnitudes,
    read_magnitude_scale,
)
from phasenet_das.catalog.magnitude import stated_event
from phasenet_das.errors import ConfigError, TableError, UnitError
from phasenet_das.tables import EVENT_COLUMNS, PICK_COLUMNS, conform

A_B = {"P": (0.45, -1.3), "S": (0.7, -1.6)}
NUM_CHANNELS = 30


def world(num_events: int = 8, noise: float = 0.0, seed: int = 1):
    """Events round a cable, and amplitudes that follow the scale, with a site term for each channel."""
    rng = np.random.default_rng(seed)
    channels = pd.DataFrame(
        {
            "station_id": "CABLE",
            "channel_index": np.arange(NUM_CHANNELS),
            "longitude": -117.6 + 1e-3 * np.arange(NUM_CHANNELS),
            "latitude": 35.5,
            "elevation_m": 500.0,
        }
    )
    events = pd.DataFrame(
        {
            "event_index": np.arange(num_events),
            "event_id": [f"e{k}" for k in range(num_events)],
            "time": pd.Timestamp("2020-01-01T00:00:00Z")
            + pd.to_timedelta(60.0 * np.arange(num_events), unit="s"),
            "longitude": -117.6 + rng.uniform(-0.5, 0.5, num_events),
            "latitude": 35.5 + rng.uniform(-0.5, 0.5, num_events),
            "depth_km": rng.uniform(2, 12, num_events),
            "magnitude": rng.uniform(1, 4, num_events),
        }
    )
    sites = rng.normal(-9, 0.4, (2, NUM_CHANNELS))
    rows = []
    for event in events.itertuples():
        east = (channels["longitude"] - event.longitude) * 111.32 * np.cos(np.deg2rad(35.5))
        north = (channels["latitude"] - event.latitude) * 111.0
        distance = np.sqrt(east**2 + north**2 + (event.depth_km + 0.5) ** 2)
        shift = noise * rng.standard_normal()
        for row, (phase, (a, b)) in enumerate(A_B.items()):
            level = a * (event.magnitude + shift) + b * np.log10(distance) + sites[row]
            rows.append(
                channels[["station_id", "channel_index"]].assign(
                    phase_type=phase,
                    event_index=event.event_index,
                    phase_amplitude=10**level,
                    phase_time=event.time,
                    phase_score=0.9,
                )
            )
    picks = pd.concat(rows, ignore_index=True)
    table = complete(events.drop(columns="magnitude"), EVENT_COLUMNS)
    return table, complete(picks, PICK_COLUMNS), events, channels, sites


def complete(table: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Fill the columns of a contract that these tests do not look at."""
    empty = {"str": "", "int64": 0, "int32": 0}
    lacking = {name: empty.get(kind, np.nan) for name, kind in columns.items() if name not in table}
    table = table.assign(**lacking)
    return conform(table.assign(pick_id=range(len(table))) if "pick_id" in columns else table, columns)


def calibrated(num_events: int = 8, noise: float = 0.0, **options) -> tuple[MagnitudeScale, tuple]:
    made = world(num_events, noise)
    events, picks, reference, channels, _ = made
    reference = reference.assign(source_distance_km=np.nan)
    scale = calibrate_magnitude(events, picks, reference, channels, amplitude_unit="strain / s", **options)
    return scale, made


def test_the_slopes_and_site_terms_come_back():
    scale, (*_, sites) = calibrated()
    for row in scale.coefficients.itertuples():
        assert (row.magnitude_slope, row.distance_slope) == pytest.approx(A_B[row.phase_type], abs=0.01)
    for row, phase in enumerate(A_B):
        found = scale.sites[scale.sites["phase_type"] == phase].sort_values("channel_index")["site_log10"]
        np.testing.assert_allclose(found, sites[row], atol=0.02)


def test_magnitudes_come_back_and_say_their_error():
    scale, (events, picks, reference, channels, _) = calibrated()
    found = estimate_magnitudes(events, picks, scale, channels)
    np.testing.assert_allclose(found["magnitude"], reference["magnitude"], atol=0.02)
    assert (found["num_magnitude_channels"] == NUM_CHANNELS).all()
    assert scale.uncertainty < 0.05


def test_the_error_is_that_of_events_left_out_of_the_fit():
    scale, _ = calibrated(num_events=25, noise=0.3)
    assert scale.uncertainty == pytest.approx(0.3, rel=0.4)
    assert len(scale.residuals) == 25


def test_stated_slopes_leave_the_site_terms_to_few_events():
    scale, (events, picks, reference, channels, _) = calibrated(num_events=2, coefficients=A_B, min_events=1)
    found = estimate_magnitudes(events, picks, scale, channels)
    np.testing.assert_allclose(found["magnitude"], reference["magnitude"], atol=0.02)


def test_without_calibration_there_is_no_magnitude():
    events, picks, _, channels, _ = world()
    assert "magnitude" not in estimate_magnitudes(events, picks, None, channels).columns


def test_a_channel_without_site_term_gives_no_magnitude():
    scale, (events, picks, _, channels, _) = calibrated()
    elsewhere = picks.assign(channel_index=picks["channel_index"] + 1000)
    assert estimate_magnitudes(events, elsewhere, scale, channels)["magnitude"].isna().all()


@pytest.mark.parametrize(
    ("unit", "mend"), [("strain", "--to-strain-rate"), ("rad/(m s)", "gauge length"), ("counts/s", "Convert")]
)
def test_amplitudes_of_another_unit_are_refused(unit, mend):
    events, picks, reference, channels, _ = world()
    with pytest.raises(UnitError, match=mend):
        calibrate_magnitude(events, picks, reference, channels, amplitude_unit=unit)


def test_amplitudes_in_microstrain_give_the_same_scale():
    events, picks, reference, channels, _ = world()
    micro = picks.assign(phase_amplitude=picks["phase_amplitude"] * 1e6)
    known = calibrate_magnitude(events, picks, reference, channels, amplitude_unit="strain / s")
    scale = calibrate_magnitude(events, micro, reference, channels, amplitude_unit="microstrain / s")
    np.testing.assert_allclose(scale.sites["site_log10"], known.sites["site_log10"], atol=1e-4)
    with pytest.raises(UnitError, match="amplitude_unit"):
        calibrate_magnitude(events, picks, reference, channels)


def test_a_stated_event_is_found_by_id_and_by_time():
    events, *_ = world()
    by_id, by_time = (stated_event(events, name, 2.5, 3.0) for name in ("e3", "2020-01-01T00:03:01.2Z"))
    pd.testing.assert_frame_equal(by_id, by_time)
    assert (by_id["event_id"].item(), by_id["magnitude"].item()) == ("e3", 2.5)
    for name in ("e99", "2020-01-01T00:03:05Z"):
        with pytest.raises(ConfigError, match="event_id"):
            stated_event(events, name, 2.5, 3.0)


def test_distances_of_the_calibration_are_those_of_the_catalog():
    events, picks, reference, channels, sites = world()
    moved = reference.assign(depth_km=reference["depth_km"] + 5.0)
    scale = calibrate_magnitude(events, picks, moved, channels, amplitude_unit="1/s", coefficients=A_B)
    found = scale.sites[scale.sites["phase_type"] == "S"].sort_values("channel_index")["site_log10"]
    np.testing.assert_allclose(found, sites[1], atol=0.02)


def test_events_that_are_too_few_or_alike_are_refused():
    events, picks, reference, channels, _ = world()
    reference = reference.assign(source_distance_km=np.nan)
    with pytest.raises(ConfigError, match="min_events"):
        calibrate_magnitude(events, picks, reference[:2], channels, amplitude_unit="1/s")
    alike = reference.assign(magnitude=2.0)
    with pytest.raises(ConfigError, match="coefficients="):
        calibrate_magnitude(events, picks, alike, channels, amplitude_unit="1/s")


def test_a_scale_is_read_as_it_was_written(tmp_path):
    scale, (events, picks, _, channels, _) = calibrated(magnitude_type="ML")
    again = read_magnitude_scale(scale.write(tmp_path / "scale.json"))
    pd.testing.assert_frame_equal(
        estimate_magnitudes(events, picks, again, channels),
        estimate_magnitudes(events, picks, scale, channels),
    )
    content = json.loads((tmp_path / "scale.json").read_text())
    del content["magnitude_type"]
    for text in ("{}", json.dumps(content)):
        (tmp_path / "scale.json").write_text(text)
        with pytest.raises(TableError, match="not a magnitude scale"):
            read_magnitude_scale(tmp_path / "scale.json")


def test_a_scale_without_leave_one_out_values_is_valid_json(tmp_path):
    events, picks, known, channels, _ = world(1)
    scale = calibrate_magnitude(
        events, picks, known, channels, amplitude_unit="strain / s", coefficients=A_B, min_events=1
    )
    path = scale.write(tmp_path / "scale.json")
    json.loads(path.read_text(), parse_constant=pytest.fail)  # NaN is no word of JSON
    assert np.isnan(read_magnitude_scale(path).residuals["residual"]).all()


def test_a_scale_of_unknown_type_takes_the_old_type_away():
    scale, (events, picks, _, channels, _) = calibrated()
    sized = estimate_magnitudes(events.assign(magnitude_type="ML"), picks, scale, channels)
    assert "magnitude_type" not in sized.columns
    again = estimate_magnitudes(events, pd.concat([picks, picks]), scale, channels)  # a repeated index
    np.testing.assert_allclose(again["magnitude"], sized["magnitude"])


def test_magnitudes_of_a_wrong_unit_are_warned_of(caplog):
    scale, (events, picks, _, channels, _) = calibrated()
    estimate_magnitudes(events, picks, scale, channels)
    assert not caplog.records
    wrong = picks.assign(phase_amplitude=picks["phase_amplitude"] * 1e9)
    found = estimate_magnitudes(events, wrong, scale, channels)
    assert (found["magnitude"] > 9).all()
    peak = 10 ** np.log10(wrong["phase_amplitude"].astype(float)).median()
    assert "8 of 8 magnitudes lie outside -4 to 9" in caplog.text
    assert f"median peak of these events is {peak:.2g} strain / s" in caplog.text
    assert "1e9" in caplog.text
    caplog.clear()
    estimate_magnitudes(
        events, picks.assign(phase_amplitude=picks["phase_amplitude"] * 1e-9), scale, channels
    )
    assert "8 of 8 magnitudes lie outside" in caplog.text
