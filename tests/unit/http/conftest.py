"""The whole application with a scripted provider behind it and OpenAI's own client in front."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import create_app
from gateway.config.load import load
from gateway.http.answers.background import BackgroundPolicy

TOKEN = "token-of-the-tests"
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
# Nothing here speaks TLS; the client's own context would read every authority of the system for each test.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def silent(request: web.Request) -> web.StreamResponse:
    raise AssertionError("the provider was asked, though the test gave it nothing to say")


@dataclass
class Provider:
    """The provider of the gateway's models; `asked` holds the request bodies that it received, `headers` theirs."""

    url: str = ""
    answer: Answer = silent
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(request.headers)
        self.asked.append(await request.json())
        return await self.answer(request)

    def says(self, text: str | None = None, *calls: tuple[str, str, str], finish: str = "stop") -> None:
        """Answer so from now on, streamed if requested: text (split at `|`), then calls as (id, name, arguments)."""
        call_list = [
            {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for index, (call_id, name, arguments) in enumerate(calls)
        ]
        message = {"role": "assistant", "content": text} | ({"tool_calls": call_list} if call_list else {})

        async def answer(request: web.Request) -> web.StreamResponse:
            if not self.asked[-1].get("stream"):
                choice = {"index": 0, "message": message, "finish_reason": finish}
                return web.json_response({"object": "chat.completion", "choices": [choice], "usage": USAGE})
            deltas = [{"content": piece} for piece in (text or "").split("|")]
            deltas += [{"tool_calls": [call]} for call in call_list]
            response = await self.begins(request, *deltas)
            await self.send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
            await self.send(response, {"choices": [], "usage": USAGE})
            await response.write(b"data: [DONE]\n\n")
            return response

        self.answer = answer

    def refuses(self, status: int, message: str) -> None:
        """Answer with an error from now on."""

        async def answer(request: web.Request) -> web.StreamResponse:
            return web.json_response({"error": {"message": message, "type": "x"}}, status=status)

        self.answer = answer

    def hangs(self) -> tuple[asyncio.Event, asyncio.Event]:
        """Stay silent from now on. The first event is set by a request, the second when its client disconnects."""
        asked, left = asyncio.Event(), asyncio.Event()

        async def answer(_request: web.Request) -> web.StreamResponse:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                left.set()
            raise AssertionError

        self.answer = answer
        return asked, left

    async def begins(self, request: web.Request, *deltas: dict[str, Any]) -> web.StreamResponse:
        """A stream that has sent these deltas."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for delta in deltas:
            await self.send(response, {"choices": [{"index": 0, "delta": delta}]})
        return response

    async def send(self, response: web.StreamResponse, chunk: dict[str, Any]) -> None:
        """One event of a stream."""
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


@pytest.fixture
async def provider(aiohttp_server: Any) -> Provider:
    fake = Provider()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/{endpoint:.*}", fake.handle)
    server = await aiohttp_server(app)
    fake.url = str(server.make_url("/v1"))
    return fake


@pytest.fixture
def config(provider: Provider) -> dict[str, Any]:
    """The configuration file, for tests to change before they ask for `client`."""
    models = [{"id": "small", "input": ["text", "image"]}, {"id": "blind", "input": ["text"]}]
    return {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {name: {"enabled": True} for name in ("responses", "chatCompletions", "messages")}},
            "stream": {"rescue": False},
            "retry": {"maxRetries": 0},
        },
        "agents": {"defaults": {"model": {"primary": "fake/small"}}, "entries": {"main": {}}},
        "models": {
            "mode": "replace",
            "providers": {"fake": {"baseUrl": provider.url, "apiKey": "k", "models": models}},
        },
    }


@pytest.fixture
def policy() -> BackgroundPolicy:
    """How background runs are logged."""
    return BackgroundPolicy(flush=0.02, heartbeat=0.1)


@pytest.fixture
async def client(aiohttp_client: Any, config: dict[str, Any], policy: BackgroundPolicy, tmp_path: Path) -> TestClient:
    file = tmp_path / "openclaw.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    loaded = load(file, {})
    app = create_app(loaded.config, loaded.env, tmp_path, renew=0.1, background=policy)
    server = TestServer(app)
    await server.start_server(auto_decompress=False)  # as the gateway's own runner
    gateway: TestClient = await aiohttp_client(server, headers={"Authorization": f"Bearer {TOKEN}"})
    return gateway


@pytest.fixture
async def official(client: TestClient) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's client, pointed at the gateway."""
    http = openai.DefaultAsyncHttpxClient(trust_env=False, verify=_NO_TLS)
    base = str(client.make_url("/v1"))
    async with openai.AsyncOpenAI(api_key=TOKEN, base_url=base, max_retries=0, http_client=http) as ready:
        yield ready
