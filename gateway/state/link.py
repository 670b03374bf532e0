"""Asking a Redis: how many calls at a time, how long one may take, and what its failures mean to a caller.

A Redis that fell silent costs the callers of that moment some time, and nobody after them: until it answers again, a
call has a moment only. A patient call, of which more depends than a wait, has its whole time in any case.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from gateway.core.errors import Unavailable

T = TypeVar("T")
Client = Redis | RedisCluster

_AT_ONCE = 64  # calls on their way; redis-py refuses the 101st where it is behind Sentinel or a cluster
_LIMIT = 2.0  # seconds for a call, with its second try and the wait for a place
_MOMENT = 0.05  # seconds for a call of a Redis that is known to be silent
_SILENT = 5.0  # seconds after which one call has all the time again

_AWAY = (RedisError, RedisClusterException, OSError)


class RedisScript:
    """A Lua script, called by its digest. The first key decides which node of a cluster runs it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class ScriptCall(NamedTuple):
    """A script with its keys and arguments."""

    script: RedisScript
    keys: Sequence[str]
    arguments: Sequence[Any] = ()

    async def made(self, client: Client) -> Any:
        """The script's answer."""
        (script, keys, arguments) = self
        try:
            return await client.evalsha(script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await client.eval(script.source, len(keys), *keys, *arguments)


class RedisLink:
    """One client, which is `closed` by whoever made it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._silent_until: float | None = None

    async def run(
        self, script: RedisScript, keys: Sequence[str], arguments: Sequence[Any] = (), *, patient: bool = False
    ) -> Any:
        """The script's answer; see `ask`."""
        return await self.ask(ScriptCall(script, keys, arguments).made, patient=patient)

    async def run_in_turn(self, *calls: ScriptCall, patient: bool = False) -> list[Any]:
        """The answers of scripts that are run in this order, on one way there and back; see `ask`.

        On as many ways as there are scripts with a cluster, where each may be another server's.
        """

        async def call(client: Client) -> list[Any]:
            if isinstance(client, RedisCluster):
                return [await one.made(client) for one in calls]
            async with client.pipeline(transaction=False) as pipeline:
                for script, keys, arguments in calls:
                    pipeline.evalsha(script.digest, len(keys), *keys, *arguments)
                answers = await pipeline.execute(raise_on_error=False)
            if any(isinstance(answer, NoScriptError) for answer in answers):
                return [await one.made(client) for one in calls]
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

        return await self.ask(call, patient=patient)

    async def ask(self, call: Callable[[Client], Awaitable[T]], *, patient: bool = False) -> T:
        """What the call answers. Raises Unavailable.

        It is made twice at most, because a connection may have died while nobody used it; so it must come to the same
        end when it is made twice.
        """
        clock = asyncio.get_running_loop().time
        silent = self._silent_until is not None and clock() < self._silent_until
        if self._silent_until is not None and not silent:
            self._silent_until = clock() + _SILENT  # this call finds out for all
        try:
            async with asyncio.timeout(_MOMENT if silent and not patient else _LIMIT), self._places:
                answer = await self._twice(call)
        except (TimeoutError, RedisTimeout) as error:
            if not silent:
                self._silent_until = clock() + _SILENT
            raise _unavailable(error) from error
        except _AWAY as error:
            raise _unavailable(error) from error
        self._silent_until = None
        return answer

    async def _twice(self, call: Callable[[Client], Awaitable[T]]) -> T:
        try:
            return await call(self._client)
        except RedisTimeout:
            raise
        except _AWAY:
            return await call(self._client)


def _unavailable(error: Exception) -> Unavailable:
    # Its own text may tell hosts, which are no caller's business.
    why = type(error).__name__
    return Unavailable(f"The Redis that keeps conversations can't be asked just now ({why}). Try again.")
