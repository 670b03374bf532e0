"""The examples of docs/providers/anthropic.md, run against a provider of the format."""

import json
import re
import shlex
from pathlib import Path

import pytest
from aiohttp import web

from gateway.app import create_app
from gateway.core.answer import Answer
from gateway.core.usage import Usage
from gateway.upstream.catalog import CATALOG, Row
from gateway.validation import validated
from tests.unit.wire.anthropic_messages import provider

PAGE = (Path(__file__).parents[4] / "docs" / "providers" / "anthropic.md").read_text(encoding="utf-8")
BUILT_IN, OWN = re.findall(r"^```json5\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(CURL,) = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ENV = {"OPENCLAW_GATEWAY_TOKEN": "token-of-the-tests", "ANTHROPIC_API_KEY": "key", "OWN_KEY": "own-key"}


@pytest.fixture
async def asked(aiohttp_server):
    """The requests that the provider has got; it says hello."""
    requests = []

    async def handle(request):
        provider.validate(body := await request.json())
        requests.append((request, body))
        return web.Response(
            body=provider.whole(Answer("Hello.", "stop", Usage(3, 2, 5))), content_type="application/json"
        )

    app = web.Application()
    app.router.add_post("/anthropic/v1/messages", handle)
    requests.append(str((await aiohttp_server(app)).make_url("/anthropic")))
    return requests


async def run(config, client, folder):
    """Start a gateway with this configuration, and send it the page's request."""
    file = folder / "openclaw.json"
    file.write_text(config, encoding="utf-8")
    loaded = validated(file, ENV).loaded
    gateway = await client(create_app(loaded.config, loaded.env, folder))
    words = shlex.split(CURL.replace("\\\n", " "))
    path = words[1].removeprefix("http://127.0.0.1:18789")
    name, _, value = words[words.index("-H") + 1].partition(": ")
    header = {name: value.replace("$OPENCLAW_GATEWAY_TOKEN", ENV["OPENCLAW_GATEWAY_TOKEN"])}
    async with gateway.post(path, data=words[words.index("-d") + 1], headers=header) as response:
        answer = await response.json()
    assert answer["choices"][0]["message"]["content"] == "Hello."


async def test_the_built_in_provider(asked, aiohttp_client, tmp_path, monkeypatch):
    url = asked.pop(0)
    row = CATALOG["anthropic"]
    assert (row.base_url, row.key_variables) == ("https://api.anthropic.com", ("ANTHROPIC_API_KEY",))
    monkeypatch.setitem(CATALOG, "anthropic", Row(url, row.key_variables, row.model, api=row.api))
    await run(BUILT_IN, aiohttp_client, tmp_path)
    ((request, body),) = asked
    assert request.headers["x-api-key"] == "key"
    assert "Authorization" not in request.headers
    assert (body["model"], body["output_config"]) == ("claude-sonnet-4-6", {"effort": "low"})


@pytest.mark.parametrize("ending", ["", "/", "/v1"])
async def test_a_provider_of_ones_own(asked, aiohttp_client, tmp_path, ending):
    url = asked.pop(0)
    await run(OWN.replace("https://claude.example/anthropic", url + ending), aiohttp_client, tmp_path)
    ((request, body),) = asked
    assert request.headers["Authorization"] == "Bearer own-key"
    assert "x-api-key" not in request.headers
    assert request.headers["anthropic-beta"] == "context-1m-2025-08-07"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert (body["model"], body["max_tokens"]) == ("claude-opus-4-8", 64000)
    assert json.dumps(body).isascii()
