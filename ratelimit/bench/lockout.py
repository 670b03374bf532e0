"""What the failure limiter costs: `python bench/lockout.py`. See README.md here.

A good request's question, and a failure that is counted, in this process and over a real Redis of its own, one after
the other and many at once. Microseconds of processor time, medians of the rounds. Keys change, so nothing ever locks.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import redis.asyncio
import uvloop

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the servers that the tests use
from openclaw_ratelimit import FAILURES, BudgetPolicy, FailureLimiter, Link, LockoutPolicy  # noqa: E402
from support.servers import redis_server  # noqa: E402

POLICY, BUDGET = LockoutPolicy(), BudgetPolicy(failures=10**7)
KEYS = 9_000
ROUNDS = 7


def asking(limiter, times=50_000):
    """One question before a right secret is told to be right."""
    spent = time.process_time()
    for _ in range(times):
        if not limiter.must_ask("198.51.100.1"):
            limiter.remember("198.51.100.1")
    return (time.process_time() - spent) / times * 1e6


async def failing(limiter, names, at_once, times=2_000):
    spent = time.process_time()
    for _ in range(times // at_once):
        await asyncio.gather(*(limiter.record_failure(f"{next(names) % KEYS}") for _ in range(at_once)))
    return (time.process_time() - spent) / times * 1e6


def tell(what, measured):
    print(f"{what:<46} {median(measured):8.2f}")


async def rows(where, limiter):
    names = iter(range(10**9))
    asking(limiter)
    tell(f"good request, {where}", [asking(limiter) for _ in range(ROUNDS)])
    for at_once in (1, 16):
        tell(f"failure, {where}, at once: {at_once}", [await failing(limiter, names, at_once) for _ in range(ROUNDS)])


async def main():
    print(f"{'us of processor time':<46} {'median':>8}")
    await rows("in this process", FailureLimiter(POLICY, budget=BUDGET))
    with tempfile.TemporaryDirectory() as directory:
        async with redis_server(Path(directory)) as server:
            client = redis.asyncio.Redis(port=server.port)
            link = Link(client, name="bench", scripts=(FAILURES,))
            limiter = FailureLimiter(POLICY, budget=BUDGET, link=link)
            await link.open()
            await rows("over Redis", limiter)
            assert link.available, link.reason
            await link.close()
            await client.aclose()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
