"""A real gateway process and a fake provider, shared by the tests of a file."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
import pytest_asyncio

from tests.e2e.process import Gateway, serving
from tests.e2e.provider import KEY, Provider

TOKEN = "gateway-token-of-the-tests-0123456789abcdef"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[Provider]:
    async with Provider().serving() as ready:
        yield ready


@pytest.fixture(scope="module")
def config(provider: Provider) -> dict[str, Any]:
    """The configuration file. Test files that need another one change this."""
    return {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}, "responses": {"enabled": True}}},
            "stream": {"rescue": False},
            "retry": {"maxRetries": 0},
        },
        "agents": {"defaults": {"model": {"primary": "fake/unscripted"}}, "entries": {"main": {}, "other": {}}},
        "memory": {"search": {"provider": "fake", "model": "unscripted"}},
        "models": {"mode": "replace", "providers": {"fake": {"baseUrl": provider.url, "apiKey": KEY}}},
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    state: Path = tmp_path_factory.mktemp("state")
    async with serving(state, config) as ready:
        yield ready


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(gateway: Gateway) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client with the right token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(gateway.url, headers=headers) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def official(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's own client, configured for the gateway."""
    http = openai.DefaultAsyncHttpxClient(trust_env=False)
    base = f"{gateway.url}/v1"
    async with openai.AsyncOpenAI(api_key=TOKEN, base_url=base, max_retries=0, http_client=http) as ready:
        yield ready
