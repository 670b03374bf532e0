"""Providers that think, in the three shapes of chat completions servers."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from tests.unit.http.conftest import Provider

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "completion_tokens_details": {"reasoning_tokens": 5},
}
THOUGHT = "First I look. Caf\u00e9 \U0001f914 is \u201copen\u201d."
SIGNATURE = "EqQBCkYIBRgCKkD+/w=="
DETAILS = [
    {"type": "reasoning.text", "text": THOUGHT, "signature": SIGNATURE, "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "gAAAAABo+/9=", "id": "rs_1", "format": "openai-v1", "index": 1},
]
SHAPES: dict[str, dict[str, Any]] = {
    "reasoning_content": {"reasoning_content": THOUGHT},
    "reasoning": {"reasoning": THOUGHT},
    "reasoning_details": {"reasoning": THOUGHT, "reasoning_details": DETAILS},
    "reasoning_details alone": {"reasoning_details": DETAILS},
    "thinking_blocks": {
        "reasoning_content": THOUGHT,
        "thinking_blocks": [
            {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE},
            {"type": "redacted_thinking", "data": "gAAAAABo+/9="},
        ],
    },
}
FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")
CALL = ("call_1", "look", '{"at": "door"}')
CHAT_TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
RESPONSES_TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


def message(text: str | None = None, *calls: tuple[str, str, str], **fields: Any) -> dict[str, Any]:
    """A whole message: text, calls of (id, name, arguments), and more fields."""
    calls_raw = [
        {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (call_id, name, arguments) in enumerate(calls)
    ]
    return {"role": "assistant", "content": text} | fields | ({"tool_calls": calls_raw} if calls_raw else {})


def deltas_of(whole: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The pieces in which a server streams a message: texts in halves, a signature after its text."""
    for block in whole.get("thinking_blocks", ()):
        if text := block.get("thinking"):
            for half in (text[:9], text[9:]):
                piece = {"type": "thinking", "thinking": half, "signature": None}
                yield {"reasoning_content": half, "thinking_blocks": [piece]}
            yield {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": block["signature"]}]}
        else:
            yield {"thinking_blocks": [block]}
    for name in ("reasoning_content", "reasoning"):
        if (text := whole.get(name)) and "reasoning_details" not in whole and "thinking_blocks" not in whole:
            yield {name: text[:9]}
            yield {name: text[9:]}
    for detail in whole.get("reasoning_details", ()):
        if "text" not in detail:
            yield {"reasoning_details": [detail]}
            continue
        text, signature = detail["text"], detail["signature"]
        base = {name: value for name, value in detail.items() if name not in ("text", "signature")}
        for half in (text[:9], text[9:]):
            yield {"reasoning_details": [{**base, "text": half}]} | (
                {"reasoning": half} if "reasoning" in whole else {}
            )
        yield {"reasoning_details": [{**base, "signature": signature}]}
    if whole["content"]:
        yield {"content": whole["content"]}
    for call in whole.get("tool_calls", ()):
        yield {"tool_calls": [call]}


def answers(provider: Provider, *messages: dict[str, Any]) -> None:
    """From now on answer with these messages, one after the other, streamed when asked."""
    first = len(provider.asked)

    async def answer(request: web.Request) -> web.StreamResponse:
        whole = messages[len(provider.asked) - first - 1]
        finish = "tool_calls" if "tool_calls" in whole else "stop"
        if not provider.asked[-1].get("stream"):
            choice = {"index": 0, "message": whole, "finish_reason": finish}
            return web.json_response({"object": "chat.completion", "choices": [choice], "usage": USAGE})
        response = await provider.begins(request, *deltas_of(whole))
        await provider.send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        await provider.send(response, {"choices": [], "usage": USAGE})
        await response.write(b"data: [DONE]\n\n")
        return response

    provider.answer = answer


def returned(provider: Provider, number: int = -1) -> list[dict[str, Any]]:
    """The reasoning in each assistant's message that the provider got in one request."""
    messages = provider.asked[number]["messages"]
    return [
        {name: message[name] for name in FIELDS if name in message}
        for message in messages
        if message["role"] == "assistant"
    ]
