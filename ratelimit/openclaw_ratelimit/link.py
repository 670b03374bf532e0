"""The link to a Redis that several instances share. Waits are bounded, and a Redis that is away is reported at once.

One dedicated connection sends calls that are ready together as one batch, so no call waits for a pool. A second one
receives what other instances publish. The first call without an answer in time closes both: from then on `ask` fails at
once, until the link has reconnected. The peers define the calls and messages.
"""

import asyncio
import random
import re
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Self

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from openclaw_ratelimit.checks import require_clock, require_listener, require_seconds
from openclaw_ratelimit.clock import ServerClock, elapsed
from openclaw_ratelimit.connection import Connection, database_of, dedicated, messages, require_version, subscribe
from openclaw_ratelimit.errors import ConfigurationError, StorageUnavailable, UsageError
from openclaw_ratelimit.events import Event, EventKind, Listener, emit, log_event
from openclaw_ratelimit.link_errors import first_of, is_permanent, reason_of
from openclaw_ratelimit.peer import Argument, Peer, ignore_outcome
from openclaw_ratelimit.peers import Peers
from openclaw_ratelimit.pipeline import Pipeline
from openclaw_ratelimit.script import Script

_JOINING = 2.0  # seconds to connect, and for each call while both sides exchange what they know
_MAX_JOIN = 20.0  # seconds for all of the exchange; instances decide alone meanwhile
_FIRST_BACKOFF = 0.05  # seconds between tries
_STABLE = 5.0  # seconds of use after which the backoff starts anew
_NAME = re.compile(r"[^{}\s\0]{1,100}")


