"""Peaks measured from records: only those in the windows of the scale count, and only in strain rate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phasenet_das import io
from phasenet_das.catalog import (
    calibrate_magnitude,
    estimate_magnitudes,
    measure_amplitudes,
    named_scale,
)
from phasenet_das.config import DataSettings, PickSettings
from phasenet_das.errors import ConfigError, UnitError
from phasenet_das.io.recording import Recording, recording_of_array
from phasenet_das.picking.preprocess import condition

DT_S, START = 0.01, np.datetime64("2024-01-01T00:00:00", "ns")
NUM_CHANNELS, NUM_SAMPLES = 6, 6000
ORIGIN_S = (8.0, 30.0)
P_S, S_S = 2.0, 5.0  # travel times
NOISE = 1e-10


def tables(magnitude: tuple[float, float] = (2.0, 3.0)) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Two events 10 and 20 km away, with P and S on each channel, and a reference of their magnitudes."""
    start = pd.Timestamp(START).tz_localize("UTC")
    events = pd.DataFrame(
        {
            "event_index": [0, 1],
            "event_id": ["a", "b"],
            "time": start + pd.to_timedelta(ORIGIN_S, unit="s"),
            "longitude": np.nan,
            "latitude": np.nan,
            "depth_km": np.nan,
            "source_distance_km": [10.0, 20.0],
        }
    )
    rows = [
        (event, "CABLE", channel, phase, start + pd.Timedelta(seconds=ORIGIN_S[event] + after_s))
        for event in (0, 1)
        for channel in range(NUM_CHANNELS)
        for phase, after_s in (("P", P_S), ("S", S_S))
    ]
    columns = ["event_index", "station_id", "channel_index", "phase_type", "phase_time"]
    picks = pd.DataFrame(rows, columns=columns).assign(phase_amplitude=np.nan)
    return events, picks, events.assign(magnitude=magnitude)


def blank() -> np.ndarray:
    return NOISE * np.random.default_rng(0).standard_normal((NUM_CHANNELS, NUM_SAMPLES))


def wiggle(data: np.ndarray, at_s: float, peak: float | np.ndarray, channel: slice = slice(None)) -> None:
    """Add a period of 0.2 s whose largest value is `peak`."""
    first = round(at_s / DT_S)
    data[channel, first : first + 20] += np.sin(2 * np.pi * np.arange(20) / 20) * np.reshape(peak, (-1, 1))


def recording(data: np.ndarray, unit: str = "strain / s", **known: object) -> Recording:
    return recording_of_array(
        data, start_time=START, dt_s=DT_S, **{"station_id": "CABLE", "unit": unit, **known}
    )


def peaks(data: np.ndarray, unit: str = "strain / s") -> pd.DataFrame:
    events, picks, _ = tables()
    return measure_amplitudes(events, picks, [recording(data, unit)])


def of(table: pd.DataFrame, event: int, phase: str, column: str = "peak_strain_rate") -> np.ndarray:
    chosen = (table["event_index"] == event) & (table["phase_type"] == phase)
    return table.loc[chosen].sort_values("channel_index")[column].to_numpy()


def two_events() -> np.ndarray:
    data = blank()
    for number, origin_s in enumerate(ORIGIN_S):
        wiggle(data, origin_s + P_S + 0.5, 1e-8 * (number + 1))
        wiggle(data, origin_s + S_S + 1.0, 5e-8 * (number + 1))
    return data


def test_the_peak_of_each_window_comes_back():
    table = peaks(two_events())
    for event in (0, 1):
        np.testing.assert_allclose(of(table, event, "P"), 1e-8 * (event + 1), rtol=0.05)
        np.testing.assert_allclose(of(table, event, "S"), 5e-8 * (event + 1), rtol=0.05)


def test_nothing_outside_the_windows_counts():
    data = two_events()
    wiggle(data, ORIGIN_S[0] + P_S + 2.1, 1.0)  # after the window of P
    wiggle(data, ORIGIN_S[1] + S_S - 0.45, 1.0)  # less than 0.5 s before S
    wiggle(data, ORIGIN_S[1] + S_S + 2.1, 1.0)  # after the window of S
    pd.testing.assert_frame_equal(peaks(data), peaks(two_events()))


def test_the_window_of_p_ends_half_a_second_before_s():
    events, picks, _ = tables()
    early = picks["phase_type"] == "S"
    picks.loc[early, "phase_time"] -= pd.Timedelta(seconds=2.0)  # S 1 s after P
    data = blank()
    wiggle(data, ORIGIN_S[0] + P_S + 0.1, 1e-8)
    wiggle(data, ORIGIN_S[0] + P_S + 0.6, 1e-6)
    table = measure_amplitudes(events, picks, [recording(data)])
    np.testing.assert_allclose(of(table, 0, "P"), 1e-8, rtol=0.1)
    picks.loc[early, "phase_time"] -= pd.Timedelta(seconds=0.1)  # no window of 0.5 s is left
    assert np.isnan(of(measure_amplitudes(events, picks, [recording(data)]), 0, "P")).all()


