"""Keeps a part of Redis's memory free: stored data must not fill a Redis that also counts failures and limits.

It matters only for a Redis with `maxmemory` that evicts nothing. Large data stops first: responses and events, then
conversations. What remains is for limits, locks and leases.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from redis.asyncio.cluster import RedisCluster

from gateway.core.errors import Unavailable
from gateway.core.tracebacks import drop_tracebacks
from gateway.state.connect import Client
from gateway.state.health import StoreHealth

RESPONSES = 0.6
"""The part of `maxmemory` up to which responses, events and reasoning are stored."""
CONVERSATIONS = 0.8
"""The same for conversations."""
_MARGIN = 0.1
"""The part of `maxmemory` that must be free below a limit to say that there is room again."""
_INTERVAL = 1.0  # seconds between two looks at Redis's memory
_BYTES = 2**20  # bytes written after which the next look is due earlier
_FULL = "The Redis that stores the gateway's data is nearly full. Nothing more is stored until there is room."


class _Execute(Protocol):
    """`RedisClient.execute`."""

    async def __call__(self, call: Callable[[Client], Awaitable[dict[str, Any]]], *, use: str) -> dict[str, Any]: ...


class RedisRoom:
    """How full one Redis is. A cluster is not watched: its nodes fill separately.

    A check never waits: it uses what the last look at Redis's memory showed, what was written since, and what is being
    written: Redis may get that after the look.
    """

    def __init__(self, execute: _Execute, health: StoreHealth) -> None:
        self._execute = execute
        self._health = health
        self._due = 0.0
        self._looking: asyncio.Task[None] | None = None
        self._written = 0  # bytes since the last look began
        self._writing = 0  # bytes of the writes that run
        self._used = 0
        self._limit = 0  # 0: no limit, or Redis evicts

    @contextmanager
    def reserve(self, size: int, part: float) -> Iterator[None]:
        """Room for the write of `size` bytes that runs in this context. Raises as `check`."""
        self.check(size, part)
        self._writing += size
        try:
            yield
        finally:
            self._writing -= size
            self._written += size

    def check(self, size: int, part: float) -> None:
        """Raises Unavailable if a write of `size` bytes would exceed this part of the memory."""
        if self._looking is None and (asyncio.get_running_loop().time() >= self._due or self._written >= _BYTES):
            self._looking = asyncio.create_task(self._look(), name="look at Redis's memory")
        if self._limit and self._used + self._written + self._writing + size > self._limit * part:
            self._health.failed(f"room {part}", _FULL)
            raise Unavailable(_FULL)
        self._health.succeeded(f"room {part}")

    async def close(self) -> None:
        """Wait for the running look."""
        if self._looking is not None:
            await asyncio.wait({self._looking})

    async def _look(self) -> None:
        try:
            before = self._written
            memory = await self._execute(_memory, use="INFO")
            self._written -= before
            evicts = memory.get("maxmemory_policy", "noeviction") != "noeviction"
            self._used, self._limit = int(memory["used_memory"]), 0 if evicts else int(memory.get("maxmemory", 0))
            for part in (RESPONSES, CONVERSATIONS):  # a caller that was refused may never store again
                if not self._limit or self._used < self._limit * (part - _MARGIN):
                    self._health.succeeded(f"room {part}")
        except Unavailable as error:  # the write itself will tell, or this user may not ask
            drop_tracebacks(error)
        finally:
            self._due = asyncio.get_running_loop().time() + _INTERVAL
            self._looking = None


async def _memory(client: Client) -> dict[str, Any]:
    if isinstance(client, RedisCluster):
        return {"used_memory": 0, "maxmemory": 0}
    memory: dict[str, Any] = await client.info("memory")
    return memory
