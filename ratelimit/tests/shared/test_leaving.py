"""Callers that leave at any moment, and instances that die, leave nothing taken."""

import asyncio
import os
import random
import signal
import subprocess
import sys

import pytest
import redis.asyncio

from openclaw_ratelimit import (
    FailureLimiter,
    LockoutPolicy,
    Quota,
    QuotaPolicy,
    Refusal,
    ReplicationLink,
    Reservation,
    Script,
    StorageUnavailable,
)
from openclaw_ratelimit.failure_replica import FailureReplica
from support.instances import NEVER, Instance, until

PATIENT = {"name": "test", "max_wait": 5.0, "heartbeat": 0.1}
POLICIES = (
    QuotaPolicy("requests", "requests", 100_000),
    QuotaPolicy("tokens", "tokens", 10_000_000),
    QuotaPolicy("runs", "runs", 5_000),
)
TIMES = 2_000


async def left_at_random(make, times=TIMES):
    """Start many at once, each of which is cancelled after a few turns of the loop or not at all."""
    turns = random.Random(7)  # noqa: S311
    for _ in range(0, times, 50):
        tasks = [asyncio.ensure_future(make()) for _ in range(50)]
        for task in tasks:
            for _ in range(turns.choice((0, 0, 0, 1, 3))):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def quota_of(link, **options):
    return Quota(POLICIES, link=link, **options)


async def left_over(quota):
    """What one more reservation finds: requests, tokens and runs, itself not counted."""
    async with quota.reserve({}, 1) as reserved:
        amounts = [status.policy.amount - status.remaining for status in reserved.statuses]
    return [taken - 1 for taken in amounts]


async def test_cancelled_reservations_leave_nothing_taken_over_redis(server):
    async with redis.asyncio.Redis(port=server.port, retry=NEVER) as client:
        link = ReplicationLink(client, **PATIENT)
        quota = quota_of(link)

        async def work():
            async with quota.reserve({}, 1_000):
                await asyncio.sleep(3_600)

        async with link:
            await left_at_random(work)
            for _ in range(3):  # what was sent, what was sent because of its answer
                await link.ask(Script("return 1"), [], [])
            assert await left_over(quota) == [0, 0, 0]
            assert link.available


async def test_cancelled_reservations_leave_nothing_taken_in_a_process():
    quota = Quota(POLICIES)

    async def work():
        async with quota.reserve({}, 1_000):
            await asyncio.sleep(3_600)

    await left_at_random(work)
    assert await left_over(quota) == [0, 0, 0]


async def test_cancelled_logins_leave_no_place_taken(server):
    async with redis.asyncio.Redis(port=server.port, retry=NEVER) as client:
        link = ReplicationLink(client, **PATIENT)
        limiter = FailureLimiter(LockoutPolicy(max_attempts=100_000), link=link)
        names = iter(range(10**6))

        async def login():
            async with limiter.attempt(f"key {next(names) % 100}") as attempt:
                await attempt.failed()

        async with link:
            await left_at_random(login)
            await until(lambda: not limiter._deciding)
            assert link.available
            stored = await server.ask("HVALS", "{test}:failures:failures")
            here = sum(limiter.failures(f"key {number}") for number in range(100))
            assert here == sum(value.count(":") for value in stored)


async def test_a_failure_whose_caller_left_while_redis_was_dying_is_counted(server):
    async with redis.asyncio.Redis(port=server.port, retry=NEVER) as client:
        link = ReplicationLink(client, name="test")
        limiter = FailureLimiter(LockoutPolicy(max_attempts=3), link=link)
        async with link:
            server.freeze()
            try:
                tasks = [asyncio.ensure_future(limiter.record_failure("a")) for _ in range(2)]
                await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await until(lambda: not link.available and limiter.failures("a") > 0)
                assert limiter.failures("a") == 2
            finally:
                server.thaw()


async def test_a_reservation_that_nobody_has_is_free_again(server):
    async with redis.asyncio.Redis(port=server.port, retry=NEVER) as client:
        link = ReplicationLink(client, **PATIENT)
        quota = Quota([QuotaPolicy("runs", "runs", 1)], link=link)
        async with link:
            assert isinstance(await quota.reserve({}), Reservation)  # and dropped
            async with asyncio.timeout(10):
                while not isinstance(await quota.reserve({}), Reservation):
                    await asyncio.sleep(0.01)


async def test_a_run_that_is_held_for_too_long_is_free_again(server):
    async with redis.asyncio.Redis(port=server.port, retry=NEVER) as client:
        link = ReplicationLink(client, **PATIENT)
        quota = Quota([QuotaPolicy("runs", "runs", 1)], link=link, max_run=0.3)
        async with link:
            held = await quota.reserve({})
            assert isinstance(await quota.reserve({}), Refusal)
            async with asyncio.timeout(10):
                while not isinstance(await quota.reserve({}), Reservation):
                    await asyncio.sleep(0.01)
            await held.settle()


HOLDER = """
import asyncio, sys
from redis.asyncio import Redis
from openclaw_ratelimit import Quota, QuotaPolicy, ReplicationLink

async def main():
    link = ReplicationLink(Redis(port=int(sys.argv[1])), name="test", max_wait=5.0)
    quota = Quota([QuotaPolicy("runs", "runs", 1)], link=link, lease=2)
    async with link, quota.reserve({}):
        print("holds", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.mark.parametrize("frozen_first", [False, True])
async def test_a_holder_that_is_killed_is_gone_after_its_lease(server, frozen_first):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(server.port)], stdout=subprocess.PIPE)
    assert await asyncio.to_thread(holder.stdout.readline) == b"holds\n"
    async with redis.asyncio.Redis(port=server.port, retry=NEVER) as client:
        link = ReplicationLink(client, **PATIENT)
        quota = Quota([QuotaPolicy("runs", "runs", 1)], link=link, lease=2)
        async with link:
            assert isinstance(await quota.reserve({}), Refusal)
            os.kill(holder.pid, signal.SIGSTOP if frozen_first else signal.SIGKILL)
            async with asyncio.timeout(30):
                while isinstance(await quota.reserve({}), Refusal):
                    await asyncio.sleep(0.01)
    holder.kill()
    holder.stdout.close()
    holder.wait()


@pytest.mark.parametrize("first", ["caller", "call"])
async def test_a_failure_counts_once_if_its_caller_leaves_just_as_its_call_fails(server, monkeypatch, first):
    async with Instance(server.url) as one:
        answer = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(FailureReplica, "fail", lambda *_: answer)
        caller = asyncio.ensure_future(one.limiter.record_failure("a"))
        await asyncio.sleep(0)
        steps = [caller.cancel, lambda: answer.set_exception(StorageUnavailable("closed"))]
        for step in steps if first == "caller" else reversed(steps):
            step()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await asyncio.sleep(0)
        assert one.limiter.failures("a") == 1
