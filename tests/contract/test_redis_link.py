"""What a silent, a busy and a dead Redis cost those who ask it."""

import asyncio

import pytest
import pytest_asyncio

from gateway.config.redis_url import parse_redis_url
from gateway.core.errors import Unavailable
from gateway.state.connect import close, redis_client
from gateway.state.link import RedisLink, RedisScript, ScriptCall
from support.servers import sentinel
from tests.servers import redis_server

PUT = RedisScript("return redis.call('INCR', KEYS[1])")


@pytest_asyncio.fixture
async def redis(tmp_path):
    async with redis_server(tmp_path) as started:
        yield started


@pytest_asyncio.fixture
async def link(redis):
    client = redis_client(parse_redis_url(redis.url))
    yield RedisLink(client)
    await close(client)


async def seconds(asking):
    """How long it took to be told that nothing is known."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        await asking
    except Unavailable:
        return clock() - began
    raise AssertionError("a silent Redis has answered")


async def test_only_the_first_wait_for_a_redis_that_fell_silent(link, redis):
    assert await link.run(PUT, ["k"]) == 1
    redis.freeze()
    try:
        first = await asyncio.gather(*(seconds(link.run(PUT, ["k"])) for _ in range(100)))
        assert 1.9 < min(first) <= max(first) < 3
        later = [await seconds(link.run(PUT, ["k"])) for _ in range(5)]
        assert max(later) < 1  # 50 ms, on a machine that is busy with something else
        asking = asyncio.create_task(link.run(PUT, ["other"], patient=True))
        await asyncio.sleep(0.3)
    finally:
        redis.thaw()
    assert await asking == 1  # who is patient has had its time
    assert await link.run(PUT, ["other"]) == 2


async def test_a_connection_that_died_unnoticed_costs_nobody_an_error(link, redis):
    await asyncio.gather(*(link.run(PUT, ["k"]) for _ in range(20)))
    await redis.restart()
    assert await link.run(PUT, ["k"]) == 1


async def test_scripts_in_turn_are_run_in_their_order_also_by_a_redis_that_forgot_them(link, redis):
    calls = [
        ScriptCall(PUT, ["k"]),
        ScriptCall(RedisScript("return redis.call('INCRBY', KEYS[1], ARGV[1])"), ["k"], [9]),
    ]
    assert await link.run_in_turn(*calls) == [1, 10]
    assert await link.run_in_turn(*calls) == [11, 20]
    await redis.ask("SCRIPT", "FLUSH")
    assert await link.run_in_turn(*calls) == [21, 30]
    await redis.ask("SET", "k", "no number")
    with pytest.raises(Unavailable):
        await link.run_in_turn(*calls)


async def test_many_at_once_wait_for_a_place_and_are_not_refused_behind_sentinel(tmp_path):
    for name in ("primary", "sentinel"):
        (tmp_path / name).mkdir()
    async with redis_server(tmp_path / "primary") as primary, sentinel(tmp_path / "sentinel", primary) as port:
        client = redis_client(parse_redis_url(f"redis+sentinel://127.0.0.1:{port}/service"))
        link = RedisLink(client)
        answers = await asyncio.gather(*(link.run(PUT, ["k"]) for _ in range(300)))
        assert sorted(answers) == list(range(1, 301))
        await close(client)


async def test_whoever_leaves_takes_nothing_along(link, redis):
    redis.freeze()
    try:
        leaving = [asyncio.create_task(link.run(PUT, ["k"])) for _ in range(100)]
        await asyncio.sleep(0.1)
        for task in leaving:
            task.cancel()
        await asyncio.wait(leaving)
    finally:
        redis.thaw()
    async with asyncio.timeout(10):
        for _ in range(3):
            await asyncio.gather(*(link.run(PUT, ["other"]) for _ in range(100)))
