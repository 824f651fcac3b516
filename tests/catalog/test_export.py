"""Exports: other readers find what the tables hold, and station codes are the same everywhere."""

from __future__ import annotations

import json

import numpy as np
import obspy
import pandas as pd
import pytest
from typer.testing import CliRunner

from phasenet_das import catalog
from phasenet_das.catalog import EXPORT_FORMATS, export_catalog, export_differential_times, export_stations
from phasenet_das.cli import app
from phasenet_das.errors import ChannelGeometryError, ConfigError, DataFormatError, TableError
from phasenet_das.io import make_patch, write_quakeflow
from phasenet_das.tables import station_codes, write_table

MOST = 6


def exported(events, picks, channels, path, name):
    return export_catalog(events, picks, path, name, channels, max_picks_per_phase=MOST)


def expected_arrivals(events, picks, channels, held):
    """Station code, phase and time of every pick that should be in the file, by event."""
    codes = station_codes(channels).set_index(["station_id", "channel_index"])["station_code"]
    kept = catalog.thin_picks(picks, MOST)
    return {
        number: {
            (codes[row.station_id, row.channel_index], row.phase_type): row.phase_time.value
            for row in kept[kept["event_index"] == number].itertuples()
        }
        for number in events.loc[held, "event_index"]
    }


def arrivals_of(event: obspy.core.event.Event) -> dict[tuple[str, str], int]:
    return {(one.waveform_id.station_code, one.phase_hint): one.time.ns for one in event.picks}


def assert_same(found, expected, within_ns):
    assert found.keys() == expected.keys()
    worst = max(abs(found[key] - expected[key]) for key in expected)
    assert worst <= within_ns


@pytest.mark.parametrize(("name", "within_ns"), [("hypodd", 100_000), ("nordic", 500_000), ("quakeml", 500)])
def test_obspy_reads_back_the_same_picks(events, picks, channels, tmp_path, name, within_ns):
    done = exported(events, picks, channels, tmp_path / "catalog", name)
    found = obspy.read_events(str(done.path))
    assert len(found) == done.num_events == len(events) - len(done.left_out)
    held = ~events["event_id"].isin(done.left_out)
    expected = expected_arrivals(events, picks, channels, held)
    for number, event in zip(events.loc[held, "event_index"], found, strict=True):
        assert_same(arrivals_of(event), expected[number], within_ns)


SECONDS = [10.000950, 10.0099, 10.011, 10.0949, 10.5, 10.9996, 59.96, 59.9996, 59.9999]


def at_every_fraction(events, picks):
    """Located events, an hour apart, whose seconds printing may get wrong; the last turns the day."""
    start = pd.Timestamp("2020-01-01T23:59:00Z") - pd.to_timedelta(
        np.arange(len(SECONDS))[::-1] * 3600, unit="s"
    )
    times = start + pd.to_timedelta(np.round(np.array(SECONDS) * 1e6), unit="us")
    located = events[events["event_index"] == 0]
    many = pd.concat(
        [located.assign(event_index=k, event_id=f"ev{k}", time=time) for k, time in enumerate(times)]
    ).reset_index(drop=True)
    own = picks[(picks["event_index"] == 0)].iloc[:4]
    later = pd.to_timedelta(np.arange(4) * 0.00095, unit="s")
    arrivals = pd.concat(
        [
            own.assign(event_index=k, phase_time=time + later, pick_id=np.arange(4) + 4 * k)
            for k, time in enumerate(times)
        ]
    )
    return many, arrivals.reset_index(drop=True)


