"""What a provider of Anthropic's Messages API sends, by its documentation, and what it reads of a request.

Every message, event and request passes the types of the maker's own SDK.
"""

import json
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
from anthropic.types import (
    DocumentBlockParam,
    ImageBlockParam,
    MetadataParam,
    OutputConfigParam,
    RawMessageStreamEvent,
    RedactedThinkingBlockParam,
    TextBlockParam,
    ThinkingBlockParam,
    ThinkingConfigAdaptiveParam,
    ThinkingConfigDisabledParam,
    ThinkingConfigEnabledParam,
    ToolChoiceAnyParam,
    ToolChoiceAutoParam,
    ToolChoiceNoneParam,
    ToolChoiceToolParam,
    ToolParam,
    ToolResultBlockParam,
    ToolUseBlockParam,
)
from anthropic.types import Message as SdkMessage
from msgspec.structs import replace
from pydantic import TypeAdapter

from gateway.core.answer import Answer
from gateway.core.message import Thinking

STREAM_TYPE = "text/event-stream; charset=utf-8"
WHOLE_TYPE = "application/json"
MODEL = "claude-sonnet-4-6"
SIGNS = True
"""Whether reasoning has signatures, which go back with it."""
PDFS = True
LACKS = frozenset({"audio"})
"""Kinds of parts that the format has no place for."""
SETTINGS = {
    "max_tokens": 77,
    # A model that reasons refuses a temperature.
    "effort": "low",
    # The name and `strict` have no field; the provider wants objects closed.
    "form": ["json_schema", {"schema": {"type": "object", "additionalProperties": False}}],
}
"""What of `clients.SETTINGS` reaches the provider."""

_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def authorised(headers: Any, key: str) -> bool:
    return bool(headers["x-api-key"] == key and headers["anthropic-version"] == "2023-06-01") and (
        "Authorization" not in headers
    )


def received(answer: Answer, *, stream: bool) -> Answer:
    """What is left of an answer that the format can't express as it is."""
    if answer.refusal:
        answer = replace(answer, finish="content_filter")
    if not stream:
        calls = tuple(replace(call, arguments=_input(call.arguments).decode()) for call in answer.tool_calls)
        answer = replace(answer, tool_calls=calls)
    return answer


