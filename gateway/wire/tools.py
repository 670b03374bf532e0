"""Decodes `tools` and `tool_choice` of OpenAI's two formats. Every refusal names the invalid entry."""

from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.message import NO_EXTRAS, Extras
from gateway.core.turn import AUTO, ToolChoice, ToolSpec

PREFIX = "Invalid tools/tool_choice: "


def read_tools(raw: list[Any], wire: str, *, flat: bool = False) -> tuple[ToolSpec, ...]:
    """The offered functions, in the caller's order. Raises BadRequest.

    `wire` labels fields that only the client's format defines. `flat` also accepts the form of the Responses API, where
    a function's fields are next to `type`.
    """
    tools = tuple(read_function(item, f"tools[{index}]", wire, flat=flat) for index, item in enumerate(raw))
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.name in names:
            raise BadRequest(f"{PREFIX}two tools are called '{tool.name}'", param=f"tools[{index}]")
        names.add(tool.name)
    return tools


def read_function(raw: Any, path: str, wire: str, *, flat: bool) -> ToolSpec:
    """One offered function; `path` names it in refusals, the others are as in `read_tools`. Raises BadRequest."""
    if not isinstance(raw, dict):
        raise BadRequest(f"{PREFIX}each tool must be an object", param=path)
    if raw.get("type", "function") != "function":
        raise BadRequest(f"{PREFIX}only function tools are supported", param=f"{path}.type")
    function, at = raw.get("function"), "function."
    if flat and function is None:
        function, at = raw, ""
    if not isinstance(function, dict):
        raise BadRequest(f"{PREFIX}tool.function is required", param=f"{path}.function")
    name = function.get("name")
    if not isinstance(name, str) or not name.strip():
        raise BadRequest(f"{PREFIX}tool.{at}name is required", param=f"{path}.{at}name")
    description, parameters, strict = function.get("description"), function.get("parameters"), function.get("strict")
    unknown = {k: value for k, value in function.items() if k not in _KNOWN and value is not None}
    return ToolSpec(
        name.strip(),
        description if isinstance(description, str) else None,
        parameters if isinstance(parameters, dict) else None,
        strict if isinstance(strict, bool) else None,
        Extras(wire, unknown) if unknown else NO_EXTRAS,
    )


_KNOWN = frozenset({"type", "name", "description", "parameters", "strict"})


def read_choice(raw: Any, tools: tuple[ToolSpec, ...]) -> ToolChoice:
    """The caller's tool choice. Raises BadRequest, also when no offered tool can satisfy it."""
    if isinstance(raw, str):
        return _mode(raw, tools)
    if not isinstance(raw, dict):
        raise BadRequest(f"{PREFIX}tool_choice must be a string or object", param="tool_choice")
    kind = raw.get("type")
    if kind in ("allowed_tools", "custom"):
        raise BadRequest(f"{PREFIX}tool_choice {kind} is not supported", param="tool_choice.type")
    if kind != "function":
        raise BadRequest(f"{PREFIX}unsupported tool_choice type", param="tool_choice.type")
    function = raw.get("function")
    flat = not isinstance(function, dict) and "name" in raw
    name = raw["name"] if flat else function.get("name") if isinstance(function, dict) else None
    param = "tool_choice.name" if flat else "tool_choice.function.name"
    if not isinstance(name, str) or not name.strip():
        raise BadRequest(f"{PREFIX}{param} is required", param=param)
    name = name.strip()
    if all(tool.name != name for tool in tools):
        raise BadRequest(f"{PREFIX}tool_choice requested unknown tool: {name}", param=param)
    return ToolChoice("pinned", name)


def _mode(mode: str, tools: tuple[ToolSpec, ...]) -> ToolChoice:
    match mode.strip():
        case "auto":
            return AUTO
        case "none":
            return ToolChoice("none")
        case "required":
            if not tools:
                raise BadRequest(f"{PREFIX}tool_choice=required but no tools were provided", param="tool_choice")
            return ToolChoice("required")
        case _:
            raise BadRequest(f"{PREFIX}tool_choice must be auto, none, required or a function", param="tool_choice")
