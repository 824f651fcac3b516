"""QuakeML: valid, equal on reading back, the same bytes twice, and no origin without coordinates."""

from __future__ import annotations

import numpy as np
import obspy
import pandas as pd
import pytest
from obspy.geodetics import gps2dist_azimuth
from obspy.io.quakeml.core import _validate

from phasenet_das.catalog import export_catalog, thin_picks, to_obspy
from phasenet_das.errors import TableError
from phasenet_das.evaluate import evaluate_events, read_reference
from tests.tables_at_hand import catalog_channels, graded_events, graded_picks

METADATA = {"weights_id": "seisbench:original", "version": "0.1"}


def write_quakeml(events, picks, path, channels=None, metadata=None):
    return export_catalog(events, picks, path, channels=channels, metadata=metadata).path


@pytest.fixture
def catalog(events, picks, channels, tmp_path):
    """What comes back from a written file."""
    path = write_quakeml(events, picks, tmp_path / "catalog.xml", channels, METADATA)
    return obspy.read_events(str(path))


def same_microsecond(read: obspy.UTCDateTime, time: pd.Timestamp) -> bool:
    return read.ns % 1000 == 0 and abs(read.ns - time.value) <= 500


def test_the_file_follows_the_schema(events, picks, tmp_path):
    path = write_quakeml(events, picks, tmp_path / "catalog.xml")
    assert _validate(str(path))


def test_two_writes_are_equal_byte_for_byte(events, picks, channels, tmp_path):
    order = np.random.default_rng(0).permutation(len(picks))
    shuffled = picks.iloc[order]
    first = write_quakeml(events, picks, tmp_path / "1.xml", channels, METADATA)
    second = write_quakeml(events[::-1], shuffled, tmp_path / "2.xml", channels, METADATA)
    assert first.read_bytes() == second.read_bytes()


def test_what_is_read_back_is_what_was_made(catalog, events, picks, channels):
    creation = {"agency_id": "phasenet-das", "version": "0.1"}
    made = to_obspy(events, picks, channels, method_id="seisbench:original", creation_info=creation)
    assert [event.resource_id.id for event in catalog] == [event.resource_id.id for event in made]
    assert str(catalog[0].origins[0]) == str(made[0].origins[0])
    assert catalog[0].origins[0].arrivals == made[0].origins[0].arrivals
    for read, written in zip(catalog, made, strict=True):
        assert read.picks == written.picks
        assert read.comments == written.comments


def test_the_origin_holds_the_event(catalog, events):
    origin, row = catalog[0].preferred_origin(), events.iloc[0]
    assert same_microsecond(origin.time, row.time)
    assert origin.time_errors.uncertainty == pytest.approx(row.time_uncertainty_s)
    assert (origin.longitude, origin.latitude) == (row.longitude, row.latitude)
    assert origin.depth == pytest.approx(1000 * row.depth_km)
    assert origin.depth_errors.uncertainty == pytest.approx(1000 * row.depth_uncertainty_km)
    assert origin.origin_uncertainty.horizontal_uncertainty == pytest.approx(1500)
    assert origin.latitude_errors.uncertainty == pytest.approx(1.5 / 111.195, rel=1e-4)
    assert origin.quality.azimuthal_gap == row.azimuthal_gap_deg
    assert origin.evaluation_mode == "automatic"


def test_arrivals_are_linked_to_picks(catalog, picks, channels):
    by_id = picks.set_index(picks["pick_id"].astype(str))
    place = channels.set_index(["station_id", "channel_index"])
    arrivals = catalog[0].preferred_origin().arrivals
    assert len(arrivals) == len(catalog[0].picks) == len(thin_picks(picks[picks["event_index"] == 0]))
    for arrival in arrivals:
        pick, row = arrival.pick_id.get_referred_object(), by_id.loc[arrival.pick_id.id.split("/")[-1]]
        receiver = place.loc[(row.station_id, row.channel_index)]
        metres = gps2dist_azimuth(35.7, -117.5, receiver.latitude, receiver.longitude)[0]
        assert same_microsecond(pick.time, row.phase_time)
        assert arrival.phase == pick.phase_hint == row.phase_type
        assert arrival.time_residual == pytest.approx(row.travel_time_residual_s, abs=1e-6)
        assert arrival.time_weight == pytest.approx(row.association_score, abs=1e-4)
        assert arrival.distance * 111_195 == pytest.approx(metres, abs=0.02)


