"""Station tables: positions from every way of writing coordinates, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gamma import AssociationConfig, associate
from gamma.receivers import LocalFrame, load_receivers
from tests.gamma import made_picks as made


def geographic(stations, longitude, latitude):
    """The stations' places in km about an origin, as longitude, latitude and elevation."""
    degrees = LocalFrame(longitude, latitude).to_geographic(stations["x_km"], stations["y_km"])
    table = pd.DataFrame({"station_id": stations["station_id"], "channel_index": stations["channel_index"]})
    return table.assign(
        longitude=degrees[0], latitude=degrees[1], elevation_m=-1000.0 * stations["z_km"].to_numpy()
    )


@pytest.mark.parametrize(
    ("origin", "turn"),
    [
        pytest.param(180.0, lambda longitude: longitude, id="both sides of 180"),
        pytest.param(180.0, lambda longitude: longitude % 360.0, id="0 to 360"),
        pytest.param(-119.0, lambda longitude: longitude + 360.0 * (np.arange(12) % 2), id="mixed"),
    ],
)
def test_longitudes_may_be_written_either_way(origin, turn):
    stations, truth = made.network(), made.events(3)
    picks = made.make_picks(stations, truth)
    table = geographic(stations, origin, 52.0)
    config = AssociationConfig(**made.settings(x_range_km=None, y_range_km=None, max_distance_km=20.0))
    plain = associate(picks, geographic(stations, 12.0, 52.0), config).events
    found = associate(picks, table.assign(longitude=turn(table["longitude"])), config).events
    np.testing.assert_allclose(found[["x_km", "y_km"]], plain[["x_km", "y_km"]], atol=0.02)
    assert found["longitude"].between(-180.0, 180.0).all()
    moved = (found["longitude"] - origin - plain["longitude"] + 12.0 + 180.0) % 360.0 - 180.0
    np.testing.assert_allclose(moved, 0.0, atol=1e-3)


def test_the_frame_stands_among_stations_on_both_sides_of_the_date_line():
    longitude = np.concatenate([np.full(8, 179.8), np.full(8, -179.8)])
    table = pd.DataFrame({"station_id": [f"S{i:02d}" for i in range(16)], "longitude": longitude})
    receivers = load_receivers(table.assign(latitude=52.0, elevation_m=0.0))
    assert abs(receivers.frame.longitude) == pytest.approx(180.0)
    assert np.abs(receivers.xyz_km[:, 0]).max() < 20.0
