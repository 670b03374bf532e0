"""Limiters of several instances over one real Redis that can be made ill."""

from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from openclaw_ratelimit import BudgetPolicy
from support.instances import Instance
from support.servers import redis_server


@pytest_asyncio.fixture
async def server(tmp_path):
    async with redis_server(tmp_path) as ready:
        yield ready


@pytest.fixture
def budget():
    return None


@pytest.fixture
def link_settings():
    return {}


@pytest_asyncio.fixture
async def instances(server, budget, link_settings):
    """Three of them."""
    async with AsyncExitStack() as stack:
        made = [Instance(server.url, budget=budget, link=link_settings) for _ in range(3)]
        yield [await stack.enter_async_context(one) for one in made]


@pytest.fixture
def small_budget():
    return BudgetPolicy(failures=5)
