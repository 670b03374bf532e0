"""Decodes `messages` of a client's request, preserving roles, order, names, ids and unknown fields.

What can't be read is refused with its path, never left out. Null means absent. Text stays encoded as it arrived; code
that needs its characters decodes it.
"""

import re
from collections.abc import Callable, Collection
from typing import Any, get_args

from msgspec import Raw

from gateway.core.errors import BadRequest
from gateway.core.jsonio import RawFields, dumps, entries_of, loads
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
from gateway.wire.arguments import given_arguments
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.beside import RETURNED, returned_parts
from gateway.wire.openai_chat.legacy import FunctionCalls
from gateway.wire.openai_chat.thinking import FIELDS, read_fields

_ROLES: dict[str, Role] = {role: role for role in get_args(Role)}
_RAW_ROLES: dict[bytes, Role] = {dumps(role): role for role in _ROLES.values()}
_INSTRUCTING = frozenset({"system", "developer"})
_MEDIA = (Image, Audio, File)
_NO_MESSAGE = "Missing user message in `messages`."
_ABSENT = Raw(b"null")
_NULL = b"null"
_DATA_URI = re.compile(r"data:([^;,]+);base64,")


def read_messages(entries: list[Any]) -> tuple[Message, ...]:
    """Messages in order, from their raw fields. Raises BadRequest for one that can't be read, with its path, and when
    no message needs an answer.
    """
    functions = FunctionCalls()
    messages = tuple(
        [message for at, entry in enumerate(entries) if (message := _message(entry, at, functions)) is not None]
    )
    for message in messages:
        if message.role not in _INSTRUCTING and not message.blank:
            break
    else:
        raise BadRequest(_NO_MESSAGE, param="messages")
    if any(message.content_is_array and message.role in _INSTRUCTING for message in messages):
        return tuple([part for message in messages for part in _without_media(message)])
    return messages


def _without_media(message: Message) -> tuple[Message, ...]:
    """The message; media of instructions become a user's message behind it, since no provider has them there."""
    media = tuple([part for part in message.parts if isinstance(part, _MEDIA)])
    if not media or message.role not in _INSTRUCTING:
        return (message,)
    others = tuple([part for part in message.parts if not isinstance(part, _MEDIA)])
    user = Message("user", media, content_is_array=True)
    if not others:
        return (user,)
    return Message(message.role, others, message.name, message.extras, content_is_array=True), user


def _message(fields: RawFields, at: int, functions: FunctionCalls) -> Message | None:
    """The message at this index; None if it has nothing to say."""
    if not isinstance(fields, dict):
        raise _refused(f"messages[{at}]", "must be an object")
    raw_role = fields.get("role", _ABSENT)
    role = _RAW_ROLES.get(bytes(raw_role)) or _ROLES.get(_string(raw_role) or "")
    if role is None:
        raise _refused(f"messages[{at}].role", f"must be one of {', '.join(_ROLES)}")
    content = fields.get("content", _ABSENT)
    if len(fields) == 2 and role != "tool" and is_string(content):
        return Message(role, (Text(content),))
    parts, is_array = _content(content, at)
    name = _text_field(fields, "name", at)
    if role == "tool":
        call_id = _text_field(fields, "tool_call_id", at)
        return Message(role, (ToolResult(call_id or "", parts, is_array),), name, _unknown_fields(fields, _KNOWN_TOOL))
    if role == "function" and (result := functions.result(name, parts, is_array=is_array)) is not None:
        return result
    all_parts: tuple[Part, ...] = parts
    known = _KNOWN
    if role == "assistant":
        known = _KNOWN_ASSISTANT
        all_parts = _assistant_parts(fields, parts, at, functions)
    extras = _unknown_fields(fields, known)
    if not all_parts and extras is NO_EXTRAS:
        return None
    return Message(role, all_parts, name, extras, is_array)


_KNOWN = frozenset({"role", "content", "name"})
_KNOWN_ASSISTANT = _KNOWN | {"tool_calls", "function_call", "refusal", *FIELDS, *RETURNED}
_KNOWN_TOOL = frozenset({"role", "content", "name", "tool_call_id"})


