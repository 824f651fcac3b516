"""The classical pickers: equal to ObsPy's, and right on plain arrivals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from obspy.signal.trigger import aic_simple, recursive_sta_lta, trigger_onset
from trigger_pickers import TriggerPicker, TriggerSettings, aic, find_triggers, name_phases, sta_lta

from phasenet_das import io
from phasenet_das.errors import ConfigError
from phasenet_das.tables import PICK_COLUMNS
from tests.tables_at_hand import START


def _record(channels: int = 6) -> np.ndarray:
    """Noise with a P at 10 s + 0.02 s a channel and an S 4 s later, 100 Hz."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((channels, 2500))
    for row in range(channels):
        data[row, 1000 + 2 * row :] *= 1 + 9 * np.exp(-np.arange(1500 - 2 * row) / 60)
        data[row, 1400 + 2 * row :] *= 1 + 19 * np.exp(-np.arange(1100 - 2 * row) / 60)
    return data.astype(np.float32)


def test_sta_lta_and_triggers_are_obspys() -> None:
    data = _record()
    ratio = sta_lta(data, 20, 300)
    row, sample, peak = find_triggers(ratio, 4.5, 1.5)
    for channel, trace in enumerate(data):
        theirs = recursive_sta_lta(trace.astype(float), 20, 300)
        np.testing.assert_allclose(ratio[channel], theirs, rtol=1e-9, atol=1e-12)
        onsets = trigger_onset(theirs, 4.5, 1.5)
        assert sample[row == channel].tolist() == onsets[:, 0].tolist()
        tops = [theirs[first : last + 1].max() for first, last in onsets]
        assert (peak[row == channel] >= np.array(tops) - 1e-9).all()


def test_aic_is_obspys_with_the_index_of_the_first_sample_after_the_change() -> None:
    windows = _record()[:, 900:1100]
    ours = aic(windows)
    for row, window in enumerate(windows):
        np.testing.assert_allclose(
            ours[row, 3:-2], aic_simple(window.astype(float) - window.mean())[2:-3], rtol=1e-6
        )
        assert abs(int(ours[row].argmin()) - (100 + 2 * row)) <= 3


def _patch(data: np.ndarray) -> object:
    return io.make_patch(
        data,
        start_time=str(START.tz_localize(None)),
        dt_s=0.01,
        station_id="C",
        channel_index=np.arange(100, 100 + len(data)),
    )


@pytest.mark.parametrize(("method", "tolerance_s"), [("sta_lta", 0.15), ("aic", 0.1)])
def test_plain_arrivals_are_picked_and_named(method: str, tolerance_s: float) -> None:
    data = _record()
    data[3] = 0.0
    picks = TriggerPicker(method, TriggerSettings(band_hz=(5.0, 40.0))).pick(_patch(data))  # type: ignore[arg-type]
    assert list(picks.columns) == list(PICK_COLUMNS)
    assert picks["phase_score"].between(0, 1).all()
    assert 103 not in set(picks["channel_index"])  # dead
    channel = picks["channel_index"].to_numpy() - 100
    expected = np.where(picks["phase_type"] == "P", 10.0, 14.0) + 0.02 * channel
    error = (picks["phase_time"] - START).dt.total_seconds() - expected
    assert picks["phase_type"].value_counts().to_dict() == {"P": 5, "S": 5}
    assert (error.abs() < tolerance_s).all()


def test_first_is_p_second_is_s_and_the_rest_is_dropped() -> None:
    onsets = pd.DataFrame({"row": [1, 0, 0, 0, 0, 1], "sample": [5, 300, 0, 50, 90, 8]})
    named = name_phases(onsets, 100.0)
    assert named.to_numpy().tolist() == [[0, 0, "P"], [0, 50, "S"], [0, 300, "P"], [1, 5, "P"], [1, 8, "S"]]


def test_silence_gives_an_empty_table() -> None:
    quiet = np.random.default_rng(1).standard_normal((3, 1000)).astype(np.float32)
    picks = TriggerPicker("aic", TriggerSettings(on=50.0)).pick(_patch(quiet))
    assert len(picks) == 0
    assert list(picks.columns) == list(PICK_COLUMNS)


def test_faster_scales_times_and_frequencies() -> None:
    fast = TriggerSettings().faster(10.0)
    assert (fast.sta_s, fast.band_hz) == (0.02, (20.0, 200.0))
    assert fast.on == TriggerSettings().on


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="sta_s < lta_s"):
        TriggerSettings(sta_s=9.0)
    with pytest.raises(ConfigError, match="off <= on"):
        TriggerSettings(off=9.0)
    with pytest.raises(ConfigError, match="expected 'sta_lta' or 'aic'"):
        TriggerPicker("best")  # type: ignore[arg-type]
