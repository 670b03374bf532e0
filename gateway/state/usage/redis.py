"""The ledger in Redis, for all instances: a sorted set for each day, which expires by itself."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from typing import Any

from gateway.state.connect import Client
from gateway.state.redis_client import RedisClient
from gateway.state.redis_room import CONVERSATIONS
from gateway.state.usage.store import Segment, UsagePolicy

_DAY = 86_400.0
_PAGE = 64  # segments that one read returns


class RedisUsage:
    """See UsageStore. All keys begin with `prefix`; `clock` gives Unix time in seconds.

    Its calls have the full timeout, because no answer waits for them.
    """

    def __init__(self, redis: RedisClient, policy: UsagePolicy, *, prefix: str, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._policy = policy
        self._prefix = prefix
        self._clock = clock

    async def append(self, segment: Segment) -> None:
        """See UsageStore. The id makes equal data of two segments two members of the set."""
        key, member = self._key(segment.time), segment.id.encode() + b"\n" + segment.data
        ttl = int(self._policy.retention + _DAY)

        async def call(client: Client) -> None:
            await client.zadd(key, {member: segment.time})
            await client.expire(key, ttl)

        with self._redis.room.reserve(len(segment.data), CONVERSATIONS):
            await self._redis.execute(call, use="usage", full_timeout=True)

    async def read(self, since: float) -> AsyncIterator[list[bytes]]:
        """See UsageStore."""
        now = self._clock()
        since = max(since, now - self._policy.retention)
        day = since // _DAY * _DAY
        while day <= now + _DAY:  # instances' clocks differ
            start = 0
            while page := await self._page(self._key(day), since, start):
                yield [member.partition(b"\n")[2] for member in page]
                start += len(page)
            day += _DAY

    async def _page(self, key: str, since: float, start: int) -> list[bytes]:
        async def call(client: Client) -> Any:
            return await client.zrangebyscore(key, since, "+inf", start=start, num=_PAGE)

        return [bytes(member) for member in await self._redis.execute(call, use="usage", full_timeout=True)]

    def _key(self, time: float) -> str:
        return f"{self._prefix}:usage:{dt.datetime.fromtimestamp(time, dt.UTC):%Y-%m-%d}"
