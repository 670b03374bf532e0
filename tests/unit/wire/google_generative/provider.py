"""What Google's API sends, by its documentation, and what it reads of a request: both checked by its maker's types."""

import json
from typing import Any
from urllib.parse import unquote

import msgspec
from google.genai import types
from msgspec.structs import replace

from gateway.core.answer import Answer
from gateway.core.message import Thinking, ToolCall
from tests.unit.wire import clients

PDFS = True
STREAM_TYPE = "text/event-stream"
WHOLE_TYPE = "application/json; charset=UTF-8"
SETTINGS = {**clients.SETTINGS, "form": ["json_schema", {"schema": clients.SCHEMA["schema"]}]}  # a schema has no name

FOREIGN = "skip_thought_signature_validator"
_FINISH = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


def received(answer: Answer, *, stream: bool) -> Answer:
    """No refusals; arguments are objects; reasoning before a text has its signature after it."""
    return replace(
        answer,
        raw=answer.text or answer.refusal,
        refusal=None,
        tool_calls=tuple(replace(call, arguments=_arguments(call)) for call in answer.tool_calls),
    )


def authorised(headers: Any, key: str) -> bool:
    return bool(headers["x-goog-api-key"] == key) and "Authorization" not in headers


def frames(answer: Answer) -> list[bytes]:
    answer = received(answer, stream=True)
    parts: list[dict[str, Any]] = []
    for block in answer.thinking:
        half = len(block.text) // 2
        parts += [{"text": piece, "thought": True} for piece in (block.text[:half], block.text[half:]) if piece]
    parts += [{"text": piece} for piece in (answer.text or "").partition(" ") if piece]
    parts += [_call(call, answer if index == 0 else None) for index, call in enumerate(answer.tool_calls)]
    usage = _usage(answer)
    events = [{**_candidate([part]), **usage} for part in parts]
    last = [{"text": "", "thoughtSignature": _signature(answer)}] if _signs_text(answer) else [{"text": ""}]
    end = _candidate(last, _FINISH[answer.finish], answer)
    return [*map(_event, [*events, {**end, **usage}])]


def whole(answer: Answer) -> bytes:
    answer = received(answer, stream=False)
    parts: list[dict[str, Any]] = [{"text": block.text, "thought": True} for block in answer.thinking]
    if answer.text:
        parts.append({"text": answer.text})
    if _signs_text(answer):
        parts += [] if answer.text else [{"text": ""}]
        parts[-1]["thoughtSignature"] = _signature(answer)
    parts += [_call(call, answer if index == 0 else None) for index, call in enumerate(answer.tool_calls)]
    return _checked({**_candidate(parts, _FINISH[answer.finish], answer), **_usage(answer)})


def failure(text: str, *, stream: bool) -> bytes:
    """An error inside a 200: in the middle of a stream, or in place of a whole answer."""
    body = json.dumps({"error": _error(text)}).encode()
    return b"data: " + body + b"\r\n\r\n" if stream else body


def refusal(text: str) -> tuple[int, bytes]:
    """Status and body of an error that comes at once, here in the list that some of Google's servers send."""
    return 503, json.dumps([{"error": _error(text)}]).encode()


def thought(block: Thinking) -> list[Any]:
    """How `asked` tells of reasoning that has come back; the signature belongs to the part after it."""
    return ["thought", block.text, block.signature]


def asked(path: str, body: bytes) -> dict[str, Any]:
    """The request in words of no format: see `tests.unit.wire.clients`."""
    sent = json.loads(body)
    config = sent.get("generationConfig", {})
    tools = [types.Tool.model_validate(tool) for tool in sent.get("tools", ())]
    types.GenerationConfig.model_validate(config)
    calling = sent.get("toolConfig", {}).get("functionCallingConfig")
    types.ToolConfig.model_validate(sent.get("toolConfig", {}))
    schema = config.get("responseSchema")
    told = {
        "max_tokens": config.get("maxOutputTokens"),
        "temperature": config.get("temperature"),
        "stop": config.get("stopSequences"),
        "effort": (config.get("thinkingConfig", {}).get("thinkingLevel") or "").lower() or None,
        "form": schema and ["json_schema", {"schema": schema}],
    }
    assert len(tools) <= 1
    functions = [one for tool in sent.get("tools", ()) for one in tool["functionDeclarations"]]
    names = calling and calling.get("allowedFunctionNames")
    way, _, query = path.partition("?")
    assert query in ("", "alt=sse")
    *_, collection, model, method = unquote(way).replace(":", "/").split("/")
    assert collection == "models"
    contents = [types.Content.model_validate(one) for one in sent["contents"]]
    assert all(one.parts for one in contents)
    return {
        "model": model,
        "stream": {"generateContent": False, "streamGenerateContent": True}[method],
        "settings": {name: value for name, value in told.items() if value is not None},
        "tools": [
            [one["name"], one.get("description"), one.get("parameters", {"type": "object"})] for one in functions
        ],
        "choice": calling and (["pinned", names[0]] if names else [calling["mode"].lower(), None]),
        "messages": _messages(body),
    }


