"""Responses in Redis: one hash each, which expires by itself. The subject is a part of the key."""

import hashlib
from collections.abc import Awaitable
from typing import cast

from gateway.state.link import RedisLink, RedisScript
from gateway.state.responses.store import ResponsePolicy, StoredResponse, read, written

_PUT = RedisScript("""
if ARGV[2] == '0' and redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
""")
_DELETE = RedisScript("return redis.call('DEL', KEYS[1])")


class RedisResponses:
    """See ResponseStore. `prefix` begins all keys."""

    def __init__(self, link: RedisLink, policy: ResponsePolicy, *, prefix: str) -> None:
        self._link = link
        self._policy = policy
        self._prefix = prefix

    async def put(self, response: StoredResponse, *, new: bool = True) -> bool:
        """See ResponseStore."""
        fields = written(response)
        if sum(map(len, fields.values())) > self._policy.max_bytes:
            return False
        words = [word for field in fields.items() for word in field]
        key = self._key(response.subject, response.id)
        await self._link.run(_PUT, [key], [int(self._policy.ttl * 1000), int(new), *words])
        return True

    async def get(self, subject: str | None, response_id: str) -> StoredResponse | None:
        """See ResponseStore."""
        key = self._key(subject, response_id)
        found = await self._link.ask(lambda client: cast(Awaitable[dict[bytes, bytes]], client.hgetall(key)))
        return read(response_id, subject, {name.decode(): value for name, value in found.items()}) if found else None

    async def delete(self, subject: str | None, response_id: str) -> bool:
        """See ResponseStore. A deletion whose answer got lost may say that there was nothing."""
        return bool(await self._link.run(_DELETE, [self._key(subject, response_id)]))

    def _key(self, subject: str | None, response_id: str) -> str:
        owner = "owner" if subject is None else f"user:{subject}"
        digest = hashlib.sha256(f"{owner}\n{response_id}".encode()).hexdigest()[:40]
        return f"{self._prefix}:response:{digest}"
