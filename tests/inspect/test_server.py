"""The page over HTTP: who has the token gets pictures and corrects picks; all others get nothing."""

from __future__ import annotations

import asyncio
import io
import json

import numpy as np
import pytest
from PIL import Image
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from phasenet_das.errors import ConfigError
from phasenet_das.inspect import Inspection
from phasenet_das.inspect.server import HOST, InspectorServer
from phasenet_das.plot.style import PHASE_COLORS
from phasenet_das.tables import read_picks
from tests.inspect.test_editor import make_picks
from tests.inspect.test_inspection import Network, make_record

WHOLE = "c0=-0.5&c1=9.5&t0=0&t1=10&w=100&h=80&gain=1"


def talk(inspection: Inspection, conversation) -> None:
    """Start a server, and let a coroutine ask it: `get(path)` and `post(path, **body)`."""

    async def run() -> None:
        server, client = InspectorServer(inspection), AsyncHTTPClient()
        assert server.url.startswith(f"http://{HOST}:")
        base, headers = server.url.split("?")[0], {"X-Token": server.token}

        async def get(path: str, headers=headers):
            return await client.fetch(base + path, headers=headers)

        async def post(path: str, **body):
            answer = await client.fetch(base + path, method="POST", headers=headers, body=json.dumps(body))
            return json.loads(answer.body)

        await conversation(server, get, post)

    asyncio.run(run())


@pytest.fixture
def inspection(tmp_path) -> Inspection:
    return Inspection(make_record(), make_picks(), picker=Network(), save_to=tmp_path / "labels.csv")


def test_only_the_token_opens_the_page(inspection):
    async def conversation(server, get, _):
        page = await get(f"?token={server.token}", headers={})
        assert b"<canvas>" in page.body
        assert all(f'"{action}"'.encode() in page.body for action in Inspection.actions)
        for path in ("", "?token=wrong", "state", f"section?{WHOLE}"):
            with pytest.raises(HTTPClientError, match="403"):
                await get(path, headers={})
        with pytest.raises(ConfigError, match="--port"):
            InspectorServer(inspection, int(server.url.split(":")[2].split("/")[0]))

    talk(inspection, conversation)


def test_picks_are_chosen_corrected_and_saved(inspection):
    async def conversation(_, get, post):
        state = json.loads((await get("state")).body)
        assert (state["count"], len(state["picks"]["id"])) == (1, 20)
        box = {"kind": "area", "channels": [-1, 10, 10, -1], "seconds": [1, 1, 3, 3]}
        chosen = await post("choose", **box)
        assert sum(chosen["picks"]["chosen"]) == 10
        rejected = await post("act", action="reject")
        assert sum(rejected["picks"]["kept"]) == 10
        one = await post("move", id=state["picks"]["id"][0], second=4.25)
        assert 4.25 in one["picks"]["second"]
        await post("set", phase="S", min_score=0.55)
        added = await post("add", channel=3.2, second=7.0)
        assert "channel 3" in added["said"]
        with pytest.raises(HTTPClientError) as error:
            await post("act", action="to line")
        assert b"Draw one" in error.value.response.body
        assert len(read_picks(inspection.save_to)) == len(added["picks"]["id"]) == 11

    talk(inspection, conversation)


def test_pictures_show_the_part_that_was_asked_for(inspection):
    async def conversation(_server, get, _post):
        answer = await get(f"section?{WHOLE}")
        picture = Image.open(io.BytesIO(answer.body))
        assert picture.size == (10, 80)
        assert json.loads(answer.headers["X-Limits"]) == pytest.approx([-0.5, 9.5, -0.005, 9.995])
        scores = await get(f"scores?{WHOLE}")
        pixels = np.asarray(Image.open(io.BytesIO(scores.body)))
        assert pixels.shape == (80, 10, 4)
        assert list(np.flatnonzero(pixels[:, 4, 3])) == [16]  # 2 s of 10 s
        assert "#" + bytes(pixels[16, 4, :3]).hex() == PHASE_COLORS["P"]
        channel = json.loads((await get("channel?channel=4.4&t0=1&t1=3")).body)
        assert channel["channel"] == 4
        assert max(channel["scores"]["P"]) == 1.0

    talk(inspection, conversation)