def _refused(path: str, problem: str) -> BadRequest:
    return BadRequest(f"`{path}`: {problem}.", param=path)


def _text_field(fields: RawFields, field: str, at: int) -> str | None:
    raw = fields.get(field, _ABSENT)
    if is_string(raw):
        return loads(raw)  # type: ignore[no-any-return]  # a string
    if bytes(raw) != _NULL:
        raise _refused(f"messages[{at}].{field}", "must be a string")
    return None


def _assistant_parts(
    fields: RawFields, content: tuple[Content, ...], at: int, functions: FunctionCalls
) -> tuple[Part, ...]:
    """Reasoning, content, a refusal, calls: the parts of an assistant message, in the order of generation."""
    parts: list[Part] = list(content)
    if not fields.keys().isdisjoint(FIELDS):
        thinking = read_fields({name: loads(fields[name]) for name in FIELDS if name in fields})
        if thinking is not None:
            parts.insert(0, thinking)
    if not fields.keys().isdisjoint(RETURNED):
        parts += returned_parts({name: loads(fields[name]) for name in RETURNED if name in fields})
    if (refusal := _text_field(fields, "refusal", at)) is not None:
        parts.append(Refusal(refusal, Extras(WIRE, {"place": "message"})))
    calls = loads(fields.get("tool_calls", _ABSENT))
    if isinstance(calls, list):
        path = f"messages[{at}].tool_calls"
        parts += [_tool_call(raw, f"{path}[{index}]") for index, raw in enumerate(calls) if raw is not None]
    elif calls is not None:
        raise _refused(f"messages[{at}].tool_calls", "must be an array")
    if (call := loads(fields.get("function_call", _ABSENT))) is not None:
        parts.append(functions.call(call, f"messages[{at}].function_call"))
    return tuple(parts)


def _content(content: Raw, at: int) -> tuple[tuple[Content, ...], bool]:
    if is_string(content):
        return (Text(content),), False
    if memoryview(content)[0] == ord("["):
        parts = [_part(item, at, index) for index, item in enumerate(entries_of(content))]
        return tuple([part for part in parts if part is not None]), True
    if bytes(content) != _NULL:
        raise _refused(f"messages[{at}].content", "must be a string or an array of parts")
    return (), False


def _part(fields: Any, at: int, index: int) -> Content | None:
    """The part at this index; None if it is null, or a text without any text.

    A type that nobody here knows is for a provider of this format to read.
    """
    if not isinstance(fields, dict):
        if isinstance(fields, str):  # some clients send bare texts
            return Text(fields)
        if fields is None:
            return None
        raise _refused(f"messages[{at}].content[{index}]", "must be an object with a `type`")
    raw_kind = fields.get("type", _ABSENT)
    kind = _string(raw_kind)
    if kind is None and bytes(raw_kind) != _NULL:
        raise _refused(f"messages[{at}].content[{index}].type", "must be a string")
    reader = _PARTS.get(kind or "")
    if reader is not None:
        try:
            return reader(fields)
        except _NotText:
            raise _refused(f"messages[{at}].content[{index}].text", "must be a string") from None
    if kind:
        return _foreign(fields, text="" if kind in _REASONING else None)
    for name in ("input_text", "text"):
        if is_string(text := fields.get(name, _ABSENT)):
            return Text(text, _unknown_fields(fields, ("type", name)))
    raise _refused(f"messages[{at}].content[{index}].type", "must name the type of the part")


class _NotText(ValueError):
    """The text of a part is something else."""


def _text(fields: RawFields) -> Text | None:
    text = fields.get("text", _ABSENT)
    if is_string(text):
        return Text(text, _unknown_fields(fields, ("type", "text")))
    if bytes(text) != _NULL:
        raise _NotText
    return None


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


def _input_image(fields: RawFields) -> Content:
    url, detail = fields.get("image_url", _ABSENT), _string(fields.get("detail", _ABSENT))
    if not is_string(url):
        return _foreign(fields)  # by an id of files that were uploaded to the provider
    return Image(loads(url), detail, _unknown_fields(fields, ("type", "image_url", "detail")))


