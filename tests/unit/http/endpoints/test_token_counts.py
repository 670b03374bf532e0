"""`/v1/messages/count_tokens` and `/v1/responses/input_tokens`: the provider counts if it can, else the gateway."""

import asyncio
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

TOOL_SERVER = Path(__file__).parents[3] / "tool_server.py"
MESSAGES, RESPONSES = "/v1/messages/count_tokens", "/v1/responses/input_tokens"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}
ASKED: dict[str, dict[str, Any]] = {
    MESSAGES: {
        "model": "openclaw",
        "system": "be brief",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"name": "get_weather", "input_schema": WEATHER}],
    },
    RESPONSES: {
        "model": "openclaw",
        "instructions": "be brief",
        "input": "hi",
        "tools": [{"type": "function", "name": "get_weather", "parameters": WEATHER}],
        "max_output_tokens": 99,
        "temperature": 0.5,
    },
}
each_client = pytest.mark.parametrize("path", ASKED)


@dataclass
class Counter:
    """A provider that counts; `script` are its next answers, and then it counts 1234."""

    url: str = ""
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    script: list[Any] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.headers), await request.json()))
        if self.script:
            return await self.script.pop(0)(request)
        name = "totalTokens" if request.path.endswith(":countTokens") else "input_tokens"
        return web.json_response({name: 1234})

    def refuses(self, status: int, times: int = 1, headers: dict[str, str] | None = None) -> None:
        """Answer with an error."""

        async def answer(_request: web.Request) -> web.StreamResponse:
            error = {"type": "error", "error": {"type": "x", "message": "no"}}
            return web.json_response(error, status=status, headers=headers)

        self.script += [answer] * times

    def sends(self, *bodies: bytes) -> None:
        """Answer with these bodies."""

        def answer(body: bytes) -> Any:
            async def send(_request: web.Request) -> web.StreamResponse:
                return web.Response(body=body, content_type="application/json")

            return send

        self.script += map(answer, bodies)


@pytest.fixture
async def counter(aiohttp_server: Any) -> Counter:
    fake = Counter()
    app = web.Application()
    app.router.add_post("/{path:.*}", fake.handle)
    server = await aiohttp_server(app)
    fake.url = str(server.make_url("")).rstrip("/")
    return fake


@pytest.fixture
def config(config: dict[str, Any], counter: Counter) -> dict[str, Any]:
    config["models"]["providers"] |= {
        "claude": {"baseUrl": counter.url, "apiKey": "k-claude", "api": "anthropic-messages"},
        "other": {"baseUrl": counter.url, "apiKey": "k-other", "api": "anthropic-messages"},
        "gpt": {"baseUrl": f"{counter.url}/v1", "apiKey": "k-gpt", "api": "openai-responses"},
        "gemini": {"baseUrl": f"{counter.url}/v1beta", "apiKey": "k-gemini", "api": "google-generative-ai"},
        "vertex": {"baseUrl": f"{counter.url}/v1", "apiKey": "k-vertex", "api": "google-vertex"},
    }
    config["agents"]["defaults"]["model"] = {"primary": "claude/claude-sonnet-4-5"}
    return config


def uses(config: dict[str, Any], *models: str) -> None:
    first, *others = models
    config["agents"]["defaults"]["model"] = {"primary": first, "fallbacks": others}


async def counted(client: Any, path: str, status: int = 200, **more: Any) -> tuple[Any, Any]:
    async with client.post(path, json=ASKED[path] | more) as response:
        assert response.status == status, await response.text()
        return await response.json(), response.headers


GPT = {
    "model": "gpt-5",
    "input": [
        {"type": "message", "role": "system", "content": "be brief"},
        {"type": "message", "role": "user", "content": "hi"},
    ],
    "tools": [{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}],
}
GEMINI = {
    "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
    "systemInstruction": {"parts": [{"text": "be brief"}]},
    "tools": [{"functionDeclarations": [{"name": "get_weather", "parameters": WEATHER}]}],
}
SENT: dict[str, tuple[str, tuple[str, str], Any]] = {
    "claude/claude-sonnet-4-5": (
        "/v1/messages/count_tokens",
        ("x-api-key", "k-claude"),
        {
            "model": "claude-sonnet-4-5",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            "system": [{"type": "text", "text": "be brief"}],
            "tools": [{"name": "get_weather", "input_schema": WEATHER}],
        },
    ),
    "gpt/gpt-5": ("/v1/responses/input_tokens", ("Authorization", "Bearer k-gpt"), GPT),
    "gemini/gemini-2.5-pro": (
        "/v1beta/models/gemini-2.5-pro:countTokens",
        ("x-goog-api-key", "k-gemini"),
        {"generateContentRequest": {"model": "models/gemini-2.5-pro", **GEMINI}},
    ),
    "vertex/gemini-2.5-pro": (
        "/v1/publishers/google/models/gemini-2.5-pro:countTokens",
        ("x-goog-api-key", "k-vertex"),
        GEMINI,
    ),
}


