"""A very cheap fake provider, because it shares the machine with the measured proxies.

Answers are complete HTTP messages, built before the first request. Requests are parsed with byte searches only.
Models: `chat1k`, `chat4k` (whole answers), `burst200` (a stream in one write), `timed` (a stamped chunk each 200 ms);
those of `payloads.FORMATS_1K` answer like `chat1k`, each in the format of the path that it is asked by.
"""

import argparse
import asyncio
import re
import signal
import time
from typing import cast

import payloads
import uvloop

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
MODEL = re.compile(rb'"model"\s*:\s*"(?:[^"]*/)?([^"/]*)"')  # `openclaw/chat1k` is `chat1k` here
STREAM = re.compile(rb'"stream"\s*:\s*true')
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
END = b"0\r\n\r\n"


def whole(body: bytes, status: str = "200 OK") -> bytes:
    """A complete JSON answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def framed(*events: bytes) -> bytes:
    """Events, one per HTTP chunk, as a provider sends them that flushes after every token."""
    return b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)


def refusal(status: str, message: str) -> bytes:
    """An error for the benchmark's error message."""
    return whole(payloads.encode({"error": {"message": message, "type": "bench"}}), status)


def burst() -> bytes:
    """The `burst200` stream, first byte to last."""
    pieces = [payloads.event("burst200", {"content": piece}) for piece in payloads.BURST_PIECES]
    first = payloads.event("burst200", {"role": "assistant", "content": ""})
    return STREAM_HEAD + framed(first, *pieces, *payloads.last_events("burst200")) + END


ANSWERS = {(model, False): whole(payloads.completion(model.decode())) for model in (b"chat1k", b"chat4k")}
for name in payloads.FORMATS_1K:  # as the bare proxy asks for them
    ANSWERS[name.encode(), False] = whole(payloads.completion(name))
ANSWERS[b"burst200", True] = burst()
OTHER_FORMATS = {
    b"POST /responses ": whole(payloads.response("responses1k")),
    b"POST /api/chat ": whole(payloads.ollama_answer("ollama1k")),
    b"POST /v1beta/models/google1k:generateContent ": whole(payloads.gemini_answer("google1k")),
    b"POST /v1/messages ": whole(payloads.claude_message("anthropic1k")),
    b"POST /model/bedrock1k/converse ": whole(payloads.converse_answer("bedrock1k")),
}
FLOATS = whole(payloads.embeddings(packed=False))
PACKED = whole(payloads.embeddings(packed=True))
TIMED_FIRST = STREAM_HEAD + framed(payloads.event("timed", {"role": "assistant", "content": ""}))
NO_STAMP = "@00000000000000000000@"  # replaced by the time of writing, in nanoseconds
TIMED_CHUNK = framed(payloads.event("timed", {"content": NO_STAMP}))
TIMED_LAST = framed(*payloads.last_events("timed")) + END


class Provider(asyncio.Protocol):
    """One keep-alive connection. It answers one request after the other, for any split of the bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no common base class

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._timer is None and self._serve_next():
            pass

    def _serve_next(self) -> bool:
        """Answer the first request in the buffer if all of it is there."""
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        head = bytes(self._buffer[:head_end])
        length = LENGTH.search(head)
        if length is None:
            self._transport.write(refusal("411 Length Required", "The fake provider needs a Content-Length."))
            self._transport.close()
            return False
        end = head_end + 4 + int(length[1])
        if len(self._buffer) < end:
            return False
        body = bytes(self._buffer[head_end + 4 : end])
        del self._buffer[:end]
        self._answer(head, body)
        return True

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST /v1/embeddings "):
            self._transport.write(PACKED if b'"base64"' in body else FLOATS)
        elif head.startswith(b"POST /v1/chat/completions "):
            model = MODEL.search(body)
            asked = (model[1] if model else b"", STREAM.search(body) is not None)
            if asked == (b"timed", True):
                self._transport.write(TIMED_FIRST)
                self._schedule(asyncio.get_running_loop().time() + payloads.TIMED_INTERVAL, payloads.TIMED_CHUNKS)
            else:
                self._transport.write(ANSWERS.get(asked) or refusal("404 Not Found", f"No answer for {asked}."))
        elif (answer := OTHER_FORMATS.get(head[: head.find(b"HTTP/")])) is not None:
            self._transport.write(answer)
        else:
            self._transport.write(refusal("404 Not Found", f"No such route: {head[:60]!r}"))

    def _schedule(self, due: float, left: int) -> None:
        self._timer = asyncio.get_running_loop().call_at(due, self._tick, due, left)

    def _tick(self, due: float, left: int) -> None:
        if left:
            stamp = b"@%020d@" % time.monotonic_ns()
            self._transport.write(TIMED_CHUNK.replace(NO_STAMP.encode(), stamp))
            self._schedule(due + payloads.TIMED_INTERVAL, left - 1)
            return
        self._timer = None
        self._transport.write(TIMED_LAST)
        self.data_received(b"")


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Provider, "127.0.0.1", port, backlog=4096)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
