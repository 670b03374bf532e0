"""The examples of the pages about SDKs and chat front ends work. `make clients` runs those of the other pages."""

import asyncio
import json
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from tests.e2e.answers import says
from tests.e2e.conftest import TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGES = Path(__file__).parents[2] / "docs" / "clients"
DOCUMENTED_URL = "http://127.0.0.1:18789"
VARIABLE = "OPENCLAW_GATEWAY_TOKEN"


@pytest.fixture(scope="module")
def config(config, provider):
    """The gateway's default model is one that answers."""
    provider.model(says("Hello from the| provider."), "unscripted")
    return config


def blocks(page: str, language: str, url: str) -> list[str]:
    """The blocks of a page, with the address of this gateway and its token."""
    text = (PAGES / page).read_text(encoding="utf-8")
    matches = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block.replace(DOCUMENTED_URL, url).replace(f"${VARIABLE}", TOKEN) for block in matches]


def exported(block: str) -> dict[str, str]:
    """The variables that a block of shell sets."""
    return dict(word.split("=", 1) for word in shlex.split(block) if "=" in word)


async def test_the_python_example_of_the_sdk_prints_the_answer(gateway):
    settings, _ = blocks("sdks.md", "sh", gateway.url)
    (program,) = blocks("sdks.md", "python", gateway.url)
    environment = {"PATH": os.environ["PATH"], **exported(settings)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert (process.returncode, output) == (0, b"Hello from the provider.\n")


async def test_the_curl_example_is_answered(gateway, client):
    _, command = blocks("sdks.md", "sh", gateway.url)
    words = shlex.split(command.replace("\\\n", " "))
    headers = dict(words[index + 1].split(": ", 1) for index, word in enumerate(words) if word == "-H")
    assert words[0] == "curl"
    async with client.post(words[1], data=words[words.index("-d") + 1], headers=headers) as response:
        answer = await response.json()
    assert answer["choices"][0]["message"]["content"] == "Hello from the provider."


async def test_open_webui_lists_the_agents_and_chats_with_its_documented_settings(gateway, client):
    """It lists models, streams a chat with the usage, and asks for a title and tags with the same model."""
    (command,) = blocks("open-webui.md", "sh", gateway.url)
    settings = exported(command)
    base, headers = settings["OPENAI_API_BASE_URL"], {"Authorization": f"Bearer {settings['OPENAI_API_KEY']}"}
    async with client.get(f"{base}/models", headers=headers) as response:
        models = [model["id"] for model in (await response.json())["data"]]
    assert {"openclaw", "openclaw/main", "openclaw/other"} <= set(models)
    chat = {
        "model": "openclaw/main",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    }
    async with client.post(f"{base}/chat/completions", json=chat, headers=headers) as response:
        *events, done = [line for line in (await response.text()).split("\n\n") if line.startswith("data: ")]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    pieces = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    assert ("".join(pieces), chunks[-1]["usage"]["total_tokens"]) == ("Hello from the provider.", 18)
    assert done == "data: [DONE]"
    title = {"model": "openclaw/main", "stream": False, "messages": [{"role": "user", "content": "### Task: a title"}]}
    async with client.post(f"{base}/chat/completions", json=title, headers=headers) as response:
        assert (await response.json())["choices"][0]["message"]["content"] == "Hello from the provider."


async def test_librechat_chats_with_its_documented_endpoint(gateway, client, provider):
    """It sends the person's id as `user` in every chat, unless `dropParams` says otherwise."""
    (text,) = blocks("open-webui.md", "yaml", gateway.url)
    (endpoint,) = yaml.safe_load(text.replace(f"${{{VARIABLE}}}", TOKEN))["endpoints"]["custom"]
    headers = {"Authorization": f"Bearer {endpoint['apiKey']}"}
    model = provider.model(says("Hello"))
    (agent,) = endpoint["models"]["default"]
    for chat in ("the first chat", "another chat"):
        body = {"model": agent, "user": "ann", "messages": [{"role": "user", "content": chat}]}
        for name in endpoint["dropParams"]:
            del body[name]
        url = f"{endpoint['baseURL']}/chat/completions"
        async with client.post(url, json=body, headers={**headers, **model.chosen}) as response:
            assert (await response.json())["choices"][0]["message"]["content"] == "Hello"
    assert [asked.body["messages"] for asked in model.asked] == [
        [{"role": "user", "content": chat}] for chat in ("the first chat", "another chat")
    ]
