"""The examples of the pages about providers work: the configuration, with its address replaced, answers the request."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.app import create_app
from gateway.core.answer import Answer
from gateway.core.usage import Usage
from gateway.validation import validated
from tests.unit.wire.formats import PROVIDERS

PAGES = Path(__file__).parents[3] / "docs" / "providers"
ADDRESSES = {
    "openai-completions": "http://127.0.0.1:8000/v1",
    "ollama": "http://127.0.0.1:11434",
    "azure-openai-responses": "https://my-resource.openai.azure.com/openai/v1",
    "google-generative-ai": "https://generativelanguage.googleapis.com/v1beta",
}


def example(page: str, language: str) -> str:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    match = re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


def request_of(command: str) -> tuple[str, dict[str, Any]]:
    """Path and body of a curl command."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words[0] == "curl"
    return re.sub(r"^http://[^/]+", "", words[1]), json.loads(words[words.index("-d") + 1])


@pytest.mark.parametrize(
    ("page", "api"),
    [
        ("openai-completions", "openai-completions"),
        ("ollama", "ollama"),
        ("google", "google-generative-ai"),
        ("azure", "azure-openai-responses"),
    ],
)
async def test_the_example_of_a_page_answers(page, api, aiohttp_server, aiohttp_client, tmp_path):
    says, asked = PROVIDERS[api], []

    async def provider(request: web.Request) -> web.Response:
        asked.append((request.path_qs, request.headers, says.asked(request.path, await request.read())))
        body = says.whole(Answer("Hello!", "stop", Usage(3, 2, 5)))
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_post("/{path:.*}", provider)
    url = str((await aiohttp_server(app)).make_url(""))
    file = tmp_path / "openclaw.json"
    text = example(page, "json5")
    assert ADDRESSES[api] in text
    file.write_text(text.replace(ADDRESSES[api], url.rstrip("/")), encoding="utf-8")
    keys = dict.fromkeys(("GEMINI_API_KEY", "AZURE_OPENAI_API_KEY"), "key-of-the-test")
    env = {**keys, "OPENCLAW_GATEWAY_TOKEN": "t" * 32}
    loaded = validated(file, env).loaded
    client = await aiohttp_client(create_app(loaded.config, loaded.env, tmp_path))
    path, body = request_of(example(page, "sh"))
    async with client.post(
        path, json={**body, "stream": False}, headers={"Authorization": f"Bearer {'t' * 32}"}
    ) as got:
        answer = json.loads(await got.read())
    assert (got.status, answer["choices"][0]["message"]["content"]) == (200, "Hello!")
    ((sent_to, headers, rendered),) = asked
    assert rendered["messages"] == [["user", ["text", "Hello"]]]
    assert rendered["settings"]["effort"] == "low"
    assert "key-of-the-test" not in sent_to
    assert page in ("ollama", "openai-completions") or says.authorised(headers, "key-of-the-test")
