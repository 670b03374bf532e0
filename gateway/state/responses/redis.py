"""Responses in Redis: a hash per response, which expires by itself. The key contains the subject."""

import hashlib

from gateway.state.redis_client import RedisClient
from gateway.state.redis_room import RESPONSES
from gateway.state.responses.store import LARGE, Hold, ResponsePolicy, StoredResponse, decoded, encoded
from gateway.state.script import load_script

_PUT_RESPONSE = load_script(__file__, "put_response")
_GET_RESPONSE = load_script(__file__, "get_response")
_DELETE_RESPONSE = load_script(__file__, "delete_response")


class RedisResponses:
    """See ResponseStore. All keys begin with `prefix`."""

    def __init__(self, redis: RedisClient, policy: ResponsePolicy, *, prefix: str) -> None:
        self._redis = redis
        self._policy = policy
        self._prefix = prefix

    async def put(self, response: StoredResponse, *, new: bool = True) -> bool:
        """See ResponseStore."""
        fields = await encoded(response)
        size = sum(map(len, fields.values()))
        if size > self._policy.max_bytes:
            return False
        names_and_values = [item for field in fields.items() for item in field]
        arguments = [int(self._policy.ttl * 1000), int(new), *names_and_values]
        with self._redis.room.reserve(size, RESPONSES):
            await self._redis.run_script(_PUT_RESPONSE, [self._key(response.subject, response.id)], arguments)
        return True

    async def get(self, subject: str | None, response_id: str, hold: Hold | None = None) -> StoredResponse | None:
        """See ResponseStore."""
        keys = [self._key(subject, response_id)]
        size, fields = await self._redis.run_script(_GET_RESPONSE, keys, [-1 if hold is None else LARGE])
        if hold is not None and size > LARGE:
            hold(size)
            size, fields = await self._redis.run_script(_GET_RESPONSE, keys, [-1])
        if not fields:
            return None
        names = [name.decode() for name in fields[::2]]
        return await decoded(response_id, subject, dict(zip(names, fields[1::2], strict=True)))

    async def delete(self, subject: str | None, response_id: str) -> bool:
        """See ResponseStore. Returns False if the result of an earlier attempt of the same deletion got lost."""
        return bool(await self._redis.run_script(_DELETE_RESPONSE, [self._key(subject, response_id)]))

    def _key(self, subject: str | None, response_id: str) -> str:
        owner = "owner" if subject is None else f"user:{subject}"
        digest = hashlib.sha256(f"{owner}\n{response_id}".encode()).hexdigest()[:40]
        return f"{self._prefix}:response:{digest}"
