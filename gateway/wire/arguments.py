"""The arguments of a tool call for formats that hold an object where the gateway holds the model's text."""

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from gateway.core.jsonio import InvalidJSON, dumps, loads
from gateway.core.message import ToolCall
from gateway.core.raw_text import is_string, text_of


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


def arguments_text(arguments: Raw) -> str:
    """The text of a call's arguments that came as a JSON value; `{}` for null. A string is the text itself."""
    if is_string(arguments):
        return given_arguments(text_of(arguments))
    text = bytes(arguments).decode("utf-8", "replace").strip()
    return "{}" if text == "null" else text


def given_arguments(arguments: Any) -> str:
    """The text of arguments that a client sends back; `{}` for none and for blank text, which strict servers refuse."""
    if isinstance(arguments, str):
        return arguments if arguments and not arguments.isspace() else "{}"
    return "{}" if arguments is None else dumps(arguments).decode()
