"""The one answer that every model of the fault tests gives, and its bytes on the wire in either form."""

import json
from typing import Any

WORDS = ("The", "gateway", "keeps", "café", "网关", "保持", "🦞", "👩‍🚀", "whole", "🇪🇺", "naïve", "“so”")
TOKENS = tuple(f"{WORDS[number % len(WORDS)]}{number} " for number in range(60))
TEXT = "".join(TOKENS)
ARGUMENTS = json.dumps({"ort": "Zürich", "全部": ["🦞", 1, None], "q": 'say "hi"'}, ensure_ascii=False)
CALLS = (("call_a", "look_up", ARGUMENTS), ("call_b", "note", "{}"))
USAGE = {"prompt_tokens": 11, "completion_tokens": 60, "total_tokens": 71}
DONE = b"data: [DONE]\n\n"


def event(payload: Any, *, newline: str = "\n") -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(payload, ensure_ascii=False)}{newline}{newline}".encode()


def chunk(delta: dict[str, Any], finish: str | None = None, **options: Any) -> bytes:
    """One piece of an answer."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return event({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}, **options)


def token_frames(tokens: tuple[str, ...] = TOKENS, **options: Any) -> list[bytes]:
    """A piece for each token."""
    return [chunk({"content": token}, **options) for token in tokens]


def called(prefix: str = "") -> list[bytes]:
    """The calls with arguments in pieces of seven characters; ids begin with `prefix`."""
    frames = []
    for index, (call_id, name, arguments) in enumerate(CALLS):
        head = {"index": index, "id": prefix + call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        frames.append(chunk({"tool_calls": [head]}))
        for at in range(0, len(arguments), 7):
            piece = {"index": index, "function": {"arguments": arguments[at : at + 7]}}
            frames.append(chunk({"tool_calls": [piece]}))
    return frames


def ending(finish: str = "stop", **options: Any) -> list[bytes]:
    """The finish reason, the token counts, and the end."""
    return [chunk({}, finish, **options), event({"choices": [], "usage": USAGE}, **options), DONE]


STREAM = b"".join([*token_frames(), *ending()])
SHORT = "".join(TOKENS[3:9])
"""All of the scripts above."""


def short(prefix: str = "") -> bytes:
    """A short text, calls whose ids begin with `prefix`, and token counts, without constant fields."""
    frames = [*token_frames(TOKENS[3:9]), *called(prefix), *ending("tool_calls")]
    return b"".join(frames).replace(b'"id": "c", "object": "chat.completion.chunk", "model": "m", ', b"")


def whole(text: str = TEXT, finish: str = "stop", usage: Any = USAGE) -> bytes:
    """The answer as one body."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(body, ensure_ascii=False).encode()
