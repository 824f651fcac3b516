"""The state of a watch over HTTP: ``/`` for people, ``/health`` for scripts, ``/metrics`` for Prometheus."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from phasenet_das.errors import ConfigError
from phasenet_das.watch.health import Health, memory_bytes
from phasenet_das.watch.page import StatusPage

if TYPE_CHECKING:
    from prometheus_client.core import Metric

log = logging.getLogger(__name__)

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_NO_METRICS = "/metrics needs the package prometheus-client: pip install 'phasenet-das[live]'.\n"


def serve(health: Health, listen: str) -> ThreadingHTTPServer:
    """Answer requests on ``PORT`` or ``HOST:PORT`` in threads, until the server is shut down."""
    host, _, port = listen.rpartition(":")

    class Handler(_Handler):
        state, page = health, StatusPage(health)

    try:
        server = ThreadingHTTPServer((host.strip("[]") or "127.0.0.1", int(port)), Handler)
    except (OSError, OverflowError, ValueError) as error:
        raise ConfigError(f"--listen {listen}: {error}. Expected a free port of this machine.") from error
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    log.info("status page: http://%s:%d", *server.server_address[:2])
    return server


class _Handler(BaseHTTPRequestHandler):
    state: Health
    page: StatusPage

    def do_GET(self) -> None:
        """Answer a request."""
        answers = {"/": self._show, "/health": self._health, "/metrics": self._metrics}
        answer = answers.get(self.path.partition("?")[0])
        if answer is None:
            self._send(404, "text/plain", f"found no such page, expected one of {', '.join(answers)}\n")
        else:
            answer()

    def _show(self) -> None:
        self._send(200, "text/html", self.page.html(time.time()))

    def _health(self) -> None:
        report = self.state.report(time.time())
        code = 200 if report["status"] == "ok" else 503
        self._send(code, "application/json", json.dumps(report, indent=1) + "\n")

    def _metrics(self) -> None:
        if find_spec("prometheus_client") is None:
            self._send(501, "text/plain", _NO_METRICS)
            return
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Metrics(self.state))
        self._send(200, "text/plain; version=0.0.4", generate_latest(registry).decode())

    def _send(self, code: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        for name, value in {**_HEADERS, "Content-Type": f"{kind}; charset=utf-8"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - as in the base class
        """Log requests for debugging only."""
        log.debug(format, *args)


class _Metrics:
    """The state as metrics of Prometheus, collected anew for each request."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        health, now = self._health, time.time()
        counters = {
            "files": ("Files picked", health.files),
            "passes": ("Passes that found new files", health.passes),
            "errors": ("Passes that failed", health.errors),
        }
        gauges: dict[str, tuple[str, float]] = {
            "alarms": ("Alarms at present", len(health.alarms(now))),
            "waiting_files": ("New files of the pass that is running", health.waiting),
            "picks_per_minute": (
                "Picks per minute in the last ten minutes of data",
                health.picks_per_minute(now),
            ),
            "last_file_timestamp_seconds": ("When the newest file was written", health.arrived_s),
            "file_delay_seconds": ("From the last sample of a file to its writing", health.delay_s),
            "speed_ratio": ("Seconds of data in a second of the last pass", health.speed),
            "memory_bytes": ("Memory of the process", memory_bytes()),
        }
        for name, (text, count) in counters.items():
            yield CounterMetricFamily(f"phasenet_das_{name}", text, count)
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"phasenet_das_{name}", text, value)
        labelled: tuple[tuple[str, str, Mapping[str, float]], ...] = (
            ("lag_seconds", "Time from the end of the picked data to now", health.lags(now)),
            (
                "dead_channels",
                "Channels without data in the last minute",
                health.dead_channels(),
            ),
        )
        for name, text, by_cable in labelled:
            metric = GaugeMetricFamily(f"phasenet_das_{name}", text, labels=["station_id"])
            for cable, number in by_cable.items():
                metric.add_metric([cable], number)
            yield metric
