"""Budgets over real connections: three gateways that share a real Redis, and one that is killed and started again."""

import asyncio
import itertools
import signal
import sqlite3
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from tests.e2e.conftest import TOKEN
from tests.e2e.process import serving
from tests.servers import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUDGET = 100_000
PROMPT = 10  # tokens: forty letters at four bytes a token
CHAT = "/v1/chat/completions"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def config(config):
    config["gateway"]["budgets"] = [
        {"name": "fixed", "per": ["model"], "models": ["fake/budget*"], "tokens": BUDGET, "window": "day"},
        {"name": "money", "per": ["model"], "models": ["fake/money*"], "usd": 10, "window": "day"},
    ]
    cost = {"input": 100, "output": 100}  # dollars per million tokens, so that ten of them buy BUDGET tokens
    config["models"]["providers"]["fake"]["models"] = [{"id": "money", "cost": cost}]
    return config


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clients(config, tmp_path_factory):
    """Clients of three gateways on one Redis."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server(tmp_path_factory.mktemp("redis")))
        shared = config | {"gateway": config["gateway"] | {"redis": {"url": redis.url}}}
        gateways = [
            await stack.enter_async_context(serving(tmp_path_factory.mktemp("state"), shared)) for _ in range(3)
        ]
        yield [
            await stack.enter_async_context(
                aiohttp.ClientSession(one.url, headers=HEADERS, connector=aiohttp.TCPConnector(limit=0))
            )
            for one in gateways
        ]


class Billing:
    """An answer that bills the whole prompt and a part of the largest answer, and adds up what it has billed."""

    def __init__(self, part=lambda: 1.0):
        self.billed = 0
        self._part = part

    async def __call__(self, _request, model):
        max_tokens = model.asked[-1].body["max_tokens"]
        answered = max(1, int(max_tokens * self._part()))
        self.billed += PROMPT + answered
        await asyncio.sleep(0.01)
        usage = {"prompt_tokens": PROMPT, "completion_tokens": answered, "total_tokens": PROMPT + answered}
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        return web.json_response({"object": "chat.completion", "choices": [choice], "usage": usage})


async def ask(client, model, max_tokens):
    body = {"messages": [{"role": "user", "content": "x" * 4 * PROMPT}], "max_tokens": max_tokens}
    async with client.post(CHAT, json=body, headers=model.chosen) as response:
        return response.status, dict(response.headers), await response.json()


@pytest.mark.parametrize("name", ["budget-full", "money"])
async def test_200_requests_at_once_at_99_percent_overspend_nothing(clients, provider, name):
    billing = Billing()
    model = provider.model(billing, name)
    assert (await ask(clients[0], model, BUDGET * 99 // 100 - PROMPT))[0] == 200
    assert billing.billed == BUDGET * 99 // 100
    answers = await asyncio.gather(*(ask(clients[number % 3], model, 100 - PROMPT) for number in range(200)))
    statuses = [status for status, _, _ in answers]
    assert (statuses.count(200), statuses.count(429)) == (10, 190)
    assert billing.billed == BUDGET
    _, headers, body = next(answer for answer in answers if answer[0] == 429)
    assert body["error"]["type"] == body["error"]["code"] == "budget_exceeded"
    assert "It opens again at 20" in body["error"]["message"]
    assert 86_000 < int(headers["Retry-After"]) <= 2 * 86_400


async def test_every_instance_shows_the_same_use_of_a_budget(clients, provider):
    model = provider.model(Billing(), "budget-shown")
    for number, client in enumerate(clients):
        assert (await ask(client, model, 100 * (number + 1) - PROMPT))[0] == 200
    for client in clients:
        async with client.get("/api/v1/budgets?name=fixed-budget&model=fake/budget-shown") as response:
            (shown,) = (await response.json())["data"]
        assert (shown["used"], shown["reserved"], shown["remaining"]) == (600, 0, BUDGET - 600)


async def test_what_answers_did_not_take_is_there_for_others(clients, provider):
    parts = itertools.cycle((0.0, 0.9, 0.3, 1.0, 0.6))
    billing = Billing(lambda: next(parts))
    model = provider.model(billing, "budget-part")
    assert (await ask(clients[0], model, BUDGET - PROMPT))[0] == 200
    left = BUDGET - billing.billed
    for _ in range(20):
        await asyncio.gather(*(ask(clients[number % 3], model, left // 10) for number in range(12)))
    assert billing.billed <= BUDGET
    assert billing.billed > BUDGET - 2 * (left // 10)


async def test_a_request_that_could_never_fit_is_refused_for_good(clients, provider):
    model = provider.model(Billing(), "budget-large")
    status, headers, body = await ask(clients[0], model, BUDGET)
    assert (status, body["error"]["code"], "Retry-After" in headers) == (400, "budget_exceeded", False)
    assert "max_tokens" in body["error"]["message"]
    assert model.asked == []


async def until_stored(state: Path) -> None:
    """Wait until the gateway has written what was used of its budgets."""
    async with asyncio.timeout(20):
        while True:
            for file in state.rglob("gateway.sqlite"):
                with closing(sqlite3.connect(file)) as database, suppress(sqlite3.OperationalError):  # not made yet
                    if database.execute("SELECT 1 FROM budget_windows WHERE current > 0").fetchone():
                        return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_budget_outlives_a_gateway_without_redis(config, tmp_path, provider, number):
    model = provider.model(Billing(), f"budget-alone-{number.value}")
    async with serving(tmp_path, config) as gateway, aiohttp.ClientSession(gateway.url, headers=HEADERS) as client:
        assert (await ask(client, model, BUDGET - 2 * PROMPT))[0] == 200
        if number is signal.SIGKILL:
            await until_stored(tmp_path)  # what a killed process has spent in its last second is lost
        gateway.process.signal(number)
        await gateway.process.ended()
    async with serving(tmp_path, config) as gateway, aiohttp.ClientSession(gateway.url, headers=HEADERS) as client:
        status, _, body = await ask(client, model, 100)
        assert (status, body["error"]["code"]) == (429, "budget_exceeded")
