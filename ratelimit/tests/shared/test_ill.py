"""What may happen to Redis: no caller waits for it, nobody is let in by it, and afterwards all is in step again."""

import asyncio
import time

import pytest

from openclaw_ratelimit import BudgetPolicy, StorageUnavailable, Verdict
from support.instances import PATIENT, POLICY, Instance, until
from support.servers import redis_server
from support.slow import hop

MAX_WAIT = 0.05  # seconds that a caller may wait at most
BUSY = 1.0  # seconds that a busy machine may add; a Redis that is waited for never answers in these tests


async def timed(awaitable):
    began = time.monotonic()
    result = await awaitable
    return result, time.monotonic() - began


def without_waiting(coroutine):
    """Its result; fails if it waits for anything."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise AssertionError("it has waited")


def apart(instances):
    return lambda: not any(one.link.available for one in instances)


def united(instances):
    return lambda: all(one.link.available for one in instances)


async def in_step(instances, keys):
    """All instances and Redis agree about these keys."""
    await until(united(instances))
    await until(lambda: all(len({bool(one.limiter.locked_for(key)) for one in instances}) == 1 for key in keys))


async def test_a_frozen_redis_holds_nobody_up(instances, server):
    await instances[0].failures("locked", 3)
    await until(lambda: all(one.limiter.locked_for("locked") for one in instances))
    server.freeze()
    verdict, seconds = await timed(instances[0].limiter.record_failure("a"))
    assert verdict.allowed
    assert seconds < MAX_WAIT + BUSY
    verdicts = [without_waiting(instances[0].limiter.record_failure("a")) for _ in range(3)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, False]
    assert all(one.limiter.locked_for("locked") for one in instances), "earned locks hold"
    server.thaw()
    await in_step(instances, ["a", "locked"])
    assert all(one.limiter.locked_for("a") for one in instances), "what was decided alone is known to all"


async def test_many_callers_wait_for_a_frozen_redis_once_and_together(instances, server):
    server.freeze()
    began = time.monotonic()
    assert await instances[0].failures("a", 200) == POLICY.max_attempts
    assert time.monotonic() - began < MAX_WAIT + BUSY
    server.thaw()


async def test_while_apart_each_instance_allows_the_limit_and_all_are_locked_afterwards(instances, server):
    await server.stop()
    await until(apart(instances))
    assert [await one.failures("a", 20) for one in instances] == [POLICY.max_attempts] * 3
    await server.start()
    await in_step(instances, ["a"])
    assert all(one.limiter.locked_for("a") for one in instances)
    assert [await one.failures("a", 5) for one in instances] == [0, 0, 0]


async def test_failures_counted_alone_add_up_when_redis_returns(instances, server):
    await server.stop()
    await until(apart(instances))
    assert [await one.failures("a", 1) for one in instances] == [1, 1, 1]
    await server.start()
    await until(lambda: all(one.limiter.locked_for("a") for one in instances))


async def test_each_change_is_reported_once_with_its_reason(instances, server):
    await server.stop()
    await until(apart(instances))
    for one in instances:
        for _ in range(5):
            await one.limiter.record_failure("a")
    await server.start()
    await until(united(instances))
    for one in instances:
        assert [available for available, _ in one.changes] == [True, False, True]
        assert one.changes[1][1]


async def test_a_redis_that_is_not_there_at_start_is_used_when_it_comes(server):
    await server.stop()
    async with Instance(server.url) as one:
        assert [available for available, _ in one.changes] == [False]
        assert await one.failures("a", 5) == POLICY.max_attempts
        await server.start()
        await until(lambda: one.link.available)
        assert await server.ask("ZCARD", "{test}:failures:locks") == 1


@pytest.mark.parametrize("link_settings", [PATIENT])
async def test_a_flush_is_noticed_and_made_good(instances, server):
    await instances[0].failures("locked", 3)
    await instances[1].failures("failed", 2)
    await until(lambda: all(one.limiter.must_ask("failed") and one.limiter.must_ask("locked") for one in instances))
    await server.flush()
    assert all(one.limiter.locked_for("locked") for one in instances)
    await until(lambda: all(len(one.changes) >= 3 and one.link.available for one in instances))
    assert await server.ask("ZCARD", "{test}:failures:locks") == 1
    assert await instances[2].limiter.record_failure("failed") == Verdict(True, 0, POLICY.lockout)


async def test_a_slow_redis_is_not_waited_for(server):
    async with hop(server.port) as network, Instance(f"redis://127.0.0.1:{network.port}") as one:
        assert one.link.available
        network.delay = 2 * BUSY
        verdict, seconds = await timed(one.limiter.record_failure("a"))
        assert verdict.allowed
        assert seconds < MAX_WAIT + BUSY
        network.delay = 0.3
        tried = network.connections
        await until(
            lambda: network.connections >= tried + 3
        )  # it answers, but too late: that must not count as healthy
        assert not one.link.available
        assert without_waiting(one.limiter.record_failure("a")).allowed
        network.delay = 0.0
        await until(lambda: one.link.available)
        assert await one.limiter.record_failure("a") == Verdict(True, 0, POLICY.lockout)


@pytest.mark.parametrize("link_settings", [PATIENT])
async def test_a_redis_without_memory_still_counts_for_all(instances, server):
    await instances[0].failures("locked", 3)
    await server.ask("CONFIG", "SET", "maxmemory", "1")
    assert sum([await one.failures("a", 10) for one in instances]) == POLICY.max_attempts
    assert not (await instances[1].limiter.record_success("locked")).allowed
    async with Instance(server.url, link=PATIENT) as new_instance:
        assert new_instance.limiter.locked_for("a")
        assert new_instance.link.available
    assert all(len(one.changes) == 1 for one in instances)


async def test_a_read_only_redis_is_not_relied_on(instances, server):
    """As a primary is, after a failover, that has become a replica."""
    await instances[0].failures("locked", 3)
    await server.ask("REPLICAOF", "127.0.0.1", "1")
    assert await instances[1].failures("a", 10) == POLICY.max_attempts
    assert not instances[1].link.available
    assert all(one.limiter.locked_for("locked") for one in instances)
    await server.ask("REPLICAOF", "NO", "ONE")
    await in_step(instances, ["a", "locked"])
    assert all(one.limiter.locked_for("a") for one in instances)


async def test_a_redis_that_takes_no_more_connections_is_away(server):
    await server.ask("CONFIG", "SET", "maxclients", "1")
    async with Instance(server.url) as one:
        assert not one.link.available
        assert await one.failures("a", 10) == POLICY.max_attempts
        for _ in range(50):  # `ask` needs the one place that there is
            try:
                await server.ask("CONFIG", "SET", "maxclients", "100")
                break
            except Exception:  # noqa: BLE001  the place was taken in this moment
                await asyncio.sleep(0.02)
        await until(lambda: one.link.available)


@pytest.mark.parametrize("link_settings", [PATIENT])
async def test_lost_scripts_are_loaded_again(instances, server):
    await server.ask("SCRIPT", "FLUSH")
    assert (await instances[0].limiter.record_failure("a")).allowed
    await until(lambda: instances[0].link.available)
    assert (await instances[0].limiter.record_failure("a")).remaining == 1


async def test_an_instance_that_missed_messages_catches_up(instances, server):
    """Its subscription is cut without its noticing: another client's messages come in its place."""
    await instances[0].failures("a", 1)
    await until(lambda: instances[1].limiter.must_ask("a"))
    await server.ask("HINCRBY", "{test}:failures:meta", "published", 5)  # five messages that nobody got
    await instances[0].failures("b", 3)
    await until(lambda: all(len(one.changes) >= 3 and one.link.available for one in instances))
    assert all(one.limiter.locked_for("b") for one in instances)


