"""Peaks are found by a rule that looks only nearby."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet_das.picking.amplitudes import peak_amplitudes
from phasenet_das.picking.peaks import find_peaks, sub_sample_offset


def _brute_force(scores: np.ndarray, min_score: float, separation: int) -> set[tuple[int, int]]:
    found = set()
    for row, trace in enumerate(scores):
        local = [
            i
            for i in range(1, len(trace) - 1)
            if trace[i] >= min_score and trace[i - 1] < trace[i] >= trace[i + 1]
        ]
        for i in local:
            near = [j for j in local if j != i and abs(j - i) <= separation]
            if all(trace[j] < trace[i] or (trace[j] == trace[i] and j > i) for j in near):
                found.add((row, i))
    return found


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), separation=st.integers(1, 30), levels=st.integers(3, 50))
def test_equals_a_search_over_every_pair(seed: int, separation: int, levels: int) -> None:
    scores = np.random.default_rng(seed).integers(0, levels, (3, 80)).astype(np.float32) / levels
    row, sample = find_peaks(scores, 0.3, separation)
    assert set(zip(row.tolist(), sample.tolist(), strict=True)) == _brute_force(scores, 0.3, separation)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(30, 170))
def test_pieces_give_the_peaks_of_the_whole(seed: int, cut: int) -> None:
    scores = np.random.default_rng(seed).random((4, 200)).astype(np.float32)
    separation = 10
    row, sample = find_peaks(scores, 0.5, separation)
    whole = set(zip(row.tolist(), sample.tolist(), strict=True))
    halo = separation + 1
    left_row, left = find_peaks(scores[:, : cut + halo], 0.5, separation)
    right_row, right = find_peaks(scores[:, cut - halo :], 0.5, separation)
    right = right + cut - halo
    pieces = {(r, s) for r, s in zip(left_row.tolist(), left.tolist(), strict=True) if s < cut}
    pieces |= {(r, s) for r, s in zip(right_row.tolist(), right.tolist(), strict=True) if s >= cut}
    assert pieces == whole


def test_no_peak_in_nothing() -> None:
    row, _ = find_peaks(np.zeros((5, 100), np.float32), 0.3, 10)
    assert len(row) == 0
    assert len(find_peaks(np.zeros((5, 1), np.float32), 0.3, 10)[0]) == 0


def test_a_parabola_is_met_exactly() -> None:
    t = np.arange(20) - 10.3
    scores = (1 - 0.01 * t**2)[None].astype(np.float32)
    row, sample = find_peaks(scores, 0.3, 5)
    assert abs(sample[0] + sub_sample_offset(scores, row, sample)[0] - 10.3) < 1e-4


def test_amplitude_is_about_the_mean_of_its_span_and_ends_before_the_next() -> None:
    data = np.full((1, 100), 5.0, np.float32)
    data[0, 20:40:2], data[0, 21:40:2] = 7.0, 3.0
    data[0, 60] = 100.0
    found = peak_amplitudes(data, np.array([0, 0, 0]), np.array([20, 50, 99]), np.array([40, 60, 99]))
    np.testing.assert_allclose(found[:2], [2.0, 0.0], atol=1e-5)
    assert np.isnan(found[2])
