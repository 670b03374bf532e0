"""Two instances and a real Redis: what one has found out about a model, the other knows."""

import asyncio
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from gateway.agents.circuit import CircuitPolicy, Circuits, Entry
from gateway.config.redis_url import parse_redis_url
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.rests import RESTS, SharedRests
from gateway.state.connect import close, redis_client
from openclaw_ratelimit import ReplicationLink
from tests.servers import redis_server

NAME = "p/a#apiKey"
OUTAGE = UpstreamError(UpstreamKind.SERVER_ERROR, "oh 🦞")
PATIENCE = 5.0


@pytest_asyncio.fixture
async def server(tmp_path):
    async with redis_server(tmp_path) as ready:
        yield ready


@pytest_asyncio.fixture
async def instance(server):
    """Starts instances: their circuits, with the link as `link`."""
    async with AsyncExitStack() as stack:

        async def start(rest=30.0):
            client = redis_client(parse_redis_url(server.url))
            stack.push_async_callback(close, client)
            circuits = Circuits(CircuitPolicy(rest=rest), clock=asyncio.get_running_loop().time)
            circuits.link = ReplicationLink(client, name="test", heartbeat=0.05, max_backoff=0.05)
            SharedRests(circuits.link, circuits)
            await circuits.link.open()
            stack.push_async_callback(circuits.link.close)
            return circuits

        yield start


def fail(circuits, error=OUTAGE):
    for _ in range(3):
        circuits.failed(NAME, error, Entry.FREE, at_once=False)


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_rest_that_one_instance_begins_holds_in_the_others_and_ends_with_it(instance):
    first, second = await instance(), await instance()
    fail(first)
    began = asyncio.get_running_loop().time()
    await until(lambda: second.enter(NAME) is Entry.RESTING)
    assert asyncio.get_running_loop().time() - began < 1.0
    assert second.ends(NAME) > first.ends(NAME), "who found out first makes the probe"
    assert "oh 🦞" in second.refusal(NAME).message
    first.answered(NAME)
    await until(lambda: second.enter(NAME) is Entry.FREE)
    assert second.quiet


async def test_an_instance_that_starts_later_knows_the_rests_that_last(instance):
    first = await instance()
    fail(first)
    other = "p/b#apiKey"
    first.failed(other, UpstreamError(UpstreamKind.AUTH, "bad key"), Entry.FREE, at_once=True)
    first.answered(other)
    await first.link.ask(RESTS, [first.link.key("rests")], ["list"])
    late = await instance()
    assert late.enter(NAME) is Entry.RESTING
    assert late.enter(other) is Entry.FREE
    assert 20.0 < late.ends(NAME) - asyncio.get_running_loop().time() <= 33.0


async def test_rests_that_have_ended_are_forgotten_in_redis(instance, server):
    first = await instance(rest=0.05)
    fail(first)
    key = first.link.key("rests")
    assert len(await first.link.ask(RESTS, [key], ["list"])) == 2
    async with asyncio.timeout(PATIENCE):
        while await first.link.ask(RESTS, [key], ["list"]):
            await asyncio.sleep(0.01)
    assert await server.ask("HLEN", key) == 0


async def test_without_redis_every_instance_goes_on_by_itself(instance, server):
    first, second = await instance(), await instance()
    await server.kill()
    await until(lambda: not first.link.available and not second.link.available)
    fail(first)
    assert first.enter(NAME) is Entry.RESTING
    assert second.enter(NAME) is Entry.FREE
    await server.restart()
    await until(lambda: first.link.available and second.link.available)
    first.answered(NAME)
    fail(first)
    await until(lambda: second.enter(NAME) is Entry.RESTING)


@pytest.mark.parametrize("message", ["rest", "rest {}", "rest []", 'rest {"name":1}', "rest \xff", "token 1 2 3 4 5"])
async def test_what_another_version_says_is_passed_over(instance, server, message):
    first = await instance()
    await server.ask("PUBLISH", first.link.channel, message)
    other = await instance()
    fail(other)
    await until(lambda: first.enter(NAME) is Entry.RESTING)
    assert first.link.available


async def test_redis_is_not_asked_while_nobody_fails(instance, server):
    first = await instance()
    before = await server.ask("INFO", "commandstats")
    for _ in range(100):
        assert first.enter(NAME) is Entry.FREE
        first.succeeded(NAME)
    after = await server.ask("INFO", "commandstats")

    def calls(stats):
        return {name: one["calls"] for name, one in stats.items() if name == "cmdstat_evalsha"}

    assert calls(after) == calls(before) != {}
