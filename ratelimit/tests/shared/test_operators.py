"""Unlocking, listing and resetting, at one instance for all of them."""

from contextlib import AsyncExitStack

import pytest

from openclaw_ratelimit import Quota, QuotaPolicy, Refusal, ReplicationLink, Reservation
from support.instances import PATIENT, POLICY, Instance, client, until
from support.servers import redis_server
from support.slow import hop

ALICE = {"identity": "alice"}


@pytest.fixture
def link_settings():
    return PATIENT


async def test_an_unlock_reaches_every_instance_within_a_second(instances):
    await instances[0].failures("a", 3)
    await until(lambda: all(one.limiter.locked_for("a") for one in instances))
    assert await instances[1].limiter.unlock("a")
    await until(lambda: not any(one.limiter.must_ask("a") for one in instances), 1.0)
    assert sum([await one.failures("a", 3) for one in instances]) == POLICY.max_attempts


async def test_an_unlock_without_redis_holds_at_once_here_and_everywhere_when_it_is_back(instances, server):
    await instances[0].failures("a", 3)
    await until(lambda: all(one.limiter.locked_for("a") for one in instances))
    await server.stop()
    await until(lambda: not any(one.link.available for one in instances))
    assert await instances[1].limiter.unlock("a")
    assert not instances[1].limiter.must_ask("a")
    await server.start()
    await until(lambda: all(one.link.available for one in instances))
    await until(lambda: not any(one.limiter.locked_for("a") for one in instances), 1.0)
    assert instances[0].limiter.locked() == []


async def test_an_unlock_survives_an_instance_that_was_away_with_the_lock(server):
    async with (
        hop(server.port) as network,
        Instance(server.url) as near,
        Instance(f"redis://127.0.0.1:{network.port}") as far,
    ):
        await near.failures("a", 3)
        await until(lambda: far.limiter.locked_for("a"))
        network.delay = 0.5
        await far.limiter.record_failure("b")
        await until(lambda: not far.link.available)
        assert await near.limiter.unlock("a")
        assert far.limiter.locked_for("a")
        network.delay = 0.0
        await until(lambda: far.link.available and not far.limiter.locked_for("a"))
        assert not near.limiter.locked_for("a")


async def test_a_lock_that_is_earned_after_an_unlock_holds_to_its_end(server):
    time = [1_000.0]
    clocks = {"clock": lambda: time[0], "server_time": lambda: time[0], "heartbeat": 3_600.0}
    async with Instance(server.url, link=PATIENT | clocks) as one, Instance(server.url, link=PATIENT | clocks) as other:
        await one.failures("a", 3)
        assert await one.limiter.unlock("a")  # releases all locks that end within 300 s
        time[0] += 200.0
        assert await one.failures("a", 3) == POLICY.max_attempts
        time[0] += 150.0  # what was released is over, this lock is not
        await other.failures("b", 1)
        assert await server.ask("ZSCORE", "{test}:failures:locks", "a") is not None
        assert other.limiter.locked_for("a") == pytest.approx(150.0, abs=0.01)


async def test_failures_are_listed_at_every_instance(instances):
    await instances[0].failures("a", 2)
    await until(lambda: all(one.limiter.failures("a") == 2 for one in instances))


async def test_a_reset_reaches_every_instance(server):
    policy = QuotaPolicy("each", "requests", 2, per=("identity",))
    async with client(server) as one, client(server) as two:
        links = [ReplicationLink(each, name="test", heartbeat=0.05) for each in (one, two)]
        quotas = [Quota([policy], link=link) for link in links]
        async with links[0], links[1]:
            assert [type(await quotas[0].reserve(ALICE)) for _ in range(3)] == [Reservation, Reservation, Refusal]
            await quotas[1].reset(ALICE)
            assert [type(await quotas[0].reserve(ALICE)) for _ in range(3)] == [Reservation, Reservation, Refusal]
            await server.stop()
            await until(lambda: not links[0].available and not links[1].available)
            assert isinstance(await quotas[0].reserve(ALICE), Refusal)
            await quotas[0].reset(ALICE)
            assert isinstance(await quotas[0].reserve(ALICE), Reservation)


