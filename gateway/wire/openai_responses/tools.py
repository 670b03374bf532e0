"""Decodes `tools` and `tool_choice` of a client's request: functions, custom tools, namespaces, built-in tools.

Every tool that the client runs also gets a description and a schema, so that a model of another format can call it as a
function. Tools that OpenAI runs (`hosted`) go to providers of this format only.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from gateway.core.errors import BadRequest
from gateway.core.message import Extras
from gateway.core.turn import ToolChoice, ToolSpec
from gateway.wire.nulls import without_nulls
from gateway.wire.openai_responses import WIRE
from gateway.wire.openai_responses.client_tools import DECLARED
from gateway.wire.tools import PREFIX, custom_tool, read_choice, read_function

_HOSTED = (
    *("web_search", "file_search", "code_interpreter", "image_generation", "computer", "mcp", "tool_search", "shell"),
    *("programmatic_tool_calling", "x_search", "live_search", "collections_search"),
)

Fields = Mapping[str, Any]


def read_tools(raw: list[Any], path: str = "tools") -> tuple[ToolSpec, ...]:
    """The offered tools, in the client's order; `path` names them in refusals. Raises BadRequest."""
    tools: list[ToolSpec] = []
    seen: set[tuple[str | None, str]] = set()
    for index, item in enumerate(raw):
        at = f"{path}[{index}]"
        for tool in _tools(item, at):
            key = (tool.namespace, tool.name)
            if key in seen and tool.kind != "hosted":
                raise BadRequest(f"{PREFIX}two tools are called '{tool.name}'", param=at)
            seen.add(key)
            tools.append(tool)
    return tuple(tools)


def _tools(raw: Any, path: str) -> tuple[ToolSpec, ...]:
    kind = raw.get("type") if isinstance(raw, dict) else None
    if kind == "namespace":
        return _namespace(raw, path)
    return (_tool(raw, kind, path),)


def _tool(raw: Any, kind: Any, path: str) -> ToolSpec:
    if kind == "custom":
        return _custom(raw, path)
    if isinstance(kind, str) and kind != "function" and isinstance(raw, dict):
        if kind in DECLARED and _is_local(raw):
            return _built_in(raw, kind)
        if kind.startswith(_HOSTED):
            name = raw.get("server_label") if kind == "mcp" else kind
            extras = Extras(WIRE, without_nulls(raw))
            return ToolSpec(name if isinstance(name, str) else kind, extras=extras, kind="hosted")
        raise BadRequest(f"{PREFIX}tools of type '{kind[:80]}' are not supported", param=f"{path}.type")
    return read_function(raw, path, WIRE, flat=True)


def _is_local(tool: Fields) -> bool:
    """Whether the client runs a built-in tool: it says so for those that OpenAI can run too."""
    match tool["type"]:
        case "tool_search":
            return tool.get("execution") == "client"
        case "shell":
            environment = tool.get("environment")
            return not isinstance(environment, dict) or environment.get("type") == "local"
        case _:
            return True


def _built_in(raw: Fields, kind: Any) -> ToolSpec:
    description, parameters = DECLARED[kind]
    own, schema = raw.get("description"), raw.get("parameters")
    return ToolSpec(
        kind,
        own if isinstance(own, str) else description,
        schema if isinstance(schema, dict) else parameters,
        extras=Extras(WIRE, raw),
        kind=kind,
    )


def _custom(raw: Fields, path: str) -> ToolSpec:
    nested = raw.get("custom")  # the form of a chat completions request
    if isinstance(nested, dict) and "name" not in raw:
        return custom_tool(nested, f"{path}.custom", Extras(WIRE, without_nulls({"type": "custom", **nested})))
    return custom_tool(raw, path, Extras(WIRE, without_nulls(raw)))


def _namespace(raw: Fields, path: str) -> tuple[ToolSpec, ...]:
    name, description, members = raw.get("name"), raw.get("description"), raw.get("tools")
    if not isinstance(name, str) or not name.strip():
        raise BadRequest(f"{PREFIX}namespace.name is required", param=f"{path}.name")
    if not isinstance(members, list):
        raise BadRequest(f"{PREFIX}namespace.tools must be an array", param=f"{path}.tools")
    specs = []
    for index, member in enumerate(members):
        at = f"{path}.tools[{index}]"
        kind = member.get("type") if isinstance(member, dict) else None
        if kind not in (None, "function", "custom"):
            raise BadRequest(f"{PREFIX}a namespace holds functions and custom tools only", param=f"{at}.type")
        text = description if isinstance(description, str) else None
        specs.append(replace(_tool(member, kind, at), namespace=name.strip(), namespace_description=text))
    return tuple(specs)


