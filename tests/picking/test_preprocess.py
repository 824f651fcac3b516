"""What is wrong with a channel, block by block of the absolute grid."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from phasenet_das.picking.preprocess import KINDS, QualityGrid, screen

GRID = QualityGrid.of(0, 1200, 0.01)  # three blocks of 4 s


def flagged(data: np.ndarray, kind: str, span: tuple[int, int] = (0, 1200)) -> np.ndarray:
    return screen(data[:, slice(*span)].astype(np.float32), span[0], GRID).flags[KINDS.index(kind)]


def noise() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((4, 1200))


@pytest.mark.parametrize(
    ("offset", "scale", "expected"),
    [(0.0, 1.0, False), (1e3, 1.0, False), (1e7, 1.0, True), (1e9, 300.0, True), (-1e7, 1.0, True)],
)
def test_a_signal_of_few_steps_beside_its_offset_is_coarse(
    offset: float, scale: float, expected: bool
) -> None:
    data = scale * noise()
    data[1] += offset
    data[2, 400:800] += offset
    found = flagged(data, "coarse")
    assert found.tolist() == [[False] * 3, [expected] * 3, [False, expected, False], [False] * 3]
    assert flagged(data, "coarse", (400, 1200)).tolist() == found[:, 1:].tolist()
    assert not flagged(data, "dead").any()


def test_counts_that_float32_holds_are_not_coarse() -> None:
    assert not flagged(np.rint(noise()) + 1_000_000, "coarse").any()


def test_what_is_not_finite_or_holds_one_value_is_not_coarse() -> None:
    data = noise()
    data[0, 5], data[1, 7], data[2, 9] = np.nan, np.inf, -np.inf
    data[3] = 1e9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not flagged(data, "coarse").any()
        assert flagged(data, "dead")[3].all()
