"""Encodes the parts of messages as content blocks.

Blank text is left out, because the provider refuses it. What a block can't express raises `unsupported`.
"""

import base64
import re
from typing import Any

from gateway.core.message import (
    NO_EXTRAS,
    Extras,
    File,
    Foreign,
    Image,
    Owner,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.anthropic_messages.signature import is_from_client
from gateway.wire.arguments import arguments_object
from gateway.wire.claude import OTHER, abilities_of
from gateway.wire.unsupported import unsupported

Block = dict[str, Any]

_DATA_URI = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,", re.IGNORECASE)
_MAX_TITLE = 500  # characters
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def user_block(part: Part) -> Block | None:
    """The block of a part of a user's message or of a tool result; None for a part without content."""
    match part:
        case Text(raw):
            return None if part.blank else marked({"type": "text", "text": raw}, part.extras)
        case Refusal(text):
            return {"type": "text", "text": text} if text.strip() else None
        case Image(url):
            return marked({"type": "image", "source": _image_source(url)}, part.extras)
        case File():
            return _document(part)
        case Foreign(wire, payload) if wire == WIRE:
            return dict(payload)
        case Foreign(_, payload):
            raise unsupported(WIRE, f"parts of the type {str(payload.get('type'))[:80]!r}")
        case Thinking():
            return None
        case _:
            raise unsupported(WIRE, "audio" if type(part).__name__ == "Audio" else f"a {type(part).__name__} here")


def assistant_block(part: Part, owner: Owner, call_id: str = "") -> Block | None:
    """The block of a part of an assistant's message; None for reasoning of another model than `owner`, and for sources.

    `call_id` is the id of a tool call at this provider.
    """
    match part:
        case Text(raw):
            return None if part.blank else marked({"type": "text", "text": raw}, part.extras)
        case ToolCall(_, name):
            block = {"type": "tool_use", "id": call_id, "name": name, "input": arguments_object(part)}
            return marked(block, part.extras)
        case Thinking():
            return _thinking(part) if part.owner == owner or _may_be_own(part, owner) else None
        case Refusal(text):
            return {"type": "text", "text": text} if text.strip() else None
        case Foreign(wire, payload) if wire == WIRE:
            return dict(payload)
        case Image() | File() | Foreign():
            raise unsupported(WIRE, "files or images in messages of the assistant")
        case _:
            return None  # sources, which the provider accepts only with its own positions


def _may_be_own(block: Thinking, owner: Owner) -> bool:
    """Whether a client returned the block with a signature that only Claude can have made and can verify."""
    return is_from_client(block) and abilities_of(owner.model) is not OTHER


def _thinking(block: Thinking) -> Block | None:
    if block.signature is not None:
        return {"type": "thinking", "thinking": block.text, "signature": block.signature}
    return None if block.encrypted is None else {"type": "redacted_thinking", "data": block.encrypted}


def marked(block: Block, extras: Extras) -> Block:
    """The block with the fields that belong to this format, and the client's cache breakpoint.

    Clients of other formats write `cache_control` as Anthropic defines it, so its label does not matter.
    """
    if extras is NO_EXTRAS:
        return block
    block |= extras.of(WIRE)
    if isinstance(breakpoint_ := extras.fields.get("cache_control"), dict):
        block["cache_control"] = breakpoint_
    return block


def _image_source(url: str) -> Block:
    head = _DATA_URI.match(url)
    if head is None:
        return {"type": "url", "url": url}
    if (mime := head[1].lower()) not in _IMAGES:
        raise unsupported(WIRE, f"images of the type {mime[:80]!r}")
    return {"type": "base64", "media_type": mime, "data": url[head.end() :]}


def _document(file: File) -> Block:
    mime = (file.mime or "").partition(";")[0].strip().lower()
    source: Block
    if file.data is None:
        source = {"type": "url", "url": file.url or ""}
    elif mime == "application/pdf":
        source = {"type": "base64", "media_type": mime, "data": file.data}
    elif mime.startswith("text/") or mime == "application/json":
        source = {"type": "text", "media_type": "text/plain", "data": _text_of(file.data)}
    else:
        raise unsupported(WIRE, f"files of the type {mime[:80]!r}")
    title = {"title": file.name[:_MAX_TITLE]} if file.name else {}
    return marked({"type": "document", "source": source, **title}, file.extras)


def _text_of(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8", "replace")
    except ValueError:
        raise unsupported(WIRE, "files whose base64 is broken") from None
