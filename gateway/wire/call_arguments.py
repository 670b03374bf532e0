"""A call's arguments as a JSON object, for formats that have no text of arguments."""

from msgspec import Raw

from gateway.core.jsonio import InvalidJSON, loads
from gateway.core.message import ToolCall


def arguments_object(call: ToolCall) -> Raw | dict[str, str]:
    """The arguments as an object; the bytes of an object stay the model's own.

    The free text of a custom tool is its field `input`. What is no object, such as arguments that the length limit cut
    off, is the field `arguments`.
    """
    if call.kind == "custom":
        return {"input": call.arguments}
    text = call.arguments.strip()
    if not text or text == "null":
        return {}
    try:
        data = text.encode()
        if isinstance(loads(data), dict):
            return Raw(data)
    except (InvalidJSON, UnicodeEncodeError):
        pass  # cut off by the length limit, or not JSON at all
    return {"arguments": call.arguments}


def arguments_text(arguments: Raw) -> str:
    """The text of a call's arguments that came as a JSON value; `{}` for null."""
    text = bytes(arguments).decode("utf-8", "replace").strip()
    return "{}" if text == "null" else text
