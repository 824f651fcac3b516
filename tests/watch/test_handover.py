"""Events reach other systems, and nothing that they do stops the watch."""

from __future__ import annotations

import errno
import http.server
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import obspy
import pandas as pd
import pytest
from obspy.io.quakeml.core import _validate as quakeml_schema
from obspy.io.seiscomp.core import validate as scml_schema
from obspy.io.stationxml.core import validate_stationxml

from gamma import AssociationResult
from phasenet_das import io
from phasenet_das.config import HandoverSettings
from phasenet_das.errors import HandoverError
from phasenet_das.io.archive import open_archive
from phasenet_das.tables.codes import station_codes
from phasenet_das.watch import Handover, handover, read_revisions
from phasenet_das.watch.events import EventLife, Pass
from phasenet_das.watch.handover import is_good, run_command
from phasenet_das.watch.revisions import Revisions
from tests.tables_at_hand import catalog_channels, graded_events, graded_picks

STAGES = {"file_closed_at": 10.0, "picked_at": 12.0, "associated_at": 13.0}
HOSTILE = "$(touch HACKED); `id` \"'\n | rm -rf / \0 <&> é"
SAVE = (
    "import json, os, sys; message = json.load(sys.stdin); "
    "open(sys.argv[1], 'a').write(json.dumps([message, os.environ['PHASENET_DAS_EVENT_ID']]) + '\\n')"
)


def _taken(folder: Path, events: pd.DataFrame | None = None) -> tuple[EventLife, AssociationResult]:
    """Take one pass of the small catalog; the event of class A is the first."""
    events = graded_events() if events is None else events
    life = EventLife(Revisions(folder / "revisions.jsonl"), 1e9)
    span = np.array([[pd.Timestamp(f"2020-01-01T00:0{minute}").as_unit("ns").value for minute in (0, 6)]])
    result = AssociationResult(events, graded_picks(), pd.DataFrame(), {})
    result.events["event_id"] = life.take(Pass(events, result.picks, span, STAGES))
    return life, result


def _hand_over(folder: Path, life: EventLife, result: AssociationResult | None, **settings: object) -> None:
    handover = Handover(HandoverSettings(**settings), folder / "out", catalog_channels())
    handover.offer(life, result)
    handover.close()


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, object]], list[int]]]:
    """A server of this machine: its address, what it got, and the answers it is going to give."""
    got: list[dict[str, object]] = []
    answers: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop(0) if answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    running = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}/events", got, answers
    running.shutdown()
    running.server_close()


SCHEMAS = {".xml": quakeml_schema, ".scml": scml_schema}