@pytest.mark.parametrize(
    ("name", "within_ns"),
    [("hypodd", 100_000), ("nordic", 500_001), ("quakeml", 500), ("hypoinverse", 5_000_000)],
)
def test_no_fraction_of_a_second_is_lost(events, picks, channels, tmp_path, name, within_ns):
    many, arrivals = at_every_fraction(events, picks)
    path = exported(many, arrivals, channels, tmp_path / "catalog", name).path
    expected = expected_arrivals(many, arrivals, channels, many["event_id"] != "")
    if name == "hypoinverse":
        table, read = catalog.read_hypoinverse(path)
        times = [time.value for time in table["time"]]
        found = [
            {(one.station_code, one.phase_type): one.phase_time.value for one in group.itertuples()}
            for _, group in read.groupby("event_number")
        ]
    else:
        read = obspy.read_events(str(path))
        times = [event.origins[0].time.ns for event in read]
        found = [arrivals_of(event) for event in read]
    assert np.abs(np.array(times) - [time.value for time in many["time"]]).max() <= within_ns
    for number, own in enumerate(found):
        assert_same(own, expected[number], within_ns)


def minute_of(line: str) -> pd.Timestamp:
    parts = [
        int(line[columns])
        for columns in (slice(1, 5), slice(6, 8), slice(8, 10), slice(11, 13), slice(13, 15))
    ]
    return pd.Timestamp(*parts, tz="UTC")


def test_nordic_seconds_are_those_of_the_origin_in_both_lines(events, picks, channels, tmp_path):
    """Line 1 holds tenths and line H thousandths, read by column as SEISAN reads them."""
    many, arrivals = at_every_fraction(events, picks)
    lines = exported(many, arrivals, channels, tmp_path / "catalog", "nordic").path.read_text().splitlines()
    for kind, columns, within_s in (("1", slice(16, 20), 0.1), ("H", slice(16, 22), 0.000501)):
        own = [line for line in lines if line[79:] == kind]
        written = [minute_of(line) + pd.Timedelta(seconds=float(line[columns])) for line in own]
        late = (pd.DatetimeIndex(written) - pd.DatetimeIndex(many["time"])).total_seconds()
        assert np.abs(late).max() <= within_s
        assert all(float(line[columns]) < 60 for line in own)


@pytest.mark.parametrize("name", ["hypodd", "nordic"])
def test_obspy_reads_back_the_hypocentre(events, picks, channels, tmp_path, name):
    done = exported(events, picks, channels, tmp_path / "catalog", name)
    assert done.left_out == ["ev1-abc"]
    event = obspy.read_events(str(done.path))[0]
    origin, row = event.preferred_origin() or event.origins[0], events.iloc[0]
    assert abs(origin.time.ns - row.time.value) < 1_000_000
    assert (origin.latitude, origin.longitude) == (row.latitude, row.longitude)
    assert origin.depth == pytest.approx(1000 * row.depth_km)
    assert [one.mag for one in event.magnitudes] == ([0.0] if name == "hypodd" else [])


def test_hypodd_has_magnitude_0_where_it_is_unknown_and_a_table_of_its_numbers(
    events, picks, channels, tmp_path
):
    located = events.assign(longitude=-117.5, latitude=35.7, depth_km=8.0, magnitude=[2.34, np.nan])
    path = exported(located, picks, channels, tmp_path / "cat.pha", "hypodd").path
    assert [one.magnitudes[0].mag for one in obspy.read_events(str(path))] == [2.34, 0.0]
    table = pd.read_csv(path.with_name("cat.pha.events.csv")).set_index("number")
    assert table["event_id"].to_dict() == dict(zip([1, 2], events["event_id"], strict=True))
    np.testing.assert_array_equal(table["magnitude"], [2.34, np.nan])


def test_nonlinloc_is_read_back(events, picks, channels, tmp_path):
    path = exported(events, picks, channels, tmp_path / "cat.obs", "nonlinloc").path
    found = catalog.read_nonlinloc(path)
    expected = expected_arrivals(events, picks, channels, events["event_id"] != "")
    assert sorted(found["event_index"].unique()) == [0, 1]
    for number, group in found.groupby("event_index"):
        times = {(row.station_code, row.phase_type): row.phase_time.value for row in group.itertuples()}
        assert_same(times, expected[number], 50_001)
    residual = picks.loc[(picks["event_index"] == 0) & (picks["phase_type"] == "P"), "travel_time_residual_s"]
    error = found.loc[(found["event_index"] == 0) & (found["phase_type"] == "P"), "time_error_s"]
    assert error.iloc[0] == pytest.approx(np.sqrt((residual.astype(float) ** 2).mean()), rel=1e-2)


