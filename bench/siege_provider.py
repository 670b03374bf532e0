"""The provider of `siege.py`, a process of its own: `python bench/siege_provider.py PORT`.

Models: `quick` (whole or a short stream), `slow` (a stream of eight seconds), `refuses` (400, which repeats the
gateway's key and the prompt's beginning), `huge` (64 MB of text), `vectors` (embeddings).
"""

import asyncio
import json
import re
import sys
from contextlib import suppress

LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d+)")
MODEL = re.compile(rb'"model"\s*:\s*"([^"]*)"')
STREAM = re.compile(rb'"stream"\s*:\s*true')
KEY = re.compile(rb"(?i)\r\nauthorization:[ \t]*([^\r]*)")
WORDS = [f"word{number} " for number in range(10)]
TEXT = "".join(WORDS)
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
HUGE_PIECE, HUGE_PIECES = "x" * 65_536, 1024
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def whole(body: object, status: str = "200 OK") -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def event(delta: dict[str, str], finish: str | None = None) -> bytes:
    return (
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"
    )


END = event({}, "stop") + b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\ndata: [DONE]\n\n"
COMPLETION = whole(
    {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
)
VECTORS = whole(
    {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5, 0.5, -0.5]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
)
HUGE = event({"content": HUGE_PIECE})


async def stream(writer: asyncio.StreamWriter, pieces: list[bytes], pause: float) -> None:
    writer.write(STREAM_HEAD)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)
    writer.write(END)
    await writer.drain()


async def answer(writer: asyncio.StreamWriter, head: bytes, body: bytes) -> bool:
    """Answer a request. Returns whether the connection stays open."""
    model = match[1] if (match := MODEL.search(body)) else b""
    if head.startswith(b"POST /v1/embeddings"):
        writer.write(VECTORS)
    elif model == b"refuses":
        key = match[1].decode() if (match := KEY.search(head)) else ""
        text = f"Your prompt is not for this model. key={key} prompt={body[:2000].decode(errors='replace')}"
        writer.write(
            whole({"error": {"message": text, "type": "invalid_request_error", "code": key}}, "400 Bad Request")
        )
    elif not STREAM.search(body):
        writer.write(COMPLETION)
    elif model == b"huge":
        await stream(writer, [HUGE] * HUGE_PIECES, 0)
        return False
    else:
        await stream(writer, [event({"content": word}) for word in WORDS], 0.8 if model == b"slow" else 0.02)
        return False
    await writer.drain()
    return True


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            if not await answer(writer, head, body):
                break
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**20, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1])))
