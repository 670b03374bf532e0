"""The example of docs/providers/amazon-bedrock.md, run against a provider of the format."""

import re
import shlex
from pathlib import Path

from aiohttp import web

from gateway.app import create_app
from gateway.core.answer import Answer
from gateway.core.usage import Usage
from gateway.upstream.catalog import CATALOG, Row
from gateway.validation import validated
from tests.unit.wire.bedrock_converse import provider

PAGE = (Path(__file__).parents[4] / "docs" / "providers" / "amazon-bedrock.md").read_text(encoding="utf-8")
(CONFIG,) = re.findall(r"^```json5\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
(CURL,) = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ENV = {"OPENCLAW_GATEWAY_TOKEN": "token-of-the-tests", "AWS_BEARER_TOKEN_BEDROCK": "key"}


async def test_the_example_works(aiohttp_server, aiohttp_client, tmp_path, monkeypatch):
    asked = []

    async def handle(request):
        asked.append((request, provider.asked(request.raw_path, await request.read())))
        return web.Response(
            body=provider.whole(Answer("Hello.", "stop", Usage(3, 2, 5))), content_type="application/json"
        )

    app = web.Application()
    app.router.add_post("/model/{path:.*}", handle)
    url = str((await aiohttp_server(app)).make_url("/"))
    row = CATALOG["amazon-bedrock"]
    assert row.base_url == "https://bedrock-runtime.{region}.amazonaws.com"
    monkeypatch.setitem(CATALOG, "amazon-bedrock", Row(url, row.key_variables, api=row.api))
    file = tmp_path / "openclaw.json"
    file.write_text(CONFIG, encoding="utf-8")
    loaded = validated(file, ENV).loaded
    gateway = await aiohttp_client(create_app(loaded.config, loaded.env, tmp_path))
    words = shlex.split(CURL.replace("\\\n", " "))
    name, _, value = words[words.index("-H") + 1].partition(": ")
    headers = {name: value.replace("$OPENCLAW_GATEWAY_TOKEN", ENV["OPENCLAW_GATEWAY_TOKEN"])}
    path = words[1].removeprefix("http://127.0.0.1:18789")
    async with gateway.post(path, data=words[words.index("-d") + 1], headers=headers) as response:
        answer = await response.json()
    assert answer["choices"][0]["message"]["content"] == "Hello."
    ((request, sent),) = asked
    assert sent["model"] == "eu.anthropic.claude-sonnet-4-6"
    assert request.headers["Authorization"] == "Bearer key"
