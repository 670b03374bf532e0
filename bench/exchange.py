"""A cheap HTTP/1.1 client connection. It sends fixed bytes and verifies one complete answer at a time."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import cast

from scenarios import Scenario

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
CLOSING = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"  # can't occur inside the JSON of an event, where line breaks are escaped


class WrongAnswerError(Exception):
    """The answer is missing, or differs from the scenario's answer."""


def unchunk(body: bytes) -> bytes:
    """The content of a chunked body. Raises `WrongAnswerError` if it is incomplete."""
    content = b""
    position = 0
    while True:
        line_end = body.find(b"\r\n", position)
        size = int(body[position:line_end].partition(b";")[0], 16) if line_end > 0 else -1
        start = line_end + 2
        if size < 0 or body[start + size : start + size + 2] != b"\r\n":
            raise WrongAnswerError(f"broken chunk at byte {position} of the body")
        if size == 0:
            return content
        content += body[start : start + size]
        position = start + size + 2


def assistant_text(content: bytes, *, stream: bool) -> str:
    """The assistant's text in a chat answer."""
    if not stream:
        return str(json.loads(content)["choices"][0]["message"]["content"])
    pieces: list[str] = []
    for event in content.split(b"\n\n"):
        if event.startswith(b"data: {"):
            choices = json.loads(event[6:])["choices"]
            pieces.extend(choice["delta"].get("content") or "" for choice in choices)
    return "".join(pieces)


class Exchange(asyncio.Protocol):
    """Sends the request whenever `next_request` is called and reports each complete answer to `answered`.

    `failed` gets a sentence about the first thing that is wrong, after which the connection is closed.
    """

    def __init__(self, scenario: Scenario, answered: "Callable[[Exchange], None]", failed: Callable[[str], None]):
        self._scenario = scenario
        self._request = scenario.request()
        self._answered = answered
        self._failed = failed
        self._buffer = bytearray()
        self._body_start = 0
        self._end: int | None = None  # length of the whole answer; None while unknown or chunked
        self._waiting = False
        self._checked_text = False
        self.must_reopen = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no common base class

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            self._failed(f"connection lost after {len(self._buffer)} bytes of an answer ({exc})")

    def next_request(self) -> None:
        self._waiting = True
        self._transport.write(self._request)

    def close(self) -> None:
        self._waiting = False
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        try:
            if not self._body_start and not self._read_head():
                return
            complete = buffer.endswith(LAST_CHUNK) if self._end is None else len(buffer) >= self._end
            if not complete:
                return
            self._verify()
        except WrongAnswerError as error:
            self.close()
            self._failed(f"{error}; it begins {bytes(buffer[:300])!r}")
            return
        self._buffer = bytearray()
        self._body_start = 0
        self._waiting = False
        self._answered(self)

    def _read_head(self) -> bool:
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return False
        head = bytes(self._buffer[:head_end])
        status = head[9:12]
        if status != b"%d" % self._scenario.status:
            raise WrongAnswerError(f"status {status.decode()} instead of {self._scenario.status}")
        self._body_start = head_end + 4
        self.must_reopen = CLOSING.search(head) is not None
        if length := LENGTH.search(head):
            self._end = self._body_start + int(length[1])
        elif CHUNKED.search(head):
            self._end = None
        else:
            raise WrongAnswerError("answer without Content-Length or chunks")
        return True

    def _verify(self) -> None:
        """The cheap checks always, the exact text once."""
        scenario, buffer = self._scenario, self._buffer
        if self._end is not None and len(buffer) > self._end:
            raise WrongAnswerError("more bytes than the answer has")
        if scenario.contains not in buffer:
            raise WrongAnswerError(f"answer without {scenario.contains!r}")
        if scenario.events and buffer.count(b"data: {") < scenario.events:
            raise WrongAnswerError(f"{buffer.count(b'data: {')} events instead of {scenario.events}")
        if scenario.says is not None and not self._checked_text:
            body = bytes(buffer[self._body_start :])
            text = assistant_text(unchunk(body) if self._end is None else body, stream=scenario.events > 0)
            if text != scenario.says:
                raise WrongAnswerError(f"answer says {text[:80]!r} instead of {scenario.says[:80]!r}")
            self._checked_text = True