# What the location program writes around the lines of picks, which are those of the observations.
_LOCATED = """NLLOC "x" "LOCATED" "Location completed."
COMMENT "made"
SIGNATURE "x NLLoc:v7.00 01Jan2020 00h00m00"
GEOGRAPHIC OT 2020 01 01 00 00 10.0 Lat 35.7 Long -117.5 Depth 8.0
STATISTICS ExpectX 0 Y 0 Z 0 CovXX 1 XY 0 XZ 0 YY 1 YZ 0 ZZ 1
QML_OriginQuality assocPhCt 0 usedPhCt 0 assocStaCt 0 usedStaCt 0 depthPhCt 0 stdErr 0 azGap 0 secAzGap 0 \
gtLevel - minDist 0 maxDist 0 medDist 0
QML_OriginUncertainty horUnc 1 minHorUnc 1 maxHorUnc 1 azMaxHorUnc 1
PHASE ID Ins Cmp On Pha FM Date HrMn Sec Err ErrMag Coda Amp Per > TTpred
{picks}
END_PHASE
END_NLLOC
"""


def test_obspy_reads_the_picks_of_nonlinloc(events, picks, channels, tmp_path):
    path = exported(events, picks, channels, tmp_path / "cat.obs", "nonlinloc").path
    expected = expected_arrivals(events, picks, channels, events["event_id"] != "")
    for number, block in enumerate(path.read_text().strip().split("\n\n")):
        lines = [line + " > 0 0 1 0 0 0 0 0 0 0 0" for line in block.splitlines()[1:]]
        (tmp_path / "one.hyp").write_text(_LOCATED.format(picks="\n".join(lines)))
        found = obspy.read_events(str(tmp_path / "one.hyp"), format="NLLOC_HYP")[0]
        assert_same(arrivals_of(found), expected[number], 50_001)


def test_nonlinloc_never_writes_sixty_seconds(events, picks, channels, tmp_path):
    late = picks.assign(phase_time=pd.Timestamp("2020-01-01T00:00:59.99997Z"))
    path = exported(events, late, channels, tmp_path / "cat.obs", "nonlinloc").path
    assert " 60.0000 " not in path.read_text()
    assert (catalog.read_nonlinloc(path)["phase_time"] == pd.Timestamp("2020-01-01T00:01:00Z")).all()


def test_hypoinverse_is_read_back(events, picks, channels, tmp_path):
    sized = events.assign(magnitude=[2.34, np.nan])
    path = exported(sized, picks, channels, tmp_path / "cat.arc", "hypoinverse").path
    found, arrivals = catalog.read_hypoinverse(path)
    row = found.iloc[0]
    assert row.event_number == 1
    assert abs(row.time.value - events["time"].iloc[0].value) <= 5_000_000
    assert row.latitude == pytest.approx(35.7, abs=1e-4)
    assert row.longitude == pytest.approx(-117.5, abs=1e-4)
    assert (row.depth_km, row.magnitude) == (8.25, 2.34)
    assert found.iloc[1][["latitude", "longitude", "depth_km", "magnitude"]].isna().all()
    expected = expected_arrivals(events, picks, channels, events["event_id"] != "")
    for number, group in arrivals.groupby("event_number"):
        times = {(one.station_code, one.phase_type): one.phase_time.value for one in group.itertuples()}
        assert_same(times, expected[number - 1], 5_000_000)


def test_hypoinverse_columns_are_those_of_the_manual(events, picks, channels, tmp_path):
    """Columns counted from 1, as the manual prints them, read without the package's own reader."""
    path = exported(events, picks, channels, tmp_path / "cat.arc", "hypoinverse").path
    summary, station, *_ = path.read_text().splitlines()
    assert summary[0:16] == "2020010100001012"
    assert (summary[16:18], summary[18], summary[19:23]) == ("35", " ", "4200")
    assert (summary[23:26], summary[26], summary[27:31]) == ("117", " ", "3000")
    assert (summary[31:36], summary[42:45]) == ("  825", "210")
    assert (summary[85:89], summary[89:93], summary[136:146]) == (" 150", " 250", "         1")
    assert station[0:7] == "CCC  CI"
    assert (station[13:15], station[17:29], station[46:48]) == (" P", "202001010000", " S")
    seconds = picks[(picks["event_index"] == 0) & (picks["station_id"] == "CI.CCC")].set_index("phase_type")
    for phase, columns in (("P", slice(29, 34)), ("S", slice(41, 46))):
        written = int(station[columns]) / 100
        assert written == pytest.approx(seconds.loc[phase, "phase_time"].value / 1e9 % 60, abs=0.0051)


