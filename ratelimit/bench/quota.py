"""What a reservation costs: `python bench/quota.py`. See README.md here.

A reservation is made under one policy (requests) or three (requests, tokens, runs) and settled, in this process and
over a real Redis of its own, one after the other and many at once. Medians of the rounds.
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
from gateway.http.quota_headers import quota_headers  # noqa: E402
from openclaw_ratelimit import QUOTAS, Link, Quota, QuotaPolicy  # noqa: E402
from support.servers import redis_server  # noqa: E402

PER = ("identity",)
REQUESTS = QuotaPolicy("identity-requests", "requests", 10**9, 60, PER)
ONE = [REQUESTS]
THREE = [REQUESTS, QuotaPolicy("tokens", "tokens", 10**12, 60, PER), QuotaPolicy("runs", "runs", 10**6, per=PER)]
ASKER = (("identity", "user:alice"), ("agent", "main"), ("model", "openai/gpt-5.4"))
ROUNDS = 7


async def one(quota):
    reservation = await quota.reserve(ASKER, 1000, 10)
    await reservation.settle(900)
    return reservation


async def cost(quota, times, at_once):
    """Microseconds of processor time and of time for one reservation, reserved and settled."""
    processor, wall = [], []
    for _ in range(ROUNDS):
        began, spent = time.perf_counter(), time.process_time()
        for _ in range(times // at_once):
            if at_once == 1:
                await one(quota)
            else:
                await asyncio.gather(*(one(quota) for _ in range(at_once)))
        processor.append((time.process_time() - spent) / times * 1e6)
        wall.append((time.perf_counter() - began) / times * 1e6)
    return median(processor), median(wall)


def tell(what, processor, wall):
    print(f"{what:<46} {processor:8.1f} {wall:8.1f}")


async def main():
    print(f"{'us per reservation, settled':<46} {'CPU':>8} {'time':>8}")
    for policies in (ONE, THREE):
        quota = Quota(policies)
        tell(f"in this process, policies: {len(policies)}", *await cost(quota, 5000, 1))
        standings = (await one(quota)).standings
        spent = time.process_time()
        for _ in range(5000):
            quota_headers(standings)
        tell(f"its headers, policies: {len(policies)}", *[(time.process_time() - spent) / 5000 * 1e6] * 2)
    with tempfile.TemporaryDirectory() as directory:
        async with redis_server(Path(directory)) as server:
            for policies in (ONE, THREE):
                client = redis.asyncio.Redis(port=server.port)
                link = Link(client, name="bench", scripts=(QUOTAS,))
                quota = Quota(policies, link=link)
                await link.open()
                for at_once in (1, 50):
                    measured = await cost(quota, 1000, at_once)
                    tell(f"over Redis, policies: {len(policies)}, at once: {at_once}", *measured)
                assert link.available, link.reason
                await link.close()
                await client.aclose()


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
