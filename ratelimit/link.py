"""The way to a Redis that several instances share: fast, bounded in waiting, and honest about being away.

Calls that are ready together go out together over one connection of their own, so nothing ever queues for a pool; a
second one listens to what other instances tell. The first call that is not answered in time, or not well, ends both:
from then on `ask` fails at once, until the link has found the storage healthy again by itself. What is asked and told
is the business of its peers.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from ratelimit.connection import Connection, dedicated, messages, subscribe
from ratelimit.errors import StorageUnavailable
from ratelimit.pipeline import Argument, Pipeline, Script

Ask = Callable[[Script, Sequence[str], Sequence[Argument]], Awaitable[Any]]

_JOINING = 2.0  # seconds to connect and to exchange what both sides know
_FIRST_PAUSE = 0.05  # seconds between tries
_STABLE = 5.0  # seconds after which a link that breaks is tried again as fast as the first time


class Peer(Protocol):
    """One user of the link who has something to keep in step with the storage."""

    @property
    def behind(self) -> bool:
        """Whether something was decided here that the storage has not been told."""
        ...

    async def join(self, ask: Ask) -> None:
        """The storage is there, perhaps another one than before: bring both sides in step."""
        ...

    async def catch_up(self, ask: Ask) -> None:
        """Tell the storage what was decided here since."""
        ...

    async def hear(self, message: bytes) -> None:
        """Another instance, or this one, told something on the channel."""
        ...

    async def beat(self, ask: Ask) -> None:
        """Once in a while. Raises StorageUnavailable when both sides are out of step, so that they join anew."""
        ...


class Link:
    """A link to the shared storage, for all limiters of a process.

    `client` names the server (a Redis with any pool, Sentinel's too, or a RedisCluster); its own connections are not
    used. `name` is the hash tag of all keys, without braces, and the channel. No call waits longer than `patience`
    seconds; each `pulse` both sides are compared; a storage that is away is tried again at least every `longest_pause`.
    `told` is called once per change, with whether the storage is available and why not.
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        name: str,
        scripts: Sequence[Script],
        patience: float = 0.04,
        pulse: float = 1.0,
        longest_pause: float = 1.0,
        told: Callable[[bool, str], None] = lambda _available, _reason: None,
    ) -> None:
        self.name = name
        self.patience = patience
        self.available = False
        self.reason = "not connected yet"
        self.client = client
        self._scripts = tuple(scripts)
        self._pulse = pulse
        self._longest_pause = longest_pause
        self._told = told
        self._peers: list[Peer] = []
        self._pipeline = Pipeline()
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def channel(self) -> str:
        """Where the instances tell each other; scripts publish there."""
        return self.name

    def key(self, name: str) -> str:
        """The key called `name`; all keys of a link are in one slot of a cluster."""
        return f"{{{self.name}}}:{name}"

    def add(self, peer: Peer) -> None:
        """Keep this one in step, too. Before `open`."""
        self._peers.append(peer)

    async def open(self) -> None:
        """Start, and wait for the outcome of the first try: afterwards the storage is in use, or known to be away."""
        self._task = asyncio.create_task(self._run(), name=f"ratelimit link {self.name}")
        await self._settled.wait()

    async def close(self) -> None:
        """End the connections; calls that wait fail."""
        self._closing = True
        task = self._task
        while task is not None and not task.done():
            # More than once: a cancellation that meets an error on its way up is lost in the group of errors.
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
        self.available, self.reason = False, "closed"
        self._pipeline.fail(self.reason)

    async def ask(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The script's answer. Raises StorageUnavailable: at once when that is known, else within `patience`."""
        if not self.available:
            raise StorageUnavailable(self.reason)
        return await self._pipeline.call(self._words(script, keys, arguments), self.patience)

    def post(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> None:
        """Call the script without waiting for an answer; lost when the storage is away."""
        if self.available:
            self._pipeline.call(self._words(script, keys, arguments), self.patience).add_done_callback(_look_at)

    @staticmethod
    def _words(script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> tuple[Argument, ...]:
        return ("EVALSHA", script.digest, len(keys), *keys, *arguments)

    async def _run(self) -> None:
        first = min(_FIRST_PAUSE, self._longest_pause)
        pause = first
        while not self._closing:
            began = time.monotonic()
            try:
                await self._live()
            except* Exception as errors:  # noqa: BLE001  whatever it was: told, and callers must not wait for this link
                self._break(_first(errors))
            if time.monotonic() - began > _STABLE:
                pause = first
            # Instances that lost the storage together should not all come back in the same moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  no secret depends on it
            pause = min(pause * 2, self._longest_pause)

    async def _live(self) -> None:
        """One life of the connections; ends with what broke it."""
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(_JOINING):
                connection, listener = [await self._connect(stack) for _ in range(2)]
                await subscribe(listener, self.channel)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pipeline.write(connection))
                group.create_task(self._pipeline.read(connection))
                group.create_task(self._listen(listener))
                async with asyncio.timeout(_JOINING):
                    await self._join()
                await self._keep_in_step()

    async def _connect(self, stack: AsyncExitStack) -> Connection:
        connection = await dedicated(self.client, self.name)
        stack.push_async_callback(connection.disconnect, nowait=True)
        return connection

    async def _join(self) -> None:
        async def patiently(script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
            return await self._pipeline.call(self._words(script, keys, arguments), _JOINING)

        for script in self._scripts:
            await self._pipeline.call(("SCRIPT", "LOAD", script.source), _JOINING)
        await self._pipeline.call(("PING",), self.patience)  # a server that is merely slow would make every caller wait
        for peer in self._peers:
            await peer.join(patiently)
        # Callers go on deciding here meanwhile. The link opens in a moment in which nothing is left to tell.
        while any(peer.behind for peer in self._peers):
            for peer in self._peers:
                await peer.catch_up(patiently)
        self.available, self.reason = True, ""
        self._settled.set()
        self._told(True, "")

    async def _keep_in_step(self) -> None:
        while True:
            await asyncio.sleep(self._pulse)
            for peer in self._peers:
                await peer.beat(self.ask)

    async def _listen(self, connection: Connection) -> None:
        async for message in messages(connection):
            for peer in self._peers:
                await peer.hear(message)

    def _break(self, error: BaseException) -> None:
        self.reason = _sentence(error)
        changed, self.available = self.available or not self._settled.is_set(), False
        self._settled.set()
        self._pipeline.fail(self.reason)
        if changed:
            self._told(False, self.reason)


def _look_at(answer: "asyncio.Future[Any]") -> None:
    if not answer.cancelled():
        answer.exception()


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _sentence(error: BaseException) -> str:
    if isinstance(error, StorageUnavailable):
        return str(error)
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