def test_hypoinverse_in_the_south_and_east(events, picks, channels, tmp_path):
    moved = events.assign(longitude=[178.999999, np.nan], latitude=[-41.999999, np.nan])
    path = exported(moved, picks, channels, tmp_path / "cat.arc", "hypoinverse").path
    row = catalog.read_hypoinverse(path)[0].iloc[0]
    assert (row.latitude, row.longitude) == (-42.0, 179.0)
    assert path.read_text()[16:31] == "42S   0179E   0"


def test_hypoinverse_refuses_what_its_columns_cannot_hold(events, picks, tmp_path):
    with pytest.raises(ChannelGeometryError, match="HYPOINVERSE holds two"):
        export_catalog(events, picks, tmp_path / "x.arc", "hypoinverse", network="CABLE")
    path = export_catalog(events, picks, tmp_path / "x.arc", "hypoinverse").path
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    with pytest.raises(DataFormatError, match="cut short"):
        catalog.read_hypoinverse(path)


NARROW = {
    "magnitude": (-2.3, 10.2),
    "horizontal_uncertainty_km": (180.0,),
    "residual_rms_s": (123.4,),
    "depth_km": (1234.5, -123.4),
    "source_distance_km": (1500.0,),
}


@pytest.mark.parametrize("name", ["hypoinverse", "nordic"])
@pytest.mark.parametrize(
    ("column", "value"), [(name, value) for name, few in NARROW.items() for value in few]
)
def test_values_too_wide_for_their_columns_are_counted_and_named(
    events, picks, channels, tmp_path, caplog, name, column, value
):
    events = events.assign(
        **{column: events.get(column, pd.Series(0.0, events.index)).where(events.index > 0, value)}
    )
    done = exported(events, picks, channels, tmp_path / "cat", name)
    narrow = name == "hypoinverse" or column in ("residual_rms_s", "depth_km")
    assert done.misfits.counts == ({column: 1} if narrow else {})
    assert (f"1 value(s) of {column} do not fit" in caplog.text) == narrow
    lines = done.path.read_text().splitlines()
    assert name != "nordic" or {len(line) for line in lines} == {0, 80}
    if name == "hypoinverse" and column == "magnitude":
        assert np.isnan(catalog.read_hypoinverse(done.path)[0]["magnitude"].iloc[0])


def test_elevations_too_wide_for_their_columns_are_counted_and_named(channels, tmp_path, caplog):
    deep = channels.assign(elevation_m=-4523.0)
    export_stations(deep, tmp_path / "cat.sta", "hypoinverse")
    assert f"{len(deep)} value(s) of elevation_m do not fit" in caplog.text
    assert "-4523 became -999" in caplog.text


@pytest.mark.parametrize("name", ["hypodd", "nordic"])
def test_picks_before_their_origin_are_no_travel_times(events, picks, channels, tmp_path, name):
    early = (picks["event_index"] == 0) & (picks.index % 2 == 0)
    picks = picks.assign(
        phase_time=picks["phase_time"].where(~early, picks["phase_time"] - pd.Timedelta(1, "h"))
    )
    done = exported(events, picks, channels, tmp_path / "cat", name)
    assert done.misfits.counts["travel time"] > 0
    for event in obspy.read_events(str(done.path)):
        assert event.picks
        assert min(pick.time for pick in event.picks) >= event.origins[0].time


