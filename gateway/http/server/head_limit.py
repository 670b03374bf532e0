"""Limits the size of a request's whole head.

aiohttp limits each line and the number of lines. Together these allow megabytes, which any client could store in memory
before authentication.
"""

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import HttpParser, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, EmptyStreamReader, StreamReader

HEAD_LIMIT = 16 * 1024  # bytes, as in OpenClaw

Parsed = tuple[Sequence[tuple[RawRequestMessage, StreamReader]], bool, bytes]


class HeadLimit:
    """Wraps a connection's parser and delegates to it."""

    __slots__ = ("_feed", "_unfinished", "feed_eof", "last", "message_consumed", "pause_reading", "set_upgraded")

    def __init__(self, parser: HttpParser[Any]) -> None:
        self._feed: Callable[[bytes], Parsed] = parser.feed_data
        self.last: tuple[RawRequestMessage | None, StreamReader | EmptyStreamReader] = (None, EMPTY_PAYLOAD)
        """The head and the body of the request that arrived last."""
        self._unfinished = 0  # bytes of an incomplete head
        self.feed_eof: Any = parser.feed_eof
        self.message_consumed: Any = parser.message_consumed
        self.pause_reading: Any = parser.pause_reading
        self.set_upgraded: Any = parser.set_upgraded

    def discard(self, received: Callable[[], None]) -> None:
        """Parse nothing any more: drop all data, and call `received` for each."""

        def drop(_data: bytes) -> Parsed:
            received()
            return (), False, b""

        self._feed = drop

    def feed_data(self, data: bytes) -> Parsed:
        """Parse `data`. Raises the parser's errors, and LineTooLong for a head larger than HEAD_LIMIT.

        If a head shares a read with the body before it, counting starts with the next read.
        """
        in_body = not self.last[1].is_eof()
        parsed = self._feed(data)
        messages = parsed[0]
        if messages:
            if self._unfinished + len(data) > HEAD_LIMIT and any(
                _size(message) > HEAD_LIMIT for message, _ in messages
            ):
                raise LineTooLong(b"head", HEAD_LIMIT)
            self._unfinished = 0
            self.last = messages[-1]
        elif not in_body:
            self._unfinished += len(data)
            if self._unfinished > HEAD_LIMIT:
                raise LineTooLong(b"head", HEAD_LIMIT)
        return parsed


def _size(message: RawRequestMessage) -> int:
    """Bytes of the request line and all fields, including `: ` and line ends."""
    fields = sum(len(name) + len(value) + 4 for name, value in message.raw_headers)
    return len(message.method) + len(message.path) + len("  HTTP/1.1\r\n") + fields
