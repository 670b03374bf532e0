"""Stored messages as JSON, which later versions of the gateway can read.

`{"v": 1, "messages": [...]}`. A part is an object with `type`; fields with their default value are omitted. A new field
or type of part does not need a new version, a changed meaning does. Readers raise UnknownVersion for a version or a
type of part that they don't know.
"""

from collections.abc import Mapping
from typing import Any, assert_never

from gateway.core.message import (
    NO_EXTRAS,
    Audio,
    Citation,
    Content,
    Extras,
    File,
    Foreign,
    Image,
    Message,
    Owner,
    Part,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

VERSION = 1
_MANY = 1000  # parts; encoding fewer takes a millisecond at most
_IS_ARRAY = "listed"  # the stored name of `content_is_array`


class UnknownVersion(ValueError):
    """A newer gateway wrote this, or it is not a stored message."""


def write_message(message: Message) -> dict[str, Any]:
    """A value that `jsonio.dumps` encodes."""
    fields: dict[str, Any] = {"role": message.role, "parts": [write_part(part) for part in message.parts]}
    if message.name is not None:
        fields["name"] = message.name
    if message.content_is_array:
        fields[_IS_ARRAY] = True
    if message.hidden:
        fields["hidden"] = True
    return _with_extras(fields, message.extras)


def read_message(fields: Mapping[str, Any]) -> Message:
    """The message that `write_message` wrote. Raises KeyError or UnknownVersion for anything else."""
    return Message(
        fields["role"],
        tuple(read_part(part) for part in fields["parts"]),
        fields.get("name"),
        read_extras(fields),
        fields.get(_IS_ARRAY, False),
        fields.get("hidden", False),
    )


def write_messages(messages: tuple[Message, ...]) -> dict[str, Any]:
    """The messages and the version as a value for `jsonio.dumps`."""
    return {"v": VERSION, "messages": [write_message(message) for message in messages]}


def are_many(messages: tuple[Message, ...]) -> bool:
    """Whether encoding or decoding the messages would block the event loop: a thread should do it."""
    parts = sum(len(message.parts) for message in messages)
    return parts > _MANY or any(
        type(part) is ToolResult and len(part.content) > _MANY for message in messages for part in message.parts
    )


def read_messages(fields: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages that `write_messages` wrote. Raises UnknownVersion."""
    if fields.get("v") != VERSION:
        raise UnknownVersion(f"messages of version {fields.get('v')!r}; this gateway reads version {VERSION}")
    return tuple(read_message(message) for message in fields["messages"])


def write_part(part: Part) -> dict[str, Any]:
    """One part as a JSON object."""
    match part:
        case ToolCall():
            call = _present(type="tool_call", id=part.id, name=part.name, arguments=part.arguments)
            if part.kind != "function":
                call["kind"] = part.kind
            if part.namespace is not None:
                call["namespace"] = part.namespace
            return _with_extras(call, part.extras)
        case ToolResult():
            content = [write_part(item) for item in part.content]
            result = _present(type="tool_result", call_id=part.call_id, content=content)
            if part.content_is_array:
                result[_IS_ARRAY] = True
            if part.is_error:
                result["is_error"] = True
            return result
        case Thinking():
            return _write_thinking(part)
        case Citation():
            fields = _present(type="citation", url=part.url, title=part.title, start=part.start, end=part.end)
            return _with_extras(fields, part.extras)
        case _:
            return _write_content(part)


def _write_content(part: Content) -> dict[str, Any]:
    match part:
        case Text():
            return _with_extras({"type": "text", "text": part.raw}, part.extras)
        case Image():
            return _with_extras(_present(type="image", url=part.url, detail=part.detail), part.extras)
        case Audio():
            return _with_extras({"type": "audio", "data": part.data, "format": part.format}, part.extras)
        case File():
            file = _present(type="file", name=part.name, mime=part.mime, data=part.data, url=part.url)
            return _with_extras(file, part.extras)
        case Refusal():
            return _with_extras({"type": "refusal", "text": part.text}, part.extras)
        case Foreign():
            return {"type": "foreign", "wire": part.wire, "payload": part.payload, "text": part.text}
        case _:
            assert_never(part)


def _write_thinking(part: Thinking) -> dict[str, Any]:
    owner = part.owner
    fields = _present(
        type="thinking",
        text=part.text,
        signature=part.signature,
        encrypted=part.encrypted,
        id=part.id,
        kind=part.kind,
        owner=None if owner is None else {"wire": owner.wire, "provider": owner.provider, "model": owner.model},
    )
    return _with_extras(fields, part.extras)


def read_part(fields: Mapping[str, Any]) -> Part:
    """The part that `write_part` wrote. Raises KeyError or UnknownVersion."""
    match fields["type"]:
        case "tool_call":
            kind, namespace = fields.get("kind", "function"), fields.get("namespace")
            return ToolCall(fields["id"], fields["name"], fields["arguments"], read_extras(fields), kind, namespace)
        case "tool_result":
            content = tuple(_read_content(item) for item in fields["content"])
            return ToolResult(fields["call_id"], content, fields.get(_IS_ARRAY, False), fields.get("is_error", False))
        case "thinking":
            return _read_thinking(fields)
        case "citation":
            start, end = fields.get("start"), fields.get("end")
            return Citation(fields["url"], fields.get("title"), start, end, read_extras(fields))
        case _:
            return _read_content(fields)


def _read_content(fields: Mapping[str, Any]) -> Content:
    match fields["type"]:
        case "text":
            return Text(fields["text"], read_extras(fields))
        case "image":
            return Image(fields["url"], fields.get("detail"), read_extras(fields))
        case "audio":
            return Audio(fields["data"], fields["format"], read_extras(fields))
        case "file":
            name, mime, data, url = (fields.get(field) for field in ("name", "mime", "data", "url"))
            return File(name, mime, data, url, read_extras(fields))
        case "refusal":
            return Refusal(fields["text"], read_extras(fields))
        case "foreign":
            return Foreign(fields["wire"], fields["payload"], fields.get("text", ""))
        case other:
            raise UnknownVersion(f"this gateway does not know parts of type {other!r}")


def _read_thinking(fields: Mapping[str, Any]) -> Thinking:
    owner = fields.get("owner")
    return Thinking(
        fields["text"],
        fields.get("signature"),
        fields.get("encrypted"),
        fields.get("id"),
        fields.get("kind", "raw"),
        None if owner is None else Owner(owner["wire"], owner["provider"], owner["model"]),
        read_extras(fields),
    )


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _with_extras(fields: dict[str, Any], extras: Extras) -> dict[str, Any]:
    if extras.fields:
        fields["extras"] = write_extras(extras)
    return fields


def write_extras(extras: Extras) -> dict[str, Any]:
    """Extras as a JSON object."""
    return {"wire": extras.wire, "fields": extras.fields}


def read_extras(fields: Mapping[str, Any]) -> Extras:
    """The extras in an object that `write_message` or `write_part` wrote."""
    extras = fields.get("extras")
    return NO_EXTRAS if extras is None else Extras(extras["wire"], extras["fields"])
