"""The example of `docs/providers/openai-responses.md`, executed."""

import json
import re
import shlex
from pathlib import Path

from aiohttp import web

from gateway.app import create_app
from gateway.validation import validated
from tests.test_docs import ROOT, fences
from tests.unit.wire.every_format import ANSWERS
from tests.unit.wire.openai_responses import provider

PAGE = ROOT / "docs" / "providers" / "openai-responses.md"
URL = re.compile(r"https?://[^/]+")


async def test_the_example_sends_the_provider_what_the_page_says(aiohttp_server, aiohttp_client, tmp_path: Path):
    page = PAGE.read_text(encoding="utf-8")
    (configuration,), (command,), (expected,) = (fences(page, name) for name in ("json5", "sh", "json"))
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.headers["Authorization"], await request.json()))
        return web.Response(body=provider.whole(ANSWERS["text"]), content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/responses", answer)
    remote = await aiohttp_server(app)
    file = tmp_path / "openclaw.json"
    base_url = str(remote.make_url("/v1"))
    file.write_text(configuration.replace("https://api.openai.com/v1", base_url), encoding="utf-8")
    loaded = validated(file, {"OPENCLAW_GATEWAY_TOKEN": "a-token", "OPENAI_API_KEY": "the-key"}).loaded
    gateway = await aiohttp_client(create_app(loaded.config, loaded.env, tmp_path))

    words = shlex.split(command.replace("\\\n", " ").replace("$OPENCLAW_GATEWAY_TOKEN", "a-token"))
    headers = dict(words[index + 1].split(": ", 1) for index, word in enumerate(words) if word == "-H")
    path = next(URL.sub("", word) for word in words if word.startswith("http"))
    async with gateway.post(path, data=words[words.index("-d") + 1], headers=headers) as response:
        assert response.status == 200
        assert (await response.json())["choices"][0]["message"]["content"] == ANSWERS["text"].text
    assert asked == [("Bearer the-key", json.loads(expected))]
