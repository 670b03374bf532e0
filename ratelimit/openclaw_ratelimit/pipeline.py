"""Pipelines calls over one connection: calls that are ready together are sent together, and answers come in order.

A call without an answer when it is due fails all calls. An error reply affects only its own call, unless it says that
the server can't serve any. `link` makes the connections.
"""

import asyncio
import re
from collections import deque
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from openclaw_ratelimit.connection import Connection
from openclaw_ratelimit.errors import CallRejected, StorageUnavailable
from openclaw_ratelimit.peer import Argument

_MAX_WAITING = 10_000  # calls
# For an answer that came while the process was busy: turns of the event loop, then seconds.
_LAST_POLLS = 3
_LAST_WAIT = 0.002
# Of the server, not of the call. Inside a script, Redis 6.2 reports them as a plain error with the code in its text.
_SERVER_STATE = re.compile(
    r"(^|-)(READONLY|OOM|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|BUSY|UNKILLABLE|NOAUTH|NOPERM)\b"
)


@dataclass(slots=True, eq=False)
class _Call:
    """A command and the future of its answer; `due` is a time of the event loop, `max_wait` after it was sent.

    `unknown_script` is the command for a server that does not know the script.
    """

    words: tuple[Argument, ...]
    answer: "asyncio.Future[Any]"
    max_wait: float
    unknown_script: tuple[Argument, ...] | None
    due: float = 0.0


class Pipeline:
    """Calls over one connection after the other: `write` and `read` serve one, `fail` ends its unanswered calls."""

    def __init__(self) -> None:
        self._waiting: deque[_Call] = deque()
        self._under_way: deque[_Call] = deque()
        self._wake = asyncio.Event()
        self._sent = asyncio.Event()

    def call(
        self, words: tuple[Argument, ...], max_wait: float, unknown_script: tuple[Argument, ...] | None = None
    ) -> "asyncio.Future[Any]":
        """Send a command, to be answered within `max_wait` seconds. Raises StorageUnavailable when too many wait."""
        if len(self._waiting) + len(self._under_way) >= _MAX_WAITING:
            raise StorageUnavailable("too many calls are waiting for the shared storage")
        call = _Call(words, asyncio.get_running_loop().create_future(), max_wait, unknown_script)
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
                call.due = now + call.max_wait
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
                reply = await self._reply(connection)
            except ResponseError as error:
                self._reject(self._under_way.popleft(), error)
                continue
            call = self._under_way.popleft()
            if not call.answer.done():
                call.answer.set_result(reply)

    async def _reply(self, connection: Connection) -> Any:
        try:
            async with asyncio.timeout_at(self._under_way[0].due):
                return await connection.read_response(disconnect_on_error=False)
        except TimeoutError:
            # The process may have been busy: then the answer has come and only needs to be read.
            for _ in range(_LAST_POLLS):
                await asyncio.sleep(0)
            async with asyncio.timeout(_LAST_WAIT):
                return await connection.read_response(disconnect_on_error=False)

    def _reject(self, call: _Call, error: ResponseError) -> None:
        """An error in answer to this call. Raises it when nobody else can be served either."""
        if isinstance(error, NoScriptError) and call.unknown_script is not None:
            call.words, call.unknown_script = call.unknown_script, None
            self._waiting.append(call)
            self._wake.set()
            return
        only_this_call = type(error) is ResponseError and not _SERVER_STATE.search(str(error))
        if not call.answer.done():
            call.answer.set_exception((CallRejected if only_this_call else StorageUnavailable)(str(error)))
        if not only_this_call:
            raise error

    def fail(self, reason: str) -> None:
        """The connection is gone: fail all waiting calls with StorageUnavailable."""
        self._wake.clear()
        for calls in (self._under_way, self._waiting):
            while calls:
                call = calls.popleft()
                if not call.answer.done():
                    call.answer.set_exception(StorageUnavailable(reason))
