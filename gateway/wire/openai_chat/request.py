"""Encodes a Turn as the body of a chat completions request to a provider."""

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.core.jsonio import dumps
from gateway.core.message import (
    NO_EXTRAS,
    Audio,
    Content,
    File,
    Foreign,
    Image,
    Message,
    Owner,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.core.raw_text import RawText
from gateway.core.turn import NO_OPTIONS, NO_SAMPLING, ResponseFormat, Sampling, ToolChoice, ToolSpec, Turn
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.profile import Profile, profile_of
from gateway.wire.openai_chat.thinking import fields_of
from gateway.wire.tool_pictures import pictures_after_results


def build_request(turn: Turn, model: ModelSpec) -> bytes:
    """The JSON body. Only fields that the caller set are sent, so that the provider's own defaults apply.

    The cap on the answer is the caller's, clamped to the model's `maxTokens`; without the caller's cap, that maximum
    applies, as in OpenClaw.
    """
    profile = profile_of(model)
    body = _other_fields(turn, model, profile)
    body["model"] = model.id
    # A model without tool support may continue the conversation of a model with tools.
    messages: Sequence[Message] = turn.messages
    if not model.tools:
        messages = [message for message in messages if not message.hidden]
    if turn.has_tool_results():
        messages = list(pictures_after_results(messages, reads_images=model.images is not False))
    body["messages"] = [_message(message, model, profile) for message in messages]
    _add_sampling(body, turn.sampling, model, profile)
    if turn.tools:
        _add_tools(body, turn.tools, turn.tool_choice, profile)
    if not profile.parallel_tool_calls:
        body.pop("parallel_tool_calls", None)
    if turn.stream:
        body["stream"] = True
        if profile.usage_in_streaming:
            body["stream_options"] = {"include_usage": True}
    return dumps(body)


def _other_fields(turn: Turn, model: ModelSpec, profile: Profile) -> dict[str, Any]:
    """The operator's fields, overridden by the client's unknown fields, overridden by the client's options."""
    body: dict[str, Any] = dict(model.params) if model.params else {}
    if turn.params:
        body.update(turn.params)
    if turn.extras.fields and profile.unknown_fields:
        body.update(turn.extras.of(WIRE))
    if turn.options is not NO_OPTIONS:
        for name, option in OPTIONS.items():
            if (value := getattr(turn.options, option)) is not None:
                body[name] = value
    return body


def _add_sampling(body: dict[str, Any], sampling: Sampling, model: ModelSpec, profile: Profile) -> None:
    if sampling.max_tokens is not None:
        body[profile.max_tokens_field] = model.clamp(sampling.max_tokens)
    elif model.max_tokens is not None:
        body[profile.max_tokens_field] = model.max_tokens
    if sampling is NO_SAMPLING:
        return
    for field in _SAMPLING:
        if (value := getattr(sampling, field)) is not None:
            body[field] = value
    if sampling.stop:
        body["stop"] = sampling.stop
    if sampling.response_format is not None:
        body["response_format"] = _response_format(sampling.response_format)


_SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed")

OPTIONS = {
    "reasoning_effort": "effort",
    "verbosity": "verbosity",
    "parallel_tool_calls": "parallel_tool_calls",
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "top_k": "top_k",
    "service_tier": "service_tier",
    "prompt_cache_key": "cache_key",
    "prompt_cache_retention": "cache_retention",
    "safety_identifier": "end_user",
    "metadata": "metadata",
}
"""The format's name → the field of Options. It has no field for a reasoning summary or budget: both are dropped."""


def _response_format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": wanted.kind}
    return {"type": wanted.kind, "json_schema": wanted.schema}


def _add_tools(body: dict[str, Any], tools: Iterable[ToolSpec], choice: ToolChoice | None, profile: Profile) -> None:
    if choice is not None and choice.mode == "none":
        # A model that sees tools may still try to call them, so `none` is sent as a request without tools.
        body.pop("parallel_tool_calls", None)
        return
    body["tools"] = [_tool(tool) for tool in tools if choice is None or choice.name in (None, tool.name)]
    if choice is None or not profile.tool_choice:
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


def _message(message: Message, model: ModelSpec, profile: Profile) -> dict[str, Any]:
    role = message.role
    if role == "developer" and not profile.developer_role:
        role = "system"
    parts = message.parts
    if len(parts) == 1 and type(parts[0]) is Text and not message.content_is_array:
        if message.name is None and message.extras is NO_EXTRAS:
            return {"role": role, "content": parts[0].raw}
        raw: dict[str, Any] = {"role": role, "content": parts[0].raw}
    elif role == "tool" and len(parts) == 1 and isinstance(parts[0], ToolResult):
        result = parts[0]
        content = _content(result.content, is_array=result.content_is_array)
        raw = {"role": role, "content": content, "tool_call_id": result.call_id}
    else:
        raw = {"role": role, **_assistant_fields(message, model, profile)}
    if message.name is not None:
        raw["name"] = message.name
    if message.extras.fields:
        raw.update(message.extras.of(WIRE))
    return raw


def _assistant_fields(message: Message, model: ModelSpec, profile: Profile) -> dict[str, Any]:
    """The fields for content, tool calls, a refusal, and the reasoning that precedes them."""
    parts, is_array = message.parts, message.content_is_array
    content = tuple(part for part in parts if isinstance(part, Content))
    refusal = next((part.text for part in content if type(part) is Refusal and _is_beside_content(part)), None)
    if refusal is not None:
        content = tuple(part for part in content if not (type(part) is Refusal and _is_beside_content(part)))
    calls = [_call(part, profile) for part in parts if isinstance(part, ToolCall)]
    raw: dict[str, Any] = {}
    if content or not (calls or refusal is not None):
        raw["content"] = _content(content, is_array=is_array)
    else:
        raw["content"] = None
    if refusal is not None:
        raw["refusal"] = refusal
    if calls:
        raw["tool_calls"] = calls
    if thinking := [part for part in parts if type(part) is Thinking]:
        _add_thinking(raw, thinking, model, profile)
    return raw


def _is_beside_content(refusal: Refusal) -> bool:
    """Whether it came from a message's `refusal` field, not from a content part."""
    return refusal.extras.of(WIRE).get("place") == "message"


def _add_thinking(raw: dict[str, Any], blocks: list[Thinking], model: ModelSpec, profile: Profile) -> None:
    if not profile.unknown_fields:
        blocks = [block for block in blocks if block.owner is not None]
    fields = fields_of(blocks, Owner(WIRE, model.provider, model.id))
    thought = fields.pop("content", None)
    raw.update(fields)
    if thought is not None:  # Mistral
        content = raw["content"] or ""
        text_parts = content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []
        raw["content"] = [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}, *text_parts]


