"""A gateway before a provider of each format, for the tests that ask every format the same: `test_format*.py`.

A gateway starts once and serves many cases, because its start takes longer than a case. Each case has a client key of
its own, so that it shares no reasoning, conversation or response with another.

A format that is added brings its package with a `provider.py` beside its tests; see `tests.unit.wire.formats`.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import create_app
from gateway.core.answer import Answer
from gateway.core.client_key import new_key
from gateway.core.message import Citation, Thinking, ToolCall
from gateway.core.usage import Usage
from gateway.upstream.catalog import CATALOG
from gateway.validation import validated
from tests.unit.wire.clients import CLIENTS, Question, Seen, error_of
from tests.unit.wire.formats import PROVIDERS

TOKEN = "token-of-the-tests"
TOOL_SERVER = Path(__file__).parents[2] / "tool_server.py"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

_CASES = 64  # cases that one gateway serves

USAGE = Usage(110, 70, 180, 30, 20)
TEXT = 'Hé 👋🏽, that is\n"it" \\u00e9.'
THOUGHT = Thinking("First, what is asked? Then:\n…", "c2ln+/8=")
CALLS = (ToolCall("call_1", "look", '{"at": "the é"}'), ToolCall("call_2", "look", '{"at":\n[1, 2.50]}'))
SOURCES = (Citation("https://a.example/1", "One", 0, 2), Citation("https://b.example/2", "Two", 3, 7))
ANSWERS = {
    "text": Answer(TEXT, "stop", USAGE),
    "refusal": Answer(None, "stop", USAGE, refusal="I can't help with that."),
    "one call": Answer(None, "tool_calls", USAGE, CALLS[:1]),
    "parallel calls": Answer(None, "tool_calls", USAGE, CALLS),
    "text and calls": Answer(TEXT, "tool_calls", USAGE, CALLS),
    "thinking": Answer(TEXT, "stop", USAGE, thinking=(THOUGHT,)),
    "thinking and calls": Answer(None, "tool_calls", USAGE, CALLS, (THOUGHT,)),
    "citations": Answer(TEXT, "stop", USAGE, citations=SOURCES),
    "no details of usage": Answer(TEXT, "stop", Usage(11, 7, 18, 0, 0)),
    "length": Answer(TEXT, "length", USAGE),
    "length in a call": Answer(None, "length", USAGE, (ToolCall("call_1", "look", '{"at": "th'),)),
    "length while thinking": Answer(None, "length", USAGE, thinking=(THOUGHT,)),
    "content filter": Answer("That is", "content_filter", USAGE),
    "content filter at once": Answer(None, "content_filter", USAGE),
    "everything": Answer(TEXT, "tool_calls", USAGE, CALLS, (THOUGHT,), citations=SOURCES),
}

each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.path)
each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
each_answer = pytest.mark.parametrize("name", ANSWERS)
ASK = Question([["user", ["text", "hi"]]], [["look", "Look at it.", {"type": "object"}]])


@dataclass
class House:
    """A provider that speaks `says`, the format `api`; `script` are its answers, `asked` what it was asked."""

    says: Any
    url: str = ""
    api: str = ""
    script: list[Any] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)

    def answers(self, answer: Answer) -> None:
        """Once more answer so, as it is asked for: streamed or whole."""
        self.script.append(answer)

    def sends(self, frames: list[bytes], *, stream: bool, status: int = 200) -> None:
        """Once more answer with these bytes."""
        self.script.append((status, self.says.STREAM_TYPE if stream else self.says.WHOLE_TYPE, frames))

    def refuses(self, text: str) -> None:
        """Once more answer with an error."""
        status, body = self.says.refusal(text)
        self.sends([body], status=status, stream=False)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(self.says.asked(request.path, body))
        if request.content_type == "application/json":
            self.bodies.append(json.loads(body))
        self.headers.append(request.headers)
        if isinstance(answer := self.script.pop(0), Answer):
            stream = self.asked[-1]["stream"]
            self.sends(self.says.frames(answer) if stream else [self.says.whole(answer)], stream=stream)
            answer = self.script.pop()
        status, content_type, frames = answer
        response = web.StreamResponse(status=status, headers={"Content-Type": content_type})
        await response.prepare(request)
        for frame in frames:
            await response.write(frame)
        return response


CONVERSATION = [
    ["system", ["text", "Be kind."]],
    ["user", ["text", "What is it?"], ["image", PIXEL], ["audio", "wav", "UklGRg=="]],
    ["assistant", ["text", "I'll look."], ["call", "c1", "look", '{"at":  "é"}'], ["call", "c2", "look", "{}"]],
    ["tool", ["result", "c1", ["text", "A cat."]]],
    ["tool", ["result", "c2", ["text", "A 🐕."]]],
    ["user", ["text", "And now?"]],
]
TOOLS = [
    ["look", "Look at it.", {"type": "object", "properties": {"at": {"type": "string"}}}],
    ["touch", "Touch it.", {"type": "object"}],
]


def calls_of(house: House, *, stream: bool) -> tuple[ToolCall, ...]:
    """CALLS as a client sees them that was given them by this house."""
    calls: tuple[ToolCall, ...] = house.says.received(ANSWERS["thinking and calls"], stream=stream).tool_calls
    return calls


@dataclass(frozen=True)
class Gateway:
    """A running gateway, and the client keys that no case has used yet."""

    http: TestClient
    keys: Iterator[str]


class SharedServers:
    """What the cases of a file share: a provider's server for each name and format, and a gateway for each
    configuration. It runs until `stack` is closed.
    """

    def __init__(self, stack: AsyncExitStack, folder: Callable[[], Path]) -> None:
        self._stack = stack
        self._folder = folder
        self._houses: dict[tuple[str, str], House] = {}
        self._gateways: dict[str, Gateway] = {}

    async def house(self, name: str, api: str) -> House:
        """A provider that has no script yet and was asked nothing."""
        before = self._houses.get((name, api))
        url = await self._listen(name, api) if before is None else before.url
        self._houses[name, api] = house = House(PROVIDERS[api], url, api)
        return house

    async def _listen(self, name: str, api: str) -> str:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._houses[name, api].handle(request)

        app = web.Application(client_max_size=2**26)
        app.router.add_post("/base/{path:.*}", handle)
        server = TestServer(app)
        self._stack.push_async_callback(server.close)
        await server.start_server()
        return str(server.make_url("/base"))

    async def gateway(self, config: dict[str, Any]) -> tuple[TestClient, str]:
        """A gateway with this configuration, and a client key that is new to it."""
        addresses = [CATALOG[name].base_url for name in ("house", "fallback") if name in CATALOG]
        name = json.dumps([*addresses, config])
        if (running := self._gateways.get(name)) is None or (key := next(running.keys, None)) is None:
            keys = [new_key() for _ in range(_CASES)]
            declared = {f"case-{number}": {"key": key} for number, key in enumerate(keys)}
            http = await serve(config | {"gateway": config["gateway"] | {"keys": declared}}, self._folder())
            self._stack.push_async_callback(http.close)
            self._gateways[name] = running = Gateway(http, iter(keys))
            key = next(running.keys)
        return running.http, key


async def serve(config: dict[str, Any], folder: Path) -> TestClient:
    """A started gateway with this configuration, which the caller must close."""
    file = folder / "openclaw.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    loaded = validated(file, {"HOUSE_KEY": "key-of-the-house"}).loaded
    app = create_app(loaded.config, loaded.env, folder)
    http = TestClient(TestServer(app), headers={"Authorization": f"Bearer {TOKEN}"})
    await http.start_server()
    return http


def read(client: Any, status: int, body: bytes, *, stream: bool) -> Seen:
    if status != 200:
        return error_of(body)
    seen: Seen = client.stream(body) if stream else client.whole(body)
    return seen