@pytest.mark.parametrize("on_disk", ["yes", "no"])
async def test_failures_forgotten_while_redis_is_away_are_forgotten_everywhere_when_it_is_back(tmp_path, on_disk):
    async with (
        redis_server(tmp_path, appendonly=on_disk, appendfsync="always") as server,
        Instance(server.url, link=PATIENT) as one,
        Instance(server.url, link=PATIENT) as other,
    ):
        await one.failures("a", 2)
        await until(lambda: other.limiter.failures("a") == 2)
        await server.stop()
        await until(lambda: not one.link.available and not other.link.available)
        assert await other.limiter.unlock("a")
        await server.start()
        await until(lambda: one.link.available and other.link.available)
        await until(lambda: not one.limiter.failures("a") and not other.limiter.failures("a"), 1.0)
        assert await one.failures("a", 9) == POLICY.max_attempts


async def test_an_unlock_at_each_instance_holds_at_each_at_once_while_redis_is_away(tmp_path):
    """And the lock that Redis still has on its disk does not come back with it."""
    async with redis_server(tmp_path, appendonly="yes", appendfsync="always") as server, AsyncExitStack() as stack:
        made = [Instance(server.url, link=PATIENT) for _ in range(3)]
        instances = [await stack.enter_async_context(one) for one in made]
        await instances[0].failures("a", 3)
        await until(lambda: all(one.limiter.locked_for("a") for one in instances))
        await server.stop()
        await until(lambda: not any(one.link.available for one in instances))
        for one in instances:
            assert await one.limiter.unlock("a")
            assert not one.limiter.must_ask("a")
        await server.start()
        await until(lambda: all(one.link.available for one in instances))
        assert not any(one.limiter.locked_for("a") for one in instances)
        async with Instance(server.url, link=PATIENT) as new:
            assert not new.limiter.must_ask("a")


async def test_an_unlock_by_an_instance_that_ends_before_redis_is_back_is_its_own(server):
    """Nobody else can know of it: the lock holds at the others until it ends."""
    async with Instance(server.url, link=PATIENT) as other:
        async with Instance(server.url, link=PATIENT) as one:
            await one.failures("a", 3)
            await until(lambda: other.limiter.locked_for("a"))
            await server.stop()
            await until(lambda: not one.link.available and not other.link.available)
            assert await one.limiter.unlock("a")
            assert not one.limiter.locked_for("a")
        await server.start()
        await until(lambda: other.link.available)
        assert other.limiter.locked_for("a") == pytest.approx(POLICY.lockout, abs=30)


@pytest.mark.parametrize("first", [0, 1, 2])
async def test_an_unlock_without_redis_holds_whichever_instance_reconnects_first(server, first):
    async with AsyncExitStack() as stack:
        hops = [await stack.enter_async_context(hop(server.port)) for _ in range(3)]
        made = [Instance(f"redis://127.0.0.1:{one.port}", link=PATIENT) for one in hops]
        instances = [await stack.enter_async_context(one) for one in made]
        await instances[0].failures("a", 3)
        await until(lambda: all(one.limiter.locked_for("a") for one in instances))
        for one in hops:
            one.cut()
        await until(lambda: not any(one.link.available for one in instances))
        await server.flush()
        assert await instances[1].limiter.unlock("a")
        for number in (first, (first + 1) % 3, (first + 2) % 3):
            hops[number].mend()
            await until(lambda number=number: instances[number].link.available)
        await until(lambda: not any(one.limiter.locked_for("a") for one in instances), 1.0)
        assert sum([await one.failures("a", 3) for one in instances]) == POLICY.max_attempts


@pytest.mark.parametrize("on_disk", ["yes", "no"])
async def test_a_release_that_is_heard_late_from_an_instance_that_has_ended_reaches_redis_and_all_others(
    tmp_path, on_disk
):
    async with (
        redis_server(tmp_path, appendonly=on_disk, appendfsync="always") as server,
        Instance(server.url, link=PATIENT) as one,
        Instance(server.url, link=PATIENT) as other,
    ):
        await one.failures("a", 3)
        await until(lambda: other.limiter.locked_for("a"))
        await server.stop()
        await until(lambda: not one.link.available and not other.link.available)
        await server.start()
        await until(lambda: one.link.available and other.link.available)
        assert one.limiter.locked_for("a")
        assert other.limiter.locked_for("a")
        one.limiter.release_as_of("a", 0.0)
        assert not one.limiter.locked_for("a")
        await until(lambda: not other.limiter.locked_for("a"), 2.0)
        async with Instance(server.url, link=PATIENT) as new:
            assert not new.limiter.must_ask("a")
        assert sum([await each.failures("a", 3) for each in (one, other)]) == POLICY.max_attempts
