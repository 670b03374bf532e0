"""What a tool server is to the rest of the program, and what a call of one of its tools gives."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct

from gateway.core.message import Image, Text

FailureKind = Literal["error", "timeout", "unavailable"]
"""The tool itself failed; it did not answer in time; its server can't be reached."""


class Tool(Struct, frozen=True):
    """A tool under its server's own name; `parameters` is a JSON Schema."""

    name: str
    description: str | None
    parameters: Mapping[str, Any]


class ToolOutput(Struct, frozen=True):
    """What a call gave, in text and pictures. Of a failure, the text says what went wrong, for the model to read."""

    content: tuple[Text | Image, ...]
    failure: FailureKind | None = None


def failed(kind: FailureKind, sentence: str) -> ToolOutput:
    """A call that gave nothing but this reason."""
    return ToolOutput((Text(f"Tool error: {sentence}"),), kind)


class ToolServer(Protocol):
    """One server. What fails is told by ToolOutput and by `available`, never by an exception."""

    @property
    def name(self) -> str:
        """As it is configured."""
        ...

    @property
    def available(self) -> bool:
        """Whether it can be called now."""
        ...

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What it offers, or offered when it was last available; the same object until that changes."""
        ...

    async def call(self, tool: str, arguments: dict[str, Any], limit: float) -> ToolOutput:
        """Run one of its tools within `limit` seconds. Cancelling this cancels the call at the server."""
        ...
