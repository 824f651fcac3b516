"""Events against a reference: known matches and errors, whatever the format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phasenet_das.errors import ConfigError, TableError
from phasenet_das.evaluate import evaluate_events, match_events, read_reference, source_distance_km

START = pd.Timestamp("2024-03-01", tz="UTC")
KM_PER_DEG = 110.95  # of latitude at 37 degrees north


def _events(seconds: list[float], latitude: list[float], **columns) -> pd.DataFrame:
    time = pd.DatetimeIndex([START + pd.Timedelta(seconds=s) for s in seconds]).as_unit("ns")
    table = pd.DataFrame({"time": time, "longitude": -118.0, "latitude": latitude, "depth_km": 5.0})
    return table.assign(**columns)


REFERENCE = _events([10, 60, 120, 200], [37.0, 37.1, 37.2, 37.3], magnitude=[0.6, 1.2, 1.7, 2.4])


def test_the_truth_scores_one_and_an_offset_shows() -> None:
    moved = REFERENCE.assign(
        time=REFERENCE["time"] + pd.Timedelta(seconds=0.5),
        latitude=REFERENCE["latitude"] + 2.0 / KM_PER_DEG,
        depth_km=8.0,
        magnitude=REFERENCE["magnitude"] - 0.3,
    )
    result = evaluate_events(moved[::-1], REFERENCE)
    assert result.table[["precision", "recall", "f1"]].iloc[0].tolist() == [1.0, 1.0, 1.0]
    median = result.errors.set_index("quantity")["median"]
    assert median["time_s"] == pytest.approx(0.5)
    assert median["epicentre_km"] == pytest.approx(2.0, rel=0.01)
    assert median["depth_km"] == pytest.approx(3.0)
    assert median["magnitude"] == pytest.approx(-0.3)
    assert result.pairs["event_row"].tolist() == [3, 2, 1, 0]


def test_events_match_in_time_and_space_one_to_one() -> None:
    far = REFERENCE.assign(latitude=REFERENCE["latitude"] + 1.0)
    assert evaluate_events(far, REFERENCE).table["num_matched"].iloc[0] == 0
    late = REFERENCE.assign(time=REFERENCE["time"] + pd.Timedelta(seconds=4))
    assert evaluate_events(late, REFERENCE).table["num_matched"].iloc[0] == 0
    twice = pd.concat([REFERENCE, REFERENCE], ignore_index=True)
    row = evaluate_events(twice, REFERENCE).table.iloc[0]
    assert (row["precision"], row["recall"]) == (0.5, 1.0)
    assert row["precision_low"] < 0.5 < row["precision_high"]


def test_the_smallest_misfit_goes_first() -> None:
    reference = _events([10, 12], [37.0, 37.05])
    events = _events([12.2, 11.0], [37.05, 37.0])
    pairs = match_events(events, reference, time_tolerance_s=3, distance_tolerance_km=10)
    assert pairs[["event_row", "reference_row"]].to_numpy().tolist() == [[1, 0], [0, 1]]


def test_unknown_positions_match_by_time_and_distance() -> None:
    nowhere = REFERENCE.assign(longitude=np.nan, latitude=np.nan, depth_km=np.nan)
    result = evaluate_events(nowhere, REFERENCE)
    assert result.table["recall"].iloc[0] == 1
    assert result.errors["quantity"].tolist() == ["time_s", "magnitude"]
    distant = nowhere.assign(source_distance_km=[5.0, 50.0, 5.0, 5.0])
    result = evaluate_events(distant, REFERENCE.assign(source_distance_km=6.0))
    assert result.table["num_matched"].iloc[0] == 3
    errors = result.errors.set_index("quantity")
    assert errors.loc["source_distance_km", "median"] == pytest.approx(-1.0)


def test_completeness_is_where_all_higher_bins_are_found() -> None:
    result = evaluate_events(REFERENCE.iloc[[0, 2, 3]], REFERENCE, magnitude_step=0.5)
    assert result.by_magnitude["recall"].tolist() == [1.0, 0.0, 1.0, 1.0]
    assert result.table["completeness_magnitude"].iloc[0] == pytest.approx(1.5)
    none = evaluate_events(REFERENCE.iloc[:3], REFERENCE)
    assert np.isnan(none.table["completeness_magnitude"].iloc[0])
    unknown = evaluate_events(REFERENCE, REFERENCE.drop(columns="magnitude"))
    assert unknown.by_magnitude.empty
    apart = REFERENCE.assign(magnitude=[1.0, 5.0, 5.2, 5.4])  # no event from 1.5 to 5
    found = evaluate_events(apart.iloc[1:], apart, magnitude_step=0.5)
    assert found.table["completeness_magnitude"].iloc[0] == pytest.approx(5.0)


def test_events_outside_the_examined_span_do_not_count() -> None:
    coverage = pd.DataFrame(
        {"start": [START], "end": [START + pd.Timedelta(seconds=100)], "status": "examined"}
    )
    row = evaluate_events(REFERENCE.iloc[[0, 3]], REFERENCE, coverage=coverage).table.iloc[0]
    assert (row["num_events"], row["num_reference"], row["num_matched"]) == (1, 2, 1)


def test_nothing_and_nonsense() -> None:
    row = evaluate_events(REFERENCE.iloc[:0], REFERENCE).table.iloc[0]
    assert row["recall"] == 0
    assert np.isnan(row["precision"])
    with pytest.raises(ConfigError, match="positive"):
        evaluate_events(REFERENCE, REFERENCE, time_tolerance_s=0)
    with pytest.raises(TableError, match="missing column time"):
        evaluate_events(REFERENCE.drop(columns="time"), REFERENCE)


def test_comcat_and_quakeml_hold_what_our_table_holds(tmp_path: Path) -> None:
    from obspy import UTCDateTime
    from obspy.core.event import Catalog, Event, Magnitude, Origin

    comcat = REFERENCE.rename(columns={"depth_km": "depth", "magnitude": "mag"}).assign(id=list("abcd"))
    comcat["time"] = comcat["time"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    comcat.iloc[::-1].to_csv(tmp_path / "comcat.csv", index=False)
    catalog = Catalog(
        [
            Event(
                origins=[
                    Origin(
                        time=UTCDateTime(ns=row.time.value),
                        longitude=row.longitude,
                        latitude=row.latitude,
                        depth=row.depth_km * 1e3,
                    )
                ],
                magnitudes=[Magnitude(mag=row.magnitude)],
            )
            for row in REFERENCE.itertuples()
        ]
    )
    catalog.write(tmp_path / "catalog.xml", format="QUAKEML")
    for name in ("comcat.csv", "catalog.xml"):
        read = read_reference(tmp_path / name)
        result = evaluate_events(REFERENCE, read)
        assert result.table["f1"].iloc[0] == 1, name
        assert (result.errors["mae"] < 1e-5).all(), name
        assert result.errors["quantity"].tolist() == ["time_s", "epicentre_km", "depth_km", "magnitude"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "no such file"),
        ("a.txt", "x", "expected .csv"),
        ("a.csv", "latitude\n1\n", "missing column time"),
        ("b.csv", "time,latitude\n2024-01-01,north\n", "does not fit"),
        ("n.csv", "time,latitude\n1458545858.6,1\n", "time is 1458545858.6 in row 1, expected ISO 8601"),
        ("c.csv", "time,latitude\n2024-01-01,1\n,2\n", "without a time"),
        ("a.xml", "<nothing/>", "QuakeML"),
    ],
)
def test_what_is_no_catalog_is_refused(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(TableError, match=message):
        read_reference(tmp_path / name)


def test_distance_of_picks_from_their_sources() -> None:
    picks = pd.DataFrame({"station_id": "C", "channel_index": [0, 1, 2], "event_index": [0, 0, -1]})
    channels = pd.DataFrame(
        {
            "station_id": "C",
            "channel_index": [0, 1, 2],
            "longitude": -118.0,
            "latitude": [37.0, 37.0 + 4.0 / KM_PER_DEG, 37.0],
            "elevation_m": 1000.0,
        }
    )
    events = _events([0], [37.0]).assign(event_index=0, depth_km=2.0)
    distance = source_distance_km(picks, events, channels)
    np.testing.assert_allclose(distance[:2], [3.0, 5.0], rtol=1e-3)
    assert np.isnan(distance[2])
