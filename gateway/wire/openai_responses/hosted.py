"""Decodes items of hosted tools (search, code, MCP …) into a tool call and its result, which any model can read.

The gateway runs no hosted tools, but a conversation that started at another service may hold their items.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.core.jsonio import dumps

Fields = Mapping[str, Any]


def call_of(item: Fields) -> tuple[str, str] | None:
    """The name and the arguments (JSON text) of the call in an item; None if it holds no call."""
    reader = _CALLS.get(str(item.get("type")))
    if reader is None:
        return None
    name, arguments = reader(item)
    return name, arguments if isinstance(arguments, str) else dumps(arguments).decode()


def result_of(item: Fields) -> Any:
    """A tool's result, as the `output` of a function: text or parts; None if the item holds no result."""
    reader = _RESULTS.get(str(item.get("type")))
    return None if reader is None else reader(item)


def call_id_of(item: Fields) -> str:
    """The id that pairs call and result; "" if there is none."""
    for field in ("call_id", "id"):
        if isinstance(value := item.get(field), str) and value.strip():
            return value
    return ""


def _fields(name: str, *included: str) -> Callable[[Fields], tuple[str, dict[str, Any]]]:
    return lambda item: (name, {field: item[field] for field in included if item.get(field) is not None})


def _named(field: str) -> Callable[[Fields], tuple[str, Any]]:
    def read(item: Fields) -> tuple[str, Any]:
        value = item.get(field)
        return str(item.get("name") or "tool"), value if field == "arguments" else {field: value}

    return read


def _text(*fields: str) -> Callable[[Fields], str]:
    """The first of these fields that is set; a value that is not text is encoded as JSON."""

    def read(item: Fields) -> str:
        value = next((item[field] for field in fields if item.get(field) is not None), "")
        return value if isinstance(value, str) else dumps(value).decode()

    return read


def _output(item: Fields) -> Any:
    value = item.get("output")
    return value if isinstance(value, (str, list)) else _text("output", "status")(item)


def _screenshot(item: Fields) -> Any:
    shown = item.get("output")
    url = shown.get("image_url") if isinstance(shown, dict) else None
    return [{"type": "input_image", "image_url": url}] if url else _text("output")(item)


def _picture(item: Fields) -> Any:
    data = item.get("result")
    kind = item.get("output_format") or "png"
    return [{"type": "input_image", "image_url": f"data:image/{kind};base64,{data}"}] if data else _text("status")(item)


_CALLS: dict[str, Callable[[Fields], tuple[str, Any]]] = {
    "code_interpreter_call": _fields("code_interpreter", "code"),
    "computer_call": _fields("computer", "action", "actions"),
    "file_search_call": _fields("file_search", "queries"),
    "image_generation_call": _fields("image_generation", "revised_prompt"),
    "mcp_call": _named("arguments"),
    "program": _fields("program", "code"),
    "shell_call": _fields("shell", "action"),
    "tool_search_call": _fields("tool_search", "arguments"),
    "web_search_call": _fields("web_search", "action"),
}
_RESULTS: dict[str, Callable[[Fields], Any]] = {
    "apply_patch_call_output": _output,
    "code_interpreter_call": _text("outputs", "status"),
    "computer_call_output": _screenshot,
    "custom_tool_call_output": _output,
    "file_search_call": _text("results", "status"),
    "image_generation_call": _picture,
    "local_shell_call_output": _output,
    "mcp_call": _text("error", "output", "status"),
    "program_output": _text("result"),
    "shell_call_output": _text("output"),
    "tool_search_output": _text("tools"),
    "web_search_call": _text("status"),
}
HOSTED = frozenset(_CALLS) | frozenset(_RESULTS)
"""All types of hosted tool items."""
