"""The report: complete, self-contained, the same twice, and honest about what it lacks."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from phasenet_das.cli import app
from phasenet_das.errors import TableError
from phasenet_das.io import make_patch
from phasenet_das.report import write_report
from phasenet_das.report.section_figure import GLYPHS, axis_ticks
from phasenet_das.tables import CHANNEL_COLUMNS, COVERAGE_COLUMNS, EVENT_COLUMNS, conform, write_table
from tests.tables_at_hand import (
    catalog_channels,
    graded_events,
    graded_groups,
    graded_picks,
    pick_table,
)

mpl.use("Agg")
START = pd.Timestamp("2020-01-01T00:00:00Z")


class Page(HTMLParser):
    """Text, pictures, targets and links of a page, and everything that it would load."""

    def __init__(self, path):
        super().__init__()
        self.images, self.pictures, self.loaded, self.words, self.open = [], [], [], [], []
        self.targets, self.links = [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).replace("\N{NO-BREAK SPACE}", " ").split())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "image":
            self.images.append(found)
        if found.get("role") in {"img", "group"} and found.get("class") in {"section", "plot"}:
            self.pictures.append(found["aria-label"])
        links = [found[name] for name in ("href", "xlink:href") if name in found]
        (self.links if tag == "a" else self.loaded).extend(links)
        self.loaded += [found[name] for name in ("src", "data", "srcset") if name in found]
        self.targets += [found["id"]] if "id" in found else []
        if tag not in {"img", "meta", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in {"img", "meta", "link", "br"}:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)


@pytest.fixture(scope="module")
def events():
    table = {
        "event_index": [0, 1],
        "event_id": ["ev0", "ev1"],
        "time": [START + pd.Timedelta("1s"), START + pd.Timedelta("30s")],
        "time_uncertainty_s": [0.12, 1.4],
        "longitude": [-117.5, np.nan],
        "latitude": [35.7, np.nan],
        "depth_km": [8.25, np.nan],
        "horizontal_uncertainty_km": [1.5, np.nan],
        "depth_uncertainty_km": [2.5, np.nan],
        "source_distance_km": [12.0, 161.2],
        "source_distance_uncertainty_km": [1.5, 9.1],
        "num_picks": 80,
        "num_p_picks": 40,
        "num_s_picks": 40,
        "num_channels": 40,
        "num_renamed": 0,
        "residual_rms_s": 0.05,
        "azimuthal_gap_deg": [210.0, np.nan],
        "quality": "",
        "location_quality": ["", "azimuth-unconstrained"],
    }
    return conform(pd.DataFrame(table), EVENT_COLUMNS)


@pytest.fixture(scope="module")
def picks():
    rng = np.random.default_rng(3)
    rows = [(c, phase, event) for event in (0, 1, -1) for phase in ("P", "S") for c in range(40)]
    channel, phase, event = (np.array(column) for column in zip(*rows, strict=True))
    kept = event >= 0
    return pick_table(
        channel,
        4.0 + 29 * event.clip(0) + np.where(phase == "S", 3.0, 0.0) + np.where(kept, 0, 11),
        phase,
        event=event,
        score=rng.uniform(0.3, 1, len(rows)),
        station="CABLE",
        start=START,
        phase_amplitude=1.0,
        association_score=np.where(kept, 0.9, np.nan),
        travel_time_residual_s=np.where(kept, rng.normal(0, 0.05, len(rows)), np.nan),
        reason=np.where(kept, "", np.where(phase == "P", "fits no event", "score below 0.5")),
    )


@pytest.fixture(scope="module")
def arguments(events, picks):
    noise = np.random.default_rng(0).normal(size=(40, 2000)).astype(np.float32)
    patch = make_patch(noise, start_time=START, dt_s=0.01, station_id="CABLE")
    channels = pd.DataFrame({"station_id": "CABLE", "channel_index": np.arange(40)}).assign(
        longitude=-117.6 + 1e-3 * np.arange(40),
        latitude=35.6,
        elevation_m=600.0,
        distance_m=np.nan,
        status="ok",
    )
    coverage = pd.DataFrame(
        {
            "station_id": "CABLE",
            "start": [START, pd.NaT],
            "end": [START + pd.Timedelta("90s"), pd.NaT],
            "first_channel": [0, -1],
            "last_channel": [39, -1],
            "num_channels": [40, 0],
            "status": ["examined", "skipped"],
            "reason": ["", "truncated: expected 10 bytes, found 3"],
            "source": ["/some/folder/a.h5", "/some/folder/b.h5"],
        }
    )
    return {
        "events": events,
        "picks": picks,
        "channels": conform(channels, CHANNEL_COLUMNS),
        "coverage": conform(coverage, COVERAGE_COLUMNS),
        "event_records": [(0, patch)],
        "sections": [("First 20 s", patch)],
        "quakeml": "catalog.xml",
        "provenance": {
            "version": "9.8.7",
            "git_commit": None,
            "inputs": {"a.h5": "0123456789abcdef"},
            "settings": {"pick": {"min_score": 0.31}},
        },
        "left_out": [("channels 7 and 8", "dead")],
    }


@pytest.fixture(scope="module")
def report(arguments, tmp_path_factory):
    return write_report(
        tmp_path_factory.mktemp("report") / "report.html", title="A <cable> & more", **arguments
    )


@pytest.fixture(scope="module")
def page(report):
    return Page(report)


def test_nothing_is_loaded_from_elsewhere(page, report):
    assert page.open == []
    assert page.loaded
    assert all(target.startswith(("data:image/webp;base64,", "#")) for target in page.loaded)
    text = report.read_text(encoding="utf-8")
    assert not any(word in text for word in ("@import", "http:", "https:"))


def test_equal_inputs_give_equal_bytes(report, arguments, tmp_path):
    again = write_report(tmp_path / "again.html", title="A <cable> & more", **arguments)
    assert again.read_bytes() == report.read_bytes()


def test_a_users_style_does_not_change_the_report_nor_the_other_way(report, arguments, tmp_path):
    plt.figure()  # a user's own
    already_open = plt.get_fignums()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        styled = write_report(tmp_path / "styled.html", title="A <cable> & more", **arguments)
        assert mpl.rcParams["font.size"] == 30
    assert styled.read_bytes() == report.read_bytes()
    assert plt.get_fignums() == already_open
    plt.close(already_open[-1])


def test_every_picture_has_words_for_it(page):
    assert (
        len(page.pictures) == 7
    )  # section of an event, record, scores, map, depths from two sides, timeline
    assert all(page.pictures)
    assert len(page.images) == 2
    for image in page.images:
        picture = Image.open(io.BytesIO(base64.b64decode(image["href"].split(",")[1])))
        assert picture.size == (40, 1000)
        assert picture.getextrema() != ((255, 255),) * len(picture.getbands())


def test_row_section_map_and_quakeml_lead_to_each_other(page):
    assert {"#event-1", "#row-1", "#map-1", "catalog.xml"} <= set(page.links)
    assert all(link[1:] in page.targets for link in page.links if link.startswith("#"))
    assert len(page.targets) == len(set(page.targets))


def test_kept_and_rejected_picks_differ_in_shape():
    assert len(set(GLYPHS.values())) == len(GLYPHS)


def test_ticks_are_round_and_apart():
    ticks = axis_ticks(0.0, 17.3, 430, 60)
    assert [tick.text for tick in ticks] == ["0", "5", "10", "15"]
    assert ticks[1].at == pytest.approx(5 / 17.3 * 430, abs=0.01)
    assert [tick.text for tick in axis_ticks(0.2, -0.2, 96, 24)] == ["-0.2", "-0.1", "0", "0.1", "0.2"]


@pytest.mark.parametrize(
    "words",
    [
        "2 events were found between 2020-01-01 00:00:01 and 2020-01-01 00:00:30 UTC.",
        "They explain 160 of 240 picks.",
        "2020-01-01 00:00:01.00 ± 0.12 s",
        "35.700° N, 117.500° W ± 1.5 km",
        "8.2 ± 2.5 km",
        "161.2 ± 9.1 km",
        "Recording CABLE, 90 s: 2020-01-01 00:00:00 to 00:01:30 UTC.",
        "The section has 80 kept and 80 rejected picks on 40 channels of CABLE",
        "1 of 2 events have a section.",
        "azimuth-unconstrained: the receivers tell how far away the source is but not in which direction",
        "kept 80 80 160 66.7%",
        "rejected: fits no event 40 0 40 16.7%",
        "rejected: score below 0.5 0 40 40 16.7%",
        "channels 7 and 8 dead",
        "b.h5, CABLE truncated: expected 10 bytes, found 3",
        "CABLE examined 1 90 s 0 to 39",
        "min_score: 0.31",
        "version 9.8.7",
        "a.h5 0123456789abcdef",
    ],
)
def test_the_page_says(page, words):
    assert words in page.text


def test_text_is_escaped(page, report):
    assert page.text.startswith("A <cable> & more")
    assert "<cable>" not in report.read_text(encoding="utf-8")


def test_hostile_names_are_text_everywhere(graded, tmp_path):
    name = "<b onload='x'>&\"</script>"
    patch = graded["event_records"][0][1]
    renamed = {key: graded[key].assign(station_id=name) for key in ("picks", "channels", "groups")}
    hostile = (
        graded
        | renamed
        | {
            "events": graded["events"].assign(event_id=name, location_quality=name),
            "event_records": [(0, patch.update_attrs(station_id=name))],
            "group_records": {0: patch.update_attrs(station_id=name)},
            "sections": [(name, patch.update_attrs(station_id=name))],
            "left_out": [(name, name)],
            "facts": [(name, name)],
            "quakeml": name,
            "provenance": {"inputs": {name: name}, "version": name},
            "settings": {name: name},
            "title": name,
        }
    )
    path = write_report(tmp_path / "hostile.html", **hostile)
    assert Page(path).open == []
    written = path.read_text(encoding="utf-8")
    assert "<b " not in written
    assert written.count("</script>") == 1
    assert name in Page(path).text


def test_the_magnitude_is_there_only_when_known(page, arguments, tmp_path):
    assert "No event has a magnitude, because no magnitude scale was stated." in page.text
    sized = arguments | {"events": arguments["events"].assign(magnitude=[np.nan, 2.34]), "sections": []}
    text = Page(write_report(tmp_path / "sized.html", **sized)).text
    assert "No event has a magnitude" not in text
    assert "1 of 2 events have a magnitude" in text
    assert "2020-01-01 00:00:30.0 ± 1.4 s 2.3 " in text
    spread = sized["events"].assign(magnitude_uncertainty=[np.nan, 0.42])
    text = Page(write_report(tmp_path / "spread.html", **(sized | {"events": spread}))).text
    assert "2020-01-01 00:00:30.0 ± 1.4 s 2.3 ± 0.4 " in text
    stated = arguments | {"sections": [], "settings": {"report": {"magnitude_scale": "scale.json"}}}
    assert "none has a distance and an amplitude" in Page(write_report(tmp_path / "no.html", **stated)).text


def test_magnitudes_name_their_scale_and_missing_ones_their_reason(arguments, tmp_path):
    sized = arguments["events"].assign(magnitude=[np.nan, 2.34], magnitude_uncertainty=[np.nan, 0.41])
    facts = arguments["provenance"] | {
        "magnitude_scale": "/some/folder/scale.json",
        "magnitude_amplitudes": "records",
    }
    changed = arguments | {"events": sized, "provenance": facts, "sections": []}
    text = Page(write_report(tmp_path / "sized.html", **changed)).text
    assert "1 of 2 events have a magnitude." in text
    assert "Scale: scale.json, with the amplitudes of peaks of the records." in text
    assert "uncertain by 0.4" in text
    assert "Events without one have no distance" in text


def test_time_of_writing_is_written_only_when_given(events, picks, tmp_path):
    path = write_report(tmp_path / "dated.html", events=events, picks=picks, created="Made on 1 May")
    assert "Made on 1 May" in Page(path).text


def test_nothing_found_is_said(events, picks, tmp_path):
    path = write_report(tmp_path / "empty.html", events=events.iloc[:0], picks=picks.assign(event_index=-1))
    text = Page(path).text
    assert "No event was found: none of the 240 picks fit together." in text
    assert "Nothing was left out." in text


def test_no_picks_at_all_is_said(events, picks, tmp_path):
    path = write_report(tmp_path / "empty.html", events=events.iloc[:0], picks=picks.iloc[:0])
    assert "There are no picks." in Page(path).text


def test_the_command_lists_what_association_could_not_use(events, picks, tmp_path):
    write_table(events, tmp_path / "events.parquet")
    write_table(picks, tmp_path / "picks.parquet")
    summary = {"left_out": {"no time": 3}, "unknown_receivers": {"STRANGER": 5}}
    (tmp_path / "association.json").write_text(json.dumps(summary))
    answer = CliRunner().invoke(app, ["report", str(tmp_path), "-o", str(tmp_path / "report.html")])
    assert answer.exit_code == 0, repr(answer.exception)
    text = Page(tmp_path / "report.html").text
    assert "3 picks no time" in text
    assert "STRANGER" in text


def test_many_events_are_cut_and_counted(events, picks, tmp_path):
    many = pd.concat([events.iloc[:1]] * 250, ignore_index=True)
    many = many.assign(event_index=np.arange(250), event_id=[f"ev{i}" for i in range(250)])
    path = write_report(tmp_path / "many.html", events=many, picks=picks)
    assert "The 200 events with most picks of 250" in Page(path).text
    assert path.read_text(encoding="utf-8").count("35.700°") == 200


def test_a_missing_column_is_named(events, picks, tmp_path):
    with pytest.raises(TableError, match="phase_score"):
        write_report(tmp_path / "report.html", events=events, picks=picks.drop(columns="phase_score"))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def graded():
    """A catalog of every class, with renamed picks and a group, and what its association says of itself."""
    noise = np.random.default_rng(0).normal(size=(200, 3000)).astype(np.float32)
    channels = np.arange(2000, 2200)
    patch = make_patch(noise, start_time=START, dt_s=0.01, station_id="CABLE", channel_index=channels)
    velocity = {
        "status": "assumed",
        "text": "Velocity: assumed: vp/vs 1.73 ± 0.1.",
        "layers": [{"depth_km": 0.0, "vp_km_s": 3.0, "vs_km_s": 1.7}],
    }
    return {
        "events": graded_events(),
        "picks": graded_picks(),
        "channels": catalog_channels(),
        "groups": graded_groups(),
        "association": {"velocity": velocity, "rules": ["Both phases on 20 channels or more."]},
        "event_records": [(0, patch)],
        "group_records": {0: patch},
    }


@pytest.fixture(scope="module")
def graded_page(graded, tmp_path_factory):
    return Page(write_report(tmp_path_factory.mktemp("graded") / "report.html", **graded))


@pytest.mark.parametrize(
    "words",
    [
        "5 events: 1 A, 1 B, 1 C, 2 D. 1 group without a location. 5 events were found between",
        "of class A or B 2 with a position 3",
        "group without a location 1 of 2,040 picks kept",
        "Velocity: assumed: vp/vs 1.73 ± 0.1.",
        "State layers with --layers FILE",
        "0.0 3.0 1.7",
        "Both phases on 20 channels or more.",
        "Event 1, class A 2020-01-01 00:00:00.50 UTC",
        "Velocity Assumed: vp/vs 1.73 ± 0.1. P 3.0 km/s. S 1.7 km/s.",
        "G1 2020-01-01 00:00:20 CABLE S 40 40 of 2050 to 2089 2.4 one phase only",
        "in a group without location 0 40 40 2.0%",
        "Events took 20 of 2,000 picks for the other phase than the picker.",
        "distant: the source is too far away for a position",
    ],
)
def test_the_page_of_a_graded_catalog_says(graded_page, words):
    assert words in graded_page.text


def test_every_event_has_its_class_and_the_renamed_picks(graded_page):
    rows = graded_page.text.split("P / S picks")[1]
    for number, quality in enumerate("ABCDD", start=1):
        assert f"{number} {quality} 2020-01-01" in rows
    assert "200 / 200 20 " in rows


def test_the_rule_of_each_class_is_on_the_page(graded, tmp_path, monkeypatch):
    monkeypatch.setattr("gamma.QUALITY_RULES", {"A": "Well seen.", "D": "Not to send."}, raising=False)
    text = Page(write_report(tmp_path / "rules.html", **(graded | {"sections": []}))).text
    assert "Class A: Well seen." in text
    assert "Class D: Not to send." in text


def test_a_group_is_drawn_with_and_without_its_record(graded, graded_page, tmp_path):
    bare = Page(write_report(tmp_path / "bare.html", **(graded | {"group_records": {}})))
    both = [[words for words in page.pictures if words.startswith("Group 1")] for page in (graded_page, bare)]
    assert both == [["Group 1 on CABLE"]] * 2
    assert len(graded_page.images) == len(bare.images) + 1


def test_no_group_is_said_and_a_run_without_the_table_says_nothing(graded, tmp_path):
    none = graded | {"groups": graded_groups().iloc[:0], "sections": []}
    text = Page(write_report(tmp_path / "none.html", **none)).text
    assert "Every run of picks in line along a cable belongs to an event." in text
    assert "groups without a location 0" in text
    old = graded | {"groups": None, "association": {}, "sections": []}
    text = Page(write_report(tmp_path / "old.html", **old)).text
    assert "Arrivals that no event explains" not in text
    assert "Velocity and rules" not in text


def test_a_number_of_unknown_uncertainty_has_the_fewest_digits(graded, tmp_path):
    events = graded_events().iloc[:2]
    unknown = [name for name in events.columns if "uncertainty" in name]
    events.loc[1, unknown] = np.nan
    vague = graded | {"events": events, "sections": [], "groups": None}
    text = Page(write_report(tmp_path / "vague.html", **vague)).text
    assert "1 A 2020-01-01 00:00:00.50 ± 0.12 s" in text
    assert "35.5500° N, 117.4000° W ± 0.40 km 6.00 ± 0.80 km" in text
    assert "35.59° N, 117.35° W 7 km 13 km" in text


def test_the_command_reads_groups_and_the_summary_of_the_association(graded, tmp_path):
    for name in ("events", "picks", "groups"):
        write_table(graded[name], tmp_path / f"{name}.parquet")
    (tmp_path / "association.json").write_text(json.dumps(graded["association"]))
    answer = CliRunner().invoke(app, ["report", str(tmp_path), "-o", str(tmp_path / "report.html")])
    assert answer.exit_code == 0, repr(answer.exception)
    text = Page(tmp_path / "report.html").text
    assert "Both phases on 20 channels or more." in text
    assert "40 of 2050 to 2089" in text
