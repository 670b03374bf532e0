import asyncio
import itertools
import time

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.answers import says
from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 3
LOCK = 30  # seconds
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
WRONG = {"Authorization": "Bearer wrong"}

ADDRESSES = itertools.count(1)


@pytest.fixture(scope="module")
def config(config):
    config["gateway"]["auth"]["rateLimit"] = {"maxAttempts": LIMIT, "lockoutMs": LOCK * 1000, "global": False}
    config["gateway"]["trustedProxies"] = ["127.0.0.1"]
    return config


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unauthenticated(gateway):
    """An HTTP client without a credential."""
    async with aiohttp.ClientSession(gateway.url, connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture
def address():
    """The header of a client that no other test has used, as the proxy sends it."""
    return {"X-Forwarded-For": f"203.0.113.{next(ADDRESSES)}"}


async def status(session, headers, path="/v1/models"):
    async with session.get(path, headers=headers) as response:
        return response.status


async def test_wrong_guesses_end_in_a_lock_that_says_how_long_it_lasts(unauthenticated, address):
    assert [await status(unauthenticated, address | WRONG) for _ in range(LIMIT + 2)] == [401] * LIMIT + [429] * 2
    async with unauthenticated.get("/v1/models", headers=address | WRONG) as response:
        assert LOCK - 10 < int(response.headers["Retry-After"]) <= LOCK
        error = (await response.json())["error"]
    assert (error["type"], error["param"], error["code"]) == ("rate_limited", None, None)


async def test_the_right_secret_is_refused_while_locked(unauthenticated, address):
    for _ in range(LIMIT):
        await status(unauthenticated, address | WRONG)
    assert await status(unauthenticated, address | RIGHT) == 429


async def test_other_clients_are_not_locked(unauthenticated, address):
    for _ in range(LIMIT + 1):
        await status(unauthenticated, address | WRONG)
    assert await status(unauthenticated, {"X-Forwarded-For": "198.51.100.1"} | RIGHT) == 200


async def test_a_missing_credential_is_not_counted(unauthenticated, address):
    for headers in (
        {},
        {"Authorization": "Basic d3Jvbmc6"},
        {"Authorization": "wrong"},
        {"x-api-key": "wrong"},  # a credential only where Anthropic's clients send theirs
    ) * LIMIT:
        assert await status(unauthenticated, address | headers, "/api/v1/sessions") == 401
    assert await status(unauthenticated, address | RIGHT) == 200


async def test_a_request_without_credential_gets_429_while_locked(unauthenticated, address):
    for _ in range(LIMIT):
        await status(unauthenticated, address | WRONG)
    assert await status(unauthenticated, address) == 429


async def test_the_right_secret_clears_the_count(unauthenticated, address):
    for _ in range(3):
        for _ in range(LIMIT - 1):
            assert await status(unauthenticated, address | WRONG) == 401
        assert await status(unauthenticated, address | RIGHT) == 200


async def test_unknown_paths_and_probes_answer_while_locked(unauthenticated, address):
    for _ in range(LIMIT):
        await status(unauthenticated, address | WRONG)
    assert await status(unauthenticated, address | WRONG, "/nowhere") == 404
    assert await status(unauthenticated, address | WRONG, "/v1/embeddings") == 405
    assert await status(unauthenticated, address | WRONG, "/healthz") == 200


async def test_a_locked_clients_body_is_not_read(unauthenticated, provider, address):
    for _ in range(LIMIT):
        await status(unauthenticated, address | WRONG)
    model = provider.model(says("Hello"))
    body = {"messages": [{"role": "user", "content": "hi"}]}
    async with unauthenticated.post(
        "/v1/chat/completions", json=body, headers=address | RIGHT | model.chosen
    ) as response:
        assert response.status == 429
    assert model.asked == []


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/openclaw"])
async def test_of_many_concurrent_guesses_exactly_the_limit_get_401(unauthenticated, address, path):
    statuses = await asyncio.gather(*(status(unauthenticated, address | WRONG, path) for _ in range(100)))
    assert sorted(statuses) == [401] * LIMIT + [429] * (100 - LIMIT)


async def test_a_host_of_an_ipv6_network_can_not_hide_behind_its_neighbours(unauthenticated):
    statuses = [
        await status(unauthenticated, {"X-Forwarded-For": f"2001:db8::{host}"} | WRONG) for host in range(1, LIMIT + 2)
    ]
    assert statuses == [401] * LIMIT + [429]


async def test_this_machine_is_delayed_ever_longer_instead_of_locked(unauthenticated):
    waits = []
    for _ in range(3):
        before = time.monotonic()
        assert await status(unauthenticated, WRONG) == 401
        waits.append(time.monotonic() - before)
    for wait, least in zip(waits, (0.25, 0.5, 1.0), strict=True):
        assert least <= wait < least + 1.0
    before = time.monotonic()
    assert await status(unauthenticated, {}) == 401
    assert time.monotonic() - before < 2.0, "which would be the next delay"
    assert await status(unauthenticated, RIGHT) == 200


async def test_without_the_exemption_this_machine_is_locked_like_everybody(config, tmp_path):
    rules = config["gateway"]["auth"]["rateLimit"] | {"exemptLoopback": False}
    gateway = config["gateway"] | {"auth": {"mode": "password", "password": TOKEN, "rateLimit": rules}}
    async with serving(tmp_path, config | {"gateway": gateway}) as other, aiohttp.ClientSession(other.url) as session:
        assert await status(session, RIGHT) == 200
        assert [await status(session, WRONG) for _ in range(LIMIT + 1)] == [401] * LIMIT + [429]
        assert await status(session, RIGHT) == 429


async def test_a_lock_ends(config, tmp_path):
    rules = {"maxAttempts": 1, "lockoutMs": 400, "exemptLoopback": False, "global": False}
    gateway = config["gateway"] | {"auth": {"mode": "token", "token": TOKEN, "rateLimit": rules}}
    async with serving(tmp_path, config | {"gateway": gateway}) as other, aiohttp.ClientSession(other.url) as session:
        assert [await status(session, WRONG), await status(session, RIGHT)] == [401, 429]
        async with asyncio.timeout(30):
            while await status(session, RIGHT) == 429:
                pass
        assert await status(session, WRONG) == 401
