"""The connection to a server of the Model Context Protocol: opens it, monitors it, and opens it again when it breaks.

The SDK requires that the task that opens a connection also closes it, so each connection has one task that owns it.
Only this module, the calls (`gateway.tools.mcp`) and the transports import the SDK, and only if servers are configured.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import structlog
from mcp import Client

from gateway.tools.bounded_reader import BoundedReader
from gateway.tools.contract import Tool
from gateway.tools.filter import ToolFilter
from gateway.tools.mcp_secrets import Secrets
from gateway.tools.mcp_transport import Transport

log = structlog.get_logger(__name__)

_MAX_PAGES, _MAX_TOOLS = 100, 1000  # of a server's list of tools; the rest is ignored
_POLL_INTERVAL = 60.0  # seconds between checks of a connected server
_FIRST_BACKOFF, _MAX_BACKOFF = 1.0, 60.0  # seconds before the next connection; doubles with every failure
_STABLE_AFTER = 30.0  # seconds of connection that reset the backoff


class SessionLost(Exception):
    """The server has forgotten the session of this connection."""


class McpConnection:
    """`client` makes calls while the server is connected, and is None otherwise.

    `tools` are those that pass `offered`, as last listed. `timeout` are the seconds for connecting including the list.
    Call `start`, and `close` in every case.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        timeout: float,
        offered: ToolFilter,
        secrets: Secrets,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.tools: tuple[Tool, ...] = ()
        self.client: Client | None = None
        self._transport = transport
        self._timeout = timeout
        self._offered = offered
        self._secrets = secrets
        self._clock = clock
        self._sleep = sleep
        self._check = asyncio.Event()
        self._connected = asyncio.Event()
        self._session_lost = False
        self._attempted = asyncio.Event()
        self._scope = anyio.CancelScope()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and reconnect whenever the connection is lost."""
        self._task = asyncio.get_running_loop().create_task(self._keep_connected(), name=f"tool server {self.name}")

    async def first_attempt(self) -> None:
        """Wait until the first attempt to connect has succeeded or failed."""
        await self._attempted.wait()

    async def connected(self) -> None:
        """Wait until the server is connected."""
        await self._connected.wait()

    def check(self) -> None:
        """Find out now whether the server still answers: a call has failed."""
        self._check.set()

    def lose_session(self, client: Client) -> None:
        """Connect again at once: the server has forgotten the session of this client."""
        if self.client is client:
            self._session_lost = True
            self.client = None
            self._connected.clear()

    async def close(self) -> None:
        """Close the connection. A server that this gateway started as a program has ended on return."""
        self.client = None
        self._scope.cancel()
        if self._task is not None:
            await self._task

    async def _keep_connected(self) -> None:
        backoff = _FIRST_BACKOFF
        with self._scope:
            while True:
                connected_at: float | None = None
                try:
                    with anyio.CancelScope(deadline=anyio.current_time() + self._timeout) as limit:
                        async with Client(self._open_stream(), cache=None) as client:
                            self.tools = await self._list(client)
                            limit.deadline = math.inf
                            connected_at = self._clock()
                            self._on_connected(client)
                            await self._monitor(client, limit)
                    self._on_disconnected("no answer in time", connected=connected_at is not None)
                except Exception as error:  # noqa: BLE001  no failure of a server may end the task that owns it
                    self._on_disconnected(_reason(error), connected=connected_at is not None)
                if connected_at is not None and self._clock() - connected_at >= _STABLE_AFTER:
                    backoff = _FIRST_BACKOFF
                if self._session_lost and connected_at is not None:
                    self._session_lost = False  # the server is well: no reason to wait
                    continue
                await self._sleep(backoff)
                backoff = min(2 * backoff, _MAX_BACKOFF)

    async def _monitor(self, client: Client, limit: anyio.CancelScope) -> None:
        """List the tools periodically, and whenever a call failed, to detect a dead server and changed tools."""
        while True:
            with anyio.move_on_after(_POLL_INTERVAL):
                await self._check.wait()
            self._check.clear()
            limit.deadline = anyio.current_time() + self._timeout
            tools = await self._list(client)
            limit.deadline = math.inf
            if self._session_lost:  # the list came from another server of a group, which still knows the session
                raise SessionLost("the server has forgotten the session")
            if tools != self.tools:
                self.tools = tools

    async def _list(self, client: Client) -> tuple[Tool, ...]:
        tools: list[Tool] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            tools += [
                Tool(tool.name, tool.description, tool.input_schema)
                for tool in page.tools
                if self._offered.passes(tool.name)
            ]
            cursor = page.next_cursor
            if cursor is None or len(tools) >= _MAX_TOOLS:
                break
        return tuple(tools[:_MAX_TOOLS])

    def _on_connected(self, client: Client) -> None:
        self._check.clear()
        self._connected.set()
        self.client = client
        self._attempted.set()
        log.info("Tool server connected", server=self.name, tools=len(self.tools))

    def _on_disconnected(self, reason: str, *, connected: bool) -> None:
        self.client = None
        self._connected.clear()
        self._attempted.set()
        event = "Connection to tool server lost" if connected else "Tool server is not reachable"
        log.warning(event, server=self.name, reason=self._secrets.redact(reason))

    @asynccontextmanager
    async def _open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        async with self._transport() as (reading, writing):
            yield BoundedReader(self.name, reading, self._on_stream_end), writing

    def _on_stream_end(self) -> None:
        self.client = None
        self._connected.clear()
        self._check.set()


def _reason(error: BaseException) -> str:
    """The error as text. For a group, its first error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
