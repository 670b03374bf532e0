"""Decodes `tools` and `tool_choice` of a client's request.

A tool without a type, or of the type `custom`, is a function. Anthropic defines the others: some the client runs
(`bash_…`, `text_editor_…`, `computer_…`, `memory_…`), which are functions of a known form for every other model; the
rest Anthropic runs itself (`hosted`).
"""

from collections.abc import Mapping
from typing import Any

from gateway.core.message import NO_EXTRAS, Extras
from gateway.core.turn import AUTO, ToolChoice, ToolSpec
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.anthropic_messages.input_blocks import wrong

Fields = Mapping[str, Any]

_KNOWN = frozenset({"name", "description", "input_schema"})
_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_POINT = {"type": "array", "items": _NUMBER}


def _schema(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [required]}


_EDITOR = _schema(
    "command", command=_TEXT, path=_TEXT, old_str=_TEXT, new_str=_TEXT, file_text=_TEXT, insert_line=_NUMBER,
    insert_text=_TEXT, view_range=_POINT,
)  # fmt: skip
DECLARED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "bash": (
        "Runs a command in a bash session that stays open, and returns its output; `restart` starts a new session.",
        {"type": "object", "properties": {"command": _TEXT, "restart": {"type": "boolean"}}},
    ),
    "text_editor": (
        ("Views, creates and edits files. `command` is `view` (`path`, `view_range`), `create` (`path`, `file_text`), "
        "`str_replace` (`path`, `old_str`, `new_str`) or `insert` (`path`, `insert_line`, `insert_text`)."),
        _EDITOR,
    ),
    "computer": (
        ("Uses a computer by its screen, mouse and keyboard. `action` is `screenshot`, `key`, `type`, `mouse_move`, "
        "`left_click`, `right_click`, `middle_click`, `double_click`, `left_click_drag`, `scroll`, `wait`, …"),
        _schema(
            "action", action=_TEXT, coordinate=_POINT, start_coordinate=_POINT, text=_TEXT, duration=_NUMBER,
            scroll_direction=_TEXT, scroll_amount=_NUMBER,
        ),
    ),
    "memory": (
        ("Keeps notes in files below /memories. `command` is `view`, `create`, `str_replace`, `insert`, `delete` or "
        "`rename`."),
        _schema("command", **_EDITOR["properties"], old_path=_TEXT, new_path=_TEXT),
    ),
}  # fmt: skip
"""What other models get to know of Anthropic's tools that the client runs: description and schema."""


def read_tools(raw: list[Any]) -> tuple[ToolSpec, ...]:
    """The offered tools, in the client's order. Raises BadRequest."""
    tools = tuple(_tool(item, f"tools[{index}]") for index, item in enumerate(raw))
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.name in names:
            raise wrong(f"tools[{index}].name", f"two tools are called '{tool.name[:80]}'")
        names.add(tool.name)
    return tools


def _tool(raw: Any, path: str) -> ToolSpec:
    if not isinstance(raw, dict):
        raise wrong(path, "must be an object")
    kind = raw.get("type")
    if kind in (None, "custom"):
        return _function(raw, path)
    if not isinstance(kind, str) or not kind.strip():
        raise wrong(f"{path}.type", "must be a non-empty string")
    known = {name: value for name, value in raw.items() if value is not None}
    name = raw.get("name") or raw.get("mcp_server_name")
    name = name if isinstance(name, str) and name else kind
    declared = DECLARED.get(kind.rpartition("_")[0])
    if declared is None:
        return ToolSpec(name, extras=Extras(WIRE, known), kind="hosted")
    description, parameters = declared
    return ToolSpec(name, description, parameters, extras=Extras(WIRE, known))


def _function(raw: Fields, path: str) -> ToolSpec:
    name, schema = raw.get("name"), raw.get("input_schema")
    if not isinstance(name, str) or not name.strip():
        raise wrong(f"{path}.name", "is required")
    if not isinstance(schema, dict):
        raise wrong(f"{path}.input_schema", "must be a JSON Schema of the type `object`")
    description, strict = raw.get("description"), raw.get("strict")
    unknown = {key: value for key, value in raw.items() if key not in _KNOWN and value is not None}
    return ToolSpec(
        name,
        description if isinstance(description, str) else None,
        schema,
        strict if isinstance(strict, bool) else None,
        Extras(WIRE, unknown) if unknown else NO_EXTRAS,
    )


def read_choice(raw: Fields, tools: tuple[ToolSpec, ...]) -> ToolChoice:
    """The client's choice. Raises BadRequest, also when no offered tool can satisfy it."""
    match raw.get("type"):
        case "auto":
            return AUTO
        case "none":
            return ToolChoice("none")
        case "any" if tools:
            return ToolChoice("required")
        case "any":
            raise wrong("tool_choice", "a tool call is required, but no tools were provided")
        case "tool":
            chosen = [tool for tool in tools if tool.name == raw.get("name")]
            if not chosen:
                raise wrong("tool_choice.name", f"there is no tool '{str(raw.get('name'))[:80]}' in `tools`")
            return ToolChoice("pinned", chosen[0].name, chosen[0].kind)
        case _:
            raise wrong("tool_choice.type", "must be `auto`, `any`, `tool` or `none`")
