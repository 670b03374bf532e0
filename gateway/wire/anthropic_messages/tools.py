"""Encodes tools and the choice among them (https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview).

A model that reasons, and some newer ones always, refuse a choice that demands a call. They get `auto` and an
instruction; `gateway.runs` checks that the call came.
"""

from collections.abc import Iterable
from typing import Any

from gateway.core.turn import ToolSpec, Turn
from gateway.wire.anthropic_messages import WIRE
from gateway.wire.structured_schema import object_schema
from gateway.wire.tool_demand import demand_of

_CHOICES = {"auto": "auto", "none": "none", "required": "any"}


def add_tools(body: dict[str, Any], turn: Turn, called: Iterable[str], *, forced: bool, parallel: bool) -> str | None:
    """Set `tools` and `tool_choice` in `body`, and return the instruction that replaces a choice, if any.

    `called` are the tools in the history, without which the provider refuses it. `forced`: the model accepts a choice
    that demands a call; `parallel`: the endpoint understands `disable_parallel_tool_use`.
    """
    choice = turn.tool_choice
    if not turn.tools:
        if names := sorted(called):
            body.setdefault("tools", [{"name": name, "input_schema": {"type": "object"}} for name in names])
            body["tool_choice"] = {"type": "none"}
        return None
    body["tools"] = [_tool(tool) for tool in turn.tools]
    instruction = None
    sent: dict[str, Any] = {"type": "auto"}
    if choice is not None:
        if choice.mode in ("required", "pinned") and not forced:
            instruction = demand_of(choice)
        elif choice.mode == "pinned":
            sent = {"type": "tool", "name": choice.name}
        else:
            sent = {"type": _CHOICES[choice.mode]}
    if turn.options.parallel_tool_calls is False and parallel and sent["type"] != "none":
        sent["disable_parallel_tool_use"] = True
    if len(sent) > 1 or sent["type"] != "auto":
        body["tool_choice"] = sent
    return instruction


def _tool(tool: ToolSpec) -> dict[str, Any]:
    own = tool.extras.of(WIRE)
    if own.get("type") not in (None, "custom"):  # a tool that Anthropic defines, as the client offered it
        return dict(own)
    raw: dict[str, Any] = {"name": tool.name, "input_schema": object_schema(tool.parameters)}
    if tool.description:
        raw["description"] = tool.description
    raw.update(own)
    for extras in (tool.extras, tool.outer):
        if isinstance(breakpoint_ := extras.fields.get("cache_control"), dict):
            raw["cache_control"] = breakpoint_
    return raw
