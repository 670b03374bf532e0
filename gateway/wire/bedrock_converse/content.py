"""Encodes the parts of messages as content blocks of the Converse API.

Blank text is left out, because the provider refuses it. What a block can't express raises `unsupported`.
"""

import re
from typing import Any

from gateway.core.message import File, Foreign, Image, Owner, Part, Refusal, Text, Thinking, ToolCall
from gateway.wire.arguments import arguments_object
from gateway.wire.bedrock_converse import WIRE
from gateway.wire.unsupported import unsupported

Block = dict[str, Any]

_DATA_URI = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,", re.IGNORECASE)
_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\-()\[\]]+")


def user_block(part: Part, number: int) -> Block | None:
    """The block of a part of a user's message or of a tool result; None for a part without content.

    `number` distinguishes documents, whose names must differ in a request.
    """
    match part:
        case Text(raw):
            return None if part.blank else {"text": raw}
        case Refusal(text):
            return {"text": text} if text.strip() else None
        case Image(url):
            return {"image": _image(url)}
        case File():
            return {"document": _document(part, number)}
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
            return None if part.blank else {"text": raw}
        case ToolCall(_, name):
            return {"toolUse": {"toolUseId": call_id, "name": name, "input": arguments_object(part)}}
        case Thinking():
            return _reasoning(part) if part.owner == owner else None
        case Refusal(text):
            return {"text": text} if text.strip() else None
        case Foreign(wire, payload) if wire == WIRE:
            return dict(payload)
        case Image() | File() | Foreign():
            raise unsupported(WIRE, "files or images in messages of the assistant")
        case _:
            return None


def _reasoning(block: Thinking) -> Block | None:
    if block.encrypted is not None:
        return {"reasoningContent": {"redactedContent": block.encrypted}}
    if block.signature is None:
        return None
    signed = {"signature": block.signature} if block.signature else {}  # open models don't sign
    return {"reasoningContent": {"reasoningText": {"text": block.text, **signed}}}


def _image(url: str) -> Block:
    head = _DATA_URI.match(url)
    if head is None:
        raise unsupported(WIRE, "images by URL")
    if (name := _IMAGES.get(head[1].lower())) is None:
        raise unsupported(WIRE, f"images of the type {head[1][:80]!r}")
    return {"format": name, "source": {"bytes": url[head.end() :]}}


def _document(file: File, number: int) -> Block:
    mime = (file.mime or "").partition(";")[0].strip().lower()
    if file.data is None:
        raise unsupported(WIRE, "files by URL")
    if (name := _DOCUMENTS.get(mime)) is None:
        raise unsupported(WIRE, f"files of the type {mime[:80]!r}")
    title = _NOT_IN_NAMES.sub(" ", (file.name or "").rpartition(".")[0] or file.name or "file").strip()[:180]
    return {"format": name, "name": f"{title or 'file'} {number}", "source": {"bytes": file.data}}
