"""Decodes `messages` of a client's request, preserving roles, order, names, ids and unknown fields.

Entries that OpenClaw skips silently (not an object, unknown role) are skipped here too, because clients rely on the
200. Null means absent. Text stays encoded as it arrived; code that needs its characters decodes it.
"""

import re
from collections.abc import Callable, Collection
from typing import Any, get_args

from msgspec import Raw

from gateway.core.errors import BadRequest
from gateway.core.jsonio import RawFields, dumps, loads, objects_of
from gateway.core.message import (
    NO_EXTRAS,
    Audio,
    Content,
    Extras,
    File,
    Foreign,
    Image,
    Message,
    Part,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from gateway.core.raw_text import is_string
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.thinking import FIELDS, read_fields

_ROLES: dict[str, Role] = {role: role for role in get_args(Role)}
_RAW_ROLES: dict[bytes, Role] = {dumps(role): role for role in _ROLES.values()}
_NO_MESSAGE = "Missing user message in `messages`."
_ABSENT = Raw(b"null")
_DATA_URI = re.compile(r"data:([^;,]+);base64,")


def read_messages(entries: list[Any]) -> tuple[Message, ...]:
    """Messages in order, from their raw fields. Raises BadRequest when no message needs an answer."""
    messages = tuple(
        [message for fields in entries if isinstance(fields, dict) and (message := _message(fields)) is not None]
    )
    for message in messages:
        if message.role not in ("system", "developer") and not message.blank:
            return messages
    raise BadRequest(_NO_MESSAGE, param="messages")


def _message(fields: RawFields) -> Message | None:
    raw_role = fields.get("role", _ABSENT)
    role = _RAW_ROLES.get(bytes(raw_role)) or _ROLES.get(_string(raw_role) or "")
    if role is None:
        return None
    content = fields.get("content", _ABSENT)
    if len(fields) == 2 and role != "tool" and is_string(content):
        return Message(role, (Text(content),))
    parts, is_array = _content(content)
    name = _string(fields.get("name", _ABSENT))
    if role == "tool":
        call_id = _string(fields.get("tool_call_id", _ABSENT))
        return Message(role, (ToolResult(call_id or "", parts, is_array),), name, _unknown_fields(fields, _KNOWN_TOOL))
    all_parts: tuple[Part, ...] = parts
    known = _KNOWN
    if role == "assistant":
        known = _KNOWN_ASSISTANT
        all_parts = _assistant_parts(fields, parts)
    extras = _unknown_fields(fields, known)
    if not all_parts and extras is NO_EXTRAS:
        return None
    return Message(role, all_parts, name, extras, is_array)


_KNOWN = frozenset({"role", "content", "name", "tool_calls"})
_KNOWN_ASSISTANT = _KNOWN | {"refusal", *FIELDS}
_KNOWN_TOOL = frozenset({"role", "content", "name", "tool_call_id"})


def _assistant_parts(fields: RawFields, content: tuple[Content, ...]) -> tuple[Part, ...]:
    """Reasoning, content, a refusal, calls: the parts of an assistant message, in the order of generation."""
    parts: list[Part] = list(content)
    if not fields.keys().isdisjoint(FIELDS):
        thinking = read_fields({name: loads(fields[name]) for name in FIELDS if name in fields})
        if thinking is not None:
            parts.insert(0, thinking)
    if (refusal := _string(fields.get("refusal", _ABSENT))) is not None:
        parts.append(Refusal(refusal, Extras(WIRE, {"place": "message"})))
    if isinstance(calls := loads(fields.get("tool_calls", _ABSENT)), list):
        parts += [call for raw in calls if (call := _tool_call(raw)) is not None]
    return tuple(parts)


def _content(content: Raw) -> tuple[tuple[Content, ...], bool]:
    if is_string(content):
        return (Text(content),), False
    if memoryview(content)[0] != ord("["):
        return (), False
    return tuple([part for item in objects_of(content) if (part := _part(item)) is not None]), True


def _part(fields: RawFields) -> Content | None:
    reader = _PARTS.get(_string(fields.get("type", _ABSENT)) or "")
    if reader is not None:
        return reader(fields)
    text = fields.get("input_text", _ABSENT)
    return Text(text) if is_string(text) else None


def _text(fields: RawFields) -> Text | None:
    text = fields.get("text", _ABSENT)
    return Text(text, _unknown_fields(fields, ("type", "text"))) if is_string(text) else None


def _image(fields: RawFields) -> Image | None:
    image = loads(fields.get("image_url", _ABSENT))
    if isinstance(image, str):
        return Image(image, None, _unknown_fields(fields, ("type", "image_url")))
    if isinstance(image, dict) and isinstance(image.get("url"), str):
        detail = image.get("detail")
        return Image(
            image["url"], detail if isinstance(detail, str) else None, _unknown_fields(fields, ("type", "image_url"))
        )
    return Image("")  # no usable address: the media check refuses it


def _foreign(fields: RawFields) -> Foreign:
    return Foreign(WIRE, {name: loads(value) for name, value in fields.items()})


def _audio(fields: RawFields) -> Content:
    audio = loads(fields.get("input_audio", _ABSENT))
    if isinstance(audio, dict) and set(audio) == {"data", "format"}:
        data, kind = audio["data"], audio["format"]
        if isinstance(data, str) and isinstance(kind, str):
            return Audio(data, kind, _unknown_fields(fields, ("type", "input_audio")))
    return _foreign(fields)


def _file(fields: RawFields) -> Content:
    """A file with its content; one by id, or of another form, only this format understands."""
    file = loads(fields.get("file", _ABSENT))
    if isinstance(file, dict) and set(file) <= {"filename", "file_data"}:
        name, head = file.get("filename"), _DATA_URI.match(data := str(file.get("file_data")))
        if head is not None and (name is None or isinstance(name, str)):
            return File(name, head[1], data[head.end() :], extras=_unknown_fields(fields, ("type", "file")))
    return _foreign(fields)


def _refusal(fields: RawFields) -> Content:
    refusal = _string(fields.get("refusal", _ABSENT))
    if refusal is None:
        return _foreign(fields)
    unknown = _unknown_fields(fields, ("type", "refusal")).fields
    return Refusal(refusal, Extras(WIRE, {"place": "part", **unknown}))


# Part types of the format; entries of other types are skipped, as in OpenClaw.
_PARTS: dict[str, Callable[[RawFields], Content | None]] = {
    "text": _text,
    "input_text": _text,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
    "refusal": _refusal,
}


def _string(value: Raw) -> str | None:
    return loads(value) if is_string(value) else None


def _unknown_fields(fields: RawFields, known: Collection[str]) -> Extras:
    unknown = {name: loads(value) for name, value in fields.items() if name not in known and bytes(value) != b"null"}
    return Extras(WIRE, unknown) if unknown else NO_EXTRAS


def _tool_call(raw: Any) -> ToolCall | None:
    if isinstance(raw, dict) and raw.get("type") == "custom":
        return _custom_call(raw)
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else dumps(arguments).decode()
    call_id = raw.get("id")
    return ToolCall(call_id if isinstance(call_id, str) else "", function["name"], arguments, _call_extras(raw))


def _custom_call(raw: dict[str, Any]) -> ToolCall | None:
    custom, call_id = raw.get("custom"), raw.get("id")
    if not isinstance(custom, dict) or not isinstance(custom.get("name"), str):
        return None
    text = custom.get("input")
    return ToolCall(
        call_id if isinstance(call_id, str) else "",
        custom["name"],
        text if isinstance(text, str) else "",
        _call_extras(raw),
        "custom",
    )


def _call_extras(raw: dict[str, Any]) -> Extras:
    # `index` belongs to streamed deltas: clients that assemble them may send it back, and OpenAI refuses it.
    unknown = {
        name: value
        for name, value in raw.items()
        if name not in ("id", "type", "function", "custom", "index") and value is not None
    }
    return Extras(WIRE, unknown) if unknown else NO_EXTRAS