def without(value: Any, *names: str) -> Any:
    """The value without these keys at any depth: what breakpoints of caches and settings of answers add."""
    if isinstance(value, dict):
        return {name: without(inner, *names) for name, inner in value.items() if name not in names}
    return [without(inner, *names) for inner in value] if isinstance(value, list) else value


@each_client
@pytest.mark.parametrize("model", SENT)
async def test_the_provider_counts_the_prompt_with_its_tools(client, config, counter, path, model):
    async with client.post(path, json=ASKED[path], headers={"x-openclaw-model": model}) as response:
        assert response.status == 200, await response.text()
        answer = await response.json()
        assert response.headers["x-openclaw-token-count"] == "provider"
        assert response.headers["x-openclaw-model"] == model
        assert response.headers["x-openclaw-attempts"] == "1"
    assert answer == ({"object": "response.input_tokens"} if path == RESPONSES else {}) | {"input_tokens": 1234}
    ((asked, headers, body),) = counter.asked
    wanted, (name, key), fields = SENT[model]
    assert (asked, headers[name]) == (wanted, key)
    assert without(body, "cache_control", "generationConfig") == fields
    assert "anthropic-version" in headers or "claude" not in model


@each_client
async def test_a_provider_whose_format_can_not_count_is_not_asked(client, config, counter, provider, path):
    async with client.post(path, json=ASKED[path], headers={"x-openclaw-model": "fake/small"}) as response:
        answer = await response.json()
        assert response.headers["x-openclaw-token-count"] == "estimate"
        assert "x-openclaw-attempts" not in response.headers
    assert 15 < answer["input_tokens"] < 40
    assert not provider.asked
    assert not counter.asked


@each_client
@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_without_the_endpoint_gives_way_to_an_estimate(client, counter, path, status):
    counter.refuses(status)
    answer, headers = await counted(client, path)
    assert 15 < answer["input_tokens"] < 40
    assert headers["x-openclaw-token-count"] == "estimate"
    assert len(counter.asked) == 1


@pytest.mark.usefixtures("with_fallback")
@pytest.mark.parametrize("status", [401, 429, 500, 503, 529])
async def test_a_failing_provider_gives_way_to_the_fallback(client, counter, status):
    counter.refuses(status)
    answer, headers = await counted(client, MESSAGES)
    assert answer == {"input_tokens": 1234}
    assert headers["x-openclaw-token-count"] == "provider"
    assert (headers["x-openclaw-model"], headers["x-openclaw-attempts"]) == ("other/claude-haiku-4-5", "2")
    assert [headers["x-api-key"] for _, headers, _ in counter.asked] == ["k-claude", "k-other"]


@pytest.fixture
def with_fallback(config):
    uses(config, "claude/claude-sonnet-4-5", "other/claude-haiku-4-5")


ERRORS = {
    "a refused key": (401, 502, "api_error", "upstream_auth_error"),
    "a rate limit": (429, 429, "rate_limit_error", "upstream_rate_limited"),
    "a server error": (500, 502, "api_error", "upstream_error"),
    "an overload": (529, 529, "overloaded_error", "upstream_error"),
    "a request that is refused": (400, 400, "invalid_request_error", "invalid_request_error"),
}


@pytest.mark.parametrize("name", ERRORS)
async def test_a_failure_of_the_only_provider_is_reported(client, counter, name):
    refused, anthropic_status, anthropic_type, openai_type = ERRORS[name]
    counter.refuses(refused, 9, {"Retry-After": "90"})
    answer, headers = await counted(client, MESSAGES, anthropic_status)
    assert (answer["type"], answer["error"]["type"]) == ("error", anthropic_type)
    assert answer["request_id"] == headers["request-id"]
    if refused == 429:
        assert int(headers["Retry-After"]) >= 90
    answer, _ = await counted(client, RESPONSES, {529: 503}.get(anthropic_status, anthropic_status))
    assert answer["error"]["type"] == openai_type