def test_s_before_p_of_one_event_and_channel_is_left_out(events, picks, channels, tmp_path):
    own = picks[picks["event_index"] == 0]
    one = own[(own["channel_index"] == 2085) & (own["phase_type"] == "S")].index
    picks = picks.assign(phase_time=picks["phase_time"].where(picks.index != one[0], events["time"].iloc[0]))
    picks.loc[one, "phase_score"] = 0.0
    done = export_catalog(events, picks, tmp_path / "cat.obs", "nonlinloc", channels, max_picks_per_phase=400)
    assert done.misfits.counts == {"time of S after P": 1}
    first = catalog.read_nonlinloc(done.path).query("event_index == 0 and station_code == 'D2085'")
    assert first["phase_type"].tolist() == ["P"]


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_a_table_beside_the_file_says_which_channel_a_code_is(events, picks, channels, tmp_path, name):
    path = exported(events, picks, channels, tmp_path / "cat.csv", name).path
    beside = path.with_name("cat.csv.codes.csv")
    assert beside.exists() == (name not in ("csv", "geojson"))
    if beside.exists():
        codes = pd.read_csv(beside).set_index("station_code")
        assert codes.loc["D2085", ["station_id", "channel_index"]].tolist() == ["CABLE", 2085]


def test_geojson_holds_every_event_and_cable(events, picks, channels, tmp_path):
    path = exported(events, picks, channels, tmp_path / "cat.geojson", "geojson").path
    features = json.loads(path.read_text())["features"]
    assert [one["properties"]["kind"] for one in features] == ["event", "event", "cable", "seismometer"]
    assert features[0]["geometry"] == {"type": "Point", "coordinates": [-117.5, 35.7]}
    assert features[1]["geometry"] is None
    assert features[1]["properties"]["source_distance_km"] == 161.2
    assert features[1]["properties"]["depth_km"] is None
    assert len(features[2]["geometry"]["coordinates"]) == 200


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_equal_catalogs_give_equal_files(events, picks, channels, tmp_path, name):
    shuffled = picks.sample(frac=1, random_state=3)
    suffix = ".csv" if name == "csv" else ""
    first = exported(events, picks, channels, tmp_path / f"1{suffix}", name).path
    second = exported(events[::-1], shuffled, channels, tmp_path / f"2{suffix}", name).path
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", ["nonlinloc", "hypodd", "hypoinverse"])
def test_stations_have_the_codes_of_the_picks(events, picks, channels, tmp_path, name):
    path = export_stations(channels, tmp_path / "stations", name)
    place = 1 if name == "nonlinloc" else 0
    written = {line.split()[place] for line in path.read_text().splitlines()}
    codes = station_codes(channels)["station_code"]
    assert written == set(codes)
    text = exported(events, picks, channels, tmp_path / "catalog", name).path.read_text()
    in_file = {code for code in codes if f"{code} " in text or f"{code}XX" in text}
    kept = catalog.thin_picks(picks, MOST)
    if name == "hypodd":  # the other event has no hypocentre
        kept = kept[kept["event_index"] == 0]
    assert len(in_file) == len(kept[["station_id", "channel_index"]].drop_duplicates())


def test_hypoinverse_stations_hold_degrees_and_minutes(channels, tmp_path):
    line = export_stations(channels, tmp_path / "s", "hypoinverse").read_text().splitlines()[0]
    assert (line[0:5], line[6:8], line[15:17], line[18:25], line[25]) == ("CCC  ", "CI", "35", "30.0000", "N")
    assert (line[26:29], line[30:37], line[37], line[38:42]) == ("117", "24.0000", "W", " 600")


def test_stations_need_coordinates(channels, tmp_path):
    with pytest.raises(ChannelGeometryError, match="longitude, latitude"):
        export_stations(channels.assign(longitude=np.nan), tmp_path / "s", "hypodd")


def test_an_unknown_format_is_refused_with_the_nearest_name(events, picks, tmp_path):
    with pytest.raises(ConfigError, match="hypodd"):
        export_catalog(events, picks, tmp_path / "x", "hypoDD")


