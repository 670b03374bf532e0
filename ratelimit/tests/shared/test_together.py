"""Several instances, one real Redis: they act as one."""

import asyncio
import time

import pytest

from openclaw_ratelimit import BudgetPolicy, LockoutPolicy, Verdict
from support.instances import PATIENT, POLICY, Instance, until


async def test_of_five_hundred_failures_everywhere_at_once_exactly_the_limit_is_allowed(instances):
    allowed = await asyncio.gather(*(one.failures("a", 170) for one in instances))
    assert sum(allowed) == POLICY.max_attempts


async def test_a_lock_reaches_every_instance_within_a_tenth_of_a_second(instances):
    took = []
    for key in ("b", "c", "d", "e", "a"):
        await instances[0].failures(key, POLICY.max_attempts)
        began = time.monotonic()
        await until(lambda key=key: all(one.limiter.locked_for(key) for one in instances))
        took.append(time.monotonic() - began)
    assert min(took) < 0.1, "each of them, if the machine has nothing else to do"
    for one in instances:
        assert one.limiter.locked_for("a") == pytest.approx(POLICY.lockout, abs=0.2)
        assert not (await one.limiter.record_success("a")).allowed


async def scripts_run(server):
    """By all instances; each runs two at each heartbeat."""
    stats = await server.ask("INFO", "commandstats")
    return stats.get("cmdstat_evalsha", {"calls": 0})["calls"]


async def test_the_good_path_asks_redis_nothing(instances, server):
    one = instances[0].limiter
    before = await scripts_run(server)
    for _ in range(1000):
        assert one.succeed_now("a")
    assert await scripts_run(server) - before <= 2 * 3  # the heartbeats of three instances


async def test_a_failure_is_one_step_in_redis_and_one_of_a_locked_key_none(server):
    async with Instance(server.url, link=PATIENT | {"heartbeat": 3_600.0}) as one:
        before = await scripts_run(server)
        for number in range(100):
            await one.limiter.record_failure(f"key {number}")
        assert await scripts_run(server) - before == 100
        await one.failures("key 0", 2)
        for _ in range(50):
            assert not (await one.limiter.record_failure("key 0")).allowed
        assert await scripts_run(server) - before == 102


async def test_a_success_anywhere_forgets_the_failures_everywhere(instances):
    await instances[0].failures("a", 2)
    await until(lambda: instances[1].limiter.must_ask("a"))
    assert (await instances[1].limiter.record_success("a")).allowed
    await until(lambda: not any(one.limiter.must_ask("a") for one in instances))
    assert await instances[2].limiter.record_failure("a") == Verdict(True, 2, 0.0)


async def test_a_right_secret_in_a_burst_of_wrong_ones_is_judged_in_its_turn(instances):
    limiter = instances[0].limiter
    guesses = [asyncio.create_task(limiter.record_failure("a")) for _ in range(POLICY.max_attempts)]
    await asyncio.sleep(0)  # the guesses are on their way, and nothing is known of them yet
    assert limiter.must_ask("a")
    assert not (await limiter.record_success("a")).allowed
    assert all(verdict.allowed for verdict in await asyncio.gather(*guesses))


@pytest.mark.parametrize("budget", [BudgetPolicy(failures=5)])
async def test_everybodys_failures_count_together(instances):
    assert instances[0].limiter.succeed_now("owner")
    allowed = 0
    for number in range(30):
        allowed += await instances[number % 3].failures(f"address {number}", 1)
    assert allowed == 2 * 5  # the budget, and as many attempts of unknown keys
    await until(lambda: all(one.limiter.must_ask("unknown") for one in instances))
    assert not any(one.limiter.must_ask("owner") for one in instances), "who was let in at one is known to all"


async def test_locks_and_failures_outlive_every_instance(server):
    async with Instance(server.url) as first:
        await first.failures("locked", 3)
        await first.failures("failed", 2)
    async with Instance(server.url) as second:
        assert second.limiter.locked_for("locked") == pytest.approx(POLICY.lockout, abs=1.0)
        assert second.limiter.must_ask("failed")
        assert await second.limiter.record_failure("failed") == Verdict(True, 0, POLICY.lockout)


async def test_an_edited_policy_keeps_failures_and_earned_locks(server):
    async with Instance(server.url) as before:
        await before.failures("locked", 3)
        await before.failures("failed", 2)
    stricter = LockoutPolicy(max_attempts=3, window=30.0, lockout=10.0)
    async with Instance(server.url, policy=stricter) as after:
        assert after.limiter.locked_for("locked") == pytest.approx(POLICY.lockout, abs=1.0)
        assert await after.limiter.record_failure("failed") == Verdict(True, 0, 10.0)


async def test_nothing_is_left_behind_for_ever(instances, server):
    await instances[0].failures("a", 2)
    await instances[0].failures("b", 3)
    await asyncio.wait_for(instances[0].link._peers.beat(instances[0].link.ask), 1)
    for key in await server.ask("KEYS", "*"):
        assert await server.ask("PTTL", key) > 0


async def test_the_table_is_bounded_in_redis_too(server):
    async with Instance(server.url, capacity=50) as one:
        await one.failures("locked", 3)
        for number in range(200):
            await one.limiter.record_failure(f"address {number}")
        assert await server.ask("HLEN", "{test}:failures:failures") == 49
        assert one.limiter.locked_for("locked") > 0
        assert len(one.limiter) <= 50