def test_picks_name_their_receiver_and_method(catalog):
    streams = {pick.waveform_id.get_seed_string() for pick in catalog[0].picks}
    assert "CI.CCC.." in {stream.replace("None", "") for stream in streams}
    fibre = [pick for pick in catalog[0].picks if pick.waveform_id.station_code.startswith("D")]
    number = fibre[0].waveform_id.station_code[1:]
    assert fibre[0].waveform_id.network_code == "XX"
    assert fibre[0].waveform_id.resource_uri.id.endswith(f"/CABLE/{number}")
    assert {pick.evaluation_mode for pick in fibre} == {"automatic"}
    assert {pick.method_id.id for pick in fibre} == {"smi:local/phasenet-das/method/seisbench_original"}


def test_the_pick_error_is_the_scatter_unless_the_pick_has_its_own(events, picks):
    chosen = (picks["event_index"] == 0) & (picks["phase_type"] == "P")
    rms = float(np.sqrt((picks.loc[chosen, "travel_time_residual_s"].astype(float) ** 2).mean()))
    errors = {p.time_errors.uncertainty for p in to_obspy(events, picks)[0].picks if p.phase_hint == "P"}
    assert errors == {round(rms, 6)}
    stated = to_obspy(events, picks.assign(phase_time_uncertainty_s=0.02))
    assert {pick.time_errors.uncertainty for pick in stated[0].picks} == {0.02}


def test_an_event_of_unknown_direction_has_picks_and_a_comment_but_no_origin(catalog):
    event = catalog[1]
    assert event.origins == []
    assert event.preferred_origin_id is None
    assert len(event.picks) == 82
    assert event.comments[0].text == (
        "No origin: 2020-01-01 00:01:00.00 UTC ± 0.12 s, 161.2 ± 9.1 km from the nearest channel"
    )
    assert event.comments[1].text.startswith("quality D")
    assert "not in which direction" in event.comments[2].text


@pytest.fixture
def graded(tmp_path):
    """Events of all classes, with renamed picks, as they come back from a file."""
    path = write_quakeml(graded_events(), graded_picks(), tmp_path / "graded.xml", catalog_channels())
    return obspy.read_events(str(path))


def test_the_class_is_a_comment_and_only_places_to_trust_are_preferred(graded):
    words = [[comment.text for comment in event.comments] for event in graded]
    for text, quality in zip(words, "ABCDD", strict=True):
        assert sum(line.startswith(f"quality {quality}") for line in text) == 1
    preferred = [event.preferred_origin() for event in graded]
    assert [origin is not None for origin in preferred] == [True, True, True, False, False]
    assert [len(event.origins) for event in graded] == [1, 1, 1, 0, 0]
    assert words[3][0].endswith("161.2 ± 9.1 km from the nearest channel, towards 40° from north")
    assert "The event took 20 picks for the other phase." in words[1]
    assert not any("other phase" in line for line in words[0])


def test_a_place_of_class_d_is_an_origin_that_is_not_preferred():
    poor = graded_events().iloc[:1].assign(quality="D")
    event = to_obspy(poor, graded_picks())[0]
    assert len(event.origins) == 1
    assert event.preferred_origin() is None


