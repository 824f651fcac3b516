"""Station tables: positions from every way of writing coordinates, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gamma import AssociationConfig, associate
from gamma.errors import StationError
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


def test_a_placed_receiver_without_elevation_is_refused_by_name():
    """Sea level for a station at 3 km would put every event 3 km too deep, and nobody would know."""
    table = geographic(made.network(), 12.0, 42.0)
    gone = table["elevation_m"].where(~table["station_id"].isin(["S03", "S07"]))
    with pytest.raises(StationError, match=r"2 of 12 receivers have no elevation_m \(S03, S07\).*sea level"):
        load_receivers(table.assign(elevation_m=gone))
    with pytest.raises(StationError, match=r"12 of 12 .*S04 \.\.\.\)"):
        load_receivers(table.assign(elevation_m=np.nan))
    with pytest.raises(StationError, match=r"missing column elevation_m.*Did you mean 'elevation'"):
        load_receivers(table.rename(columns={"elevation_m": "elevation"}))


def test_local_coordinates_need_their_depth_too():
    stations = made.cable(channels=20)
    with pytest.raises(StationError, match=r"1 of 20 receivers have no z_km \(CABLE channel 4\)"):
        load_receivers(stations.assign(z_km=stations["z_km"].where(stations.index != 4)))
    with pytest.raises(StationError, match="20 of 20 receivers have no z_km"):
        load_receivers(stations.assign(z_km=np.nan))
    with pytest.raises(StationError, match="missing column z_km"):
        load_receivers(stations.drop(columns="z_km"))


def test_an_array_without_any_coordinates_needs_no_elevation():
    table = geographic(made.network(), 12.0, 42.0).assign(longitude=np.nan, latitude=np.nan)
    assert not load_receivers(table.drop(columns="elevation_m")).geometry_known


@pytest.mark.parametrize(
    ("name", "factor", "hint"), [("elevation_m", 1e2, "in mm or cm"), ("z_km", 1e3, "in m")]
)
def test_a_height_in_another_unit_is_refused(name, factor, hint):
    stations = made.network().assign(z_km=-1.25)
    table = stations if name == "z_km" else geographic(stations, 12.0, 42.0)
    load_receivers(table)
    with pytest.raises(StationError, match=f"{name}.*12 of 12.*10 km.*S00.*{hint}"):
        load_receivers(table.assign(**{name: factor * table[name]}))


def test_text_and_parts_of_channels_are_refused():
    stations = made.network()
    with pytest.raises(StationError, match="x_km, y_km cannot be read as numbers"):
        load_receivers(stations.assign(x_km="far"))
    with pytest.raises(StationError, match=r"channel_index 0\.5, expected whole numbers"):
        load_receivers(stations.assign(channel_index=0.5))


def test_empty_local_coordinates_give_way_to_longitude_and_latitude():
    table = geographic(made.network(), 12.0, 52.0)
    both = load_receivers(table.assign(x_km=np.nan, y_km=np.nan))
    assert both.geometry_known
    np.testing.assert_array_equal(both.xyz_km, load_receivers(table).xyz_km)
