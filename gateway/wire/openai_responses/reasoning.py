"""Encodes and decodes `reasoning` items (https://platform.openai.com/docs/guides/reasoning).

A model's raw reasoning is `content` (`reasoning_text`), a summary of it is `summary` (`summary_text`).
`encrypted_content` holds all that the model needs back, in a form that clients return unchanged: the gateway then needs
no stored response to continue. It is sealed for the user, not encrypted.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import ValidationError, convert

from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.message import Thinking
from gateway.core.message_json import write_part
from gateway.core.seal import OWN_PREFIXES, Seal


def reasoning_item(
    id: str,  # noqa: A002  the field's name
    status: str,
    block: Thinking,
    *,
    seal: Seal | None,
) -> dict[str, Any]:
    """One block as an item; `seal` adds `encrypted_content`, with everything that its provider expects back."""
    texts = [{"type": "summary_text" if block.kind == "summary" else "reasoning_text", "text": block.text}]
    item: dict[str, Any] = {"id": id, "type": "reasoning", "status": status, "summary": []}
    item["summary" if block.kind == "summary" else "content"] = texts if block.text else []
    item["encrypted_content"] = None if seal is None else seal.close(dumps(write_part(block)))
    return item


def read_reasoning(item: Mapping[str, Any], seal: Seal | None) -> Thinking | None:
    """The block in a client's item; None for an empty one, or one that `seal` did not make."""
    encrypted = item.get("encrypted_content")
    if isinstance(encrypted, str) and encrypted.startswith(OWN_PREFIXES):
        return None if seal is None else _unsealed(seal, encrypted)
    for field, kind in (("content", "raw"), ("summary", "summary")):
        parts = item.get(field)
        texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        if text := "".join(text for text in texts if isinstance(text, str)):
            return Thinking(text, kind="raw" if kind == "raw" else "summary")
    return None


def _unsealed(seal: Seal, text: str) -> Thinking | None:
    """The block; None for one that is another user's, or was altered on its way: the model goes on without it."""
    data = seal.open(text)
    if data is None:
        return None
    try:
        fields = loads(data)
        return convert(fields, Thinking) if fields.get("type") == "thinking" else None
    except (InvalidJSON, ValidationError, AttributeError, ValueError):  # another version of the gateway sealed it
        return None
