"""What a provider of the Responses API sends, by OpenAI's documentation, and what it reads of a request.

Its reasoning is a summary, with the encrypted state that only it can read.
"""

import json
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from pydantic import TypeAdapter

from gateway.core.answer import Answer
from gateway.core.message import Citation, Thinking, ToolCall

SIGNS = True
STREAM_TYPE = "text/event-stream"
WHOLE_TYPE = "application/json"

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_REQUEST: TypeAdapter[Any] = TypeAdapter(ResponseCreateParamsBase)
_HEAD = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_700_000_000,
    "model": "small",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "metadata": {},
    "instructions": None,
    "temperature": None,
    "top_p": None,
}
_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


def frames(answer: Answer) -> list[bytes]:
    started = {**_HEAD, "status": "in_progress", "output": [], "error": None, "incomplete_details": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
    ]
    for index, item in enumerate(_output(answer)):
        events += _item_events(index, item)
    response = _response(answer)
    events.append({"type": f"response.{response['status']}", "response": response})
    for number, event in enumerate(events):
        event["sequence_number"] = number
        _EVENT.validate_python(event)
    # The tests cut the text in the third frame from the end: the end of an item comes with the end of the response.
    *first, last_item, last = map(_event, events)
    return [*first, last_item, b"", last]


def whole(answer: Answer) -> bytes:
    response = _response(answer)
    Response.model_validate(response)
    return json.dumps(response).encode()


def failure(text: str, *, stream: bool) -> bytes:
    """An error inside a 200: in the middle of a stream, or in place of a whole response."""
    error = {"code": "server_error", "message": text, "type": "overloaded_error"}
    response = {**_HEAD, "status": "failed", "output": [], "error": error, "incomplete_details": None}
    return _event({"type": "response.failed", "response": response}) if stream else json.dumps(response).encode()


def refusal(text: str) -> tuple[int, bytes]:
    """Status and body of an error that comes at once."""
    return 503, json.dumps({"error": {"message": text, "type": "server_error", "param": None, "code": None}}).encode()


def thought(block: Thinking) -> list[Any]:
    """How `asked` tells of reasoning that has come back."""
    return ["thought", block.text, block.signature]


def asked(_path: str, body: bytes) -> dict[str, Any]:
    """The request in words of no format: see `tests.unit.wire.clients`."""
    sent: dict[str, Any] = json.loads(body)
    _REQUEST.validate_python({**sent, "input": [_without_audio(item) for item in sent["input"]]})
    assert sent["store"] is False
    choice, form = sent.get("tool_choice"), (sent.get("text") or {}).get("format")
    settings = {
        "max_tokens": sent.get("max_output_tokens"),
        "temperature": sent.get("temperature"),
        "effort": (sent.get("reasoning") or {}).get("effort"),
        "parallel": sent.get("parallel_tool_calls"),
        "form": form and [form.pop("type"), form],
    }
    return {
        "model": sent["model"],
        "stream": sent.get("stream", False),
        "settings": {name: value for name, value in settings.items() if value is not None},
        "tools": [
            [one["name"], one.get("description"), one.get("parameters")]
            for one in sent.get("tools", ())
            if one["type"] == "function"
        ],
        "choice": ["pinned", choice["name"]] if isinstance(choice, dict) else choice and [choice, None],
        "messages": _messages(sent["input"]),
    }


