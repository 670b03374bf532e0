"""`functions`, `function_call` and the role `function`: the form that tools had before `tools`.

Older clients still send it. Providers get tools, and the client gets its answer in the form that it asked in.
"""

from collections.abc import Sequence
from typing import Any

from gateway.core.errors import BadRequest
from gateway.core.message import Content, Message, ToolCall, ToolResult
from gateway.core.turn import AUTO, ToolChoice, ToolSpec
from gateway.wire.arguments import given_arguments
from gateway.wire.openai_chat import WIRE
from gateway.wire.tools import read_choice, read_tools


def read_functions(raw: list[Any], choice: Any, tool_choice: Any) -> tuple[tuple[ToolSpec, ...], ToolChoice | None]:
    """`functions` as tools, and `function_call` as a tool choice, else `tool_choice`. Raises BadRequest."""
    tools = read_tools(raw, WIRE, "functions", flat=True)
    chosen = None if tool_choice is None else read_choice(tool_choice, tools)
    return tools, chosen if choice is None else _choice(choice, tools)


def check_unused(functions: list[Any] | None, choice: Any, *, has_tools: bool) -> None:
    """Check a request with tools, or without both. Raises BadRequest unless it means the same without these fields."""
    chosen = AUTO if choice is None else _choice(choice, None if has_tools else ())
    if functions or (has_tools and chosen is not AUTO):
        field = "functions" if functions else "function_call"
        raise BadRequest(f"`{field}`: is the older form of `tools`; send only one of both.", param=field)


def _choice(choice: Any, tools: tuple[ToolSpec, ...] | None) -> ToolChoice:
    """`function_call` as a choice among these tools, any if None. Raises BadRequest."""
    if choice == "auto":
        return AUTO
    if choice == "none":
        return ToolChoice("none")
    if not isinstance(choice, dict):
        problem = "must be auto, none or an object with a `name`"
        raise BadRequest(f"`function_call`: {problem}.", param="function_call")
    name = choice.get("name")
    if not isinstance(name, str) or not name.strip():
        raise BadRequest("`function_call.name`: must be a non-empty string.", param="function_call.name")
    name = name.strip()
    if tools is not None and all(tool.name != name for tool in tools):
        raise BadRequest(f"`function_call.name`: '{name[:80]}' is not in `functions`.", param="function_call.name")
    return ToolChoice("pinned", name)


class FunctionCalls:
    """Pairs the function calls of a history with their results: they have no ids, so they get some by their order."""

    def __init__(self) -> None:
        self._count = 0
        self._open: dict[str, str] = {}  # name → id of the call without a result

    def call(self, raw: Any, path: str) -> ToolCall:
        """The call in an assistant's `function_call`. Raises BadRequest."""
        name = raw.get("name") if isinstance(raw, dict) else None
        if not isinstance(name, str):
            raise BadRequest(f"`{path}.name`: must be a string.", param=f"{path}.name")
        self._count += 1
        self._open[name] = call_id = f"call_function_{self._count}"
        return ToolCall(call_id, name, given_arguments(raw.get("arguments")))

    def result(self, name: str | None, content: Sequence[Content], *, is_array: bool) -> Message | None:
        """The message of the role `function` with this name; None if it follows no call."""
        call_id = self._open.pop(name or "", None)
        return None if call_id is None else Message("tool", (ToolResult(call_id, tuple(content), is_array),))
