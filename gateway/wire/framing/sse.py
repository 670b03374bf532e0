"""Server-sent events: an incremental decoder for any split of the bytes, and the encoding of one frame.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html; only `data` is read, because every
supported format repeats its event name inside the JSON. A JSON object, or an array of them, without a field name is
read as data, too: many servers report a failure so, in place of a stream or within it.
"""

import re

from gateway.wire.framing.error import FramingError

DONE = b"data: [DONE]\n\n"
"""How OpenAI's streams end."""

_PLAIN_SEPARATOR = b"\n\ndata: "
_NAMED_START = re.compile(rb"event: [\w.]+\ndata: ")
_NAMED_SEPARATOR = re.compile(rb"\n\nevent: [\w.]+\ndata: ")
_OBJECT = re.compile(rb"(?:\[\s*)?\{")
_MAX_EVENT = 8 * 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class PlainEvents:
    """Payloads of events that arrived in one read; `joined` holds them separated by commas, as a JSON array does."""

    __slots__ = ("_events", "joined")

    def __init__(self, events: bytes, joined: bytes) -> None:
        self._events = events
        self.joined = joined

    @property
    def count(self) -> int:
        """The number of events."""
        return (len(self._events) - len(self.joined)) // (len(_PLAIN_SEPARATOR) - 1) + 1

    def payloads(self) -> list[bytes]:
        """The payload of each event."""
        return self._events.split(_PLAIN_SEPARATOR)

    def divided(self, last: int) -> tuple[memoryview, list[bytes]]:
        """All events but the `last` ones, joined, and the payloads of these; there must be more than `last`."""
        first, *payloads = self._events.rsplit(_PLAIN_SEPARATOR, last)
        separators = self.count - 1 - last
        return memoryview(self.joined)[: len(first) - separators * (len(_PLAIN_SEPARATOR) - 1)], payloads


class NamedEvents:
    """Payloads of events with names that arrived in one read; `joined` is as in PlainEvents, `count` their number."""

    __slots__ = ("_events", "count", "joined")

    def __init__(self, events: bytes, joined: bytes, count: int) -> None:
        self._events = events
        self.joined = joined
        self.count = count

    def payloads(self) -> list[bytes]:
        """The payload of each event."""
        return _NAMED_SEPARATOR.split(self._events)


class SseDecoder:
    """Turns bytes into the `data` payloads of whole events. LF, CRLF and CR line ends, mixed, at any split."""

    __slots__ = ("_buffer", "_more", "_more_size", "_skip_lf")

    def __init__(self) -> None:
        self._buffer = b""
        self._more: list[bytes] = []  # what follows it; joined once, as an event may come in thousands of pieces
        self._more_size = 0
        self._skip_lf = False

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the events that `data` completes; multi-line data is joined by LF."""
        if self._skip_lf or b"\r" in data:
            data = self._unify_line_ends(data)
        if b"\n\n" not in data and data[:1] != b"\n":
            self._put(data)
            return []
        buffer = self._joined(data) if self._buffer else data
        *frames, self._buffer = buffer.split(b"\n\n")
        payloads = []
        for frame in frames:
            if frame[:6] == b"data: " and len(frame) > 6 and b"\n" not in frame:
                payloads.append(frame[6:])
            elif (
                frame[:7] == b"event: "
                and frame[(end := frame.find(b"\n")) : end + 7] == b"\ndata: "
                and len(frame) > end + 7
                and frame.find(b"\n", end + 1) < 0
            ):
                payloads.append(frame[end + 7 :])  # a named event of one line, as most formats send them
            elif (payload := _data_of(frame)) is not None:
                payloads.append(payload)
        return payloads

    def feed_plain(self, data: bytes) -> "PlainEvents | None":
        """The events that `data` completes, if each is a single `data: ` line, as nearly always.

        Returns None and leaves the decoder unchanged for any other input.
        """
        if self._skip_lf or b"\r" in data:
            return None
        buffer = data
        if self._buffer:
            if b"\n\n" not in data and data[:1] != b"\n":
                return None
            buffer = self._joined(data)
        end = buffer.rfind(b"\n\n")
        if end < 0 or buffer[:6] != b"data: ":
            return None
        events = buffer[6:end]
        joined = events.replace(_PLAIN_SEPARATOR, b",")
        if b"\n" in joined:
            return None
        self._buffer = buffer[end + 2 :]
        return PlainEvents(events, joined)

    def feed_named(self, data: bytes) -> "NamedEvents | None":
        """The events that `data` completes, if each is an `event: ` line and a single `data: ` line.

        Returns None and leaves the decoder unchanged for any other input.
        """
        if self._skip_lf or b"\r" in data:
            return None
        buffer = data
        if self._buffer:
            if b"\n\n" not in data and data[:1] != b"\n":
                return None
            buffer = self._joined(data)
        end = buffer.rfind(b"\n\n")
        start = _NAMED_START.match(buffer) if end > 0 else None
        if start is None:
            return None
        events = buffer[start.end() : end]
        if b"\n" in events:
            joined, separators = _NAMED_SEPARATOR.subn(b",", events)
            if b"\n" in joined:
                return None
        else:
            joined, separators = events, 0
        self._buffer = buffer[end + 2 :]
        return NamedEvents(events, joined, separators + 1)

    def flush(self) -> list[bytes]:
        """The payload of a last event that lacks its blank line; many servers end their streams that way."""
        return self.feed(b"\n\n") if self._buffer else []

    def _put(self, data: bytes) -> None:
        """Add a piece that ends no event."""
        if not self._buffer:
            self._buffer = data
        elif data:
            self._more.append(data)
            self._more_size += len(data)
        if len(self._buffer) + self._more_size > _MAX_EVENT:
            raise FramingError(f"an event of more than {_MAX_EVENT} bytes")

    def _joined(self, data: bytes) -> bytes:
        """What is buffered, and `data` behind it."""
        if self._more:
            self._buffer = b"".join((self._buffer, *self._more))
            self._more.clear()
            self._more_size = 0
        return self._buffer + data

    def _unify_line_ends(self, data: bytes) -> bytes:
        if not data:
            return data
        if self._skip_lf and data[:1] == b"\n":
            data = data[1:]
        self._skip_lf = data[-1:] == b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _data_of(frame: bytes) -> bytes | None:
    """The data of an event of any form; None for an event without data, or with empty data (a heartbeat)."""
    lines = []
    frame = frame.removeprefix(_BYTE_ORDER_MARK)
    for line in frame.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value[1:] if value[:1] == b" " else value)
    if not lines and _OBJECT.match(bare := frame.strip()):
        return bare
    return b"\n".join(lines) or None


def sse_frame(payload: bytes) -> bytes:
    """One event whose data is a single line."""
    return b"data: " + payload + b"\n\n"