def choice_of(raw: Any, tools: tuple[ToolSpec, ...]) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    """The client's tool choice, and the tools that it leaves on offer. Raises BadRequest."""
    if not isinstance(raw, dict) or (raw.get("type") in (None, "function") and "namespace" not in raw):
        return read_choice(raw, tools), tools
    if raw.get("type") == "allowed_tools":
        return _allowed(raw, tools)
    return _pinned(raw, tools), tools


def _pinned(raw: Fields, tools: tuple[ToolSpec, ...]) -> ToolChoice:
    kind = raw.get("type")
    matching = _matching(raw, tools)
    if not matching:
        if kind in ("function", "custom") or any(tool.extras.fields.get("type") == kind for tool in tools):
            name = str(raw.get("name"))[:80]
            raise BadRequest(f"{PREFIX}tool_choice requested unknown tool: {name}", param="tool_choice.name")
        raise BadRequest(f"{PREFIX}unsupported tool_choice type", param="tool_choice.type")
    return ToolChoice("pinned", matching[0].name, matching[0].kind, matching[0].namespace)


def _matching(entry: Fields, tools: tuple[ToolSpec, ...]) -> list[ToolSpec]:
    """The offered tools that an entry of `tool_choice` names."""
    kind = _type_of(entry)
    function = entry.get("function")
    name = function.get("name") if isinstance(function, dict) else entry.get("name")
    if kind in ("function", "custom"):
        space = entry.get("namespace")
        return [
            tool
            for tool in tools
            if isinstance(name, str)
            and tool.kind == kind
            and tool.name == name.strip()
            and (space is None or tool.namespace == space)
        ]
    if kind == "namespace":
        return [tool for tool in tools if tool.namespace == name]
    label = entry.get("server_label")
    return [
        tool
        for tool in tools
        if tool.extras.of(WIRE).get("type") == kind
        and (label is None or tool.extras.of(WIRE).get("server_label") == label)
    ]


def _type_of(entry: Fields) -> Any:
    kind = entry.get("type")
    return "function" if kind is None else kind


def _allowed(choice: Fields, tools: tuple[ToolSpec, ...]) -> tuple[ToolChoice, tuple[ToolSpec, ...]]:
    """The model may, or must, call one of some of the tools."""
    mode, entries = choice.get("mode", "auto"), choice.get("tools")
    if mode not in ("auto", "required"):
        raise BadRequest(f"{PREFIX}tool_choice.mode must be auto or required", param="tool_choice.mode")
    if not isinstance(entries, list) or not entries:
        raise BadRequest(f"{PREFIX}tool_choice.tools must list tools", param="tool_choice.tools")
    allowed: list[ToolSpec] = []
    for index, entry in enumerate(entries):
        allowed += _entry(entry, f"tool_choice.tools[{index}]", tools)
    return ToolChoice(mode), tuple(tool for tool in tools if any(tool is one for one in allowed))


def _entry(entry: Any, path: str, tools: tuple[ToolSpec, ...]) -> list[ToolSpec]:
    if not isinstance(entry, dict):
        raise BadRequest(f"{PREFIX}{path} must be an object", param=path)
    if matching := _matching(entry, tools):
        return matching
    kind = _type_of(entry)
    function = entry.get("function")
    name = function.get("name") if isinstance(function, dict) else entry.get("name")
    if kind in ("function", "custom") and (not isinstance(name, str) or not name.strip()):
        raise BadRequest(f"{PREFIX}{path}.name is required", param=f"{path}.name")
    if kind not in ("function", "custom"):
        raise BadRequest(f"{PREFIX}{path} names no offered tool", param=path)
    raise BadRequest(f"{PREFIX}tool_choice requested unknown tool: {str(name)[:80]}", param="tool_choice.tools")