def test_files_of_the_good_events_follow_the_schemas_and_are_read(tmp_path: Path) -> None:
    life, result = _taken(tmp_path)
    _hand_over(tmp_path, life, result, min_quality="A", formats=("quakeml", "scml"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ev0-abc.scml", "ev0-abc.xml"]
    origin = result.events.iloc[0]
    for path in (tmp_path / "out").iterdir():
        assert SCHEMAS[path.suffix](str(path))
        (event,) = obspy.read_events(path)
        assert str(event.resource_id).endswith("event/ev0-abc")
        assert event.creation_info.version == "1"
        assert event.origins[0].evaluation_status == "preliminary"
        assert event.origins[0].latitude == pytest.approx(origin["latitude"])
        assert abs(event.origins[0].time.timestamp - origin["time"].timestamp()) < 1e-5
        assert len(event.picks) == len(event.origins[0].arrivals) == 80
    result = replace(result, events=result.events[1:])
    life.take(Pass(result.events, result.picks.assign(event_index=-1), np.array([[0, 2**62]]), STAGES))
    _hand_over(tmp_path, life, result, min_quality="A", formats=("quakeml", "scml"))
    for path in (tmp_path / "out").iterdir():
        assert SCHEMAS[path.suffix](str(path))
        (event,) = obspy.read_events(path)
        assert (event.event_type, event.creation_info.version) == ("not existing", "2")


@pytest.mark.parametrize(
    ("settings", "good"),
    [
        ({"min_quality": "B"}, "AB"),
        ({"min_quality": "D", "min_channels": 201}, ""),
        ({"max_residual_s": 0.01}, ""),
        ({"needs_p_and_s": True}, "ABC"),
    ],
)
def test_the_quality_that_is_wanted(settings: dict[str, object], good: str) -> None:
    rows = graded_events()[:3].to_dict("records")
    assert "".join(row["quality"] for row in rows if is_good(row, HandoverSettings(**settings))) == good


def test_an_event_waits_until_it_is_stable(tmp_path: Path) -> None:
    life, result = _taken(tmp_path)
    _hand_over(tmp_path, life, result, stable_passes=2)
    assert not (tmp_path / "out").exists()
    life.take(Pass(result.events, result.picks, np.array([[0, 2]]), STAGES))
    _hand_over(tmp_path, life, result, stable_passes=2)
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_command_gets_hostile_text_as_it_is(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    run_command((sys.executable, "-c", SAVE, str(seen)), {"event_id": HOSTILE, "depth_km": None}, 60.0)
    message, variable = json.loads(seen.read_text())
    assert message["event_id"] == HOSTILE
    assert variable == HOSTILE.replace("\0", " ")
    assert not list(tmp_path.glob("HACKED"))


def test_commands_that_fail_or_hang_are_named_and_stop_nothing(tmp_path: Path) -> None:
    with pytest.raises(HandoverError, match=r"exit code 3.*no pager"):
        run_command(("sh", "-c", "echo no pager; exit 3"), {}, 60.0)
    with pytest.raises(HandoverError, match="no end"):
        run_command(("sh", "-c", "sleep 1000 & sleep 1000"), {}, 0.05)
    life, result = _taken(tmp_path)
    _hand_over(tmp_path, life, result, formats=(), on_event=("no-such-command",))
    lines = [json.loads(line) for line in life.revisions.path.read_text().splitlines()]
    errors = [line["error"] for line in lines if line.get("receiver") == "command"]
    assert len(errors) == 3
    assert all("no-such-command" in error for error in errors)


class _Here:
    """A thread that does each job at once."""

    def __init__(self, *_: object) -> None:
        pass

    def submit(self, job: Callable[..., None], *given: object) -> Future[None]:
        job(*given)
        return Future()


def _deliveries(life: EventLife, receiver: str) -> list[str]:
    lines = [json.loads(line) for line in life.revisions.path.read_text().splitlines()]
    return [line["error"] for line in lines if line.get("receiver") == receiver]


def test_files_that_a_full_disk_refused_are_written_by_a_later_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life, result = _taken(tmp_path)
    seconds, tries, write, is_full = [0.0], [0], handover.write_event_files, [True]

    def try_to_write(*given: Any) -> None:
        tries[0] += 1
        if is_full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*given)

    monkeypatch.setattr(handover, "write_event_files", try_to_write)
    monkeypatch.setattr(handover, "ThreadPoolExecutor", _Here)
    monkeypatch.setattr(handover, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    got = tmp_path / "got"
    command = ("sh", "-c", f"echo once >> {got}")
    one = Handover(HandoverSettings(min_quality="A", on_event=command), tmp_path / "out", catalog_channels())
    for moment, expected in ((0.0, 1), (9.0, 1), (10.0, 2), (29.0, 2), (30.0, 3)):
        seconds[0] = moment
        one.offer(life, result)
        assert tries[0] == expected, "it rests for 10 s, then for 20 s"
    assert len(_deliveries(life, "files")) == 1, "a failure that repeats is recorded once"
    is_full[0], seconds[0] = False, 100.0
    one.offer(life, result)
    assert [path.name for path in (tmp_path / "out").glob("*.xml")] == ["ev0-abc.xml"]
    assert _deliveries(life, "files")[-1] == ""
    one.offer(life, result)
    assert tries[0] == 4
    assert got.read_text() == "once\n", "files that fail keep the command neither waiting nor busy"


def test_an_alert_that_failed_is_sent_by_the_next_start(tmp_path: Path) -> None:
    life, result = _taken(tmp_path)
    up, got = tmp_path / "up", tmp_path / "got"
    sent = {"formats": (), "on_event": ("sh", "-c", f"test -e {up} && echo $PHASENET_DAS_EVENT_ID >> {got}")}
    _hand_over(tmp_path, life, result, **sent)
    assert len(_deliveries(life, "command")) == 3, "an event that fails keeps no other waiting"
    up.touch()
    for _ in range(2):
        _hand_over(tmp_path, EventLife(Revisions(life.revisions.path)), None, **sent)
    assert len(got.read_text().split()) == len(set(got.read_text().split())) == 3


def test_a_revision_that_the_webhook_refused_is_sent_by_the_next_start(
    tmp_path: Path, server: tuple[str, list[dict[str, object]], list[int]]
) -> None:
    address, got, answers = server
    life, result = _taken(tmp_path)
    answers.append(503)
    _hand_over(tmp_path, life, result, formats=(), min_quality="A", webhook=address)
    assert read_revisions(life.revisions.path)["handed_over_at"].notna().sum() == 1  # of the files
    again = EventLife(Revisions(life.revisions.path))
    _hand_over(tmp_path, again, None, formats=(), webhook=address)
    assert [one["event_id"] for one in got] == ["ev0-abc", "ev0-abc"]
    assert "35.55" in str(got[1]["text"])
    assert got[1]["revision"] == 1
    _hand_over(tmp_path, EventLife(Revisions(life.revisions.path)), None, formats=(), webhook=address)
    assert len(got) == 2, "sent once"


def test_waveforms_and_stations_have_the_codes_of_the_picks(tmp_path: Path) -> None:
    channels = catalog_channels()
    channels.loc[channels["channel_index"] == 2050, "status"] = "bad"
    data = np.random.default_rng(2).standard_normal((200, 3000)).astype(np.float32)
    data[100, 1000] = np.nan
    patch = io.make_patch(
        data,
        start_time=np.datetime64("2019-12-31T23:59:55", "ns"),
        dt_s=0.01,
        channel_index=np.arange(2000, 2200),
        station_id="CABLE",
        unit="strain / s",
    )
    life, result = _taken(tmp_path)
    settings = HandoverSettings(
        min_quality="A", waveform_step=50, waveform_channels=(2003,), waveform_margin_s=2
    )
    handover = Handover(settings, tmp_path / "out", channels)
    handover.offer(life, result, open_archive(patch))
    handover.close()
    stream = obspy.read(tmp_path / "out" / "ev0-abc.mseed")
    codes = station_codes(channels)
    wanted = codes[codes["channel_index"].isin([2000, 2003, 2150])]["station_code"].tolist()
    assert [trace.stats.station for trace in stream] == wanted
    assert abs(stream[0].stats.starttime.timestamp - (result.events["time"][0].timestamp() - 2)) <= 0.01
    first = round((stream[0].stats.starttime - obspy.UTCDateTime(2019, 12, 31, 23, 59, 55)) * 100)
    np.testing.assert_array_equal(stream[0].data, data[0, first : first + len(stream[0])])
    for trace in stream:
        assert re.fullmatch(r"[A-Z0-9]{2}\.[A-Z0-9]{1,5}\.\.[A-Z]{3}", trace.id), "a code of SEED"
    assert validate_stationxml(str(tmp_path / "out" / "stations.xml")) == (True, ())
    inventory = obspy.read_inventory(tmp_path / "out" / "stations.xml")
    (event,) = obspy.read_events(tmp_path / "out" / "ev0-abc.xml")
    places = {trace.id: inventory.get_coordinates(trace.id) for trace in stream}
    assert places["XX.D2000..HSF"]["longitude"] == pytest.approx(-117.6 + 0.2)
    assert {pick.waveform_id.channel_code for pick in event.picks} == {"HSF"}
    named = {pick.waveform_id.station_code for pick in event.picks}
    assert named <= set(codes["station_code"])
