"""Limiters of several instances over one real Redis that can be made ill."""

import asyncio

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from openclaw_ratelimit import EventKind, FailureLimiter, LockoutPolicy, ReplicationLink

POLICY = LockoutPolicy(max_attempts=3, window=60.0, lockout=300.0)
NEVER = Retry(NoBackoff(), 0)
PATIENT = {"max_wait": 5.0}
"""For tests that are not about waiting: this machine may be busy."""


def client(server, **settings):
    """A client of this server without retries."""
    return redis.asyncio.Redis(port=server.port, retry=NEVER, **settings)


class Instance:
    """One instance's limiter, and how the availability of its link has changed."""

    def __init__(self, server, *, budget=None, policy=POLICY, link=None, **options):
        self.changes = []
        client = server if not isinstance(server, str) else redis.asyncio.Redis.from_url(server, retry=NEVER)
        settings = {"name": "test", "heartbeat": 0.2, "max_backoff": 0.2} | (link or {})
        self.link = ReplicationLink(client, on_event=self.note, **settings)
        self.limiter = FailureLimiter(policy, budget=budget, link=self.link, **options)

    def note(self, event):
        self.changes.append((event.kind is EventKind.BACK, event.reason))

    async def failures(self, key, count):
        """Record `count` failures of `key` at once; returns how many were allowed."""
        verdicts = await asyncio.gather(*(self.limiter.record_failure(key) for _ in range(count)))
        return sum(verdict.allowed for verdict in verdicts)

    async def __aenter__(self):
        await self.link.open()
        return self

    async def __aexit__(self, *_):
        await self.link.close()
        await self.link.client.aclose()


async def until(condition, seconds=10.0):
    """Wait for it to become true; fails when it doesn't."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


async def quiet(*instances):
    """The links have stayed open all the time, over several heartbeats."""
    beats = [one.link.beats for one in instances]
    await until(lambda: all(one.link.beats > before + 2 for one, before in zip(instances, beats, strict=True)))
    assert [one.changes for one in instances] == [[(True, "")]] * len(instances)
