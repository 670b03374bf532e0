"""`messages` of a client's request → values: roles, order, names, ids and unknown fields are kept.

What OpenClaw skips silently (entries that are no object, unknown roles) is skipped here too, because clients rely on
the 200.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

from gateway.core.errors import BadRequest
from gateway.core.jsonio import dumps
from gateway.core.message import (
    NO_EXTRAS,
    Content,
    Extras,
    Foreign,
    Image,
    Message,
    Part,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from gateway.wire.openai_completions import WIRE

_ROLES = frozenset(get_args(Role))
_NO_MESSAGE = "Missing user message in `messages`."


def read_messages(raw: list[Any]) -> tuple[Message, ...]:
    """Messages in order. Raises BadRequest when nothing in them asks for an answer."""
    messages = tuple(message for item in raw if (message := _message(item)) is not None)
    if not any(message.role not in ("system", "developer") and not message.blank for message in messages):
        raise BadRequest(_NO_MESSAGE, param="messages")
    return messages


def _message(raw: Any) -> Message | None:
    said = raw.get("role") if type(raw) is dict else None
    if type(said) is not str or said not in _ROLES:
        return None
    role = cast(Role, said)
    content = raw.get("content")
    if len(raw) == 2 and type(content) is str and role != "tool":
        return Message(role, (Text(content),))
    parts, listed = _content(content)
    name = raw.get("name")
    known = _KNOWN_TOOL if role == "tool" else _KNOWN
    unknown = {key: value for key, value in raw.items() if key not in known}
    extras = Extras(WIRE, unknown) if unknown else NO_EXTRAS
    name = name if isinstance(name, str) else None
    if role == "tool":
        call_id = raw.get("tool_call_id")
        result = ToolResult(call_id if isinstance(call_id, str) else "", parts, listed)
        return Message(role, (result,), name, extras)
    all_parts: tuple[Part, ...] = parts
    if role == "assistant" and isinstance(raw.get("tool_calls"), list):
        calls = (_tool_call(call) for call in raw["tool_calls"])
        all_parts = (*parts, *(call for call in calls if call is not None))
    if not all_parts and not unknown:
        return None
    return Message(role, all_parts, name, extras, listed)


_KNOWN = frozenset({"role", "content", "name", "tool_calls"})
_KNOWN_TOOL = frozenset({"role", "content", "name", "tool_call_id"})


def _content(content: Any) -> tuple[tuple[Content, ...], bool]:
    if isinstance(content, str):
        return (Text(content),), False
    if not isinstance(content, list):
        return (), False
    parts = (_part(item) for item in content)
    return tuple(part for part in parts if part is not None), True


def _part(raw: Any) -> Content | None:
    if not isinstance(raw, dict):
        return None
    kind = raw.get("type")
    reader = _PARTS.get(kind) if isinstance(kind, str) else None
    if reader is not None:
        return reader(raw)
    if isinstance(raw.get("input_text"), str):
        return Text(raw["input_text"])
    return None


def _text(raw: Mapping[str, Any]) -> Text | None:
    text = raw.get("text")
    if not isinstance(text, str):
        return None
    if len(raw) == 2 and raw["type"] == "text":
        return Text(text)
    return Text(text, _rest(raw, "type", "text"))


def _image(raw: Mapping[str, Any]) -> Image | None:
    image = raw.get("image_url")
    if isinstance(image, str):
        return Image(image, None, _rest(raw, "type", "image_url"))
    if isinstance(image, dict) and isinstance(image.get("url"), str):
        detail = image.get("detail")
        return Image(image["url"], detail if isinstance(detail, str) else None, _rest(raw, "type", "image_url"))
    return Image("")  # no usable address: refused with the other bad images


def _foreign(raw: Mapping[str, Any]) -> Foreign:
    return Foreign(WIRE, raw)


def _rest(raw: Mapping[str, Any], *known: str) -> Extras:
    rest = {key: value for key, value in raw.items() if key not in known}
    return Extras(WIRE, rest) if rest else NO_EXTRAS


# Part types of the format itself; anything else in a content list is skipped, as recorded.
_PARTS: dict[str, Callable[[Mapping[str, Any]], Content | None]] = {
    "text": _text,
    "input_text": _text,
    "image_url": _image,
    "input_audio": _foreign,
    "file": _foreign,
    "refusal": _foreign,
}


def _tool_call(raw: Any) -> ToolCall | None:
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else dumps(arguments).decode()
    call_id = raw.get("id")
    return ToolCall(
        call_id if isinstance(call_id, str) else "",
        function["name"],
        arguments,
        _rest(raw, "id", "type", "function"),
    )
