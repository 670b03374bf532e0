"""Limiters of several instances over one real Redis that can be made ill."""

import asyncio
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from gateway.config.redis_url import parse_redis_url
from gateway.state.connect import close_client, create_client
from ratelimit import FAILURES, BudgetPolicy, FailureLimiter, Link, LockoutPolicy
from tests.servers import redis_server

POLICY = LockoutPolicy(max_attempts=3, window=60.0, lockout=300.0)


class Instance:
    """One instance's limiter, and what its link has told."""

    def __init__(self, url, *, budget=None, policy=POLICY, **options):
        self.told = []
        self.link = Link(
            create_client(parse_redis_url(url)),
            name="test",
            scripts=(FAILURES,),
            told=lambda available, reason: self.told.append((available, reason)),
            pulse=0.2,
            longest_pause=0.2,
        )
        self.limiter = FailureLimiter(policy, budget=budget, link=self.link, **options)

    async def failures(self, key, count):
        """How many of so many failures at once were allowed to be told."""
        verdicts = await asyncio.gather(*(self.limiter.record_failure(key) for _ in range(count)))
        return sum(verdict.allowed for verdict in verdicts)

    async def __aenter__(self):
        await self.link.open()
        return self

    async def __aexit__(self, *_):
        await self.link.close()
        await close_client(self.link.client)


async def until(condition, seconds=10.0):
    """Wait for it to become true; fails when it doesn't."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


@pytest_asyncio.fixture
async def server(tmp_path):
    async with redis_server(tmp_path) as ready:
        yield ready


@pytest.fixture
def budget():
    return None


@pytest_asyncio.fixture
async def instances(server, budget):
    """Three of them."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Instance(server.url, budget=budget)) for _ in range(3)]


@pytest.fixture
def small_budget():
    return BudgetPolicy(failures=5)
