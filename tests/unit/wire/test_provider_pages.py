"""The examples of the pages about providers work: the configuration, with its address replaced, answers the request."""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.app import create_app
from gateway.core.answer import Answer
from gateway.core.usage import Usage
from gateway.upstream.catalog import CATALOG
from gateway.validation import validated
from tests.e2e.every_host import PONG, whole
from tests.unit.wire.formats import PROVIDERS

PAGES = Path(__file__).parents[3] / "docs" / "providers"
OVERVIEW = "README"
CONFIGURATIONS = {
    page.stem: re.findall(r"^```json5\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for page in sorted(PAGES.glob("*.md"))
    if page.stem != OVERVIEW
}
TOKEN = "t" * 32
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


def request_of(command: str) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Path, body and headers of a curl command, with the token of the test."""
    words = shlex.split(command.replace("\\\n", " ").replace("$OPENCLAW_GATEWAY_TOKEN", TOKEN))
    assert words[0] == "curl"
    headers = dict(words[index + 1].split(": ", 1) for index, word in enumerate(words) if word == "-H")
    return re.sub(r"^http://[^/]+", "", words[1]), json.loads(words[words.index("-d") + 1]), headers


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
    env = {**keys, "OPENCLAW_GATEWAY_TOKEN": TOKEN}
    loaded = validated(file, env).loaded
    client = await aiohttp_client(create_app(loaded.config, loaded.env, tmp_path))
    path, body, own = request_of(example(page, "sh"))
    async with client.post(path, json={**body, "stream": False}, headers=own) as got:
        answer = json.loads(await got.read())
    assert (got.status, answer["choices"][0]["message"]["content"]) == (200, "Hello!")
    ((sent_to, headers, rendered),) = asked
    assert rendered["messages"] == [["user", ["text", "Hello"]]]
    assert rendered["settings"]["effort"] == "low"
    assert "key-of-the-test" not in sent_to
    assert page in ("ollama", "openai-completions") or says.authorised(headers, "key-of-the-test")


@pytest.fixture(scope="module")
def account() -> dict[str, str]:
    """The key file of a service account, whose token server a test sets."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {"type": "service_account", "client_email": "a@b", "private_key": private}


@pytest.mark.parametrize(
    ("page", "index"), [(page, index) for page, blocks in CONFIGURATIONS.items() for index in range(len(blocks))]
)
async def test_every_configuration_on_a_page_answers(
    page, index, *, account, aiohttp_server, aiohttp_client, tmp_path, monkeypatch
):
    asked = []

    async def provider(request: web.Request) -> web.Response:
        if request.path.endswith("/token"):
            return web.json_response({"access_token": "token-of-the-login", "expires_in": 3600})
        key = request.headers.get("Authorization") or request.headers.get("x-api-key") or request.headers.get("api-key")
        asked.append((request.path, key or request.headers.get("x-goog-api-key")))
        return web.json_response(whole(request.path))

    app = web.Application()
    app.router.add_post("/{path:.*}", provider)
    url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    for name, row in CATALOG.items():
        monkeypatch.setitem(CATALOG, name, replace(row, base_url=url))
    text = re.sub(r'(baseUrl: ")https?://[^/"]+', rf"\g<1>{url}", CONFIGURATIONS[page][index])
    (tmp_path / "openclaw.json").write_text(text, encoding="utf-8")
    (tmp_path / "account.json").write_text(json.dumps({**account, "token_uri": f"{url}/token"}), encoding="utf-8")
    env = {
        **dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "key-of-the-test"),
        "OPENCLAW_GATEWAY_TOKEN": TOKEN,
        "ANTHROPIC_API_KEY": "key-of-the-test",  # of the built-in provider
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json"),
        **dict.fromkeys(("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"), "of-the-application"),
        "AZURE_AUTHORITY_HOST": url,
    }
    loaded = validated(tmp_path / "openclaw.json", env, endpoints=("chatCompletions",)).loaded
    client = await aiohttp_client(create_app(loaded.config, loaded.env, tmp_path))
    body = {"model": "openclaw", "messages": [{"role": "user", "content": "ping"}]}
    async with client.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {TOKEN}"}) as got:
        answer = json.loads(await got.read())
    assert (got.status, answer["choices"][0]["message"]["content"]) == (200, PONG)
    ((_, key),) = asked
    expected = None if page in ("ollama", "openai-completions") else "key-of-the-test"
    if "apiKey" not in text and page in ("azure", "google") and "headers" not in text:
        expected = "token-of-the-login"
    assert key is None if expected is None else key.endswith(expected)


@pytest.mark.parametrize("page", CONFIGURATIONS)
def test_a_page_has_an_example_a_request_what_is_translated_and_limits(page):
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    assert CONFIGURATIONS[page]
    assert re.search(r"^```(?:sh|bash)\n(?:curl) ", text, re.MULTILINE)
    assert "## Limits" in text
    assert "translated" in text
    assert f"]({page}.md" in (PAGES / f"{OVERVIEW}.md").read_text(encoding="utf-8")
