"""Rows as people write them for OpenClaw, odd but legal: each is asked at its address, in its format, with its key."""

import json
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import create_app
from gateway.validation import validated
from tests.e2e.every_host import PONG, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "t" * 32
ENV = {"MY_KEY": "of-the-environment", "AZURE_KEY": "of-azure"}
BEARER = {"Authorization": "Bearer k"}
ARN = "arn:aws:bedrock:us-east-1:123:inference-profile/us.anthropic.claude-sonnet-4-6"
CHAT, RESPONSES, CLAUDE = "openai-completions", "openai-responses", "anthropic-messages"
GOOGLE, VERTEX, AZURE = "google-generative-ai", "google-vertex", "azure-openai-responses"
SECRET = {"source": "env", "provider": "default", "id": "MY_KEY"}


def row(path: str = "/v1", api: str | None = CHAT, key: Any = "k", model: str = "m", **fields: Any) -> dict[str, Any]:
    return {"baseUrl": path, "api": api, "apiKey": key, "models": [{"id": model, "name": model}], **fields}


# Row → the path that is asked, and the headers that it needs, None for those that must not be there.
ROWS: dict[str, tuple[dict[str, Any], str, dict[str, str | None]]] = {
    "a slash at the end": (row("/v1/"), "/v1/chat/completions", BEARER),
    "no format": (row(api=None), "/v1/chat/completions", BEARER),
    "no version": (row(""), "/chat/completions", BEARER),
    "no models": (row(models=[]), "/v1/chat/completions", BEARER),
    "nulls": (
        row(auth=None, headers=None, models=[{"id": "m", "api": None, "compat": None}]),
        "/v1/chat/completions",
        BEARER,
    ),
    "white space around a key": (row(key=" k\n"), "/v1/chat/completions", BEARER),
    "a bare name": (row(key="MY_KEY"), "/v1/chat/completions", {"Authorization": "Bearer of-the-environment"}),
    "a variable": (row(key="${MY_KEY}"), "/v1/chat/completions", {"Authorization": "Bearer of-the-environment"}),
    "a reference": (row(key=SECRET), "/v1/chat/completions", {"Authorization": "Bearer of-the-environment"}),
    "no key": (row(key=None), "/v1/chat/completions", {"Authorization": None}),
    "a header of its own": (
        row(key=None, headers={"X-Key": SECRET}),
        "/v1/chat/completions",
        {"X-Key": "of-the-environment", "Authorization": None},
    ),
    "request.auth with a header": (
        row(key=None, request={"auth": {"mode": "header", "headerName": "X-Key", "value": SECRET, "prefix": "Tok "}}),
        "/v1/chat/completions",
        {"X-Key": "Tok of-the-environment", "Authorization": None},
    ),
    "request.auth with a token": (
        row(request={"auth": {"mode": "authorization-bearer", "token": SECRET}, "headers": {"X-A": "1"}}),
        "/v1/chat/completions",
        {"Authorization": "Bearer of-the-environment", "X-A": "1"},
    ),
    "the whole address": (row("/v1/chat/completions"), "/v1/chat/completions", BEARER),
    "the address in a portal": (
        row(
            "/openai/deployments/d/chat/completions?api-version=2024-10-21",
            headers={"api-key": "${AZURE_KEY}"},
            authHeader=False,
        ),
        "/openai/deployments/d/chat/completions?api-version=2024-10-21",
        {"api-key": "of-azure", "Authorization": None},
    ),
    "Google in OpenAI's format": (row("/v1beta/openai"), "/v1beta/openai/chat/completions", BEARER),
    "a model with slashes": (row(model="a/b/c:free"), "/v1/chat/completions", BEARER),
    "responses": (row(api=RESPONSES), "/v1/responses", BEARER),
    "responses, the whole address": (row("/v1/responses", RESPONSES), "/v1/responses", BEARER),
    "Azure": (row("/openai/v1", AZURE), "/openai/v1/responses", {"api-key": "k", "Authorization": None}),
    "Azure with a version": (
        row("/openai/v1?api-version=preview", AZURE, authHeader=True),
        "/openai/v1/responses?api-version=preview",
        {**BEARER, "api-key": None},
    ),
    "Claude": (row("", CLAUDE), "/v1/messages", {"x-api-key": "k", "anthropic-version": "2023-06-01"}),
    "Claude with a version": (row("/x/v1", CLAUDE), "/x/v1/messages", {"x-api-key": "k", "Authorization": None}),
    "Claude, the whole address": (row("/v1/messages", CLAUDE), "/v1/messages", {"x-api-key": "k"}),
    "Claude with a bearer": (row("", CLAUDE, authHeader=True), "/v1/messages", {**BEARER, "x-api-key": None}),
    "Claude with a token": (row("", CLAUDE, auth="token"), "/v1/messages", {**BEARER, "x-api-key": None}),
    "Claude with another version": (
        row("", CLAUDE, headers={"anthropic-version": "2024-01-01", "anthropic-beta": "b"}),
        "/v1/messages",
        {"anthropic-version": "2024-01-01", "anthropic-beta": "b"},
    ),
    "Ollama with a version": (row("/v1", "ollama", "any"), "/api/chat", {"Authorization": "Bearer any"}),
    "Ollama with its path": (row("/api", "ollama", None), "/api/chat", {"Authorization": None}),
    "Google without a version": (row("", GOOGLE), "/v1beta/models/m:generateContent", {"x-goog-api-key": "k"}),
    "Google with a version": (row("/v1", GOOGLE), "/v1/models/m:generateContent", {"x-goog-api-key": "k"}),
    "Vertex": (row("", VERTEX), "/v1/publishers/google/models/m:generateContent", {"x-goog-api-key": "k"}),
    "Bedrock with an ARN": (
        row("", "bedrock-converse-stream", model=ARN),
        f"/model/{ARN.replace(':', '%3A').replace('/', '%2F')}/converse",
        BEARER,
    ),
    "a model of another format, address and header": (
        row(
            "/v1",
            headers={"X-Row": "1", "X-Both": "row"},
            models=[{"id": "m", "api": CLAUDE, "baseUrl": "/other", "headers": {"X-Both": "model"}}],
        ),
        "/other/v1/messages",
        {"x-api-key": "k", "X-Row": "1", "X-Both": "model"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def asked():
    """The requests that the servers have got."""
    return []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(asked, tmp_path_factory):
    async def answer(request: web.Request) -> web.Response:
        asked.append((request.raw_path, request.headers, await request.json()))
        return web.json_response(whole(request.path))

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    servers = TestServer(app)
    await servers.start_server()
    url = str(servers.make_url("")).rstrip("/")
    rows = {}
    for number, (fields, *_) in enumerate(ROWS.values()):
        models = [{**one, "baseUrl": url + one["baseUrl"]} if "baseUrl" in one else one for one in fields["models"]]
        rows[f"row-{number}"] = {**fields, "baseUrl": url + fields["baseUrl"], "models": models}
    folder = tmp_path_factory.mktemp("rows")
    config = {
        "gateway": {"auth": {"token": TOKEN}, "http": {"endpoints": {"chatCompletions": {"enabled": True}}}},
        "models": {"providers": rows},
        "agents": {"defaults": {"model": "row-0/m"}},
    }
    (folder / "openclaw.json").write_text(json.dumps(config), encoding="utf-8")
    valid = validated(folder / "openclaw.json", ENV)
    assert valid.warnings == ()
    client = TestClient(TestServer(create_app(valid.loaded.config, valid.loaded.env, folder)))
    await client.start_server()
    yield client
    await client.close()
    await servers.close()


@pytest.mark.parametrize("name", ROWS)
async def test_an_odd_row_is_asked_at_its_address_with_its_key(gateway, asked, name):
    fields, path, headers = ROWS[name]
    model = (fields["models"] or [{"id": "m"}])[0]["id"]
    number = list(ROWS).index(name)
    asked.clear()
    body = {"model": "openclaw", "messages": [{"role": "user", "content": "ping"}]}
    options = {"Authorization": f"Bearer {TOKEN}", "x-openclaw-model": f"row-{number}/{model}"}
    async with gateway.post("/v1/chat/completions", json=body, headers=options) as got:
        answer = await got.json()
    assert (got.status, answer["choices"][0]["message"]["content"]) == (200, PONG)
    ((sent_to, sent, content),) = asked
    assert sent_to == path
    assert {header: sent.get(header) for header in headers} == headers
    assert content.get("model", model) == model
