"""How an MCP server is reached: a program's standard input and output, streamable HTTP, or SSE, its retired form."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Self

import httpx2
from mcp import StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from gateway.config.mcp import McpServerConfig

_EVENT_BYTES = 16 * 2**20

Transport = Callable[[], AbstractAsyncContextManager[tuple[Any, Any]]]
"""A new connection: the streams that the SDK takes, what the server sends first."""


def transport_for(config: McpServerConfig, headers: dict[str, str], env: dict[str, str]) -> Transport:
    """The transport of one entry of `mcp.servers`."""
    _keep_quiet()
    if config.command:
        started = StdioServerParameters(
            command=config.command, args=list(config.args), env=env, cwd=config.cwd, encoding_error_handler="replace"
        )
        return lambda: stdio_client(started)
    url = config.url or ""
    timeout = httpx2.Timeout(config.connection_timeout_ms / 1000, read=None)  # each call has its own limit

    def http(*_: Any, **_of_the_sdk: Any) -> httpx2.AsyncClient:
        # No proxy of the environment: what is in the headers is for this server.
        return httpx2.AsyncClient(headers=headers, timeout=timeout, trust_env=False)

    @asynccontextmanager
    async def streamable() -> AsyncIterator[tuple[Any, Any]]:
        async with (
            http() as client,
            streamable_http_client(url, http_client=client, max_sse_event_size=_EVENT_BYTES) as streams,
        ):
            yield streams

    if config.transport == "sse":
        return lambda: sse_client(url, httpx_client_factory=http)
    return streamable


class Watched:
    """The stream of what a server sends, which says when it has ended: the SDK keeps that to itself."""

    def __init__(self, stream: Any, ended: asyncio.Event) -> None:
        self._stream = stream
        self._ended = ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._ended.set()
            raise

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> bool | None:
        left: bool | None = await self._stream.__aexit__(*details)
        return left


def _keep_quiet() -> None:
    """The SDK logs what servers send, and its HTTP client every URL: neither is ours to show."""
    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
