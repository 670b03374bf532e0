"""Responses in Redis: one hash each, which expires by itself. The subject is a part of the key."""

import hashlib
from collections.abc import Awaitable
from typing import cast

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from gateway.state.responses.store import ResponsePolicy, StoredResponse, read, written
from gateway.state.script import RedisScript, asked

_PUT = RedisScript("""
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
""")
_DELETE = RedisScript("return redis.call('DEL', KEYS[1])")


class RedisResponses:
    """See ResponseStore. `prefix` begins all keys."""

    def __init__(self, client: Redis | RedisCluster, policy: ResponsePolicy, *, prefix: str) -> None:
        self._client = client
        self._policy = policy
        self._prefix = prefix

    async def put(self, response: StoredResponse) -> bool:
        """See ResponseStore."""
        fields = written(response)
        if sum(map(len, fields.values())) > self._policy.max_bytes:
            return False
        words = [word for field in fields.items() for word in field]
        key = self._key(response.subject, response.id)
        await _PUT.run(self._client, [key], [int(self._policy.ttl * 1000), *words])
        return True

    async def get(self, subject: str | None, response_id: str) -> StoredResponse | None:
        """See ResponseStore."""
        key = self._key(subject, response_id)
        found = await asked(lambda: cast(Awaitable[dict[bytes, bytes]], self._client.hgetall(key)))
        return read(response_id, subject, {name.decode(): value for name, value in found.items()}) if found else None

    async def delete(self, subject: str | None, response_id: str) -> bool:
        """See ResponseStore. A deletion whose answer got lost may say that there was nothing."""
        return bool(await _DELETE.run(self._client, [self._key(subject, response_id)]))

    def _key(self, subject: str | None, response_id: str) -> str:
        owner = "owner" if subject is None else f"user:{subject}"
        digest = hashlib.sha256(f"{owner}\n{response_id}".encode()).hexdigest()[:40]
        return f"{self._prefix}:response:{digest}"
