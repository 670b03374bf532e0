"""The cost of a Redis that does not answer, is busy or has restarted."""

import asyncio

import pytest
import pytest_asyncio

from gateway.config.redis_url import parse_redis_url
from gateway.core.errors import Unavailable
from gateway.state.redis_client import ScriptCall, open_redis
from gateway.state.script import Script
from support.servers import sentinel
from tests.servers import redis_server

PUT = Script("return redis.call('INCR', KEYS[1])")


@pytest_asyncio.fixture
async def redis(tmp_path):
    async with redis_server(tmp_path) as started:
        yield started


@pytest_asyncio.fixture
async def client(redis):
    async with open_redis(parse_redis_url(redis.url)) as ready:
        yield ready


async def seconds_to_failure(call):
    """The seconds until the call raised Unavailable."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        await call
    except Unavailable:
        return clock() - began
    raise AssertionError("a frozen Redis has answered")


async def test_only_the_first_calls_wait_for_a_redis_that_stops_answering(client, redis):
    assert await client.run_script(PUT, ["k"]) == 1
    redis.freeze()
    try:
        first = await asyncio.gather(*(seconds_to_failure(client.run_script(PUT, ["k"])) for _ in range(100)))
        assert 1.9 < min(first) <= max(first) < 3
        later = [await seconds_to_failure(client.run_script(PUT, ["k"])) for _ in range(5)]
        assert max(later) < 1  # 50 ms, and an allowance for a busy machine
        call = asyncio.create_task(client.run_script(PUT, ["other"], full_timeout=True))
        await asyncio.sleep(0.3)
    finally:
        redis.thaw()
    assert await call == 1
    assert await client.run_script(PUT, ["other"]) == 2


async def test_a_dead_idle_connection_causes_no_error(client, redis):
    await asyncio.gather(*(client.run_script(PUT, ["k"]) for _ in range(20)))
    await redis.restart()
    assert await client.run_script(PUT, ["k"]) == 1


async def test_scripts_run_in_order_even_if_redis_has_flushed_them(client, redis):
    calls = [
        ScriptCall(PUT, ["k"]),
        ScriptCall(Script("return redis.call('INCRBY', KEYS[1], ARGV[1])"), ["k"], [9]),
    ]
    assert await client.run_scripts(*calls) == [1, 10]
    assert await client.run_scripts(*calls) == [11, 20]
    await redis.ask("SCRIPT", "FLUSH")
    assert await client.run_scripts(*calls) == [21, 30]
    await redis.ask("SET", "k", "no number")
    with pytest.raises(Unavailable):
        await client.run_scripts(*calls)


async def test_concurrent_calls_wait_for_a_slot_and_none_fails_behind_sentinel(tmp_path):
    for name in ("primary", "sentinel"):
        (tmp_path / name).mkdir()
    async with (
        redis_server(tmp_path / "primary") as primary,
        sentinel(tmp_path / "sentinel", primary) as port,
        open_redis(parse_redis_url(f"redis+sentinel://127.0.0.1:{port}/service")) as client,
    ):
        results = await asyncio.gather(*(client.run_script(PUT, ["k"]) for _ in range(300)))
        assert sorted(results) == list(range(1, 301))


async def test_a_cancelled_call_frees_its_slot(client, redis):
    redis.freeze()
    try:
        cancelled = [asyncio.create_task(client.run_script(PUT, ["k"])) for _ in range(100)]
        await asyncio.sleep(0.1)
        for task in cancelled:
            task.cancel()
    finally:
        redis.thaw()
    await asyncio.wait(cancelled)
    assert all(task.cancelled() for task in cancelled)
    async with asyncio.timeout(10):
        for _ in range(3):
            await asyncio.gather(*(client.run_script(PUT, ["other"]) for _ in range(100)))