def test_strain_is_differentiated():
    time_s = DT_S * np.arange(NUM_SAMPLES)
    data = np.tile(1e-9 * np.sin(2 * np.pi * 5.0 * time_s), (NUM_CHANNELS, 1))
    np.testing.assert_allclose(of(peaks(data, "strain"), 0, "S"), 2 * np.pi * 5.0 * 1e-9, rtol=0.02)


@pytest.mark.parametrize(("unit", "factor"), [("1/s", 1.0), ("microstrain / s", 1e-6), ("nm/m/s", 1e-9)])
def test_units_of_strain_rate_are_converted(unit, factor):
    expected = of(peaks(two_events()), 0, "S") * factor
    np.testing.assert_allclose(of(peaks(two_events(), unit), 0, "S"), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "unit", ["rad", "rad / s", "rad/(m s)", "m / s", "counts", "counts / s", "dimensionless", "unknown"]
)
def test_other_units_are_refused(unit):
    with pytest.raises(UnitError, match="expected strain or strain rate"):
        peaks(two_events(), unit)


def test_the_noise_is_that_before_p():
    table = peaks(two_events())
    window = 200
    for phase, peak in (("P", 1e-8), ("S", 5e-8)):
        power = NOISE**2 + peak**2 / 2 * 20 / window
        np.testing.assert_allclose(
            of(table, 0, phase, "peak_snr_db"), 10 * np.log10(power / NOISE**2), atol=1.5
        )


def test_a_window_that_leaves_the_record_is_not_measured():
    events, picks, _ = tables()
    cut = recording_of_array(
        two_events()[:, :1400], start_time=START, dt_s=DT_S, station_id="CABLE", unit="1/s"
    )
    table = measure_amplitudes(events, picks, [cut])  # ends 1 s after S of the first event
    assert np.isfinite(of(table, 0, "P")).all()
    assert np.isnan(of(table, 0, "S")).all()
    assert np.isnan(of(table, 1, "P")).all()


def test_a_channel_without_samples_is_not_measured():
    data = two_events()
    data[2, 1000:1100] = np.nan
    table = peaks(data)
    assert np.isnan(of(table, 0, "P")[2])
    assert np.isfinite(of(table, 0, "P")[[0, 1, 3, 4, 5]]).all()
    assert np.isfinite(of(table, 0, "S")).all()


def test_a_peak_that_may_be_of_another_event_is_not_measured():
    events, picks, _ = tables()
    events.loc[1, "time"] = events.loc[0, "time"] + pd.Timedelta(seconds=3.5)
    shift = pd.Timedelta(seconds=ORIGIN_S[1] - ORIGIN_S[0] - 3.5)
    picks.loc[picks["event_index"] == 1, "phase_time"] -= shift
    table = measure_amplitudes(events, picks, [recording(two_events())])
    assert np.isfinite(of(table, 0, "P")).all()  # the other arrives after its window
    for event, phase in ((0, "S"), (1, "P"), (1, "S")):
        assert np.isnan(of(table, event, phase)).all()


def test_the_missing_phase_of_a_channel_follows_from_the_others():
    events, picks, _ = tables()
    whole = measure_amplitudes(events, picks, [recording(two_events())])
    gone = (picks["channel_index"] == 0) & (picks["phase_type"] == "S")
    table = measure_amplitudes(events, picks[~gone], [recording(two_events())])
    np.testing.assert_array_equal(of(table, 0, "P"), of(whole, 0, "P"))
    gone = (picks["channel_index"] == 0) & (picks["phase_type"] == "P")
    table = measure_amplitudes(events, picks[~gone], [recording(two_events())])
    np.testing.assert_array_equal(of(table, 0, "S"), of(whole, 0, "S"))


def test_the_phase_is_the_one_as_which_the_event_took_the_pick():
    events, picks, _ = tables()
    taken = picks.assign(associated_phase=picks["phase_type"], phase_type="P")
    table = measure_amplitudes(events, taken, [recording(two_events())])
    expected = peaks(two_events())["peak_strain_rate"]
    np.testing.assert_array_equal(table["peak_strain_rate"], expected)


def test_channels_at_a_time_make_no_difference(monkeypatch):
    whole = peaks(two_events())
    monkeypatch.setattr("phasenet_das.catalog.amplitudes._SAMPLES_AT_A_TIME", 2000)
    pd.testing.assert_frame_equal(peaks(two_events()), whole)


def test_picks_without_an_event_and_records_of_other_times_change_nothing():
    events, picks, _ = tables()
    early = recording_of_array(
        blank(), start_time=START - np.timedelta64(1, "D"), dt_s=DT_S, station_id="CABLE", unit="rad"
    )
    table = measure_amplitudes(events, picks, [early, recording(two_events())])
    pd.testing.assert_frame_equal(table, peaks(two_events()))
    alone = measure_amplitudes(events, picks.assign(event_index=-1), [recording(two_events())])
    assert len(alone) == len(picks)
    assert alone["peak_strain_rate"].isna().all()


