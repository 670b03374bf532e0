"""Decodes `tools` and `tool_choice` of OpenAI's two formats. Every refusal names the invalid entry.

A custom tool takes free text. It also gets a schema, so that a model of a format without such tools can call it as a
function.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.message import NO_EXTRAS, Extras
from gateway.core.turn import AUTO, ToolChoice, ToolSpec

PREFIX = "Invalid tools/tool_choice: "


def read_tools(raw: list[Any], wire: str) -> tuple[ToolSpec, ...]:
    """The offered functions and custom tools of a chat request, in the caller's order. Raises BadRequest.

    `wire` labels fields that only the client's format defines.
    """
    tools = tuple(_tool(item, f"tools[{index}]", wire) for index, item in enumerate(raw))
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.name in names:
            raise BadRequest(f"{PREFIX}two tools are called '{tool.name}'", param=f"tools[{index}]")
        names.add(tool.name)
    return tools


def _tool(raw: Any, path: str, wire: str) -> ToolSpec:
    custom = raw.get("custom") if isinstance(raw, dict) and raw.get("type") == "custom" else None
    if isinstance(custom, dict):
        return custom_tool(custom, f"{path}.custom", Extras(wire, raw))
    return read_function(raw, path, wire, flat=False)


def custom_tool(fields: Mapping[str, Any], path: str, extras: Extras) -> ToolSpec:
    """A custom tool with these fields; `extras` hold its form in the client's format. Raises BadRequest."""
    name, description = fields.get("name"), fields.get("description")
    if not isinstance(name, str) or not name.strip():
        raise BadRequest(f"{PREFIX}{path}.name is required", param=f"{path}.name")
    described = (description if isinstance(description, str) else "") + _grammar(fields.get("format"))
    return ToolSpec(name.strip(), described.strip() or None, _INPUT, extras=extras, kind="custom")


_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The whole input of the tool, as plain text."}},
    "required": ["input"],
}
_MAX_GRAMMAR = 8000  # characters; longer ones are not described


def _grammar(form: Any) -> str:
    """The grammar that the input must match, in words: other formats can't enforce it."""
    if not isinstance(form, dict) or form.get("type") != "grammar":
        return ""
    grammar = form.get("grammar") or form
    definition = grammar.get("definition") if isinstance(grammar, dict) else None
    if not isinstance(definition, str) or len(definition) > _MAX_GRAMMAR:
        return ""
    return f"\n\n`input` must match this {grammar.get('syntax') or 'lark'} grammar:\n{definition}"


def read_function(raw: Any, path: str, wire: str, *, flat: bool) -> ToolSpec:
    """One offered function; `path` names it in refusals. Raises BadRequest.

    `flat` also accepts the form of the Responses API, where a function's fields are next to `type`.
    """
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
    if kind == "allowed_tools":
        raise BadRequest(f"{PREFIX}tool_choice {kind} is not supported", param="tool_choice.type")
    if kind not in ("function", "custom"):
        raise BadRequest(f"{PREFIX}unsupported tool_choice type", param="tool_choice.type")
    function = raw.get(kind)
    flat = not isinstance(function, dict) and "name" in raw
    name = raw["name"] if flat else function.get("name") if isinstance(function, dict) else None
    param = "tool_choice.name" if flat else f"tool_choice.{kind}.name"
    if not isinstance(name, str) or not name.strip():
        raise BadRequest(f"{PREFIX}{param} is required", param=param)
    name = name.strip()
    if all(tool.name != name or tool.kind != kind for tool in tools):
        raise BadRequest(f"{PREFIX}tool_choice requested unknown tool: {name}", param=param)
    return ToolChoice("pinned", name, kind)


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
