"""The instances that share a real Redis see each other, and forget one that has ended."""

import asyncio
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from gateway import instance_sync
from gateway.config.redis_url import parse_redis_url
from gateway.instance_sync import InstanceSync
from gateway.state.connect import close_client, create_client
from openclaw_ratelimit import ReplicationLink
from tests.redis_rights import create_user
from tests.servers import redis_server


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


@pytest_asyncio.fixture
async def server(tmp_path):
    async with redis_server(tmp_path) as ready:
        await create_user(ready, any_key=True)
        yield ready


@pytest_asyncio.fixture
async def start(server):
    """Starts instances as the documented user. Returns the sync and its link."""
    async with AsyncExitStack() as stack:

        async def started(name, generation=1):
            client = create_client(parse_redis_url(server.url.replace("://", "://gateway:SECRET@")))
            stack.push_async_callback(close_client, client)
            link = ReplicationLink(client, name="openclaw", heartbeat=0.05, max_backoff=0.05)
            sync = InstanceSync(link, lambda: generation, own=name)
            await link.open()
            stack.push_async_callback(link.close)
            return sync, link

        yield started


def generations(sync):
    return [one["generation"] for one in sync.instances()]


async def test_each_instance_is_first_in_its_own_list_and_sees_the_others(start):
    first, _ = await start("a", 3)
    assert [one["self"] for one in first.instances()] == [True]
    second, _ = await start("b", 4)
    await until(lambda: generations(first) == [3, 4] and generations(second) == [4, 3])
    assert [one["self"] for one in first.instances()] == [True, False]
    assert set(first.instances()[1]) == {"host", "process", "version", "started_at", "generation", "self"}


async def test_an_instance_that_has_ended_is_forgotten(start, monkeypatch):
    monkeypatch.setattr(instance_sync, "_FORGET_AFTER", 200)
    first, _ = await start("a")
    _, second = await start("b", 2)
    await until(lambda: generations(first) == [1, 2])
    await second.close()
    await until(lambda: generations(first) == [1])


@pytest.mark.parametrize("value", ["nonsense", "99999999999999 not json", "99999999999999 [1]"])
async def test_what_another_program_writes_ends_nothing(start, server, value):
    first, link = await start("a")
    await server.ask("HSET", "{openclaw}:instances", "other", value)
    beats = link.beats
    await until(lambda: link.beats > beats + 2)
    assert generations(first) == [1]
