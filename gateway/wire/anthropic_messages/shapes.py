"""The fields of a provider's answers that the gateway reads. All are nullable, because compatible servers differ.

A stream creates two of these objects per token. They hold no cycles, so the garbage collector need not track them
(`gc=False`), which makes them a third cheaper.
"""

from typing import Any

from msgspec import Raw, Struct

from gateway.core.jsonio import StructDecoder


class Delta(Struct, gc=False):
    """What `content_block_delta` adds to a block, or what `message_delta` says about the end."""

    type: str | None = None
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: Any = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Any = None


class Event(Struct, gc=False):
    """One event of a stream; every `data` repeats the name of its event as `type`."""

    type: str | None = None
    index: int | None = None
    delta: Delta | None = None
    content_block: Raw = Raw(b"null")
    message: "Message | None" = None
    usage: Any = None
    error: Any = None


class Block(Struct, gc=False):
    """One block of content; `text` and `input` stay encoded as they arrived."""

    type: str | None = None
    text: Raw = Raw(b"null")
    citations: list[Any] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = Raw(b"null")


class Message(Struct, gc=False):
    """A whole answer, its beginning in `message_start`, or an error in its place."""

    type: str | None = None
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Any = None
    usage: Any = None
    error: Any = None


EVENT = StructDecoder(Event)
MESSAGE = StructDecoder(Message)
BLOCK = StructDecoder(Block)
