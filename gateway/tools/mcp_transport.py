"""How an MCP server is reached: a program's standard input and output, streamable HTTP, or SSE, its retired form."""

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
from gateway.tools.incoming import LARGEST
from gateway.tools.stdio import stdio_streams

Transport = Callable[[], AbstractAsyncContextManager[tuple[Any, Any]]]
"""A new connection: the streams that the SDK takes, what the server sends first."""


def transport_for(config: McpServerConfig, headers: dict[str, str], env: dict[str, str]) -> Transport:
    """The transport of one entry of `mcp.servers`."""
    _keep_quiet()
    if config.command:
        started = StdioServerParameters(command=config.command, args=list(config.args), env=env, cwd=config.cwd)
        return lambda: stdio_streams(started)
    url = config.url or ""
    timeout = httpx2.Timeout(config.connection_timeout_ms / 1000, read=None)  # each call has its own limit
    within = (config.connection_timeout_ms + config.request_timeout_ms) / 1000

    def http(*_: Any, **_of_the_sdk: Any) -> httpx2.AsyncClient:
        # No proxy of the environment: what is in the headers is for this server.
        transport = BoundedHttp(LARGEST, within)
        return httpx2.AsyncClient(headers=headers, timeout=timeout, transport=transport, trust_env=False)

    @asynccontextmanager
    async def streamable() -> AsyncIterator[tuple[Any, Any]]:
        async with (
            http() as client,
            streamable_http_client(url, http_client=client, max_sse_event_size=LARGEST) as streams,
        ):
            yield streams

    if config.transport == "sse":
        return lambda: sse_client(url, httpx_client_factory=http)
    return streamable


def _keep_quiet() -> None:
    """The SDK logs what servers send, and its HTTP client every URL: neither is ours to show."""
    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
