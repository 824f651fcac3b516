"""From picks to catalog files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from obspy import read_events as read_quakeml

from gamma import AssociationConfig
from phasenet_das.catalog import associate, explain_rejected, write_association, write_catalog
from phasenet_das.errors import ChannelGeometryError
from phasenet_das.tables import (
    CHANNEL_COLUMNS,
    conform,
    empty_picks,
    read_events,
    read_groups,
    read_picks,
)
from tests.pipeline.cables import channel_table
from tests.tables_at_hand import graded_groups, pick_table

ORIGIN = pd.Timestamp("2024-01-01T00:01:00", tz="UTC")


def _picks() -> pd.DataFrame:
    """P and S of one event 30 km off, on 60 channels of 10 m, timed to 20 ms."""
    rng = np.random.default_rng(0)
    channel = np.tile(np.arange(60), 2)
    phase = np.repeat(["P", "S"], 60)
    speed = np.where(phase == "P", 6.0, 6.0 / 1.73)
    seconds = 30.0 / speed + rng.normal(0, 0.02, 120)
    return pick_table(channel, seconds, phase, start=ORIGIN, distance_m=channel * 10.0, phase_amplitude=1e-9)


def test_an_event_on_a_cable_without_positions_gets_time_and_distance(tmp_path: Path) -> None:
    result = associate(_picks(), settings=AssociationConfig(vp_km_s=6.0))
    assert len(result.events) == 1
    event = result.events.iloc[0]
    assert abs((event["time"] - ORIGIN).total_seconds()) < 3 * event["time_uncertainty_s"]
    assert event["source_distance_km"] == pytest.approx(30, abs=2)
    assert set(event["location_quality"].split(";")) == {"azimuth-unconstrained", "geometry-unknown"}
    facts = {"version": "1", "weights_id": "test@0"}
    write_association(result, tmp_path, facts)
    write_catalog(result.events, result.picks, tmp_path, metadata=facts)
    assert read_events(tmp_path / "events.parquet")["event_id"].tolist() == result.events["event_id"].tolist()
    assert (read_picks(tmp_path / "picks.parquet")["event_index"] == 0).sum() == event["num_picks"]
    assert len(read_quakeml(str(tmp_path / "catalog.xml"))) == 1


def test_without_a_stated_velocity_the_distance_of_one_event_is_as_uncertain_as_the_ground() -> None:
    event = associate(_picks()).events.iloc[0]
    error_km, uncertainty_km = event["source_distance_km"] - 30.0, event["source_distance_uncertainty_km"]
    assert abs(error_km) < 2.0 * uncertainty_km
    assert uncertainty_km > 0.3 * event["source_distance_km"]
    assert "velocity-assumed" in event["location_quality"].split(";")


def test_groups_are_written_beside_the_events(tmp_path: Path) -> None:
    result = associate(_picks())
    found = SimpleNamespace(
        events=result.events, picks=result.picks, summary=result.summary, groups=graded_groups()
    )
    write_association(found, tmp_path, {})  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(read_groups(tmp_path / "groups.parquet"), graded_groups())


def test_no_picks_give_an_empty_catalog(tmp_path: Path) -> None:
    result = associate(empty_picks())
    assert result.events.empty
    write_association(result, tmp_path, {})
    write_catalog(result.events, result.picks, tmp_path)
    assert read_events(tmp_path / "events.parquet").empty
    assert len(read_quakeml(str(tmp_path / "catalog.xml"))) == 0


def test_picks_that_have_no_place_are_named_with_the_names_of_the_table() -> None:
    channels = channel_table(60, "SIM")
    ours = conform(channels.assign(station_id="C", status="ok"), CHANNEL_COLUMNS)
    ours = ours[(ours["channel_index"] < 40) & (ours["channel_index"] != 7)]
    known = pd.concat([ours, conform(channels, CHANNEL_COLUMNS)], ignore_index=True)
    other = _picks().iloc[:5].assign(station_id="X", pick_id=range(5))
    picks = pd.concat([_picks(), other], ignore_index=True)
    lines = explain_rejected(associate(picks, known), known)
    assert "47 unknown station" in lines[0]
    assert lines[1].startswith(
        "No position for C channels 7, 40-59 (42 picks), X (5 picks). The channel table holds C, SIM. "
    )
    assert explain_rejected(associate(_picks()), None) == []


def test_a_channel_table_of_another_cable_is_refused() -> None:
    channels = channel_table(60, "SIM")
    with pytest.raises(ChannelGeometryError, match=r"No position for C \(120 picks\).* holds SIM. Pick with"):
        associate(_picks(), channels)
    far = channel_table(60, "C").assign(channel_index=range(100, 160))
    with pytest.raises(ChannelGeometryError, match=r"No position for C channels 0-59 \(120 picks\)"):
        associate(_picks(), far)
    scattered = _picks().iloc[0:60:2]
    with pytest.raises(
        ChannelGeometryError, match=r"channels 0, 2, 4, 6, 8, 10, 12, 14 and 22 more \(30 picks"
    ):
        associate(scattered, far)


def test_the_settings_reach_the_associator() -> None:
    slower = associate(_picks(), settings=AssociationConfig(vp_km_s=5.0))
    assert slower.events["source_distance_km"][0] == pytest.approx(25, abs=2)