def _without_audio(item: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's API reads audio, but the types of its SDK lack it."""
    content = item.get("content")
    if not isinstance(content, list):
        return item
    return {**item, "content": [part for part in content if part["type"] != "input_audio"]}


def _messages(items: list[dict[str, Any]]) -> list[list[Any]]:
    messages: list[list[Any]] = []
    for item in items:
        match item["type"]:
            case "message":
                content = item["content"]
                parts = [["text", content]] if isinstance(content, str) else list(map(_asked_part, content))
                messages.append([item["role"], *parts])
            case "function_call_output":
                output = item["output"]
                parts = [["text", output]] if isinstance(output, str) else list(map(_asked_part, output))
                messages.append(["tool", ["result", item["call_id"], *parts]])
            case kind if kind not in ("reasoning", "function_call"):
                pass  # tests of such items read the body itself
            case kind:
                if not messages or messages[-1][0] != "assistant":
                    messages.append(["assistant"])
                messages[-1].append(_asked_item(kind, item))
    return messages


def _asked_item(kind: str, item: dict[str, Any]) -> list[Any]:
    if kind == "reasoning":
        signature = item["encrypted_content"].removeprefix("sealed:")
        return ["thought", "".join(part["text"] for part in item["summary"]), signature]
    return ["call", item["call_id"], item["name"], item["arguments"]]


def _asked_part(part: dict[str, Any]) -> list[Any]:
    match part["type"]:
        case "input_text" | "output_text":
            return ["text", part["text"]]
        case "input_image":
            return ["image", part["image_url"]]
        case "input_file":
            return ["file", part["filename"], part["file_data"].partition("base64,")[2]]
        case _:
            return ["audio", part["input_audio"]["format"], part["input_audio"]["data"]]


def _event(payload: dict[str, Any]) -> bytes:
    return b"event: " + payload["type"].encode() + b"\ndata: " + json.dumps(payload).encode() + b"\n\n"


def _output(answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = [_reasoning(index, block) for index, block in enumerate(answer.thinking)]
    content: list[dict[str, Any]] = []
    if answer.text:
        annotations = [_annotation(one) for one in answer.citations]
        content.append({"type": "output_text", "text": answer.text, "annotations": annotations, "logprobs": []})
    if answer.refusal:
        content.append({"type": "refusal", "refusal": answer.refusal})
    status = "incomplete" if answer.finish in _REASONS else "completed"
    if content:
        items.append({"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": content})
    return [*items, *(_call(call) for call in answer.tool_calls)]


def _item_events(index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    where = {"item_id": item["id"], "output_index": index}
    empty = {
        "message": {"content": []},
        "reasoning": {"summary": []},
        "function_call": {"arguments": ""},
        "custom_tool_call": {"input": ""},
        "local_shell_call": {},
        "web_search_call": {},
    }
    started = {**item, **empty[item["type"]], "status": "in_progress"}
    events = [{"type": "response.output_item.added", "output_index": index, "item": started}]
    match item["type"]:
        case "message":
            for number, part in enumerate(item["content"]):
                events += _part_events({**where, "content_index": number}, part)
        case "reasoning":
            for number, part in enumerate(item["summary"]):
                at = {**where, "summary_index": number}
                events.append({"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}})
                half = len(part["text"]) // 2
                for delta in (part["text"][:half], part["text"][half:]):
                    events.append({"type": "response.reasoning_summary_text.delta", **at, "delta": delta})
                events.append({"type": "response.reasoning_summary_text.done", **at, "text": part["text"]})
                events.append({"type": "response.reasoning_summary_part.done", **at, "part": part})
        case "custom_tool_call":
            events += [
                {"type": "response.custom_tool_call_input.delta", **where, "delta": piece} for piece in item["input"]
            ]
            events.append({"type": "response.custom_tool_call_input.done", **where, "input": item["input"]})
        case "local_shell_call" | "web_search_call":
            pass  # it comes whole
        case _:
            name = "response.function_call_arguments"
            events += [{"type": f"{name}.delta", **where, "delta": piece} for piece in item["arguments"]]
            done = {"name": item["name"], "arguments": item["arguments"]}
            events.append({"type": f"{name}.done", **where, **done})
    return [*events, {"type": "response.output_item.done", "output_index": index, "item": item}]


def _part_events(where: dict[str, Any], part: dict[str, Any]) -> list[dict[str, Any]]:
    field = "text" if part["type"] == "output_text" else "refusal"
    name = f"response.{part['type']}"
    empty = {**part, field: "", **({"annotations": []} if field == "text" else {})}
    events = [{"type": "response.content_part.added", **where, "part": empty}]
    more = {"logprobs": []} if field == "text" else {}
    events += [{"type": f"{name}.delta", **where, **more, "delta": piece} for piece in part[field].partition(" ")]
    for number, source in enumerate(part.get("annotations", ())):
        at = {**where, "annotation_index": number}
        events.append({"type": "response.output_text.annotation.added", **at, "annotation": source})
    events.append({"type": f"{name}.done", **where, **more, field: part[field]})
    return [*events, {"type": "response.content_part.done", **where, "part": part}]


def _reasoning(index: int, block: Thinking) -> dict[str, Any]:
    item: dict[str, Any] = {"id": f"rs_{index}", "type": "reasoning", "status": "completed"}
    item["summary"] = [{"type": "summary_text", "text": block.text}] if block.text else []
    return {**item, "encrypted_content": f"sealed:{block.signature}"}


def _call(call: ToolCall | dict[str, Any]) -> dict[str, Any]:
    if isinstance(call, dict):  # the item itself
        return {"id": f"x_{call['call_id']}", "status": "completed", **call}
    item = {"id": f"fc_{call.id}", "type": "function_call", "status": "completed", "call_id": call.id}
    return {**item, "name": call.name, "arguments": call.arguments}


def _annotation(source: Citation) -> dict[str, Any]:
    fields = {"url": source.url, "title": source.title, "start_index": source.start, "end_index": source.end}
    return {"type": "url_citation", **fields}


def _response(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    reason = _REASONS.get(answer.finish)
    return {
        **_HEAD,
        "status": "incomplete" if reason else "completed",
        "output": _output(answer),
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "usage": {
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
            "output_tokens": usage.completion,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
            "total_tokens": usage.total,
        },
    }
