"""What a tool server sends, on its way into the SDK: as little of it as is needed, and at a pace that can be borne.

A server says what it likes, how often it likes. Notifications are dropped, because nobody here waits for one. Of a tool
remains what a model is told; above all not its output schema, with which the SDK would check answers: a pattern in it
can take longer than anybody waits.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

import structlog
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from gateway.core.jsonio import dumps

log = structlog.get_logger(__name__)

LARGEST = 16 * 2**20  # bytes of one message
_TOOL_BYTES = 2**16  # of one tool: what every request of an agent carries
_BUDGET = 1000  # messages a second
_REQUEST = 50  # messages that one request of a server counts for, as each is answered by a task of its own


class Incoming:
    """The stream of a connection's messages; `ended` is called when it has ended, which the SDK keeps to itself.

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
        self._since = self._clock()
        self._spent = 0
        self._told: set[str] = set()

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
            message = item.message if isinstance(item, SessionMessage) else None
            await self._pay(_REQUEST if isinstance(message, JSONRPCRequest) else 1)
            if isinstance(message, JSONRPCNotification):
                continue
            if isinstance(message, JSONRPCResponse) and isinstance(listed := message.result.get("tools"), list):
                message.result["tools"] = [tool for one in listed if (tool := self._usable(one)) is not None]
            return item

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> bool | None:
        left: bool | None = await self._stream.__aexit__(*details)
        return left

    async def _pay(self, price: int) -> None:
        now = self._clock()
        if now - self._since >= 1.0:
            self._since, self._spent = now, 0
        self._spent += price
        if self._spent > _BUDGET:
            await self._sleep(self._since + 1.0 - now)

    def _usable(self, tool: Any) -> dict[str, Any] | None:
        """What of the tool is offered; None where nothing can be: one of them must not spoil all requests."""
        try:
            return _offered(tool)
        except UnusableTool as error:
            name = str(tool.get("name"))[:64] if isinstance(tool, dict) else ""
            if name not in self._told and len(self._told) < 100:
                self._told.add(name)
                log.warning("a tool is left out", server=self._server, tool=name, reason=str(error))
            return None


class UnusableTool(ValueError):
    """A tool that can't be offered to a model, and why not."""


def _offered(tool: Any) -> dict[str, Any]:
    if not isinstance(tool, dict) or not isinstance(name := tool.get("name"), str):
        raise UnusableTool("it has no name")
    schema, description = tool.get("inputSchema"), tool.get("description")
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        raise UnusableTool("its inputSchema is no schema of an object")
    # Providers refuse an object without `properties`, which is what servers give for tools that take nothing.
    offered = {"name": name, "inputSchema": {"type": "object", "properties": {}} | schema}
    if isinstance(description, str):
        offered["description"] = description
    if len(dumps(offered)) > _TOOL_BYTES:
        raise UnusableTool(f"its description and schema have more than {_TOOL_BYTES} bytes")
    return offered
