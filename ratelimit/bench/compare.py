"""What a check costs, here and with other limiters: `python bench/compare.py`. Needs the tests' requirements.

Microseconds of processor time of this process per check, the least of the rounds; over a real Redis of its own one
after the other and 50 at once. Keys change, so nothing ever locks or refuses.
"""

import asyncio
import itertools
import sys
import tempfile
import time
from pathlib import Path

import redis.asyncio
from aiolimiter import AsyncLimiter
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
from pyrate_limiter import Duration, InMemoryBucket, Limiter, Rate, RedisBucket

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from openclaw_ratelimit import (
    BudgetPolicy,
    FailureLimiter,
    LockoutPolicy,
    Quota,
    QuotaPolicy,
    ReplicationLink,
    log_event,
)
from support.servers import redis_server

ROUNDS = 7
KEYS = 5_000
AT_ONCE = 50
BUDGET = BudgetPolicy(failures=10**7)
LOCKOUT = LockoutPolicy(max_attempts=10**6)
QUOTA = QuotaPolicy("each", "requests", 10**6, 60, ("address",))
ITEM = RateLimitItemPerMinute(10**6)
numbers = itertools.count()


def key():
    return f"198.51.100.{next(numbers) % KEYS}"


async def cost(check, times, at_once=1):
    """Microseconds of processor time for one check."""
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        if at_once == 1:
            for _ in range(times):
                await check()
        else:
            for _ in range(times // at_once):
                await asyncio.gather(*(check() for _ in range(at_once)))
        spent.append((time.process_time() - began) / times * 1e6)
    return min(spent)


def good_attempt(limiter, times=20_000):
    spent = []
    for _ in range(5 * ROUNDS):
        began = time.process_time()
        for _ in range(times):
            limiter.succeed_now("203.0.113.1")
        spent.append((time.process_time() - began) / times * 1e6)
    return min(spent)


def own(link):
    limiter = FailureLimiter(LOCKOUT, budget=BUDGET, link=link, on_event=log_event)
    plain = FailureLimiter(LOCKOUT, link=link, kind="plain", on_event=log_event)
    quota = Quota([QUOTA], link=link)

    async def reserve():
        reservation = await quota.reserve((("address", key()),))
        await reservation.settle()

    return {
        "failure counted": lambda: plain.record_failure(key()),
        "failure counted, with a budget": lambda: limiter.record_failure(key()),
        "quota, reserved and settled": reserve,
    }, {"good attempt": plain, "good attempt, with a budget": limiter}


def others(client):
    storage = (
        MemoryStorage()
        if client is None
        else RedisStorage("async+redis://", implementation="redispy", connection_pool=client.connection_pool)
    )
    moving, sliding = MovingWindowRateLimiter(storage), SlidingWindowCounterRateLimiter(storage)
    return {
        "limits, moving window": lambda: moving.hit(ITEM, key()),
        "limits, sliding window counter": lambda: sliding.hit(ITEM, key()),
    }


async def pyrate(client):
    rates = [Rate(10**6, Duration.MINUTE)]
    bucket = InMemoryBucket(rates) if client is None else await RedisBucket.init(rates, client, "bench-pyrate")
    limiter = Limiter(bucket)
    return {"pyrate-limiter": lambda: limiter.try_acquire_async("a")}


async def table(url):
    rows = {}

    async def measure(checks, column, times, at_once=1):
        for name, check in checks.items():
            rows.setdefault(name, {})[column] = await cost(check, times, at_once)

    here, limiters = own(None)
    for name, limiter in limiters.items():
        rows[name] = {"process": good_attempt(limiter)}
    await measure(here, "process", 5_000)
    await measure(others(None), "process", 1_000)
    await measure(await pyrate(None), "process", 1_000)
    bucket = AsyncLimiter(10**6, 60)
    await measure({"aiolimiter": bucket.acquire}, "process", 5_000)
    async with redis.asyncio.Redis.from_url(url) as client:
        link = ReplicationLink(client, name="bench", max_wait=5.0)
        there, limiters = own(link)
        async with link:
            for name, limiter in limiters.items():  # needs no Redis, so many at once cost the same
                rows[name]["one"] = rows[name]["many"] = good_attempt(limiter)
            await measure(there, "one", 1_000)
            await measure(there, "many", 2_000, AT_ONCE)
            assert link.available, link.reason
        for checks in (others(client), await pyrate(client)):
            await measure(checks, "one", 500)
            await measure(checks, "many", 1_000, AT_ONCE)
    return rows


async def main():
    with tempfile.TemporaryDirectory() as directory:
        async with redis_server(Path(directory)) as server:
            rows = await table(server.url)
    print(f"{'us of processor time per check':<36}{'process':>10}{'Redis, 1':>10}{f'Redis, {AT_ONCE}':>11}")
    for name, columns in rows.items():
        cells = (f"{columns[column]:.2f}" if column in columns else "-" for column in ("process", "one", "many"))
        print(f"{name:<36}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, (10, 10, 11), strict=True)))


asyncio.run(main())
