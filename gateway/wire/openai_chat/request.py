"""The provider's half, outward: Turn → the body of a chat completions request."""

from collections.abc import Iterable
from typing import Any

from gateway.core.jsonio import dumps
from gateway.core.message import NO_EXTRAS, Content, Foreign, Image, Message, Text, ToolCall, ToolResult
from gateway.core.turn import ToolChoice, ToolSpec, Turn
from gateway.core.written import RawText
from gateway.wire.compat import Compat, ModelSpec
from gateway.wire.openai_chat import WIRE


def build_request(turn: Turn, model: ModelSpec) -> bytes:
    """The JSON body. Only what the caller set is sent, so that the provider's own defaults stay in force.

    The cap on the answer is the caller's, clamped to the model's `maxTokens`, or that maximum when the caller gave none
    (recorded).
    """
    compat, sampling = model.compat, turn.sampling
    body: dict[str, Any] = dict(model.params) if model.params else {}
    if turn.extras.fields and compat.unknown_fields:
        body.update(turn.extras.of(WIRE))
    body["model"] = model.id
    # A model that knows no tools may have been given the conversation of one that does.
    messages = turn.messages if compat.tools else [message for message in turn.messages if not message.hidden]
    body["messages"] = [_message(message, compat) for message in messages]
    if sampling.max_tokens is not None:
        body[compat.max_tokens_field] = min(sampling.max_tokens, model.max_tokens or sampling.max_tokens)
    elif model.max_tokens is not None:
        body[compat.max_tokens_field] = model.max_tokens
    for field in _SAMPLING:
        if (value := getattr(sampling, field)) is not None:
            body[field] = value
    if sampling.stop:
        body["stop"] = sampling.stop
    if turn.tools:
        _add_tools(body, turn.tools, turn.tool_choice, compat)
    if not compat.parallel_tool_calls:
        body.pop("parallel_tool_calls", None)
    if turn.stream:
        body["stream"] = True
        if compat.usage_in_streaming:
            body["stream_options"] = {"include_usage": True}
    return dumps(body)


_SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "response_format")


def _add_tools(body: dict[str, Any], tools: Iterable[ToolSpec], choice: ToolChoice | None, compat: Compat) -> None:
    if choice is not None and choice.mode == "none":
        # A model that is shown tools may still talk of calling them; not offering them is what `none` promises.
        body.pop("parallel_tool_calls", None)
        return
    body["tools"] = [_tool(tool) for tool in tools if choice is None or choice.name in (None, tool.name)]
    if choice is None or not compat.tool_choice:
        return
    if choice.mode == "pinned":
        body["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    else:
        body["tool_choice"] = choice.mode


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    function.update(tool.extras.of(WIRE))
    return {"type": "function", "function": function}


def _message(message: Message, compat: Compat) -> dict[str, Any]:
    role = message.role
    if role == "developer" and not compat.developer_role:
        role = "system"
    parts = message.parts
    if len(parts) == 1 and type(parts[0]) is Text and not message.listed:
        if message.name is None and message.extras is NO_EXTRAS:
            return {"role": role, "content": parts[0].written}
        raw: dict[str, Any] = {"role": role, "content": parts[0].written}
    elif role == "tool" and len(parts) == 1 and isinstance(parts[0], ToolResult):
        result = parts[0]
        raw = {"role": role, "content": _content(result.content, result.listed), "tool_call_id": result.call_id}
    else:
        content = tuple(part for part in parts if isinstance(part, Content))
        calls = [_call(part, compat) for part in parts if isinstance(part, ToolCall)]
        raw = {"role": role, "content": _content(content, message.listed) if content or not calls else None}
        if calls:
            raw["tool_calls"] = calls
    if message.name is not None:
        raw["name"] = message.name
    if message.extras.fields:
        raw.update(message.extras.of(WIRE))
    return raw


def _content(parts: tuple[Content, ...], listed: bool) -> RawText | list[dict[str, Any]]:
    if not listed and not parts:
        return ""
    if not listed and len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].written
    return [raw for part in parts if (raw := _part(part)) is not None]


def _part(part: Content) -> dict[str, Any] | None:
    match part:
        case Text(written, extras):
            return {"type": "text", "text": written, **extras.of(WIRE)}
        case Image(url, detail, extras):
            image = {"url": url} if detail is None else {"url": url, "detail": detail}
            return {"type": "image_url", "image_url": image, **extras.of(WIRE)}
        case Foreign(wire, payload):
            return dict(payload) if wire == WIRE else None


def _call(call: ToolCall, compat: Compat) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    raw: dict[str, Any] = {"id": call.id, "type": "function", "function": function}
    if compat.tool_call_fields and call.extras.fields:
        raw.update(call.extras.of(WIRE))
    return raw
