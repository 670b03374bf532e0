"""Calls on their way over one connection: those that are ready together go out together, and answers come in order.

Bounded: a call that is not answered when it is due ends all of them. Connecting is the business of `link`.
"""

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ratelimit.connection import Connection
from ratelimit.errors import StorageUnavailable

Argument = str | int | float | bytes

_MOST_WAITING = 10_000  # calls
_LOOKS, _LAST_LOOK = 3, 0.002  # turns of the event loop, then seconds, for what has come while the process was busy


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, called by its digest."""

    source: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest())


@dataclass(slots=True, eq=False)
class _Call:
    """A command and who waits for its answer; `due` is a time of the event loop, `patience` after it was sent."""

    words: tuple[Argument, ...]
    answer: "asyncio.Future[Any]"
    patience: float
    due: float = 0.0


class Pipeline:
    """Outlives connections: `write` and `read` are tasks of one, `fail` ends what it left unanswered."""

    def __init__(self) -> None:
        self._waiting: deque[_Call] = deque()
        self._under_way: deque[_Call] = deque()
        self._wake = asyncio.Event()
        self._sent = asyncio.Event()

    def call(self, words: tuple[Argument, ...], patience: float) -> "asyncio.Future[Any]":
        """Send a command, to be answered within `patience` seconds. Raises StorageUnavailable when too many wait."""
        if len(self._waiting) >= _MOST_WAITING:
            raise StorageUnavailable("too many calls are waiting for the shared storage")
        call = _Call(words, asyncio.get_running_loop().create_future(), patience)
        self._waiting.append(call)
        self._wake.set()
        return call.answer

    async def write(self, connection: Connection) -> None:
        """Send what is ready, for ever. Raises what the connection raises."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            calls = list(self._waiting)
            self._waiting.clear()
            now = asyncio.get_running_loop().time()
            for call in calls:
                call.due = now + call.patience
            self._under_way.extend(calls)
            self._sent.set()
            await connection.send_packed_command(
                connection.pack_commands(call.words for call in calls), check_health=False
            )

    async def read(self, connection: Connection) -> None:
        """Hand out answers, for ever. Raises TimeoutError for one that is late, and what the connection raises."""
        while True:
            while not self._under_way:
                self._sent.clear()
                await self._sent.wait()
            try:
                async with asyncio.timeout_at(self._under_way[0].due):
                    reply = await connection.read_response(disconnect_on_error=False)
            except TimeoutError:
                # Perhaps it was this process that had no time: then the answer is there, and only has to be looked at.
                for _ in range(_LOOKS):
                    await asyncio.sleep(0)
                async with asyncio.timeout(_LAST_LOOK):
                    reply = await connection.read_response(disconnect_on_error=False)
            call = self._under_way.popleft()
            if not call.answer.done():
                call.answer.set_result(reply)

    def fail(self, reason: str) -> None:
        """Nobody will answer any more: StorageUnavailable for all who wait."""
        self._wake.clear()
        for calls in (self._under_way, self._waiting):
            while calls:
                call = calls.popleft()
                if not call.answer.done():
                    call.answer.set_exception(StorageUnavailable(reason))