def test_records_of_another_cable_are_named():
    events, picks, _ = tables()
    other = recording_of_array(two_events(), start_time=START, dt_s=DT_S, station_id="OTHER", unit="1/s")
    with pytest.raises(ConfigError, match=r"OTHER.*CABLE"):
        measure_amplitudes(events, picks, [other])


def follow(data: np.ndarray, magnitude: tuple[float, float], sites: dict[str, np.ndarray]) -> None:
    """Add the waves that the formula of the paper, in microstrain per second, means."""
    for number, (origin_s, distance_km) in enumerate(zip(ORIGIN_S, (10.0, 20.0), strict=True)):
        for phase, a, b, at_s in (("P", 0.437, -1.269, P_S + 0.5), ("S", 0.690, -1.588, S_S + 1.0)):
            level = a * magnitude[number] + b * np.log10(distance_km) + sites[phase]
            wiggle(data, origin_s + at_s, 1e-6 * 10**level)


def test_one_stated_event_gives_the_magnitude_of_another():
    magnitude = (2.0, 3.3)
    sites = {phase: np.random.default_rng(1).normal(0.3, 0.4, NUM_CHANNELS) for phase in "PS"}
    data = 0.01 * blank()
    follow(data, magnitude, sites)
    events, picks, reference = tables(magnitude)
    picks = measure_amplitudes(events, picks, [recording(data)])
    scale = calibrate_magnitude(events, picks, reference[:1], coefficients="yin2023", min_events=1)
    assert scale.amplitudes == "records"
    found = estimate_magnitudes(events, picks, scale)
    np.testing.assert_allclose(found["magnitude"], magnitude, atol=0.01)
    bare = picks.drop(columns=["peak_strain_rate", "peak_snr_db"])
    with pytest.raises(ConfigError, match="--records"):
        estimate_magnitudes(events, bare, scale)


def test_channels_below_10_db_are_ignored():
    magnitude = (2.0, 3.3)
    data = 0.01 * blank()
    follow(data, magnitude, {"P": np.full(NUM_CHANNELS, 0.4), "S": np.full(NUM_CHANNELS, 0.3)})
    noise = 3e-7 * np.random.default_rng(2).standard_normal((4, NUM_SAMPLES))
    loud = data.copy()
    loud[:4] += noise  # most channels, so that their median would be wrong
    events, picks, reference = tables(magnitude)
    scale = calibrate_magnitude(
        events,
        measure_amplitudes(events, picks, [recording(data)]),
        reference,
        coefficients="yin2023",
        min_events=2,
    )
    measured = measure_amplitudes(events, picks, [recording(loud)])
    assert (of(measured, 0, "P", "peak_snr_db")[:4] < 10).all()
    found = estimate_magnitudes(events, measured, scale)
    assert found["magnitude"][0] == pytest.approx(2.0, abs=0.01)
    assert found["num_magnitude_channels"][0] == 2
    everything = estimate_magnitudes(events, measured.assign(peak_snr_db=99.0), scale)
    assert abs(everything["magnitude"][0] - 2.0) > 0.1


def test_the_named_scale_has_the_mean_site_term_and_its_spread():
    magnitude = (2.0, 3.3)
    data = 0.01 * blank()
    follow(data, magnitude, {"P": np.full(NUM_CHANNELS, 1.225 / 3), "S": np.full(NUM_CHANNELS, 0.833 / 4)})
    events, picks, _ = tables()
    found = estimate_magnitudes(
        events, measure_amplitudes(events, picks, [recording(data)]), named_scale("yin2023")
    )
    np.testing.assert_allclose(found["magnitude"], magnitude, atol=0.01)
    np.testing.assert_allclose(found["magnitude_uncertainty"], 1.2, atol=0.01)
    with pytest.raises(ConfigError, match="yin2023"):
        named_scale("yin2024")


def test_the_named_repair_of_a_wrong_unit_works(tmp_path):
    """A stated unit that contradicts the file is refused."""
    events, picks, _ = tables()
    options = {"start_time": START, "dt_s": DT_S, "station_id": "CABLE"}
    io.write_quakeflow(
        io.make_patch(two_events().astype(np.float32), unit="m / s", **options), tmp_path / "1.h5"
    )
    wrong = io.open_archive(tmp_path / "1.h5", DataSettings(station_id="CABLE")).recordings
    with pytest.raises(UnitError, match=r"update_attrs\(data_units=.*write_quakeflow"):
        measure_amplitudes(events, picks, wrong)
    with pytest.raises(UnitError, match=r"Leave the setting off.*update_attrs\(data_units=.*write_quakeflow"):
        condition(two_events(), DT_S, "m / s", PickSettings(to_strain_rate=True))
    io.write_quakeflow(io.read(tmp_path / "1.h5").update_attrs(data_units="strain / s"), tmp_path / "2.h5")
    right = io.open_archive(tmp_path / "2.h5", DataSettings(station_id="CABLE")).recordings
    expected = peaks(two_events())["peak_strain_rate"]
    found = measure_amplitudes(events, picks, right)["peak_strain_rate"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
