"""A server of the Model Context Protocol: started or called, watched, and connected again when it is lost.

The SDK wants a connection to be left by the task that entered it, so each server has one task that owns its connection;
calls come from any task. Only this module and its transports import the SDK, and only where servers are configured.
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
from gateway.tools.contract import Tool, ToolOutput, failed
from gateway.tools.filter import ToolFilter
from gateway.tools.incoming import Incoming
from gateway.tools.mcp_secrets import NO_SECRETS, Secrets, secrets_of
from gateway.tools.mcp_transport import Transport, transport_for
from gateway.tools.result import ResultLimits, read_result

log = structlog.get_logger(__name__)

_PAGES, _TOOLS = 100, 1000  # of a list of tools; a server that goes on is not listened to any longer
_LOOK_EVERY = 60.0  # seconds between looks at a connected server
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds before connecting again; doubles with every failure
_PROVEN = 30.0  # seconds after which a connection that is lost counts as one that was good


class Timing(Struct, frozen=True):
    """Seconds for connecting and listing the tools, and for one call."""

    connect: float = 30.0
    call: float = 60.0


class McpServer:
    """One server; see ToolServer. `start` it, and `close` it in every case."""

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
        self._look = asyncio.Event()
        self._settled = asyncio.Event()
        self._scope = anyio.CancelScope()
        self._task: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        """See ToolServer."""
        return self._client is not None

    def start(self) -> None:
        """Connect, and stay connected."""
        self._task = asyncio.get_running_loop().create_task(self._own(), name=f"tool server {self.name}")

    async def settled(self) -> None:
        """Wait until the first connection has been made or has failed."""
        await self._settled.wait()

    async def close(self) -> None:
        """Leave the server; one that was started here has ended when this returns."""
        self._client = None
        self._scope.cancel()
        if self._task is not None:
            await self._task
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def call(self, tool: str, arguments: dict[str, Any], limit: float) -> ToolOutput:
        """See ToolServer."""
        client = self._client
        if client is None:
            return failed("unavailable", f"the tool server '{self.name}' is not available at the moment.")
        limit = min(limit, self._timing.call)
        asked = self._asked(client, tool, arguments)
        try:
            done, _ = await asyncio.wait((asked,), timeout=limit)
        finally:
            asked.cancel()  # which tells the server; that can take seconds, for which nobody here waits
        if not done:
            self._look.set()  # perhaps it is not only this tool that hangs
            return failed("timeout", f"no answer within {limit:.3g} seconds.")
        try:
            result = asked.result()
        except MCPError as error:
            self._look.set()
            # Servers use this code for faults of their own, too; whether one is there is what the look finds out.
            if error.code == CONNECTION_CLOSED and error.message.startswith(_BROKE):
                return failed("unavailable", f"the connection to the tool server '{self.name}' broke during the call.")
            return failed("error", self._secrets.out_of(error.message))
        except Exception as error:  # noqa: BLE001  whatever an SDK raises about an answer is the answer's fault
            log.warning("a tool's answer can't be read", server=self.name, tool=tool, reason=type(error).__name__)
            return failed("error", f"the answer could not be read ({type(error).__name__}).")
        return read_result(
            result.content, result.structured_content, is_error=bool(result.is_error), limits=self._limits
        )

    def _asked(self, client: Client, tool: str, arguments: dict[str, Any]) -> asyncio.Task[CallToolResult]:
        """The call on its way, in a task of its own that `close` waits for."""
        task = asyncio.get_running_loop().create_task(client.call_tool(tool, arguments), name=f"call {self.name}")
        self._calls.add(task)
        task.add_done_callback(self._called)
        return task

    def _called(self, task: asyncio.Task[CallToolResult]) -> None:
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever called, unless nobody is left

    async def _own(self) -> None:
        pause = _FIRST_PAUSE
        with self._scope:
            while True:
                came: float | None = None
                try:
                    with anyio.CancelScope(deadline=anyio.current_time() + self._timing.connect) as limit:
                        async with Client(self._watched(), cache=None) as client:
                            self.tools = await self._list(client)
                            limit.deadline = math.inf
                            came = self._clock()
                            self._came(client)
                            await self._stay(client, limit)
                    self._gone("no answer in time", connected=came is not None)
                except Exception as error:  # noqa: BLE001  nothing that a server does may end the task that owns it
                    self._gone(_reason(error), connected=came is not None)
                if came is not None and self._clock() - came >= _PROVEN:
                    pause = _FIRST_PAUSE
                await self._sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _stay(self, client: Client, limit: anyio.CancelScope) -> None:
        """Look at the server now and then, and whenever something points to trouble or to other tools."""
        while True:
            with anyio.move_on_after(_LOOK_EVERY):
                await self._look.wait()
            self._look.clear()
            limit.deadline = anyio.current_time() + self._timing.connect
            tools = await self._list(client)
            limit.deadline = math.inf
            if tools != self.tools:
                self.tools = tools

    async def _list(self, client: Client) -> tuple[Tool, ...]:
        tools: list[Tool] = []
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await client.list_tools(cursor=cursor)
            tools += [
                Tool(tool.name, tool.description, tool.input_schema)
                for tool in page.tools
                if self._offered.passes(tool.name)
            ]
            cursor = page.next_cursor
            if cursor is None or len(tools) >= _TOOLS:
                break
        return tuple(tools[:_TOOLS])

    def _came(self, client: Client) -> None:
        self._look.clear()
        self._client = client
        self._settled.set()
        log.info("tool server connected", server=self.name, tools=len(self.tools))

    def _gone(self, reason: str, *, connected: bool) -> None:
        self._client = None
        self._settled.set()
        said = "tool server lost" if connected else "tool server can't be reached"
        log.warning(said, server=self.name, reason=self._secrets.out_of(reason))

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[tuple[Any, Any]]:
        async with self._transport() as (reading, writing):
            yield Incoming(self.name, reading, self._ended), writing

    def _ended(self) -> None:
        self._client = None
        self._look.set()


_BROKE = ("Connection closed", "SSE stream")  # how the SDK's own words for it begin


def _reason(error: BaseException) -> str:
    """What went wrong, in words; of several failures the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def mcp_server(name: str, config: McpServerConfig, limits: ResultLimits) -> McpServer:
    """The server of one entry of `mcp.servers`, not started yet."""
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
