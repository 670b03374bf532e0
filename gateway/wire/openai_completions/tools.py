"""`tools` and `tool_choice` of a client's request → values. Every refusal names the entry at fault."""

from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.message import NO_EXTRAS, Extras
from gateway.core.turn import AUTO, ToolChoice, ToolSpec
from gateway.wire.openai_completions import WIRE

_PREFIX = "Invalid tools/tool_choice: "


def read_tools(raw: list[Any]) -> tuple[ToolSpec, ...]:
    """The offered functions, in the caller's order. Raises BadRequest."""
    tools = tuple(_tool(item, f"tools[{index}]") for index, item in enumerate(raw))
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.name in names:
            raise BadRequest(f"{_PREFIX}two tools are called '{tool.name}'", param=f"tools[{index}].function.name")
        names.add(tool.name)
    return tools


def _tool(raw: Any, path: str) -> ToolSpec:
    if not isinstance(raw, dict):
        raise BadRequest(f"{_PREFIX}each tool must be an object", param=path)
    if raw.get("type", "function") != "function":
        raise BadRequest(f"{_PREFIX}only function tools are supported", param=f"{path}.type")
    function = raw.get("function")
    if not isinstance(function, dict):
        raise BadRequest(f"{_PREFIX}tool.function is required", param=f"{path}.function")
    name = function.get("name")
    if not isinstance(name, str) or not name.strip():
        raise BadRequest(f"{_PREFIX}tool.function.name is required", param=f"{path}.function.name")
    description, parameters, strict = function.get("description"), function.get("parameters"), function.get("strict")
    rest = {key: value for key, value in function.items() if key not in _KNOWN}
    return ToolSpec(
        name.strip(),
        description if isinstance(description, str) else None,
        parameters if isinstance(parameters, dict) else None,
        strict if isinstance(strict, bool) else None,
        Extras(WIRE, rest) if rest else NO_EXTRAS,
    )


_KNOWN = frozenset({"name", "description", "parameters", "strict"})


def read_choice(raw: Any, tools: tuple[ToolSpec, ...]) -> ToolChoice:
    """Which calls the caller demands. Raises BadRequest, also when no offered tool could satisfy it."""
    if isinstance(raw, str):
        return _mode(raw, tools)
    if not isinstance(raw, dict):
        raise BadRequest(f"{_PREFIX}tool_choice must be a string or object", param="tool_choice")
    kind = raw.get("type")
    if kind in ("allowed_tools", "custom"):
        raise BadRequest(f"{_PREFIX}tool_choice {kind} is not supported", param="tool_choice.type")
    if kind != "function":
        raise BadRequest(f"{_PREFIX}unsupported tool_choice type", param="tool_choice.type")
    function = raw.get("function")
    name = function.get("name") if isinstance(function, dict) else raw.get("name")
    if not isinstance(name, str) or not name.strip():
        raise BadRequest(f"{_PREFIX}tool_choice.function.name is required", param="tool_choice.function.name")
    name = name.strip()
    if all(tool.name != name for tool in tools):
        raise BadRequest(f"{_PREFIX}tool_choice requested unknown tool: {name}", param="tool_choice.function.name")
    return ToolChoice("pinned", name)


def _mode(mode: str, tools: tuple[ToolSpec, ...]) -> ToolChoice:
    match mode.strip():
        case "auto":
            return AUTO
        case "none":
            return ToolChoice("none")
        case "required":
            if not tools:
                raise BadRequest(f"{_PREFIX}tool_choice=required but no tools were provided", param="tool_choice")
            return ToolChoice("required")
        case _:
            raise BadRequest(f"{_PREFIX}tool_choice must be auto, none, required or a function", param="tool_choice")
