"""Amazon's event stream encoding, `application/vnd.amazon.eventstream`: a decoder for any split of the bytes.

A message is a prelude (its length and that of its headers, with a checksum), headers, a payload, and a checksum of it
all (https://smithy.io/2.0/aws/amazon-eventstream.html).
"""

import struct
from binascii import crc32

from msgspec import Struct

from gateway.wire.framing.error import FramingError

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_OVERHEAD = _PRELUDE.size + _CHECKSUM.size
_MAX_MESSAGE = 24 * 1024 * 1024  # the specification's limit of a payload, and more than any event has
_STRING = 7
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""The size of a header's value by its type; types 6 and 7 have a length before it."""


class StreamMessage(Struct, frozen=True, gc=False):
    """One message: its headers with a text value, and its payload."""

    headers: dict[str, str]
    payload: bytes


class EventStreamDecoder:
    """Turns bytes into whole messages. Raises FramingError for anything else, and at the first wrong checksum."""

    __slots__ = ("_needed", "_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._needed = 0  # bytes until the next step: a large message is joined once, not at every part

    def feed(self, data: bytes) -> list[StreamMessage]:
        """The messages that `data` completes."""
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return []
        buffer = b"".join(self._parts)
        messages: list[StreamMessage] = []
        start, self._needed = 0, _PRELUDE.size
        while len(buffer) - start >= _PRELUDE.size:
            length, header_length, checksum = _PRELUDE.unpack_from(buffer, start)
            if checksum != crc32(buffer[start : start + 8]):
                raise FramingError("the checksum of a message's beginning is wrong")
            if not _OVERHEAD + header_length <= length <= _MAX_MESSAGE:
                raise FramingError("a message has an impossible length")
            if len(buffer) - start < length:
                self._needed = length
                break
            messages.append(_message(buffer[start : start + length], header_length))
            start += length
        self._parts = [buffer[start:]]
        self._size = len(buffer) - start
        return messages


def _message(raw: bytes, header_length: int) -> StreamMessage:
    (checksum,) = _CHECKSUM.unpack_from(raw, len(raw) - _CHECKSUM.size)
    if checksum != crc32(raw[: -_CHECKSUM.size]):
        raise FramingError("the checksum of a message is wrong")
    end = _PRELUDE.size + header_length
    return StreamMessage(_headers(raw, _PRELUDE.size, end), raw[end : -_CHECKSUM.size])


def _headers(raw: bytes, position: int, end: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    try:
        while position < end:
            name_end = position + 1 + raw[position]
            name, kind = raw[position + 1 : name_end].decode(), raw[name_end]
            position = name_end + 1
            size = _FIXED_SIZES.get(kind)
            if size is None:
                size = int.from_bytes(raw[position : position + 2], "big")
                position += 2
            if kind == _STRING:
                headers[name] = raw[position : position + size].decode()
            elif kind not in _FIXED_SIZES and kind != 6:
                raise FramingError("a header has an unknown type")
            position += size
    except (IndexError, UnicodeDecodeError):
        raise FramingError("the headers of a message can't be read") from None
    if position != end:
        raise FramingError("the headers of a message have an impossible length")
    return headers
