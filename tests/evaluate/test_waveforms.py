"""Cross-correlation finds known shifts; pick errors show in differential times."""

from __future__ import annotations

import numpy as np
import pytest

from phasenet_das import io
from phasenet_das.errors import ConfigError
from phasenet_das.evaluate import CorrelationWindow, compare_differential_times, summarize_differential_times
from phasenet_das.evaluate.waveforms import cross_correlate, peak_lag
from tests.tables_at_hand import START, pick_table

DT_S = 0.01
WINDOW = CorrelationWindow(0.5, 1.5, 0.4, (1.0, 12.0))


def _wavelets(samples: int, seed: int, shift: np.ndarray) -> np.ndarray:
    """One random band-limited trace, delayed by `shift` samples on each row."""
    rng = np.random.default_rng(seed)
    frequency = np.fft.rfftfreq(samples)
    spectrum = rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency))
    spectrum *= (frequency > 0.02) & (frequency < 0.12)
    return np.fft.irfft(spectrum * np.exp(-2j * np.pi * frequency * shift[:, None]), samples)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_known_shift_is_found_between_samples_in_either_polarity(sign: int) -> None:
    shift = np.linspace(-19.7, 19.9, 80)
    traces = _wavelets(800, 0, np.concatenate([[0.0], shift]))
    template = np.repeat(traces[:1, 300:500], 80, axis=0)
    coefficients = cross_correlate(template, sign * traces[1:, 275:525])
    lag, coefficient = peak_lag(coefficients)
    assert np.abs(lag - 25 - shift).max() < 0.05
    assert (np.sign(coefficient) == sign).all()
    assert (np.abs(coefficient) > 0.95).all()
    assert np.abs(coefficients).max() <= 1 + 1e-9


def test_coefficients_are_pearsons() -> None:
    rng = np.random.default_rng(1)
    template, search = rng.standard_normal((3, 50)), 7 + rng.standard_normal((3, 60))
    found = cross_correlate(template, search)
    for row, lag in ((0, 0), (1, 4), (2, 10)):
        expected = np.corrcoef(template[row], search[row, lag : lag + 50])[0, 1]
        assert found[row, lag] == pytest.approx(expected, abs=1e-9)
    assert (cross_correlate(template, np.ones((3, 60))) == 0).all()


def test_a_peak_at_the_end_of_the_lags_is_not_trusted() -> None:
    lag, _ = peak_lag(np.array([[0.9, 0.5, 0.1], [0.1, 0.5, 0.9], [0.1, 0.9, 0.1]]))
    assert np.isnan(lag).tolist() == [True, True, False]


def _recording(moveout_samples: float = 1.3, num_events: int = 1) -> tuple:
    """A patch whose events arrive with a known moveout, and their true picks (s)."""
    channels = 40
    shift = moveout_samples * np.arange(channels)
    one = _wavelets(1024, 2, shift) * np.hanning(1024)
    data = np.concatenate([(-1) ** k * one for k in range(num_events)], axis=1).astype(np.float32)
    data += 1e-4 * np.random.default_rng(3).standard_normal(data.shape).astype(np.float32)
    patch = io.make_patch(data, start_time=str(START.tz_localize(None)), dt_s=DT_S, station_id="C")
    seconds = np.concatenate([(400 + 1024 * k + shift) * DT_S for k in range(num_events)])
    event = np.repeat(np.arange(num_events), channels)
    return patch, np.tile(np.arange(channels), num_events), seconds, event


def test_exact_picks_agree_with_waveforms_between_channels() -> None:
    patch, channel, seconds, event = _recording()
    picks = pick_table(channel, seconds, event=event)
    table = summarize_differential_times(compare_differential_times([patch], picks, WINDOW)).iloc[0]
    assert table["num_kept"] == 39
    assert abs(table["bias_s"]) < 0.05 * DT_S
    assert table["spread_s"] < 0.05 * DT_S


def test_the_scatter_of_picks_shows() -> None:
    patch, channel, seconds, event = _recording()
    error = 0.02 * np.random.default_rng(4).standard_normal(len(seconds))
    pairs = compare_differential_times([patch], pick_table(channel, seconds + error, event=event), WINDOW)
    order = pairs.sort_values("channel_1")
    np.testing.assert_allclose(order["residual_s"], np.diff(error), atol=0.1 * DT_S)
    assert summarize_differential_times(pairs)["std_s"].iloc[0] == pytest.approx(
        np.diff(error).std(), rel=0.05
    )


def test_events_are_paired_on_their_channel_and_reversed_polarity_is_kept() -> None:
    patch, channel, seconds, event = _recording(num_events=3)
    late = np.array([0.0, 0.03, 0.0])[event]
    pairs = compare_differential_times(
        [patch], pick_table(channel, seconds + late, event=event), WINDOW, between="events"
    )
    assert len(pairs) == 3 * 40
    assert (pairs["channel_1"] == pairs["channel_2"]).all()
    assert pairs["kept"].all()
    expected = np.array([0.0, 0.03, 0.0])
    np.testing.assert_allclose(
        pairs["residual_s"], expected[pairs["event_2"]] - expected[pairs["event_1"]], atol=0.05 * DT_S
    )
    reversed_ = (pairs["event_2"] - pairs["event_1"]) % 2 == 1
    np.testing.assert_array_equal(pairs["correlation"] < 0, reversed_)


def test_a_recording_in_two_halves_gives_the_same() -> None:
    patch, channel, seconds, event = _recording(num_events=2)
    picks = pick_table(channel, seconds, event=event)
    begin, middle, end = (
        START.tz_localize(None) + np.timedelta64(round(1000 * s), "ms") for s in (0, 10.24, 20.47)
    )
    halves = [io.read(patch, time=(str(begin), str(middle))), io.read(patch, time=(str(middle), str(end)))]
    whole = compare_differential_times([patch], picks, WINDOW)
    parts = compare_differential_times(halves, picks, WINDOW)
    assert len(whole) == len(parts) == 78
    np.testing.assert_allclose(whole["residual_s"], parts["residual_s"], atol=0.1 * DT_S)


def test_noise_is_not_kept() -> None:
    rng = np.random.default_rng(5)
    patch = io.make_patch(
        rng.standard_normal((20, 1000)).astype(np.float32),
        start_time=str(START.tz_localize(None)),
        dt_s=DT_S,
        station_id="C",
    )
    pairs = compare_differential_times([patch], pick_table(np.arange(20), np.full(20, 5.0)), WINDOW)
    assert len(pairs) == 19
    assert pairs["kept"].mean() < 0.2


def test_settings_that_make_no_sense_are_refused() -> None:
    patch, channel, seconds, event = _recording()
    picks = pick_table(channel, seconds, event=event)
    with pytest.raises(ConfigError, match="positive spans"):
        CorrelationWindow(0.5, -1.0)
    with pytest.raises(ConfigError, match="expected 'channels' or"):
        compare_differential_times([patch], picks, WINDOW, between="cables")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no recording"):
        compare_differential_times([], picks, WINDOW)
    other = io.make_patch(io.get_data(patch), start_time="2024-03-02", dt_s=0.02, station_id="C")
    with pytest.raises(ConfigError, match="100 Hz and 50 Hz"):
        compare_differential_times([patch, other], picks, WINDOW)
