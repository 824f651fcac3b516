"""Alarms of a watch, and its answers over HTTP."""

from __future__ import annotations

import json
import logging
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from phasenet_das.config import FeedSettings, HealthSettings, WatchSettings, load_config
from phasenet_das.errors import ConfigError
from phasenet_das.tables import COVERAGE_COLUMNS, conform, read_coverage, write_table
from phasenet_das.watch.health import Health
from phasenet_das.watch.log import log_with_times
from phasenet_das.watch.page import StatusPage
from phasenet_das.watch.server import serve
from tests import tables_at_hand

END = pd.Timestamp("2020-01-01T00:06:00Z")
BEGIN = END - pd.Timedelta(minutes=6)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The folder of a watch of five events, with dead channels and a hostile name."""
    rows = [
        ("CABLE", BEGIN, END, 2000, 2199, 200, "examined", "", "a.h5"),
        ("CABLE", BEGIN, END, 2007, 2009, 3, "skipped", "one value only, to seven digits", "a.h5"),
        ("CABLE", BEGIN, BEGIN, 2040, 2049, 10, "skipped", "NaN or infinite: not picked there", "a.h5"),
        ("<b>x", BEGIN, END - pd.Timedelta(minutes=2), 0, 9, 10, "examined", "<script>", "b.h5"),
    ]
    coverage = conform(pd.DataFrame(rows, columns=list(COVERAGE_COLUMNS)), COVERAGE_COLUMNS, "coverage")
    picks = tables_at_hand.graded_picks()
    write_table(coverage, tmp_path / "coverage.csv", {})
    write_table(picks.assign(event_index=-1), tmp_path / "picks" / "2020-01-01.parquet", {})
    write_table(picks, tmp_path / "picks.parquet", {})
    write_table(tables_at_hand.graded_events(), tmp_path / "recent_events.parquet", {})
    return tmp_path


def _step(arrived: pd.Timestamp, picked_to: pd.Timestamp) -> SimpleNamespace:
    return SimpleNamespace(
        num_files=1,
        picked_to=picked_to,
        data_s=60.0,
        took_s=6.0,
        last_file="a.h5",
        arrived_s=arrived.timestamp(),
    )


def _after(seconds: float) -> pd.Timestamp:
    return END + pd.Timedelta(seconds=seconds)


def test_lag_is_of_each_cable_and_grows_when_nothing_comes(output: Path) -> None:
    health = Health(output, HealthSettings(max_lag_s=100), started_s=END.timestamp())
    assert health.lags(_after(30).timestamp()) == pytest.approx({"CABLE": 30, "<b>x": 150})
    assert health.alarms(_after(30).timestamp()).keys() == {"lag"}
    assert "<b>x 2.5 minutes" in health.alarms(_after(30).timestamp())["lag"]
    assert health.alarms(_after(130).timestamp()).keys() == {"lag", "silence"}
    assert health.lags(_after(30).timestamp() + 86400)["CABLE"] == pytest.approx(86430)


def test_before_the_first_pass(tmp_path: Path) -> None:
    report = Health(tmp_path).report(END.timestamp())
    assert (report["lag_s"], report["dead_channels"], report["picks_per_minute"]) == ({}, {}, 0.0)
    assert "a cable without data yet" in StatusPage(Health(tmp_path)).html(END.timestamp())


def test_nothing_dead(output: Path) -> None:
    coverage = read_coverage(output / "coverage.csv")
    write_table(coverage[coverage["status"] == "examined"], output / "coverage.csv", {})
    assert Health(output).dead_channels() == {"CABLE": 0, "<b>x": 0}


def test_dead_channels_are_those_of_now(output: Path) -> None:
    assert Health(output).dead_channels() == {"CABLE": 3, "<b>x": 0}


@pytest.mark.parametrize(
    ("delays", "words"), [((3, 4), ""), ((3, 6.5), "later"), ((6, 3), "earlier"), ((-1, -3), "future")]
)
def test_clocks_that_drift(output: Path, delays: tuple[float, float], words: str) -> None:
    health = Health(output, HealthSettings(max_clock_s=2.0), started_s=BEGIN.timestamp())
    for delay in (*[delays[0]] * 20, 60.0, *[delays[1]] * 4):  # one slow copy is no drift
        health.passed(_step(_after(delay), END))
    assert words in health.alarms(END.timestamp()).get("clock", "")
    assert bool(words) == ("clock" in health.alarms(END.timestamp()))


def test_samples_in_the_future_are_an_alarm_of_each_cable(output: Path) -> None:
    health = Health(output, HealthSettings(max_clock_s=2.0, max_silence_s=1e9), started_s=END.timestamp())
    assert "clock" not in health.alarms(_after(-2).timestamp())
    coverage = read_coverage(output / "coverage.csv")
    coverage.loc[0, "end"] += pd.Timedelta(days=5)  # one file among good ones moves no median
    write_table(coverage, output / "coverage.csv", {})
    for _ in range(5):
        health.passed(_step(_after(3), END))
    assert health.lags(END.timestamp()) == pytest.approx({"CABLE": -432_000, "<b>x": 120})
    alarms = health.alarms(_after(1000).timestamp())
    assert alarms.keys() == {"clock", "lag"}
    assert "CABLE 4.99 days" in alarms["clock"]
    assert "<b>x" in alarms["lag"]


def test_a_backlog_says_nothing_of_clocks(output: Path) -> None:
    health = Health(output, started_s=_after(900).timestamp())
    health.passed(_step(_after(600), END))
    assert "clock" not in health.alarms(_after(901).timestamp())


def test_an_error_is_an_alarm_until_a_pass_succeeds(output: Path, caplog: pytest.LogCaptureFixture) -> None:
    health = Health(output, HealthSettings(max_lag_s=1e9, max_silence_s=1e9))
    health.failed(OSError("No space left"))
    health.passed(None)
    assert health.report(END.timestamp())["alarms"] == {"error": "The last pass failed: No space left"}
    health.passed(_step(END, END))
    assert health.report(END.timestamp())["status"] == "ok"
    assert "alarm: The last pass failed" in caplog.text


def test_the_settings_of_the_units_are_read() -> None:
    watch = load_config(Path(__file__).parents[2] / "deploy" / "watch.yaml").watch
    assert watch.feed.keep_hours >= 24 * (watch.keep_days + 2)


def test_recordings_outlive_their_tables() -> None:
    with pytest.raises(ConfigError, match="keep_days"):
        WatchSettings(feed=FeedSettings(keep_hours=100))
    with pytest.raises(ConfigError, match="72 or more"):
        WatchSettings(keep_days=1, feed=FeedSettings(keep_hours=71))


def _get(address: str) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - loopback
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def test_answers(output: Path) -> None:
    pytest.importorskip("prometheus_client")
    health = Health(output, HealthSettings(max_silence_s=1e9, max_lag_s=1e9))
    server = serve(health, "0")
    try:
        assert server.server_address[0] == "127.0.0.1"
        base = f"http://127.0.0.1:{server.server_address[1]}"
        code, kind, text = _get(f"{base}/health")
        assert (code, kind) == (200, "application/json; charset=utf-8")
        assert json.loads(text)["picked_to"]["CABLE"] == "2020-01-01T00:06:00Z"
        health.failed(OSError("broken <i>"))
        assert _get(f"{base}/health")[0] == 503
        code, kind, page = _get(f"{base}/?x")
        assert (code, kind) == (200, "text/html; charset=utf-8")
        assert "broken &lt;i&gt;" in page
        assert "<script>" not in page
        assert "<b>x" not in page
        assert page.count('<img src="data:image/png') == 3
        assert "ev0-abc" in page
        metrics = _get(f"{base}/metrics")[2]
        assert 'phasenet_das_dead_channels{station_id="CABLE"} 3.0' in metrics
        assert "phasenet_das_errors_total 1.0" in metrics
        assert _get(f"{base}/other")[0] == 404
        with pytest.raises(ConfigError, match="--listen"):
            serve(health, str(server.server_address[1]))
    finally:
        server.shutdown()
        server.server_close()


def test_a_log_line_is_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logging.StreamHandler(sys.stderr)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    log_with_times(True)
    logging.getLogger("phasenet_das.watch").info('a "word" of %s', "two\nlines")
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["message"]) == ("info", 'a "word" of two\nlines')
    assert pd.Timestamp(line["time"]).tz is not None
