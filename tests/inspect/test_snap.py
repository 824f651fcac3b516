"""Snapping: picks go to the onset, or into line with their neighbours, and nowhere else."""

from __future__ import annotations

import numpy as np

from phasenet_das.inspect.snap import neighbour_lags, onset_lags

RNG = np.random.default_rng(3)
ONSETS = 300 + 2 * np.arange(40)


def record(noise: float = 0.05) -> np.ndarray:
    """40 channels of 800 samples: a decaying wave that begins 2 samples later on each channel."""
    data = noise * RNG.standard_normal((40, 800)).astype(np.float32)
    tail = np.arange(200)
    for channel, onset in enumerate(ONSETS):
        data[channel, onset : onset + 200] += np.sin(tail / 3.0) * np.exp(-tail / 60.0)
    return data


def test_late_and_early_picks_go_to_the_onset():
    off = RNG.integers(-12, 13, 40)
    lags = onset_lags(record(), np.arange(40), ONSETS + off, reach=20)
    assert np.abs(off + lags).max() <= 2


def test_a_pick_among_its_neighbours_comes_into_line():
    off = np.zeros(40, int)
    off[[5, 20, 33]] = [6, -5, 4]
    samples = ONSETS + off
    lags = neighbour_lags(record(), np.arange(40), samples, half=60, reach=10, neighbours=5)
    assert np.abs((off + lags)[[5, 20, 33]]).max() < 1.0
    assert np.abs(lags[np.r_[10:15, 25:29]]).max() < 1.0


def test_picks_at_the_edge_or_beside_missing_samples_stay():
    data = record()
    data[3, 310] = np.nan
    rows, samples = np.array([0, 3, 7]), np.array([2, ONSETS[3], 799])
    assert (onset_lags(data, rows, samples, reach=20) == 0).all()
    assert (neighbour_lags(data, rows, samples, half=60, reach=10, neighbours=1) == 0).all()
