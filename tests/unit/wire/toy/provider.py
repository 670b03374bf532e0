"""What a provider of the toy format sends, and what it reads of a request."""

import json
from typing import Any

from gateway.core.answer import Answer
from gateway.core.message import Thinking
from tests.unit.wire.toy.upstream import FINISH, written

SIGNS = True
STREAM_TYPE = WHOLE_TYPE = "text/x-toy"

_WORDS = {reason: word for word, reason in FINISH.items()}


def frames(answer: Answer) -> list[bytes]:
    lines: list[Any] = []
    for block in answer.thinking:
        half = len(block.text) // 2
        lines += [["think", piece] for piece in (block.text[:half], block.text[half:]) if piece]
        lines.append(["thought", block.signature])
    lines += [["text", piece] for piece in (answer.text or "").partition(" ") if piece]
    lines += [["refuse", piece] for piece in (answer.refusal or "").partition(" ") if piece]
    lines += [["source", one.url, one.title, one.start, one.end] for one in answer.citations]
    lines += [["call", index, call.id, call.name] for index, call in enumerate(answer.tool_calls)]
    lines += [["more", index, call.arguments] for index, call in enumerate(answer.tool_calls)]
    usage = answer.usage
    lines += [["end", _WORDS[answer.finish]], ["cost", usage.prompt, usage.completion, usage.cached, usage.reasoning]]
    return [written(line) for line in lines]


def whole(answer: Answer) -> bytes:
    return b"".join(frames(answer))


def failure(text: str, *, stream: bool) -> bytes:
    """An error inside a 200."""
    return written(["fail", "busy", text])


def refusal(text: str) -> tuple[int, bytes]:
    """Status and body of an error that comes at once."""
    return 503, written(["fail", "busy", text])


def thought(block: Thinking) -> list[Any]:
    """How `asked` tells of reasoning that has come back."""
    return ["thought", block.text, block.signature]


def asked(path: str, body: bytes) -> dict[str, Any]:
    """The request in words of no format: see `tests.unit.wire.clients`."""
    (_, settings), *lines = map(json.loads, body.splitlines())
    names = {"most": "max_tokens", "heat": "temperature"}
    return {
        "model": path.split("/")[-2],
        "stream": not settings.pop("whole"),
        "settings": {names.get(name, name): value for name, value in settings.items()},
        "tools": [line[1:] for line in lines if line[0] == "offer"],
        "choice": next((line[1:] for line in lines if line[0] == "choose"), None),
        "messages": [line for line in lines if line[0] not in ("offer", "choose")],
    }
