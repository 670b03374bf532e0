"""Decodes `messages` and `system` of a client's request.

A user's message with results of tools becomes one message per result, and one with everything else.
"""

from collections.abc import Iterator
from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.jsonio import RawFields
from gateway.core.message import Message, Part, Role, Text, ToolResult
from gateway.core.raw_text import is_string, text_of
from gateway.core.seal import Seal
from gateway.wire.anthropic_messages.input_blocks import (
    ABSENT,
    assistant_part,
    objects,
    string,
    unknown,
    user_part,
    wrong,
)

_ATTRIBUTION = "x-anthropic-billing-header:"
_RESULT_FIELDS = ("type", "tool_use_id", "content", "is_error")


def read_system(raw: str | list[Any] | None) -> tuple[Message, ...]:
    """The system prompt, one message per block. Raises BadRequest.

    Claude Code sends its attribution as a block, which is for Anthropic's billing and not for a model.
    """
    if raw is None:
        return ()
    if isinstance(raw, str):
        return (Message("system", (Text(raw),)),) if raw.strip() else ()
    return tuple(
        Message("system", (part,))
        for index, block in enumerate(raw)
        if not (isinstance(part := _system_part(block, f"system[{index}]"), Text) and _is_attribution(part))
    )


def _system_part(block: Any, path: str) -> Part:
    if not isinstance(block, dict):
        raise wrong(path, "must be a text block")
    return user_part(block, path)


def _is_attribution(part: Text) -> bool:
    return text_of(part.raw).startswith(_ATTRIBUTION)


def read_messages(entries: list[Any], seal: Seal | None) -> tuple[Message, ...]:
    """The messages in order; `seal` is that of the caller. Raises BadRequest, also without any message."""
    messages: list[Message] = []
    for index, fields in enumerate(entries):
        path = f"messages[{index}]"
        if not isinstance(fields, dict):
            raise wrong(path, "must be an object with `role` and `content`")
        messages += _messages(fields, path, seal)
    if not messages:
        raise BadRequest("`messages`: at least one message is required.", param="messages")
    return tuple(messages)


def _messages(fields: RawFields, path: str, seal: Seal | None) -> Iterator[Message]:
    role = string(fields, "role", path)
    if role not in ("user", "assistant", "system"):
        raise wrong(f"{path}.role", "must be `user`, `assistant` or `system`")
    content = fields.get("content", ABSENT)
    if is_string(content):
        yield Message(_ROLES[role], (Text(content),))
        return
    at = f"{path}.content"
    blocks = objects(content, at)
    if not blocks and role != "assistant":
        raise wrong(at, "must not be empty")
    if role == "assistant":
        parts = tuple(
            part
            for index, block in enumerate(blocks)
            if (part := assistant_part(block, f"{at}[{index}]", seal)) is not None
        )
        if parts:
            yield Message("assistant", parts)
        return
    others: list[Part] = []
    for index, block in enumerate(blocks):
        part = user_part(block, f"{at}[{index}]")
        if isinstance(part, ToolResult):
            yield Message("tool", (part,), extras=unknown(block, _RESULT_FIELDS))
        else:
            others.append(part)
    if others:
        yield Message(_ROLES[role], tuple(others), content_is_array=len(others) > 1)


_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
