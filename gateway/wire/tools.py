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


def read_tools(raw: list[Any], wire: str, path: str = "tools", *, flat: bool = False) -> tuple[ToolSpec, ...]:
    """The offered functions and custom tools of a chat request, in the caller's order. Raises BadRequest.

    `wire` labels fields that only the client's format defines, `path` is the field of the request. `flat`: see
    `read_function`.
    """
    tools = tuple(_tool(item, f"{path}[{index}]", wire, flat=flat) for index, item in enumerate(raw))
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.name in names:
            raise BadRequest(f"{PREFIX}two tools are called '{tool.name}'", param=f"{path}[{index}]")
        names.add(tool.name)
    return tools


def _tool(raw: Any, path: str, wire: str, *, flat: bool) -> ToolSpec:
    custom = raw.get("custom") if isinstance(raw, dict) and raw.get("type") == "custom" else None
    if isinstance(custom, dict):
        return custom_tool(custom, f"{path}.custom", Extras(wire, raw))
    return read_function(raw, path, wire, flat=flat)


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
    if raw.get("type") not in (None, "function"):
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
        outer=_outer(raw, wire) if function is not raw else NO_EXTRAS,
    )


_KNOWN = frozenset({"type", "name", "description", "parameters", "strict"})


def _outer(raw: Mapping[str, Any], wire: str) -> Extras:
    """The fields beside `function`, such as `cache_control`."""
    if raw.keys() <= _KNOWN_BESIDE:
        return NO_EXTRAS
    unknown = {name: value for name, value in raw.items() if name not in _KNOWN_BESIDE and value is not None}
    return Extras(wire, unknown) if unknown else NO_EXTRAS


_KNOWN_BESIDE = frozenset({"type", "function"})


def read_choice(raw: Any, tools: tuple[ToolSpec, ...]) -> ToolChoice:
    """The caller's tool choice. Raises BadRequest, also when no offered tool can satisfy it."""
    if isinstance(raw, str):
        return _mode(raw, tools)
    return _named(raw, tools, "tool_choice")


def _named(raw: Any, tools: tuple[ToolSpec, ...], path: str) -> ToolChoice:
    """The choice of one tool, at this path of the request."""
    if not isinstance(raw, dict):
        raise BadRequest(f"{PREFIX}{path} must be a string or object", param=path)
    kind = raw.get("type")
    if kind not in ("function", "custom"):
        raise BadRequest(f"{PREFIX}unsupported {path} type", param=f"{path}.type")
    function = raw.get(kind)
    flat = not isinstance(function, dict) and "name" in raw
    name = raw["name"] if flat else function.get("name") if isinstance(function, dict) else None
    param = f"{path}.name" if flat else f"{path}.{kind}.name"
    if not isinstance(name, str) or not name.strip():
        raise BadRequest(f"{PREFIX}{param} is required", param=param)
    name = name.strip()
    if all(tool.name != name or tool.kind != kind for tool in tools):
        raise BadRequest(f"{PREFIX}{path} requested unknown tool: {name}", param=param)
    return ToolChoice("pinned", name, kind)


def read_allowed(choice: Mapping[str, Any], tools: tuple[ToolSpec, ...]) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    """The choice `allowed_tools` of a chat request, and the tools that it leaves on offer. Raises BadRequest."""
    path = "tool_choice.allowed_tools"
    allowed = choice.get("allowed_tools", choice)  # some clients send it flat, as in the Responses API
    mode, entries = (allowed.get("mode", "auto"), allowed.get("tools")) if isinstance(allowed, dict) else (None, None)
    if mode not in ("auto", "required"):
        raise BadRequest(f"{PREFIX}{path}.mode must be auto or required", param=f"{path}.mode")
    if not isinstance(entries, list) or not entries:
        raise BadRequest(f"{PREFIX}{path}.tools must list tools", param=f"{path}.tools")
    names = [_named(entry, tools, f"{path}.tools[{index}]").name for index, entry in enumerate(entries)]
    return ToolChoice(mode), tuple(tool for tool in tools if tool.name in names)


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