async def test_messages_lost_at_the_end_are_noticed_by_the_heartbeat(instances, server):
    await server.ask("HINCRBY", "{test}:failures:meta", "published", 5)
    await until(lambda: all(len(one.changes) >= 3 and one.link.available for one in instances))
    assert instances[0].changes[1] == (False, "messages of other instances were lost")


async def test_a_cut_subscription_is_renewed(instances, server):
    await server.ask("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: all(len(one.changes) >= 3 and one.link.available for one in instances))
    await instances[0].failures("a", 3)
    await until(lambda: all(one.limiter.locked_for("a") for one in instances))


async def test_with_while_away_deny_nothing_is_counted_alone(server):
    async with Instance(server.url, link=PATIENT, while_away="deny") as one:
        await one.failures("locked", 3)
        await one.failures("failed", 1)
        await server.stop()
        await until(lambda: not one.link.available)
        with pytest.raises(StorageUnavailable):
            await one.limiter.record_failure("a")
        assert not one.limiter.must_ask("good")
        assert (await one.limiter.record_success("failed")).allowed, "right secrets are let in all the same"
        assert not (await one.limiter.record_failure("locked")).allowed


async def test_closing_ends_what_waits(server):
    one = Instance(server.url)
    await one.link.open()
    server.freeze()
    waiting = asyncio.create_task(one.limiter.record_failure("a"))
    await asyncio.sleep(0)
    await one.link.close()
    assert (await waiting).allowed
    await one.link.client.aclose()
    server.thaw()


async def test_a_failover_to_an_empty_replica_loses_no_lock(tmp_path):
    """The primary dies before it has replicated anything; Sentinels would then point here, as the restart does."""
    async with redis_server(tmp_path) as server, Instance(server.url) as one, Instance(server.url) as other:
        await one.failures("a", 3)
        await until(lambda: other.limiter.locked_for("a"))
        await server.kill()
        await until(apart([one, other]))
        await server.start()  # empty: nothing was stored
        await in_step([one, other], ["a"])
        assert await server.ask("ZCARD", "{test}:failures:locks") == 1


async def test_an_instance_with_many_records_rejoins_over_a_network_with_latency(server):
    """Calls one after the other would take longer than joining may."""
    budget = BudgetPolicy(failures=10**6)
    async with (
        hop(server.port) as network,
        Instance(f"redis://127.0.0.1:{network.port}", link=PATIENT, budget=budget) as one,
        Instance(server.url, link=PATIENT, budget=budget) as other,
    ):
        network.cut()
        await until(lambda: not one.link.available)
        for number in range(3_000):
            await one.limiter.record_failure(f"failed {number}")
            assert one.limiter.succeed_now(f"owner {number}")
        assert await one.failures("locked", 3) == POLICY.max_attempts
        network.delay = 0.003
        network.mend()
        await until(lambda: one.link.available)
        assert await server.ask("HLEN", "{test}:failures:failures") == 3_000
        assert await server.ask("ZCARD", "{test}:failures:known") == 3_000
        await until(lambda: other.limiter.locked_for("locked") and other.limiter.failures("failed 2999"))