def _foreign(fields: RawFields, text: str | None = None) -> Foreign:
    return Foreign(WIRE, {name: loads(value) for name, value in fields.items()}, text)


def _audio(fields: RawFields) -> Content:
    audio = _given(loads(fields.get("input_audio", _ABSENT)))
    if isinstance(audio, dict) and set(audio) == {"data", "format"}:
        data, kind = audio["data"], audio["format"]
        if isinstance(data, str) and isinstance(kind, str):
            return Audio(data, kind, _unknown_fields(fields, ("type", "input_audio")))
    return _foreign(fields)


def _file(fields: RawFields) -> Content:
    """A file with its content; one by id, or of another form, only this format understands."""
    file = _given(loads(fields.get("file", _ABSENT)))
    if isinstance(file, dict) and set(file) <= {"filename", "file_data"}:
        name, head = file.get("filename"), _DATA_URI.match(data := str(file.get("file_data")))
        if head is not None and (name is None or isinstance(name, str)):
            return File(name, head[1], data[head.end() :], extras=_unknown_fields(fields, ("type", "file")))
    return _foreign(fields)


def _given(value: Any) -> Any:
    """An object without its fields that are null, which equal absent ones."""
    return {name: one for name, one in value.items() if one is not None} if isinstance(value, dict) else value


def _refusal(fields: RawFields) -> Content:
    refusal = _string(fields.get("refusal", _ABSENT))
    if refusal is None:
        return _foreign(fields)
    unknown = _unknown_fields(fields, ("type", "refusal")).fields
    return Refusal(refusal, Extras(WIRE, {"place": "part", **unknown}))


# `input_text`, `output_text` and `input_image` are those of OpenAI's Responses API, which some clients send here too.
_REASONING = frozenset({"thinking", "redacted_thinking", "reasoning"})
"""Parts that clients of several APIs return with an answer; a provider of another format does without."""

_PARTS: dict[str, Callable[[RawFields], Content | None]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "image_url": _image,
    "input_image": _input_image,
    "input_audio": _audio,
    "file": _file,
    "refusal": _refusal,
}


def _string(value: Raw) -> str | None:
    return loads(value) if is_string(value) else None


def _unknown_fields(fields: RawFields, known: Collection[str]) -> Extras:
    unknown = {name: loads(value) for name, value in fields.items() if name not in known and bytes(value) != b"null"}
    return Extras(WIRE, unknown) if unknown else NO_EXTRAS


def _tool_call(raw: Any, path: str) -> ToolCall:
    if isinstance(raw, dict) and raw.get("type") == "custom":
        return _custom_call(raw, path)
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise _refused(f"{path}.function.name", "must be a string")
    return ToolCall(
        _call_id(raw, path), function["name"], given_arguments(function.get("arguments")), _call_extras(raw)
    )


def _custom_call(raw: dict[str, Any], path: str) -> ToolCall:
    custom = raw.get("custom")
    if not isinstance(custom, dict) or not isinstance(custom.get("name"), str):
        raise _refused(f"{path}.custom.name", "must be a string")
    text = custom.get("input")
    if text is not None and not isinstance(text, str):
        raise _refused(f"{path}.custom.input", "must be a string")
    return ToolCall(_call_id(raw, path), custom["name"], text or "", _call_extras(raw), "custom")


def _call_id(raw: dict[str, Any], path: str) -> str:
    call_id = raw.get("id")
    if call_id is not None and not isinstance(call_id, str):
        raise _refused(f"{path}.id", "must be a string")
    return call_id or ""


def _call_extras(raw: dict[str, Any]) -> Extras:
    # `index` belongs to streamed deltas: clients that assemble them may send it back, and OpenAI refuses it.
    unknown = {
        name: value
        for name, value in raw.items()
        if name not in ("id", "type", "function", "custom", "index") and value is not None
    }
    return Extras(WIRE, unknown) if unknown else NO_EXTRAS