def test_arrivals_carry_the_phase_as_which_the_event_took_the_pick(graded):
    origin = graded[1].preferred_origin()
    pairs = [(arrival.pick_id.get_referred_object(), arrival.phase) for arrival in origin.arrivals]
    swapped = [(pick.phase_hint, phase) for pick, phase in pairs if pick.phase_hint != phase]
    assert swapped == [("P", "S")] * len(swapped)
    assert 0 < len(swapped) <= 20
    for pick, phase in pairs:
        texts = [comment.text for comment in pick.comments]
        assert texts == (["The event took this pick for S."] if pick.phase_hint != phase else [])


def test_a_nordic_file_with_a_mirror_image_is_read_again(tmp_path):
    """Its comment has degrees: a sign of two bytes would move the column that names the kind of a line."""
    mirror = {"mirror_longitude": -117.5, "mirror_latitude": 35.7, "location_quality": "mirror-ambiguous"}
    path = export_catalog(
        graded_events().assign(**mirror),
        graded_picks(),
        tmp_path / "catalog.nor",
        "nordic",
        catalog_channels(),
    ).path
    read = obspy.read_events(str(path), format="NORDIC")
    assert len(read) == 3
    assert sum(" deg N, 117.5" in comment.text for event in read for comment in event.comments) == 3


@pytest.mark.parametrize("name", ["nonlinloc", "hypodd", "nordic"])
def test_other_programs_get_the_phase_as_which_the_event_took_the_pick(tmp_path, name):
    picks = graded_picks()
    true = picks.assign(phase_type=picks["associated_phase"].replace("", "S"))
    tables = {"renamed": picks, "true": true, "as_picked": picks.drop(columns="associated_phase")}
    for word, table in tables.items():
        export_catalog(graded_events(), table, tmp_path / word, name, catalog_channels())
    text = {word: (tmp_path / word).read_text() for word in tables}
    assert text["renamed"] == text["true"] != text["as_picked"]


def test_what_was_thinned_is_said(catalog):
    assert catalog[0].comments[-1].text.startswith("320 more picks")


def test_an_unknown_depth_is_left_out(events, picks, tmp_path):
    shallow = events.assign(depth_km=np.nan, depth_uncertainty_km=np.nan)
    path = write_quakeml(shallow, picks, tmp_path / "catalog.xml")
    origin = obspy.read_events(str(path))[0].origins[0]
    assert origin.depth is None
    assert not origin.depth_errors


def test_magnitudes_are_absent_unless_finite(events, picks):
    assert all(not event.magnitudes for event in to_obspy(events, picks))
    sized = to_obspy(events.assign(magnitude=[np.nan, 2.34], magnitude_type="Ml"), picks)
    assert sized[0].magnitudes == []
    assert (sized[1].preferred_magnitude().mag, sized[1].magnitudes[0].magnitude_type) == (2.34, "Ml")


def test_the_ellipse_is_kept(events, picks, tmp_path):
    ellipse = {"ellipse_major_km": 2.0, "ellipse_minor_km": 0.5, "ellipse_azimuth_deg": 30.0}
    path = write_quakeml(events.assign(**ellipse), picks, tmp_path / "catalog.xml")
    origin = obspy.read_events(str(path))[0].origins[0]
    uncertainty = origin.origin_uncertainty
    north_km = origin.latitude_errors.uncertainty * 111.195
    east_km = origin.longitude_errors.uncertainty * 111.195 * np.cos(np.deg2rad(35.7))
    assert north_km**2 + east_km**2 == pytest.approx((2.0**2 + 0.5**2) / 2.2958, rel=1e-4)
    assert north_km > east_km
    assert uncertainty.max_horizontal_uncertainty == 2000
    assert uncertainty.min_horizontal_uncertainty == 500
    assert uncertainty.azimuth_max_horizontal_uncertainty == 30


def test_the_mirror_image_is_told(events, picks):
    ambiguous = events.assign(mirror_longitude=[-117.6, np.nan], mirror_latitude=[35.3, np.nan])
    made = to_obspy(ambiguous, picks)
    assert any(text.endswith("35.300° N, 117.600° W") for text in (c.text for c in made[0].comments))
    assert not any("Mirror" in comment.text for comment in made[1].comments)


