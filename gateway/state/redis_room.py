"""Keeps a part of Redis's memory free: stored data must not fill a Redis that also counts failures and limits.

It matters only for a Redis with `maxmemory` that evicts nothing. Large data stops first: responses and events, then
conversations. What remains is for limits, locks and leases.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from redis.asyncio.cluster import RedisCluster

from gateway.core.errors import Unavailable

if TYPE_CHECKING:
    from gateway.state.redis_client import Client, RedisClient

RESPONSES = 0.6
"""The part of `maxmemory` up to which responses, events and reasoning are stored."""
CONVERSATIONS = 0.8
"""The same for conversations."""
_INTERVAL = 1.0  # seconds between two looks at Redis's memory
_BYTES = 2**20  # bytes written after which the next look is due earlier
_FULL = "The Redis that stores conversations is nearly full. Nothing more is stored until there is room."


class RedisRoom:
    """How full one Redis is. A cluster is not watched: its nodes fill separately."""

    def __init__(self, redis: "RedisClient") -> None:
        self._redis = redis
        self._due = 0.0
        self._written = 0
        self._used = 0
        self._limit = 0  # 0: no limit, or Redis evicts

    async def check(self, size: int, part: float) -> None:
        """Raise Unavailable if `size` more bytes would exceed this part of the memory."""
        self._written += size
        now = asyncio.get_running_loop().time()
        if now >= self._due or self._written >= _BYTES:
            self._due, self._written = now + _INTERVAL, size
            await self._look()
        if self._limit and self._used + self._written > self._limit * part:
            self._redis.health.failed(f"room {part}", _FULL)
            raise Unavailable(_FULL)
        self._redis.health.succeeded(f"room {part}")

    async def _look(self) -> None:
        try:
            memory = await self._redis.execute(_memory, use="INFO")
        except Unavailable:
            return  # the write itself will tell, or this user may not ask
        evicts = memory.get("maxmemory_policy", "noeviction") != "noeviction"
        self._used, self._limit = int(memory["used_memory"]), 0 if evicts else int(memory["maxmemory"])


async def _memory(client: "Client") -> dict[str, Any]:
    if isinstance(client, RedisCluster):
        return {"used_memory": 0, "maxmemory": 0}
    memory: dict[str, Any] = await client.info("memory")
    return memory