def _pairs(correlation: float = 0.9) -> pd.DataFrame:
    """Event 1 comes 60 s after event 0; its waveforms come 60.02 s later on every channel."""
    channel = np.arange(2000, 2200)
    return pd.DataFrame(
        {
            "phase": "P", "station_id": "CABLE", "channel_1": channel, "channel_2": channel,
            "event_1": 0, "event_2": 1, "time_1": pd.Timestamp("2020-01-01T00:00:12Z"),
            "pick_dt_s": 60.0, "waveform_dt_s": 60.02, "residual_s": -0.02,
            "correlation": correlation, "kept": True,
        }
    )  # fmt: skip


def _dtcc(pairs, events, channels, tmp_path):
    times = pd.to_datetime(["2020-01-01T00:00:10Z", "2020-01-01T00:01:10Z"])
    located = events.assign(longitude=-117.5, latitude=35.7, depth_km=8.0, time=times)
    return export_differential_times(pairs, located, tmp_path / "dt.cc", channels, max_picks_per_phase=MOST)


def test_differential_times_are_those_of_travel_times(events, channels, tmp_path):
    """Both origins are 60 s apart, so the first travel time is 0.02 s the shorter."""
    written = _dtcc(_pairs(), events, channels, tmp_path)
    assert (written.num_events, written.num_times, written.left_out) == (2, MOST, [])
    head, *lines = written.path.read_text().splitlines()
    assert head.split() == ["#", "1", "2", "0.0"]
    assert pd.read_csv(tmp_path / "dt.cc.events.csv")["event_id"].tolist() == events["event_id"].tolist()
    codes = pd.read_csv(tmp_path / "dt.cc.codes.csv").set_index("station_code")
    assert codes.loc["D2085", ["station_id", "channel_index"]].tolist() == ["CABLE", 2085]
    assert len(lines) == MOST
    for line in lines:
        code, dt, weight, phase = line.split()
        assert code in set(station_codes(channels)["station_code"])
        assert (float(dt), float(weight), phase) == (pytest.approx(-0.02), pytest.approx(0.81), "P")


def test_opposite_polarity_and_unlocated_events_are_no_differential_times(events, channels, tmp_path):
    with pytest.raises(TableError, match=r"None of the 200 pairs .* alike enough, with equal polarity"):
        _dtcc(_pairs(-0.9), events, channels, tmp_path)
    with pytest.raises(TableError, match=r"a position: 1, expected at least 2.*--channels"):
        export_differential_times(_pairs(), events, tmp_path / "dt.cc", channels)
    with pytest.raises(TableError, match="None of the 200 pairs of picks is of two events with a position"):
        _dtcc(_pairs().assign(event_2=7), events, channels, tmp_path)
    with pytest.raises(TableError, match="--station-id"):
        _dtcc(_pairs().iloc[:0], events, channels, tmp_path)
    assert not list(tmp_path.iterdir())


def _recorded_twice(folder):
    """One wave on eight channels, and the same 60 s later, in a folder that does not name the cable."""
    rng, dt_s = np.random.default_rng(2), 0.01
    wave = np.zeros((8, 12000), np.float32)
    for first in (2000, 8000):
        wave[:, first : first + 300] = np.random.default_rng(5).standard_normal((8, 300))
    wave += 0.01 * rng.standard_normal(wave.shape)
    patch = make_patch(wave, start_time="2020-01-01T00:00:00", dt_s=dt_s, station_id="", unit="strain / s")
    write_quakeflow(patch, folder / "pair" / "one.h5")
    channel = np.tile(np.arange(8), 2)
    event = np.repeat([0, 1], 8)
    return pd.DataFrame(
        {
            "station_id": "CABLE", "channel_index": channel, "event_index": event, "phase_type": "P",
            "phase_time": pd.Timestamp("2020-01-01T00:00:20Z") + pd.to_timedelta(60.0 * event, unit="s"),
            "phase_score": 0.9,
        }
    )  # fmt: skip


