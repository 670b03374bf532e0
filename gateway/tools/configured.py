"""Configuration → tool servers. They connect at start, and close with the last configuration that has them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.config.mcp import McpServerConfig
from gateway.config.root import Config
from gateway.core.errors import ConfigError
from gateway.tools.registry import Registry
from gateway.tools.result import ResultLimits

if TYPE_CHECKING:
    from gateway.tools.mcp import McpServer

log = structlog.get_logger(__name__)

_START_TIMEOUT = 5.0  # seconds that the start waits for servers; slower servers connect later


@dataclass(slots=True)
class _Started:
    name: str
    config: McpServerConfig
    limits: ResultLimits
    server: "McpServer"
    users: int = 0


class ToolServers:
    """The started servers of a process. Configurations that have a server unchanged share it."""

    def __init__(self) -> None:
        self._started: list[_Started] = []

    def acquire(self, name: str, config: McpServerConfig, limits: ResultLimits) -> "McpServer":
        """The server, started if no other configuration uses it. Call `release` in every case."""
        for one in self._started:
            if (one.name, one.config, one.limits) == (name, config, limits):
                break
        else:
            from gateway.tools.mcp import mcp_server  # noqa: PLC0415  large, so only for those who want it

            one = _Started(name, config, limits, mcp_server(name, config, limits))
            one.server.start()
            self._started.append(one)
        one.users += 1
        return one.server

    async def release(self, servers: "Sequence[McpServer]") -> None:
        """Stop using these servers; those without another user are closed."""
        for one in self._started:
            one.users -= one.server in servers
        unused = [one.server for one in self._started if not one.users]
        self._started = [one for one in self._started if one.users]
        await asyncio.gather(*(server.close() for server in unused))


@asynccontextmanager
async def registry_from(config: Config, started: ToolServers | None = None) -> AsyncIterator[Registry | None]:
    """The servers of `mcp.servers`, None without any. Then the SDK is not imported.

    Servers that are `started` already are not started again. Raises ConfigError if the SDK is not installed.
    """
    entries = {name: server for name, server in config.mcp.servers.items() if server.enabled}
    if not entries:
        yield None
        return
    limits = ResultLimits(characters=config.tools.max_result_chars)
    started = started or ToolServers()
    servers: list[McpServer] = []
    try:
        try:
            for name, entry in entries.items():
                servers.append(started.acquire(name, entry, limits))
        except ModuleNotFoundError as error:
            text = f"the package {error.name} is not installed; install the extra: openclaw-gateway[mcp]"
            raise ConfigError((f"mcp.servers: {text}",)) from error
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_TIMEOUT), asyncio.TaskGroup() as waiting:
                for server in servers:
                    waiting.create_task(server.first_attempt())
        yield Registry(servers)
    finally:
        await started.release(servers)
