"""A server of the Model Context Protocol: its tools, and calls of them. Calls come from any task.

`gateway.tools.mcp_connection` keeps the connection.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from mcp import Client, MCPError
from mcp_types import CONNECTION_CLOSED, CallToolResult
from msgspec import Struct

from gateway.config.mcp import McpServerConfig
from gateway.tools.bounded_http import SESSION_LOST
from gateway.tools.contract import Tool, ToolOutput, failed
from gateway.tools.filter import ToolFilter
from gateway.tools.mcp_connection import McpConnection
from gateway.tools.mcp_secrets import NO_SECRETS, Secrets, secrets_of
from gateway.tools.mcp_transport import Transport, transport_for
from gateway.tools.result import ResultLimits, read_result

log = structlog.get_logger(__name__)

_CONNECTION_LOST = ("Connection closed", "SSE stream")  # prefixes of the SDK's messages for a lost connection


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
        self._call_timeout = timing.call
        self._limits = limits
        self._secrets = secrets
        self._clock = clock
        self._calls: set[asyncio.Task[CallToolResult]] = set()
        self._connection = McpConnection(
            name, transport, timeout=timing.connect, offered=offered, secrets=secrets, clock=clock, sleep=sleep
        )

    @property
    def available(self) -> bool:
        """See ToolServer."""
        return self._connection.client is not None

    @property
    def tools(self) -> tuple[Tool, ...]:
        """See ToolServer."""
        return self._connection.tools

    def start(self) -> None:
        """Connect, and reconnect whenever the connection is lost."""
        self._connection.start()

    async def first_attempt(self) -> None:
        """Wait until the first attempt to connect has succeeded or failed."""
        await self._connection.first_attempt()

    async def close(self) -> None:
        """Close the connection. A server that this gateway started as a program has ended on return."""
        await self._connection.close()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def call(self, tool: str, arguments: dict[str, Any], limit: float) -> ToolOutput:
        """See ToolServer. A call that a server did not run, because it has forgotten the session, is repeated once."""
        started = self._clock()
        output = await self._call(tool, arguments, limit)
        if output is not None:
            return output
        remaining = min(limit, self._call_timeout) - (self._clock() - started)
        try:
            async with asyncio.timeout(remaining):
                await self._connection.connected()
        except TimeoutError:
            return self._unavailable()
        return await self._call(tool, arguments, remaining) or self._unavailable()

    def _unavailable(self) -> ToolOutput:
        return failed("unavailable", f"the tool server '{self.name}' is not available at the moment.")

    async def _call(self, tool: str, arguments: dict[str, Any], limit: float) -> ToolOutput | None:
        """One call; None if the server has forgotten the session, so that a new one is made at once."""
        client = self._connection.client
        if client is None:
            return self._unavailable()
        limit = min(limit, self._call_timeout)
        task = self._start_call(client, tool, arguments)
        try:
            done, _ = await asyncio.wait((task,), timeout=limit)
        finally:
            task.cancel()  # this also tells the server, which can take seconds, so nothing waits for it
        if not done:
            self._connection.check()  # the server may hang, not only this tool
            return failed("timeout", f"no answer within {limit:.3g} seconds.")
        try:
            result = task.result()
        except MCPError as error:
            self._connection.check()
            if error.code == SESSION_LOST:
                self._connection.lose_session(client)
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
