"""Calls to Redis: how many run at a time, how long one may take, and which error the caller gets.

The calls that are running when Redis stops answering wait for their full timeout. Later calls time out after a moment
until Redis answers again. A call with `full_timeout` always gets the full timeout: more than a wait depends on it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ClusterError, NoScriptError, RedisClusterException, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from gateway.config.redis_url import RedisAddress
from gateway.core.errors import Unavailable
from gateway.state.connect import Client, close_client, create_client
from gateway.state.health import StoreHealth
from gateway.state.redis_room import RedisRoom
from gateway.state.script import Script

T = TypeVar("T")

_MAX_CONCURRENT_CALLS = 64  # redis-py refuses the 101st behind Sentinel or in a cluster
_TIMEOUT = 2.0  # seconds for a call, including its second attempt and the wait for a free slot
_SHORT_TIMEOUT = 0.05  # seconds for a call while Redis is known not to answer
_RETRY_INTERVAL = 5.0  # seconds after which one call gets the full timeout again

_CONNECTION = "connection"
_REFUSES_ALL_WRITES = ("READONLY", "OOM", "MISCONF", "NOREPLICAS")
"""In errors of a Redis that writes nothing at all: a replica, a full one, one that can't save."""
_CONNECTION_ERRORS = (RedisError, RedisClusterException, OSError)


class ScriptCall(NamedTuple):
    """A script with its keys and arguments. The first key selects the node of a cluster."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[Any] = ()

    async def execute(self, client: Client) -> Any:
        """Run the script by its digest, and load it if Redis does not know it. Returns the script's result."""
        (script, keys, arguments) = self
        try:
            return await client.evalsha(script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await client.eval(script.source, len(keys), *keys, *arguments)


class RedisClient:
    """Bounded calls over one redis-py client. The creator of that client closes it.

    `health` says whether the calls succeed, `room` keeps a part of Redis's memory free.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.health = StoreHealth()
        self.room = RedisRoom(self.execute, self.health)
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT_CALLS)
        self._refused_writes: set[str] = set()  # uses
        self._unresponsive_until: float | None = None

    async def run_script(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Any] = (), *, full_timeout: bool = False
    ) -> Any:
        """Run one script and return its result. See `execute`."""
        return await self.execute(
            ScriptCall(script, keys, arguments).execute, use=script.digest, full_timeout=full_timeout
        )

    async def run_scripts(self, *calls: ScriptCall, full_timeout: bool = False) -> list[Any]:
        """Run scripts in this order in one round trip and return their results. See `execute`.

        A cluster needs one round trip per script, because each script may belong to another node.
        """

        async def call(client: Client) -> list[Any]:
            if isinstance(client, RedisCluster):
                return [await one.execute(client) for one in calls]
            async with client.pipeline(transaction=False) as pipeline:
                for script, keys, arguments in calls:
                    pipeline.evalsha(script.digest, len(keys), *keys, *arguments)
                results = await pipeline.execute(raise_on_error=False)
            if any(isinstance(result, NoScriptError) for result in results):
                return [await one.execute(client) for one in calls]
            for result in results:
                if isinstance(result, Exception):
                    raise result
            return results

        return await self.execute(call, use=calls[-1].script.digest, full_timeout=full_timeout)

    async def check(self) -> None:
        """Ask Redis for a sign of life. Raises Unavailable."""
        await self.execute(lambda client: client.ping(), use="PING")

    async def execute(
        self, call: Callable[[Client], Awaitable[T]], *, use: str = "command", full_timeout: bool = False
    ) -> T:
        """Run `call` with the client and return its result. Raises Unavailable. `use` names the call for `health`.

        The call may run twice, because an idle connection may be dead. So `call` must be idempotent. A caller that is
        cancelled leaves when the call has ended, within its timeout.
        """
        # A call that is cut off costs a connection, and may leave a cluster's client half set up. In Python 3.11
        # redis-py may also swallow the cancellation (it sends within `asyncio.wait_for`): the caller would never leave.
        running = asyncio.create_task(self._execute(call, use, full_timeout=full_timeout), name="call Redis")
        cancelled: asyncio.CancelledError | None = None
        while not running.done():
            try:
                await asyncio.wait({running})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            running.exception()
            raise cancelled
        return running.result()

    async def _execute(self, call: Callable[[Client], Awaitable[T]], use: str, *, full_timeout: bool) -> T:
        clock = asyncio.get_running_loop().time
        unresponsive = self._unresponsive_until is not None and clock() < self._unresponsive_until
        if self._unresponsive_until is not None and not unresponsive:
            self._unresponsive_until = clock() + _RETRY_INTERVAL  # this call probes Redis for all others
        try:
            timeout = _SHORT_TIMEOUT if unresponsive and not full_timeout else _TIMEOUT
            async with asyncio.timeout(timeout), self._slots:
                result = await self._execute_with_retry(call)
        except (TimeoutError, RedisTimeout) as error:
            if not unresponsive:
                self._unresponsive_until = clock() + _RETRY_INTERVAL
            raise self._failed(_CONNECTION, error) from error
        except ResponseError as error:  # Redis is there, but refuses this: it is full, read-only, or denies the right
            if isinstance(error, ClusterError):
                raise self._failed(_CONNECTION, error) from error
            self.health.succeeded(_CONNECTION)
            if any(word in str(error) for word in _REFUSES_ALL_WRITES):
                self._refused_writes.add(use)
            raise self._failed(use, error) from error
        except _CONNECTION_ERRORS as error:
            raise self._failed(_CONNECTION, error) from error
        self.health.succeeded(_CONNECTION, use)
        if use in self._refused_writes:  # one write that succeeds again shows that all can
            self.health.succeeded(*self._refused_writes)
            self._refused_writes.clear()
        self._unresponsive_until = None
        return result

    def _failed(self, use: str, error: Exception) -> Unavailable:
        # The error's own text may contain host names, which a client must not see.
        reason = type(error).__name__
        text = f"The Redis that stores the gateway's data is not available ({reason})."
        if "WRONGTYPE" in str(error):
            text = "A key of the gateway in Redis has the type of other data (WRONGTYPE): another program wrote it."
        self.health.failed(use, text)
        return Unavailable(f"{text} Try again." if use == _CONNECTION else text)

    async def _execute_with_retry(self, call: Callable[[Client], Awaitable[T]]) -> T:
        try:
            return await call(self._client)
        except RedisTimeout:
            raise
        except _CONNECTION_ERRORS:
            return await call(self._client)


@asynccontextmanager
async def open_redis(address: RedisAddress) -> AsyncIterator[RedisClient]:
    """A client of this Redis. It connects at its first call, and is closed at the end, after its own last call."""
    client = create_client(address)
    redis = RedisClient(client)
    try:
        yield redis
    finally:
        await redis.room.close()
        await close_client(client)
