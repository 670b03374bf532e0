"""Filters and rate-limits what a tool server sends, before the SDK reads it.

Notifications are dropped, because the gateway uses none. Only the fields for models remain of a tool. In particular the
output schema is dropped: the SDK would check results against it, and a pattern in it can take very long.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

import structlog
from mcp.shared.message import SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
)

from gateway.core.jsonio import dumps
from gateway.observe.throttle import Throttle
from gateway.tools.stdio_message import RequestId, Unreadable

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 16 * 2**20
_MAX_TOOL_BYTES = 2**16  # every request of an agent carries its tools
_MAX_MESSAGES_PER_SECOND = 1000
_REQUEST_COST = 50  # messages that one request of a server counts for, because the SDK starts a task for each


class BoundedReader:
    """The stream of a connection's messages. It calls `ended` when the stream ends, because the SDK does not report it.

    A server that sends more than a thousand messages a second is read more slowly.
    """

    def __init__(
        self,
        server: str,
        stream: Any,
        ended: Callable[[], object],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._server = server
        self._stream = stream
        self._ended = ended
        self._sleep = sleep
        self._clock = clock or asyncio.get_running_loop().time
        self._window_start = self._clock()
        self._cost = 0
        self._logged: set[str] = set()
        self._unreadable = Throttle(self._clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                item = await self._stream.__anext__()
            except StopAsyncIteration:
                self._ended()
                raise
            if isinstance(item, Unreadable) and item.request is not None:
                item = self._failed_answer(item, item.request)
            message = item.message if isinstance(item, SessionMessage) else None
            await self._rate_limit(_REQUEST_COST if isinstance(message, JSONRPCRequest) else 1)
            if isinstance(message, JSONRPCNotification):
                continue
            if isinstance(message, JSONRPCResponse) and isinstance(tools := message.result.get("tools"), list):
                message.result["tools"] = [tool for one in tools if (tool := self._usable(one)) is not None]
            return item

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> bool | None:
        suppress: bool | None = await self._stream.__aexit__(*details)
        return suppress

    async def _rate_limit(self, cost: int) -> None:
        now = self._clock()
        if now - self._window_start >= 1.0:
            self._window_start, self._cost = now, 0
        self._cost += cost
        if self._cost > _MAX_MESSAGES_PER_SECOND:
            await self._sleep(self._window_start + 1.0 - now)

    def _failed_answer(self, answer: Unreadable, request: RequestId) -> SessionMessage:
        """An error as the answer to the call, which would otherwise wait for its time limit."""
        if (suppressed := self._unreadable.admit(self._server)) is not None:
            log.warning(
                "A tool's answer could not be read", server=self._server, reason=str(answer), suppressed=suppressed
            )
        error = ErrorData(code=INTERNAL_ERROR, message=f"the answer could not be read: {answer}.")
        return SessionMessage(JSONRPCError(jsonrpc="2.0", id=request, error=error))

    def _usable(self, tool: Any) -> dict[str, Any] | None:
        """The tool's fields for models. None if it can't be offered, because providers would refuse the request."""
        try:
            return _offered_fields(tool)
        except UnusableTool as error:
            name = str(tool.get("name"))[:64] if isinstance(tool, dict) else ""
            if name not in self._logged and len(self._logged) < 100:
                self._logged.add(name)
                log.warning("A tool is not offered", server=self._server, tool=name, reason=str(error))
            return None


class UnusableTool(ValueError):
    """A tool that can't be offered to a model. The message is the reason."""


def _offered_fields(tool: Any) -> dict[str, Any]:
    if not isinstance(tool, dict) or not isinstance(name := tool.get("name"), str):
        raise UnusableTool("it has no name")
    schema, description = tool.get("inputSchema"), tool.get("description")
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise UnusableTool("its inputSchema is not the schema of an object")
    # Providers refuse an object without `properties`, but servers send it for tools without parameters.
    fields = {"name": name, "inputSchema": {"type": "object", "properties": {}} | schema}
    if isinstance(description, str):
        fields["description"] = description
    if len(dumps(fields)) > _MAX_TOOL_BYTES:
        raise UnusableTool(f"its description and schema have more than {_MAX_TOOL_BYTES} bytes")
    return fields
