"""Encodes and decodes `reasoning` items (https://platform.openai.com/docs/guides/reasoning).

A model's raw reasoning is `content` (`reasoning_text`), a summary of it is `summary` (`summary_text`).
`encrypted_content` holds all that the model needs back, in a form that clients return unchanged: the gateway then needs
no stored response to continue. It is encoded, not encrypted.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from msgspec import ValidationError, convert

from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.message import Thinking
from gateway.core.message_json import write_part

_SEAL = "ocg1."
"""The prefix of `encrypted_content` that the gateway created; any other content belongs to another service."""


def reasoning_item(
    id: str,  # noqa: A002  the field's name
    status: str,
    block: Thinking,
    *,
    sealed: bool,
) -> dict[str, Any]:
    """One block as an item; `sealed` adds `encrypted_content`, with everything that its provider expects back."""
    texts = [{"type": "summary_text" if block.kind == "summary" else "reasoning_text", "text": block.text}]
    item: dict[str, Any] = {"id": id, "type": "reasoning", "status": status, "summary": []}
    item["summary" if block.kind == "summary" else "content"] = texts if block.text else []
    item["encrypted_content"] = seal(block) if sealed else None
    return item


def seal(block: Thinking) -> str:
    """A block as an opaque string for `encrypted_content`."""
    return _SEAL + urlsafe_b64encode(dumps(write_part(block))).decode()


def read_reasoning(item: Mapping[str, Any]) -> Thinking | None:
    """The block in a client's item; None for an empty one, or one that another service encrypted."""
    encrypted = item.get("encrypted_content")
    if isinstance(encrypted, str) and encrypted.startswith(_SEAL):
        return _unsealed(encrypted)
    for field, kind in (("content", "raw"), ("summary", "summary")):
        parts = item.get(field)
        texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        if text := "".join(text for text in texts if isinstance(text, str)):
            return Thinking(text, kind="raw" if kind == "raw" else "summary")
    return None


def _unsealed(text: str) -> Thinking | None:
    """The block; None for one that was cut or altered on its way, so that the model goes on without it."""
    try:
        fields = loads(urlsafe_b64decode(text.removeprefix(_SEAL)))
        return convert(fields, Thinking) if fields.get("type") == "thinking" else None
    except (binascii.Error, InvalidJSON, ValidationError, AttributeError, ValueError):
        return None
