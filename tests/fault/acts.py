"""The acts of a model: whole answers, refusals, and every fault of an answer."""

import asyncio
import gzip as compression
import json
from collections.abc import Iterable
from typing import Any

from tests.fault.canonical import STREAM, whole
from tests.fault.provider import Act, Call

SSE = "Content-Type: text/event-stream\r\n"
JSON = "Content-Type: application/json\r\n"


def head(status: str = "200 OK", headers: str = SSE, version: str = "1.1") -> bytes:
    """The head of a response."""
    return f"HTTP/{version} {status}\r\n{headers}\r\n".encode()


def framed(*pieces: bytes) -> bytes:
    """Pieces of a chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)


LAST = b"0\r\n\r\n"
CHUNKED = SSE + "Transfer-Encoding: chunked\r\n"


def sends(*pieces: bytes, then: Act | None = None, apart: float = 0.0) -> Act:
    """These bytes, one write each, then `then`; without it the connection may be used again."""

    async def act(call: Call) -> None:
        for piece in pieces:
            await call.send(piece)
            if apart:
                await asyncio.sleep(apart)
        if then is not None:
            await then(call)

    return act


def streams(body: bytes | Iterable[bytes], *, then: Act | None = None, end: bool = True, headers: str = "") -> Act:
    """A chunked stream with this body, pieces in writes of their own; complete unless `end` is False."""
    pieces = [body] if isinstance(body, bytes) else list(body)
    return sends(
        head(headers=CHUNKED + headers), *(framed(piece) for piece in pieces), *([LAST] if end else []), then=then
    )


def replies(body: bytes, *, status: str = "200 OK", headers: str = JSON) -> Act:
    """One complete body."""
    return sends(head(status, f"{headers}Content-Length: {len(body)}\r\n") + body)


def says(stream: bytes = STREAM, body: bytes | None = None) -> Act:
    """The canonical answer, streamed or whole as requested."""
    streamed, replied = streams(stream), replies(whole() if body is None else body)

    async def act(call: Call) -> None:
        await (streamed if call.streams else replied)(call)

    return act


def refuses(status: int, message: str = "no", *, headers: str = "", **fields: Any) -> Act:
    """An error object with this status."""
    body = json.dumps({"error": {"message": message, "type": "x", **fields}}).encode()
    return replies(body, status=f"{status} No", headers=JSON + headers)


async def cuts(call: Call) -> None:
    """Resets the connection. A reset may discard earlier writes, so this waits until they arrive."""
    await asyncio.sleep(0.02)
    call.reset()


async def closes(call: Call) -> None:
    """Closes the connection normally, but too early."""
    call.finish()


async def hangs(_call: Call) -> None:
    """Sends nothing more; the connection stays open."""
    await asyncio.Event().wait()


def later(seconds: float, act: Act) -> Act:
    """The same act after a delay."""

    async def late(call: Call) -> None:
        await asyncio.sleep(seconds)
        await act(call)

    return late


def gzipped(data: bytes, *, keep: int | None = None, **options: Any) -> Act:
    """The first `keep` bytes of an unsolicited compressed body."""
    return streams(compression.compress(data)[:keep], headers="Content-Encoding: gzip\r\n", **options)


async def rejects_prefill(call: Call) -> None:
    """A model that refuses to continue an assistant's message."""
    if call.body["messages"][-1]["role"] == "assistant":
        await refuses(400, "This model does not support assistant message prefill.")(call)
    else:
        await says()(call)
