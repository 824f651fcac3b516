"""Picks against arrivals read by eye."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from control_points import compare_with_control_points, interpolate_control_points

from phasenet_das.errors import TableError

START = pd.Timestamp("2024-01-01", tz="UTC")
POINTS = pd.DataFrame(
    {
        "phase": ["P", "P", "S", "S"],
        "channel": [10, 20, 30, 10],
        "time_s_from_file_start": [1.0, 2.0, 5.0, 3.0],
        "uncertainty_s": 0.1,
    }
)


def _picks(offset_s: float) -> pd.DataFrame:
    truth = interpolate_control_points(POINTS)
    return pd.DataFrame(
        {
            "phase_type": truth["phase"],
            "channel_index": truth["channel"] + 100,
            "phase_time": START + pd.to_timedelta(truth["time_s"] + offset_s, unit="s"),
        }
    )


def _compare(picks: pd.DataFrame) -> pd.DataFrame:
    return compare_with_control_points(picks, POINTS, START, first_channel=100).set_index("phase")


def test_points_are_interpolated_between_and_never_beyond() -> None:
    truth = interpolate_control_points(POINTS)
    p, s = (truth[truth["phase"] == phase].set_index("channel")["time_s"] for phase in "PS")
    assert (p.index.min(), p.index.max(), s.index.max()) == (10, 20, 30)
    assert p[15] == pytest.approx(1.5)
    assert s[20] == pytest.approx(4.0)


@pytest.mark.parametrize("offset_s", [0.0, 0.05, -0.25])
def test_a_shift_shows_as_bias(offset_s: float) -> None:
    table = _compare(_picks(offset_s))
    assert (table["share_right"] == 1).all()
    assert (table["num_false"] == 0).all()
    np.testing.assert_allclose(table["median_residual_s"], offset_s, atol=1e-6)
    np.testing.assert_allclose(table["spread_s"], 0, atol=1e-6)


def test_what_lies_outside_the_tolerance_is_false() -> None:
    table = _compare(_picks(0.31))
    assert (table["share_right"] == 0).all()
    assert (table["share_picked"] == 1).all()
    assert table.loc["P", "num_false"] == 11


def test_swapped_phases_and_missing_channels_do_not_count() -> None:
    picks = _picks(0.0)
    swapped = picks.assign(phase_type=picks["phase_type"].map({"P": "S", "S": "P"}))
    assert (_compare(swapped)["share_right"] == 0).all()
    half = picks[picks["channel_index"] % 2 == 0]
    assert _compare(half).loc["P", "share_right"] == pytest.approx(6 / 11)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(TableError, match="uncertainty_s"):
        interpolate_control_points(POINTS.drop(columns="uncertainty_s"))