@pytest.mark.parametrize("body", [b"{}", b'{"input_tokens": -1}', b'{"input_tokens": "x"}', b"[", b"null"])
async def test_a_count_that_can_not_be_read_is_a_failure(client, counter, body):
    counter.sends(body)
    answer, _ = await counted(client, MESSAGES, 502)
    assert "count of tokens could not be read" in answer["error"]["message"]


async def test_a_count_is_no_attempt_in_the_ledger_and_can_be_looked_up(client, counter):
    _, headers = await counted(client, MESSAGES)
    async with client.get(f"/api/v1/runs/{headers['request-id']}") as response:
        (attempt,) = (await response.json())["attempts"]
        assert (attempt["model"], attempt["outcome"]) == ("claude/claude-sonnet-4-5", "answered")
    async with client.get("/api/v1/usage?by=model") as response:
        assert (await response.json())["data"] == []


async def test_failed_counts_do_not_cool_the_model_down(client, config, counter):
    for _ in range(4):
        counter.refuses(500)
        await counted(client, MESSAGES, 502)
    counter.refuses(500)  # what answers the message: it is asked, although it failed so often
    asked = len(counter.asked)
    body = {"model": "openclaw", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with client.post("/v1/messages", json=body) as response:
        assert response.status == 502
        assert response.headers.get("x-openclaw-attempts", "1") == "1"
    assert [path for path, _, _ in counter.asked[asked:]] == ["/v1/messages"]


async def test_the_client_that_leaves_ends_the_count(client, counter):
    arrived, left = asyncio.Event(), asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    counter.script.append(hang)
    asking = asyncio.create_task(counted(client, MESSAGES))
    async with asyncio.timeout(30):
        await arrived.wait()
        asking.cancel()
        await left.wait()


class TestLimits:
    @pytest.fixture
    def config(self, config):
        config["gateway"]["limits"] = [{"name": "few", "requestsPerMinute": 2, "tokensPerMinute": 1000}]
        return config

    async def test_counts_by_the_provider_are_requests_without_tokens(self, client, counter):
        for remaining in ("1", "0"):
            _, headers = await counted(client, MESSAGES)
            assert headers["x-ratelimit-remaining-requests"] == remaining
        answer, headers = await counted(client, RESPONSES, 429)
        assert answer["error"]["type"] == "rate_limited"
        assert int(headers["Retry-After"]) > 0
        assert len(counter.asked) == 2

    async def test_estimates_are_free(self, client):
        for _ in range(4):
            async with client.post(MESSAGES, json=ASKED[MESSAGES], headers={"x-openclaw-model": "fake/small"}) as got:
                assert got.status == 200


class TestAgentsTools:
    @pytest.fixture
    def config(self, config, tmp_path):
        config["mcp"] = {"servers": {"local": {"command": sys.executable, "args": [str(TOOL_SERVER), str(tmp_path)]}}}
        return config

    async def test_the_tools_of_the_agent_are_counted(self, client, counter):
        async with asyncio.timeout(20):
            while (await (await client.get("/readyz")).json())["degraded"]:
                await asyncio.sleep(0.01)  # the tool server is starting
        async with client.post(MESSAGES, json=ASKED[MESSAGES], headers={"x-openclaw-model": "fake/small"}) as response:
            estimate = (await response.json())["input_tokens"]
        await counted(client, MESSAGES)
        names = [tool["name"] for tool in counter.asked[0][2]["tools"]]
        assert names[:2] == ["get_weather", "local__weather"]
        assert estimate > 60


async def test_a_wrong_key_and_a_wrong_body_are_refused_before_anything_is_asked(client, counter):
    for headers, body, status in (
        ({"Authorization": "Bearer wrong"}, ASKED[MESSAGES], 401),
        ({}, {"model": "openclaw"}, 400),
        ({}, ASKED[MESSAGES] | {"model": "openclaw/nobody"}, 404),
    ):
        async with client.post(MESSAGES, data=json.dumps(body), headers=headers) as response:
            assert response.status == status
            assert (await response.json())["type"] == "error"
    assert not counter.asked
