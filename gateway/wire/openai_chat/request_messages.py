"""Encodes messages for a provider of the chat completions format.

A strict endpoint gets only the fields that the format defines for everyone: a field that it does not know would be
refused, and the whole request with it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.core.message import (
    NO_EXTRAS,
    Audio,
    Content,
    Extras,
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
from gateway.wire.call_ids import NineCharacterIds, shortened
from gateway.wire.foreign import FAILED
from gateway.wire.model import ModelSpec
from gateway.wire.openai_chat import WIRE
from gateway.wire.openai_chat.beside import message_fields
from gateway.wire.openai_chat.profile import Profile, profile_of
from gateway.wire.openai_chat.thinking import fields_of


def encode_messages(messages: Sequence[Message], model: ModelSpec) -> list[dict[str, Any]]:
    """The objects of `messages`."""
    profile = profile_of(model)
    names = _called(messages) if profile.result_name else {}
    encoded = [_message(message, model, profile, names) for message in messages]
    if profile.nine_character_ids:
        _renumber(encoded)
    elif profile.max_call_id is not None:
        _shorten_ids(encoded, profile.max_call_id)
    if profile.assistant_after_result:
        encoded = list(_with_assistant_after_results(encoded))
    if profile.reasoning_content and model.reasoning:
        for raw in encoded:
            if raw["role"] == "assistant":
                _require_reasoning_content(raw)
    return encoded


def _shorten_ids(encoded: list[dict[str, Any]], max_length: int) -> None:
    """Replace long ids of calls, which are another provider's, and those of their results."""
    for raw in encoded:
        for call in raw.get("tool_calls", ()):
            call["id"] = shortened(call["id"], max_length)
        if (call_id := raw.get("tool_call_id")) is not None:
            raw["tool_call_id"] = shortened(call_id, max_length)


def _renumber(encoded: list[dict[str, Any]]) -> None:
    """Replace the ids of calls, which may be another provider's, and those of their results, by Mistral's form."""
    ids = NineCharacterIds()
    for raw in encoded:
        for call in raw.get("tool_calls", ()):
            call["id"] = ids.call(call["id"])
        if (call_id := raw.get("tool_call_id")) is not None:
            raw["tool_call_id"] = ids.result(call_id) or ids.call(call_id)


def _with_assistant_after_results(encoded: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Insert an assistant's turn before a user's message that follows the result of a tool."""
    before = None
    for raw in encoded:
        if raw["role"] == "user" and before == "tool":
            yield {"role": "assistant", "content": _AFTER_RESULTS}
        if raw["role"] == "assistant" and raw.get("content") is None:
            raw["content"] = ""
        yield raw
        before = raw["role"]


_AFTER_RESULTS = "I have the results of the tools."


def _called(messages: Sequence[Message]) -> dict[str, str]:
    """The names of the called tools, by the id of the call."""
    return {part.id: part.name for message in messages for part in message.parts if type(part) is ToolCall}


def _message(message: Message, model: ModelSpec, profile: Profile, names: dict[str, str]) -> dict[str, Any]:
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
        content = _result_content(result, profile)
        raw = {"role": role, "content": content, "tool_call_id": result.call_id}
        if (name := names.get(result.call_id)) is not None:
            raw["name"] = name
    else:
        raw = {"role": role, **_assistant_fields(message, model, profile)}
    if message.name is not None and (role in ("tool", "function") or not profile.strict_messages):
        raw["name"] = message.name
    if message.extras.fields and not profile.strict_messages:
        raw.update(message.extras.of(WIRE))
    return raw


def _result_content(result: ToolResult, profile: Profile) -> RawText | list[dict[str, Any]]:
    """The texts of a result that a client of another format sent become lines of one text, which every server reads."""
    parts = (FAILED, *result.content) if result.is_error else result.content
    texts = [part.text for part in parts if type(part) is Text and part.extras is NO_EXTRAS]
    if len(texts) == len(parts) > 1 and not result.content_is_array:
        return "\n".join(texts)
    return _content(parts, profile, is_array=result.content_is_array)


def _assistant_fields(message: Message, model: ModelSpec, profile: Profile) -> dict[str, Any]:
    """The fields for content, tool calls, a refusal, and the reasoning that precedes them."""
    parts, is_array = message.parts, message.content_is_array
    content = tuple(part for part in parts if isinstance(part, Content))
    thinking = [part for part in parts if type(part) is Thinking]
    if thinking and profile.thinking_as_text:
        content = (*_thoughts(thinking, model, has_text=bool(content)), *content)
        thinking = []
    beside = [part for part in content if _is_beside_content(part)]
    raw: dict[str, Any] = {}
    if beside:
        content = tuple(part for part in content if not any(part is one for one in beside))
        for part in beside:
            if profile.strict_messages:
                content += (Text(part.text),) if isinstance(part, Refusal) else ()
            else:
                raw |= {"refusal": part.text} if isinstance(part, Refusal) else {}
                raw |= message_fields(part) if isinstance(part, Foreign) else {}
    calls = [_call(part, profile) for part in parts if isinstance(part, ToolCall)]
    if content or not (calls or raw):
        raw["content"] = _content(content, profile, is_array=is_array)
    else:
        raw["content"] = None
    if calls:
        raw["tool_calls"] = calls
    if thinking:
        _add_thinking(raw, thinking, model, profile)
    return raw


def _require_reasoning_content(raw: dict[str, Any]) -> None:
    """Add the field, which DeepSeek demands also of a turn without reasoning, and of one that another model wrote."""
    if not isinstance(raw.get("reasoning_content"), str):
        reasoning = raw.pop("reasoning", None)
        raw["reasoning_content"] = reasoning if isinstance(reasoning, str) else ""


def _is_beside_content(part: Content) -> bool:
    """Whether it came from a field of the message, not from its content."""
    if type(part) is Refusal:
        return part.extras.of(WIRE).get("place") == "message"
    return type(part) is Foreign and part.wire == WIRE and "type" not in part.payload


def _thoughts(blocks: list[Thinking], model: ModelSpec, *, has_text: bool) -> Iterator[Text]:
    """The model's own reasoning as one text; nothing marks it, so that the model does not copy the mark."""
    owner = Owner(WIRE, model.provider, model.id)
    own = [block.text for block in blocks if block.owner in (None, owner) and block.text.strip()]
    if own:
        yield Text("\n\n".join(own) + ("\n\n" if has_text else ""))


def _add_thinking(raw: dict[str, Any], blocks: list[Thinking], model: ModelSpec, profile: Profile) -> None:
    if profile.strict_messages:
        blocks = [block for block in blocks if block.owner is not None]
    fields = fields_of(blocks, Owner(WIRE, model.provider, model.id))
    thought = fields.pop("content", None)
    raw.update(fields)
    if thought is not None:  # Mistral
        content = raw["content"] or ""
        text_parts = content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []
        raw["content"] = [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}, *text_parts]


