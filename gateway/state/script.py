"""Asking a Redis, by Lua script or otherwise, and what its failures mean to a caller."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from gateway.core.errors import Unavailable

T = TypeVar("T")

_AWAY = (RedisError, RedisClusterException, OSError, TimeoutError)


async def asked(call: Callable[[], Awaitable[T]]) -> T:
    """What the call answers, made twice at most: a connection may have died while nobody used it. Raises Unavailable.

    So a call must come to the same end when it is made twice.
    """
    try:
        return await call()
    except _AWAY:
        pass
    try:
        return await call()
    except _AWAY as error:
        # Its own text may tell hosts, which are no caller's business.
        raise Unavailable(
            f"The Redis that keeps conversations can't be asked just now ({type(error).__name__}). Try again."
        ) from error


class RedisScript:
    """A script, called by its digest. The first key decides which node of a cluster runs it."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Redis | RedisCluster, keys: Sequence[str], arguments: Sequence[Any] = ()) -> Any:
        """The script's answer; see `asked`."""
        words = (*keys, *arguments)

        async def call() -> Any:
            try:
                return await client.evalsha(self._digest, len(keys), *words)
            except NoScriptError:
                return await client.eval(self._source, len(keys), *words)

        return await asked(call)
