"""The inspector as a page of this machine: who has the token of its address can see and correct the picks."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

import numpy as np
import xarray as xr
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from phasenet_das.errors import ConfigError, PhaseNetDASError
from phasenet_das.inspect.inspection import Inspection
from phasenet_das.inspect.pictures import scores_png, section_png
from phasenet_das.inspect.shapes import Area, Moveout
from phasenet_das.tables.columns import associated_phase, plain_times

HOST: Final = "127.0.0.1"
_PAGE: Final = Path(__file__).with_name("page.html")
_TRACE_POINTS: Final = 3000
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
    "img-src blob:"
)
_Found = TypeVar("_Found")


class InspectorServer:
    """An inspection that answers on 127.0.0.1, one request at a time.

    Attributes
    ----------
    url : str
        Address of the page with its token.
    """

    def __init__(self, inspection: Inspection, port: int = 0) -> None:
        self.inspection, self.token = inspection, secrets.token_urlsafe(24)
        self._scores: dict[int, asyncio.Future[xr.DataArray]] = {}  # of the place asked for last
        try:
            sockets = bind_sockets(port, HOST)
        except OSError as error:
            raise ConfigError(f"--port {port}: cannot be used ({error}). Choose another, or 0.") from error
        self.url = f"http://{HOST}:{sockets[0].getsockname()[1]}/?token={self.token}"
        self._one, self._network = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        kept = {"server": self}
        server = HTTPServer(
            Application(
                [
                    ("/", _Page, kept),
                    ("/state", _State, kept),
                    ("/section", _Section, kept),
                    ("/scores", _Scores, kept),
                    ("/channel", _Channel, kept),
                    ("/(open|choose|act|add|move|set)", _Change, kept),
                ]
            )
        )
        server.add_sockets(sockets)

    async def work(self, task: Callable[[], _Found]) -> _Found:
        """Do what uses the inspection, after what was asked before."""
        return await asyncio.get_running_loop().run_in_executor(self._one, task)

    async def find_scores(self) -> None:
        """Compute the scores of the place shown, once; corrections go on meanwhile."""
        one, number, stop = self.inspection, self.inspection.number, self.inspection.stop
        if number not in self._scores:
            loop = asyncio.get_running_loop()
            self._scores = {number: loop.run_in_executor(self._network, lambda: one.compute_scores(stop))}
        found = await self._scores[number]
        if number == one.number:
            one.scores = found


class _Handler(RequestHandler):
    """Answers who knows the token, and tells errors made on purpose as text."""

    def initialize(self, server: InspectorServer) -> None:
        self.server = server

    @property
    def one(self) -> Inspection:
        return self.server.inspection

    def prepare(self) -> None:
        given = self.request.headers.get("X-Token") or self.get_query_argument("token", "")
        if not hmac.compare_digest(given.encode(), self.server.token.encode()):
            raise HTTPError(403)

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Referrer-Policy", "no-referrer")

    def write_error(self, status_code: int, **found: Any) -> None:  # noqa: ANN401 - of tornado
        error = found.get("exc_info", (None, None))[1]
        own = isinstance(error, PhaseNetDASError | OSError)
        self.set_status(400 if own else status_code)
        self.finish(str(error) if own else f"{status_code}: {self._reason}")

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if not isinstance(value, PhaseNetDASError):
            super().log_exception(typ, value, tb)

    def numbers(self, *names: str) -> list[float]:
        return [float(self.get_query_argument(name)) for name in names]

    def picture(self, png: bytes, limits: tuple[float, ...]) -> None:
        self.set_header("Content-Type", "image/png")
        self.set_header("X-Limits", json.dumps(limits))
        self.finish(png)


class _Page(_Handler):
    def get(self) -> None:
        self.finish(_PAGE.read_text())


class _State(_Handler):
    async def get(self) -> None:
        self.finish(await self.server.work(lambda: state_of(self.one)))


class _Section(_Handler):
    async def get(self) -> None:
        first, last, early, late, width, height, gain = self.numbers("c0", "c1", "t0", "t1", "w", "h", "gain")

        def draw() -> tuple[bytes, tuple[float, ...]]:
            view = self.one.screen.view((first, last), (early, late), int(width), int(height))
            if view is None:
                raise ConfigError("no sample is in view. Press 0 to see the whole recording.")
            half, image = view.raster.channel_step / 2, view.raster
            limits = (image.first_channel - half, image.last_channel + half, view.first_s, view.last_s)
            return section_png(view, gain), limits

        self.picture(*await self.server.work(draw))


class _Scores(_Handler):
    async def get(self) -> None:
        first, last, early, late, width, height = self.numbers("c0", "c1", "t0", "t1", "w", "h")
        if self.one.scores is None:
            await self.server.find_scores()

        def draw() -> tuple[bytes, tuple[float, ...]]:
            scores, screen = self.one.scores, self.one.screen
            if scores is None:
                raise ConfigError("another place is shown now. Ask for its scores.")
            inside = screen.channels[(screen.channels >= first) & (screen.channels <= last)]
            png, seconds = scores_png(
                scores, (first, last), screen.moments(np.array([early, late])), int(width), int(height)
            )
            return png, (inside.min() - 0.5, inside.max() + 0.5, early + seconds[0], early + seconds[1])

        self.picture(*await self.server.work(draw))


class _Channel(_Handler):
    async def get(self) -> None:
        channel, early, late = self.numbers("channel", "t0", "t1")
        self.finish(await self.server.work(lambda: channel_of(self.one, channel, (early, late))))


class _Change(_Handler):
    async def post(self, kind: str) -> None:
        asked = json.loads(self.request.body)
        said = await self.server.work(lambda: _CHANGES[kind](self.one, asked))
        self.finish(await self.server.work(lambda: state_of(self.one) | {"said": said}))


def state_of(one: Inspection) -> dict[str, Any]:
    """Tell the page what it shows: the place, its picks, and which of them are chosen."""
    shown, screen = one.shown(), one.screen
    seconds = screen.seconds_of(plain_times(shown["phase_time"]))
    return {
        "number": one.number,
        "count": len(one.stops),
        "name": one.stop.name,
        "cable": one.editor.station_id,
        "start": f"{np.datetime_as_string(screen.times[0], 'ms')}Z",
        "channels": [int(screen.channels.min()), int(screen.channels.max())],
        "end_s": float(screen.seconds[-1]),
        "unit": screen.unit,
        "has_network": one.has_network,
        "within_s": one.within_s,
        "phase": one.phase,
        "min_score": one.editor.min_score,
        "edits": one.editor.num_edits,
        "saved": None if one.save_to is None else str(one.save_to),
        "picks": {
            "id": [str(name) for name in shown["pick_id"]],
            "channel": shown["channel_index"].tolist(),
            "second": np.round(seconds, 4).tolist(),
            "phase": "".join(associated_phase(shown).str[0]),
            "kept": (shown["event_index"] >= 0).astype(int).tolist(),
            "chosen": shown["pick_id"].isin(one.chosen).astype(int).tolist(),
        },
        "said": "",
    }


def channel_of(one: Inspection, channel: float, seconds: tuple[float, float]) -> dict[str, Any]:
    """Tell the page the waveform of the channel nearest to a number, and its scores where they are known."""
    number = one.screen.nearest_channel(channel)
    second, value = one.screen.trace(number, seconds, _TRACE_POINTS)
    found: dict[str, Any] = {
        "channel": number,
        "second": np.round(second, 4).tolist(),
        "value": [None if not np.isfinite(one_value) else float(one_value) for one_value in value],
        "scores": {},
    }
    if one.scores is not None:
        row = one.scores.sel(channel=number)
        when = one.screen.seconds_of(row.coords["time"].to_numpy())
        inside = (when >= min(seconds)) & (when <= max(seconds))
        found["score_second"] = np.round(when[inside], 4).tolist()
        found["scores"] = {
            phase: np.round(row.sel(phase=phase).to_numpy()[inside], 3).tolist() for phase in ("P", "S")
        }
    return found


def _open(one: Inspection, asked: dict[str, Any]) -> str:
    one.open(int(asked["number"]))
    return ""


def _choose(one: Inspection, asked: dict[str, Any]) -> str:
    shape: Moveout | Area | None = None
    if asked["kind"] == "pick":
        one.choose(None)
        one.chosen = np.array([asked["id"]], np.int64)
        return "1 pick chosen"
    if asked["kind"] != "none":
        kinds: dict[str, type[Moveout | Area]] = {"line": Moveout, "area": Area}
        channels, seconds = np.asarray(asked["channels"], float), np.asarray(asked["seconds"], float)
        shape = kinds[asked["kind"]](channels, one.screen.moments(seconds))
    count = one.choose(shape, asked.get("phase"))
    return "" if shape is None else f"{count:,} picks chosen"


def _act(one: Inspection, asked: dict[str, Any]) -> str:
    return one.act(str(asked["action"]))


def _add(one: Inspection, asked: dict[str, Any]) -> str:
    channel = one.screen.nearest_channel(float(asked["channel"]))
    one.editor.add(channel, one.screen.moments(np.array([asked["second"]]))[0], one.phase)
    one.save()
    return f"{one.phase} pick added on channel {channel}"


def _move(one: Inspection, asked: dict[str, Any]) -> str:
    one.editor.move(int(asked["id"]), one.screen.moments(np.array([asked["second"]]))[0])
    one.save()
    return "1 pick moved"


def _set(one: Inspection, asked: dict[str, Any]) -> str:
    one.within_s = float(asked.get("within_s", one.within_s))
    one.phase = str(asked.get("phase", one.phase))
    one.editor.min_score = float(asked.get("min_score", one.editor.min_score))
    return ""


_CHANGES: Final[dict[str, Callable[[Inspection, dict[str, Any]], str]]] = {
    "open": _open,
    "choose": _choose,
    "act": _act,
    "add": _add,
    "move": _move,
    "set": _set,
}


def serve(inspection: Inspection, port: int = 0, *, ready: Callable[[str], object]) -> None:
    """Answer until the program is interrupted; `ready` is called with the address."""

    async def run() -> None:
        ready(InspectorServer(inspection, port).url)
        await asyncio.Event().wait()

    asyncio.run(run())