def _content(parts: tuple[Content, ...], profile: Profile, *, is_array: bool) -> RawText | list[dict[str, Any]]:
    if profile.string_content and all(isinstance(part, Text | Refusal) for part in parts):
        is_array = False
        parts = tuple(Text(part.text) for part in parts if isinstance(part, Text | Refusal))
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
    return [raw for part in parts if (raw := _part(part, profile)) is not None]


def _part(part: Content, profile: Profile) -> dict[str, Any] | None:
    if type(part) is Text and part.extras is NO_EXTRAS:
        return {"type": "text", "text": part.raw}
    raw, extras = _plain_part(part)
    if raw is not None and extras.fields and not profile.strict_messages:
        raw |= {name: value for name, value in extras.of(WIRE).items() if name != "place"}
    return raw


def _plain_part(part: Content) -> tuple[dict[str, Any] | None, Extras]:
    """The part with the fields that every server knows, and the client's further fields."""
    match part:
        case Text(text, extras):
            return {"type": "text", "text": text}, extras
        case Image(url, detail, extras):
            image = {"url": url} if detail is None else {"url": url, "detail": detail}
            return {"type": "image_url", "image_url": image}, extras
        case Audio(data, kind, extras):
            return {"type": "input_audio", "input_audio": {"data": data, "format": kind}}, extras
        case File(name, mime, data, url, extras):
            uri = url if data is None else f"data:{mime};base64,{data}"
            file = {"file_data": uri} if name is None else {"filename": name, "file_data": uri}
            return {"type": "file", "file": file}, extras
        case Refusal(text, extras):
            if extras.of(WIRE).get("place") == "part":
                return {"type": "refusal", "refusal": text}, extras
            return {"type": "text", "text": text}, NO_EXTRAS  # few servers accept refusal parts
        case Foreign(wire, payload):
            return (dict(payload) if wire == WIRE else None), NO_EXTRAS


def _call(call: ToolCall, profile: Profile) -> dict[str, Any]:
    raw: dict[str, Any] = {"id": call.id, "type": call.kind}
    if call.kind == "custom":
        raw["custom"] = {"name": call.name, "input": call.arguments}
    else:
        raw["function"] = {"name": call.name, "arguments": call.arguments}
    if profile.tool_call_fields and call.extras.fields:
        raw.update(call.extras.of(WIRE))
    return raw
