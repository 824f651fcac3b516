"""Events outside the search box: one event each, and no uncertainty that the box alone has made."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gamma import AssociationConfig, associate
from gamma.ambiguity import JOINED
from tests.gamma import made_picks as made

CONFIG = AssociationConfig(**made.settings())
WIDE = AssociationConfig(vp_km_s=made.VP, vs_km_s=made.VS)
SPREADS = ["time_uncertainty_s", "horizontal_uncertainty_km", "depth_uncertainty_km"]
SPREADS += ["source_distance_uncertainty_km", "ellipse_major_km", "ellipse_minor_km", "ellipse_azimuth_deg"]


def outside(*places):
    """Events at (x, y) km and 8 km depth, all within a few seconds."""
    table = pd.DataFrame(places, columns=["x_km", "y_km"])
    return table.assign(z_km=8.0, t_s=30.0 + 4.0 * np.arange(len(places)))


@pytest.mark.parametrize(
    ("places", "seed"),
    [
        pytest.param([(130.0, 0.0)], 0, id="near"),
        pytest.param([(30.0, -200.0)], 0, id="far"),
        pytest.param([(150.0, 10.0), (-140.0, -20.0)], 5, id="two at a time, on two sides"),
    ],
)
def test_p_and_s_of_an_event_outside_the_box_are_one_event(places, seed):
    stations = made.network(14)
    picks = made.make_picks(stations, outside(*places), noise_s=0.03, seed=seed)
    found = associate(picks, stations, WIDE)
    assert len(found.events) == len(places)
    assert (found.events["location_quality"].str.contains("at-boundary")).all()
    given, true = found.picks["event_index"].to_numpy(), picks["true_event"].to_numpy()
    assert (given >= 0).mean() > 0.9
    assert pd.DataFrame({"given": given, "true": true})[given >= 0].drop_duplicates().shape[0] == len(places)
    assert (found.events[["num_p_picks", "num_s_picks"]] >= 9).all(axis=None)
    assert found.summary["events_dropped"][JOINED] == len(places)


def test_residuals_of_a_joined_event_are_those_of_its_place():
    """They are large, as the place is wrong: nothing hides that."""
    stations = made.network(14)
    picks = made.make_picks(stations, outside((30.0, -200.0)), noise_s=0.03, seed=0)
    found = associate(picks, stations, WIDE)
    event, kept = found.events.iloc[0], found.picks[found.picks["event_index"] == 0]
    place = stations.set_index("station_id").loc[kept["station_id"], ["x_km", "y_km", "z_km"]].to_numpy(float)
    distance = np.linalg.norm(place - event[["x_km", "y_km", "z_km"]].to_numpy(float), axis=1)
    travel = distance / np.where(kept["phase_type"] == "P", made.VP, made.VS)
    late = (kept["phase_time"] - event["time"]).dt.total_seconds() - travel
    np.testing.assert_allclose(kept["travel_time_residual_s"], late, atol=1e-3)
    assert event["residual_rms_s"] == pytest.approx(np.sqrt((late**2).mean()), rel=1e-3)
    assert event["residual_rms_s"] > 1.0


def test_no_uncertainty_is_stated_on_the_sides_or_the_floor_of_the_box():
    stations = made.network()
    deep = pd.DataFrame({"t_s": [30.0], "x_km": [5.0], "y_km": [0.0], "z_km": [40.0]})
    for truth in (outside((110.0, 0.0)), deep):
        event = associate(made.make_picks(stations, truth), stations, CONFIG).events.iloc[0]
        assert "at-boundary" in event["location_quality"]
        assert event[SPREADS].isna().all()
        assert np.isfinite(event[["x_km", "y_km", "depth_km", "source_distance_km"]].astype(float)).all()


def test_the_surface_is_an_edge_that_nothing_lies_beyond():
    stations = made.network().assign(z_km=-1.0)
    shallow = pd.DataFrame({"t_s": [30.0], "x_km": [5.0], "y_km": [0.0], "z_km": [-0.5]})
    event = associate(made.make_picks(stations, shallow), stations, CONFIG).events.iloc[0]
    assert event["location_quality"] == "at-boundary"
    assert np.isfinite(event[SPREADS].astype(float)).all()
