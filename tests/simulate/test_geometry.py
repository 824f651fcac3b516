"""Cables: generated, down a well, and from a channels file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phasenet_das.errors import TableError
from phasenet_das.simulate.config import CableConfig
from phasenet_das.simulate.geometry import make_cable
from phasenet_das.tables import read_channels, write_channels


def test_a_straight_cable_has_its_spacing_and_heading():
    cable = make_cable(
        CableConfig(num_bends=0, num_slack_loops=0, relief_m=0.0, azimuth_deg=30.0, dx_m=8.0), 1
    )
    steps = np.diff(cable.position_km, axis=0) * 1e3
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 8.0, rtol=1e-9)
    np.testing.assert_allclose(cable.tangent[:, :2], [[0.5, np.sqrt(0.75)]] * 1000, atol=1e-9)
    np.testing.assert_allclose(cable.distance_m, 8.0 * np.arange(1000))


def test_slack_loops_use_up_fibre_but_go_nowhere():
    config = CableConfig(num_channels=300, num_slack_loops=3, slack_loop_channels=5, relief_m=0.0)
    cable = make_cable(config, 2)
    still = np.flatnonzero(~cable.coupled)
    assert 5 <= len(still) <= 15
    assert np.linalg.norm(cable.position_km[still] - cable.position_km[still - 1], axis=1).max() < 1e-12
    np.testing.assert_allclose(np.linalg.norm(cable.tangent, axis=1), 1.0)


def test_a_well_goes_down_from_its_wellhead():
    cable = make_cable(CableConfig(shape="borehole", dx_m=1.0, elevation_m=1500.0, num_slack_loops=0), 1)
    assert cable.position_km[0, 2] == pytest.approx(-1.5, abs=2e-3)
    assert (np.diff(cable.position_km[:, 2]) > 0).all()
    assert cable.tangent[:, 2].min() > 0.99


def test_channel_table_leads_back_to_the_same_cable(tmp_path):
    config = CableConfig(num_channels=200, num_slack_loops=0)
    cable = make_cable(config, 3)
    path = write_channels(cable.table(np.zeros(200, bool)), tmp_path / "channels.csv")
    again = make_cable(CableConfig(channels_file=str(path), num_channels=None), 9)
    shift = again.position_km - cable.position_km
    assert np.abs(shift - shift[0]).max() < 2e-5
    assert again.dx_m == pytest.approx(10.0, rel=2e-2)
    np.testing.assert_array_equal(again.channel_index, cable.channel_index)


def test_channels_without_coordinates_stay_but_feel_nothing(tmp_path):
    table = pd.DataFrame(
        {
            "channel": np.arange(30),
            "status": ["bad"] * 5 + ["good"] * 25,
            "latitude": [np.nan] * 5 + list(35 + 1e-4 * np.arange(25)),
            "longitude": [np.nan] * 5 + [-117.0] * 25,
            "elevation": [np.nan] * 5 + [700.0] * 25,
        }
    )
    table.to_csv(tmp_path / "cable.csv", index=False)
    cable = make_cable(CableConfig(channels_file=str(tmp_path / "cable.csv"), num_channels=None), 1)
    np.testing.assert_array_equal(cable.coupled, np.arange(30) >= 5)
    written = cable.table(np.zeros(30, bool))
    assert written["longitude"].isna().sum() == 5
    assert (written["status"] == "uncoupled").sum() == 5


def test_a_table_without_coordinates_is_refused(tmp_path):
    pd.DataFrame({"channel": [1, 2]}).to_csv(tmp_path / "cable.csv", index=False)
    with pytest.raises(TableError, match="missing column"):
        make_cable(CableConfig(channels_file=str(tmp_path / "cable.csv")), 1)


@pytest.mark.shared
def test_the_ridgecrest_cable_is_a_hundred_kilometres(shared):
    path = shared / "data/geometry/ridgecrest_das_100km_south.csv"
    cable = make_cable(CableConfig(channels_file=str(path), num_channels=None), 1)
    assert cable.num_channels == 10000
    assert 9.0 < cable.dx_m < 11.0
    assert (~cable.located).sum() > 1000
    assert read_channels  # the generated table follows the same contract
    assert np.isfinite(cable.position_km).all()
