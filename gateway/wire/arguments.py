"""The arguments of a tool call for formats that hold an object where the gateway holds the model's text."""

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.message import ToolCall


def arguments_object(call: ToolCall) -> Raw | Mapping[str, Any]:
    """The call's arguments as a JSON object, unchanged byte for byte if its text is one.

    The text of a custom tool, and text that is no object, becomes the field `input` of one; empty text is `{}`.
    """
    text = call.arguments.removeprefix("\ufeff")
    if call.kind == "custom":
        return {"input": text}
    if not text or text.isspace():
        return {}
    try:
        value = loads(text.encode())
    except (InvalidJSON, UnicodeEncodeError):
        return {"input": text}
    return Raw(text.encode()) if isinstance(value, dict) else {"input": text}


def arguments_text(arguments: Raw | bytes) -> str:
    """The text of a call's arguments that came as a JSON value; `{}` for null.

    Some proxies write a text that holds the object where the format has the object itself.
    """
    text = bytes(arguments).decode("utf-8", "replace").strip()
    if text == "null":
        return "{}"
    if text.startswith('"'):
        try:
            inner = loads(text.encode())
            return inner if isinstance(loads(inner.encode()), dict) else text
        except (InvalidJSON, UnicodeEncodeError):
            return text
    return text