def frames(answer: Answer) -> list[bytes]:
    start = {**_message(answer, []), "stop_reason": None, "usage": {**_usage(answer), "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(_blocks(answer)):
        begin, deltas = _streamed(block)
        events.append({"type": "content_block_start", "index": index, "content_block": begin})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    usage = {name: count for name, count in _usage(answer).items() if name != "cache_creation"}
    end = {name: _message(answer, [])[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    events += [{"type": "message_delta", "delta": end, "usage": usage}, {"type": "message_stop"}]
    return [_event(event) for event in events]


def whole(answer: Answer) -> bytes:
    message = _message(answer, _blocks(answer))
    SdkMessage.model_validate(json.loads(_json(message)))
    return _json(message)


def failure(text: str, *, stream: bool) -> bytes:
    """An error inside a 200: in the middle of a stream, or in place of a whole answer."""
    payload = _error(text)
    return _named("error", payload) if stream else json.dumps(payload).encode()


def refusal(text: str) -> tuple[int, bytes]:
    """Status and body of an error that comes at once."""
    return 529, json.dumps(_error(text)).encode()


def thought(block: Thinking) -> list[Any]:
    """How `asked` tells of reasoning that has come back."""
    return ["thought", block.text, block.signature]


def asked(path: str, body: bytes) -> dict[str, Any]:
    """The request in words of no format: see `tests.unit.wire.clients`."""
    sent: dict[str, Any] = json.loads(body)
    assert path.endswith("/v1/messages")
    validate(sent)
    config, choice = sent.get("output_config", {}), sent.get("tool_choice")
    form = config.get("format")
    settings = {
        "max_tokens": None if sent["max_tokens"] == 32_000 else sent["max_tokens"],
        "temperature": sent.get("temperature"),
        "stop": sent.get("stop_sequences"),
        "effort": config.get("effort"),
        "form": form and [form["type"], {"schema": form["schema"]}],
    }
    system = sent.get("system") or ()
    inputs = {
        block.id: bytes(block.input).decode()
        for message in msgspec.json.decode(body, type=_Request).messages
        for block in (message.content if isinstance(message.content, list) else ())
    }
    return {
        "model": "small" if sent["model"] == MODEL else sent["model"],
        "stream": sent.get("stream", False),
        "settings": {name: value for name, value in settings.items() if value is not None},
        "tools": [[one["name"], one.get("description"), one["input_schema"]] for one in sent.get("tools", ())],
        "choice": choice and [{"tool": "pinned"}.get(choice["type"], choice["type"]), choice.get("name")],
        "messages": [
            *(["system", ["text", block["text"]]] for block in system),
            *(one for message in sent["messages"] for one in _asked_messages(message, inputs)),
        ],
    }


def validate(sent: dict[str, Any]) -> None:
    """What the maker's types and the documented rules of the API refuse is an error here too."""
    assert sent.keys() <= _FIELDS
    for tool in sent.get("tools", ()):
        _typed(ToolParam, tool)
    if "tool_choice" in sent:
        _typed(_CHOICES[sent["tool_choice"]["type"]], sent["tool_choice"])
        assert sent["tools"]
    for name, kind in (("output_config", OutputConfigParam), ("metadata", MetadataParam)):
        if name in sent:
            _typed(kind, sent[name])
    if "thinking" in sent:
        _typed(_THINKING[sent["thinking"]["type"]], sent["thinking"])
    roles = [message["role"] for message in sent["messages"]]
    assert roles[0] == "user"
    assert all(a != b for a, b in pairwise(roles))
    marked = 0
    calls: list[str] = []
    seen: set[str] = set()
    for message in sent["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        assert blocks
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert [block["type"] for block in blocks[: len(results)]] == ["tool_result"] * len(results)
        if message["role"] == "user":
            assert sorted(results) == sorted(calls)
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert not seen & {*calls}
        assert len({*calls}) == len(calls)
        seen |= {*calls}
        for block in blocks:
            _typed(_BLOCKS[block["type"]], block)
            for inner in block["content"] if isinstance(block.get("content"), list) else ():
                _typed(_BLOCKS[inner["type"]], inner)
            marked += "cache_control" in block
            assert block["type"] != "text" or block["text"].strip()
    system = sent.get("system") or ()
    marked += sum("cache_control" in block for block in (*system, *sent.get("tools", ())))
    assert marked <= 4
    if seen:
        assert sent["tools"]
    thinking = sent.get("thinking", {"type": "disabled"})
    if thinking["type"] in ("enabled", "adaptive"):
        assert sent.get("tool_choice", {"type": "auto"})["type"] in ("auto", "none")
        assert "temperature" not in sent
        assert thinking.get("budget_tokens", 0) < sent["max_tokens"]


_FIELDS = {
    "max_tokens", "messages", "model", "metadata", "output_config", "service_tier", "stop_sequences", "system",
    "thinking", "tools", "tool_choice", "temperature", "top_p", "top_k", "stream",
}  # fmt: skip
_BLOCKS: dict[str, Any] = {
    "text": TextBlockParam,
    "image": ImageBlockParam,
    "document": DocumentBlockParam,
    "thinking": ThinkingBlockParam,
    "redacted_thinking": RedactedThinkingBlockParam,
    "tool_use": ToolUseBlockParam,
    "tool_result": ToolResultBlockParam,
}
_CHOICES: dict[str, Any] = {
    "auto": ToolChoiceAutoParam, "any": ToolChoiceAnyParam, "tool": ToolChoiceToolParam, "none": ToolChoiceNoneParam,
}  # fmt: skip
_THINKING: dict[str, Any] = {
    "enabled": ThinkingConfigEnabledParam,
    "adaptive": ThinkingConfigAdaptiveParam,
    "disabled": ThinkingConfigDisabledParam,
}


def _typed(kind: Any, value: dict[str, Any]) -> None:
    """Whether the maker's type accepts a value; it has no field that the type does not name."""
    assert value.keys() <= kind.__annotations__.keys()
    _adapter(kind).validate_python(value)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class _Block(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw()
    id: str = ""


class _Message(msgspec.Struct):
    content: str | list[_Block]


class _Request(msgspec.Struct):
    """The request with the inputs of calls as they were written."""

    messages: list[_Message]


def _asked_messages(message: dict[str, Any], inputs: dict[str, str]) -> list[list[Any]]:
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    results = [block for block in blocks if block["type"] == "tool_result"]
    others = [_asked_block(block, inputs) for block in blocks if block["type"] != "tool_result"]
    instruction = [["tool", ["result", block["tool_use_id"], *_result(block)]] for block in results]
    return [*instruction, *([[message["role"], *others]] if others else ())]


def _result(block: dict[str, Any]) -> list[Any]:
    content = block.get("content", ())
    return [["text", content]] if isinstance(content, str) else [_asked_block(one, {}) for one in content]


def _asked_block(block: dict[str, Any], inputs: dict[str, str]) -> list[Any]:
    match block["type"]:
        case "text":
            return ["text", block["text"]]
        case "image":
            source = block["source"]
            return ["image", source.get("url") or f"data:{source['media_type']};base64,{source['data']}"]
        case "document":
            return ["file", block.get("title"), block["source"]["data"]]
        case "thinking":
            return ["thought", block["thinking"], block["signature"]]
        case "redacted_thinking":
            return ["redacted", block["data"]]
        case "tool_use":
            return ["call", block["id"], block["name"], inputs[block["id"]]]
        case kind:
            raise AssertionError(kind)


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for part in answer.thinking:
        if part.encrypted is not None:
            blocks.append({"type": "redacted_thinking", "data": part.encrypted})
        else:
            blocks.append({"type": "thinking", "thinking": part.text, "signature": part.signature or ""})
    text, end = answer.text or "", 0
    for source in answer.citations:
        assert source.start is not None
        assert source.end is not None
        location = {
            "type": "web_search_result_location", "url": source.url, "title": source.title, "cited_text": "c",
            "encrypted_index": "i",
        }  # fmt: skip
        blocks.append({"type": "text", "text": text[end : source.start], "citations": None})
        blocks.append({"type": "text", "text": text[source.start : source.end], "citations": [location]})
        end = source.end
    blocks.append({"type": "text", "text": text[end:], "citations": None})
    blocks = [block for block in blocks if block["type"] != "text" or block["text"]]
    for call in answer.tool_calls:
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
    return blocks


def _streamed(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The block as it begins, and what is added to it."""
    match block["type"]:
        case "text":
            pieces = [{"type": "text_delta", "text": piece} for piece in block["text"].partition(" ") if piece]
            cited = [{"type": "citations_delta", "citation": one} for one in block["citations"] or ()]
            return {"type": "text", "text": "", **({"citations": []} if cited else {})}, [*pieces, *cited]
        case "thinking":
            half = len(block["thinking"]) // 2
            halves = (block["thinking"][:half], block["thinking"][half:])
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in halves if piece]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signed]
        case "tool_use":
            pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", *block["input"])]
            return {**block, "input": {}}, pieces
        case _:
            return block, []


def _message(answer: Answer, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    details = {"type": "refusal", "category": None, "explanation": answer.refusal} if answer.refusal else None
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": blocks,
        "stop_reason": "refusal" if answer.refusal else _REASONS[answer.finish],
        "stop_sequence": answer.stop_sequence,
        "stop_details": details,
        "usage": _usage(answer),
    }


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "input_tokens": usage.prompt - usage.cached - usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write - usage.cache_write_1h,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.completion,
        "output_tokens_details": {"thinking_tokens": usage.reasoning or 0},
    }


def _input(arguments: str) -> bytes:
    """A call's input: an object, as the model wrote it; none if it was cut off."""
    try:
        json.loads(arguments)
    except ValueError:
        return b"{}"
    return arguments.encode()


def _json(message: dict[str, Any]) -> bytes:
    """The message, with the inputs of calls as the model wrote them."""
    inputs = [_input(block["input"]) for block in message["content"] if block["type"] == "tool_use"]
    marked = [{**block, "input": "INPUT"} if block["type"] == "tool_use" else block for block in message["content"]]
    head, *tails = json.dumps({**message, "content": marked}).encode().split(b'"INPUT"')
    return head + b"".join(given + tail for given, tail in zip(inputs, tails, strict=True))


def _event(payload: dict[str, Any]) -> bytes:
    if payload["type"] != "ping":
        _EVENT.validate_python(payload)
    return _named(payload["type"], payload)


def _named(name: str, payload: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps(payload).encode())


def _error(text: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "overloaded_error", "message": text}, "request_id": "req_1"}
