"""Entries in Redis, for all instances."""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import RedisCluster

from gateway.state.connect import Client
from gateway.state.reasoning.store import MAX_ENTRY, RETENTION
from gateway.state.redis_client import RedisClient
from gateway.state.redis_room import RESPONSES


class RedisReasoning:
    """See ReasoningStore. All keys begin with `prefix`."""

    def __init__(self, redis: RedisClient, *, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    async def put(self, client: str, entries: Mapping[str, bytes]) -> None:  # noqa: ARG002
        """See ReasoningStore. Redis keeps every entry to its end, so no client displaces another."""
        accepted = {key: entry for key, entry in entries.items() if len(entry) <= MAX_ENTRY}

        async def call(client: Client) -> None:
            for key, entry in accepted.items():
                await client.set(self._name(key), entry, ex=int(RETENTION))

        with self._redis.room.reserve(sum(map(len, accepted.values())), RESPONSES):
            await self._redis.execute(call)

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See ReasoningStore."""
        if not keys:
            return {}
        names = [self._name(key) for key in keys]

        async def call(client: Client) -> list[Any]:
            if isinstance(client, RedisCluster):
                return [await client.get(name) for name in names]
            return await client.mget(names)

        values = await self._redis.execute(call)
        return {key: bytes(value) for key, value in zip(keys, values, strict=True) if value is not None}

    def _name(self, key: str) -> str:
        return f"{self._prefix}:reasoning:{key}"
