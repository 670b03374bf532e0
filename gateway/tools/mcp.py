"""A server of the Model Context Protocol: connects, monitors the connection, and reconnects.

The SDK requires that the task that opens a connection also closes it, so each server has one task that owns its
connection. Calls come from any task. Only this module and its transports import the SDK, and only if servers are
configured.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import structlog
from mcp import Client, MCPError
from mcp_types import CONNECTION_CLOSED, CallToolResult
from msgspec import Struct

from gateway.config.mcp import McpServerConfig
from gateway.tools.bounded_http import SESSION_LOST
from gateway.tools.bounded_reader import BoundedReader
from gateway.tools.contract import Tool, ToolOutput, failed
from gateway.tools.filter import ToolFilter
from gateway.tools.mcp_secrets import NO_SECRETS, Secrets, secrets_of
from gateway.tools.mcp_transport import Transport, transport_for
from gateway.tools.result import ResultLimits, read_result

log = structlog.get_logger(__name__)

_MAX_PAGES, _MAX_TOOLS = 100, 1000  # of a server's list of tools; the rest is ignored
_POLL_INTERVAL = 60.0  # seconds between checks of a connected server
_FIRST_BACKOFF, _MAX_BACKOFF = 1.0, 60.0  # seconds before the next connection; doubles with every failure
_STABLE_AFTER = 30.0  # seconds of connection that reset the backoff


class Timing(Struct, frozen=True):
    """Timeouts in seconds: for connecting including the list of tools, and for one call."""

    connect: float = 30.0
    call: float = 60.0


class McpServer:
    """See ToolServer. Call `start`, and `close` in every case."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        timing: Timing,
        offered: ToolFilter,
        limits: ResultLimits,
        secrets: Secrets = NO_SECRETS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.tools: tuple[Tool, ...] = ()
        self._transport = transport
        self._timing = timing
        self._offered = offered
        self._limits = limits
        self._secrets = secrets
        self._clock = clock
        self._sleep = sleep
        self._client: Client | None = None
        self._calls: set[asyncio.Task[CallToolResult]] = set()
        self._check = asyncio.Event()
        self._connected = asyncio.Event()
        self._session_lost = False
        self._attempted = asyncio.Event()
        self._scope = anyio.CancelScope()
        self._task: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        """See ToolServer."""
        return self._client is not None

    def start(self) -> None:
        """Connect, and reconnect whenever the connection is lost."""
        self._task = asyncio.get_running_loop().create_task(self._keep_connected(), name=f"tool server {self.name}")

    async def first_attempt(self) -> None:
        """Wait until the first attempt to connect has succeeded or failed."""
        await self._attempted.wait()

    async def close(self) -> None:
        """Close the connection. A server that this gateway started as a program has ended on return."""
        self._client = None
        self._scope.cancel()
        if self._task is not None:
            await self._task
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def call(self, tool: str, arguments: dict[str, Any], limit: float) -> ToolOutput:
        """See ToolServer. A call that a server did not run, because it has forgotten the session, is repeated once."""
        started = self._clock()
        output = await self._call(tool, arguments, limit)
        if output is not None:
            return output
        remaining = min(limit, self._timing.call) - (self._clock() - started)
        try:
            async with asyncio.timeout(remaining):
                await self._connected.wait()
        except TimeoutError:
            return self._unavailable()
        return await self._call(tool, arguments, remaining) or self._unavailable()

    def _unavailable(self) -> ToolOutput:
        return failed("unavailable", f"the tool server '{self.name}' is not available at the moment.")

    async def _call(self, tool: str, arguments: dict[str, Any], limit: float) -> ToolOutput | None:
        """One call; None if the server has forgotten the session, so that a new one is made at once."""
        client = self._client
        if client is None:
            return self._unavailable()
        limit = min(limit, self._timing.call)
        task = self._start_call(client, tool, arguments)
        try:
            done, _ = await asyncio.wait((task,), timeout=limit)
        finally:
            task.cancel()  # this also tells the server, which can take seconds, so nothing waits for it
        if not done:
            self._check.set()  # the server may hang, not only this tool
            return failed("timeout", f"no answer within {limit:.3g} seconds.")
        try:
            result = task.result()
        except MCPError as error:
            self._check.set()
            if error.code == SESSION_LOST:
                self._lose_session(client)
                return None
            # Servers use this code for their own faults too. The check finds out whether the server is reachable.
            if error.code == CONNECTION_CLOSED and error.message.startswith(_CONNECTION_LOST):
                return failed("unavailable", f"the connection to the tool server '{self.name}' broke during the call.")
            return failed("error", self._secrets.redact(error.message))
        except Exception as error:  # noqa: BLE001  the SDK may raise any exception for an invalid answer
            log.warning("A tool's answer is invalid", server=self.name, tool=tool, reason=type(error).__name__)
            return failed("error", f"the answer could not be read ({type(error).__name__}).")
        return read_result(
            result.content, result.structured_content, is_error=bool(result.is_error), limits=self._limits
        )

    def _start_call(self, client: Client, tool: str, arguments: dict[str, Any]) -> asyncio.Task[CallToolResult]:
        """The call as a task, for which `close` waits."""
        task = asyncio.get_running_loop().create_task(client.call_tool(tool, arguments), name=f"call {self.name}")
        self._calls.add(task)
        task.add_done_callback(self._end_call)
        return task

    def _end_call(self, task: asyncio.Task[CallToolResult]) -> None:
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # `call` raises it, unless it was cancelled

    async def _keep_connected(self) -> None:
        backoff = _FIRST_BACKOFF
        with self._scope:
            while True:
                connected_at: float | None = None
                try:
                    with anyio.CancelScope(deadline=anyio.current_time() + self._timing.connect) as limit:
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
            limit.deadline = anyio.current_time() + self._timing.connect
            tools = await self._list(client)
            limit.deadline = math.inf
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

    def _lose_session(self, client: Client) -> None:
        if self._client is client:
            self._session_lost = True
            self._client = None
            self._connected.clear()

    def _on_connected(self, client: Client) -> None:
        self._check.clear()
        self._connected.set()
        self._client = client
        self._attempted.set()
        log.info("Tool server connected", server=self.name, tools=len(self.tools))

    def _on_disconnected(self, reason: str, *, connected: bool) -> None:
        self._client = None
        self._connected.clear()
        self._attempted.set()
        event = "Connection to tool server lost" if connected else "Tool server is not reachable"
        log.warning(event, server=self.name, reason=self._secrets.redact(reason))

    @asynccontextmanager
    async def _open_stream(self) -> AsyncIterator[tuple[Any, Any]]:
        async with self._transport() as (reading, writing):
            yield BoundedReader(self.name, reading, self._on_stream_end), writing

    def _on_stream_end(self) -> None:
        self._client = None
        self._connected.clear()
        self._check.set()


_CONNECTION_LOST = ("Connection closed", "SSE stream")  # prefixes of the SDK's messages for a lost connection


def _reason(error: BaseException) -> str:
    """The error as text. For a group, its first error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def mcp_server(name: str, config: McpServerConfig, limits: ResultLimits) -> McpServer:
    """Create the server of one entry of `mcp.servers`. The caller starts it."""
    headers = {key: value.get_secret_value() for key, value in config.headers.items()}
    env = {key: value.get_secret_value() for key, value in config.env.items()}
    return McpServer(
        name,
        transport_for(config, headers, env),
        timing=Timing(config.connection_timeout_ms / 1000, config.request_timeout_ms / 1000),
        offered=ToolFilter(config.tool_filter.include, config.tool_filter.exclude),
        limits=limits,
        secrets=secrets_of(config.url, headers, env),
    )
