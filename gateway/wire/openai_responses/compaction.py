"""`compaction` items: a conversation so far, in a form that clients return unchanged.

The gateway's own hold a summary. It is encoded, not encrypted. Those of a provider can only be read by the provider.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from gateway.core.answer import Answer
from gateway.core.message import Message, Text
from gateway.wire.openai_responses.item_id import output_id
from gateway.wire.openai_responses.response_object import usage_object

_SEAL = "ocgc1."
_INTRODUCTION = "This is a summary of the conversation so far, which you wrote yourself:\n\n"


def compaction_item(id: str, summary: str) -> dict[str, Any]:  # noqa: A002  the field's name
    """The item that stands for everything before it."""
    sealed = _SEAL + urlsafe_b64encode(summary.encode("utf-8", "replace")).decode()
    return {"id": id, "type": "compaction", "encrypted_content": sealed}


def compacted_object(id: str, created: int, items: list[dict[str, Any]], answer: Answer) -> dict[str, Any]:  # noqa: A002
    """The answer to a compaction of `items`, the input of the request; `created` in Unix seconds."""
    users = [item for item in items if item["type"] == "message" and item["role"] == "user"]
    compaction = compaction_item(output_id("cmp", id, len(users)), answer.text or "")
    return {
        "id": id,
        "object": "response.compaction",
        "created_at": created,
        "output": [*users, compaction],
        "usage": usage_object(answer.usage),
    }


def summary_message(item: Mapping[str, Any]) -> Message | None:
    """The message that stands for one of the gateway's own items; None for any other."""
    sealed = item.get("encrypted_content")
    if not isinstance(sealed, str) or not sealed.startswith(_SEAL):
        return None
    try:
        summary = urlsafe_b64decode(sealed.removeprefix(_SEAL)).decode()
    except (binascii.Error, ValueError):
        return None
    return Message("user", (Text(_INTRODUCTION + summary),))
