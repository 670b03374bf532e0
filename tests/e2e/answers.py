"""The acts of a model of the fake provider: answer, refuse, break a stream, or send nothing."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.e2e.provider import Answer, Model

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}

Ending = Callable[[web.Request], Awaitable[None]]


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """One event of a stream."""
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def event(payload: Any) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def says(text: str | None = "Hello", *calls: tuple[str, str, str], finish: str = "stop") -> Answer:
    """A complete answer, streamed when asked: text (cut at `|`), then calls of (id, name, arguments)."""
    tool_calls = [
        {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (call_id, name, arguments) in enumerate(calls)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": None if text is None else text.replace("|", "")}
    if tool_calls:
        message["tool_calls"] = tool_calls
    deltas: list[dict[str, Any]] = [{"content": piece} for piece in (text or "").split("|")]
    deltas += [{"tool_calls": [call]} for call in tool_calls]
    streamed = streams(*map(chunk, deltas), chunk({}, finish), event({"choices": [], "usage": USAGE}), DONE)

    async def answer(request: web.Request, model: Model) -> web.StreamResponse:
        if model.asked[-1].body.get("stream"):
            return await streamed(request, model)
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return web.json_response({"object": "chat.completion", "choices": [choice], "usage": USAGE})

    return answer


def in_turn(*answers: Answer) -> Answer:
    """These answers, one per request."""

    async def answer(request: web.Request, model: Model) -> web.StreamResponse:
        return await answers[len(model.asked) - 1](request, model)

    return answer


def embeds(*vectors: list[float]) -> Answer:
    """These vectors."""
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return replies(json.dumps({"data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}).encode())


def refuses(status: int, message: str = "no", *, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
    """An error object with this status; `fields` are further fields, such as `code`."""
    payload = json.dumps({"error": {"message": message, "type": "x", **fields}}).encode()
    return replies(payload, status=status, headers=headers)


def replies(
    body: bytes, content_type: str = "application/json", *, status: int = 200, headers: dict[str, str] | None = None
) -> Answer:
    """Exactly these bytes."""

    async def answer(_request: web.Request, _model: Model) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers={"Content-Type": content_type, **(headers or {})})

    return answer


async def ends(_request: web.Request) -> None:
    """The response is complete."""


async def hangs(_request: web.Request) -> None:
    """Sends nothing more; the connection stays open."""
    await asyncio.Event().wait()


async def cuts(request: web.Request) -> None:
    """The connection breaks."""
    if request.transport is not None:
        request.transport.abort()


async def breaks_off(request: web.Request) -> None:
    """The same inside the head of an answer: before the first byte, the connection may also be stale."""
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 ")
    await cuts(request)


SEEN = b": seen\n\n"
"""A write of a stream that waits until the test has received the earlier writes."""


def streams(*frames: bytes, then: Ending = ends) -> Answer:
    """A stream of these writes, and the act after them."""

    async def answer(request: web.Request, model: Model) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for frame in frames:
            if frame is SEEN:
                await model.seen.wait()
            await response.write(frame)
        await then(request)
        return response

    return answer


def does(action: Ending) -> Answer:
    """Only this act, without any byte of an answer."""

    async def answer(request: web.Request, _model: Model) -> web.StreamResponse:
        await action(request)
        return web.Response()

    return answer
