"""Messages as JSON that outlives this version of the gateway: what stores keep, and nothing executable.

`{"v": 1, "messages": [...]}`. A part is an object with `type`, and fields that say nothing are left out. Readers refuse
versions that they don't know; a new field needs no new version, a changed meaning does.
"""

from collections.abc import Mapping
from typing import Any, assert_never

from gateway.core.message import NO_EXTRAS, Content, Extras, File, Foreign, Image, Message, Part, Text, ToolCall
from gateway.core.message import ToolResult as Result

VERSION = 1


class UnknownVersion(ValueError):
    """RawText by a newer gateway, or not by one at all."""


def write_message(message: Message) -> dict[str, Any]:
    """A value that `jsonio.dumps` encodes."""
    written: dict[str, Any] = {"role": message.role, "parts": [_write_part(part) for part in message.parts]}
    if message.name is not None:
        written["name"] = message.name
    if message.listed:
        written["listed"] = True
    if message.hidden:
        written["hidden"] = True
    return _with_extras(written, message.extras)


def read_message(written: Mapping[str, Any]) -> Message:
    """The message that `write_message` wrote. Raises KeyError or UnknownVersion for anything else."""
    return Message(
        written["role"],
        tuple(_read_part(part) for part in written["parts"]),
        written.get("name"),
        _read_extras(written),
        written.get("listed", False),
        written.get("hidden", False),
    )


def write_messages(messages: tuple[Message, ...]) -> dict[str, Any]:
    """Several messages, with the version."""
    return {"v": VERSION, "messages": [write_message(message) for message in messages]}


def read_messages(written: Mapping[str, Any]) -> tuple[Message, ...]:
    """What `write_messages` wrote. Raises UnknownVersion."""
    if written.get("v") != VERSION:
        raise UnknownVersion(f"messages of version {written.get('v')!r}; this gateway reads version {VERSION}")
    return tuple(read_message(message) for message in written["messages"])


def _write_part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return _with_extras({"type": "text", "text": part.written}, part.extras)
        case Image():
            return _with_extras(_said(type="image", url=part.url, detail=part.detail), part.extras)
        case File():
            return _said(type="file", name=part.name, mime=part.mime, data=part.data, url=part.url)
        case ToolCall():
            call = {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
            return _with_extras(call, part.extras)
        case Result():
            content = [_write_part(one) for one in part.content]
            return _said(
                type="tool_result", call_id=part.call_id, content=content, listed=True if part.listed else None
            )
        case Foreign():
            return {"type": "foreign", "wire": part.wire, "payload": part.payload}
        case _:
            assert_never(part)


def _read_part(written: Mapping[str, Any]) -> Part:
    match written["type"]:
        case "file":
            return File(written.get("name"), written.get("mime"), written.get("data"), written.get("url"))
        case "tool_call":
            return ToolCall(written["id"], written["name"], written["arguments"], _read_extras(written))
        case "tool_result":
            content = tuple(_read_content(one) for one in written["content"])
            return Result(written["call_id"], content, written.get("listed", False))
        case _:
            return _read_content(written)


def _read_content(written: Mapping[str, Any]) -> Content:
    match written["type"]:
        case "text":
            return Text(written["text"], _read_extras(written))
        case "image":
            return Image(written["url"], written.get("detail"), _read_extras(written))
        case "foreign":
            return Foreign(written["wire"], written["payload"])
        case other:
            raise UnknownVersion(f"parts of type {other!r} are not known to this gateway")


def _said(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _with_extras(written: dict[str, Any], extras: Extras) -> dict[str, Any]:
    if extras.fields:
        written["extras"] = {"wire": extras.wire, "fields": extras.fields}
    return written


def _read_extras(written: Mapping[str, Any]) -> Extras:
    extras = written.get("extras")
    return NO_EXTRAS if extras is None else Extras(extras["wire"], extras["fields"])