def test_creation_info_is_what_was_given(events, picks, tmp_path):
    info = {"agency_id": "XYZ", "creation_time": "2021-02-03T04:05:06Z"}
    to_obspy(events, picks, creation_info=info).write(str(tmp_path / "catalog.xml"), format="QUAKEML")
    read = obspy.read_events(str(tmp_path / "catalog.xml"))
    assert read.creation_info.agency_id == read[0].creation_info.agency_id == "XYZ"
    assert read.creation_info.creation_time == obspy.UTCDateTime(2021, 2, 3, 4, 5, 6)


def test_no_events_make_an_empty_catalog(events, picks, tmp_path):
    path = write_quakeml(events.iloc[:0], picks, tmp_path / "catalog.xml")
    assert len(obspy.read_events(str(path))) == 0


def test_a_repeated_event_id_is_refused(events, picks):
    with pytest.raises(TableError, match="ev-same"):
        to_obspy(events.assign(event_id="ev-same"), picks)


def test_a_missing_column_is_named(events, picks):
    with pytest.raises(TableError, match="event_id"):
        to_obspy(events.drop(columns="event_id"), picks)


@pytest.mark.parametrize(
    "unknown", [[], ["time_uncertainty_s"], ["source_distance_uncertainty_km"], ["source_distance_km"]]
)
def test_a_catalog_without_coordinates_is_its_own_reference(events, picks, tmp_path, unknown):
    """QuakeML gives such an event no origin; the package reads its time and distance again."""
    times = events["time"] + pd.Timedelta("400ms")
    known = events.assign(time=times, **dict.fromkeys(unknown, np.nan))
    path = write_quakeml(known, picks, tmp_path / "catalog.xml")
    read = read_reference(path)
    assert read["event_id"].tolist() == known["event_id"].tolist()
    late = (read["time"] - times).dt.total_seconds()
    np.testing.assert_allclose(late, 0, atol=0.5 if "time_uncertainty_s" in unknown else 0.006)
    assert read["longitude"].isna().tolist() == [False, True]
    distance = known["source_distance_km"][1]
    np.testing.assert_allclose(read["source_distance_km"], [np.nan, distance], atol=0.5 if unknown else 0.05)
    assert evaluate_events(known, read).table["num_matched"].tolist() == [2]


def test_other_events_without_an_origin_are_refused(tmp_path):
    obspy.core.event.Catalog([obspy.core.event.Event()]).write(tmp_path / "other.xml", format="QUAKEML")
    with pytest.raises(TableError, match="without a time"):
        read_reference(tmp_path / "other.xml")


def test_a_magnitude_without_a_type_says_none(events, picks, tmp_path):
    some = events.assign(magnitude=2.0, magnitude_type=["ML", *[np.nan] * (len(events) - 1)])
    found = obspy.read_events(str(write_quakeml(some, picks, tmp_path / "catalog.xml")))
    assert [one.magnitudes[0].magnitude_type for one in found] == ["ML", *[None] * (len(events) - 1)]


def test_each_resource_has_an_id_of_its_own(events, picks, tmp_path):
    named = events.assign(event_id=[f"quakeml:us.anss.org/event/ci{k}" for k in range(len(events))])
    path = write_quakeml(named.assign(magnitude=2.0), picks, tmp_path / "catalog.xml")
    found = obspy.read_events(str(path))
    assert [one.resource_id.id for one in found] == named["event_id"].tolist()
    assert all(isinstance(one.preferred_origin(), obspy.core.event.Origin) for one in found if one.origins)
    assert len(read_reference(path)) == len(events)


def test_event_ids_that_quakeml_writes_alike_are_refused(events, picks, tmp_path):
    alike = events.assign(event_id=["a b", "a_b", *events["event_id"].iloc[2:]])
    with pytest.raises(TableError, match="'a b' and 'a_b'"):
        write_quakeml(alike, picks, tmp_path / "catalog.xml")