@pytest.mark.parametrize("located", [2, 3])
def test_the_command_names_the_recordings_as_the_picks_and_counts(events, tmp_path, located):
    """The recordings are called after their folder, and the picks after the cable."""
    picks = _recorded_twice(tmp_path)
    times = pd.to_datetime(["2020-01-01T00:00:19Z", "2020-01-01T00:01:19Z", "2020-01-01T01:00:00Z"])
    many = pd.concat([events, events.iloc[:1]], ignore_index=True).assign(
        event_index=range(3), event_id=["a", "b", "far"], longitude=-117.5, latitude=35.7, depth_km=8.0
    )
    many["time"] = times
    many.loc[located:, ["longitude", "latitude", "depth_km"]] = np.nan
    write_table(many, tmp_path / "catalog" / "events.parquet")
    write_table(picks, tmp_path / "catalog" / "picks.parquet")
    arguments = ["--format", "hypodd-dtcc", "--waveforms", str(tmp_path / "pair")]
    path = tmp_path / "dt.cc"
    answer = CliRunner().invoke(app, ["export", str(tmp_path / "catalog"), *arguments, "-o", str(path)])
    assert answer.exit_code == 0, answer.exception
    assert "8 differential times of 2 events" in answer.output
    assert len(path.read_text().splitlines()) == 9
    assert ("1 events have no position, which hypodd-dtcc needs" in answer.output) == (located == 2)


def test_the_command_ends_with_an_error_where_no_time_is_found(events, tmp_path):
    write_table(events, tmp_path / "catalog" / "events.parquet")  # the second has no position
    write_table(_recorded_twice(tmp_path), tmp_path / "catalog" / "picks.parquet")
    arguments = ["--format", "hypodd-dtcc", "--waveforms", str(tmp_path / "pair")]
    answer = CliRunner().invoke(
        app, ["export", str(tmp_path / "catalog"), *arguments, "-o", str(tmp_path / "dt.cc")]
    )
    assert isinstance(answer.exception, TableError)
    assert "expected at least 2" in str(answer.exception)
    assert not list(tmp_path.glob("dt.cc*"))


def test_pairs_of_channels_are_no_differential_times_of_events(events, channels, tmp_path):
    with pytest.raises(TableError, match="between='events'"):
        _dtcc(_pairs().assign(event_2=0), events, channels, tmp_path)
    with pytest.raises(TableError, match="waveform_dt_s"):
        _dtcc(_pairs().drop(columns="waveform_dt_s"), events, channels, tmp_path)


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_the_tables_of_watch_are_exported_without_a_channel_table(events, picks, tmp_path, name):
    """Watch writes a table of picks for each day."""
    write_table(events, tmp_path / "events.parquet")
    write_table(picks.iloc[:300], tmp_path / "picks" / "2020-01-01.parquet")
    write_table(picks.iloc[300:], tmp_path / "picks" / "2020-01-02.parquet")
    path = tmp_path / ("out.csv" if name == "csv" else "out")
    answer = CliRunner().invoke(app, ["export", str(tmp_path), "--format", name, "-o", str(path)])
    assert answer.exit_code == 0, answer.exception
    expected = export_catalog(events, picks, tmp_path / "expected.csv", name).path
    assert path.read_bytes() == expected.read_bytes()


def test_picks_without_a_score_have_full_weight(events, picks, channels, tmp_path):
    bare = picks.assign(phase_score=np.nan)
    text = exported(events, bare, channels, tmp_path / "catalog.pha", "hypodd").path.read_text()
    weights = {line.split()[2] for line in text.splitlines() if not line.startswith("#")}
    assert weights == {"1.0000"}
    path = exported(events, bare, channels, tmp_path / "catalog.arc", "hypoinverse").path
    assert set(catalog.read_hypoinverse(path)[1]["weight_code"]) == {0}


def test_a_receiver_named_twice_is_refused(events, picks, channels, tmp_path):
    with pytest.raises(ChannelGeometryError, match="named twice"):
        exported(events, picks, pd.concat([channels, channels.iloc[:1]]), tmp_path / "catalog.pha", "hypodd")


def test_a_summary_line_that_is_cut_short_is_named(tmp_path):
    path = tmp_path / "catalog.arc"
    path.write_text("202401010000 1234\n")
    with pytest.raises(DataFormatError, match="line 1"):
        catalog.read_hypoinverse(path)
