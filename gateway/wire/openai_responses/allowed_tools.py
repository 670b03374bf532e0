"""`tool_choice` of type `allowed_tools`: the model may or must call one of some of the offered tools."""

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.turn import ToolSpec

_PREFIX = "Invalid tools/tool_choice: "


def allowed(choice: Mapping[str, Any], tools: tuple[ToolSpec, ...]) -> tuple[tuple[ToolSpec, ...], str]:
    """The allowed tools, in the order of `tools`, and the mode (`auto` or `required`). Raises BadRequest."""
    mode, entries = choice.get("mode", "auto"), choice.get("tools")
    if mode not in ("auto", "required"):
        raise BadRequest(f"{_PREFIX}tool_choice.mode must be auto or required", param="tool_choice.mode")
    if not isinstance(entries, list) or not entries:
        raise BadRequest(f"{_PREFIX}tool_choice.tools must list functions", param="tool_choice.tools")
    names = {_name(entry, f"tool_choice.tools[{index}]") for index, entry in enumerate(entries)}
    known = {tool.name for tool in tools}
    for name in sorted(names - known):
        raise BadRequest(f"{_PREFIX}tool_choice requested unknown tool: {name[:80]}", param="tool_choice.tools")
    return tuple(tool for tool in tools if tool.name in names), mode


def _name(entry: Any, path: str) -> str:
    if not isinstance(entry, dict) or entry.get("type", "function") != "function":
        raise BadRequest(f"{_PREFIX}{path} must be a function", param=path)
    function = entry.get("function")
    name = function.get("name") if isinstance(function, dict) else entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise BadRequest(f"{_PREFIX}{path}.name is required", param=f"{path}.name")
    return name.strip()
