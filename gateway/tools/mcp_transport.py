"""The transports to an MCP server: a program's standard input and output, streamable HTTP, or the older SSE."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
from mcp import StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from gateway.config.mcp import McpServerConfig
from gateway.tools.bounded_http import BoundedHttp
from gateway.tools.bounded_reader import MAX_MESSAGE_BYTES
from gateway.tools.stdio import stdio_streams

Transport = Callable[[], AbstractAsyncContextManager[tuple[Any, Any]]]
"""Opens a connection. Returns the SDK's two streams, the one from the server first."""


def transport_for(config: McpServerConfig, headers: dict[str, str], env: dict[str, str]) -> Transport:
    """The transport of one entry of `mcp.servers`."""
    _silence_sdk_loggers()
    if config.command:
        program = StdioServerParameters(command=config.command, args=list(config.args), env=env, cwd=config.cwd)
        return lambda: stdio_streams(program)
    url = config.url or ""
    timeout = httpx2.Timeout(config.connection_timeout_ms / 1000, read=None)  # each call has its own timeout
    response_timeout = (config.connection_timeout_ms + config.request_timeout_ms) / 1000

    def http(*_: Any, **_of_the_sdk: Any) -> httpx2.AsyncClient:
        # Ignore proxies of the environment: only this server may see the headers.
        transport = BoundedHttp(MAX_MESSAGE_BYTES, response_timeout)
        return httpx2.AsyncClient(headers=headers, timeout=timeout, transport=transport, trust_env=False)

    @asynccontextmanager
    async def streamable() -> AsyncIterator[tuple[Any, Any]]:
        async with (
            http() as client,
            streamable_http_client(url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES) as streams,
        ):
            yield streams

    if config.transport == "sse":
        return lambda: sse_client(url, httpx_client_factory=http)
    return streamable


def _silence_sdk_loggers() -> None:
    """Silence the SDK, which logs server messages, and its HTTP client, which logs URLs: both may contain secrets."""
    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
