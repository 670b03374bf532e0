"""What a chat completions provider sends, by OpenAI's documentation, and what it reads of a request.

Reasoning is where DeepSeek has it: OpenAI's own format has no place for it.
"""

import json
from typing import Any

from gateway.core.answer import Answer
from gateway.core.message import Citation, Thinking, ToolCall

STREAM_TYPE = "text/event-stream"
WHOLE_TYPE = "application/json"

_HEAD = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "small", "system_fingerprint": "fp"}


def frames(answer: Answer) -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for block in answer.thinking:
        half = len(block.text) // 2
        deltas += [{"reasoning_content": block.text[:half]}, {"reasoning_content": block.text[half:]}]
    deltas += [{"content": piece} for piece in (answer.text or "").partition(" ") if piece]
    deltas += [{"refusal": piece} for piece in (answer.refusal or "").partition(" ") if piece]
    if answer.citations:
        deltas.append({"annotations": [_annotation(one) for one in answer.citations]})
    for index, call in enumerate(answer.tool_calls):
        deltas.append({"tool_calls": [{"index": index, **_call(call, "")}]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in call.arguments]
    chunks = [*(_chunk(delta) for delta in deltas), _chunk({}, answer.finish)]
    return [*map(_event, [*chunks, {**_HEAD, "choices": [], "usage": _usage(answer)}]), b"data: [DONE]\n\n"]


def whole(answer: Answer) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
    if answer.thinking:
        message["reasoning_content"] = "".join(block.text for block in answer.thinking)
    if answer.citations:
        message["annotations"] = [_annotation(one) for one in answer.citations]
    if answer.tool_calls:
        message["tool_calls"] = [_call(call, call.arguments) for call in answer.tool_calls]
    choice = {"index": 0, "message": message, "logprobs": answer.logprobs, "finish_reason": answer.finish}
    return json.dumps({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _usage(answer)}).encode()


def failure(text: str, *, stream: bool) -> bytes:
    """An error inside a 200: in the middle of a stream, or in place of a whole answer."""
    payload = {"error": _error(text)}
    return _event(payload) if stream else json.dumps(payload).encode()


def refusal(text: str) -> tuple[int, bytes]:
    """Status and body of an error that comes at once."""
    return 503, json.dumps({"error": _error(text)}).encode()


def thought(block: Thinking) -> list[Any]:
    """How `asked` tells of reasoning that has come back; DeepSeek has no signatures."""
    return ["thought", block.text, None]


def asked(_path: str, body: bytes) -> dict[str, Any]:
    """The request in words of no format: see `tests.unit.wire.clients`."""
    sent: dict[str, Any] = json.loads(body)
    choice = sent.get("tool_choice")
    form = sent.get("response_format")
    settings = {
        "max_tokens": sent.get("max_tokens"),
        "temperature": sent.get("temperature"),
        "stop": sent.get("stop"),
        "effort": sent.get("reasoning_effort"),
        "parallel": sent.get("parallel_tool_calls"),
        "form": form and [form["type"], form.get("json_schema")],
    }
    functions = [tool["function"] for tool in sent.get("tools", ())]
    return {
        "model": sent["model"],
        "stream": sent.get("stream", False),
        "settings": {name: value for name, value in settings.items() if value is not None},
        "tools": [[one["name"], one.get("description"), one.get("parameters")] for one in functions],
        "choice": ["pinned", choice["function"]["name"]] if isinstance(choice, dict) else choice and [choice, None],
        "messages": [_asked_message(message) for message in sent["messages"]],
    }


def _asked_message(message: dict[str, Any]) -> list[Any]:
    content = message.get("content") or ()
    parts = [["text", content]] if isinstance(content, str) else [_asked_part(part) for part in content]
    if message["role"] == "tool":
        return ["tool", ["result", message["tool_call_id"], *parts]]
    thought = message.get("reasoning_content")
    calls = message.get("tool_calls", ())
    return [
        message["role"],
        *([["thought", thought, None]] if thought else ()),
        *parts,
        *(["call", call["id"], call["function"]["name"], call["function"]["arguments"]] for call in calls),
    ]


def _asked_part(part: dict[str, Any]) -> list[Any]:
    match part["type"]:
        case "text":
            return ["text", part["text"]]
        case "image_url":
            return ["image", part["image_url"]["url"]]
        case _:
            return ["audio", part["input_audio"]["format"], part["input_audio"]["data"]]


def _event(payload: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {**_HEAD, "object": "chat.completion.chunk", "choices": [choice], "usage": None}


def _call(call: ToolCall, arguments: str) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _annotation(source: Citation) -> dict[str, Any]:
    fields = {"url": source.url, "title": source.title, "start_index": source.start, "end_index": source.end}
    return {"type": "url_citation", "url_citation": fields}


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    }


def _error(text: str) -> dict[str, Any]:
    return {"message": text, "type": "overloaded_error", "param": None, "code": None}