class _Call(msgspec.Struct, rename="camel"):
    id: str
    name: str
    args: msgspec.Raw


class _Result(msgspec.Struct, rename="camel"):
    id: str
    name: str
    response: dict[str, str]
    parts: "list[_Part]" = msgspec.field(default_factory=list)


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool = False
    thought_signature: str | None = None
    inline_data: dict[str, str] | None = None
    function_call: _Call | None = None
    function_response: _Result | None = None


class _Content(msgspec.Struct):
    parts: list[_Part]
    role: str = "system"


class _Sent(msgspec.Struct, rename="camel"):
    """The arguments of calls as they are written."""

    contents: list[_Content]
    system_instruction: _Content | None = None


def _messages(body: bytes) -> list[Any]:
    sent = msgspec.json.decode(body, type=_Sent)
    told: list[Any] = []
    for content in (*([sent.system_instruction] if sent.system_instruction else ()), *sent.contents):
        role = {"model": "assistant"}.get(content.role, content.role)
        if content.parts[0].function_response is not None:
            told += [["tool", _told(part)] for part in content.parts]
            continue
        parts = [_told(part) for part in content.parts if part.text != ""]
        signatures = [part.thought_signature for part in content.parts if part.thought_signature not in (None, FOREIGN)]
        for index, part in enumerate(parts):
            if part[0] == "thought":
                parts[index] = [*part, signatures.pop(0) if signatures else None]
        told.append([role, *parts])
    return told


def _told(part: _Part) -> list[Any]:
    if part.function_call is not None:
        return ["call", part.function_call.id, part.function_call.name, bytes(part.function_call.args).decode()]
    if part.function_response is not None:
        assert part.function_response.name
        result = part.function_response
        return ["result", result.id, ["text", result.response["output"]], *(_told(one) for one in result.parts)]
    if part.inline_data is not None:
        kind, data = part.inline_data["mimeType"], part.inline_data["data"]
        return ["image", f"data:{kind};base64,{data}"] if kind.startswith("image/") else ["audio", kind[6:], data]
    return ["thought" if part.thought else "text", part.text]


def _arguments(call: ToolCall) -> str:
    """An object on one line; a call that was cut is dropped by the server."""
    try:
        json.loads(call.arguments)
    except ValueError:
        return "{}"
    return call.arguments.replace("\n", " ")


def _signature(answer: Answer) -> str | None:
    return next((block.signature for block in answer.thinking if block.signature), None)


def _signs_text(answer: Answer) -> bool:
    return _signature(answer) is not None and not answer.tool_calls


def _call(call: ToolCall, answer: Answer | None) -> dict[str, Any]:
    args = msgspec.Raw(call.arguments.encode())
    part: dict[str, Any] = {"functionCall": {"id": call.id, "name": call.name, "args": args}}
    if answer is not None and (signature := _signature(answer)):
        part["thoughtSignature"] = signature
    return part


def _candidate(parts: list[dict[str, Any]], finish: str | None = None, answer: Answer | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    if answer is not None and answer.citations and answer.text:
        text = answer.text
        candidate["groundingMetadata"] = {
            "groundingChunks": [{"web": {"uri": one.url, "title": one.title}} for one in answer.citations],
            "groundingSupports": [
                {
                    "segment": {
                        "startIndex": len(text[: one.start].encode()),
                        "endIndex": len(text[: one.end].encode()),
                        "text": text[one.start : one.end],
                    },
                    "groundingChunkIndices": [index],
                }
                for index, one in enumerate(answer.citations)
            ],
        }
    return {"candidates": [candidate], "modelVersion": "small", "responseId": "r-1"}


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    thoughts = usage.reasoning or 0
    counts = {
        "promptTokenCount": usage.prompt - 10,
        "toolUsePromptTokenCount": 10,
        "candidatesTokenCount": usage.completion - thoughts,
        "totalTokenCount": usage.total,
    }
    if thoughts:
        counts["thoughtsTokenCount"] = thoughts
    if usage.cached:
        counts["cachedContentTokenCount"] = usage.cached
    return {"usageMetadata": counts}


def _error(text: str) -> dict[str, Any]:
    return {"code": 503, "message": text, "status": "UNAVAILABLE"}


def _event(payload: dict[str, Any]) -> bytes:
    return b"data: " + _checked(payload) + b"\r\n\r\n"


def _checked(payload: dict[str, Any]) -> bytes:
    body = msgspec.json.encode(payload)
    types.GenerateContentResponse.model_validate_json(body)
    return body
