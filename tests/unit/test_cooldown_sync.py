"""Cooldowns that two instances share over a real Redis."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from gateway.config.redis_url import parse_redis_url
from gateway.cooldown_sync import COOLDOWNS, CooldownSync
from gateway.core.upstream_error import UpstreamError, UpstreamKind
from gateway.runs.candidate_cooldown import Entry
from gateway.runs.cooldowns import CooldownPolicy, Cooldowns, Failure
from gateway.runs.failover import RULES
from gateway.runs.trace import RunTrace
from gateway.state.connect import close_client, create_client
from openclaw_ratelimit import ReplicationLink
from tests.servers import redis_server

UNIT = "http://p/v1#0123456789abcdef a"
OTHER = "http://p/v1#0123456789abcdef b"
MAX_WAIT = 5.0


def run(client=""):
    return RunTrace("main", lambda: 0.0, client)


@pytest_asyncio.fixture
async def server(tmp_path):
    async with redis_server(tmp_path) as ready:
        yield ready


@pytest_asyncio.fixture
async def instance(server):
    """Starts instances. Returns their cooldowns, with the link as `link`."""
    async with AsyncExitStack() as stack:

        async def start(seconds=30.0):
            client = create_client(parse_redis_url(server.url))
            stack.push_async_callback(close_client, client)
            clock = asyncio.get_running_loop().time
            cooldowns = Cooldowns(CooldownPolicy(seconds=seconds, max_seconds=60.0), clock=clock)
            cooldowns.link = ReplicationLink(client, name="test", heartbeat=0.05, max_backoff=0.05)
            CooldownSync(cooldowns.link, cooldowns)
            await cooldowns.link.open()
            stack.push_async_callback(cooldowns.link.close)
            return cooldowns

        yield start


def fail(cooldowns, kind=UpstreamKind.SERVER_ERROR, unit=UNIT, client=""):
    for _ in range(3):
        failure = Failure(UpstreamError(kind, "words for one client"), 3, shared=RULES[kind].shared)
        cooldowns.failed(unit, failure, Entry.FREE, run(client))


async def until(condition):
    async with asyncio.timeout(MAX_WAIT):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_cooldown_that_begins_in_one_instance_holds_in_the_others_and_ends_with_it(instance):
    first, second = await instance(), await instance()
    fail(first)
    began = asyncio.get_running_loop().time()
    await until(lambda: second.enter(UNIT, run()) is Entry.COOLING)
    assert asyncio.get_running_loop().time() - began < 1.0
    assert second._entries[UNIT].until > first._entries[UNIT].until, "the instance that found out makes the probe"
    first.answered(UNIT, run())
    await until(lambda: second.enter(UNIT, run()) is Entry.FREE)
    assert second.all_closed


async def test_no_text_of_a_client_and_no_key_is_shared(instance, server):
    first = await instance()
    fail(first)
    await first.link.ask(COOLDOWNS, [first.link.key("cooldowns")], ["list"])
    stored = await server.ask("HGETALL", first.link.key("cooldowns"))
    assert "words for one client" not in str(stored)
    (value,) = stored.values()
    fields = json.loads(value.partition(" cooldown ")[2])
    assert set(fields) == {"from", "unit", "seconds", "kind", "client"}


async def test_a_cooldown_of_one_client_holds_for_that_client_in_the_others_and_does_not_name_it(instance, server):
    first, second = await instance(), await instance()
    fail(first, client="user:alice")
    await until(lambda: second.enter(UNIT, run("user:alice")) is Entry.COOLING)
    assert second.enter(UNIT, run("user:bob")) is Entry.PROBE
    await first.link.ask(COOLDOWNS, [first.link.key("cooldowns")], ["list"])
    assert "alice" not in str(await server.ask("HGETALL", first.link.key("cooldowns")))


async def test_local_failures_are_not_shared(instance):
    first, second = await instance(), await instance()
    own = [kind for kind, rule in RULES.items() if not rule.shared]
    for kind in own:
        fail(first, kind, unit=kind.value)
    fail(first)
    await until(lambda: second.enter(UNIT, run()) is Entry.COOLING)
    assert [second.enter(kind.value, run()) for kind in own] == [Entry.FREE] * len(own)


async def test_a_refused_key_that_another_version_publishes_is_ignored(instance, server):
    first = await instance()
    message = json.dumps({"from": "x", "unit": UNIT, "seconds": 60, "kind": "auth"})
    await server.ask("PUBLISH", first.link.channel, f"cooldown {message}")
    message = json.dumps({"from": "x", "unit": OTHER, "seconds": 60, "kind": "timeout"})
    await server.ask("PUBLISH", first.link.channel, f"cooldown {message}")
    await until(lambda: first.enter(OTHER, run()) is Entry.COOLING)
    assert first.enter(UNIT, run()) is Entry.FREE


async def test_a_later_instance_reads_the_current_cooldowns(instance):
    first = await instance()
    fail(first)
    fail(first, unit=OTHER)
    first.answered(OTHER, run())
    await first.link.ask(COOLDOWNS, [first.link.key("cooldowns")], ["list"])
    late = await instance()
    assert late.enter(UNIT, run()) is Entry.COOLING
    assert late.enter(OTHER, run()) is Entry.FREE
    assert 20.0 < late._entries[UNIT].until - asyncio.get_running_loop().time() <= 33.0


async def test_cooldowns_that_have_ended_are_forgotten_in_redis(instance, server):
    first = await instance(seconds=0.05)
    fail(first)
    key = first.link.key("cooldowns")
    assert len(await first.link.ask(COOLDOWNS, [key], ["list"])) == 2
    async with asyncio.timeout(MAX_WAIT):
        while await first.link.ask(COOLDOWNS, [key], ["list"]):
            await asyncio.sleep(0.01)
    assert await server.ask("HLEN", key) == 0


async def test_without_redis_every_instance_continues_alone(instance, server):
    first, second = await instance(), await instance()
    await server.kill()
    await until(lambda: not first.link.available and not second.link.available)
    fail(first)
    assert first.enter(UNIT, run()) is Entry.COOLING
    assert second.enter(UNIT, run()) is Entry.FREE
    await server.restart()
    await until(lambda: first.link.available and second.link.available)
    first.answered(UNIT, run())
    fail(first)
    await until(lambda: second.enter(UNIT, run()) is Entry.COOLING)


@pytest.mark.parametrize(
    "message",
    [
        "cooldown",
        "cooldown {}",
        "cooldown []",
        'cooldown {"unit":1}',
        "cooldown ÿ",
        "token 1 2 3 4 5",
        f'cooldown {{"from":"x","unit":"{"u" * 2000}","seconds":5,"kind":"timeout"}}',
    ],
)
async def test_unknown_messages_of_another_version_are_ignored(instance, server, message):
    first = await instance()
    await server.ask("PUBLISH", first.link.channel, message)
    other = await instance()
    fail(other)
    await until(lambda: first.enter(UNIT, run()) is Entry.COOLING)
    assert list(first._entries) == [UNIT]
    assert first.link.available


async def test_redis_is_not_asked_without_failures(instance, server):
    first = await instance()
    before = await server.ask("INFO", "commandstats")
    for _ in range(100):
        assert first.enter(UNIT, run()) is Entry.FREE
        first.succeeded(UNIT, run())
    after = await server.ask("INFO", "commandstats")

    def calls(stats):
        return stats["cmdstat_evalsha"]["calls"]

    # On a busy machine, a regular call of the instance may fall in between.
    assert 0 < calls(before) <= calls(after) < calls(before) + 10
