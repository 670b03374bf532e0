"""Two instances on one Redis, one with a local failure: the other one answers all requests."""

import json
from contextlib import AsyncExitStack

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.process import serving
from tests.fault.acts import refuses, says
from tests.fault.canonical import TEXT
from tests.fault.conftest import TOKEN, settings
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEALTHY, ILL = "key-of-the-healthy-instance", "key-of-the-ill-instance"
TROUBLES = ("withdrawn", "limited", "nameless")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def instances(provider, tmp_path_factory):
    """Clients of a healthy instance, of one with a bad key or DNS, and of another one with the good key."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server(tmp_path_factory.mktemp("redis")))
        sessions = []
        for key in (HEALTHY, ILL, HEALTHY):
            url = provider.url if key == HEALTHY else "http://gateway-tests.invalid/v1"
            providers = {"fake": {"baseUrl": provider.url, "apiKey": key}, "named": {"baseUrl": url, "apiKey": HEALTHY}}
            models = {
                "withdrawn": "fake/withdrawn",
                "limited": "fake/limited",
                "shared": "fake/shared",
                "nameless": "named/nameless",
            }
            config = settings(providers, {name: {"model": model} for name, model in models.items()})
            config["gateway"]["redis"] = {"url": redis.url}
            gateway = await stack.enter_async_context(serving(tmp_path_factory.mktemp("state"), config))
            headers = {"Authorization": f"Bearer {TOKEN}"}
            session = aiohttp.ClientSession(gateway.url, headers=headers)
            sessions.append(await stack.enter_async_context(session))
        yield sessions


async def ask(session, agent):
    body = {"model": f"openclaw/{agent}", "messages": [{"role": "user", "content": "hi"}]}
    async with session.post("/v1/chat/completions", json=body) as response:
        payload = json.loads(await response.read())
        return payload["choices"][0]["message"]["content"] if response.status == 200 else payload["error"]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_an_instance_with_a_local_failure_affects_no_other_instance(instances, provider, trouble):
    async def particular(call):
        refusal = refuses(401) if trouble == "withdrawn" else refuses(429, headers="Retry-After: 30\r\n")
        await (refusal if call.key == ILL else says())(call)

    model = provider.model(trouble, particular)
    healthy, ill, _ = instances
    for _ in range(4):
        assert await ask(ill, trouble) != TEXT
    assert [await ask(healthy, trouble) for _ in range(10)] == [TEXT] * 10
    assert sum(call.key == HEALTHY for call in model.calls) == 10


async def test_a_cooldown_from_another_instance_refuses_no_request(instances, provider):
    """The limit may apply to that instance's address only: a run without an alternative still asks."""
    model = provider.model("shared", refuses(429, headers="Retry-After: 300\r\n"), says())
    healthy, _, twin = instances
    error = await ask(twin, "shared")
    assert error["type"] == "upstream_rate_limited"
    error = await ask(twin, "shared")
    assert "was not asked" in error["message"]
    assert await ask(healthy, "shared") == TEXT
    assert len(model.calls) == 2
