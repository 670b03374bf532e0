"""The fields of a provider's answers that the gateway reads.

A stream creates two of these objects per token. They hold no cycles, so the garbage collector need not track them
(`gc=False`), which makes them a third cheaper.
"""

from typing import Any

from msgspec import Raw, Struct, field

from gateway.core.jsonio import StructDecoder

_NULL = Raw(b"null")


class ToolUse(Struct, rename="camel", gc=False):
    """A call, or a piece of its arguments, which is then a string."""

    tool_use_id: str | None = None
    name: str | None = None
    input: Raw = _NULL


class ReasoningText(Struct, gc=False):
    """Complete reasoning."""

    text: str = ""
    signature: str | None = None


class Reasoning(Struct, rename="camel", gc=False):
    """Reasoning: nested in a whole answer, flat in a stream; `redacted_content` is base64."""

    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None
    reasoning_text: ReasoningText | None = None


class Cited(Struct, gc=False):
    """Text with its sources, in a whole answer."""

    content: list["Block"] | None = None
    citations: list[Any] | None = None


class Block(Struct, rename="camel", gc=False):
    """One block of a whole answer, or what a stream adds to one; one of its fields is set."""

    text: Raw = _NULL
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citation: Any = None
    citations_content: Cited | None = None


class Message(Struct, gc=False):
    """The message of a whole answer."""

    content: list[Block] | None = None


class Output(Struct, gc=False):
    """The output of a whole answer."""

    message: Message | None = None


class Answer(Struct, gc=False):
    """A whole answer, or an exception in its place."""

    output: Output | None = None
    stop_reason: str | None = field(name="stopReason", default=None)
    usage: Any = None
    error: str | None = field(name="__type", default=None)
    message: str | None = None


class Event(Struct, rename="camel", gc=False):
    """The payload of any event of a stream; the name of the event is a header of its message."""

    content_block_index: int | None = None
    start: Block | None = None
    delta: Block | None = None
    stop_reason: str | None = None
    usage: Any = None
    message: str | None = None


ANSWER = StructDecoder(Answer)
EVENT = StructDecoder(Event)
