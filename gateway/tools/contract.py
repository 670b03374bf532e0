"""The interface of a tool server, and the result of a tool call."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct

from gateway.core.message import Image, Text

FailureKind = Literal["error", "timeout", "unavailable"]
"""The tool itself failed; it did not answer in time; its server is not reachable."""


class Tool(Struct, frozen=True):
    """A tool. `name` is the server's own name for it; `parameters` is a JSON Schema."""

    name: str
    description: str | None
    parameters: Mapping[str, Any]


class ToolOutput(Struct, frozen=True):
    """The result of a call, as text and images. After a failure, the text describes it for the model."""

    content: tuple[Text | Image, ...]
    failure: FailureKind | None = None


def failed(kind: FailureKind, sentence: str) -> ToolOutput:
    """The result of a failed call."""
    return ToolOutput((Text(f"Tool error: {sentence}"),), kind)


class ToolServer(Protocol):
    """One server. ToolOutput and `available` report failures; no method raises them."""

    @property
    def name(self) -> str:
        """The name in the configuration."""
        ...

    @property
    def available(self) -> bool:
        """Whether the server can be called now."""
        ...

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools that the server offers, or offered when last available. The same object until they change."""
        ...

    async def call(self, tool: str, arguments: dict[str, Any], limit: float) -> ToolOutput:
        """Run a tool, at most `limit` seconds. Cancelling this coroutine cancels the call at the server."""
        ...
