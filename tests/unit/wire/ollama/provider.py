"""What an Ollama server sends, by its documentation, and what it reads of a request, by its maker's own types."""

import json
from typing import Any

import msgspec
from msgspec.structs import replace
from ollama import ChatResponse
from ollama._types import ChatRequest

from gateway.core.answer import Answer
from gateway.core.message import Thinking, ToolCall
from gateway.core.usage import Usage
from tests.unit.wire import clients

STREAM_TYPE = "application/x-ndjson"
WHOLE_TYPE = "application/json; charset=utf-8"
LACKS = frozenset({"audio"})
SETTINGS = {**clients.SETTINGS, "form": ["json_schema", {"schema": clients.SCHEMA["schema"]}]}  # a schema has no name

_HEAD = {"model": "small", "created_at": "2026-11-27T12:00:00.123456Z"}
_FINISH = {"tool_calls": "stop", "content_filter": "stop"}
_DEMAND = "You must answer this message by calling the tool `"


def received(answer: Answer, *, stream: bool) -> Answer:
    """No refusals, sources or filters; arguments are objects; two counts of tokens."""
    usage = answer.usage
    return replace(
        answer,
        raw=answer.text or answer.refusal,
        refusal=None,
        finish="stop" if answer.finish == "content_filter" else answer.finish,
        usage=Usage(usage.prompt, usage.completion, usage.total),
        tool_calls=tuple(replace(call, arguments=_arguments(call)) for call in answer.tool_calls),
        citations=(),
    )


def frames(answer: Answer) -> list[bytes]:
    answer = received(answer, stream=True)
    messages: list[dict[str, Any]] = []
    for block in answer.thinking:
        half = len(block.text) // 2
        messages += [{"content": "", "thinking": piece} for piece in (block.text[:half], block.text[half:])]
    messages += [{"content": piece} for piece in (answer.text or "").partition(" ") if piece]
    messages += [{"content": "", "tool_calls": [_call(call)]} for call in answer.tool_calls]
    return [*(_line({"message": _message(one), "done": False}) for one in messages), _end({}, answer)]


def whole(answer: Answer) -> bytes:
    answer = received(answer, stream=False)
    message: dict[str, Any] = {"content": answer.text or ""}
    if answer.thinking:
        message["thinking"] = "".join(block.text for block in answer.thinking)
    if answer.tool_calls:
        message["tool_calls"] = [_call(call) for call in answer.tool_calls]
    return _end(message, answer)


def failure(text: str, *, stream: bool) -> bytes:
    """An error inside a 200."""
    return json.dumps({"error": f"server busy, please try again. {text}"}).encode() + b"\n"


def refusal(text: str) -> tuple[int, bytes]:
    """Status and body of an error that comes at once."""
    return 503, json.dumps({"error": f"server busy, please try again. {text}"}).encode()


def thought(block: Thinking) -> list[Any]:
    """How `asked` tells of reasoning that has come back: there are no signatures."""
    return ["thought", block.text, None]


def asked(_path: str, body: bytes) -> dict[str, Any]:
    """The request in words of no format: see `tests.unit.wire.clients`."""
    sent = json.loads(body)
    ChatRequest.model_validate(sent)
    options, form = sent.get("options", {}), sent.get("format")
    told = {
        "max_tokens": options.get("num_predict"),
        "temperature": options.get("temperature"),
        "stop": options.get("stop"),
        "effort": sent.get("think"),
        "form": form and (["json_object", None] if form == "json" else ["json_schema", {"schema": form}]),
    }
    functions = [tool["function"] for tool in sent.get("tools", ())]
    demanded = [one["content"].rpartition(_DEMAND)[2] for one in sent["messages"] if _DEMAND in one["content"]]
    raw = msgspec.json.decode(body, type=_Sent)
    return {
        "model": sent["model"],
        "stream": sent["stream"],
        "settings": {name: value for name, value in told.items() if value is not None},
        "tools": [[one["name"], one.get("description"), one.get("parameters")] for one in functions],
        "choice": ["pinned", demanded[0].partition("`")[0]] if demanded else None,
        "messages": [_asked_message(message) for message in raw.messages],
    }


class _Function(msgspec.Struct):
    name: str
    arguments: msgspec.Raw


class _Call(msgspec.Struct):
    id: str
    function: _Function


class _Message(msgspec.Struct):
    role: str
    content: str
    thinking: str | None = None
    images: list[str] = []
    tool_name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[_Call] = []


class _Sent(msgspec.Struct):
    """The arguments of calls as they are written."""

    messages: list[_Message]


def _asked_message(message: _Message) -> list[Any]:
    text = [["text", message.content]] if message.content else []
    if message.role == "tool":
        assert message.tool_name
        return ["tool", ["result", message.tool_call_id, *text]]
    return [
        message.role,
        *([["thought", message.thinking, None]] if message.thinking else ()),
        *text,
        *(["image", f"data:image/png;base64,{data}"] for data in message.images),
        *(
            ["call", call.id, call.function.name, bytes(call.function.arguments).decode()]
            for call in message.tool_calls
        ),
    ]


def _arguments(call: ToolCall) -> str:
    """An object on one line; a server drops a call that was cut."""
    try:
        json.loads(call.arguments)
    except ValueError:
        return "{}"
    return call.arguments.replace("\n", " ")


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "function": {"index": 0, "name": call.name, "arguments": msgspec.Raw(call.arguments.encode())},
    }


def _message(fields: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", **fields}


def _end(message: dict[str, Any], answer: Answer) -> bytes:
    usage = answer.usage
    return _line(
        {
            "message": _message({"content": "", **message}),
            "done": True,
            "done_reason": _FINISH.get(answer.finish, answer.finish),
            "total_duration": 5_191_566_416,
            "load_duration": 2_154_458,
            "prompt_eval_count": usage.prompt,
            "prompt_eval_duration": 383_809_000,
            "eval_count": usage.completion,
            "eval_duration": 4_799_921_000,
        }
    )


def _line(fields: dict[str, Any]) -> bytes:
    line = msgspec.json.encode({**_HEAD, **fields})
    ChatResponse.model_validate_json(line)
    return line + b"\n"