def _content(parts: tuple[Content, ...], *, is_array: bool) -> RawText | list[dict[str, Any]]:
    if not is_array and not parts:
        return ""
    if not is_array and len(parts) == 1:
        only = parts[0]
        if isinstance(only, Text):
            return only.raw
        if isinstance(only, Refusal):
            return only.text
    if not is_array and all(type(part) is Text and part.extras is NO_EXTRAS for part in parts):
        # An answer whose text is interrupted by reasoning. Few servers accept an array from the assistant.
        return "".join(part.text for part in parts if type(part) is Text)
    return [raw for part in parts if (raw := _part(part)) is not None]


def _part(part: Content) -> dict[str, Any] | None:
    match part:
        case Text(text, extras):
            return {"type": "text", "text": text, **extras.of(WIRE)}
        case Image(url, detail, extras):
            image = {"url": url} if detail is None else {"url": url, "detail": detail}
            return {"type": "image_url", "image_url": image, **extras.of(WIRE)}
        case Audio(data, kind, extras):
            return {"type": "input_audio", "input_audio": {"data": data, "format": kind}, **extras.of(WIRE)}
        case File(name, mime, data, url, extras):
            uri = url if data is None else f"data:{mime};base64,{data}"
            file = {"file_data": uri} if name is None else {"filename": name, "file_data": uri}
            return {"type": "file", "file": file, **extras.of(WIRE)}
        case Refusal(text, extras):
            fields = dict(extras.of(WIRE))
            if fields.pop("place", None) == "part":
                return {"type": "refusal", "refusal": text, **fields}
            return {"type": "text", "text": text}  # few servers accept refusal parts; to a model a refusal is text
        case Foreign(wire, payload):
            return dict(payload) if wire == WIRE else None


def _call(call: ToolCall, profile: Profile) -> dict[str, Any]:
    raw: dict[str, Any] = {"id": call.id, "type": call.kind}
    if call.kind == "custom":
        raw["custom"] = {"name": call.name, "input": call.arguments}
    else:
        raw["function"] = {"name": call.name, "arguments": call.arguments}
    if profile.tool_call_fields and call.extras.fields:
        raw.update(call.extras.of(WIRE))
    return raw
