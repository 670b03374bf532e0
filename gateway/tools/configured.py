"""Configuration → tool servers. They connect at start and close at the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from gateway.config.root import Config
from gateway.core.errors import ConfigError
from gateway.tools.registry import Registry
from gateway.tools.result import ResultLimits

log = structlog.get_logger(__name__)

_START_TIMEOUT = 5.0  # seconds that the start waits for servers; slower servers connect later


@asynccontextmanager
async def registry_from(config: Config) -> AsyncIterator[Registry | None]:
    """The servers of `mcp.servers`, None without any. Then the SDK is not imported.

    Raises ConfigError if the SDK is not installed.
    """
    entries = {name: server for name, server in config.mcp.servers.items() if server.enabled}
    if not entries:
        yield None
        return
    try:
        from gateway.tools.mcp import mcp_server  # noqa: PLC0415  large, so only for those who want it
    except ModuleNotFoundError as error:
        missing = f"mcp.servers: the package {error.name} is not installed; install the extra: openclaw-gateway[mcp]"
        raise ConfigError((missing,)) from error
    limits = ResultLimits(characters=config.tools.max_result_chars)
    servers = [mcp_server(name, entry, limits) for name, entry in entries.items()]
    try:
        for server in servers:
            server.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_TIMEOUT), asyncio.TaskGroup() as waiting:
                for server in servers:
                    waiting.create_task(server.first_attempt())
        yield Registry(servers)
    finally:
        await asyncio.gather(*(server.close() for server in servers))
