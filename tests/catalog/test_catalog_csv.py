"""The CSV catalog: columns in the order people read them, and readable again."""

from __future__ import annotations

import pandas as pd
import pytest

from phasenet_das.catalog import export_catalog
from phasenet_das.errors import TableError
from phasenet_das.tables import empty_picks, read_events, read_metadata


def write_catalog_csv(events, path, metadata=None):
    return export_catalog(events, empty_picks(), path, "csv", metadata=metadata).path


def test_the_table_comes_back(events, tmp_path):
    path = write_catalog_csv(events.assign(magnitude=[1.25, 2.5]), tmp_path / "catalog.csv", {"version": "1"})
    read = read_events(path)
    expected = events.assign(time=events["time"].dt.floor("us"), magnitude=[1.25, 2.5])
    pd.testing.assert_frame_equal(read[expected.columns], expected, atol=1e-4)
    assert read_metadata(path) == {"version": "1"}


def test_time_and_place_come_first(events, tmp_path):
    path = write_catalog_csv(events, tmp_path / "catalog.csv")
    header = path.read_text().splitlines()[0].split(",")
    first = ["time", "latitude", "longitude", "depth_km", "magnitude", "quality", "location_quality"]
    assert header[:7] == first
    assert header[-1] == "event_id"
    assert "num_renamed" in header


def test_an_unknown_magnitude_is_an_empty_cell(events, tmp_path):
    path = write_catalog_csv(events, tmp_path / "catalog.csv")
    assert read_events(path)["magnitude"].isna().all()
    assert read_events(path)["quality"].tolist() == ["B", "D"]


def test_events_are_in_the_order_of_time(events, tmp_path):
    path = write_catalog_csv(events[::-1], tmp_path / "catalog.csv")
    assert read_events(path)["time"].is_monotonic_increasing


def test_another_ending_is_refused(events, tmp_path):
    with pytest.raises(TableError, match="csv"):
        write_catalog_csv(events, tmp_path / "catalog.txt")
