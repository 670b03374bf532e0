"""An agent's own tools with every provider's format: one gateway, a real tool server, and an agent for each format.

Three rounds of calls follow each other, the second one with two calls at once; each has reasoning, which the provider
gets back with its signature, in its place.
"""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import create_app
from gateway.core.answer import Answer
from gateway.core.message import Thinking, ToolCall
from gateway.core.usage import Usage
from gateway.validation import validated
from gateway.wire import UPSTREAMS
from tests.unit.wire.clients import CLIENTS, Question
from tests.unit.wire.every_format import TEXT, TOOL_SERVER, House
from tests.unit.wire.formats import PROVIDERS

pytestmark = pytest.mark.asyncio(loop_scope="module")

CITIES = (("Oslo",), ("Rome", "Kyōto"), ("Lima",))  # of the calls of each round
USAGE = Usage(11, 7, 18, 0, 0)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def houses() -> AsyncIterator[dict[str, House]]:
    """A provider of each format, by the format's name."""
    made = {api: House(PROVIDERS[api]) for api in UPSTREAMS}
    app = web.Application(client_max_size=2**26)
    for api, house in made.items():
        app.router.add_post(f"/{api}/{{path:.*}}", house.handle)
    async with TestServer(app) as server:
        for api, house in made.items():
            house.url = str(server.make_url(f"/{api}"))
        yield made


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(houses: dict[str, House], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestClient]:
    """A gateway whose agents have the names of the formats."""
    folder = tmp_path_factory.mktemp("gateway")
    config = {
        "gateway": {
            "auth": {"mode": "token", "token": "token-of-the-tests"},
            "http": {"endpoints": {name: {"enabled": True} for name in ("responses", "chatCompletions", "messages")}},
        },
        "models": {
            "providers": {
                api: {"api": api, "baseUrl": house.url, "apiKey": "k", "models": [{"id": house.says.MODEL}]}
                for api, house in houses.items()
            }
        },
        "mcp": {
            "servers": {
                "local": {
                    "command": sys.executable,
                    "args": [str(TOOL_SERVER), str(folder)],
                    "connectionTimeoutMs": 120_000,
                }
            }
        },
        "agents": {
            "defaults": {"model": "ollama/small"},
            "entries": {api: {"model": f"{api}/{house.says.MODEL}"} for api, house in houses.items()},
        },
    }
    file = folder / "openclaw.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    loaded = validated(file, {}).loaded
    headers = {"Authorization": "Bearer token-of-the-tests"}
    async with TestClient(TestServer(create_app(loaded.config, loaded.env, folder)), headers=headers) as client:
        while "mcp" in (await (await client.get("/readyz")).json())["degraded"]:
            await asyncio.sleep(0.05)
        yield client


def rounds_of(house: House) -> list[tuple[Thinking, tuple[ToolCall, ...]]]:
    """The reasoning and the calls of each round."""
    return [
        (
            Thinking(f"Round {number}:\n…", base64.b64encode(b"signature %d" % number).decode()),
            tuple(
                ToolCall(f"call_{number}{index}", "local__weather", json.dumps({"city": city}, ensure_ascii=False))
                for index, city in enumerate(cities)
            ),
        )
        for number, cities in enumerate(CITIES)
    ]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.path)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", UPSTREAMS)
async def test_an_agent_works_through_three_rounds_of_its_own_tools_in_every_format(
    houses, gateway, api: str, client: Any, *, stream: bool
):
    house = houses[api]
    house.asked.clear()
    rounds = rounds_of(house)
    for thought, calls in rounds:
        house.answers(Answer(None, "tool_calls", USAGE, calls, (thought,)))
    house.answers(Answer(TEXT, "stop", USAGE))
    question = Question([["user", ["text", "Where is it warm?"]]])
    body = {**client.body(question, stream=stream), "model": f"openclaw/{api}"}
    async with gateway.post(client.path, json=body) as response:
        answer = await response.read()
        assert response.status == 200, answer
    seen = client.stream(answer) if stream else client.whole(answer)
    assert (seen.text, seen.finish, seen.calls, seen.error) == (TEXT, "stop", (), None)
    assert house.script == []
    assert [asked["stream"] for asked in house.asked] == [stream] * 4
    expected = [["user", ["text", "Where is it warm?"]]]
    for asked, (thought, calls) in zip(house.asked, [*rounds, (None, ())], strict=True):
        assert asked["messages"] == expected
        assert "local__weather" in [tool[0] for tool in asked["tools"]]
        if thought is not None:
            called = [["call", call.id, call.name, call.arguments] for call in calls]
            expected.append(["assistant", house.says.thought(thought), *called])
            expected += [
                ["tool", ["result", call.id, ["text", f"{json.loads(call.arguments)['city']}: 5C"]]] for call in calls
            ]