class ReplicationLink:
    """A link to the shared storage, for all limiters and quotas of an event loop: `async with ReplicationLink(...)`.

    `client` names the server (a `redis.asyncio.Redis` with any pool, Sentinel's too, or a `RedisCluster`); its own
    connections are not used. `name` is the prefix of all keys; links with one name on one database share. No call waits
    longer than `max_wait` seconds; at each `heartbeat` both sides are compared; a storage that is away is tried again
    at least every `max_backoff`. `on_event` receives AWAY and BACK.

    `clock` is the local time, `server_time` replaces the server's own in tests; both are seconds.
    Raises ConfigurationError.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        name: str,
        max_wait: float = 0.04,
        heartbeat: float = 1.0,
        max_backoff: float = 1.0,
        on_event: Listener = log_event,
        clock: Callable[[], float] = elapsed,
        server_time: Callable[[], float] | None = None,
    ) -> None:
        if not isinstance(client, Redis | RedisCluster):
            raise ConfigurationError(
                f"client must be a redis.asyncio.Redis or RedisCluster, not a {type(client).__module__} one"
            )
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise ConfigurationError(f"name must be 1 to 100 characters without spaces and braces, not {name!r}")
        for field, seconds in (("max_wait", max_wait), ("heartbeat", heartbeat), ("max_backoff", max_backoff)):
            require_seconds(field, seconds)
        require_listener(on_event)
        require_clock(clock)
        require_clock(server_time, "server_time")
        self.name = name
        self.max_wait = max_wait
        self.available = False
        self.reason = "not connected yet"
        self.beats = 0
        """How many times both sides were compared and brought in step."""
        self.latency = 0.0
        """Seconds that the last heartbeat took."""
        self.client = client
        self.clock = ServerClock(clock)
        self.channel = f"{{{name}}}:{database_of(client)}:events"
        """Where instances publish: of this name and database, as pub/sub knows no databases."""
        self._heartbeat = heartbeat
        self._max_backoff = max_backoff
        self._on_event = on_event
        self._server_time = server_time
        self._peers = Peers(name)
        self._pipeline = Pipeline()
        self._tried = asyncio.Event()
        self._beat_now = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._misconfigured = False

    def key(self, name: str) -> str:
        """The key called `name`; all keys of a link are in one slot of a cluster."""
        return f"{{{self.name}}}:{name}"

    def server_time(self) -> str:
        """The argument of scripts that replaces the server's time: milliseconds in tests, else empty."""
        return "" if self._server_time is None else str(round(self._server_time() * 1000))

    def add(self, peer: Peer, *, kind: str | None = None) -> None:
        """Add a peer. Raises UsageError after `open`, and for a second peer of the same `kind`."""
        if self._loop is not None:
            raise UsageError(f"link {self.name!r} is open already: make limiters and quotas before it is opened")
        self._peers.add(peer, kind)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self, *, keep_trying: bool = False) -> None:
        """Start, and wait for the first try: then the storage is in use, or known to be away.

        Raises ConfigurationError for what retrying can't fix (a wrong password, database, version or permission),
        unless `keep_trying`. Raises UsageError when the link was opened or closed before. When it raises, and when it
        is cancelled, the link is closed.
        """
        if self._closing or self._task is not None:
            raise UsageError(f"link {self.name!r} was opened or closed before: make a new one")
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name=f"replication link {self.name}")
        try:
            await self._tried.wait()
        except BaseException:
            await self.close()
            raise
        if self._misconfigured and not keep_trying:
            reason = self.reason
            await self.close()
            raise ConfigurationError(f"link {self.name!r} can't work: {reason}")

    async def close(self) -> None:
        """End the connections; calls that wait fail. Raises UsageError in another event loop while the link's runs."""
        task = self._task
        if task is not None and not task.done() and _running_loop() is not self._loop:
            raise UsageError(f"link {self.name!r} belongs to another event loop: close it there")
        self._closing = True
        while task is not None and not task.done():
            # More than once: a task group may drop the cancellation when a task fails at the same time.
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
        self._end("closed")

    def usable(self) -> bool:
        """Whether the storage decides now. Raises UsageError before `open`, in another event loop or thread, and
        after a fork, because there it never will.
        """
        if self._loop is None:
            if self._closing:
                return False
            raise UsageError(f"link {self.name!r} is not open: `async with link:`, or `await link.open()`, comes first")
        if _running_loop() is not self._loop:
            raise UsageError(
                f"link {self.name!r} belongs to another event loop: open one in each loop and process, "
                "or use openclaw_ratelimit.blocking from threads"
            )
        return self.available

    def call(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> "asyncio.Future[Any]":
        """The script's future answer, done within `max_wait`. Raises StorageUnavailable while the storage is away."""
        if not self.usable():
            raise StorageUnavailable(self.reason)
        return self._call(script, keys, arguments, self.max_wait)

    async def ask(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The script's answer. Raises StorageUnavailable: at once while the storage is away, else within `max_wait`."""
        return await self.call(script, keys, arguments)

    def post(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> None:
        """Call the script without waiting for an answer; lost when the storage is away."""
        with suppress(StorageUnavailable):
            self.call(script, keys, arguments).add_done_callback(ignore_outcome)

    def compare_now(self) -> None:
        """Run the next heartbeat at once."""
        self._beat_now.set()

    def _call(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], max_wait: float
    ) -> "asyncio.Future[Any]":
        words = (len(keys), *keys, *arguments)
        return self._pipeline.call(
            ("EVALSHA", script.digest, *words), max_wait, unknown_script=("EVAL", script.source, *words)
        )

    async def _run(self) -> None:
        first = min(_FIRST_BACKOFF, self._max_backoff)
        backoff = first
        try:
            while not self._closing:
                began = time.monotonic()
                try:
                    await self._live()
                except* Exception as errors:  # noqa: BLE001  whatever it was: reported, and callers must not wait
                    self._break(first_of(errors))
                if time.monotonic() - began > _STABLE:
                    backoff = first
                # Instances that lost the storage together should not all reconnect at the same moment.
                await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311  no secret depends on it
                backoff = min(backoff * 2, self._max_backoff)
        finally:
            self._end("its event loop has ended")

    async def _live(self) -> None:
        """Connect, join and serve until something breaks; raises that error."""
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(_JOINING):
                connection, listener = [await self._connect(stack) for _ in range(2)]
                await require_version(connection)
                await subscribe(listener, self.channel)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pipeline.write(connection))
                group.create_task(self._pipeline.read(connection))
                group.create_task(self._listen(listener))
                async with asyncio.timeout(_MAX_JOIN):
                    await self._join()
                await self._keep_in_step()

    async def _connect(self, stack: AsyncExitStack) -> Connection:
        connection = await dedicated(self.client, self.name)
        stack.push_async_callback(connection.disconnect, nowait=True)
        return connection

    async def _join(self) -> None:
        async def ask(script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
            return await self._call(script, keys, arguments, _JOINING)

        await self.clock.read(ask, self.key("clock"), self.server_time)
        # A server that is merely slow would make every caller wait. One that refuses this refuses every decision.
        await self._pipeline.call(("PUBLISH", self.channel, ""), self.max_wait)
        await self._peers.join(ask)
        self.available, self.reason, self._misconfigured = True, "", False
        self.beats += 1
        self._tried.set()
        emit(self._on_event, Event(EventKind.BACK, self.name))

    async def _keep_in_step(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat):
                    await self._beat_now.wait()
            self._beat_now.clear()
            if await self.clock.read(self.ask, self.key("clock"), self.server_time):
                raise StorageUnavailable("the server's clock was set")
            started = time.monotonic()
            await self._peers.beat(self.ask)
            self.latency = time.monotonic() - started
            self.beats += 1

    async def _listen(self, connection: Connection) -> None:
        async for message in messages(connection):
            await self._peers.hear(message)

    def _break(self, error: BaseException) -> None:
        self.reason = reason_of(error)
        self._misconfigured = is_permanent(error)
        changed, self.available = self.available or not self._tried.is_set(), False
        self._tried.set()
        self._pipeline.fail(self.reason)
        if changed:
            emit(self._on_event, Event(EventKind.AWAY, self.name, reason=self.reason))

    def _end(self, reason: str) -> None:
        self.available, self.reason = False, reason
        self._tried.set()
        self._pipeline.fail(reason)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
