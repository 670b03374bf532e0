"""Fixtures of the tests that ask every format the same: a gateway before a provider of each format."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient

from gateway.upstream.catalog import CATALOG, Row
from gateway.wire import UPSTREAMS
from tests.unit.wire import toy
from tests.unit.wire.every_format import TOKEN, House, SharedServers, serve
from tests.unit.wire.formats import FORMATS, PROVIDERS


@pytest.fixture
def toy_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UPSTREAMS, toy.WIRE, FORMATS[toy.WIRE])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SharedServers]:
    async with AsyncExitStack() as stack:
        yield SharedServers(stack, lambda: tmp_path_factory.mktemp("gateway"))


@pytest.fixture
def open_house(toy_in_the_table: None, running: SharedServers, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A provider of a format, known to the gateway by a row of the catalogue and nothing else."""

    async def build(name: str, api: str) -> House:
        house = await running.house(name, api)
        monkeypatch.setitem(CATALOG, name, Row(house.url, ("HOUSE_KEY",), house.says.MODEL, api=api))
        return house

    return build


@pytest_asyncio.fixture(loop_scope="module", params=PROVIDERS)
async def house(request: pytest.FixtureRequest, open_house: Callable[..., Any], config: dict[str, Any]) -> House:
    """The agent's provider, in each format."""
    house: House = await open_house("house", request.param)
    config["agents"]["defaults"]["model"]["primary"] = f"house/{house.says.MODEL}"
    return house


@pytest_asyncio.fixture(loop_scope="module", params=PROVIDERS)
async def fallback(request: pytest.FixtureRequest, open_house: Callable[..., Any], config: dict[str, Any]) -> House:
    """The provider of the agent's fallback, in each format; it finishes answers that break off."""
    config["gateway"]["stream"]["rescue"] = True
    house: House = await open_house("fallback", request.param)
    config["agents"]["defaults"]["model"]["fallbacks"] = [f"fallback/{house.says.MODEL}"]
    return house


@pytest.fixture
def config() -> dict[str, Any]:
    """The configuration file, for tests to change."""
    return {
        "gateway": {
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {name: {"enabled": True} for name in ("responses", "chatCompletions", "messages")}},
            "stream": {"rescue": False},
            # A case must not find the provider cooling down because of what another case let it answer.
            "retry": {"maxRetries": 0, "cooldownMs": 1, "maxCooldownMs": 1},
        },
        "agents": {"defaults": {"model": {"primary": "house/small"}}, "entries": {"main": {}}},
    }


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(house: House, running: SharedServers, config: dict[str, Any]) -> tuple[TestClient, str]:
    """A gateway that knows the provider, shared with other cases, and a client key of this case."""
    return await running.gateway(config)


@pytest_asyncio.fixture(loop_scope="module")
async def served(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Starts a gateway of this case alone; its client has the owner's token."""
    async with AsyncExitStack() as stack:

        async def start(config: dict[str, Any]) -> TestClient:
            http = await serve(config, tmp_path)
            stack.push_async_callback(http.close)
            return http

        yield start


@pytest.fixture
def ask(gateway: tuple[TestClient, str]) -> Callable[..., Any]:
    """POST a body; its status and the bytes of the answer."""
    http, key = gateway
    headers = {"Authorization": f"Bearer {key}"}

    async def post(client: Any, body: dict[str, Any]) -> tuple[int, bytes]:
        async with http.post(client.path, json=body, headers=headers) as response:
            return response.status, await response.read()

    return post
