"""Two instances on one Redis, one with a local failure: the other one answers all requests."""

import asyncio
import json
from contextlib import AsyncExitStack

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.process import serving
from tests.fault.acts import cuts, hangs, refuses, replies, says
from tests.fault.canonical import TEXT
from tests.fault.conftest import COOLDOWN, LIMIT, TOKEN, settings
from tests.fault.provider import FaultProvider
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_COOLDOWN = 4 * COOLDOWN  # seconds, `maxCooldownMs`
HEALTHY, ILL = "key-of-the-healthy-instance", "key-of-the-ill-instance"
PATHS = {"silent": hangs, "broken": cuts, "rewritten": replies(b"<html>Log in to the proxy</html>")}
"""What may happen on the way to the provider, after the connection: it looks like the provider's failure."""
PROXIES = {
    "overloaded": refuses(503, headers="Retry-After: 600\r\n"),
    "limited": refuses(429, headers="Retry-After: 600\r\n"),
    "unauthorised": refuses(407),
    "no-gateway": refuses(502),
    "a-page": replies(b"<html>Log in to the proxy</html>"),
    "silent": hangs,
}
"""What a bad proxy of one instance answers; the failure looks like the provider's."""
TROUBLES = ("withdrawn", "limited", "nameless")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy():
    """The proxy of the ill instance. It gets whole requests, as for every provider without TLS."""
    async with FaultProvider().serving() as ready:
        yield ready


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def instances(provider, proxy, tmp_path_factory):
    """Clients of a healthy instance, of one with a bad key, DNS and proxy, and of another one with the good key."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server(tmp_path_factory.mktemp("redis")))
        sessions = []
        for key in (HEALTHY, ILL, HEALTHY):
            url = provider.url if key == HEALTHY else "http://gateway-tests.invalid/v1"
            providers = {"fake": {"baseUrl": provider.url, "apiKey": key}, "named": {"baseUrl": url, "apiKey": HEALTHY}}
            providers["proxied"] = {
                "baseUrl": provider.url,
                "apiKey": HEALTHY,
                "request": {"proxy": {"mode": "env-proxy"}},
            }
            models = {
                "withdrawn": "fake/withdrawn",
                "limited": "fake/limited",
                "shared": "fake/shared",
                "nameless": "named/nameless",
            }
            agents = {name: {"model": model} for name, model in models.items()}
            for name in PATHS:
                agents[name] = {"model": {"primary": f"fake/{name}", "fallbacks": ["fake/other"]}}
            for name in PROXIES:
                agents[f"behind-{name}"] = {"model": {"primary": f"proxied/{name}", "fallbacks": ["fake/other"]}}
            config = settings(providers, agents)
            config["gateway"]["redis"] = {"url": redis.url}
            state = tmp_path_factory.mktemp("state")
            if key == ILL:
                variable = f"HTTP_PROXY={proxy.url.removesuffix('/v1')}\n"
                (state / ".env").write_text(variable, encoding="utf-8")
            gateway = await stack.enter_async_context(serving(state, config))
            headers = {"Authorization": f"Bearer {TOKEN}"}
            session = aiohttp.ClientSession(gateway.url, headers=headers)
            sessions.append(await stack.enter_async_context(session))
        yield sessions


async def model_that_answers(session, agent, text="hi"):
    body = {"model": f"openclaw/{agent}", "messages": [{"role": "user", "content": text}]}
    async with session.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200, await response.text()
        await response.read()
        return response.headers["x-openclaw-model"]


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


@pytest.mark.parametrize("name", PROXIES)
async def test_a_bad_proxy_of_one_instance_moves_no_other_instance_to_its_fallback(instances, provider, proxy, name):
    """The same key and address, but another way: what the proxy says is not about the provider."""
    asked = proxy.model(name, PROXIES[name])
    provider.model(name, says())
    provider.model("other", says())
    healthy, ill, _ = instances
    for _ in range(4):
        assert await model_that_answers(ill, f"behind-{name}") == "fake/other"
    assert asked.calls
    assert [await model_that_answers(healthy, f"behind-{name}") for _ in range(10)] == [f"proxied/{name}"] * 10


@pytest.mark.parametrize("path", PATHS)
async def test_an_instance_that_reaches_its_model_soon_ignores_that_another_one_fails(instances, provider, path):
    """The same key and address: only the way of the one instance is bad, and it goes on trying."""

    async def by_instance(call):
        await (PATHS[path] if "ill" in str(call.body) else says())(call)

    provider.model(path, by_instance)
    provider.model("other", says())
    healthy, _, twin = instances
    mine, fallback = f"fake/{path}", "fake/other"

    async def goes_on():
        while True:
            await asyncio.gather(*(model_that_answers(twin, path, "ill") for _ in range(4)))

    others = asyncio.create_task(goes_on())
    seen, clock = [], asyncio.get_running_loop().time
    end = clock() + LIMIT * 3 + 3 * MAX_COOLDOWN  # three runs open the cooldown, which is published again and again
    try:
        while clock() < end or seen[-1] == fallback:
            seen.append(await model_that_answers(healthy, path))
    finally:
        others.cancel()
        await asyncio.wait([others])
    if fallback in seen:  # the first cooldown was believed, until a probe
        del seen[: seen.index(mine, seen.index(fallback))]
    assert set(seen) == {mine}
