"""Real nginx, three real gateways, one real Redis: together they admit and lock out the same clients."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.conftest import TOKEN
from tests.e2e.front import in_front_of
from tests.e2e.process import Gateway, serving
from tests.process import free_port
from tests.servers import Redis, redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 10
LOCK = 300  # seconds
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
WRONG = {"Authorization": "Bearer wrong"}


@dataclass
class Site:
    gateways: list[Gateway]
    redis: Redis
    nginx: str


@asynccontextmanager
async def site(directory, config, redis):
    """nginx in front of three gateways that share `redis`."""
    ports = [free_port() for _ in range(3)]
    gateway = config["gateway"] | {
        "auth": {"mode": "token", "token": TOKEN, "rateLimit": {"maxAttempts": LIMIT, "lockoutMs": LOCK * 1000}},
        "trustedProxies": ["127.0.0.1"],
        "redis": {"url": redis.url},
    }
    async with AsyncExitStack() as stack:
        gateways = []
        for port in ports:
            state = directory / str(port)
            state.mkdir()
            gateways.append(await stack.enter_async_context(serving(state, config | {"gateway": gateway}, port=port)))
        yield Site(gateways, redis, await stack.enter_async_context(in_front_of(ports, directory / "nginx")))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redis(tmp_path_factory):
    async with redis_server(tmp_path_factory.mktemp("redis")) as ready:
        yield ready


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def where(config, redis, tmp_path_factory):
    async with site(tmp_path_factory.mktemp("site"), config, redis) as ready:
        yield ready


@asynccontextmanager
async def browser(where):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield lambda url, client, headers: _ask(session, where, url, client, headers)


async def _ask(session, where, url, client, headers):
    address_header = {"X-Client": client} if url == where.nginx else {"X-Forwarded-For": client}
    async with session.get(f"{url}/v1/models", headers=address_header | headers) as response:
        await response.read()
        return response.status, int(response.headers.get("Retry-After", 0))


async def test_one_limit_for_three_instances_that_outlives_them(config, redis, tmp_path):
    async with site(tmp_path, config, redis) as where, browser(where) as ask:
        attacker, owner = "203.0.113.7", "198.51.100.1"
        assert await ask(where.nginx, owner, RIGHT) == (200, 0)
        answers = await asyncio.gather(*(ask(where.nginx, attacker, WRONG) for _ in range(500)))
        assert [status for status, _ in answers].count(401) == LIMIT
        refused = [seconds for status, seconds in answers if status == 429]
        assert len(refused) == 500 - LIMIT
        for gateway in where.gateways:
            assert (await ask(gateway.url, attacker, RIGHT))[0] == 429, "even with the right token, everywhere"
        assert all(LOCK - 10 < seconds <= LOCK for seconds in refused)
        assert await ask(where.nginx, owner, RIGHT) == (200, 0)
    (tmp_path / "again").mkdir()
    async with site(tmp_path / "again", config, redis) as where, browser(where) as ask:
        for gateway in where.gateways:
            status, seconds = await ask(gateway.url, attacker, RIGHT)
            assert (status, LOCK - 60 < seconds <= LOCK) == (429, True)
        assert await ask(where.nginx, owner, RIGHT) == (200, 0)


async def test_a_lock_is_on_every_instance_within_a_tenth_of_a_second(where):
    took = []
    async with browser(where) as ask:
        while len(took) < 50 and min(took, default=1.0) >= 0.1:  # a busy machine needs more than one try
            attacker = f"203.0.113.{100 + len(took)}"
            for _ in range(LIMIT):
                assert (await ask(where.gateways[0].url, attacker, WRONG))[0] == 401
            locked = time.monotonic()
            while (await ask(where.gateways[1].url, attacker, RIGHT))[0] != 429:
                pass
            took.append(time.monotonic() - locked)
            while (await ask(where.gateways[2].url, attacker, RIGHT))[0] != 429:
                pass
    assert min(took) < 0.1, took


async def test_retry_after_is_right_to_the_second(where, redis):
    async with browser(where) as ask:
        attacker = "203.0.113.200"
        for _ in range(LIMIT):
            await ask(where.nginx, attacker, WRONG)
        left = await redis.ask("ZSCORE", "{openclaw}:token:locks", attacker)
        seconds, micros = await redis.ask("TIME")
        exact = float(left) / 1000 - int(seconds) - int(micros) / 1e6
        for gateway in where.gateways:
            assert abs((await ask(gateway.url, attacker, WRONG))[1] - exact) < 1.2


async def test_readiness_and_one_log_line_report_an_unavailable_redis(where, redis):
    async with aiohttp.ClientSession() as session:

        async def degraded(gateway):
            async with session.get(f"{gateway.url}/readyz") as response:
                assert response.status == 200
                return (await response.json())["degraded"]

        assert [await degraded(gateway) for gateway in where.gateways] == [[], [], []]
        await redis.stop()
        async with asyncio.timeout(10):
            while [await degraded(gateway) for gateway in where.gateways] != [["redis"]] * 3:
                pass
        await redis.start()
        async with asyncio.timeout(10):
            while [await degraded(gateway) for gateway in where.gateways] != [[]] * 3:
                pass
        for gateway in where.gateways:
            assert gateway.process.errors.count("Redis is not available") == 1
            assert gateway.process.errors.count("Redis is in use") == 2


async def test_wrong_secrets_are_503_while_redis_is_away_with_failure_mode_deny(config, redis, tmp_path):
    rules = {"maxAttempts": LIMIT, "exemptLoopback": False, "failureMode": "deny"}
    gateway = config["gateway"] | {
        "auth": {"mode": "token", "token": TOKEN, "rateLimit": rules},
        "redis": {"url": redis.url, "keyPrefix": "deny"},
    }
    async with (
        serving(tmp_path, config | {"gateway": gateway}) as only,
        aiohttp.ClientSession(only.url) as session,
    ):

        async def status(headers):
            async with session.get("/v1/models", headers=headers) as response:
                return response.status, (await response.json()).get("error", {}).get("type")

        assert await status(WRONG) == (401, "unauthorized")
        await redis.stop()
        await only.process.wait_for_output("Redis is not available")
        assert await status(WRONG) == (503, "unavailable")
        assert await status({}) == (401, "unauthorized")
        assert await status(RIGHT) == (200, None)
        await redis.start()
